"""Claims as data, and the one rule that turns raw per-item scores into verdicts; no torch is needed.

The margin is the mean over seeds of a paired difference; its variance is the variance between seeds divided
by the number of seeds, plus that of a cluster bootstrap over test groups; the interval is Student's t with
Welch-Satterthwaite degrees of freedom. When in doubt there is no ruling:

- fewer than 3 seeds or 8 groups: "seen once", the point without an interval;
- no spread at all between seeds and groups, or a margin that is not finite: "undecided", with the reason.
  What holds by construction belongs in an "exact" claim;
- arms whose seeds were run with different settings, or that share no seed: "not run".
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import stdtr, stdtrit

from common.results import Item, Run, jsonable

Kind = Literal["superior", "equivalent", "slightly worse", "slightly better", "best of", "trend", "exact"]
Word = Literal["upheld", "refuted", "undecided", "seen once", "not testable at this scale", "not run"]
Arms = Mapping[str, Sequence[Item]]  # recipe -> items of one seed, in the same order in every arm

BOUNDED_KINDS = ("equivalent", "slightly worse", "slightly better")
MIN_SEEDS, MIN_GROUPS = 3, 8
LEVEL = 0.05
NUM_DRAWS, DRAW_SEED = 1000, 20200914
NOTHING = 1e-12  # a spread below this share of the margin is rounding
NO_SPREAD = "no spread between seeds and groups, so nothing says how sure this is"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper and the function that decides whether it holds.

    Args:
        where: the place in the paper where somebody read it.
        paper: the paper's number, "not readable", or "remembered: ..., unverified".
        reads: names of the recipes it compares.
        margin: from {recipe: items} of one seed to a number in `unit`. "slightly worse" and "slightly
            better" give the amount of being worse or better, as a positive number; "trend" a slope; "exact"
            True or False; "best of" {arm: score}, higher is better. A resample repeats the items of a drawn
            group, so ids may recur; the arms always list the same ids in the same order.
        bound: d, for the kinds that need one, in `unit`.
        best: the arm that a "best of" claim names.
        headline: one per paper; not corrected for the number of claims.
        question: ours; no readable text of the paper states it.
        parts: items of these test sets alone are evidence, in groups and degrees of freedom as well; none named
            means all.
        by_design: holds by construction; shown as "by design, verified".
        consistent_with: rests on our reading of the paper.
        not_testable: scale -> why it cannot be judged there.
        bound_set_on: date and commit when d was written down.
    """

    id: str
    says: str
    where: str
    paper: str
    reads: tuple[str, ...]
    kind: Kind
    margin: Callable[[Arms], Any]
    unit: str
    scales: tuple[str, ...]
    parts: tuple[str, ...] = ()
    bound: float | int | None = None
    best: str = ""
    bound_set_on: str = ""
    headline: bool = False
    question: bool = False
    by_design: bool = False
    consistent_with: bool = False
    not_testable: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"{self.id}: kind must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        if not self.reads:
            raise ValueError(f"{self.id}: reads must name the recipes it compares, got none")
        if (self.kind in BOUNDED_KINDS) != (self.bound is not None):
            raise ValueError(f"{self.id}: bound goes with {', '.join(BOUNDED_KINDS)} only, got {self.bound}")
        if self.bound is not None and not (0 < self.bound < math.inf and self.bound_set_on):
            raise ValueError(f"{self.id}: bound must be above 0 and dated (bound_set_on), got {self.bound}")
        if (self.kind == "best of") != bool(self.best):
            raise ValueError(f"{self.id}: best names the arm of a 'best of' claim only, got {self.best!r}")


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


def judge(claims: Sequence[Claim], runs: Sequence[Run], scale: str) -> list[Verdict]:
    """One verdict per claim of a paper, from the test runs of one scale, in the order of the claims.

    Raises:
        ValueError: more than one headline, equal claim ids, runs of several papers, a recipe and seed given
            twice, or arms whose items are not paired.
    """
    headlines = [claim.id for claim in claims if claim.headline]
    if len(headlines) > 1:
        raise ValueError(f"a paper has one headline claim, got {len(headlines)}: {', '.join(headlines)}")
    repeated = [id for id, count in Counter(claim.id for claim in claims).items() if count > 1]
    if repeated:
        raise ValueError(f"claim ids must differ, seen more than once: {', '.join(repeated)}")
    runs = [run for run in runs if run.result.scale == scale and run.result.split == "test"]
    papers = sorted({run.result.paper for run in runs})
    if len(papers) > 1:
        raise ValueError(f"claims are judged one paper at a time, got runs of {', '.join(papers)}")
    by_recipe: dict[str, dict[int, Run]] = defaultdict(dict)
    for run in runs:
        seeds = by_recipe[run.result.recipe]
        if run.result.seed in seeds:
            raise ValueError(f"{run.result.recipe} seed {run.result.seed} is given twice at scale {scale}")
        seeds[run.result.seed] = run
    return _holm(claims, [_judge_one(claim, by_recipe, scale) for claim in claims])


