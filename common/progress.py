"""One progress bar for every wait: on a terminal a bar, elsewhere a line every 10 s, both with rate and time left."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY_S = 10.0  # where no terminal watches
Item = TypeVar("Item")


@runtime_checkable
class Bar(Protocol):
    """What `progress` gives: it is told how far the work is, and shows it on stderr."""

    def advance(self, count: float = 1, note: str = "") -> None:
        """So much more is done; the note stands at the end of the line until the next one."""

    def reach(self, done: float, note: str = "") -> None:
        """So much is done altogether."""


@contextmanager
def progress(label: str, total: float | None, noun: str, *, done: float = 0) -> Iterator[Bar]:
    """Shows how far a piece of work is, for as long as the block lasts; blocks may be nested.

    Args:
        label: what is waited for, as "decoding".
        total: how many of `noun` there are; None where nobody knows, and then no time left is told.
        noun: one of what is counted: "file", "step", or a unit in capitals, which has no plural: "MB".
        done: what was done before, which no time is counted for.
    """
    count = _Count(label, total, noun, done)
    if multiprocessing.parent_process() is not None:  # a worker: who waits for it shows how far it is
        yield _Silent(count)
        return
    if not sys.stderr.isatty():
        yield _Lines(count)
        return
    bar = _TERMINAL.add(count)
    try:
        yield bar
    finally:
        _TERMINAL.remove(bar)


def tracked(items: Iterable[Item], label: str, total: int | None, noun: str) -> Iterator[Item]:
    """The items one after another, with a bar that moves whenever the next one is asked for."""
    with progress(label, total, noun) as bar:
        for item in items:
            yield item
            bar.advance()


def say(sentence: str) -> None:
    """A line on stderr, above the bars."""
    print(sentence, file=sys.stderr, flush=True)


class _Count:
    """How far the work is, in words."""

    def __init__(self, label: str, total: float | None, noun: str, done: float):
        self.label, self.total, self.done, self.first = label, total, done, done
        self.nouns = noun if noun.isupper() else f"{noun}s"
        self.begun_s = time.monotonic()

    def told(self, now_s: float, note: str) -> str:
        """As "3 of 40 files, 0.05 files/s, 12 min left" and the note."""
        return ", ".join(filter(None, (self._amount(), self._pace(now_s), note)))

    def _amount(self) -> str:
        whole = "" if self.total is None else f" of {_number(self.total)}"
        return f"{_number(self.done)}{whole} {self.nouns}"

    def _pace(self, now_s: float) -> str:
        """Nothing before the first is done."""
        if self.done <= self.first or now_s <= self.begun_s:
            return ""
        rate_hz = (self.done - self.first) / (now_s - self.begun_s)
        told = f"{rate_hz:.0f}" if rate_hz >= 100 else f"{rate_hz:.3g}"
        left = "" if self.total is None else f", {_time(max(0, self.total - self.done) / rate_hz)} left"
        return f"{told} {self.nouns}/s{left}"


def _number(amount: float) -> str:
    return f"{amount:.1f}" if isinstance(amount, float) else str(amount)


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class _Silent:
    def __init__(self, count: _Count):
        self.count = count

    def advance(self, count: float = 1, note: str = "") -> None:
        self.reach(self.count.done + count, note)

    def reach(self, done: float, note: str = "") -> None:
        self.count.done = done


class _Lines(_Silent):
    def __init__(self, count: _Count):
        super().__init__(count)
        self.said_s = count.begun_s

    def reach(self, done: float, note: str = "") -> None:
        super().reach(done)
        now_s = time.monotonic()
        if now_s - self.said_s >= LINE_EVERY_S:
            self.said_s = now_s
            say(f"{self.count.label}: {self.count.told(now_s, note)}")


class _Drawn(_Silent):
    """What the terminal draws several times a second, however often it is told."""

    note = ""
    task: TaskID

    def reach(self, done: float, note: str = "") -> None:
        self.note = note
        super().reach(done)

    def told(self) -> str:
        return self.count.told(time.monotonic(), self.note)


class _Terminal:
    """Rich draws one live display at a time, so that bars which are shown together share it."""

    def __init__(self) -> None:
        self.screen: Progress | None = None
        self.bars: list[_Drawn] = []

    def add(self, count: _Count) -> _Drawn:
        if self.screen is None:
            self.screen = _screen()
            self.screen.start()
        bar = _Drawn(count)
        bar.task = self.screen.add_task(count.label, total=count.total, bar=bar)
        self.bars.append(bar)
        return bar

    def remove(self, bar: _Drawn) -> None:
        assert self.screen is not None
        self.bars.remove(bar)
        self.screen.remove_task(bar.task)
        if not self.bars:
            self.screen.stop()
            self.screen = None

    def forked(self) -> None:
        """In a worker: nobody else is there to draw, or to let go of the display's locks."""
        if self.screen is not None:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            self.screen, self.bars = None, []


def _screen() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    class Bars(BarColumn):
        def render(self, task: Task) -> ProgressBar:
            task.completed = task.fields["bar"].count.done
            return super().render(task)

    class Told(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(task.fields["bar"].told())

    columns = (
        TextColumn("{task.description}", markup=False),
        Bars(bar_width=24),
        TimeElapsedColumn(),
        Told(),
    )
    # rich would else move what is printed meanwhile to stderr, even where stdout is a file.
    own_screen = sys.stdout.isatty()
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=own_screen)


_TERMINAL = _Terminal()  # there is one
os.register_at_fork(after_in_child=_TERMINAL.forked)
