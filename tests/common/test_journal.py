"""Laws of the journal: what it said stays readable, and nobody who listens can harm a run."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from common import journal
from common.journal import Journal, Progress


class Recorder:
    def __init__(self, failing=()):
        self.heard, self.failing = [], failing

    def log(self, step, values):
        self._hear("log", step, values)

    def picture(self, step, name, path):
        self._hear("picture", step, name)

    def close(self):
        self._hear("close")

    def _hear(self, what, *rest):
        self.heard.append((what, *rest))
        if what in self.failing:
            raise OSError("the network is down")


def _written(path, steps=3):
    book = Journal(path)
    for step in range(1, steps + 1):
        book.log(step, {"loss": 1 / step})
    return book


def _steps(path):
    return [row["step"] for row in journal.read(path)]


def test_rows_are_read_back_in_order(tmp_path):
    _written(tmp_path / "deep" / "journal.jsonl")
    rows = journal.read(tmp_path / "deep" / "journal.jsonl")
    assert [(row["event"], row["step"], row["loss"]) for row in rows] == [
        ("train", 1, 1.0),
        ("train", 2, 0.5),
        ("train", 3, 1 / 3),
    ]
    assert journal.read(tmp_path / "missing.jsonl") == []


def test_a_last_line_cut_anywhere_costs_only_itself(tmp_path):
    path = tmp_path / "journal.jsonl"
    _written(path)
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert _steps(path) == [1, 2], cut
        book = Journal(path)
        book.forget_after(2)  # what a resumed run does first
        book.log(3, {"loss": 0.0})
        assert _steps(path) == [1, 2, 3], cut


def test_forgetting_drops_exactly_what_is_later(tmp_path):
    book = _written(tmp_path / "journal.jsonl", steps=5)
    book.forget_after(3)
    assert _steps(book.path) == [1, 2, 3]
    book.forget_after(0)
    assert _steps(book.path) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_values_are_strict_json(tmp_path, value):
    book = Journal(tmp_path / "journal.jsonl")
    book.log(1, {"loss": value})
    row = json.loads(book.path.read_text(), parse_constant=pytest.fail)
    assert row["loss"] == str(value)


@pytest.mark.parametrize("failing", ["log", "picture", "close"])
def test_a_failing_mirror_costs_one_line_and_nobody_else(tmp_path, capsys, failing):
    broken, sound = Recorder([failing]), Recorder()
    with Journal(tmp_path / "journal.jsonl", [broken, sound]) as book:
        for step in (1, 2):
            book.log(step, {"loss": 1.0})
            book.picture(step, "grey", tmp_path / "grey.png")
    assert [what for what, *_ in sound.heard] == ["log", "picture", "log", "picture", "close"]
    assert [what for what, *_ in broken.heard].count(failing) == 1
    assert len(journal.read(book.path)) == 4
    said = capsys.readouterr().err.splitlines()
    assert said == ["Recorder is left out of this run, the journal has everything: the network is down"]


def test_mirrors_are_closed_when_a_run_fails(tmp_path):
    listener = Recorder()
    with pytest.raises(ZeroDivisionError), Journal(tmp_path / "journal.jsonl", [listener]):
        _ = 1 / 0
    assert listener.heard == [("close",)]


def test_a_journal_without_a_file_keeps_nothing_and_still_tells(tmp_path):
    listener = Recorder()
    book = Journal(None, [listener])
    book.log(1, {"loss": 1.0})
    book.forget_after(0)
    assert listener.heard == [("log", 1, {"loss": 1.0})]
    assert list(tmp_path.iterdir()) == []


def test_a_picture_row_names_its_file(tmp_path):
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "grey-000004.png")
    book = Journal(tmp_path / "journal.jsonl")
    book.picture(4, "grey", tmp_path / "grey-000004.png")
    (row,) = journal.read(book.path)
    assert (row["event"], row["step"], row["name"], row["file"]) == ("picture", 4, "grey", "grey-000004.png")


def test_a_run_is_mirrored_to_the_bar_that_all_waits_have(capsys, monkeypatch):
    clock = iter([0.0, 20.0])
    monkeypatch.setattr("common.progress.time.monotonic", lambda: next(clock))
    mirror = Progress("toy", first_step=2, steps=10)
    mirror.log(4, {"loss": 0.25})
    mirror.close()
    assert capsys.readouterr().err == "toy: 4 of 10 steps, 0.1 steps/s, 60 s left, loss 0.25\n"
