"""Which training clips get the caption of another clip, so that for every pair it is known whether it is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from multimodal_ssl.composed.plan import FILM_CLIPS, Scene, fits, generator


@dataclass(frozen=True, kw_only=True)
class WrongCaptions:
    """How many training clips are told with the caption of another one, and of which.

    Args:
        rate: share of clips, in 0..1.
        near: the nearest clip of the same film, as speech drifts against the picture; else any other clip.
    """

    rate: float = 0.0
    near: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be in 0..1, got {self.rate}")


def given_captions(
    scenes: Sequence[Scene], seed: int, wrong: WrongCaptions
) -> tuple[Int64[ndarray, " clip"], Bool[ndarray, " clip"]]:
    """Whose caption every training clip gets, and for which clips that is wrong.

    The clips that are wrong at a lower rate are so at a higher one, with the same captions. A caption that happens to
    be true of the clip, of a thing in its background too, is never given to it as a wrong one.

    Raises:
        ValueError: a film holds no caption that is wrong of one of its clips.
    """
    source, is_wrong = np.arange(len(scenes)), np.zeros(len(scenes), bool)
    order = generator("wrong", seed).permutation(len(scenes))
    for i in map(int, order[: round(wrong.rate * len(scenes))]):
        candidates = _nearest(scenes, i) if wrong.near else _others(scenes, i, seed)
        found = next((j for j in candidates if not fits(scenes[j], scenes[i])), None)
        if found is None:
            raise ValueError(
                f"no caption of film {scenes[i].film} is wrong of {scenes[i].id}; fill films by more views"
            )
        source[i], is_wrong[i] = found, True
    return source, is_wrong


def _others(scenes: Sequence[Scene], i: int, seed: int) -> Iterator[int]:
    rng = generator("wrong", seed, scenes[i].id)
    while True:
        yield int(rng.integers(len(scenes)))


def _nearest(scenes: Sequence[Scene], i: int) -> Iterator[int]:
    """Clips of the same film, the nearest first, of two as near the later."""
    for away in range(1, FILM_CLIPS):
        for j in (i + away, i - away):
            if 0 <= j < len(scenes) and scenes[j].film == scenes[i].film:
                yield j
