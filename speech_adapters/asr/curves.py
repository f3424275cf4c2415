"""Learning curves as evidence: what a run's journal says of the dev part, carried into its committed scores."""

from __future__ import annotations

import json
from pathlib import Path

from common import journal
from common.results import Item
from speech_adapters.asr.measures import DEV_CURVE


def carry(path: Path, *measures: str) -> Item:
    """One item: as scores where the curve ends, as text rows of step, seconds of training and the measures."""
    rows = [
        [row["step"], row["wall_s"], *(round(row[measure], 5) for measure in measures)]
        for row in journal.read(path)
        if row["event"] == "train" and all(measure in row for measure in measures)
    ]
    curve = {"columns": ["step", "wall_s", *measures], "rows": rows}
    ends = dict(zip(measures, rows[-1][2:], strict=True)) if rows else {}
    return Item(DEV_CURVE.name, DEV_CURVE.name, DEV_CURVE.name, ends, {"curve": json.dumps(curve)})


def read(item: Item) -> dict[str, list[float]]:
    """Columns of a curve by name."""
    curve = json.loads(item.texts["curve"])
    return {name: [row[place] for row in curve["rows"]] for place, name in enumerate(curve["columns"])}