def _judge_one(claim: Claim, by_recipe: Mapping[str, Mapping[int, Run]], scale: str) -> Verdict:
    verdict = Verdict(claim=claim.id, scale=scale, word="not run")
    if scale not in claim.scales or scale in claim.not_testable:
        reason = claim.not_testable.get(scale, f"judged at {', '.join(claim.scales) or 'no scale yet'}")
        return replace(verdict, word="not testable at this scale", reason=reason)
    arms = {recipe: by_recipe.get(recipe, {}) for recipe in claim.reads}
    missing = [recipe for recipe, seeds in arms.items() if not seeds]
    if missing:
        return replace(verdict, reason=f"no results of {', '.join(missing)}")
    for recipe, seeds in arms.items():
        if len({run.result.settings_hash for run in seeds.values()}) > 1:
            found = ", ".join(
                f"seed {seed} {run.result.settings_hash}" for seed, run in sorted(seeds.items())
            )
            return replace(
                verdict, reason=f"{recipe} has seeds with different settings ({found}); run it again"
            )
    common = sorted(set.intersection(*(set(seeds) for seeds in arms.values())))
    everywhere = set().union(*arms.values())
    gaps = [
        f"{recipe} lacks seed {', '.join(map(str, sorted(everywhere - set(seeds))))}"
        for recipe, seeds in arms.items()
        if everywhere - set(seeds)
    ]
    if not common:
        return replace(verdict, reason="no seed was run in every arm: " + "; ".join(gaps))
    items = {seed: {recipe: _of_parts(claim, arms[recipe][seed]) for recipe in arms} for seed in common}
    if not any(of_arm for of_seed in items.values() for of_arm in of_seed.values()):
        return replace(verdict, reason=f"no item of {', '.join(claim.parts)} was scored")
    evidence = Evidence(claim, items)
    return evidence.verdict(replace(verdict, reason="; ".join(gaps)))


def _of_parts(claim: Claim, run: Run) -> Sequence[Item]:
    return [item for item in run.items if not claim.parts or item.part in claim.parts]


def _paired(claim: str, seed: int, arms: Arms) -> dict[str, list[Item]]:
    """The arms with their items in order of id; an error names the ids that not every arm has."""
    ordered = {recipe: sorted(items, key=lambda item: item.id) for recipe, items in arms.items()}
    keys = [{(item.id, item.group) for item in items} for items in ordered.values()]
    differing = sorted({id for id, _ in set().union(*keys) - keys[0].intersection(*keys)})
    if differing:
        raise ValueError(
            f"{claim}, seed {seed}: arms must be scored on the same items and groups, but {', '.join(arms)} "
            f"differ in {len(differing)}: {', '.join(differing[:10])}; score them again on one manifest"
        )
    if not all(ordered.values()):
        raise ValueError(f"{claim}, seed {seed}: an arm must have items, got none")
    return ordered


def _strata(groups_of_seed: Mapping[int, set[str]]) -> list[list[str]]:
    """Groups by the set of seeds that they were tested in: one stratum when seeds share the test set, one
    per fold when each seed has its own. Lone groups share a stratum, because alone they would show no
    variance.
    """
    by_pattern: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for group in sorted(set().union(*groups_of_seed.values())):
        by_pattern[tuple(seed for seed in sorted(groups_of_seed) if group in groups_of_seed[seed])].append(
            group
        )
    strata = sorted(by_pattern.values(), key=len, reverse=True)
    lone = [stratum[0] for stratum in strata if len(stratum) == 1]
    strata = [stratum for stratum in strata if len(stratum) > 1]
    if len(lone) == 1 and strata:
        strata[0] += lone
    elif lone:
        strata.append(lone)
    return strata


