"""Times training steps of wav2vec 2.0 BASE against other libraries: `python -m benchmarks.speech_steps`.

In float32, on equal batches, with equal weights, CTC loss and AdamW step, without dropout and masking. The first round
is not timed: there every contender's loss must be ours, and as many weights must get a gradient where the same is
trained. LoRA takes the rank at which it has as many weights as the adapters. Only ours keeps what frozen layers make:
the others offer no way to start a step in the middle, so there they compute it, without a graph.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.harness import Peak, Race, Timing, options, peak_memory, publish, race
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
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.ctc.loss import ctc_loss_per_item
from speech_adapters.model.adapters import WAVEFORM, frozen_depth
from speech_adapters.model.arm import Arm, usual_bottleneck
from speech_adapters.model.wav2vec2 import pad

CHARACTERS_A_SECOND = 12
AGREE = 1e-3  # relative: losses of equal weights differ by float32's rounding
LR = 1e-5  # so small that the loss stays finite for ever


# ---- steps


class Step:
    """Forward, CTC, backward and AdamW on one batch of noise, again and again."""

    def __init__(self, module: nn.Module, loss: Callable[[], Tensor]):
        self.module, self.loss = module, loss
        self.optimizer = torch.optim.AdamW((w for w in module.parameters() if w.requires_grad), lr=LR)
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


def step(contender: Contender, sizes: Sizes, weights: StoredModel | None = None) -> Step:
    """A contender's step; without weights everybody has random ones, and kept features are noise."""
    generator = torch.Generator().manual_seed(0)
    waveform = noise(sizes.utterances, sizes.utterance_s, generator)
    num_labels = torch.full((sizes.utterances,), int(CHARACTERS_A_SECOND * sizes.utterance_s))
    shape = (sizes.utterances, int(num_labels[0]))
    labels = torch.randint(1, len(VOCABULARY), shape, generator=generator)
    if contender.who == "ours":
        return _our_step(contender, sizes, waveform, labels, num_labels, made_up=weights is None)
    net = peer(contender, sizes.architecture, weights)

    def loss() -> Tensor:
        log_probs = net.logits(waveform, None).log_softmax(2)
        frames = torch.full_like(num_labels, log_probs.shape[1])
        return F.ctc_loss(log_probs.transpose(0, 1), labels, frames, num_labels, reduction="sum")

    return Step(net.module, loss)


def _our_step(
    contender: Contender, sizes: Sizes, waveform: Tensor, labels: Tensor, num_labels: Tensor, made_up: bool
) -> Step:
    model = ours(sizes.architecture, contender.arm).train()
    inputs, depth = waveform, WAVEFORM
    lengths = torch.full_like(num_labels, waveform.shape[1])
    if contender.keeps:
        depth = frozen_depth(model.encoder)
        if made_up:  # the frozen layers never run, as when training finds its features on disk
            frames = sizes.architecture.num_frames(waveform.shape[1])
            inputs = torch.randn(len(waveform), frames, sizes.architecture.width)
            lengths = torch.full_like(num_labels, frames)
        else:
            inputs, lengths = pad([model.frozen_activations(row, depth) for row in waveform])

    def loss() -> Tensor:
        log_probs, num_frames = model(inputs, lengths, depth)
        return ctc_loss_per_item(log_probs, num_frames, labels, num_labels).sum()

    return Step(model, loss)


# ---- what competes with what


