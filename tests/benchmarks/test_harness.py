"""What is timed, when it is timed, and what is kept of it."""

import json
from argparse import Namespace

import pytest
import torch

from benchmarks import quiet, records
from benchmarks.harness import Peak, Race, Rounds, Timing, peak_memory, race
from benchmarks.tables import BEFORE, table
from common.errors import CommandError


def test_a_process_that_dies_is_an_error_and_no_endless_wait():
    with pytest.raises(RuntimeError, match="nobody: the process that was to be measured died"):
        peak_memory("nobody", module="benchmarks.harness", maker="no_such_maker")


def test_every_round_runs_everybody_once_in_an_order_that_rotates(monkeypatch):
    monkeypatch.setattr(quiet, "load_now", lambda: 0.1)
    order = []
    found = race("job", {name: lambda name=name: order.append(name) for name in "abc"}, Rounds(3, warmup=0))
    assert order == list("abc" + "bca" + "cab")
    assert found.loads == (0.1,) * 3
    assert [len(timing.cpu_seconds) for timing in found.timings] == [3] * 3


def test_the_ratio_is_the_median_of_those_within_rounds():
    ours, other = Timing("ours", (1.0, 1.0, 4.0)), Timing("other", (2.0, 3.0, 4.0))
    [ratio] = Race("job", (ours, other)).ratios  # of medians it would be 3
    assert (ratio.median, ratio.low, ratio.high) == (2.0, 1.5, 2.5)


def test_a_busy_machine_is_told_and_waited_for():
    loads, told = iter([0.9, 0.5, 0.29]), []
    assert quiet.until_quiet(9, told.append, lambda: next(loads), pause_s=0.0) == 0.29
    assert told == ["others take 0.90 of each core; waiting up to 9 s for less than 0.3"]


def test_a_machine_that_stays_busy_ends_the_benchmark_with_the_way_out():
    with pytest.raises(CommandError, match=r"others took 0.90 of each core for 0 s.*without --quiet"):
        quiet.until_quiet(0, lambda sentence: None, lambda: 0.9, pause_s=0.0)


def test_rounds_wait_no_longer_than_the_limit_all_together(monkeypatch):
    told = []
    monkeypatch.setattr(quiet, "load_now", lambda: 0.9)
    with pytest.raises(CommandError, match="for 5 s"):
        quiet.until_quiet(5, told.append, lambda: 0.9, pause_s=0.0, waited_s=5.0)
    assert not told


