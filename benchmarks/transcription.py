"""Times transcription by wav2vec 2.0 BASE against other libraries: `python -m benchmarks.transcription`.

In float32, in inference mode, with equal weights, to text by the likeliest symbols. On the long utterance everybody's
log-probabilities must be ours. The padded batch cannot agree: the others take the statistics of the first group norm
over padding too, ours over each utterance alone, so that it gets the same text as without
a batch; and ours computes nothing on padding.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Race, Rounds, race
from benchmarks.records import options, publish
from benchmarks.speech_peers import UNIT, VOCABULARY, Net, Sizes, full, noise, ours, peer, present, weights_of
from speech_adapters.ctc.decoding import greedy
from speech_adapters.model.arm import Arm
from speech_adapters.model.onednn import by_onednn
from speech_adapters.model.wav2vec2 import pad

PARTS = ("ragged", "long")


def races(part: str, sizes: Sizes, rounds: Rounds) -> list[Race]:
    """A padded batch of several utterances ("ragged") or one that is long, to text by the likeliest symbols."""
    torch.set_num_threads(rounds.threads)
    weights = weights_of(sizes.architecture)
    nets = {
        label: _our_net(sizes) if contender.who == "ours" else peer(contender, sizes.architecture, weights)
        for label, contender in present(full()).items()
    }
    for net in nets.values():
        net.module.eval()
    seconds = sizes.mixed_s if part == "ragged" else (sizes.long_s,)
    generator = torch.Generator().manual_seed(0)
    waveform, lengths = pad([noise(1, each, generator)[0] for each in seconds])
    _refuse_other_logits(nets, waveform[:1])
    own = lengths if len(seconds) > 1 else None
    job = f"{' + '.join(f'{each:g}' for each in seconds)} s" + " as one batch" * (len(seconds) > 1)
    contenders = {label: _transcriber(net, waveform, own) for label, net in nets.items()}
    return [race(job, contenders, rounds, work=sum(seconds), unit=UNIT)]


def _our_net(sizes: Sizes) -> Net:
    model = by_onednn(ours(sizes.architecture, Arm()))

    def logits(waveform: Tensor, lengths: Tensor | None) -> Tensor:
        own = torch.full((len(waveform),), waveform.shape[1]) if lengths is None else lengths
        log_probs: Tensor = model(waveform, own, packed=True)[0]
        return log_probs

    return Net(model, logits)


def _transcriber(net: Net, waveform: Tensor, lengths: Tensor | None) -> Callable[[], list[str]]:
    @torch.inference_mode()
    def transcribe() -> list[str]:
        # Padding is spelled too, by all of them alike.
        return [greedy(row, VOCABULARY) for row in net.logits(waveform, lengths)]

    return transcribe


@torch.inference_mode()
def _refuse_other_logits(nets: Mapping[str, Net], waveform: Tensor) -> None:
    mine, *others = (net.logits(waveform, None).log_softmax(2) for net in nets.values())
    for label, theirs in zip(list(nets)[1:], others, strict=True):
        gap = float((theirs - mine).abs().max())
        assert gap < 1e-3, f"log-probabilities of {label} differ from ours by {gap}"


if __name__ == "__main__":
    publish(
        "transcription",
        options("Times transcription by wav2vec 2.0 BASE.", threads=2),
        {part: partial(races, part, Sizes()) for part in PARTS},
    )
