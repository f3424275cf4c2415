"""What every tool's command line does with errors, signals and progress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import typer
from patience import HANG_S

from common.command import plain_errors, progress


@pytest.mark.parametrize("error", [ValueError("width must be\n even, got 3"), OSError("disk full")])
def test_a_users_mistake_is_one_line_and_exit_code_2(capsys, error):
    with pytest.raises(typer.Exit) as left, plain_errors():
        raise error
    assert left.value.exit_code == 2
    assert capsys.readouterr().err == f"error: {' '.join(str(error).split())}\n"


def test_memory_that_runs_out_is_a_users_mistake_and_other_runtime_errors_are_ours(capsys):
    with pytest.raises(typer.Exit), plain_errors(too_large="frames are"):
        raise RuntimeError("CUDA out of memory")
    assert "frames are too large for this device" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="shapes"), plain_errors():
        raise RuntimeError("shapes differ")


def test_an_exit_passes_with_its_code():
    with pytest.raises(typer.Exit) as left, plain_errors():
        raise typer.Exit(1)
    assert left.value.exit_code == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    code = (
        "import sys, typer; from common.command import plain_errors, TOOL_SETTINGS\n"
        "app = typer.Typer(**TOOL_SETTINGS)\n"
        "@app.command()\ndef talk():\n"
        "  with plain_errors():\n    for _ in range(100000): typer.echo('word ' * 20)\n"
        "app()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("word")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_says_what_is_left_and_handlers_come_back(capsys, number):
    before = signal.getsignal(number)
    with pytest.raises(typer.Exit) as left, plain_errors(stopped="what is done is kept"):
        os.kill(os.getpid(), number)
    assert left.value.exit_code == 128 + number
    assert capsys.readouterr().err == f"error: stopped by {number.name}, what is done is kept\n"
    assert signal.getsignal(number) is before


def test_lines_say_what_is_left_where_no_terminal_watches(capsys, monkeypatch):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("common.command.time.monotonic", lambda: float(next(clock)))
    with progress(4, "window") as advance:
        advance()
    assert capsys.readouterr().err == "window 1 of 4, 60 s left, 0.05 windows/s\n"


def test_what_is_printed_beside_a_bar_still_goes_to_stdout():
    """rich moves it to stderr when that is a terminal, where a person's `> file` would stay empty."""
    code = "from common.command import progress\nwith progress(2) as step:\n step(); print('text'); step()"
    terminal, end = os.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=end,
        text=True,
        check=True,
        timeout=HANG_S,
    )
    os.close(end)
    os.close(terminal)
    assert done.stdout == "text\n"
