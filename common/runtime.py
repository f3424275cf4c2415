"""Where a run happens: device, precision, threads and seeds."""

from __future__ import annotations

import ctypes
import hashlib
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from common.progress import say

if TYPE_CHECKING:
    from lightning.fabric import Fabric


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h


@dataclass(frozen=True)
class Device:
    """A device that was found, and what to say about it."""

    kind: str  # "cpu" or "cuda"
    name: str
    notice: str = ""  # a sentence for the user when it is not what they may have hoped for


def find_device(wanted: str = "auto") -> Device:
    """Device by the name a user gives: auto, cpu, cuda.

    Raises:
        ValueError: an unknown name, or `cuda` where torch sees no GPU, with the way out.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, got {wanted!r}")
    if wanted == "cpu":
        return Device("cpu", "CPU")
    if torch.cuda.is_available():
        return Device("cuda", torch.cuda.get_device_name())
    # The pinned wheels carry CUDA 13.0, so an old driver looks like no GPU at all.
    driver = os.path.exists("/proc/driver/nvidia/version")
    why = (
        f"torch {torch.__version__} needs a driver for CUDA {torch.version.cuda}, and the one installed is older; "
        "update the driver (580 or newer for CUDA 13)"
        if driver
        else "no NVIDIA driver is loaded; on a machine with a GPU, install one"
    )
    if wanted == "cuda":
        raise ValueError(f"device cuda was asked for and torch sees no GPU: {why}, or use --device cpu")
    return Device(
        "cpu", "CPU", f"NO GPU IN USE: {why}. Going on with the CPU." if driver else f"on the CPU: {why}"
    )


def keep_freed_memory() -> bool:
    """Lets this process keep memory that it has freed, for its next step; whether it will.

    glibc gives large blocks back to the system and asks for them anew, at every step, and each page that comes anew is
    cleared first: a sixteenth of a fine-tuning step of wav2vec 2.0 BASE. The most that is held hardly changes, numbers
    do not. Blocks above 32 MB, the most that glibc allows, are given back as before.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    taken = [mallopt(TRIM_THRESHOLD, 2**31 - 1), mallopt(MMAP_THRESHOLD, 32 * 2**20)]
    return all(taken)


def start(device: str, *, bf16: bool, threads: int, alone: bool = False) -> Fabric:
    """Fabric on the device; several processes when `torchrun` has set its variables, on one node or more.

    Args:
        alone: this process trains by itself, whatever `torchrun` has set.
    """
    from lightning.fabric import Fabric

    torch.set_num_threads(threads)
    found = find_device(device)
    # Fabric reads WORLD_SIZE itself when torchrun set it; the count here is per node.
    devices = 1 if alone else int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = 1 if alone else max(1, int(os.environ.get("WORLD_SIZE", "1")) // devices)
    precision: Any = "bf16-mixed" if bf16 and found.kind == "cuda" else "32-true"
    fabric = Fabric(
        accelerator=found.kind,
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision=precision,
    )
    fabric.launch()
    if found.kind == "cpu":
        keep_freed_memory()
    if found.notice and fabric.is_global_zero:
        say(found.notice)
    if found.kind == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    return fabric


def seed_all(*parts: int | str) -> int:
    """Seeds torch from a seed, a step, a rank ..., so that no generator state needs saving; returns the seed."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    seed = int.from_bytes(digest[:8], "little") >> 1
    torch.manual_seed(seed)
    return seed


def forget_peak_memory() -> None:
    """From now on `peak_memory_bytes` tells of what comes, where the system can do that (Linux, and a GPU)."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """Most memory held so far: of the GPU when one is in use, else of this process."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    try:
        # Linux's own high-water mark starts anew with a program; that of getrusage is inherited from the parent.
        status = Path("/proc/self/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
