"""What came out of judging a claim, and the correction for having judged many."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from common.results import jsonable

Word = Literal[
    "upheld", "refuted", "not seen here", "undecided", "seen once", "not testable at this scale", "not run"
]
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
    adjusted_p: float = math.nan  # after Holm; equals p for the headline
    between_seed_variance: float = math.nan  # of one seed's margin; the interval uses it / num_seeds
    group_variance: float = math.nan  # of the margin, from the bootstrap over groups
    df: float = math.nan
    num_seeds: int = 0
    num_groups: int = 0
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
        """No ruling. p = 1 keeps it among the judged, so that Holm corrects the others for it too."""
        return self.because(why, word="undecided", p=1.0)


def holm(verdicts: Sequence[Verdict], spared: Collection[str]) -> list[Verdict]:
    """Corrects the judged claims but those spared, by id; one that no longer rules is undecided."""
    judged = [i for i, verdict in enumerate(verdicts) if not math.isnan(verdict.p)]
    family = sorted((i for i in judged if verdicts[i].claim not in spared), key=lambda i: verdicts[i].p)
    corrected = list(verdicts)
    for i in set(judged) - set(family):
        corrected[i] = replace(verdicts[i], adjusted_p=verdicts[i].p)
    adjusted = 0.0
    for rank, i in enumerate(family):
        adjusted = max(adjusted, min(1.0, (len(family) - rank) * verdicts[i].p))
        corrected[i] = replace(verdicts[i], adjusted_p=adjusted)
        if verdicts[i].word in ("upheld", "refuted") and adjusted > LEVEL:
            alone = f"{verdicts[i].word} alone (p = {verdicts[i].p:.3g})"
            why = f"{alone}, undecided after Holm over {len(family)} claims"
            corrected[i] = corrected[i].because(why, word="undecided")
    return corrected