def partial_steps(sizes: Sizes) -> dict[str, Contenders]:
    """Races between contenders that train little, and one of our own arms."""
    layers, bottleneck = sizes.architecture.layers, usual_bottleneck(sizes.architecture)
    half = layers // 2
    every = Arm(kind="adapters", bottleneck=bottleneck)
    # Norms below the adapters are left alone: with them trained nothing there would be frozen.
    top = replace(every, layers=half, norms="adapted")
    lora, top_lora = replace(every, kind="lora"), replace(every, kind="lora", layers=half)
    kept = Contender("ours", top, keeps=True)
    plug_in, peft = "fairseq with our plug-in", "transformers with peft, LoRA of as many weights"
    return {
        f"adapters in all {layers} layers": {
            "ours": Contender("ours", every),
            plug_in: Contender("fairseq", every),
            peft: Contender("transformers", lora),
        },
        f"LoRA in all {layers} layers": {
            "ours": Contender("ours", lora),
            "transformers with peft": Contender("transformers", lora),
        },
        f"adapters in the top {half} layers": {
            "ours, frozen features kept": kept,
            f"{plug_in}, nothing kept": Contender("fairseq", top),
            f"{peft}, nothing kept": Contender("transformers", top_lora),
        },
        "our own arms": {
            "ours, full": Contender("ours", Arm()),
            f"ours, adapters in all {layers}": Contender("ours", every),
            f"ours, adapters in the top {half}": Contender("ours", top),
            f"ours, adapters in the top {half}, frozen features kept": kept,
            "ours, head alone": Contender("ours", Arm(kind="head")),
        },
    }


def step_races(contests: Mapping[str, Contenders], sizes: Sizes, repeats: int, threads: int) -> list[Race]:
    """The contests, losses equal but for float32's rounding."""
    weights = weights_of(sizes.architecture)
    return one_race(
        "step", contests, lambda contender: step(contender, sizes, weights), AGREE,
        (sizes.utterances, sizes.utterance_s), repeats, threads,
    )  # fmt: skip


def one_race(
    kind: str,
    contests: Mapping[str, Mapping[str, AnyContender]],
    make: Callable[[AnyContender], Step],
    agree: float,
    batch: tuple[int, float],
    repeats: int,
    threads: int,
) -> list[Race]:
    """One race of everybody in the contests, each of them read off it: who is in two of them runs once a round.

    Args:
        agree: relative; first losses further apart are refused.
        batch: utterances, and seconds of each.
    """
    started = time.perf_counter()
    torch.set_num_threads(threads)
    chosen = {job: found for job, contenders in contests.items() if len(found := present(contenders)) > 1}
    everybody = {c: make(c) for contenders in chosen.values() for c in contenders.values()}
    for one in everybody.values():
        one.first()
    for job, contenders in chosen.items():
        refuse_unequal(job, {label: (c, everybody[c]) for label, c in contenders.items()}, agree)
    calls = {str(number): one for number, one in enumerate(everybody.values())}
    timings = race("", calls, repeats=repeats, warmup=0, threads=threads).timings
    seconds = {contender: timing.seconds for contender, timing in zip(everybody, timings, strict=True)}
    print(f"{', '.join(chosen)}: {time.perf_counter() - started:.0f} s")
    utterances, utterance_s = batch
    return [
        Race(f"{kind}, {job}, {utterances} x {utterance_s:g} s", tuple(
            Timing(f"{label}, {everybody[c].trained / 1e6:.3g} M trained", seconds[c])
            for label, c in contenders.items()
        ), utterances * utterance_s, UNIT)
        for job, contenders in chosen.items()
    ]  # fmt: skip


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


def races(sizes: Sizes, repeats: int, threads: int) -> list[Race]:
    whole = step_races({"all but the conv extractor": full()}, sizes, repeats, threads)
    return [*whole, *step_races(partial_steps(sizes), sizes, repeats, threads)]


if __name__ == "__main__":
    chosen = options("Times training steps of wav2vec 2.0 BASE.", repeats=7, threads=2)
    sizes = Sizes()
    finished = races(sizes, chosen.repeats, chosen.threads)
    contests = {
        "full": full(),
        **{job: one for job, one in partial_steps(sizes).items() if "adapters" in job},
    }
    publish(
        "speech_steps", finished, threads=chosen.threads, folder=chosen.folder,
        peaks=peaks(sizes, contests, chosen.threads),
    )  # fmt: skip
