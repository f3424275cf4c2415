"""What the tools' command lines share: plain errors, signals, progress. Nothing heavy is imported."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import typer

LINE_EVERY_S = 10.0  # progress where no terminal watches
# Of every tool's `typer.Typer`.
TOOL_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM; no `except Exception` on the way may hold it."""


@contextmanager
def plain_errors(*, stopped: str = "nothing was written", too_large: str = "the input is") -> Iterator[None]:
    """A user's mistake becomes one sentence and exit code 2, a signal 128 + its number; no traceback.

    Args:
        stopped: what a signal leaves behind.
        too_large: what is, where memory runs out.
    """
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in signals:  # the clean-up that follows is short and must not be cut
            signal.signal(each, signal.SIG_IGN)
        raise _Stopped(number)

    before = {each: signal.signal(each, stop) for each in signals}
    try:
        yield
    except BrokenPipeError:  # `| head` has seen enough: click ends without a word
        raise
    except (ValueError, OSError) as error:
        fail(str(error), 2)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        fail(f"out of memory, {too_large} too large for this device: {error}", 2)
    except _Stopped as signalled:
        number = int(signalled.args[0])
        fail(f"stopped by {signal.Signals(number).name}, {stopped}", 128 + number)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def complain(sentence: str) -> None:
    """One line on stderr, whatever the sentence holds."""
    typer.echo(f"error: {' '.join(sentence.split())}", err=True)


def fail(sentence: str, code: int) -> NoReturn:
    """One line on stderr, and the exit code."""
    complain(sentence)
    raise typer.Exit(code)


@contextmanager
def progress(total: int | None, noun: str = "frame") -> Iterator[Callable[[], object]]:
    """A bar with the time left on a terminal, else a line every 10 s; on stderr. Gives what to call per `noun`."""
    if not sys.stderr.isatty():
        yield _lines(total, noun)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        f"{noun}s",
        TimeElapsedColumn(),
        "left",
        TimeRemainingColumn(),
    )
    # rich would else move what is printed meanwhile to stderr, even where stdout is a file.
    own_screen = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=own_screen) as bar:
        task = bar.add_task(noun, total=total)
        yield lambda: bar.advance(task)


def _lines(total: int | None, noun: str) -> Callable[[], object]:
    begun = said = time.monotonic()
    done = 0

    def advance() -> None:
        nonlocal said, done
        done += 1
        now = time.monotonic()
        if now - said >= LINE_EVERY_S:
            said, rate_hz = now, done / (now - begun)
            left = f" of {total}, {max(0, total - done) / rate_hz:.0f} s left" if total else ""
            typer.echo(f"{noun} {done}{left}, {rate_hz:.2f} {noun}s/s", err=True)

    return advance
