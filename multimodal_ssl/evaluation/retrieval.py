"""Retrieval as its protocols score it: windows of a clip, how they are pooled, ranks, and what is made of ranks.

No torch here: tables are recomputed from ranks on machines that have none. Directions are symmetric; "query" and
"clip" stand for text and video, or the other way round with the scores transposed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

POOLINGS = ("mean of vectors", "mean of scores", "max of scores")
SCORES = ("dot product", "cosine")


@dataclass(frozen=True)
class Protocol:
    """How a clip is cut, and how its windows become one score; printed with every score.

    Attributes:
        num_windows: evenly spaced, the first at the clip's start.
        pooling: one of `POOLINGS`.
        score: one of `SCORES`, of pooled vectors; a fine similarity brings scores of its own to `pool_windows`.
        margin_s: the last window ends so long before the clip does.
    """

    name: str
    num_windows: int
    pooling: str
    score: str
    num_frames: int
    rate_hz: float
    max_words: int
    margin_s: float = 0.0

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {self.pooling!r}")
        if self.score not in SCORES:
            raise ValueError(f"score must be one of {', '.join(SCORES)}, got {self.score!r}")

    @property
    def window_s(self) -> float:
        return self.num_frames / self.rate_hz

    def starts_s(self, start_s: float, stop_s: float) -> Float[ndarray, " window"]:
        """Where the windows of a clip start, in seconds of its file."""
        return even_starts(start_s, stop_s, self.window_s + self.margin_s, self.num_windows)

    def __str__(self) -> str:
        windows = f"{self.num_windows} windows of {self.num_frames} frames at {self.rate_hz:g} Hz"
        return f"{self.name}: {windows}, {self.pooling}, {self.score}, {self.max_words} words"


# [Miech20, public GPU code: youcook_loader.py, msrvtt_loader.py, eval_youcook.py]. Ten windows and 16 frames at 5 Hz
# are what its documented commands pass; the 0.4 s stand in the loaders.
MIL_NCE = Protocol("MIL-NCE", 10, "mean of vectors", "dot product", 16, 5.0, max_words=30, margin_s=0.4)
# [Akbari21, public code: evaluators.py] scores both ways. Frames as in training, 32 at 10 Hz (recalled, not read).
VATT = Protocol("VATT", 4, "mean of vectors", "cosine", 32, 10.0, max_words=16)
VATT_SCORES = Protocol("VATT, scores", 4, "mean of scores", "cosine", 32, 10.0, max_words=16)


def even_starts(start: float, stop: float, window: float, num: int) -> Float[ndarray, " window"]:
    """`num` starts from `start` to `stop - window`, evenly spaced; all equal where nothing longer than a window is.

    Any unit. Published code counts frames and drops the fraction: `even_starts(...).astype(int)`.
    """
    if num < 1:
        raise ValueError(f"num must be at least 1, got {num}")
    if not (stop > start and window > 0):
        raise ValueError(f"needs start < stop and window > 0, got {start:g}, {stop:g} and {window:g}")
    return np.linspace(start, max(start, stop - window), num)


# ---- scores


def score(
    queries: Float[ndarray, "query width"], clips: Float[ndarray, "clip window width"], protocol: Protocol
) -> Float[ndarray, "query clip"]:
    """Scores of pooled vectors as `protocol` says; the mean of vectors is taken before they are brought to length 1.

    Of dot products, the mean over windows and that of the mean vector are the same number; of cosines they are not.
    """
    if clips.shape[1] != protocol.num_windows:
        raise ValueError(f"{protocol.name} takes {protocol.num_windows} windows a clip, got {clips.shape[1]}")
    if protocol.pooling == "mean of vectors":
        clips = clips.mean(axis=1, keepdims=True)
    if protocol.score == "cosine":
        queries, clips = _unit(queries), _unit(clips)
    scores = np.einsum("qd,cwd->qcw", queries, clips)
    return scores[..., 0] if protocol.pooling == "mean of vectors" else pool_windows(scores, protocol.pooling)


def pool_windows(scores: Float[ndarray, "query clip window"], pooling: str) -> Float[ndarray, "query clip"]:
    """One score a clip from those of its windows: "mean of scores" or "max of scores"."""
    if pooling == "mean of scores":
        pooled: ndarray = scores.mean(axis=2)
    elif pooling == "max of scores":
        pooled = scores.max(axis=2)
    else:
        raise ValueError(f"scores of windows are pooled by their mean or max, got {pooling!r}; see POOLINGS")
    return pooled


def _unit(vectors: Float[ndarray, "*item width"]) -> Float[ndarray, "*item width"]:
    unit: ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return unit


# ---- ranks


def ranks(
    scores: Float[ndarray, "query clip"], right: Sequence[Set[int]], missed: Collection[int] = ()
) -> Int[ndarray, " query"]:
    """The place of each query's best right clip, from 1; where scores tie, every wrong clip goes first.

    rank = 1 + number of wrong clips whose score is at least that of the best right clip. So a collapsed model, whose
    scores are all equal, ranks last. Another right clip never stands in the way.

    Args:
        right: the clips that answer each query, at least one.
        missed: clips that the model cannot score, as the 32 of MSR-VTT's 1,000 without sound for a model of sound
            [AVLnet]. They leave the gallery, and a query with no other right clip ranks behind all: clips + 1.

    Raises:
        ValueError: a query without right clips, one that names a clip that is not there, a missed clip that is not
            there, or a score that is no number.
    """
    if len(right) != len(scores):
        raise ValueError(f"every query needs its right clips: {len(scores)} queries, {len(right)} sets")
    num_clips = scores.shape[1]
    wanted = np.zeros(scores.shape, dtype=bool)
    for query, clips in enumerate(right):
        if not clips or not clips <= set(range(num_clips)):
            raise ValueError(f"query {query} needs right clips in 0..{num_clips - 1}, got {sorted(clips)}")
        wanted[query, list(clips)] = True
    if not set(missed) <= set(range(num_clips)):
        raise ValueError(f"missed clips must be in 0..{num_clips - 1}, got {sorted(missed)}")
    kept = np.ones(num_clips, dtype=bool)
    kept[list(missed)] = False
    if np.isnan(scores[:, kept]).any():
        query, clip = np.argwhere(np.isnan(scores) & kept)[0]
        raise ValueError(f"scores must be numbers, got NaN for query {query} and clip {clip}")
    scores, wanted = scores[:, kept], wanted[:, kept]
    best = np.where(wanted, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    found = 1 + ((scores >= best) & ~wanted).sum(axis=1)
    return np.where(wanted.any(axis=1), found, num_clips + 1)


def recall_at(ranks: Int[ndarray, " query"], k: int) -> float:
    """Per cent of queries, 0 to 100, whose rank is at most k."""
    _check_some(ranks)
    return float(100 * np.count_nonzero(ranks <= k) / len(ranks))


def median_rank(ranks: Int[ndarray, " query"]) -> float:
    """The middle rank, from 1; of an even number of queries the mean of the two in the middle."""
    _check_some(ranks)
    return float(np.median(ranks))


def summary(ranks: Int[ndarray, " query"], num_clips: int, protocol: Protocol | str) -> str:
    """One line that cannot be quoted without its protocol, its queries and its gallery.

    The number of queries is part of it: published code that finds ranks by equal scores counts ties several times.
    """
    recalls = " / ".join(f"{recall_at(ranks, k):.1f}" for k in (1, 5, 10))
    of = f"{len(ranks)} queries, {num_clips} clips"
    return f"R@1/5/10 {recalls} %, median rank {median_rank(ranks):g} ({of}; {protocol})"


def _check_some(ranks: Int[ndarray, " query"]) -> None:
    if not len(ranks):
        raise ValueError("a score needs queries, got 0 ranks")
