"""Tables of the README, made of the result files alone."""

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.harness import in_words
from benchmarks.plan import BENCHMARKS
from benchmarks.records import RESULTS, milliseconds, race_of, read
from common.report.tables import Cell, Table, markdown

PROFILE = RESULTS / "profiles.json"
SAID_DIGITS = 12  # of a commit


def table(name: str) -> Table:
    """A benchmark's result; where its rows are of several commits, each says its own."""
    found = read(RESULTS / f"{name}.json")
    races = [race_of(row) for row in found["races"]]
    measured = [_where(row["measured"]) for row in found["races"]]
    units = sorted({result.unit for result in races if result.unit})
    with_cpu = any(timing.cpu_seconds for result in races for timing in result.timings)
    rows = []
    for result, place in zip(races, measured, strict=True):
        ratios = ["", *(in_words(ratio, result.timings[0].name) for ratio in result.ratios)]
        for timing, ratio in zip(result.timings, ratios, strict=True):
            *wall, cpu = milliseconds(timing)
            numbers = [*wall, cpu] if with_cpu else wall
            numbers += [f"{result.work / timing.median_s:.2f}"] if units else []
            cells = [Cell(number, "number") for number in (*numbers, ratio)]
            own = [Cell(place)] if len(set(measured)) > 1 else []
            rows.append([Cell(result.job), Cell(timing.name), *cells, *own])
    columns = ["job", "contender", "min (ms)", "median (ms)", *["CPU (ms)"] * with_cpu]
    columns += [*(f"{unit} a second" for unit in units), "first is faster by (quartiles)"]
    columns += ["measured"] * (len(set(measured)) > 1)
    return Table(name, tuple(columns), rows, _caption(found, measured))


def _caption(found: Mapping[str, Any], measured: list[str]) -> str:
    threads = f"{found['threads']} thread{'s' * (found['threads'] > 1)}"
    where = f"{found['hardware']['gpu'] or found['hardware']['cpu']}, {threads}"
    if len(set(measured)) == 1:
        where += f", {measured[0]}"
    peaks = "; ".join(f"{peak['job']}: {peak['peak_bytes'] / 1e6:.0f} MB" for peak in found["peaks"])
    return f"{where}." + (f" Peak memory: {peaks}." if peaks else "")


def _where(measured: Mapping[str, Any]) -> str:
    told = f"commit {measured['commit'][:SAID_DIGITS]}, {measured['date'][:10]}"
    return told + f", load average {measured['load_average'][0]}"


def profile_table() -> Table:
    """Where the time of each job goes."""
    found = json.loads(PROFILE.read_text())
    rows = [
        [
            Cell("" if place else job["job"]),
            Cell(one["operator"]),
            *(Cell(text, "number") for text in (f"{one['percent']:.1f}", f"{one['self_ms']:.1f}", str(one["calls"]))),
        ]
        for job in found["jobs"]
        for place, one in enumerate(job["operators"])
    ]  # fmt: skip
    caption = (
        f"{found['hardware']['cpu']}, 1 thread, commit {found['commit'][:SAID_DIGITS]}, {found['date'][:10]}."
    )
    return Table("profiles", ("job", "operator", "of its time (%)", "itself (ms)", "calls"), rows, caption)


def generated() -> str:
    """All tables, as the README holds them."""
    names = [
        path.stem
        for name in BENCHMARKS
        for path in (RESULTS / f"{name}{ending}.json" for ending in ("", "_1_core", "_2_cores", "_gpu"))
        if path.exists()
    ]
    tables = [*map(table, names), *([profile_table()] if PROFILE.exists() else [])]
    return "\n\n".join(map(markdown, tables))
