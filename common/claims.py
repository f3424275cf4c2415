"""Claims as data, and what turns raw per-item scores into verdicts; no torch is needed.

How a verdict comes about is said by the claim's kind (`common.kinds`). When in doubt there is no ruling:

- fewer than 3 seeds or 8 groups: "seen once", the point without an interval;
- no spread at all between seeds and groups, or a margin that is not finite: "undecided", with the reason.
  What holds by construction belongs in an `Exact` claim;
- arms whose seeds were run with different settings, or that share no seed: "not run".

A sentence of the paper that does not hold at a scale far from the paper's conditions is not refuted by that: it is "not
seen here", and the verdict names the conditions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from common.bootstrap import Evidence, Margin
from common.kinds import Kind, Superior
from common.results import Item, Run
from common.sample import NotScored
from common.verdicts import Verdict, Word, benjamini_hochberg, holm


@dataclass(frozen=True, kw_only=True)
class Twin:
    """The same question in another measure: told beside the verdict, and named where the two disagree.

    It has no part in the ruling, nor in the correction for many claims.

    Args:
        words: what it is counted in, e.g. "character errors".
        margin: of the same sign as the claim's, in `unit`.
        kind: that gives its point and interval.
    """

    words: str
    margin: Margin
    unit: str
    kind: Kind = field(default_factory=Superior)

    def beside(self, verdict: Verdict, evidence: Evidence) -> Verdict:
        """The verdict with the twin's numbers, where it was scored; they disagree when points differ in sign and an
        interval holds no 0."""
        if not verdict.per_seed:
            return verdict
        bare = Verdict(claim=verdict.claim, scale=verdict.scale, word="not run", num_seeds=verdict.num_seeds)
        try:
            other = self.kind.rule(evidence.asked(self.margin), bare)
        except NotScored:
            return verdict
        told = f"in {self.words} {self.kind.told(other, self.unit)}"
        if verdict.point * other.point < 0 and any(_apart_from_0(one) for one in (verdict, other)):
            told = f"the two measures disagree: {told}"
        return replace(verdict, reason="; ".join(filter(None, (verdict.reason, told))))


def _apart_from_0(verdict: Verdict) -> bool:
    return verdict.low > 0 or verdict.high < 0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper and the function that decides whether it holds.

    Args:
        where: the place in the paper where somebody read it.
        paper: the paper's number, "not readable", or "remembered: ..., unverified".
        reads: names of the recipes it compares.
        kind: what is said of the margin, e.g. `Superior()` or `Equivalent(0.1, set_on=...)`.
        margin: from {recipe: sample} of one seed to a number of each draw, in `unit`, as the kind asks for it: the
            amount of being worse or better as a positive number, a slope, {arm: score} or True and False. The
            samples of a seed list the same items in the same order.
        headline: one per paper; not corrected for the number of claims.
        question: ours; no readable text of the paper states it.
        about: of a question: what it is about with others that stand under a heading of their own.
        parts: items of these test sets alone are evidence, in groups and degrees of freedom as well; none named
            means all.
        by_design: holds by construction; shown as "by design, verified".
        consistent_with: rests on our reading of the paper.
        repeats: its groups are repeats within one run, which share what that run met: seeds alone are evidence.
        twins: the same in other measures.
        not_testable: scale -> why it cannot be judged there.
        conditions: of the paper's claims: scale -> what it is run on there, where that is far from the paper's own.
        outcomes: of a headline, and of what the first page tells below the headlines: word of the verdict -> a plain
            sentence of what came out and under which conditions, with "{told}" where point, unit and interval go and
            "{reason}" where other measures and reservations do.
    """

    id: str
    says: str
    where: str
    paper: str
    reads: tuple[str, ...]
    kind: Kind
    margin: Margin
    unit: str
    scales: tuple[str, ...]
    parts: tuple[str, ...] = ()
    headline: bool = False
    question: bool = False
    about: str = ""
    by_design: bool = False
    consistent_with: bool = False
    repeats: bool = False
    twins: tuple[Twin, ...] = ()
    not_testable: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[Word, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.reads:
            raise ValueError(f"{self.id}: reads must name the recipes it compares, got none")
        if self.question and self.conditions:
            raise ValueError(f"{self.id}: a question of ours is asked under its own conditions")
        if self.about and not self.question:
            raise ValueError(f"{self.id}: only questions of ours have a heading of their own")

    def asked_at(self, scale: str) -> bool:
        """Whether it is judged there, or says why it is not."""
        return scale in self.scales or scale in self.not_testable

    def outcome(self, verdict: Verdict) -> str:
        """What came out as a sentence; of a word that has none, the verdict as the tables tell it."""
        sentence = self.outcomes.get(verdict.word, verdict.word.capitalize() + ": {told}.")
        return sentence.format(
            told=self.kind.told(verdict, self.unit) or verdict.reason, reason=verdict.reason
        )


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
    return _corrected(
        claims, [_under_conditions(claim, _judge_one(claim, by_recipe, scale)) for claim in claims]
    )


def _corrected(claims: Sequence[Claim], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """For many claims: the paper's so that none is ruled on falsely, our questions so that few are; headlines stand."""
    alone = {claim.id for claim in claims if claim.headline}
    questions = {claim.id for claim in claims if claim.question} - alone
    of_the_paper = {claim.id for claim in claims} - questions - alone
    ruled = benjamini_hochberg(holm(verdicts, of_the_paper), questions)
    return [replace(one, adjusted_p=one.p) if one.claim in alone else one for one in ruled]


def _under_conditions(claim: Claim, verdict: Verdict) -> Verdict:
    """What does not hold under conditions far from the paper's is not refuted there."""
    conditions = claim.conditions.get(verdict.scale)
    if conditions is None or verdict.word != "refuted":
        return verdict
    return verdict.because(f"on {conditions}", word="not seen here")


def _judge_one(claim: Claim, by_recipe: Mapping[str, Mapping[int, Run]], scale: str) -> Verdict:
    verdict = Verdict(claim=claim.id, scale=scale, word="not run")
    if scale not in claim.scales or scale in claim.not_testable:
        reason = claim.not_testable.get(scale, f"judged at {', '.join(claim.scales) or 'no scale yet'}")
        return replace(verdict, word="not testable at this scale", reason=reason)
    arms = {recipe: by_recipe.get(recipe, {}) for recipe in claim.reads}
    if reason := _not_run(arms):
        return replace(verdict, reason=reason)
    common = sorted(set.intersection(*(set(seeds) for seeds in arms.values())))
    gaps = "; ".join(_gaps(arms))
    if not common:
        return replace(verdict, reason=f"no seed was run in every arm: {gaps}")
    items = {seed: {recipe: _of_parts(claim, arms[recipe][seed]) for recipe in arms} for seed in common}
    if not any(of_arm for of_seed in items.values() for of_arm in of_seed.values()):
        return replace(verdict, reason=f"no item of {', '.join(claim.parts)} was scored")
    evidence = Evidence(claim.id, claim.margin, items, repeats=claim.repeats)
    known = replace(verdict, reason=gaps, num_seeds=len(common), num_groups=evidence.num_groups)
    known = replace(known, num_cells=evidence.cells)
    # A division by zero is a margin that is not finite, and the verdict says so.
    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            ruled = claim.kind.rule(evidence, known)
        except NotScored as error:
            return replace(verdict, reason=f"{error.args[0]} is not scored in these runs; run them again")
        for twin in claim.twins:
            ruled = twin.beside(ruled, evidence)
        return ruled


def _not_run(arms: Mapping[str, Mapping[int, Run]]) -> str:
    """Why an arm has no seeds that belong together; empty where every arm has."""
    missing = [recipe for recipe, seeds in arms.items() if not seeds]
    if missing:
        return f"no results of {', '.join(missing)}"
    for recipe, seeds in arms.items():
        found = {seed: run.result.settings_hash for seed, run in sorted(seeds.items())}
        if len(set(found.values())) > 1:
            told = ", ".join(f"seed {seed} {settings_hash}" for seed, settings_hash in found.items())
            return f"{recipe} has seeds with different settings ({told}); run it again"
    return ""


def _gaps(arms: Mapping[str, Mapping[int, Run]]) -> list[str]:
    """Arms without a seed that another has."""
    everywhere = set().union(*arms.values())
    return [
        f"{recipe} lacks seed {', '.join(map(str, sorted(everywhere - set(seeds))))}"
        for recipe, seeds in arms.items()
        if everywhere - set(seeds)
    ]


def _of_parts(claim: Claim, run: Run) -> Sequence[Item]:
    return [item for item in run.items if not claim.parts or item.part in claim.parts]
