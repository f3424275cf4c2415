"""A ranking of methods by pairwise votes: Bradley and Terry's model, with intervals from drawing scenes again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from video_sr.study.pairs import Vote

DRAWS, SEED, LEVEL = 1000, 0, 0.95
PRIOR = 0.5  # wins each way that every two methods begin with, so that who always wins has a finite strength
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
    """Methods from the most to the least liked; intervals of 95 % over scenes, the percentiles of 1000 draws.

    With one scene there is nothing to draw, and intervals are NaN.

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
    low = high = np.full(len(methods), np.nan)
    if len(scenes) > 1:
        rng = np.random.default_rng(SEED)
        counts = rng.multinomial(len(scenes), np.full(len(scenes), 1 / len(scenes)), DRAWS)
        drawn = bradley_terry(np.einsum("ds,sij->dij", counts.astype(float), wins))
        low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    rows = [
        Ranked(
            method, float(strengths[n]), float(low[n]), float(high[n]), float(whole[n].sum()),
            round(float(whole[n].sum() + whole[:, n].sum())),
        )
        for n, method in enumerate(methods)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -row.strength)


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
        f"{row.method:24} {row.strength:+6.2f} [{row.low:+.2f}, {row.high:+.2f}]  "
        f"{row.won:g} of {row.num_votes} votes"
        for row in ranking(votes)
    ]
    return "\n".join(
        [
            *rows,
            "",
            f"strength in nats [95 % over scenes]: odds to be chosen are exp(difference); {len(votes)} votes",
        ]
    )
