"""Nothing is deleted unasked, a finished run is left alone, and where a run comes from is all of its starts."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
from toy_recipe import Toy

from common import checkpoint, journal, papers, results, resuming, scoring, trainer, training_run
from common.errors import Diverged

TOY = Toy(steps=4, save_every_s=-1.0)
STOPPED = replace(TOY, collapse_at=3)  # of the same settings but for what ends it
PAPER = replace(papers.find("extreme-vsr"), slug="toy")


def _train(folder, recipe=TOY, **more):
    return trainer.train(recipe, **{"seed": 0, "folder": folder, "device": "cpu", **more})


def _all(folder):
    """Bytes of every file below a folder, and when each was written."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".writer"]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def _cut_short(folder, monkeypatch):
    """Two checkpoints, of steps 1 and 2, and no weights."""
    with monkeypatch.context() as patch:
        patch.setattr(Toy, "check", lambda self, values, step: "stop" if step == 3 else None)
        with pytest.raises(Diverged):
            _train(folder)


def _cannot_be_read(monkeypatch, pattern, number):
    """Also for whoever may read everything."""
    original = Path.read_bytes

    def refused(self):
        if self.match(pattern):
            raise OSError(number, "no reading here", str(self))
        return original(self)

    monkeypatch.setattr(Path, "read_bytes", refused)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize("pattern", ["checkpoints/*.safetensors", "checkpoints/*.json", "weights.*"])
@pytest.mark.parametrize("resume", ["auto", "must", "replace"])
def test_what_cannot_be_read_stops_the_run_and_stays(tmp_path, monkeypatch, number, pattern, resume):
    _train(tmp_path)
    if pattern.startswith("checkpoints"):
        for suffix in (".safetensors", ".json"):
            (tmp_path / "weights").with_suffix(suffix).unlink()
    before = _all(tmp_path)
    with monkeypatch.context() as patch:
        _cannot_be_read(patch, pattern, number)
        with pytest.raises(ValueError, match=r"cannot be read \(.*readable.*--resume never"):
            _train(tmp_path, resume=resume)
    assert _all(tmp_path) == before
    _train(tmp_path)  # readable again


def test_a_folder_of_checkpoints_that_cannot_be_looked_into_stops_the_run(tmp_path, monkeypatch):
    _cut_short(tmp_path, monkeypatch)
    before, original = _all(tmp_path), checkpoint.os.listdir

    def refused(folder):
        if Path(folder).name == "checkpoints":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return original(folder)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "listdir", refused)
        with pytest.raises(ValueError, match="checkpoints cannot be read"):
            _train(tmp_path)
    assert _all(tmp_path) == before


def test_damaged_checkpoints_are_kept_until_somebody_discards_them(tmp_path, monkeypatch):
    _cut_short(tmp_path, monkeypatch)
    for path in checkpoint.steps_saved(tmp_path / "checkpoints"):
        path.write_bytes(path.read_bytes()[:-1])
    before = _all(tmp_path)
    with pytest.raises(
        ValueError, match=r"none of the 2 checkpoints in .* is intact; --resume never discards"
    ):
        _train(tmp_path)
    assert _all(tmp_path) == before
    _train(tmp_path, resume="never")
    assert (tmp_path / "weights.safetensors").exists()


