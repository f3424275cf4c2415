"""What every command line does with errors and signals."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
import typer
from patience import HANG_S

from common.command import plain_errors
from common.errors import CommandError, Diverged, Interrupted


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_says_what_is_left_and_handlers_come_back(capsys, number):
    before = signal.getsignal(number)
    with pytest.raises(typer.Exit) as left, plain_errors(stopped="what is done is kept"):
        os.kill(os.getpid(), number)
    assert left.value.exit_code == 128 + number
    assert capsys.readouterr().err == f"error: stopped by {number.name}, what is done is kept\n"
    assert signal.getsignal(number) is before


def test_a_list_stays_a_list(capsys):
    with pytest.raises(typer.Exit), plain_errors():
        raise ValueError("2 of 3 items are bad:\n  a: cut\n  off\n  b: gone")
    assert capsys.readouterr().err == "error: 2 of 3 items are bad:\n  a: cut\n  off\n  b: gone\n"


def test_a_disk_that_is_full_says_how_to_see_where(capsys, monkeypatch):
    with pytest.raises(typer.Exit), plain_errors():
        raise OSError(28, "No space left on device")
    assert "No space left on device (REPRODUCTIONS_TRACEBACK=1 shows where)" in capsys.readouterr().err
    with pytest.raises(typer.Exit), plain_errors():
        raise FileNotFoundError(2, "No such file or directory", "a.mp4")
    assert capsys.readouterr().err == "error: [Errno 2] No such file or directory: 'a.mp4'\n"
    monkeypatch.setenv("REPRODUCTIONS_TRACEBACK", "1")
    with pytest.raises(OSError, match="No space"), plain_errors():
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("failure", "code"), [(CommandError, 2), (Diverged, 4), (Interrupted, 130)])
def test_a_failure_ends_with_its_own_code(capsys, failure, code):
    with pytest.raises(typer.Exit) as left, plain_errors():
        raise failure("loss is no number")
    assert left.value.exit_code == code
    assert capsys.readouterr().err == "error: loss is no number\n"


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with plain_errors():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def sleep(ready):
    ready.set()
    time.sleep(HANG_S)


def test_a_forked_worker_dies_of_its_signal_without_a_word(capfd):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    with plain_errors():
        worker = context.Process(target=sleep, args=(ready,))
        worker.start()
        assert ready.wait(HANG_S)
        os.kill(worker.pid, signal.SIGINT)
        worker.join()
    assert worker.exitcode == 130
    assert capfd.readouterr().err == ""
