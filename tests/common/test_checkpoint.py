"""Laws of checkpoints: whole or not there, and nothing in them is run."""

import argparse
import errno
import os
import pickle
import random

import pytest
import torch
from torch import nn

from common import checkpoint
from common.checkpoint import CheckpointError

TENSORS = {"weight": torch.arange(12.0).view(3, 4), "step": torch.tensor(3.0), "long": torch.arange(3)}
STATE = {"step": 3, "identity": {"seed": 1}, "wall_s": 1.5}


@pytest.fixture
def saved(tmp_path):
    """The path of the later of two good checkpoints."""
    checkpoint.save(tmp_path / "step-00000002.safetensors", TENSORS, STATE | {"step": 2})
    checkpoint.save(tmp_path / "step-00000003.safetensors", TENSORS, STATE)
    return tmp_path / "step-00000003.safetensors"


def _newest(folder):
    said = []
    found = checkpoint.newest(folder, said.append)
    return (found.state["step"] if found else None), " ".join(said)


def test_what_is_saved_is_loaded(saved):
    loaded = checkpoint.load(saved)
    assert loaded.state == STATE
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in TENSORS.items())
    assert _newest(saved.parent) == (3, "")


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_file_never_loads_and_its_predecessor_does(saved, suffix, damage):
    path = saved.with_suffix(suffix)
    whole, rng = path.read_bytes(), random.Random(0)
    for offset in {0, 1, 7, 8, 9, len(whole) - 1, *rng.sample(range(len(whole)), 40)}:
        flipped = bytes([whole[offset] ^ 1 << rng.randrange(8)])
        path.write_bytes(whole[:offset] + (b"" if damage == "truncated" else flipped + whole[offset + 1 :]))
        with pytest.raises(CheckpointError, match="step-00000003"):
            checkpoint.load(saved)
        step, said = _newest(saved.parent)
        assert (step, "step-00000003" in said) == (2, True), offset


def test_without_its_json_there_is_no_checkpoint(saved):
    saved.with_suffix(".json").unlink()
    assert _newest(saved.parent)[0] == 2
    assert checkpoint.newest(saved.parent / "missing") is None


def test_a_json_of_another_checkpoint_vouches_for_nothing(saved):
    checkpoint.save(saved.parent / "other.safetensors", {"weight": torch.ones(1)}, STATE)
    saved.with_suffix(".json").write_bytes((saved.parent / "other.json").read_bytes())
    with pytest.raises(CheckpointError, match="checksum does not match"):
        checkpoint.load(saved)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_not_saved(saved, bad):
    tensors = TENSORS | {"head.bias": torch.tensor([1.0, bad])}
    with pytest.raises(CheckpointError, match=r"head\.bias holds NaN or infinity"):
        checkpoint.save(saved.with_name("step-00000004.safetensors"), tensors, STATE)
    assert _newest(saved.parent) == (3, "")
    assert len(list(saved.parent.iterdir())) == 4


def _fail(function, call):
    original, calls = getattr(os, function), iter(range(1, 1000))

    def failing(*arguments, **more):
        if next(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*arguments, **more)

    return failing


@pytest.mark.parametrize(("function", "calls"), [("replace", 2), ("fsync", 4)])
def test_a_full_disk_at_any_moment_leaves_the_old_one_and_no_parts(saved, monkeypatch, function, calls):
    for call in range(1, calls + 1):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, _fail(function, call))
            with pytest.raises(OSError, match="No space left"):
                checkpoint.save(saved.with_name("step-00000004.safetensors"), TENSORS, STATE | {"step": 4})
        # The very last call only makes the finished rename survive a power cut.
        assert _newest(saved.parent)[0] == (4 if (function, call) == ("fsync", 4) else 3)
        assert not list(saved.parent.glob(".*"))


def test_rewriting_a_checkpoint_never_pairs_the_old_json_with_new_tensors(saved, monkeypatch):
    monkeypatch.setattr(os, "replace", _fail("replace", 2))
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(saved, {"weight": torch.zeros(1)}, STATE)
    assert not saved.with_suffix(".json").exists()
    assert _newest(saved.parent)[0] == 2


