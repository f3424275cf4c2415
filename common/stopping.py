"""Signals that end a run in good order: the step under way is finished, saved and told of."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

# SLURM sends SIGUSR1 or SIGUSR2 before the time is up, a limit on CPU seconds sends SIGXCPU, a closed terminal SIGHUP.
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
YIELDED = (
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
)  # to whoever listens already, as submitit to SIGUSR2

OWNED = "REPRODUCTIONS_OWNED"  # set for a process that is to end with the one that started it


@contextmanager
def stops_noted() -> Iterator[list[int]]:
    """Collects the signals that ask for a stop, so that a loop can stop between two steps.

    A second Ctrl-C raises KeyboardInterrupt at once. Outside the main thread nothing is collected.
    """
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        caught.append(number)

    if (
        threading.current_thread() is not threading.main_thread()
    ):  # whoever runs us there handles its own signals
        yield caught
        return
    found = {number: signal.getsignal(number) for number in STOPS}
    noted = [number for number in STOPS if number not in YIELDED or found[number] == signal.SIG_DFL]
    if found[signal.SIGHUP] == signal.SIG_IGN:  # nohup
        noted.remove(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in noted}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def names(caught: Sequence[int]) -> str:
    """As "SIGTERM"; what another rank caught has no name here."""
    return signal.Signals(caught[0]).name if caught else "a signal"


def leave_stops_to_the_owner() -> None:
    """For a worker process: what reaches the whole group is for its owner to act on, who then ends the worker."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


def stop_with_the_owner() -> None:
    """Where `OWNED` is set: this process gets SIGTERM when the one that holds the other end of its stdin is gone.

    However that ended; the system closes the pipe of a process that was killed too.
    """
    if not os.environ.pop(OWNED, ""):
        return

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