class Evidence:
    """The paired items of every seed of one claim, and what can be drawn from them."""

    def __init__(self, claim: Claim, seeds: Mapping[int, Arms]):
        self.claim = claim
        self.seeds = {seed: _paired(claim.id, seed, arms) for seed, arms in seeds.items()}
        self.by_group: dict[int, dict[str, dict[str, list[Item]]]] = {}
        for seed, arms in self.seeds.items():
            groups: dict[str, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
            for recipe, items in arms.items():
                for item in items:
                    groups[item.group][recipe].append(item)
            self.by_group[seed] = dict(groups)
        self.strata = _strata({seed: set(groups) for seed, groups in self.by_group.items()})
        self.num_groups = sum(map(len, self.strata))

    def margin(self, arms: Arms) -> Any:
        """The claim's margin; a division by zero is a margin that is not finite."""
        try:
            return self.claim.margin(arms)
        except ZeroDivisionError:
            return dict.fromkeys([*arms, self.claim.best], math.nan) if self.claim.best else math.nan

    def draws(self) -> list[dict[int, Any]]:
        """Margins per seed of each resample of the groups; a seed with no group in the draw is left out."""
        generator = np.random.default_rng(DRAW_SEED)
        resamples = []
        for _ in range(NUM_DRAWS):
            drawn = [
                stratum[i]
                for stratum in self.strata
                for i in generator.integers(len(stratum), size=len(stratum)).tolist()
            ]
            margins = {}
            for seed, groups in self.by_group.items():
                mine = [groups[group] for group in drawn if group in groups]
                if mine:
                    recipes = self.claim.reads
                    margins[seed] = self.margin(
                        {r: [item for group in mine for item in group[r]] for r in recipes}
                    )
            resamples.append(margins)
        return resamples

    def verdict(self, verdict: Verdict) -> Verdict:
        margins = {seed: self.margin(arms) for seed, arms in self.seeds.items()}
        verdict = replace(verdict, num_seeds=len(margins), num_groups=self.num_groups)
        if self.claim.kind == "exact":
            return self._exact(verdict, margins)
        if self.claim.kind == "best of":
            margins = {
                seed: _lead(_scores(self.claim, scores), self.claim.best) for seed, scores in margins.items()
            }
        per_seed = {seed: float(margin) for seed, margin in margins.items()}
        point = float(np.mean(list(per_seed.values())))
        verdict = replace(verdict, point=point, per_seed=per_seed)
        if not all(map(math.isfinite, per_seed.values())):
            return _undecided(verdict, "the margin is not finite")
        if len(per_seed) > 1:
            verdict = replace(verdict, between_seed_variance=float(np.var(list(per_seed.values()), ddof=1)))
        if len(per_seed) < MIN_SEEDS or self.num_groups < MIN_GROUPS:
            reason = f"a ruling needs {MIN_SEEDS} seeds and {MIN_GROUPS} groups"
            return replace(verdict, word="seen once", reason=_joined(reason, verdict.reason))
        return self._best_of(verdict) if self.claim.kind == "best of" else self._interval(verdict)

    def _exact(self, verdict: Verdict, margins: Mapping[int, Any]) -> Verdict:
        if any(math.isnan(margin) for margin in margins.values()):
            return replace(verdict, word="undecided", reason="the margin is not a number")
        if not all(margin in (0, 1) for margin in margins.values()):
            raise ValueError(f"{self.claim.id}: an exact margin is True or False, got {margins}")
        per_seed = {seed: float(margin) for seed, margin in margins.items()}
        point = float(np.mean(list(per_seed.values())))
        return replace(verdict, word="upheld" if point == 1 else "refuted", point=point, per_seed=per_seed)

    def _interval(self, verdict: Verdict) -> Verdict:
        means = np.array([np.mean(list(map(float, margins.values()))) for margins in self.draws()])
        if not np.isfinite(means).all():
            return _undecided(verdict, "the margin is not finite in some bootstrap draws")
        # A draw of n from n has (n - 1) / n of the variance; without this, few groups look too sure.
        spread = self.num_groups - len(self.strata)
        by_group = float(np.var(means)) * self.num_groups / spread
        by_seed = verdict.between_seed_variance / verdict.num_seeds
        error = math.sqrt(by_group + by_seed)
        verdict = replace(verdict, group_variance=by_group)
        if error <= NOTHING * max(1.0, abs(verdict.point)):
            return _undecided(verdict, NO_SPREAD)
        # Welch-Satterthwaite over the two parts, written with shares so that tiny variances do not underflow.
        share = by_seed / (by_group + by_seed)
        df = 1 / (share**2 / (verdict.num_seeds - 1) + (1 - share) ** 2 / spread)
        half = float(stdtrit(df, 1 - LEVEL / 2)) * error
        low, high = verdict.point - half, verdict.point + half
        floor, ceiling = _region(self.claim)
        edge = min(abs(verdict.point - floor), abs(verdict.point - ceiling))
        p = float(2 * stdtr(df, -edge / error))
        inside, outside = floor < low and high < ceiling, high < floor or low > ceiling
        word: Word = "upheld" if inside else "refuted" if outside else "undecided"
        return replace(verdict, word=word, low=low, high=high, p=p, df=df)

    def _best_of(self, verdict: Verdict) -> Verdict:
        """Draws seeds and groups with replacement and counts how often the named arm is first.

        Refuted needs more than few wins: one and the same rival beats it in 95 % of the draws. Among many
        equal arms each wins seldom, and that refutes nothing. Ties are won by nobody.
        """
        generator, best = np.random.default_rng(DRAW_SEED + 1), self.claim.best
        leads, losses, wins = [], Counter[str](), 0
        for margins in self.draws():
            seeds = generator.choice(sorted(margins), size=len(margins)).tolist()
            scores = [_scores(self.claim, margins[seed]) for seed in seeds]
            if not all(math.isfinite(score) for arms in scores for score in arms.values()):
                return _undecided(verdict, "a score is not finite in some bootstrap draws")
            means = {arm: math.fsum(arms[arm] for arms in scores) / len(scores) for arm in scores[0]}
            leads.append(_lead(means, best))
            wins += leads[-1] > 0
            losses.update(arm for arm in means if means[arm] > means[best])
        rival, beaten = losses.most_common(1)[0] if losses else ("none", 0)
        p = max(NUM_DRAWS - max(wins, beaten), 1) / NUM_DRAWS
        word: Word = "undecided" if p > LEVEL else "upheld" if wins >= beaten else "refuted"
        counts = f"first in {wins} of {NUM_DRAWS} draws; beaten most often by {rival}, in {beaten}"
        reason = _joined(counts, verdict.reason)
        if np.ptp(leads) <= NOTHING * max(1.0, abs(verdict.point)):
            return _undecided(verdict, NO_SPREAD)
        low, high = np.quantile(leads, [LEVEL, 1 - LEVEL]).tolist()
        return replace(verdict, word=word, low=low, high=high, p=p, reason=reason)


def _scores(claim: Claim, scores: Mapping[str, float]) -> Mapping[str, float]:
    if claim.best not in scores or len(scores) < 2:
        raise ValueError(
            f"{claim.id}: a 'best of' margin gives scores of {claim.best} and rivals, got {dict(scores)}"
        )
    return scores


def _lead(scores: Mapping[str, float], best: str) -> float:
    return float(scores[best] - max(score for arm, score in scores.items() if arm != best))


def _region(claim: Claim) -> tuple[float, float]:
    """Where the interval must lie for the claim to be upheld."""
    if claim.bound is None:
        return 0.0, math.inf
    return (-float(claim.bound) if claim.kind == "equivalent" else 0.0), float(claim.bound)


def _undecided(verdict: Verdict, why: str) -> Verdict:
    # p = 1 keeps it among the judged, so that Holm corrects the others for it too.
    return replace(verdict, word="undecided", p=1.0, reason=_joined(why, verdict.reason))


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))


def _holm(claims: Sequence[Claim], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Corrects the judged claims that are not the headline; one that no longer rules is undecided."""
    judged = [i for i, verdict in enumerate(verdicts) if not math.isnan(verdict.p)]
    family = sorted((i for i in judged if not claims[i].headline), key=lambda i: verdicts[i].p)
    corrected = list(verdicts)
    for i in set(judged) - set(family):
        corrected[i] = replace(verdicts[i], adjusted_p=verdicts[i].p)
    adjusted = 0.0
    for rank, i in enumerate(family):
        adjusted = max(adjusted, min(1.0, (len(family) - rank) * verdicts[i].p))
        corrected[i] = replace(verdicts[i], adjusted_p=adjusted)
        if verdicts[i].word in ("upheld", "refuted") and adjusted > LEVEL:
            alone = f"{verdicts[i].word} alone (p = {verdicts[i].p:.3g})"
            why = _joined(f"{alone}, undecided after Holm over {len(family)} claims", verdicts[i].reason)
            corrected[i] = replace(corrected[i], word="undecided", reason=why)
    return corrected
