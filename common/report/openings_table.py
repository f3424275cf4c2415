"""How often each test set was opened, beside the verdicts that rest on it."""

from __future__ import annotations

from collections.abc import Sequence

from common.openings import Opened
from common.report.tables import Cell, Table

CAPTION = (
    "Of test sets that a claim rests on, over the whole history, former results included; what was scored and never "
    "published is not counted. What else was scored beside them stands in openings.json. "
    "The commit is that of the code."
)
COLUMNS = ("test set", "scale", "publications", "runs scored", "one run, at most", "first", "latest")


def openings_tables(found: Sequence[Opened]) -> list[Table]:
    """A row a test set and scale; no table where nothing was published."""
    rows = [
        [
            Cell(one.part),
            Cell(one.scale, "code"),
            *(Cell(str(count), "number") for count in (one.publications, one.runs)),
            Cell(f"{one.most} times" if one.most > 1 else "once"),
            Cell(one.first.day, "", f"commit {one.first.commit}"),
            Cell(one.last.day, "", f"commit {one.last.commit}" if one.last != one.first else ""),
        ]
        for one in found
    ]
    return [Table("How often the test sets were opened", COLUMNS, rows, CAPTION)] if rows else []
