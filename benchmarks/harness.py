"""Fair timings: contenders take turns in one process, and no number leaves without its hardware and date.

Timed one after the other, two equal programs can differ threefold on a machine that others use too. Here
every round runs every contender once, in an order that rotates, and ratios are formed within rounds.
"""

import argparse
import datetime
import importlib
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from common.files import write_atomically
from common.papers import ROOT
from common.results import provenance
from common.runtime import peak_memory_bytes

MIN_REPEATS = 7
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timing:
    """One contender's seconds, round by round."""

    name: str
    seconds: tuple[float, ...]

    @property
    def min_s(self) -> float:
        return min(self.seconds)

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Ratio:
    """How many times faster than `other` the first contender is: median and quartiles over rounds."""

    other: str
    of_medians: float
    low: float  # 25 % of the rounds' ratios lie below
    high: float  # 25 % lie above


@dataclass(frozen=True)
class Race:
    """One job and its contenders, ours first."""

    job: str
    timings: tuple[Timing, ...]
    work: float = 0.0  # that one call gets done, in `unit`; 0 where no such number helps
    unit: str = ""

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        ours, *others = self.timings
        return tuple(_ratio(ours, other) for other in others)


def in_words(ratio: Ratio, first: str) -> str:
    """Ratio and quartiles, and it is said where something of ours is slower than something of others."""
    slower = ratio.of_medians < 1 and first.startswith("ours") and not ratio.other.startswith("ours")
    return f"{ratio.of_medians:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" + ", ours is slower" * slower


def best_other(result: Race) -> str:
    """How ours does against the fastest of the others, in a sentence; empty where there is none."""
    first = result.timings[0].name
    others = [ratio for ratio in result.ratios if not ratio.other.startswith("ours")]
    if not others or not first.startswith("ours"):
        return ""
    best = min(others, key=lambda ratio: ratio.of_medians)
    return f"{result.job}: the best peer is {best.other}, {first} is faster by {in_words(best, first)}"


@dataclass(frozen=True)
class Peak:
    """Most memory that a fresh process held while it did one job, and what it held before."""

    job: str
    before_bytes: int  # after imports and set-up
    peak_bytes: int


def race(
    job: str,
    contenders: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 9,
    warmup: int = 1,
    threads: int = 1,
) -> Race:
    """Times every contender `repeats` times, interleaved, after `warmup` untimed rounds.

    Args:
        contenders: name to call, ours first; equal work at equal precision is the caller's duty.
        threads: of torch, BLAS and OpenMP alike.
    """
    if repeats < MIN_REPEATS:
        raise ValueError(
            f"repeats must be at least {MIN_REPEATS} for quartiles to mean something, got {repeats}"
        )
    if len(contenders) < 2:
        raise ValueError(f"a race needs 2 contenders, got {len(contenders)}: {', '.join(contenders)}")
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    previous = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            for turn in range(-warmup, repeats):
                shift = turn % len(names)
                for name in names[shift:] + names[:shift]:
                    elapsed = _time(contenders[name])
                    if turn >= 0:
                        seconds[name].append(elapsed)
    finally:
        torch.set_num_threads(previous)
    return Race(job, tuple(Timing(name, tuple(seconds[name])) for name in names))


def peak_memory(job: str, *, module: str, maker: str, arguments: tuple = (), threads: int = 1) -> Peak:
    """Runs `module.maker(*arguments)()` twice in a process of its own and reads the most memory it held.

    Raises:
        RuntimeError: the process died, for want of memory perhaps.
    """
    if torch.cuda.is_initialized():  # what this process keeps for later is not there for the other
        torch.cuda.empty_cache()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measure, args=(theirs, module, maker, arguments, threads))
    process.start()
    theirs.close()  # or nobody would notice that the other end is gone
    try:
        before_bytes, peak_bytes = ours.recv()
    except EOFError as error:
        raise RuntimeError(f"{job}: the process that was to be measured died, see above") from error
    process.join()
    return Peak(job, before_bytes, peak_bytes)


def _measure(pipe: Connection, module: str, maker: str, arguments: tuple, threads: int) -> None:
    torch.set_num_threads(threads)
    call = getattr(importlib.import_module(module), maker)(*arguments)
    before_bytes = peak_memory_bytes()
    call()
    call()
    pipe.send((before_bytes, peak_memory_bytes()))


def publish(
    name: str, races: Sequence[Race], *, threads: int, folder: Path = RESULTS, peaks: Sequence[Peak] = ()
) -> Path:
    """Prints a table and writes folder/NAME.json with every round and where it ran."""
    _print(races, peaks)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_initialized() else None
    record = {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load_average": [round(load, 2) for load in os.getloadavg()],  # a busy machine times poorly
        "threads": threads,
        **provenance(ROOT, gpu=gpu),
        "races": [_row(result) for result in races],
        "peaks": [asdict(peak) for peak in peaks],
    }
    path = folder / f"{name}.json"
    write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())
    print(f"written to {path}")
    return path


def name_here(name: str) -> str:
    """Name of a benchmark's file: that of a GPU stands beside that of a CPU."""
    return f"{name}_gpu" if torch.cuda.is_available() else name


def options(description: str, *, repeats: int = 9, threads: int = 1) -> argparse.Namespace:
    """The command line every benchmark shares: repeats, threads, folder; the first two have defaults of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--repeats",
        type=int,
        default=repeats,
        help=f"timed rounds, at least {MIN_REPEATS} (default %(default)s)",
    )
    parser.add_argument("--threads", type=int, default=threads, help="CPU threads (default %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=RESULTS, help="where the JSON goes (default %(default)s)"
    )
    return parser.parse_args()


def _time(call: Callable[[], object]) -> float:
    _wait_for_gpu()
    start = time.perf_counter()
    call()
    _wait_for_gpu()
    return time.perf_counter() - start


def _wait_for_gpu() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _ratio(ours: Timing, other: Timing) -> Ratio:
    per_round = [theirs / mine for theirs, mine in zip(other.seconds, ours.seconds, strict=True)]
    low, _, high = statistics.quantiles(per_round, n=4, method="inclusive")
    return Ratio(other.name, other.median_s / ours.median_s, low, high)


def _row(result: Race) -> dict:
    timings = [asdict(t) | {"min_s": t.min_s, "median_s": t.median_s} for t in result.timings]
    done = {"work": result.work, "unit": result.unit} if result.work else {}
    return {
        "job": result.job,
        **done,
        "timings": timings,
        "ratios": [asdict(ratio) for ratio in result.ratios],
    }


def _print(races: Sequence[Race], peaks: Sequence[Peak]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "job", "contender", "min ms", "median ms", "work a second", "first is faster by (quartiles)"
    )
    for result in races:
        bands = ["", *(in_words(ratio, result.timings[0].name) for ratio in result.ratios)]
        for place, (timing, band) in enumerate(zip(result.timings, bands, strict=True)):
            milliseconds = [f"{1e3 * seconds:.1f}" for seconds in (timing.min_s, timing.median_s)]
            pace = f"{result.work / timing.median_s:.2f} {result.unit}" if result.work else ""
            table.add_row("" if place else result.job, timing.name, *milliseconds, pace, band)
    Console().print(table)
    memory = Table("job", "peak MB", "of these before the job")
    for peak in peaks:
        memory.add_row(peak.job, f"{peak.peak_bytes / 1e6:.0f}", f"{peak.before_bytes / 1e6:.0f}")
    if peaks:
        Console().print(memory)
    for told in filter(None, map(best_other, races)):
        print(told)
