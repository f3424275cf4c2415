"""Tables of the README, made of the result files alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness import Race, Timing, best_peer, in_words
from benchmarks.plan import BENCHMARKS
from benchmarks.records import RESULTS, milliseconds, race_of, read
from common.report.tables import Cell, Table, markdown

PROFILES = "profiles"
BEFORE = "before"  # folder of what was published before; a row measured since stands beside its old one
ENDINGS = ("", "_1_core", "_2_cores", "_gpu", "_avx512f")  # the last: another CPU, by its vector instructions
SAID_DIGITS = 12  # of a commit
Row = Mapping[str, Any]  # of a result file: a race or a peak
Old = dict[tuple[str, str], tuple[Timing, str]]  # by job and contender: timing, and the ratio in words


def names() -> list[str]:
    """Of the result files that are there."""
    found = (f"{name}{ending}" for name in BENCHMARKS for ending in ENDINGS)
    return [name for name in found if (RESULTS / f"{name}.json").exists()]


def table(name: str) -> Table:
    """A benchmark's times; where its rows are of several commits, each says its own."""
    found = read(RESULTS / f"{name}.json")
    measured = [_where(row["measured"]) for row in found["races"]]
    races = [race_of(row) for row in found["races"]]
    old, old_where = _before(name, found["races"])
    units = sorted({result.unit for result in races if result.unit})
    with_cpu = any(timing.cpu_seconds for result in races for timing in result.timings)
    rows = []
    for result, place in zip(races, measured, strict=True):
        for timing, ratio in _in_words(result):
            *wall, cpu = milliseconds(timing)
            numbers = [*wall, cpu] if with_cpu else wall
            numbers += [f"{result.work / timing.median_s:.2f}"] if units else []
            was = [_was(old.get((result.job, timing.name)))] if old else []
            told = [*numbers, ratio, *(text for pair in was for text in pair)]
            own = [Cell(place)] if len(set(measured)) > 1 else []
            job = f"{result.job}: {result.told}" if result.told else result.job
            rows.append([Cell(job), Cell(timing.name), *(Cell(text, "number") for text in told), *own])
    columns = ["job", "contender", "min (ms)", "median (ms)", *["CPU (ms)"] * with_cpu]
    columns += [*(f"{unit} a second" for unit in units), "first is faster by (quartiles)"]
    columns += ["before: median (ms)", "before: first is faster by"] * bool(old)
    columns += ["measured"] * (len(set(measured)) > 1)
    return Table(name, tuple(columns), rows, _caption(found, measured, old_where))


def peak_table(name: str) -> Table:
    """A benchmark's peaks of memory, where it has no times."""
    found = read(RESULTS / f"{name}.json")
    rows = []
    for peak in found["peaks"]:
        sizes = [f"{peak[key] / 1e6:.0f}" for key in ("peak_bytes", "before_bytes")]
        place = Cell(_where(peak["measured"]))
        rows.append([Cell(peak["job"]), *(Cell(size, "number") for size in sizes), place])
    columns = ("job", "peak (MB)", "of these before the job (MB)", "measured")
    return Table(name, columns, rows, f"{_machine(found)}.")


def peer_table() -> Table:
    """Ours against the best peer of every race that has one, now and before."""
    rows = []
    for name in names():
        found = read(RESULTS / f"{name}.json")
        old, _ = _before(name, found["races"])
        for row in found["races"]:
            result = race_of(row)
            if best := best_peer(result):
                first = result.timings[0].name
                _, was = _was(old.get((result.job, best.other)))
                told = [Cell(text, "number") for text in (in_words(best, first), was)]
                rows.append([Cell(name), Cell(result.job), Cell(best.other), *told])
    columns = ("benchmark", "job", "best peer", "ours is faster by (quartiles)", "before")
    caption = f"Before: of the same peer, as results/{BEFORE} has it; empty where nothing is newer."
    return Table("against the best peer", columns, rows, caption)


def profile_table() -> Table:
    """Where the time of each job goes."""
    found = json.loads((RESULTS / f"{PROFILES}.json").read_text())
    rows = [
        [
            Cell("" if place else job["job"]),
            Cell(one["operator"]),
            *(Cell(text, "number") for text in (f"{one['percent']:.1f}", f"{one['self_ms']:.1f}", str(one["calls"]))),
        ]
        for job in found["jobs"]
        for place, one in enumerate(job["operators"])
    ]  # fmt: skip
    columns = ("job", "operator", "of its time (%)", "itself (ms)", "calls")
    return Table(PROFILES, columns, rows, f"{_machine(found)}, {_where(found)}.")


def generated() -> str:
    """All tables, as the README holds them."""
    tables = [peer_table()]
    for name in names():
        has_times = bool(read(RESULTS / f"{name}.json")["races"])
        tables.append(table(name) if has_times else peak_table(name))
    if (RESULTS / f"{PROFILES}.json").exists():
        tables.append(profile_table())
    return "\n\n".join(map(markdown, tables))


# ---- cells


def _in_words(result: Race) -> list[tuple[Timing, str]]:
    first = result.timings[0].name
    return list(zip(result.timings, ["", *(in_words(ratio, first) for ratio in result.ratios)], strict=True))


def _was(old: tuple[Timing, str] | None) -> tuple[str, str]:
    return (f"{1e3 * old[0].median_s:.1f}", old[1]) if old else ("", "")


def _before(name: str, rows: Sequence[Row]) -> tuple[Old, str]:
    """What was published before of jobs that were measured since, and of which commits that is."""
    path = RESULTS / BEFORE / f"{name}.json"
    now = {row["job"]: row["measured"] for row in rows}
    renewed = [
        row
        for row in read(path)["races"]
        if row["job"] in now and row["measured"]["date"] != now[row["job"]]["date"]
    ]
    old = {
        (row["job"], timing.name): (timing, told)
        for row in renewed
        for timing, told in _in_words(race_of(row))
    }
    return old, "; ".join(sorted({_where(row["measured"]) for row in renewed}))


def _machine(found: Mapping[str, Any]) -> str:
    threads = f"{found['threads']} thread{'s' * (found['threads'] > 1)}"
    hardware = found["hardware"]
    vectors = hardware.get("vector_instructions", "")  # not told before 2026-11-27
    processor = hardware["cpu"] + f" ({vectors})" * bool(vectors)
    return f"{hardware['gpu'] or processor}, {threads}"


def _caption(found: Mapping[str, Any], measured: list[str], before: str) -> str:
    where = _machine(found) + (f", {measured[0]}" if len(set(measured)) == 1 else "")
    peaks = "; ".join(f"{peak['job']}: {peak['peak_bytes'] / 1e6:.0f} MB" for peak in found["peaks"])
    told = (f"{where}.", f"Before: {before}." * bool(before), f"Peak memory: {peaks}." * bool(peaks))
    return " ".join(filter(None, told))


def _where(measured: Mapping[str, Any]) -> str:
    told = f"commit {measured['commit'][:SAID_DIGITS]}" + " with changes" * measured.get("dirty", False)
    return f"{told}, {measured['date'][:10]}, load average {measured['load_average'][0]}"
