"""Times transcription by wav2vec 2.0 BASE against other libraries: `python -m benchmarks.transcription`.

In float32, in inference mode, with equal weights, to text by the likeliest symbols. On the long utterance everybody's
log-probabilities must be ours. The padded batch cannot agree: the others take the statistics of the first group norm
over padding too, ours over each utterance alone, so that it gets the same text as without a batch.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.harness import Race, options, publish, race
from benchmarks.speech_peers import UNIT, VOCABULARY, Net, Sizes, full, noise, ours, peer, present, weights_of
from speech_adapters.ctc.decoding import greedy
from speech_adapters.model.arm import Arm
from speech_adapters.model.wav2vec2 import pad


def races(sizes: Sizes, repeats: int, threads: int) -> list[Race]:
    """One long utterance, and a padded batch of several, to text by the likeliest symbols."""
    torch.set_num_threads(threads)
    weights = weights_of(sizes.architecture)
    nets = {
        label: _our_net(sizes) if contender.who == "ours" else peer(contender, sizes.architecture, weights)
        for label, contender in present(full()).items()
    }
    for net in nets.values():
        net.module.eval()
    generator = torch.Generator().manual_seed(0)
    long = noise(1, sizes.long_s, generator)
    mixed, lengths = pad([noise(1, seconds, generator)[0] for seconds in sizes.mixed_s])
    _refuse_other_logits(nets, long)
    jobs = {
        f"{sizes.long_s:g} s": (long, None, sizes.long_s),
        f"{' + '.join(f'{s:g}' for s in sizes.mixed_s)} s as one batch": (
            mixed, lengths, sum(sizes.mixed_s),
        ),
    }  # fmt: skip
    return [
        replace(
            race(
                job,
                {label: _transcriber(net, waveform, own) for label, net in nets.items()},
                repeats=repeats,
                threads=threads,
            ),
            work=audio_s,
            unit=UNIT,
        )
        for job, (waveform, own, audio_s) in jobs.items()
    ]


def _our_net(sizes: Sizes) -> Net:
    model = ours(sizes.architecture, Arm())

    def logits(waveform: Tensor, lengths: Tensor | None) -> Tensor:
        own = torch.full((len(waveform),), waveform.shape[1]) if lengths is None else lengths
        log_probs: Tensor = model(waveform, own)[0]
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
    chosen = options("Times transcription by wav2vec 2.0 BASE.", repeats=7, threads=2)
    finished = races(Sizes(), chosen.repeats, chosen.threads)
    publish("transcription", finished, threads=chosen.threads, folder=chosen.folder)
