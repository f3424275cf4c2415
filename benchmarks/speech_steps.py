"""Times training steps of wav2vec 2.0 BASE against other libraries: `python -m benchmarks.speech_steps`.

In float32, on equal batches, with equal weights, CTC loss and fused AdamW step, without dropout and masking. The first
round is not timed: there every contender's loss must be ours, and as many weights must get a gradient where the same is
trained. Ours multiplies by oneDNN, which changes rounding alone. LoRA takes the rank at which it has as many weights as
the adapters. Only ours keeps what frozen layers make: the others offer no way to start a step in the middle, so there
they compute it, without a graph. The process keeps freed memory for all of them, as our trainer does. On ragged batches
losses agree less: the others take the statistics of the first group norm over padding too.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.harness import Peak, Race, Rounds, peak_memory, race
from benchmarks.records import Part, options, publish
from benchmarks.speech_peers import (
    UNIT,
    VOCABULARY,
    AnyContender,
    Contender,
    Contenders,
    Sizes,
    full,
    noise,
    ours,
    peer,
    present,
    weights_of,
)
from common.runtime import keep_freed_memory
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.ctc.loss import ctc_loss_per_item
from speech_adapters.model.adapters import FEATURES, WAVEFORM, frozen_depth
from speech_adapters.model.arm import Arm, usual_bottleneck
from speech_adapters.model.onednn import by_onednn
from speech_adapters.model.wav2vec2 import pad

CHARACTERS_A_SECOND = 12
AGREE = 1e-3  # relative: losses of equal weights differ by float32's rounding
RAGGED_AGREE = 0.1  # and by what the others see of padding
HALF_AGREE = 0.05  # by the rounding of bfloat16
LR = 1e-5  # so small that the loss stays finite for ever


# ---- steps


class Step:
    """Forward, CTC, backward and AdamW on one batch of noise, again and again."""

    def __init__(self, module: nn.Module, loss: Callable[[], Tensor], fused: bool = True):
        self.module, self.loss = module, loss
        trained = [w for w in module.parameters() if w.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=LR, fused=fused)
        self.first_loss, self.trained = 0.0, 0

    def __call__(self) -> None:
        self.loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def first(self) -> None:
        """The untimed one, which keeps its loss and how many weights got a gradient."""
        loss = self.loss()
        loss.backward()
        self.first_loss = loss.item()
        self.trained = sum(w.numel() for w in self.module.parameters() if w.grad is not None)
        self.optimizer.step()
        self.optimizer.zero_grad()


@dataclass(frozen=True)
class Spoken:
    """A batch of noise with made-up texts."""

    waveform: Tensor  # batch sample
    lengths: Tensor
    labels: Tensor  # batch label, padded with anything
    num_labels: Tensor

    @property
    def ragged(self) -> bool:
        return len(set(self.lengths.tolist())) > 1


def spoken(seconds: Sequence[float]) -> Spoken:
    """Always the same noise for the same seconds of each utterance."""
    generator = torch.Generator().manual_seed(0)
    waveform, lengths = pad([noise(1, each, generator)[0] for each in seconds])
    num_labels = torch.tensor([int(CHARACTERS_A_SECOND * each) for each in seconds])
    shape = (len(seconds), int(num_labels.max()))
    return Spoken(
        waveform, lengths, torch.randint(1, len(VOCABULARY), shape, generator=generator), num_labels
    )


def step(contender: Contender, sizes: Sizes, weights: StoredModel | None = None) -> Step:
    """A contender's step; without weights everybody has random ones, and kept features are noise."""
    batch = spoken(sizes.ragged_s if contender.ragged else [sizes.utterance_s] * sizes.utterances)
    if contender.who == "ours":
        return _our_step(contender, sizes, batch, made_up=weights is None)
    net = peer(contender, sizes.architecture, weights)
    own = batch.lengths if batch.ragged else None

    def loss() -> Tensor:
        log_probs = net.logits(batch.waveform, own).float().log_softmax(2)
        frames = torch.as_tensor(sizes.architecture.num_frames(batch.lengths))
        return F.ctc_loss(log_probs.transpose(0, 1), batch.labels, frames, batch.num_labels, reduction="sum")

    return Step(net.module, in_half(loss) if contender.half else loss)


