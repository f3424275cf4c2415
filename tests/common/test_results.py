"""Laws of result files: what is read back is what was written, or an error that names the file."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from common import results
from common.results import Item, Result

ITEMS = [
    Item("a", "pine", "photographs", {"psnr": math.inf, "edits": 3}),
    Item("b", "oak", "photographs", {"psnr": math.nan, "edits": 0}),
    Item("ü", "oak", "drawings", {"psnr": -math.inf, "edits": 10**6}),
]
RESULT = Result(
    paper="extreme-vsr",
    recipe="EVESRNET",
    scale="mini",
    seed=1,
    split="test",
    settings={"lr": 1e-3, "widths": [1]},
    settings_hash="abc",
    totals={"psnr": math.inf},
    wall_s={"train": 2.0, "score": 1.0},
    peak_memory_bytes=5,
    items_per_s=3.0,
    commit="c0ffee",
    dirty=False,
    lock_sha256="l",
    manifest_sha256="m",
    hardware={"cores": 2},
    threads=1,
    versions={"python": "3"},
    test_opened=1,
    finished_at="2024-01-01T00:00:00Z",
    bad_items=("x: broken",),
)


def test_what_is_written_is_read_back_non_finite_scores_included(tmp_path):
    results.write(tmp_path, RESULT, ITEMS)
    (run,) = results.read(tmp_path)
    assert replace(run.result, items_file="", items_sha256="") == RESULT
    assert [(item.id, item.group, item.part) for item in run.items] == [
        (i.id, i.group, i.part) for i in ITEMS
    ]
    assert run.items[0].scores == ITEMS[0].scores
    assert run.items[2].scores == ITEMS[2].scores
    assert math.isnan(run.items[1].scores["psnr"])
    assert isinstance(run.items[0].scores["edits"], int)


def test_files_are_strict_json_without_nan_literals(tmp_path):
    path = results.write(tmp_path, RESULT, ITEMS)
    assert path.name == "EVESRNET.seed1.json"
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["totals"] == {"psnr": "inf"}


def test_equal_items_give_equal_bytes(tmp_path):
    results.write(tmp_path / "one", RESULT, ITEMS)
    results.write(tmp_path / "two", RESULT, list(ITEMS))
    one, two = sorted(tmp_path.rglob("*.gz"))
    assert one.read_bytes() == two.read_bytes()


def test_changed_scores_are_refused_with_file_and_both_hashes(tmp_path):
    results.write(tmp_path, RESULT, ITEMS)
    recorded = results.read(tmp_path)[0].result.items_sha256
    path = tmp_path / "EVESRNET.seed1.items.jsonl.gz"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ValueError, match=rf"{path.name}: sha256 must be {recorded}, got [0-9a-f]{{64}}"):
        results.read(tmp_path)


def test_missing_scores_and_foreign_json_are_named(tmp_path):
    results.write(tmp_path, RESULT, ITEMS)
    (tmp_path / "EVESRNET.seed1.items.jsonl.gz").unlink()
    with pytest.raises(ValueError, match=r"EVESRNET\.seed1\.items\.jsonl\.gz are missing"):
        results.read(tmp_path)
    (tmp_path / "AAA.json").write_text("[1")
    with pytest.raises(ValueError, match=r"AAA\.json: not a result file"):
        results.read(tmp_path)


def test_scores_above_200_kb_are_refused_with_their_size(tmp_path):
    big = [Item(f"{math.sin(i)}{math.cos(i)}", "g", "p", {"x": math.tan(i)}) for i in range(10_000)]
    with pytest.raises(
        ValueError, match=r"must fit 200,000 bytes compressed, got [2-9]\d\d,\d{3} for 10,000 items"
    ):
        results.write(tmp_path, RESULT, big)
    assert not list(tmp_path.iterdir())


def test_equal_ids_are_refused(tmp_path):
    with pytest.raises(ValueError, match="more than once: a"):
        results.write(tmp_path, RESULT, [ITEMS[0], ITEMS[0]])


def test_a_crash_while_writing_leaves_no_finished_run(tmp_path, monkeypatch):
    results.write(tmp_path, RESULT, ITEMS)
    whole = results.write_atomically

    def fails_on_the_result(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise OSError("disk full")
        whole(path, content)

    monkeypatch.setattr(results, "write_atomically", fails_on_the_result)
    with pytest.raises(OSError, match="disk full"):
        results.write(tmp_path, RESULT, ITEMS[:1])
    assert results.read(tmp_path) == []


def test_a_failed_write_leaves_no_temporary_file(tmp_path, monkeypatch):
    def no_space(source: str, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", no_space)
    with pytest.raises(OSError, match="disk full"):
        results.write(tmp_path, RESULT, ITEMS)
    assert not list(tmp_path.iterdir())


def test_find_returns_only_a_run_with_equal_hashes(tmp_path):
    results.write(tmp_path, RESULT, ITEMS)
    assert results.find(tmp_path, "EVESRNET", 1) is not None
    assert results.find(tmp_path, "EVESRNET", 2) is None


def test_a_dev_result_never_replaces_a_test_result(tmp_path):
    results.write(tmp_path, RESULT, ITEMS)
    results.write(tmp_path, replace(RESULT, split="dev"), ITEMS[:1])
    assert [(run.result.split, len(run.items)) for run in results.read(tmp_path)] == [("dev", 1), ("test", 3)]


def test_publish_copies_clean_runs_and_their_scores(tmp_path):
    results.write(tmp_path / "runs", RESULT, ITEMS)
    results.write(tmp_path / "runs", replace(RESULT, split="dev"), ITEMS)
    results.publish(tmp_path / "runs", tmp_path / "published")
    assert [run.result for run in results.read(tmp_path / "published")] == [
        run.result for run in results.read(tmp_path / "runs") if run.result.split == "test"
    ]


def test_a_run_made_again_to_the_bit_stays_as_it_was_first_published(tmp_path):
    results.write(tmp_path / "published", RESULT, ITEMS)
    results.write(tmp_path / "runs", replace(RESULT, commit="another"), ITEMS)
    assert results.publish(tmp_path / "runs", tmp_path / "published") == []
    (run,) = results.read(tmp_path / "published")
    assert run.result.commit == RESULT.commit
    for changes in ({"weights_sha256": "other"}, {}):
        results.write(tmp_path / "runs", replace(RESULT, commit="another", **changes), ITEMS[:2])
        assert len(results.publish(tmp_path / "runs", tmp_path / "published")) == 1


def test_equal_scores_of_other_settings_or_data_are_published(tmp_path):
    for changes in ({"settings": {"steps": 2}}, {"manifest_sha256": "other"}):
        results.write(tmp_path / "published", RESULT, ITEMS)
        results.write(tmp_path / "runs", replace(RESULT, **changes), ITEMS)
        assert len(results.publish(tmp_path / "runs", tmp_path / "published")) == 1
        assert results.publish(tmp_path / "runs", tmp_path / "published", alike=lambda one, other: True) == []


def test_publish_refuses_dirty_runs_by_name_and_copies_nothing(tmp_path):
    results.write(tmp_path / "runs", RESULT, ITEMS)
    results.write(tmp_path / "runs", replace(RESULT, seed=2, dirty=True), ITEMS)
    with pytest.raises(ValueError, match=r"clean commit; these do not: EVESRNET\.seed2\."):
        results.publish(tmp_path / "runs", tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_recipe_names_cannot_leave_the_folder():
    with pytest.raises(ValueError, match=r"got '\.\./x'"):
        replace(RESULT, recipe="../x")


def test_judging_and_reporting_never_import_torch():
    code = (
        "import sys, common.results, common.claims;"
        "import common.report.tables, common.report.figures, common.report.page;"
        "print(sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_clock_decides_stands_beside_the_raw_scores(tmp_path):
    """Equal runs have equal raw scores, and whoever reads them finds the seconds where they were."""
    paths = []
    for name, seconds in (("one", 1.5), ("two", 2.5)):
        item = Item(
            "a",
            "g",
            "p",
            {"psnr": 30.0, "update_s": seconds},
            {"said": "x", "at": f"[{seconds}]"},
            ("update_s", "at"),
        )
        paths.append(results.write(tmp_path / name, RESULT, [item, ITEMS[1]]))
    one, two = map(results.read_run, paths)
    assert one.result.items_sha256 == two.result.items_sha256
    assert [run.items[0].scores["update_s"] for run in (one, two)] == [1.5, 2.5]
    assert [run.items[0].texts["at"] for run in (one, two)] == ["[1.5]", "[2.5]"]
    assert one.items[0].timed == ("update_s", "at")
    again = results.write(tmp_path / "three", one.result, one.items)  # as publishing does
    assert again.read_bytes() == paths[0].read_bytes()
    assert results.read_run(again).items[0] == one.items[0]
