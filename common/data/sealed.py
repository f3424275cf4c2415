"""What was prepared is what is read: size and sha256 of every prepared file stand in a seal beside them.

    FOLDER/prepared.json        {name: [bytes, sha256]} of all that lies in a folder, or
    FOLDER/NAME.sealed.json     of what was prepared under one name, where a folder holds several

What has no seal was prepared before there were seals. Sizes are compared whenever a file is opened, hashes once a run
(`check_once`) and by `data --verify` (`faults`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy import ndarray

from common.data.manifest import Bad
from common.data.packages import file_sha256
from common.files import write_atomically
from common.progress import tracked
from common.strict_json import parsed

SEAL, ENDING = "prepared.json", ".sealed.json"


def seal_of(path: Path) -> Path:
    """The seal of what lies beside a path under its name without the suffix."""
    return path.with_name(path.stem + ENDING)


def seal(seal_path: Path, files: Iterable[Path]) -> None:
    """Adds files of the seal's folder to it, as they are now. Only one process may do so at a time."""
    _sealed.cache_clear()
    folder, sealed = seal_path.parent, {**_sealed(seal_path)}
    for path in tracked(sorted(files), "hashing what was prepared", None, "file"):
        sealed[path.relative_to(folder).as_posix()] = (path.stat().st_size, file_sha256(path))
    write_atomically(seal_path, json.dumps(sealed, indent=0, sort_keys=True).encode())
    _sealed.cache_clear()
    check_once.cache_clear()


@cache
def _sealed(seal_path: Path) -> dict[str, tuple[int, str]]:
    if not seal_path.exists():
        return {}
    try:
        told = parsed(seal_path.read_bytes())
        return {name: (int(size), str(sha256)) for name, (size, sha256) in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{seal_path} is damaged ({error}); {_way_out(seal_path)}") from error


def _way_out(seal_path: Path) -> str:
    whole = seal_path.parent if seal_path.name == SEAL else f"{str(seal_path).removesuffix(ENDING)}.*"
    return f"remove {whole} and start again: it is then prepared anew"


def _fault(seal_path: Path, name: str, *, hashed: bool) -> str | None:
    """What is wrong with a sealed file, if anything."""
    size, sha256 = _sealed(seal_path)[name]
    path = seal_path.parent / name
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return "missing"
    if found != size:
        return f"must hold {size} bytes, holds {found}"
    if hashed and (digest := file_sha256(path)) != sha256:
        return f"sha256 must be {sha256}, is {digest}"
    return None


def faults(seal_path: Path) -> list[Bad]:
    """Every sealed file that is missing or not what was prepared; all are read to their end."""
    names = tracked(sorted(_sealed(seal_path)), "hashing what was prepared", len(_sealed(seal_path)), "file")
    found = ((name, _fault(seal_path, name, hashed=True)) for name in names)
    return [Bad(name, str(seal_path.parent / name), fault) for name, fault in found if fault]


@cache
def check_once(seal_path: Path) -> None:
    """Once in a process, what `faults` finds is an error.

    Raises:
        ValueError: the first fault, and how many there are.
    """
    if found := faults(seal_path):
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ValueError(f"{found[0].path}: {found[0].reason}{more}; {_way_out(seal_path)}")


def mapped(path: Path, seal_path: Path) -> ndarray:
    """A prepared array, mapped into memory.

    Raises:
        ValueError: it is missing, of another size than was prepared, or no array; with the way out.
    """
    name = path.relative_to(seal_path.parent).as_posix()
    fault = _fault(seal_path, name, hashed=False) if name in _sealed(seal_path) else None
    if fault is None:
        try:
            found: ndarray = np.load(path, mmap_mode="r")
            return found
        except FileNotFoundError:
            fault = "missing"
        except (ValueError, EOFError, struct.error) as error:
            fault = f"no array, or a part of one ({error})"
    raise ValueError(f"{path}: {fault}; {_way_out(seal_path)}")
