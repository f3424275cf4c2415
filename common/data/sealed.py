"""What was prepared is what is read: size and sha256 of every prepared file stand in a seal beside them.

    FOLDER/prepared.json    {name: [bytes, sha256]}; a folder that has none was prepared before there were seals

Sizes are compared whenever a file is opened, hashes once a run (`check_once`) and by `data --verify` (`faults`).
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

SEAL = "prepared.json"


def seal(folder: Path, files: Iterable[Path]) -> None:
    """Adds files of the folder to its seal, as they are now. Only one process may do so at a time."""
    sealed = {**_sealed(folder)}
    for path in tracked(sorted(files), "hashing what was prepared", None, "file"):
        sealed[path.relative_to(folder).as_posix()] = (path.stat().st_size, file_sha256(path))
    write_atomically(folder / SEAL, json.dumps(sealed, indent=0, sort_keys=True).encode())
    _sealed.cache_clear()
    check_once.cache_clear()


@cache
def _sealed(folder: Path) -> dict[str, tuple[int, str]]:
    path = folder / SEAL
    if not path.exists():
        return {}
    try:
        told = json.loads(path.read_bytes())
        return {name: (int(size), str(sha256)) for name, (size, sha256) in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); {_way_out(folder)}") from error


def _way_out(folder: Path) -> str:
    return f"remove {folder} and prepare again (python -m common.run data)"


def _fault(folder: Path, name: str, *, hashed: bool) -> str | None:
    """What is wrong with a sealed file, if anything."""
    size, sha256 = _sealed(folder)[name]
    try:
        found = (folder / name).stat().st_size
    except FileNotFoundError:
        return "missing"
    if found != size:
        return f"must hold {size} bytes, holds {found}"
    if hashed and (digest := file_sha256(folder / name)) != sha256:
        return f"sha256 must be {sha256}, is {digest}"
    return None


def faults(folder: Path) -> list[Bad]:
    """Every sealed file that is missing or not what was prepared; all are read to their end."""
    names = tracked(sorted(_sealed(folder)), "hashing what was prepared", len(_sealed(folder)), "file")
    found = ((name, _fault(folder, name, hashed=True)) for name in names)
    return [Bad(name, str(folder / name), fault) for name, fault in found if fault]


@cache
def check_once(folder: Path) -> None:
    """Once in a process, what `faults` finds is an error.

    Raises:
        ValueError: the first fault, and how many there are.
    """
    if found := faults(folder):
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ValueError(f"{found[0].path}: {found[0].reason}{more}; {_way_out(folder)}")


def mapped(path: Path, folder: Path | None = None) -> ndarray:
    """A prepared array, mapped into memory.

    Args:
        folder: that is sealed; the array's own unless told otherwise.

    Raises:
        ValueError: it is missing, of another size than was prepared, or no array; with the way out.
    """
    folder = path.parent if folder is None else folder
    name = path.relative_to(folder).as_posix()
    fault = _fault(folder, name, hashed=False) if name in _sealed(folder) else None
    if fault is None:
        try:
            found: ndarray = np.load(path, mmap_mode="r")
            return found
        except FileNotFoundError:
            fault = "missing"
        except (ValueError, EOFError, struct.error) as error:
            fault = f"no array, or a part of one ({error})"
    raise ValueError(f"{path}: {fault}; {_way_out(folder)}")
