"""Where a run is made: the commit of the checkout and what differs from it, the machine, the packages."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "torchaudio", "lightning", "numpy", "scipy", "scikit-image", "av")
BF16_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}
VECTOR_INSTRUCTIONS = ("avx512f", "avx2", "avx", "sse4_2", "sve", "asimd")  # widest first


def provenance(
    repo_root: Path,
    *,
    gpu: str | None = None,
    packages: Sequence[str] = PACKAGES,
    lock: str = "requirements.lock",
) -> dict[str, Any]:
    """Fields of `Result` that the machine and the checkout decide: commit, dirty, lock_sha256, hardware,
    versions.

    Outside a git checkout the commit is "unknown" and counts as dirty. The GPU's name is passed in, because
    asking for it needs torch. Memory is in bytes.
    """
    commit, status = _git(repo_root, "rev-parse", "HEAD"), _git(repo_root, "status", "--porcelain")
    lock_path = repo_root / lock
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "commit": commit or "unknown",
        "dirty": commit is None or status != "",
        "lock_sha256": hashlib.sha256(lock_path.read_bytes()).hexdigest()
        if lock_path.is_file()
        else "missing",
        "hardware": {
            "cpu": _cpu_name(),
            "vector_instructions": _vector_instructions(),
            "bf16": cpu_has_bf16(),
            "cores": os.cpu_count() or 1,
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "gpu": gpu,
            "system": platform.platform(),
        },
        "versions": versions,
    }


def changes(repo_root: Path) -> str:
    """A line on what keeps results of this checkout from being published, e.g. "this checkout differs from its commit
    (M common/run.py and 2 more)"; empty where nothing does, and outside a git checkout, where nobody publishes."""
    status = _git(repo_root, "status", "--porcelain")
    if not status:
        return ""
    first, *others = status.splitlines()
    more = f" and {len(others)} more" if others else ""
    return (
        f"this checkout differs from its commit ({first.strip()}{more}): results say so and cannot be published; "
        "commit, or remove what git does not know, where that matters"
    )


def _git(repo_root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(repo_root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _vector_instructions() -> str:
    """The widest that this CPU has, on which the order of additions depends, e.g. "avx512f"; "" where nobody says."""
    flags = _flags()
    return next((name for name in VECTOR_INSTRUCTIONS if name in flags), "")


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies sixteen bits (bfloat16) by instructions of its own; others are slower in them."""
    return bool(BF16_INSTRUCTIONS & _flags())


@cache
def _flags() -> frozenset[str]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    told = (line.split(":", 1)[1] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(flag for flags in told for flag in flags.split())
