"""Learning curves as evidence: what a run's journal says of the dev part, carried into its committed scores."""

from __future__ import annotations

import json
from pathlib import Path

from common import journal
from common.results import Item
from speech_adapters.asr.measures import DEV_CURVE


def carry(path: Path, *measures: str) -> Item:
    """One item: as scores where the curve ends, as texts rows of step and measures, and their seconds of training."""
    kept = [
        row
        for row in journal.read(path)
        if row["event"] == "train" and all(measure in row for measure in measures)
    ]
    rows = [[row["step"], *(round(row[measure], 5) for measure in measures)] for row in kept]
    ends = dict(zip(measures, rows[-1][1:], strict=True)) if rows else {}
    curve = json.dumps({"columns": ["step", *measures], "rows": rows})
    texts = {"curve": curve, "wall_s": json.dumps([row["wall_s"] for row in kept])}
    return Item(DEV_CURVE.name, DEV_CURVE.name, DEV_CURVE.name, ends, texts, timed=("wall_s",))


def read(item: Item) -> dict[str, list[float]]:
    """Columns of a curve by name; in results of former times the seconds are one of them."""
    curve = json.loads(item.texts["curve"])
    columns = {name: [row[place] for row in curve["rows"]] for place, name in enumerate(curve["columns"])}
    return {"wall_s": json.loads(item.texts["wall_s"]), **columns} if "wall_s" in item.texts else columns
