"""A person's run beside the published one of the same recipe, scale and seed: equal to the bit, or how far apart.

On one kind of CPU a run comes out to the bit; other vector instructions add in another order, and training carries
that on. How far means then move is the paper's `closeness`, measured by running again elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common import papers, results
from common.results import Result, Run


@dataclass(frozen=True)
class Compared:
    """One run: `told` is what came out, `off` whether it is further apart than the paper says such runs are."""

    name: str
    told: str
    off: bool


def compare(path: Path) -> list[Compared]:
    """Every test result of a folder, or one result file, beside the published one.

    Raises:
        ValueError: nothing there, or no such paper.
    """
    runs = [results.read_run(path)] if path.is_file() else results.readable(path)
    runs = [run for run in runs if run.result.split == "test"]
    if not runs:
        raise ValueError(
            f"{path} must be a result file or a folder of them, such as runs/PAPER/SCALE/results"
        )
    return [_compared(run) for run in runs]


def show(path: Path) -> bool:
    """A line a run on the terminal; whether any is further apart than stated."""
    compared = compare(path)
    print("\n".join(f"{one.name}: {one.told}" for one in compared))
    return any(one.off for one in compared)


def _compared(run: Run) -> Compared:
    result = run.result
    paper = papers.find(result.paper)
    name = f"{result.paper} {result.scale} {result.name}"
    found = results.find(paper.published(result.scale), result.recipe, result.seed)
    if found is None:
        return Compared(name, "nothing is published to compare with", False)
    theirs = found.result
    settings = [paper.spelled_today(one) for one in (result, theirs)]
    if settings[0] != settings[1] or theirs.manifest_sha256 != result.manifest_sha256:
        return Compared(name, "other settings or data than the published run", True)
    if theirs.items_sha256 == result.items_sha256:
        return Compared(name, "every raw score to the bit", False)
    told, off = _apart(result, theirs, paper.closeness)
    where = (
        ""
        if _machine(result) == _machine(theirs)
        else f" ({_machine(result)}; published: {_machine(theirs)})"
    )
    return Compared(name, told + where, off)


def _apart(ours: Result, theirs: Result, closeness: Mapping[str, float]) -> tuple[str, bool]:
    """The means that a closeness is stated for, and whether one is further apart; the furthest of all else."""
    apart = {
        key: abs(ours.totals[key] - theirs.totals[key])
        for key in ours.totals.keys() & theirs.totals.keys()
        if key.endswith("/mean") and math.isfinite(ours.totals[key] - theirs.totals[key])
    }
    stated = {
        key: gap for key, gap in sorted(apart.items()) if key.split("/", 1)[1][: -len("/mean")] in closeness
    }
    if not stated:
        return f"not to the bit; {len(apart)} means, for none of which a closeness is stated", False
    allowed = {key: closeness[key.split("/", 1)[1][: -len("/mean")]] for key in stated}
    worst = max(stated, key=lambda key: stated[key] / allowed[key])
    off = stated[worst] > allowed[worst]
    word = "further apart than" if off else "within"
    return f"not to the bit; {worst} differs by {stated[worst]:.3g}, {word} {allowed[worst]:g}", off


def _machine(result: Result) -> str:
    instructions = result.hardware.get("vector_instructions", "instructions not on record")
    return f"{result.hardware.get('cpu', 'unknown CPU')}, {instructions}"
