"""What all command lines share: a sentence and an exit code for every error, and signals. Nothing heavy is imported."""

from __future__ import annotations

import os
import re
import signal
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from common.errors import CommandError

TRACEBACK = "REPRODUCTIONS_TRACEBACK"  # set, errors keep their traceback
# Of every tool's `typer.Typer`.
TOOL_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


RESUME = (
    "auto goes on, and refuses another run's folder; must fails where there is nothing to go on from; never discards "
    "what is there; replace puts another run's aside."
)


def tool(about: str) -> typer.Typer:
    """The `typer.Typer` of a console script: -h and --version as everywhere.

    Args:
        about: what its help begins with.
    """
    app = typer.Typer(help=about, **TOOL_SETTINGS)

    @app.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True),
        ] = False,
    ) -> None:
        pass

    return app


def _version(
    context: Any, asked: bool
) -> bool:  # typer hands over click's own, which is typer's by name alone
    if asked:
        typer.echo(f"{context.find_root().info_name} {_number()}")
        raise typer.Exit
    return asked


def _number() -> str:
    """Of what is installed, else of the clone that this module lies in."""
    try:
        return metadata.version("speech-video-reproductions")
    except metadata.PackageNotFoundError:
        with open(Path(__file__).parents[1] / "pyproject.toml", "rb") as file:
            return str(tomllib.load(file)["project"]["version"])


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM; no `except Exception` on the way may hold it."""


@contextmanager
def plain_errors(*, stopped: str = "nothing was written", too_large: str = "the input is") -> Iterator[None]:
    """Carries out the policy of `common.errors`: a sentence on stderr, an exit code, no traceback but for our faults.

    Args:
        stopped: what a signal leaves behind.
        too_large: what is, where memory runs out.
    """
    with _stopping_signals():
        try:
            yield
        except (
            BrokenPipeError,
            typer.Exit,
            typer.Abort,
        ):  # `| head` has seen enough: click ends without a word
            raise
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            if os.environ.get(TRACEBACK):
                raise
            _tell(error, too_large)
        except _Stopped as signalled:
            number = int(signalled.args[0])
            fail(f"stopped by {signal.Signals(number).name}, {stopped}", 128 + number)
        except KeyboardInterrupt:  # from code that handles signals itself
            fail(f"stopped, {stopped}", 128 + signal.SIGINT)


def _tell(error: Exception, too_large: str) -> NoReturn:
    """Ends the command, or raises the error again where it is a fault of ours."""
    if isinstance(error, CommandError):
        fail(str(error), error.exit_code)
    if isinstance(error, ValueError):
        fail(str(error), CommandError.exit_code)
    if isinstance(error, OSError):
        where = "" if error.filename or not error.errno else f" ({TRACEBACK}=1 shows where)"
        fail(f"{error}{where}", CommandError.exit_code)
    if isinstance(error, MemoryError) or "memory" in str(error):
        told = str(error) or "no memory left"
        fail(f"out of memory, {too_large} too large for this device: {told}", CommandError.exit_code)
    raise error


@contextmanager
def _stopping_signals() -> Iterator[None]:
    """Raises `_Stopped` on a signal that would end the process; one that is ignored, as by nohup, stays ignored."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: found for each in asked if (found := signal.getsignal(each)) != signal.SIG_IGN}
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a worker that was forked from here: whoever waits for it tells
            os._exit(128 + number)
        for each in before:  # the clean-up that follows is short and must not be cut
            signal.signal(each, signal.SIG_IGN)
        raise _Stopped(number)

    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def complain(sentence: str) -> None:
    """One line on stderr, whatever the sentence holds; lines that are indented by two, as of a list, stay lines."""
    printable = sentence.encode(errors="backslashreplace").decode()  # names of files need be no text
    head, *items = re.split(r"\n(?=  )", printable)
    typer.echo(
        "\n  ".join(["error: " + " ".join(head.split()), *(" ".join(i.split()) for i in items)]), err=True
    )


def fail(sentence: str, code: int) -> NoReturn:
    """One line on stderr, and the exit code."""
    complain(sentence)
    raise typer.Exit(code)


def tell_changes() -> None:
    """Says what keeps the results of this checkout from being published: before hours of training, not after them."""
    from common.papers import ROOT
    from common.provenance import changes

    if told := changes(ROOT):
        typer.echo(told, err=True)
