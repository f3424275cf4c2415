"""Times fine scores of all pairs against coarse ones: `python -m benchmarks.pair_similarity`.

98 positions a clip (what S3D leaves of 16 frames of 224x224) and 20 words a caption, each a unit; symmetric NCE,
float32. "Alone" is scores, loss and the way back to the units; "step" adds both encoders and AdamW. The ratio in the
table is fine / coarse. All products at once, fused and in chunks must give one loss. On a GPU the encoders run in
bfloat16, and S3D takes the place of the small network.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.harness import Peak, Race, Rounds, peak_memory, race
from benchmarks.records import Parts, options, publish
from multimodal_ssl.model.losses import pair_weights, symmetric_nce
from multimodal_ssl.model.networks import GPU, MINI, Network, Phrases, SharedSpace
from multimodal_ssl.model.pairs import score_pairs
from multimodal_ssl.model.similarities import LogMeanExp, Mean, Similarity, SoftAttention
from multimodal_ssl.model.towers import Towers
from multimodal_ssl.model.units import Units

POSITIONS, WORDS, WIDTH, TAU, G, H, CAP = 98, 20, 128, 0.05, 0.05, 0.1, 4.0
VOCABULARY = 200


@dataclass(frozen=True)
class Contender:
    """A way to score pairs."""

    similarity: Similarity
    chunk: int | None = None
    weighted: bool = False

    def loss(self, video: Units, text: Units) -> Tensor:
        similarity = self.similarity.build(video.vectors.shape[2])
        scores = score_pairs(video, text, similarity, self.chunk)
        weights = pair_weights(scores.diagonal(), H, CAP) if self.weighted else None
        return symmetric_nce(scores, TAU, weights)


@dataclass(frozen=True)
class Sizes:
    """What a whole step is made of."""

    name: str
    network: Network
    clip: tuple[int, int, int]  # frames, height, width
    words: int
    device: str = "cpu"


ONE_WORD_UNITS = Phrases(phrase_words=(1,))
SMALL = Sizes("small network", replace(MINI, text=ONE_WORD_UNITS), (8, 56, 56), WORDS)
AS_MINI = Sizes("mini's clips and phrases of 6 words", MINI, (4, 64, 64), 6)
S3D = Sizes(
    "S3D", replace(GPU, audio=None, text=ONE_WORD_UNITS, heads=SharedSpace(width=256)), (16, 224, 224), WORDS,
    device="cuda",
)  # fmt: skip


def contenders(chunk: int) -> dict[str, Contender]:
    at_a_time = f"{chunk} clips at a time"
    return {
        "coarse, means": Contender(Mean()),
        "fine, all at once": Contender(LogMeanExp(G)),
        "fine, fused": Contender(LogMeanExp(G, fused=True)),
        f"fine, {at_a_time}": Contender(LogMeanExp(G), chunk),
        f"fine, attention and pair weights, {at_a_time}": Contender(SoftAttention(G), chunk, True),
    }


def alone(contender: Contender, batch: int, device: str = "cpu") -> Callable[[], float]:
    """Scores, loss and gradients of units that are given; returns the loss."""
    generator = torch.Generator().manual_seed(0)
    video, text = (
        F.normalize(torch.randn(batch, places, WIDTH, generator=generator), dim=2).to(device).requires_grad_()
        for places in (POSITIONS, WORDS)
    )

    def call() -> float:
        units = (Units(v, torch.ones(v.shape[:2], dtype=torch.bool, device=device)) for v in (video, text))
        loss = contender.loss(*units)
        torch.autograd.grad(loss, (video, text))
        return loss.item()

    return call


def step(contender: Contender, sizes: Sizes, batch: int) -> Callable[[], float]:
    """A training step on one batch of noise, again and again; returns the loss before it."""
    torch.manual_seed(0)
    model = Towers(sizes.network, torch.randn(VOCABULARY, 50)).to(sizes.device)
    optimizer = torch.optim.AdamW((w for w in model.parameters() if w.requires_grad), lr=1e-5)
    frames, height, width = sizes.clip
    # Laid out as the encoders take it without a copy.
    clips = torch.rand(batch, frames, height, width, 3, device=sizes.device).permute(0, 1, 4, 2, 3)
    words = torch.randint(1, VOCABULARY, (batch, sizes.words), device=sizes.device)

    def call() -> float:
        with torch.autocast("cuda", torch.bfloat16, enabled=sizes.device == "cuda"):
            units = model(video=clips, text=words)
        video, text = (Units(units[side].vectors.float(), units[side].valid) for side in ("video", "text"))
        loss = contender.loss(video, text)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return call


def race_of(job: str, calls: dict[str, Callable[[], float]], batch: int, rounds: Rounds) -> Race:
    """The race, once it is sure that chunks change nothing."""
    torch.set_num_threads(rounds.threads)
    _, whole, *others, _ = (call() for call in calls.values())
    for other in others:
        assert abs(whole - other) < 1e-3, f"{job}: {whole} all at once, {other} fused or in chunks"
    return race(job, calls, rounds, work=batch, unit="clips")


def alone_races(batches: Iterable[int], device: str, chunk: int, rounds: Rounds) -> list[Race]:
    """Scores of given units, at each batch."""
    finished = []
    for batch in batches:
        calls = {name: alone(one, batch, device) for name, one in contenders(chunk).items()}
        finished.append(race_of(f"alone, batch {batch}", calls, batch, rounds))
    return finished


def step_races(steps: Iterable[tuple[Sizes, int]], chunk: int, rounds: Rounds) -> list[Race]:
    """Whole steps, each kind at its batch."""
    finished = []
    for sizes, batch in steps:
        calls = {name: step(one, sizes, batch) for name, one in contenders(chunk).items()}
        finished.append(race_of(f"step, {sizes.name}, batch {batch}", calls, batch, rounds))
    return finished


def peaks(batches: tuple[int, ...], device: str, chunk: int, threads: int, most_at_once: int) -> list[Peak]:
    """Most memory of a fresh process that scores twice; all at once only up to a batch, or it would swap."""
    return [
        peak_memory(
            f"alone, batch {batch}: {name}", module="benchmarks.pair_similarity", maker="alone",
            arguments=(one, batch, device), threads=threads,
        )
        for name, one in list(contenders(chunk).items())[:4]
        for batch in batches
        if one.chunk or isinstance(one.similarity, Mean) or batch <= most_at_once
    ]  # fmt: skip


def parts(device: str) -> Parts:
    if device == "cuda":
        chunk, most_at_once = 32, 512
        batches, steps, larger = [64, 128, 256, 512], [(S3D, 64)], [(S3D, 256)]
    else:
        chunk, most_at_once = 8, 256
        batches, steps, larger = [48, 128], [(AS_MINI, 48), (SMALL, 48)], [(SMALL, 128)]
    return {
        "steps": partial(step_races, steps, chunk),
        "alone": partial(alone_races, batches, device, chunk),
        "larger": partial(step_races, larger, chunk),
        "memory": lambda rounds: peaks((64, 128, 256, 512), device, chunk, rounds.threads, most_at_once),
    }


if __name__ == "__main__":
    asked = options("Times fine scores of all pairs against coarse ones.", threads=2)
    publish("pair_similarity", asked, parts("cuda" if torch.cuda.is_available() else "cpu"))
