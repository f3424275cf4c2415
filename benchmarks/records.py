"""Result files of benchmarks: one part after another is written as it is finished, so that a stop keeps what is there.

A benchmark is a few named parts. What was measured at this commit, on this machine and with as many rounds is not
measured again; what an earlier commit measured stays until its part is, with its own commit and date beside it.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks import quiet
from benchmarks.harness import PUBLISHED_REPEATS, Peak, Race, Rounds, Timing, best_peer, in_words
from common.errors import CommandError
from common.files import write_atomically
from common.papers import ROOT
from common.provenance import provenance

FILE_WIDTH = 160  # of tables that no terminal shows
RESULTS = Path(__file__).parent / "results"
Part = Callable[[Rounds], Sequence[Race | Peak]]
Parts = Mapping[str, Part]  # by name, the most important first
OWN_FILES = (
    ":!benchmarks/results",
    ":!benchmarks/README.md",
)  # written by benchmarks: no change of the source


def options(description: str, *, threads: int = 1) -> argparse.Namespace:
    """The command line every benchmark shares; the process is pinned to as many cores as it has threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--parts", nargs="+", default=[], metavar="PART", help="some of them (default all)")
    parser.add_argument(
        "--repeats",
        type=int,
        default=PUBLISHED_REPEATS,
        help="timed rounds, 15 for numbers that are published (default %(default)s)",
    )
    parser.add_argument(
        "--threads", type=int, default=threads, help="CPU threads, one a pinned core (default %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="wait before each round until others rest")
    parser.add_argument(
        "--wait-limit-s", type=float, default=quiet.WAIT_LIMIT_S, help="(default %(default)s)"
    )
    parser.add_argument("--anew", action="store_true", help="measure again what is measured at this commit")
    parser.add_argument(
        "--folder", type=Path, default=RESULTS, help="where the JSON goes (default %(default)s)"
    )
    asked = parser.parse_args()
    asked.usual_threads = threads
    quiet.pin(asked.threads)
    return asked


def rounds_of(asked: argparse.Namespace) -> Rounds:
    return Rounds(asked.repeats, asked.threads, quiet=asked.quiet, wait_limit_s=asked.wait_limit_s)


def file_name(name: str, threads: int, usual_threads: int) -> str:
    """Name of a benchmark's file: that of a GPU stands beside that of a CPU, that of other cores beside the usual."""
    if torch.cuda.is_available():
        return f"{name}_gpu"
    return name if threads == usual_threads else f"{name}_{threads}_core{'s' * (threads > 1)}"


def publish(name: str, asked: argparse.Namespace, parts: Parts) -> Path:
    """Measures the parts that are asked for and not there, and writes folder/NAME.json after each.

    Raises:
        ValueError: no such part.
        SystemExit: the machine stayed busy; parts that were finished are kept.
    """
    if unknown := sorted(set(asked.parts) - set(parts)):
        raise ValueError(f"no part {', '.join(unknown)}; {name} has {', '.join(parts)}")
    path = asked.folder / f"{file_name(name, asked.threads, asked.usual_threads)}.json"
    path = of_this_machine(path, _machine(asked.threads)["hardware"])
    rounds = rounds_of(asked)
    for part in [each for each in parts if not asked.parts or each in asked.parts]:
        if not asked.anew and _is_there(path, part, rounds):
            print(f"{part}: measured at this commit already, see {path}; --anew measures it again")
            continue
        began = measured(rounds)
        try:
            found = parts[part](rounds)
        except CommandError as error:
            raise SystemExit(f"error: {part}: {error}") from error
        if not found:  # what it needs is not installed: rows of before stay
            continue
        show(found)
        write(path, part, found, began)
        print(f"{part}: written to {path}", flush=True)
    return path


def of_this_machine(path: Path, hardware: Mapping[str, Any]) -> Path:
    """The file itself, or one beside it where it holds rows of another machine: named by the GPU or the CPU's vector
    instructions, and by a hash of the hardware where those are the same."""
    tag = re.sub(r"[^a-z0-9]+", "-", (hardware["gpu"] or hardware["vector_instructions"] or "other").lower())
    digits = hashlib.sha256(json.dumps(hardware, sort_keys=True).encode()).hexdigest()[:6]
    for one in (path, path.with_stem(f"{path.stem}_{tag}")):
        if not one.exists() or _same_hardware(read(one).get("hardware", {}), hardware):
            return one
    return path.with_stem(f"{path.stem}_{tag}_{digits}")


def write(path: Path, part: str, found: Sequence[Race | Peak], began: Mapping[str, Any]) -> None:
    """Puts a part's rows in the place of those of the same names.

    Args:
        path: as `of_this_machine` gives it.
    """
    before = read(path)
    machine = _machine(began["threads"])
    rows = {
        "races": [_row(one) for one in found if isinstance(one, Race)],
        "peaks": [asdict(one) for one in found if isinstance(one, Peak)],
    }
    kept = {}
    for kind, new in rows.items():
        named = {row["job"]: row | {"part": part, "measured": dict(began)} for row in new}
        of_part = [row for row in before[kind] if row.get("part") == part]
        old = [row for row in before[kind] if row not in of_part or row["job"] in named]
        kept[kind] = [named.pop(row["job"], row) for row in old] + [*named.values()]
    record = {"benchmark": path.stem, **machine, **kept}
    write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """A result file, each row with what it was measured by; without rows where there is no file."""
    if not path.exists():
        return {"races": [], "peaks": []}
    found: dict[str, Any] = json.loads(path.read_text())
    whole = {
        key: found[key] for key in ("date", "commit", "dirty", "load_average", "threads") if key in found
    }
    for row in (*found["races"], *found["peaks"]):
        row.setdefault("measured", whole)
    return found


def race_of(row: Mapping[str, Any]) -> Race:
    """The race that a row holds."""
    timings = [
        Timing(one["name"], tuple(one["seconds"]), tuple(one.get("cpu_seconds", ())))
        for one in row["timings"]
    ]
    done = {key: row[key] for key in ("work", "unit", "told") if key in row}
    return Race(row["job"], tuple(timings), loads=tuple(row.get("loads", ())), **done)


def milliseconds(timing: Timing) -> tuple[str, str, str]:
    """Shortest and median on the clock, and median of all cores together where it was read."""
    seconds = (timing.min_s, timing.median_s, timing.cpu_median_s)
    least, median, cpu = ("" if s is None else f"{1e3 * s:.1f}" for s in seconds)
    return least, median, cpu


def show(found: Sequence[Race | Peak]) -> None:
    """Tables of what was measured, and how ours does against the best peer."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "job", "contender", "min ms", "median ms", "CPU ms", "work a second", "first is faster by (quartiles)"
    )
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    races = [one for one in found if isinstance(one, Race)]
    for result in races:
        bands = ["", *(in_words(ratio, result.timings[0].name) for ratio in result.ratios)]
        for place, (timing, band) in enumerate(zip(result.timings, bands, strict=True)):
            pace = f"{result.work / timing.median_s:.2f} {result.unit}" if result.work else ""
            job = "" if place else f"{result.job}{f': {result.told}' * bool(result.told)}"
            table.add_row(job, timing.name, *milliseconds(timing), pace, band)
    if races:
        console.print(table)
    memory = Table("job", "peak MB", "of these before the job")
    peaks = [one for one in found if isinstance(one, Peak)]
    for peak in peaks:
        memory.add_row(peak.job, f"{peak.peak_bytes / 1e6:.0f}", f"{peak.before_bytes / 1e6:.0f}")
    if peaks:
        console.print(memory)
    for one in races:
        if best := best_peer(one):
            first = one.timings[0].name
            print(f"{one.job}: the best peer is {best.other}, {first} is faster by {in_words(best, first)}")


def _row(result: Race) -> dict[str, Any]:
    timings = [asdict(t) | {"min_s": t.min_s, "median_s": t.median_s} for t in result.timings]
    done: dict[str, Any] = {"work": result.work, "unit": result.unit} if result.work else {}
    ratios = [asdict(ratio) for ratio in result.ratios]
    done |= {"told": result.told} if result.told else {}
    return {"job": result.job, **done, "loads": result.loads, "timings": timings, "ratios": ratios}


def measured(rounds: Rounds) -> dict[str, Any]:
    """What stands beside the rows of a part."""
    found = provenance(ROOT)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": found["commit"],
        "dirty": _source_changed(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "threads": rounds.threads,
        "repeats": rounds.repeats,
        "quiet": rounds.quiet,
        "versions": found["versions"],
    }


def _machine(threads: int) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    found = provenance(ROOT, gpu=gpu)
    return {"threads": threads, "hardware": found["hardware"], "lock_sha256": found["lock_sha256"]}


def _same_hardware(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """In all that both tell: an older file knows less."""
    return bool(before) and all(before[key] == now[key] for key in before.keys() & now.keys())


def _source_changed() -> bool:
    """Whether the working tree differs from its commit by more than results."""
    line = ["git", "status", "--porcelain", "--", ".", *OWN_FILES]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode != 0 or done.stdout != ""


def _is_there(path: Path, part: str, rounds: Rounds) -> bool:
    """Whether the part was measured as it would be now; what a changed tree measured is nobody's commit."""
    now = measured(rounds)
    same = ("commit", "threads", "repeats", "quiet")
    there = read(path)
    rows = [row["measured"] for row in (*there["races"], *there["peaks"]) if row.get("part") == part]
    return bool(rows) and all(
        all(row.get(key) == now[key] for key in same) and not row["dirty"] and not now["dirty"]
        for row in rows
    )
