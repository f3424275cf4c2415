"""Waits until nobody else uses the cores that are to be timed, since no statistics mend a busy machine."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from common.errors import CommandError

MOST_LOAD = 0.3  # of a core, taken by others, on the mean over all cores
LOOK_S = 0.3  # over which load is measured; the average that the system keeps is over a minute, and counts ourselves
PAUSE_S = 2.0  # between two looks
WAIT_LIMIT_S = 300.0
STAT = Path("/proc/stat")
IDLE = (3, 4)  # columns of `STAT` in which a core rests: idle, and waiting for a disk
COUNTED = 8  # columns; the others are of guests and counted already


def pin(cores: int) -> None:
    """Leaves this process the last `cores` of those that it may use; to be called before threads are made.

    Raises:
        CommandError: fewer are there.
    """
    if not hasattr(os, "sched_setaffinity"):  # macOS
        return
    there = sorted(os.sched_getaffinity(0))
    if len(there) < cores:
        raise CommandError(f"{cores} cores were asked for, this process may use {len(there)}")
    os.sched_setaffinity(0, there[-cores:])


def machine_busy_s() -> float:
    """CPU seconds that all cores together have worked since the start, those taken by other guests included."""
    counts = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1 : COUNTED + 1]]
    return sum(n for column, n in enumerate(counts) if column not in IDLE) / os.sysconf("SC_CLK_TCK")


def load_now() -> float:
    """What others take of each core in 0..1, measured while this process sleeps; 0 where no system tells it."""
    if not STAT.is_file():
        return 0.0
    before, started = machine_busy_s() - time.process_time(), time.perf_counter()
    time.sleep(LOOK_S)
    # Threads that wait for more to multiply spin for a while: that is our own time.
    others = machine_busy_s() - time.process_time() - before
    return max(0.0, others) / (time.perf_counter() - started) / (os.cpu_count() or 1)


def until_quiet(
    limit_s: float = WAIT_LIMIT_S,
    tell: Callable[[str], object] = print,
    look: Callable[[], float] = load_now,
    pause_s: float = PAUSE_S,
    waited_s: float = 0.0,
) -> float:
    """Returns the load once it is below `MOST_LOAD`.

    Args:
        limit_s: seconds to wait at most, those of earlier rounds included.
        tell: is given one sentence where there is something to wait for.
        waited_s: seconds that earlier rounds waited.

    Raises:
        CommandError: the machine stayed busy.
    """
    started, told = time.monotonic(), False
    while (load := look()) >= MOST_LOAD:
        if waited_s + time.monotonic() - started >= limit_s:
            raise CommandError(
                f"others took {load:.2f} of each core for {limit_s:g} s, and below {MOST_LOAD:g} is asked for; "
                "stop them, or measure without --quiet. What was finished is kept"
            )
        if not told:
            tell(
                f"others take {load:.2f} of each core; waiting up to {limit_s - waited_s:.0f} s for less than "
                f"{MOST_LOAD:g}"
            )
            told = True
        time.sleep(pause_s)
    return load