def test_parts_left_by_a_kill_are_no_checkpoints_and_are_swept(saved):
    part = saved.parent / ".step-00000009.safetensors.0123abcd.partial"
    part.write_bytes(b"half a check")
    assert _newest(saved.parent) == (3, "")
    checkpoint.forget_after(saved.parent, saved)
    assert not part.exists()
    assert _newest(saved.parent) == (3, "")


def test_pruning_keeps_the_newest_two(tmp_path):
    for step in (9, 10, 100):
        checkpoint.save(tmp_path / f"step-{step:08d}.safetensors", TENSORS, STATE)
    checkpoint.prune(tmp_path)
    assert [path.stem for path in checkpoint.steps_saved(tmp_path)] == ["step-00000100", "step-00000010"]
    checkpoint.prune(tmp_path, keep=0)
    assert list(tmp_path.iterdir()) == []


def test_broken_checkpoints_with_high_steps_do_not_push_out_good_ones(saved):
    for step in (8, 9):  # two saves that a kill cut off before their JSON
        (saved.parent / f"step-{step:08d}.safetensors").write_bytes(b"half")
    checkpoint.forget_after(saved.parent, saved)
    checkpoint.save(saved.with_name("step-00000004.safetensors"), TENSORS, STATE | {"step": 4})
    checkpoint.prune(saved.parent)
    assert _newest(saved.parent) == (4, "")


def test_packing_is_undone_by_unpacking():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizers = [torch.optim.AdamW(net.parameters(), lr=rate) for net, rate in ((ours, 0.1), (theirs, 0.7))]
    ours(torch.ones(1, 3)).sum().backward()
    optimizers[0].step()
    emas = [{"weight": torch.full((2, 3), value)} for value in (5.0, 0.0)]
    checkpoint.unpack_training(
        checkpoint.pack_training(ours, optimizers[0], emas[0]), theirs, optimizers[1], emas[1]
    )
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert torch.equal(emas[0]["weight"], emas[1]["weight"])
    states = [optimizer.state_dict()["state"] for optimizer in optimizers]
    assert states[0].keys() == states[1].keys() == {0, 1}
    assert all(torch.equal(states[0][i][key], states[1][i][key]) for i in states[0] for key in states[0][i])
    assert optimizers[1].param_groups[0]["lr"] == 0.7  # the rate stays the recipe's


class _Malicious:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "wrap", [lambda evil: evil, lambda evil: {"model": {"w": torch.ones(1)}, "args": evil}]
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path, wrap, zipped):
    path, target = tmp_path / "evil.pt", tmp_path / "touched"
    torch.save(wrap(_Malicious(target)), path, _use_new_zipfile_serialization=zipped)
    for allow in ((), (argparse.Namespace,)):
        with pytest.raises(CheckpointError, match=r"evil\.pt: refused, it names posix\.mkdir") as refused:
            checkpoint.read_foreign(path, allow)
        assert "weights_only" not in str(refused.value)
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.exists()  # it would have


def test_a_namespace_is_read_only_where_it_is_allowed(tmp_path):
    path = tmp_path / "fairseq.pt"
    torch.save({"args": argparse.Namespace(arch="wav2vec2"), "model": {"w": torch.ones(2)}}, path)
    with pytest.raises(CheckpointError, match=r"it names argparse\.Namespace, which is none of the classes"):
        checkpoint.read_foreign(path)
    assert checkpoint.read_foreign(path, (argparse.Namespace,))["args"].arch == "wav2vec2"
    with pytest.raises(CheckpointError):  # allowing once allows nothing afterwards
        checkpoint.read_foreign(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"a": 1}, protocol=2)[:-3]])
def test_a_damaged_foreign_file_is_named(tmp_path, content):
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.pt"):
        checkpoint.read_foreign(path)
    with pytest.raises(CheckpointError, match=r"missing\.pt: cannot be read"):
        checkpoint.read_foreign(tmp_path / "missing.pt")