def test_what_this_process_spins_is_nobody_elses_load(monkeypatch):
    busy, own = iter([1.0, 2.0]), iter([0.0, 1.0])
    monkeypatch.setattr(quiet, "machine_busy_s", lambda: next(busy))
    monkeypatch.setattr(quiet, "LOOK_S", 0.0)
    monkeypatch.setattr(quiet.time, "process_time", lambda: next(own))
    assert quiet.load_now() == 0.0


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A command line, in a tree without changes."""
    monkeypatch.setattr(records, "_source_changed", lambda: False)
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr("benchmarks.tables.RESULTS", tmp_path)
    return Namespace(parts=[], repeats=2, threads=1, usual_threads=1, quiet=False, wait_limit_s=0.0, anew=False,
                     folder=tmp_path)  # fmt: skip


def _race(job, rounds):
    return Race(job, (Timing("ours", (1.0, 2.0), (1.0, 2.0)), Timing("other", (2.0, 4.0), (2.0, 4.0))))


def test_a_part_that_fails_costs_that_part_alone_and_what_is_there_is_not_measured_again(asked):
    ran = []

    def good(rounds):
        ran.append(rounds)
        return [_race("one", rounds), Peak("one", 1, 2)]

    def bad(rounds):
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        records.publish("some", asked, {"good": good, "bad": bad})
    path = records.publish("some", asked, {"good": good, "bad": lambda rounds: [_race("two", rounds)]})
    assert ran == [Rounds(2, 1, quiet=False, wait_limit_s=0.0)]
    found = json.loads(path.read_text())
    assert [row["job"] for row in found["races"]] == ["one", "two"]
    assert found["races"][0]["ratios"] == [{"other": "other", "median": 2.0, "low": 2.0, "high": 2.0}]
    asked.anew = True
    records.publish("some", asked, {"good": good})
    assert len(ran) == 2


def test_rows_of_another_commit_stay_and_say_so(asked, monkeypatch):
    old = {"date": "2026-01-02", "commit": "a" * 40, "load_average": [0.5], "threads": 1, "peaks": []}
    old |= records._machine(1) | {"races": [records._row(_race(job, None)) for job in ("old", "new")]}
    del old["hardware"]["vector_instructions"]  # which nobody asked for then
    (asked.folder / "some.json").write_text(json.dumps(old))
    records.publish("some", asked, {"part": lambda rounds: [_race("new", rounds)]})
    rows = table("some").rows
    assert [row[0].text for row in rows] == ["old", "old", "new", "new"]
    assert rows[0][-1].text == "commit aaaaaaaaaaaa, 2026-01-02, load average 0.5"
    assert "aaaa" not in rows[2][-1].text


def test_what_was_published_before_stands_beside_what_was_measured_since(asked):
    def slower(rounds):
        return [Race("one", (Timing("ours", (1.0, 1.0)), Timing("other", (4.0, 4.0))))]

    parts = {job: lambda rounds, job=job: [_race(job, rounds)] for job in ("one", "two")}
    path = records.publish("some", asked, parts)
    old = json.loads(path.read_text())
    old["races"][0]["measured"] |= {"commit": "b" * 40, "dirty": True, "date": "2026-01-02T00:00:00+00:00"}
    (asked.folder / BEFORE).mkdir()
    (asked.folder / BEFORE / "some.json").write_text(json.dumps(old))
    asked.anew, asked.parts = True, ["one"]
    records.publish("some", asked, parts | {"one": slower})
    found = table("some")
    start = found.columns.index("first is faster by (quartiles)")
    assert found.columns[start + 1 : start + 3] == ("before: median (ms)", "before: first is faster by")
    told = [[cell.text for cell in row[start : start + 3]] for row in found.rows]
    assert told[1] == ["4.00 (4.00 to 4.00)", "3000.0", "2.00 (2.00 to 2.00)"]
    assert told[3] == ["2.00 (2.00 to 2.00)", "", ""]  # not measured since
    assert "Before: commit bbbbbbbbbbbb with changes, 2026-01-02" in found.caption


def test_rows_of_another_machine_stay_in_a_file_of_their_own(asked):
    machine = records._machine(1)
    old = {"date": "2026-01-02", "commit": "a" * 40, "load_average": [0.5], "threads": 1, "peaks": []}
    old |= machine | {
        "hardware": machine["hardware"] | {"cores": 999},
        "races": [records._row(_race("old", None))],
    }
    first = asked.folder / "some.json"
    first.write_text(json.dumps(old))
    parts = {"part": lambda rounds: [_race("new", rounds)]}
    path = records.publish("some", asked, parts)
    assert records.publish("some", asked, parts) == path
    assert path.stem == f"some_{machine['hardware']['vector_instructions']}"
    assert json.loads(path.read_text())["benchmark"] == path.stem
    assert [[row["job"] for row in records.read(one)["races"]] for one in (first, path)] == [["old"], ["new"]]
    path.write_text(json.dumps(old))
    third = records.publish("some", asked, parts)  # the same instructions, another machine again
    assert third.stem.startswith(f"{path.stem}_")
    assert len({first, path, third}) == len(list(asked.folder.glob("*.json")))


def test_a_machine_that_stays_busy_is_one_line(asked):
    def part(rounds):
        raise CommandError("others took 0.90 of each core")

    with pytest.raises(SystemExit, match=r"^error: part: others took 0.90 of each core$"):
        records.publish("some", asked, {"part": part})


def test_an_unknown_part_lists_the_known_ones(asked):
    asked.parts = ["third"]
    with pytest.raises(ValueError, match="no part third; some has good, bad"):
        records.publish("some", asked, {"good": None, "bad": None})


def test_profiles_hold_the_ten_operators_that_take_most():
    from benchmarks.profiles import operators

    x = torch.randn(64, 64)
    found = operators(lambda: (x @ x).relu())
    assert {"aten::mm", "aten::relu"} <= {one["operator"] for one in found}
    assert len(found) <= 10
    assert [one["self_ms"] for one in found] == sorted((one["self_ms"] for one in found), reverse=True)
