"""Reads package archives (.deb, .whl, .zip, .tgz) without trusting them or running anything in them."""

import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from common.progress import progress


class UnsafeArchive(ValueError):
    """An archive that tries to write outside its folder, or to make a device or a link that leads out."""


DAMAGED = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, EOFError, zlib.error, OSError)


def unpack(archive: Path, folder: Path, files: tuple[str, ...] = ("*",)) -> list[Path]:
    """Writes the members whose names match one of `files` into `folder`; returns their paths.

    Patterns are shell globs over the whole member name (`*` crosses `/`). Links are never made, so nothing
    can be written through one: a link that stays inside is left out, one that leads out is refused.

    Raises:
        UnsafeArchive: an absolute name, `..`, a device, or a link out of the folder.
        ValueError: no known archive, or a pattern that matches nothing (with the pattern).
    """
    written, unmatched = [], set(files)
    size_mb = archive.stat().st_size / 1e6
    with progress(f"unpacking {archive.name}", size_mb, "MB", done=0.0) as bar, archive.open("rb") as raw:
        for name, content in _members(archive.name, raw):
            hits = {pattern for pattern in files if fnmatchcase(name, pattern)}
            if hits:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as out:
                    shutil.copyfileobj(content, out, 1 << 20)
                written.append(target)
                unmatched -= hits
            bar.reach(raw.tell() / 1e6)
    if unmatched:
        raise ValueError(f"{archive.name} holds no file that matches {', '.join(sorted(unmatched))}")
    return written


def _members(name: str, raw: io.BufferedReader) -> Iterator[tuple[str, IO[bytes]]]:
    if name.endswith(".deb"):
        return _deb_members(name, raw)
    if name.endswith((".whl", ".zip")):
        return _zip_members(name, raw)
    if name.endswith((".tgz", ".tar.gz", ".tar.xz", ".tar")):
        return _tar_members(name, raw)
    raise ValueError(f"{name} must be a .deb, .whl, .zip, .tgz or .tar archive")


def _tar_members(name: str, raw: io.BufferedReader) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=raw, mode="r|*") as tar:
        for member in tar:
            path = safe_name(member.name, name)
            if member.issym() or member.islnk():
                # A symbolic link counts from its own folder, a hard link from the root of the archive.
                start = PurePosixPath(path).parent if member.issym() else PurePosixPath()
                _refuse_link_out(path, start, member.linkname, name)
            elif member.isreg():
                content = tar.extractfile(member)
                assert content is not None  # true of every regular member
                yield path, content
            elif not member.isdir():
                raise UnsafeArchive(f"{name}: member {member.name!r} is a device or pipe; refused")


def _zip_members(name: str, raw: io.BufferedReader) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(raw) as zipped:
        for info in zipped.infolist():
            path = safe_name(info.filename, name)
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                link = zipped.read(info).decode("utf-8", "replace")
                _refuse_link_out(path, PurePosixPath(path).parent, link, name)
            elif not info.is_dir():
                with zipped.open(info) as content:
                    yield path, content


def _deb_members(name: str, raw: io.BufferedReader) -> Iterator[tuple[str, IO[bytes]]]:
    """A .deb is an `ar` file: 60-byte headers (name, decimal size at 48), members padded to even length."""
    if raw.read(8) != b"!<arch>\n":
        raise ValueError(f"{name} is no Debian package (its first 8 bytes are not '!<arch>')")
    while len(header := raw.read(60)) == 60:
        member, size = header[:16].decode("ascii", "replace").strip(" /"), int(header[48:58])
        if member.startswith("data.tar"):
            if member.endswith(".zst"):
                raise ValueError(f"{name} is packed with zstd; place a build packed with xz")
            yield from _tar_members(name, io.BufferedReader(_Part(raw, size)))
            return
        raw.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError(f"{name} has no data.tar member; it is damaged")


class _Part(io.RawIOBase):
    """The next `size` bytes of an open file, so that a tar reader stops where its member stops."""

    def __init__(self, raw: io.BufferedReader, size: int):
        self.raw, self.left = raw, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        chunk = self.raw.read(min(len(buffer), self.left))
        buffer[: len(chunk)] = chunk
        self.left -= len(chunk)
        return len(chunk)


def safe_name(name: str, archive: str) -> str:
    """`name` without a leading './'; refuses absolute names, drive letters, backslashes and '..'."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name.split("/")[0] or "\0" in name:
        raise UnsafeArchive(f"{archive}: member {name!r} would leave the folder; refused")
    return str(path)


def _refuse_link_out(path: str, start: PurePosixPath, link: str, archive: str) -> None:
    # Absolute targets lead out too; Debian's own policy makes links inside one top folder relative.
    joined = os.path.normpath(start / link)
    if PurePosixPath(link).is_absolute() or joined == ".." or joined.startswith("../"):
        raise UnsafeArchive(f"{archive}: link {path!r} leads to {link!r}, outside the folder; refused")
