"""What came out of judging a claim, and the corrections for having judged many."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from common.results import jsonable

Word = Literal[
    "upheld", "refuted", "not seen here", "undecided", "seen once", "not testable at this scale", "not run"
]
RULINGS = ("upheld", "refuted", "not seen here")
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the evidence of one scale says about a claim; nan where a number does not apply.

    `point`, `low` and `high` are in the claim's unit. For "best of" they are the lead over the best rival
    with the 5th and 95th percentile of the draws, because the rule is one-sided. For "exact", the share of
    seeds that pass.
    """

    claim: str
    scale: str
    word: Word
    point: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan  # the smallest level at which the interval rules; not corrected
    adjusted_p: float = math.nan  # after correction for many claims; equals p for the headline
    between_seed_variance: float = math.nan  # of one seed's margin; the interval uses it / num_seeds
    group_variance: float = math.nan  # of the margin, over groups
    shared_variance: float = math.nan  # that both hold and that is counted once
    df: float = math.nan
    num_seeds: int = 0
    num_groups: int = 0
    num_cells: int = 0  # pairs of a seed and a group that it was tested on
    per_seed: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""

    def json(self) -> dict[str, Any]:
        """Strict JSON: non-finite numbers are words."""
        encoded: dict[str, Any] = jsonable(asdict(self))
        return encoded

    def because(self, reason: str, **changes: Any) -> Verdict:
        """The same with changes, and a reason before those it has."""
        return replace(self, reason="; ".join(filter(None, (reason, self.reason))), **changes)

    def undecided(self, why: str) -> Verdict:
        """No ruling. p = 1 keeps it among the judged, so that the others are corrected for it too."""
        return self.because(why, word="undecided", p=1.0)


def holm(verdicts: Sequence[Verdict], family: Collection[str]) -> list[Verdict]:
    """Corrects the judged claims of a family, by id, so that the chance of any false ruling among them is 5 %."""
    ranked = _ranked(verdicts, family)
    adjusted: dict[int, float] = {}
    highest = 0.0
    for rank, place in enumerate(ranked):
        highest = max(highest, min(1.0, (len(ranked) - rank) * verdicts[place].p))
        adjusted[place] = highest
    return _corrected(verdicts, adjusted, f"Holm over {len(ranked)} claims")


def benjamini_hochberg(verdicts: Sequence[Verdict], family: Collection[str]) -> list[Verdict]:
    """Corrects the judged claims of a family, by id, so that of its rulings 5 % are expected to be false."""
    ranked = _ranked(verdicts, family)
    adjusted: dict[int, float] = {}
    lowest = 1.0
    for rank, place in reversed(list(enumerate(ranked, 1))):
        lowest = min(lowest, verdicts[place].p * len(ranked) / rank)
        adjusted[place] = lowest
    return _corrected(verdicts, adjusted, f"Benjamini-Hochberg over {len(ranked)} questions")


def _ranked(verdicts: Sequence[Verdict], family: Collection[str]) -> list[int]:
    """Places of the judged claims of the family, the smallest p first."""
    judged = [place for place, v in enumerate(verdicts) if v.claim in family and not math.isnan(v.p)]
    return sorted(judged, key=lambda place: verdicts[place].p)


def _corrected(verdicts: Sequence[Verdict], adjusted: Mapping[int, float], by: str) -> list[Verdict]:
    """With adjusted p; a claim that no longer rules is undecided and says what it was alone."""
    corrected = list(verdicts)
    for place, p in adjusted.items():
        verdict = replace(verdicts[place], adjusted_p=p)
        if verdict.word in RULINGS and p > LEVEL:
            alone = f"{verdict.word} alone (p = {verdict.p:.3g})"
            verdict = verdict.because(f"{alone}, undecided after {by}", word="undecided")
        corrected[place] = verdict
    return corrected
