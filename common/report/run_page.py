"""One page a run: its settings, where it ran, what it read, how it went, and its raw scores as files beside it.

runs/PAPER/SCALE/published/NAME.html   and yours/NAME.html
the same .json                          the result as it was written
the same .items.jsonl.gz                the raw score of every test item
the same .journal.jsonl                 of your own runs, every step
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import journal, kept, results
from common.digits import number
from common.files import write_atomically
from common.papers import Paper
from common.report.page import from_template
from common.report.tables import Cell, Table, results_table
from common.results import Result, Run

MOST_POINTS = 200  # of a drawn curve
MOST_ROWS = 60  # of the journal on the page, the last ones; the file has all
UNDRAWN = ("step", "time")


@dataclass(frozen=True)
class Curve:
    """One measure over the steps of a training, on axes of 100 by 40.

    Args:
        points: as SVG's `polyline` takes them.
        told: the same in words, for who does not see it.
    """

    measure: str
    points: str
    least: str
    most: str
    steps: str
    told: str


def curves(rows: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Every number that a journal logs while it trains, over steps."""
    logged = [row for row in rows if row["event"] == "train"]
    found: dict[str, list[tuple[int, float]]] = {}
    for row in logged:
        for key, value in row.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if key not in UNDRAWN and is_number and math.isfinite(value):
                found.setdefault(key, []).append((row["step"], float(value)))
    return [_curve(measure, points) for measure, points in found.items() if len(points) > 1]


def _curve(measure: str, points: Sequence[tuple[int, float]]) -> Curve:
    every = math.ceil(len(points) / MOST_POINTS)
    shown = [*points[:-1:every], points[-1]]
    first, last = shown[0][0], shown[-1][0]
    least, most = min(value for _, value in shown), max(value for _, value in shown)
    across, up = (last - first) or 1, (most - least) or 1.0
    places = [
        f"{100 * (step - first) / across:.1f},{40 - 40 * (value - least) / up:.1f}" for step, value in shown
    ]
    told = f"{measure}: {number(points[0][1])} at step {first}, {number(points[-1][1])} at step {last}"
    return Curve(measure, " ".join(places), number(least), number(most), f"{last}", told)


def flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, value as JSON) of every setting."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", json.dumps(value)


def _pairs(title: str, pairs: Sequence[tuple[str, str]]) -> Table:
    return Table(title, ("what", "value"), [[Cell(key), Cell(value, "code")] for key, value in pairs])


def environment(result: Result) -> Table:
    """Machine, versions, and what the run cost there."""
    cost = {f"{what} (s)": number(seconds) for what, seconds in result.wall_s.items()}
    cost |= {"peak memory (MB)": number(result.peak_memory_bytes / 1e6), "threads": str(result.threads)}
    cost |= {"items scored per second": number(result.items_per_s)}
    machine = {key: str(value) for key, value in result.hardware.items() if value is not None}
    return _pairs("Where it ran", [*machine.items(), *result.versions.items(), *cost.items()])


def hashes(result: Result) -> Table:
    """What tells whether another run is of the same code, settings, data and weights."""
    known = {
        "commit": result.commit + (" (changed since)" if result.dirty else ""),
        "settings": result.settings_hash,
        "data (manifest)": result.manifest_sha256,
        "environment (lock)": result.lock_sha256,
        "data pack": result.pack_sha256,
        "backbone": result.backbone_sha256,
        "weights": result.weights_sha256,
        "raw scores": result.items_sha256,
    }
    return _pairs("Hashes (sha256)", [(key, value) for key, value in known.items() if value])


def starts(result: Result) -> list[Table]:
    """Every start of the run and its scoring, where that was noted."""
    keys = list(dict.fromkeys(key for start in result.starts for key in start))
    rows = [[Cell(_short(start.get(key, ""))) for key in keys] for start in result.starts]
    return [Table("Its starts", tuple(keys), rows)] if rows else []


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _log(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(json.dumps(row) for row in rows[-MOST_ROWS:])


def command(paper: Paper, scale: str, result: Result) -> str:
    """The line that makes the run again, or nothing where its settings were a person's own."""
    known = paper.scales[scale].every_recipe if scale in paper.scales else {}
    if result.recipe not in known:
        return ""
    split = "" if result.split == "test" else f" --split {result.split}"
    named = f"{paper.slug} {result.recipe} --scale {scale} --seed {result.seed}"
    return f"python -m common.run train {named} --score{split}"


def write(report: Path, paper: Paper, scale: str, run: Run, *, own: bool) -> str:
    """Writes the page and the files beside it; returns its address relative to the report's first page."""
    result = run.result
    source = paper.own_results(scale) if own else paper.published(scale)
    folder = report / "runs" / paper.slug / scale / ("yours" if own else "published")
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        ("the result", source / f"{result.name}.json"),
        ("raw scores", source / Path(result.items_file).name),
    ]
    log = kept.journal_of(source, result.recipe, result.seed)
    if own:
        log = paper.run_folder(scale, result.recipe, result.seed) / kept.JOURNAL
    rows = journal.read(log)
    downloads = [(words, _copied(path, folder / path.name)) for words, path in files]
    if rows:
        downloads.append(("journal", _copied(log, folder / f"{result.name}.journal.jsonl")))
    text = from_template(
        "run.html.j2",
        paper=paper,
        result=result,
        scale=scale,
        own=own,
        command=command(paper, scale, result),
        downloads=downloads,
        curves=curves(rows),
        log=_log(rows),
        tables=[results_table([run]), _pairs("Settings", list(flat(result.settings)))],
        details=[environment(result), hashes(result), *starts(result)],
        items=len(run.items),
    )
    write_atomically(folder / f"{result.name}.html", text.encode())
    return (folder / f"{result.name}.html").relative_to(report).as_posix()


def _copied(source: Path, target: Path) -> tuple[str, str]:
    """(its name, its size in words)."""
    shutil.copyfile(source, target)
    return target.name, f"{max(1, round(target.stat().st_size / 1000)):,} kB"


def write_every(report: Path, paper: Paper, scale: str) -> list[Table]:
    """A page for each run of a scale that can be read, published and yours; tables that lead to them."""
    tables = []
    for own, words in ((False, "published"), (True, "yours")):
        found = results.readable(paper.own_results(scale) if own else paper.published(scale))
        by_recipe: dict[str, dict[str, Cell]] = {}
        for run in found:
            name = f"seed {run.result.seed}" + ("" if run.result.split == "test" else f", {run.result.split}")
            link = write(report, paper, scale, run, own=own)
            by_recipe.setdefault(run.result.recipe, {})[name] = Cell(name, link=link)
        columns = sorted(
            {name for row in by_recipe.values() for name in row}, key=lambda name: (len(name), name)
        )
        rows = [
            [Cell(recipe, "code"), *(row.get(name, Cell("–")) for name in columns)]
            for recipe, row in by_recipe.items()
        ]
        if rows:
            caption = "Settings, environment, hashes, raw scores, and log and curves where they were kept."
            tables.append(Table(f"Every run at {scale}, {words}", ("recipe", *columns), rows, caption))
    return tables