def test_a_kill_in_the_very_first_save_leaves_nothing_that_holds_up_the_next_start(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000001.safetensors").write_bytes(b"half")
    _train(tmp_path)
    assert (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize(
    "left", ["everything", "no checkpoints", "damaged checkpoints", "another number of ranks"]
)
@pytest.mark.parametrize("resume", ["auto", "must", "replace"])
def test_a_finished_run_is_left_alone_whatever_became_of_its_checkpoints(tmp_path, capsys, left, resume):
    first = _train(tmp_path)
    if left == "no checkpoints":
        checkpoint.prune(tmp_path / "checkpoints", keep=0)
        (tmp_path / "checkpoints").rmdir()
    if left == "damaged checkpoints":
        for path in checkpoint.steps_saved(tmp_path / "checkpoints"):
            path.write_bytes(b"")
    if left == "another number of ranks":
        found = checkpoint.load(first.weights)
        identity = found.state["identity"] | {"world_size": 2}
        checkpoint.save(first.weights, found.tensors, found.state | {"identity": identity})
    before = _all(tmp_path)
    again = _train(tmp_path, resume=resume, mirrors=lambda first_step: pytest.fail("nothing is to be shown"))
    assert _all(tmp_path) == before
    assert f"finished: {first.weights} is left as it is" in capsys.readouterr().err
    assert (again.weights, again.steps) == (first.weights, first.steps)
    assert again.wall_s == checkpoint.load(first.weights).state["wall_s"]  # of the run, not of looking at it


def test_finished_weights_of_another_run_are_not_overwritten(tmp_path):
    _train(tmp_path)
    checkpoint.prune(tmp_path / "checkpoints", keep=0)
    before = _all(tmp_path)
    told = r"weights\.safetensors was made with seed 0, this run has 1; .*--resume never"
    with pytest.raises(ValueError, match=told):
        _train(tmp_path, seed=1)
    assert _all(tmp_path) == before


def test_damaged_weights_are_made_again_from_the_last_checkpoint_or_kept(tmp_path):
    weights = _train(tmp_path).weights
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    _train(tmp_path)
    assert weights.read_bytes() == whole
    weights.write_bytes(whole[:-1])
    checkpoint.prune(tmp_path / "checkpoints", keep=0)
    with pytest.raises(ValueError, match="no checkpoint is left to make them again from; --resume never"):
        _train(tmp_path)
    assert weights.read_bytes() == whole[:-1]


def test_the_journal_of_a_run_that_ended_outlives_its_weights(tmp_path):
    _train(tmp_path)
    rows = journal.read(tmp_path / "journal.jsonl")
    checkpoint.prune(tmp_path / "checkpoints", keep=0)
    (tmp_path / "weights.safetensors").unlink()
    _train(tmp_path)
    assert journal.read(tmp_path / "former-1" / "journal.jsonl") == rows


def test_every_run_that_makes_room_has_a_place_of_its_own(tmp_path):
    for number in range(3):
        (tmp_path / "journal.jsonl").write_text(str(number))
        resuming.move_away(tmp_path, print)
    assert [(tmp_path / f"former-{n}" / "journal.jsonl").read_text() for n in (1, 2, 3)] == ["0", "1", "2"]


# ---- where a run comes from


def _origin(commit, dirty):
    return {
        "commit": commit,
        "dirty": dirty,
        "lock_sha256": "l",
        "hardware": {"cores": 2},
        "versions": {"torch": "2"},
    }


@pytest.fixture
def code(monkeypatch):
    """Sets what the checkout is when a run is started or scored."""

    def is_of(commit, dirty):
        for module in (training_run, scoring):
            monkeypatch.setattr(module, "provenance", lambda *told, **more: _origin(commit, dirty))

    return is_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    return PAPER.run_folder("smoke", "TOY", 0)


def _score(once=False):
    score = scoring.score_once if once else scoring.score
    return score(PAPER, "TOY", TOY, scale="smoke", seed=0, device="cpu")


def test_a_result_knows_every_start_and_is_dirty_if_one_was(folder, monkeypatch, code):
    code("a" * 40, True)
    _cut_short(folder, monkeypatch)
    code("b" * 40, False)
    _cut_short(folder, monkeypatch)  # goes on from step 2 and saves nothing, so that nothing is of it
    _train(folder)
    result = results.read_run(_score()).result
    assert [(start["commit"][0], start["dirty"], start["at"]) for start in result.starts] == [
        ("a", True, ["step 0"]), ("b", False, ["step 2", "scoring test"])
    ]  # fmt: skip
    assert (result.commit[0], result.dirty) == ("b", True)
    with pytest.raises(ValueError, match=r"clean commit; these do not: TOY\.seed0"):
        results.publish(PAPER.own_results("smoke"), folder / "published")
    for path in (checkpoint.steps_saved(folder / "checkpoints")[0], folder / "weights.safetensors"):
        assert [start["commit"][0] for start in checkpoint.load(path).state["starts"]] == ["a", "b"]


def test_a_checkpoint_that_knows_nothing_of_its_starts_counts_as_dirty(folder, monkeypatch, code):
    code("b" * 40, False)
    _cut_short(folder, monkeypatch)
    for path in checkpoint.steps_saved(folder / "checkpoints"):
        found = checkpoint.load(path)
        checkpoint.save(
            path, found.tensors, {key: value for key, value in found.state.items() if key != "starts"}
        )
    _train(folder)
    result = results.read_run(_score()).result
    assert [start["commit"] for start in result.starts] == ["unknown", "b" * 40]
    assert result.dirty


def test_weights_that_were_made_before_starts_were_kept_are_scored_as_what_they_say(folder, code):
    code("b" * 40, False)
    weights = _train(folder).weights
    found = checkpoint.load(weights)
    checkpoint.save(
        weights, found.tensors, {key: value for key, value in found.state.items() if key != "starts"}
    )
    code("c" * 40, False)
    result = results.read_run(_score()).result
    assert (result.commit, result.dirty) == ("b" * 40, False)


def test_a_finished_run_that_is_started_and_scored_again_keeps_its_result(folder, code, capsys):
    code("a" * 40, False)
    _train(folder)
    path = _score(once=True)
    before = _all(folder), _all(path.parent)
    code("b" * 40, True)
    _train(folder)
    assert _score(once=True) == path
    assert (_all(folder), _all(path.parent)) == before
    assert f"finished: {path} is left as it is" in capsys.readouterr().err
    assert json.loads((folder / "opened.json").read_text()) == {"test": 1}
    assert results.read_run(_score()).result.test_opened == 2  # asked for by name it is done again
