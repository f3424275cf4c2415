"""Files and folders that are whole or not there; what a killed process left half-written is swept away."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

# Names of what is not whole yet, narrow enough to be nobody else's: what bears one and is held by nobody is removed.
PARTIAL = re.compile(r"\..*\.[0-9a-f]{8}\.partial")
MOST_NAME_BYTES = 150  # of the name that a partial's own begins with; file systems take 255


def check_folder(path: Path) -> None:
    """
    Raises:
        ValueError: no such folder is there or can be made, since a file has its name.
    """
    first = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not first.is_dir():
        raise ValueError(f"{first} is a file, and {path} must be a folder; choose another name")


def write_atomically(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one, never a part; see `replacing`."""
    with replacing(path) as beside:
        beside.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file beside `path`, to be written; at the end it is flushed and takes its name.

    If anything fails it is removed, and what stood under the name before stays. A kill leaves it, and the next who
    writes into the folder sweeps it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_once(path.parent.absolute())
    with _claimed(path, lambda beside: os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)) as beside:
        try:
            yield beside
            with open(beside, "rb") as written:  # whoever wrote it may have closed it, or made it anew
                os.fsync(written.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # makes the rename itself survive a power cut
    finally:
        os.close(folder)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """As `replacing`, of a folder, whose content is not flushed.

    Raises:
        OSError: at the end, where there is something under the name.
    """
    with scratch_folder(path) as beside:
        yield beside
        beside.rename(path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what is in the making; removed in the end, or swept if the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_once(path.parent.absolute())
    with _claimed(path, _made_folder) as beside:
        try:
            yield beside
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _made_folder(path: Path) -> int:
    path.mkdir()
    return os.open(path, os.O_RDONLY)


@contextmanager
def _claimed(path: Path, make: Callable[[Path], int]) -> Iterator[Path]:
    """Makes a partial of a name of its own and holds it: what nobody holds is swept."""
    name = os.fsdecode(os.fsencode(path.name)[:MOST_NAME_BYTES])
    while True:
        beside = path.with_name(f".{name}.{secrets.token_hex(4)}.partial")
        handle = make(beside)
        with suppress(OSError):  # a file system without locks: nothing is swept there either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if beside.exists():
            break
        os.close(handle)  # it was swept between its making and the lock
    try:
        yield beside
    finally:
        os.close(handle)


@cache
def _sweep_once(folder: Path) -> None:
    sweep(folder)


def sweep(folder: Path) -> None:
    """Removes the partials in a folder whose writers are gone."""
    for left in (path for path in folder.glob(".*.partial") if PARTIAL.fullmatch(path.name)):
        with suppress(OSError):  # gone meanwhile, or somebody else's
            handle = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()
            finally:
                os.close(handle)


@contextmanager
def only_writer(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds a folder for this process; the system lets go of it however the process ends.

    Args:
        wait: until it is free.

    Raises:
        ValueError: another process holds it, with its number, and waiting was not asked for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".writer", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            file.seek(0)
            raise ValueError(
                f"{folder} is being written by process {file.read().strip() or 'unknown'}; wait for it or stop it"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def writer_in_turn(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """As `only_writer`; says for whom it waits."""
    with ExitStack() as held:
        try:
            held.enter_context(only_writer(folder))
        except ValueError as error:
            say(f"{str(error).partition(';')[0]}; waiting for it")
            held.enter_context(only_writer(folder, wait=True))
        yield
