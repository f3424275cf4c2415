"""Drills: a run that is killed anywhere and started again is, bit for bit, the run nobody disturbed."""

import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import toy_recipe
from patience import HANG_S
from toy_recipe import Lettered, Toy

from common import checkpoint, journal, trainer

# Saves after every step, in the third epoch at the end; dropout and averaging are on.
DRILLED = Toy(steps=6, save_every_s=-1.0)
LONG = replace(DRILLED, steps=100_000, nap_s=0.02)


@pytest.fixture(scope="module")
def uncut(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uncut")
    assert toy_recipe.run(folder, DRILLED) == 0
    return folder


def _rows(folder):
    rows = [row for row in journal.read(folder / "journal.jsonl") if row["event"] == "train"]
    return [{key: value for key, value in row.items() if key not in ("time", "wall_s")} for row in rows]


def _tensors(folder):
    """Bytes of the final weights alone: the JSON beside them holds wall times."""
    return (folder / "weights.safetensors").read_bytes()


def _same(folder, uncut):
    assert _tensors(folder) == _tensors(uncut)
    assert _rows(folder) == _rows(uncut)


def test_a_run_killed_twice_equals_an_uncut_one(tmp_path, uncut):
    assert toy_recipe.run(tmp_path, DRILLED, fault=("step", 3)) == -signal.SIGKILL
    assert toy_recipe.run(tmp_path, DRILLED, fault=("step", 5)) == -signal.SIGKILL
    assert toy_recipe.run(tmp_path, DRILLED) == 0
    said = (tmp_path / "said.txt").read_text()
    assert [step for step in range(7) if f"resumed step {step} from" in said] == [2, 4]
    _same(tmp_path, uncut)
    assert [row["lr"] for row in _rows(tmp_path)] == [DRILLED.lr(step) for step in range(6)]


@pytest.mark.parametrize(("function", "call"), [("replace", 3), ("replace", 4), ("fsync", 5), ("fsync", 8)])
def test_a_run_killed_while_it_saves_equals_an_uncut_one(tmp_path, uncut, function, call):
    assert toy_recipe.run(tmp_path, DRILLED, fault=(function, call)) == -signal.SIGKILL
    assert checkpoint.newest(tmp_path / "checkpoints") is not None
    assert toy_recipe.run(tmp_path, DRILLED) == 0
    _same(tmp_path, uncut)
    assert not list((tmp_path / "checkpoints").glob(".*"))  # what the kill left behind


@pytest.mark.slow  # every moment there is
@pytest.mark.parametrize("function", ["replace", "fsync", "step"])
def test_a_run_killed_at_every_moment_equals_an_uncut_one(tmp_path, uncut, function):
    calls = {"replace": 16, "fsync": 32, "step": 6}[
        function
    ]  # 2 or 4 a save; 8 saves, the weights among them
    for call in range(1, calls + 1):
        folder = tmp_path / str(call)
        assert toy_recipe.run(folder, DRILLED, fault=(function, call)) == -signal.SIGKILL, call
        assert toy_recipe.run(folder, DRILLED) == 0
        _same(folder, uncut)


@pytest.mark.slow  # worker processes start at every resume
@pytest.mark.parametrize(("workers", "num_kills"), [(0, 8), (2, 3)])
def test_kills_by_the_clock_with_workers_leave_an_uncut_run(tmp_path, workers, num_kills):
    recipe = replace(DRILLED, steps=300, workers=workers, nap_s=0.01)
    assert toy_recipe.run(tmp_path / "uncut", recipe) == 0
    rng = random.Random(0)
    for kills in range(num_kills):
        with toy_recipe.running(tmp_path / "cut", recipe, after_step=4 * kills + 1) as process:
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
            process.join()
    assert toy_recipe.run(tmp_path / "cut", recipe) == 0
    _same(tmp_path / "cut", tmp_path / "uncut")
    assert (tmp_path / "cut" / "said.txt").read_text().count("resumed step") == num_kills


@pytest.mark.slow  # worker processes import everything
def test_another_number_of_workers_changes_no_number(tmp_path, uncut):
    """One process loads what two would: order and noise belong to the item, not to who loads it."""
    assert toy_recipe.run(tmp_path, replace(DRILLED, workers=2)) == 0
    assert _tensors(tmp_path) == _tensors(uncut)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_that_step_and_the_next_start_goes_on(tmp_path, number):
    with toy_recipe.running(tmp_path, replace(LONG, save_every_s=1e6), after_step=3) as process:
        os.kill(process.pid, number)
        process.join(HANG_S)
        assert process.exitcode == 130
    last = _rows(tmp_path)[-1]["step"]
    assert checkpoint.newest(tmp_path / "checkpoints").state["step"] == last >= 3
    said = (tmp_path / "said.txt").read_text()
    assert f"step {last} is saved, the same command goes on from there" in said
    with toy_recipe.running(tmp_path, replace(LONG, save_every_s=1e6), after_step=last + 1):
        assert f"resumed step {last} from" in (tmp_path / "said.txt").read_text()


def _script(folder, *settings, launcher=(), said="said.txt"):
    command = [sys.executable, *launcher, toy_recipe.__file__, str(folder), *settings]
    with open(folder / said, "a") as file:
        return subprocess.Popen(command, start_new_session=True, stdout=file, stderr=file)


@pytest.mark.slow  # a whole process group with workers of its own
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_saves_though_it_reaches_the_workers(tmp_path, number):
    """Ctrl-C in a terminal and SLURM signal the loader's processes as well."""
    process = _script(tmp_path, "steps=100000", "nap_s=0.02", "save_every_s=1e6", "workers=2")
    try:
        toy_recipe.wait_for(tmp_path, 3, lambda: process.poll() is None)
        os.killpg(process.pid, number)
        assert process.wait(HANG_S) == 130, (tmp_path / "said.txt").read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert checkpoint.newest(tmp_path / "checkpoints").state["step"] == _rows(tmp_path)[-1]["step"]


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    original, calls = os.fsync, iter(range(100))

    def full(handle):
        if next(calls) >= 9:  # 4 a checkpoint: the third one fails
            raise OSError(errno.ENOSPC, "No space left on device")
        original(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        trainer.train(DRILLED, seed=0, folder=tmp_path, device="cpu")
    monkeypatch.undo()
    assert checkpoint.newest(tmp_path / "checkpoints").state["step"] == 2
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_a_bit_flip_costs_one_checkpoint_and_no_exactness(tmp_path, uncut):
    assert toy_recipe.run(tmp_path, DRILLED, fault=("step", 5)) == -signal.SIGKILL
    newest = checkpoint.steps_saved(tmp_path / "checkpoints")[0]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert toy_recipe.run(tmp_path, DRILLED) == 0
    said = (tmp_path / "said.txt").read_text()
    assert f"passed over a broken checkpoint: {newest}: its checksum does not match" in said
    assert "resumed step 3 from" in said
    _same(tmp_path, uncut)


# ---- two ranks against one

EXACT = replace(DRILLED, dropout=0.0, save_every_s=60.0)


@pytest.mark.parametrize("kind", [EXACT, Lettered(steps=6, dropout=0.0)], ids=["equal", "letters"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_ranks_train_like_one(tmp_path, accumulate, kind):
    recipe = replace(kind, accumulate=accumulate)
    assert toy_recipe.run(tmp_path / "one", recipe) == 0
    assert toy_recipe.two_ranks(tmp_path / "two", recipe) == [0, 0]
    _alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow  # two launchers and two ranks import everything anew
def test_two_nodes_by_torchrun_train_the_same_run_and_say_its_batch_and_rate(tmp_path):
    (tmp_path / "two").mkdir()
    assert toy_recipe.run(tmp_path / "one", EXACT) == 0
    with toy_recipe.free_port() as port:
        nodes = [
            _script(
                tmp_path / "two", "steps=6", "dropout=0", "save_every_s=60", said=f"said-{rank}.txt",
                launcher=("-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank),
                          "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", port),
            )
            for rank in range(2)
        ]  # fmt: skip
        assert [node.wait(HANG_S) for node in nodes] == [0, 0]
    _alike(tmp_path / "one", tmp_path / "two")
    told = "a batch of 4 items as 2 shards, 2 processes x 1 passes; the rate stays"
    assert [told in (tmp_path / "two" / f"said-{rank}.txt").read_text() for rank in range(2)] == [True, False]


def _alike(one, two):
    for ours, theirs in zip(_rows(one), _rows(two), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert ours["items"] == theirs["items"]
    weights = [checkpoint.load(folder / "weights.safetensors").tensors for folder in (one, two)]
    for name in set(weights[0]) - {"mean_output"}:  # each rank has its own
        assert (weights[0][name] - weights[1][name]).abs().max() < 1e-5


@pytest.mark.slow  # torchrun and two ranks import everything anew
def test_torchrun_starts_the_same_run(tmp_path):
    (tmp_path / "two").mkdir()
    assert toy_recipe.run(tmp_path / "one", EXACT) == 0
    with toy_recipe.free_port() as port:
        launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port)
        process = _script(tmp_path / "two", "steps=6", "dropout=0", "save_every_s=60", launcher=launcher)
        assert process.wait(HANG_S) == 0, (tmp_path / "two" / "said.txt").read_text()
    _alike(tmp_path / "one", tmp_path / "two")