def _our_step(contender: Contender, sizes: Sizes, batch: Spoken, made_up: bool) -> Step:
    model = ours(sizes.architecture, contender.arm).train()
    if contender.without != "oneDNN":
        by_onednn(model)
    inputs, lengths, depth = batch.waveform, batch.lengths, WAVEFORM
    if contender.keeps:
        depth = frozen_depth(model.encoder)
        if made_up:  # the frozen layers never run, as when training finds its features on disk
            width = sizes.architecture.conv[-1][0] if depth == FEATURES else sizes.architecture.width
            lengths = torch.as_tensor(sizes.architecture.num_frames(batch.lengths))
            inputs = torch.randn(len(lengths), int(lengths.max()), width)
        else:
            rows = zip(batch.waveform, batch.lengths.tolist(), strict=True)
            inputs, lengths = pad([model.frozen_activations(row[:n], depth) for row, n in rows])

    def loss() -> Tensor:
        log_probs, num_frames = model(inputs, lengths, depth, packed=contender.without != "packing")
        return ctc_loss_per_item(log_probs, num_frames, batch.labels, batch.num_labels).sum()

    return Step(model, in_half(loss) if contender.half else loss, fused=contender.without != "fusion")


def in_half(loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The loss in bfloat16 by autocast, on a CPU."""

    def call() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return loss()

    return call


# ---- what competes with what


def contests(sizes: Sizes) -> dict[str, dict[str, Contenders]]:
    """Races by part of the benchmark; the last but one is between arms of our own."""
    layers, bottleneck = sizes.architecture.layers, usual_bottleneck(sizes.architecture)
    half = layers // 2
    every = Arm(kind="adapters", bottleneck=bottleneck)
    # Norms below the adapters are left alone: with them trained nothing there would be frozen.
    top = replace(every, layers=half, norms="adapted")
    lora, top_lora = replace(every, kind="lora"), replace(every, kind="lora", layers=half)
    kept, frozen = Contender("ours", top, keeps=True), "frozen features kept"
    plug_in, peft = "fairseq with our plug-in", "transformers with peft, LoRA of as many weights"
    _, *others = full().items()
    their_adapters = {plug_in: Contender("fairseq", every), peft: Contender("transformers", lora)}
    ragged = {label: replace(contender, ragged=True) for label, contender in full().items()}
    padded = {"ours, padding computed": replace(ragged["ours"], without="packing")}
    halved = {label: replace(contender, half=True) for label, contender in full().items()}
    return {
        "ragged": {"ragged batch": {"ours, nothing on padding": ragged.pop("ours"), **ragged, **padded}},
        "full": {
            "all but the conv extractor": full(),
            f"all but the conv extractor, {frozen}": {
                f"ours, {frozen}": Contender("ours", Arm(), keeps=True),
                **{f"{label}, nothing kept": contender for label, contender in others},
            },
        },
        "adapters": {
            f"adapters in all {layers} layers": {"ours": Contender("ours", every), **their_adapters},
            f"adapters in all {layers} layers, {frozen}": {
                f"ours, {frozen}": Contender("ours", every, keeps=True),
                **{f"{label}, nothing kept": contender for label, contender in their_adapters.items()},
            },
        },
        "top": {
            f"adapters in the top {half} layers": {
                f"ours, {frozen}": kept,
                f"{plug_in}, nothing kept": Contender("fairseq", top),
                f"{peft}, nothing kept": Contender("transformers", top_lora),
            },
        },
        "bf16": {"all but the conv extractor, bfloat16": halved},
        "settings": settings(every, layers),
        "lora": {
            f"LoRA in all {layers} layers": {
                "ours": Contender("ours", lora),
                "transformers with peft": Contender("transformers", lora),
            },
        },
        "arms": {
            "our own arms": {
                "ours, full": Contender("ours", Arm()),
                f"ours, adapters in all {layers}": Contender("ours", every),
                f"ours, adapters in the top {half}": Contender("ours", top),
                f"ours, adapters in the top {half}, {frozen}": kept,
                "ours, head alone": Contender("ours", Arm(kind="head")),
            },
        },
    }


def settings(adapters: Arm, layers: int) -> dict[str, Contenders]:
    """Ours against ours without one of the settings that papers' recipes do without."""
    full, ours = Contender("ours", Arm()), Contender("ours", adapters)
    return {
        "all but the conv extractor, settings left out": {
            "ours": full,
            "ours, without oneDNN": replace(full, without="oneDNN"),
            "ours, without fused AdamW": replace(full, without="fusion"),
        },
        f"adapters in all {layers} layers, settings left out": {
            "ours": ours,
            "ours, without oneDNN": replace(ours, without="oneDNN"),
        },
    }


def step_races(part: str, sizes: Sizes, rounds: Rounds) -> list[Race]:
    """The contests of a part, losses equal but for float32's rounding."""
    weights = weights_of(sizes.architecture)
    agree = {"ragged": RAGGED_AGREE, "bf16": HALF_AGREE}.get(part, AGREE)
    return one_race(
        "step", contests(sizes)[part], lambda contender: step(contender, sizes, weights), agree,
        sizes.ragged_s if part == "ragged" else (sizes.utterance_s,) * sizes.utterances, rounds,
    )  # fmt: skip


def one_race(
    kind: str,
    contests: Mapping[str, Mapping[str, AnyContender]],
    make: Callable[[AnyContender], Step],
    agree: float,
    seconds: Sequence[float],
    rounds: Rounds,
) -> list[Race]:
    """One race of everybody in the contests, each of them read off it: who is in two of them runs once a round.

    Args:
        agree: relative; first losses further apart are refused.
        seconds: of each utterance of the batch.
    """
    started = time.perf_counter()
    keep_freed_memory()
    torch.set_num_threads(rounds.threads)
    chosen = {job: found for job, contenders in contests.items() if len(found := present(contenders)) > 1}
    everybody = {c: make(c) for contenders in chosen.values() for c in contenders.values()}
    for one in everybody.values():
        one.first()
    for job, contenders in chosen.items():
        refuse_unequal(job, {label: (c, everybody[c]) for label, c in contenders.items()}, agree)
    if len(everybody) < 2:
        return []
    calls = {str(number): one for number, one in enumerate(everybody.values())}
    timed = race("", calls, replace(rounds, warmup=0))
    by_contender = dict(zip(everybody, timed.timings, strict=True))
    print(f"{', '.join(chosen)}: {time.perf_counter() - started:.0f} s")
    return [
        Race(f"{kind}, {job}, {batch_in_words(seconds)}", tuple(
            replace(by_contender[c], name=f"{label}, {everybody[c].trained / 1e6:.3g} M trained")
            for label, c in contenders.items()
        ), sum(seconds), UNIT, timed.loads)
        for job, contenders in chosen.items()
    ]  # fmt: skip


def batch_in_words(seconds: Sequence[float]) -> str:
    if len(set(seconds)) == 1:
        return f"{len(seconds)} x {seconds[0]:g} s"
    return f"{' + '.join(f'{each:g}' for each in seconds)} s"


def refuse_unequal(job: str, steps: Mapping[str, tuple[AnyContender, Step]], agree: float) -> None:
    """Equal weights must give equal losses, and who trains the same must train as many weights."""
    (label, (mine, one)), *others = steps.items()
    for other, (theirs, two) in others:
        gap = abs(two.first_loss - one.first_loss) / one.first_loss
        assert gap < agree, f"{job}: {label} has a loss of {one.first_loss}, {other} of {two.first_loss}"
        same = theirs.trains == mine.trains and one.trained != two.trained
        assert not same, f"{job}: {label} trains {one.trained} weights, {other} {two.trained}"


# ---- all of it


def peaks(sizes: Sizes, contests: Mapping[str, Contenders], threads: int) -> list[Peak]:
    """Most memory of a fresh process that trains two steps."""
    found: dict[Contender, Peak] = {}
    for job, contenders in contests.items():
        for label, contender in contenders.items():
            if contender not in found and not contender.missing:
                found[contender] = peak_memory(
                    f"{job}: {label}", module="benchmarks.speech_steps", maker="step",
                    arguments=(contender, sizes), threads=threads,
                )  # fmt: skip
    return list(found.values())


def memory(sizes: Sizes, rounds: Rounds) -> list[Peak]:
    """Peaks of who trains everything, and of who trains adapters."""
    jobs = {job: one for part in ("full", "adapters", "top") for job, one in contests(sizes)[part].items()}
    return peaks(sizes, jobs, rounds.threads)


if __name__ == "__main__":
    asked = options("Times training steps of wav2vec 2.0 BASE.", threads=2)
    sizes = Sizes()
    parts: dict[str, Part] = {part: partial(step_races, part, sizes) for part in contests(sizes)}
    publish("speech_steps", asked, {**parts, "memory": partial(memory, sizes)})
