"""Fair timings: contenders take turns in one process, and no number leaves without its hardware and date.

Timed one after the other, two equal programs can differ threefold on a machine that others use too. Here
every round runs every contender once, in an order that rotates, and ratios are formed within rounds. A round begins
once others leave the cores alone, where that is asked for.
"""

import importlib
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch
from threadpoolctl import threadpool_limits

from benchmarks import quiet
from benchmarks.quiet import WAIT_LIMIT_S
from common.runtime import peak_memory_bytes

MIN_REPEATS = 7
PUBLISHED_REPEATS = 15


@dataclass(frozen=True)
class Rounds:
    """How contenders are timed."""

    repeats: int = PUBLISHED_REPEATS  # rounds that count
    threads: int = 1  # of torch, BLAS and OpenMP alike
    warmup: int = 1  # rounds before them
    quiet: bool = False  # each round waits until others leave the cores alone
    wait_limit_s: float = WAIT_LIMIT_S  # of all rounds together

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats must be 1 or more, got {self.repeats}")


@dataclass(frozen=True)
class Timing:
    """One contender's seconds, round by round: on the clock, and of all cores together."""

    name: str
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...] = ()

    @property
    def min_s(self) -> float:
        return min(self.seconds)

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def cpu_median_s(self) -> float | None:
        """None where only the clock was read."""
        return statistics.median(self.cpu_seconds) if self.cpu_seconds else None


@dataclass(frozen=True)
class Ratio:
    """How many times faster than `other` the first contender is: median and quartiles over rounds."""

    other: str
    median: float
    low: float  # 25 % of the rounds' ratios lie below
    high: float  # 25 % lie above


@dataclass(frozen=True)
class Race:
    """One job and its contenders, ours first."""

    job: str
    timings: tuple[Timing, ...]
    work: float = 0.0  # that one call gets done, in `unit`; 0 where no such number helps
    unit: str = ""
    loads: tuple[float, ...] = ()  # of each core, by others, before each round
    told: str = ""  # what came out beside times

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        ours, *others = self.timings
        return tuple(_ratio(ours, other) for other in others)


def in_words(ratio: Ratio, first: str) -> str:
    """Ratio and quartiles, and it is said where something of ours is slower than something of others."""
    slower = ratio.median < 1 and first.startswith("ours") and not ratio.other.startswith("ours")
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" + ", ours is slower" * slower


def best_peer(result: Race) -> Ratio | None:
    """Ours against the fastest of the others; None where either is missing."""
    others = [ratio for ratio in result.ratios if not ratio.other.startswith("ours")]
    if not others or not result.timings[0].name.startswith("ours"):
        return None
    return min(others, key=lambda ratio: ratio.median)


@dataclass(frozen=True)
class Peak:
    """Most memory that a fresh process held while it did one job, and what it held before."""

    job: str
    before_bytes: int  # after imports and set-up
    peak_bytes: int


def race(
    job: str,
    contenders: Mapping[str, Callable[[], object]],
    rounds: Rounds,
    *,
    work: float = 0.0,
    unit: str = "",
) -> Race:
    """Times every contender, interleaved, after untimed rounds.

    Args:
        contenders: name to call, ours first; equal work at equal precision is the caller's duty.
        work: that one call gets done, in `unit`.

    Raises:
        CommandError: the machine stays busy where a quiet one was asked for.
    """
    if len(contenders) < 2:
        raise ValueError(f"a race needs 2 contenders, got {len(contenders)}: {', '.join(contenders)}")
    names = list(contenders)
    timed: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    loads: list[float] = []
    waited_s = 0.0
    previous = torch.get_num_threads()
    torch.set_num_threads(rounds.threads)
    try:
        with threadpool_limits(limits=rounds.threads):
            for turn in range(-rounds.warmup, rounds.repeats):
                shift = turn % len(names)
                if turn >= 0 and rounds.quiet:
                    began = time.monotonic()
                    loads.append(quiet.until_quiet(rounds.wait_limit_s, waited_s=waited_s))
                    waited_s += time.monotonic() - began
                elif turn >= 0:
                    loads.append(quiet.load_now())
                for name in names[shift:] + names[:shift]:
                    elapsed = _time(contenders[name])
                    if turn >= 0:
                        timed[name].append(elapsed)
    finally:
        torch.set_num_threads(previous)
    timings = [Timing(name, *map(tuple, zip(*timed[name], strict=True))) for name in names]
    return Race(job, tuple(timings), work, unit, tuple(round(load, 3) for load in loads))


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


def _time(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of all cores together."""
    _wait_for_gpu()
    start, cpu_start = time.perf_counter(), time.process_time()
    call()
    _wait_for_gpu()
    return time.perf_counter() - start, time.process_time() - cpu_start


def _wait_for_gpu() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _ratio(ours: Timing, other: Timing) -> Ratio:
    per_round = [theirs / mine for theirs, mine in zip(other.seconds, ours.seconds, strict=True)]
    if len(per_round) == 1:
        return Ratio(other.name, *per_round * 3)
    low, median, high = statistics.quantiles(per_round, n=4, method="inclusive")
    return Ratio(other.name, median, low, high)
