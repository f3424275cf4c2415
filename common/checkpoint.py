"""Checkpoints that are whole or not there: safetensors beside JSON, checksummed and renamed into place."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.optim import Optimizer

from common.files import sweep, write_atomically
from common.strict_json import parsed

STEP = re.compile(r"step-\d+\.safetensors")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and the reason."""


class Unreadable(CheckpointError):
    """A checkpoint that is there and may be sound, but this process, or its disk, cannot read it."""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors and JSON state read back and found intact."""

    path: Path
    tensors: dict[str, Tensor]
    state: dict[str, Any]


def _canonical(state: Mapping[str, Any]) -> bytes:
    return json.dumps(state, sort_keys=True).encode()


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes `path` (.safetensors) and then its JSON, which carries both checksums: no JSON, no checkpoint.

    Raises:
        CheckpointError: a tensor with NaN or infinity, by name; bad weights are never saved.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: not saved, since {name} holds NaN or infinity")
    blob = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    record = {"state": dict(state), "sha256": hashlib.sha256(blob).hexdigest(), "bytes": len(blob)}
    sidecar = {**record, "digest": hashlib.sha256(_canonical(record)).hexdigest()}
    path.with_suffix(".json").unlink(missing_ok=True)  # an old JSON must never vouch for new tensors
    write_atomically(path, blob)
    write_atomically(path.with_suffix(".json"), json.dumps(sidecar, indent=1).encode())


def load(path: Path) -> Checkpoint:
    """Reads a checkpoint and checks every byte of it.

    Raises:
        CheckpointError: missing, truncated or altered.
        Unreadable: permissions or an input/output error; nothing is wrong with the checkpoint that anybody knows of.
    """
    try:
        sidecar = parsed(path.with_suffix(".json").read_bytes())
        blob = path.read_bytes()
        digest = sidecar.pop("digest")
    except (FileNotFoundError, IsADirectoryError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    except OSError as error:
        raise Unreadable(
            f"{path} cannot be read ({error}); make it readable (owner, permissions, disk) and start again, "
            "or discard it with --resume never"
        ) from error
    if digest != hashlib.sha256(_canonical(sidecar)).hexdigest():
        raise CheckpointError(f"{path.with_suffix('.json')}: its checksum does not match; it was altered")
    if sidecar["sha256"] != hashlib.sha256(blob).hexdigest():
        raise CheckpointError(
            f"{path}: its checksum does not match; it holds {len(blob)} bytes of {sidecar['bytes']}"
        )
    return Checkpoint(path, load_tensors(blob), sidecar["state"])


def steps_saved(folder: Path) -> list[Path]:
    """Checkpoints of a run, newest first, unread.

    Raises:
        Unreadable: the folder is there and cannot be looked into.
    """
    try:
        names = os.listdir(folder)  # `glob` would give nothing
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unreadable(f"{folder} cannot be read ({error}); make it readable and start again") from error
    found = [folder / name for name in names if STEP.fullmatch(name)]
    return sorted(found, reverse=True)


def is_finished(path: Path) -> bool:
    """Whether a checkpoint was written to its end: its JSON comes last."""
    return path.exists() and path.with_suffix(".json").exists()


def newest(folder: Path, say: Callable[[str], None] = print) -> Checkpoint | None:
    """The newest checkpoint that is intact; each broken one passed over is named.

    Raises:
        Unreadable: one that is newer than the intact ones cannot be read, so nobody knows whether it is broken.
    """
    for path in steps_saved(folder):
        try:
            return load(path)
        except Unreadable:
            raise
        except CheckpointError as error:
            say(f"passed over a broken checkpoint: {error}")
    return None


def prune(folder: Path, keep: int = 2) -> None:
    """Deletes all but the newest `keep`; two stay so that one broken by a crash has a predecessor."""
    for path in steps_saved(folder)[keep:]:
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def forget_after(folder: Path, last: Path) -> None:
    """Deletes what is later than the checkpoint a run goes on from, all of it broken, and parts left by a kill.

    Else two broken ones with high steps would be the two that `prune` keeps.
    """
    for path in steps_saved(folder):
        if path.name > last.name:
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
    sweep(folder)


# ---- what a training run puts inside


def pack_training(model: nn.Module, optimizer: Optimizer, ema: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights, averaged weights and optimiser state under flat names."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"ema.{name}": tensor for name, tensor in ema.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    return tensors


def unpack_training(
    tensors: Mapping[str, Tensor], model: nn.Module, optimizer: Optimizer, ema: dict[str, Tensor]
) -> None:
    """Inverse of `pack_training`, in place; rates and other group settings stay the recipe's."""
    part = _split(tensors)
    model.load_state_dict(part("model"))
    for name, tensor in part("ema").items():
        ema[name].copy_(tensor)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in part("optimizer").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _split(tensors: Mapping[str, Tensor]) -> Callable[[str], dict[str, Tensor]]:
    return lambda part: {
        name.removeprefix(f"{part}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{part}.")
    }


def read_foreign(path: Path, allow: Iterable[Any] = ()) -> Any:
    """Contents of somebody else's pickle checkpoint, through torch's allow-listing unpickler.

    Args:
        allow: further classes that the file may hold, such as `argparse.Namespace` in old fairseq files.

    Raises:
        CheckpointError: the file names anything outside the list, by its name; nothing is run.
    """
    try:
        with torch.serialization.safe_globals(list(allow)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    except Exception as error:
        raise CheckpointError(f"{path}: refused, {_why_refused(str(error))}") from error


def _why_refused(told: str) -> str:
    """The class, or what is broken; torch's own words advise to turn its safety off."""
    if found := re.search(r"GLOBAL (\S+)", told):
        return (
            f"it names {found[1]}, which is none of the classes that are read: it could run code when opened"
        )
    lines = [line for line in told.splitlines() if line.strip() and "weights_only" not in line]
    return f"it is damaged or could run code when opened ({lines[0].strip() if lines else 'no pickle'})"
