"""How many seeds each claim needs, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from common.digits import number, signed
from common.power import CHANCE, FOLDS, MOST, Power
from common.report.tables import Cell, Table
from common.verdicts import RULINGS

COLUMNS = (
    "claim",
    "scale",
    "verdict",
    "margin",
    "to the bar",
    "spread of seeds",
    "spread that seeds leave",
    "seeds",
)
CAPTION = (
    f"Seeds: for a ruling with a chance of {100 * CHANCE:.0f} %, if margin and spreads are the true ones, before any "
    f"correction for many claims; three are the least. Spread that seeds leave: standard deviation of the margin over "
    f"test groups with as many seeds as one likes. None: test groups are too few. Folds: {FOLDS} seeds use up the "
    "photographs. Decided: ruled on, with a chance below that. Taken by the correction: alone it would be ruled on."
)


def power_table(found: Sequence[tuple[str, Power]]) -> Table:
    """A row a claim, with the paper that it is of."""
    rows = [
        [
            Cell(one.claim.id, "code", slug),
            Cell(one.verdict.scale, "code"),
            Cell(one.verdict.word, one.verdict.word),
            Cell(f"{signed(one.verdict.point)} {one.claim.unit}", "number"),
            *(Cell(number(value), "number") for value in (one.distance, one.seed_spread)),
            Cell("folds" if one.nested else number(one.group_spread), "number"),
            _seeds(one),
        ]
        for slug, one in found
    ]
    return Table("How many seeds each claim needs", COLUMNS, rows, CAPTION)


def _seeds(one: Power) -> Cell:
    ruled, has = one.verdict.word in RULINGS, one.verdict.num_seeds
    if ruled and (one.needed is None or one.needed > has):
        return Cell("decided", "number")
    if one.needed is not None:
        taken = not ruled and one.needed <= has
        return Cell(str(one.needed), "number", "taken by the correction for many claims" if taken else "")
    if one.nested:
        return Cell(f"more than {FOLDS} folds", "number")
    return Cell("none" if one.beyond_seeds else f"more than {MOST}", "number")
