"""What was tried on dev before the runs that are shown, and what was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from common.report.tables import Cell, Table
from common.tuning import Chosen

CAPTION = "An arm that was not searched itself has the settings of the one named. Dev decides, never test."


def search_tables(found: Sequence[Chosen]) -> list[Table]:
    """A row a recipe and setting; no table where nothing was searched."""
    rows = [
        [
            Cell(one.recipe, "code"),
            Cell(one.searched if one.searched != one.recipe else "itself"),
            Cell(one.setting, "code"),
            Cell(f"{one.value:g}", "number", f"the {one.edge} tried" if one.edge else ""),
            Cell(", ".join(f"{value:g}" for value in one.tried)),
            Cell(f"{one.tuned_steps:,}", "number", f"run at {one.steps:,}" * (one.steps != one.tuned_steps)),
        ]
        for one in found
    ]
    columns = ("recipe", "searched on", "setting", "chosen", "tried", "steps of the search")
    return [Table("What was tried on dev", columns, rows, CAPTION)] if rows else []
