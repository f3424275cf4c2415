"""A ranking of methods by pairwise votes: Bradley and Terry's model, with intervals by the jackknife over scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import stdtrit

from video_sr.study.pairs import Vote

LEVEL = 0.95
LEAST_SCENES = 8  # for an interval; of fewer it would not hold what it says
PRIOR = 0.5  # wins each way that every two methods begin with, so that who always wins has a finite strength
ROUNDING = 1e-9  # of a strength
ROUNDS = 200  # of the fit, each nearer; strengths then change by less than 1e-6


@dataclass(frozen=True)
class Ranked:
    """A method's strength in nats, 0 the mean: it is chosen over another with odds exp(difference)."""

    method: str
    strength: float
    low: float
    high: float
    won: float  # of its votes; "same" counts half
    num_votes: int


def ranking(votes: Sequence[Vote]) -> list[Ranked]:
    """Methods from the most to the least liked; intervals of 95 % over scenes, NaN of fewer than eight.

    Raises:
        ValueError: no votes.
    """
    if not votes:
        raise ValueError("there are no votes to rank by")
    methods = sorted({name for vote in votes for name in (vote.left, vote.right)})
    scenes = sorted({vote.scene for vote in votes})
    wins = np.zeros((len(scenes), len(methods), len(methods)))  # scene, winner, loser
    for vote in votes:
        scene, left, right = (
            scenes.index(vote.scene),
            methods.index(vote.left),
            methods.index(vote.right),
        )
        share = {"left": 1.0, "right": 0.0, "same": 0.5}[vote.chosen]
        wins[scene, left, right] += share
        wins[scene, right, left] += 1 - share
    whole = wins.sum(0)
    strengths = bradley_terry(whole)
    reach = half_widths(wins) if len(scenes) >= LEAST_SCENES else np.full(len(methods), np.nan)
    low, high = strengths - reach, strengths + reach
    rows = [
        Ranked(
            method, float(strengths[n]), float(low[n]), float(high[n]), float(whole[n].sum()),
            round(float(whole[n].sum() + whole[:, n].sum())),
        )
        for n, method in enumerate(methods)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -row.strength)


def half_widths(
    wins: Float[ndarray, "*draw scene winner loser"],
) -> Float[ndarray, "*draw winner"]:
    """How far intervals reach: the jackknife over scenes, with Student's t; NaN where no scene makes a difference."""
    size = wins.shape[-3]
    without = bradley_terry(wins.sum(-3, keepdims=True) - wins)
    spread = np.sqrt((size - 1) * without.var(-2))
    reach: ndarray = stdtrit(size - 1, (1 + LEVEL) / 2) * np.where(spread > ROUNDING, spread, np.nan)
    return reach


def bradley_terry(
    wins: Float[ndarray, "*draw winner loser"],
) -> Float[ndarray, "*draw winner"]:
    """Strengths in nats with mean 0, of greatest likelihood after `PRIOR` wins each way  [Hunter04, MM]."""
    size = wins.shape[-1]
    wins = wins + PRIOR * (1 - np.eye(size))
    met = wins + np.swapaxes(wins, -1, -2)
    worth = np.ones(wins.shape[:-1])
    for _ in range(ROUNDS):
        worth = wins.sum(-1) / (met / (worth[..., :, None] + worth[..., None, :])).sum(-1)
        worth = worth / np.exp(np.log(worth).mean(-1, keepdims=True))
    strengths: ndarray = np.log(worth)
    return strengths


def table(votes: Sequence[Vote]) -> str:
    """A line a method, the most liked first."""
    rows = [
        f"{row.method:24} {row.strength:+6.2f} {_interval(row)}  {row.won:g} of {row.num_votes} votes"
        for row in ranking(votes)
    ]
    num_scenes = len({vote.scene for vote in votes})
    few = num_scenes < LEAST_SCENES
    told = f"no interval: {num_scenes} scenes, {LEAST_SCENES} are needed" if few else "95 % over scenes"
    note = f"strength in nats [{told}]: odds to be chosen are exp(difference); {len(votes)} votes"
    return "\n".join([*rows, "", note])


def _interval(row: Ranked) -> str:
    return "[no interval]" if np.isnan(row.low) else f"[{row.low:+.2f}, {row.high:+.2f}]"
