"""What a claim may say of its margin, each kind with its own rule, and with what tables and figures show of it.

A kind rules on the mean over seeds of a margin. Its variance is that of two-way moments over seeds and test groups
(`common.variance`), the interval Student's t with Satterthwaite's degrees of freedom. `BestOf` counts draws instead,
and `Exact` needs none.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import stdtr, stdtrit

from common.bootstrap import DRAW_SEED, Evidence, Margin
from common.digits import number, signed
from common.sample import Drawn
from common.variance import seeds_alone, two_way
from common.verdicts import LEVEL, Verdict, Word

MIN_SEEDS, MIN_GROUPS = 3, 8
NOTHING = 1e-12  # a spread below this share of the margin is rounding
NO_SPREAD = "no spread between seeds and groups, so nothing says how sure this is"
INFINITE_DRAW = "is not finite in some bootstrap draws"
REPEATS = "repeats within a run are no groups: seeds alone count"


class Kind(ABC):
    """What is said of a margin."""

    @property
    def region(self) -> tuple[float, float] | None:
        """Between which margins the claim is upheld, bounds excluded; None where no number is asked."""
        return None

    @abstractmethod
    def rule(self, evidence: Evidence, verdict: Verdict) -> Verdict:
        """The verdict with its word, its numbers and what they rest on."""

    def told(self, verdict: Verdict, unit: str) -> str:
        """Point, unit and interval, e.g. "+0.42 dB [+0.31, +0.53]"; empty where there is no point."""
        if math.isnan(verdict.point):
            return ""
        interval = "" if math.isnan(verdict.low) else f" [{signed(verdict.low)}, {signed(verdict.high)}]"
        return f"{signed(verdict.point)} {unit}{interval}"

    def bound_words(self, unit: str) -> str:
        """The bound and when it was set; empty where there is none."""
        return ""


class _Measured(Kind):
    """A number of every seed, and a ruling only where there are seeds and groups enough."""

    @property
    def region(self) -> tuple[float, float]:
        return 0.0, math.inf

    def rule(self, evidence: Evidence, verdict: Verdict) -> Verdict:
        per_seed = {seed: self._point(evidence.claim, m) for seed, m in evidence.as_they_stand().items()}
        values = list(per_seed.values())
        verdict = replace(verdict, point=float(np.mean(values)), per_seed=per_seed)
        if not all(map(math.isfinite, values)):
            return verdict.undecided("the margin is not finite")
        if len(values) > 1:
            verdict = replace(verdict, between_seed_variance=float(np.var(values, ddof=1)))
        few_groups = evidence.num_groups < MIN_GROUPS and not evidence.repeats
        if len(values) < MIN_SEEDS or few_groups:
            return verdict.because(
                f"a ruling needs {MIN_SEEDS} seeds and {MIN_GROUPS} groups", word="seen once"
            )
        return self._rule_on_spread(evidence, verdict)

    @abstractmethod
    def _point(self, claim: str, margin: Any) -> float:
        """The number of a seed as it stands."""

    @abstractmethod
    def _rule_on_spread(self, evidence: Evidence, verdict: Verdict) -> Verdict: ...


# ---- by interval


@dataclass(frozen=True)
class Superior(_Measured):
    """The margin is above 0."""

    def _point(self, claim: str, margin: Any) -> float:
        return float(np.asarray(margin, dtype=float).item())

    def _rule_on_spread(self, evidence: Evidence, verdict: Verdict) -> Verdict:
        margins = list(verdict.per_seed.values())
        if evidence.repeats:
            spread = seeds_alone(margins)
            verdict = verdict.because(REPEATS, num_groups=0)
        else:
            without = evidence.without_each_group()
            if not all(np.isfinite(left).all() for left in without.values()):
                return verdict.undecided("the margin is not finite without one of the groups")
            spread = two_way(margins, without, evidence.strata, evidence.cells)
            verdict = replace(verdict, group_variance=spread.groups, shared_variance=spread.once)
        error = math.sqrt(spread.variance)
        if error <= NOTHING * max(1.0, abs(verdict.point)):
            return verdict.undecided(NO_SPREAD)
        return self._by_interval(verdict, error, spread.df)

    def _by_interval(self, verdict: Verdict, error: float, df: float) -> Verdict:
        """Upheld where the interval lies inside the region, refuted where it lies outside, else undecided."""
        low, high = self._interval(verdict.point, error, df, LEVEL)
        floor, ceiling = self.region
        edge = min(abs(verdict.point - floor), abs(verdict.point - ceiling))
        p = float(2 * stdtr(df, -edge / error))
        inside, outside = floor < low and high < ceiling, high < floor or low > ceiling
        word: Word = "upheld" if inside else "refuted" if outside else "undecided"
        return replace(verdict, word=word, low=low, high=high, p=p, df=df)

    def _interval(self, point: float, error: float, df: float, level: float) -> tuple[float, float]:
        half = float(stdtrit(df, 1 - level / 2)) * error
        return point - half, point + half


@dataclass(frozen=True)
class Trend(Superior):
    """The margin, a slope, is above 0."""


@dataclass(frozen=True)
class _Bounded(Superior):
    """The margin lies between bounds that were written down before.

    Args:
        bound: d, above 0, in the claim's unit.
        set_on: date and occasion when d was written down.
    """

    bound: float
    set_on: str

    def __post_init__(self) -> None:
        if not (0 < self.bound < math.inf and self.set_on):
            raise ValueError(f"bound must be above 0 and dated (set_on), got {self.bound}, {self.set_on!r}")

    def bound_words(self, unit: str) -> str:
        return f"d = {number(self.bound)} {unit}, set {self.set_on}"


@dataclass(frozen=True)
class MoreThan(_Bounded):
    """The margin is above d: more than what would count as no difference."""

    @property
    def region(self) -> tuple[float, float]:
        return self.bound, math.inf

    def bound_words(self, unit: str) -> str:
        return f"more than {number(self.bound)} {unit}, set {self.set_on}"


@dataclass(frozen=True)
class NotBelow(_Bounded):
    """The margin is above -d: not worse by more than what would count as no difference (non-inferiority)."""

    @property
    def region(self) -> tuple[float, float]:
        return -self.bound, math.inf

    def bound_words(self, unit: str) -> str:
        return f"not below by {number(self.bound)} {unit}, set {self.set_on}"


@dataclass(frozen=True)
class Equivalent(_Bounded):
    """The margin lies in (-d, d), by two one-sided tests of 5 %: upheld where the interval of 90 % lies inside.

    Refuted, as everything else, where the interval of 95 % lies outside. The interval shown is that of 90 %.
    """

    @property
    def region(self) -> tuple[float, float]:
        return -self.bound, self.bound

    def _by_interval(self, verdict: Verdict, error: float, df: float) -> Verdict:
        ruled = super()._by_interval(verdict, error, df)
        low, high = self._interval(verdict.point, error, df, 2 * LEVEL)
        word: Word = "upheld" if -self.bound < low and high < self.bound else ruled.word
        # One-sided inside, where the nearer bound's test is the one that can fail.
        p = ruled.p / 2 if abs(verdict.point) < self.bound else ruled.p
        return replace(ruled, word=word, low=low, high=high, p=p)

    def told(self, verdict: Verdict, unit: str) -> str:
        text = super().told(verdict, unit)
        return text + " (90 %)" if text.endswith("]") else text


@dataclass(frozen=True)
class _Slightly(_Bounded):
    @property
    def region(self) -> tuple[float, float]:
        return 0.0, self.bound


@dataclass(frozen=True)
class SlightlyBetter(_Slightly):
    """The margin, by how much an arm is better, lies in (0, d)."""


@dataclass(frozen=True)
class SlightlyWorse(_Slightly):
    """The margin, by how much an arm is worse, lies in (0, d)."""


# ---- by counting


@dataclass(frozen=True)
class BestOf(_Measured):
    """The arm is the best of all; the margin gives a score of each, higher is better.

    Seeds and groups are drawn with replacement, and it is counted how often the arm is first. Refuted needs more than
    few wins: one and the same rival beats it in 95 % of the draws. Among many equal arms each wins seldom, and that
    refutes nothing. Ties are won by nobody.
    """

    arm: str

    def _point(self, claim: str, margin: Mapping[str, Drawn]) -> float:
        if self.arm not in margin or len(margin) < 2:
            raise ValueError(
                f"{claim}: a 'best of' margin gives scores of {self.arm} and rivals, got {', '.join(margin)}"
            )
        return float(self._lead(margin).item())

    def _lead(self, scores: Mapping[str, Drawn]) -> Drawn:
        rivals = np.max([score for arm, score in scores.items() if arm != self.arm], axis=0)
        return np.asarray(scores[self.arm] - rivals)

    def _rule_on_spread(self, evidence: Evidence, verdict: Verdict) -> Verdict:
        chosen = _seeds_drawn(evidence)
        margins = evidence.drawn()
        of_seeds: dict[str, Float[ndarray, "draws seeds"]] = {
            arm: np.where(chosen > 0, np.stack([scores[arm] for scores in margins.values()], axis=1), 0)
            for arm in next(iter(margins.values()))
        }
        means = {arm: (chosen * scores).sum(1) / chosen.sum(1) for arm, scores in of_seeds.items()}
        if not all(np.isfinite(mean).all() for mean in means.values()):
            return verdict.undecided(f"a score {INFINITE_DRAW}")
        leads, num_draws = self._lead(means), len(chosen)
        wins = int((leads > 0).sum())
        rival, beaten = self._worst_rival(means)
        p = max(num_draws - max(wins, beaten), 1) / num_draws
        word: Word = "undecided" if p > LEVEL else "upheld" if wins >= beaten else "refuted"
        if np.ptp(leads) <= NOTHING * max(1.0, abs(verdict.point)):
            return verdict.undecided(NO_SPREAD)
        low, high = np.quantile(leads, [LEVEL, 1 - LEVEL]).tolist()
        counts = f"first in {wins} of {num_draws} draws; beaten most often by {rival}, in {beaten}"
        return verdict.because(counts, word=word, low=low, high=high, p=p)

    def _worst_rival(self, means: Mapping[str, Drawn]) -> tuple[str, int]:
        """Who beats the arm in most draws, of equals the one that does so first; "none" where nobody does."""
        ahead = {arm: score > means[self.arm] for arm, score in means.items()}
        first = [arm for arm in sorted(ahead, key=lambda arm: int(np.argmax(ahead[arm]))) if ahead[arm].any()]
        rival = max(first, key=lambda arm: int(ahead[arm].sum()), default="none")
        return rival, int(ahead[rival].sum()) if first else 0


def _seeds_drawn(evidence: Evidence) -> Int[ndarray, "draws seeds"]:
    """How often each draw holds each seed: as many as are present in it, drawn with replacement."""
    generator, present = np.random.default_rng(DRAW_SEED + 1), evidence.present
    return np.stack(
        [
            np.bincount(generator.choice(seeds, size=len(seeds)), minlength=present.shape[1])
            for seeds in map(np.flatnonzero, present)
        ]
    )


@dataclass(frozen=True)
class AboveFloor(Kind):
    """Another kind's ruling, but none where no arm is above a floor: a comparison of two that fail says nothing.

    Args:
        kind: that rules.
        above: margin of the better arm over the floor, as a positive number; not a number where no floor was scored.
        floor: what it is, in words.
    """

    kind: Kind
    above: Margin
    floor: str

    @property
    def region(self) -> tuple[float, float] | None:
        return self.kind.region

    def rule(self, evidence: Evidence, verdict: Verdict) -> Verdict:
        ruled = self.kind.rule(evidence, verdict)
        above = np.mean(
            [np.asarray(one).item() for one in evidence.asked(self.above).as_they_stand().values()]
        )
        if above > 0 or math.isnan(above):
            return ruled
        return ruled.undecided(f"no arm is better than {self.floor} (the best by {signed(float(above))})")

    def told(self, verdict: Verdict, unit: str) -> str:
        return self.kind.told(verdict, unit)

    def bound_words(self, unit: str) -> str:
        floor = f"ruled on where an arm is better than {self.floor}"
        return "; ".join(filter(None, (self.kind.bound_words(unit), floor)))


# ---- without draws


@dataclass(frozen=True)
class Exact(Kind):
    """True of every seed; what holds by construction belongs here."""

    def rule(self, evidence: Evidence, verdict: Verdict) -> Verdict:
        margins = {seed: np.asarray(margin).item() for seed, margin in evidence.as_they_stand().items()}
        if any(math.isnan(margin) for margin in margins.values()):
            return replace(verdict, word="undecided", reason="the margin is not a number")
        if not all(margin in (0, 1) for margin in margins.values()):
            raise ValueError(f"{evidence.claim}: an exact margin is True or False, got {margins}")
        per_seed = {seed: float(margin) for seed, margin in margins.items()}
        point = float(np.mean(list(per_seed.values())))
        return replace(verdict, word="upheld" if point == 1 else "refuted", point=point, per_seed=per_seed)

    def told(self, verdict: Verdict, unit: str) -> str:
        if math.isnan(verdict.point):
            return ""
        return f"true in {round(verdict.point * verdict.num_seeds)} of {verdict.num_seeds}"
