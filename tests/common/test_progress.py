"""Every wait says how far it is, how fast and how long still: by a bar on a terminal, else by lines."""

import os
import subprocess
import sys

import pytest
from patience import HANG_S

from common.progress import progress, tracked


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when a test says so."""
    now = [0.0]
    monkeypatch.setattr("common.progress.time.monotonic", lambda: now[0])
    return now


def test_where_no_terminal_watches_a_line_every_10_s_says_rate_and_time_left(clock, capsys):
    with progress("decoding", 4, "file") as bar:
        for now in (4, 9, 20, 25):
            clock[0] = now
            bar.advance(note="1 bad")
    assert capsys.readouterr().err == "decoding: 3 of 4 files, 0.15 files/s, 7 s left, 1 bad\n"


def test_no_time_is_left_to_tell_where_nobody_knows_how_many_there_are(clock, capsys):
    with progress("scoring", None, "item") as bar:
        clock[0] = 10
        bar.advance(2500)
    assert capsys.readouterr().err == "scoring: 2500 items, 250 items/s\n"


def test_what_was_done_before_counts_for_no_rate(clock, capsys):
    with progress("training", 100, "step", done=90) as bar:
        clock[0] = 50
        bar.reach(95, "loss 0.25")
    assert capsys.readouterr().err == "training: 95 of 100 steps, 0.1 steps/s, 50 s left, loss 0.25\n"


@pytest.mark.parametrize(("total_mb", "left"), [(40.0, "90 s"), (400.0, "22 min"), (4000.0, "3.7 h")])
def test_units_have_no_plural_and_long_times_no_seconds(clock, capsys, total_mb, left):
    with progress("fetching", total_mb, "MB", done=0.0) as bar:
        clock[0] = 30
        bar.reach(10.0 if total_mb == 40 else 9.0)
    done = 10.0 if total_mb == 40 else 9.0
    assert (
        capsys.readouterr().err == f"fetching: {done} of {total_mb} MB, {done / 30:.3g} MB/s, {left} left\n"
    )


def test_tracked_items_are_the_items_and_short_waits_say_nothing(capsys):
    assert list(tracked("abc", "reading", 3, "letter")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def shown(code):
    """(stdout, what a terminal got on stderr)."""
    terminal, end = os.openpty()
    done = subprocess.run(
        [sys.executable, "-c", "from common.progress import progress\n" + code],
        stdout=subprocess.PIPE, stderr=end, text=True, check=True, timeout=HANG_S,
        env=os.environ | {"COLUMNS": "120"},
    )  # fmt: skip
    os.close(end)
    text = b""
    try:
        while part := os.read(terminal, 1 << 16):
            text += part
    except OSError:  # how a terminal ends
        pass
    os.close(terminal)
    return done.stdout, text.decode()


def test_what_is_printed_beside_a_bar_still_goes_to_stdout():
    """rich moves it to stderr when that is a terminal, where a person's `> file` would stay empty."""
    code = "with progress('a', 2, 'frame') as bar:\n bar.advance(); print('text'); bar.advance()"
    assert shown(code)[0] == "text\n"


def test_bars_within_bars_share_the_terminal():
    code = (
        "import time\n"
        "with progress('runs', 2, 'run') as outer:\n"
        " for i in range(2):\n"
        "  with progress('[scoring]', 3, 'item') as inner:\n"
        "   inner.advance(); time.sleep(0.3)\n"
        "  outer.advance()\n"
    )
    _, text = shown(code)
    assert "0 of 2 runs" in text
    assert "1 of 3 items" in text
    assert "[scoring]" in text


def test_a_worker_may_print_and_shows_no_bar_of_its_own():
    """Else it would wait for locks that a thread of its parent held when it was made."""
    code = (
        "import multiprocessing, sys\n"
        "def work():\n"
        " with progress('inner', 2, 'file') as bar:\n"
        "  bar.advance(); print('worker', file=sys.stderr)\n"
        "with progress('outer', 1, 'file') as bar:\n"
        " for _ in range(20):\n"
        "  one = multiprocessing.get_context('fork').Process(target=work); one.start(); one.join()\n"
    )
    _, text = shown(code)
    assert text.count("worker") == 20
    assert "outer" in text
    assert "inner" not in text
