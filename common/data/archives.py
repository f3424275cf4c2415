"""Reads package archives (.deb, .whl, .zip, .tgz) without trusting them or running anything in them."""

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from common.progress import progress


class UnsafeArchive(ValueError):
    """An archive that tries to write outside its folder, or to make a device or a link that leads out."""


class DamagedArchive(ValueError):
    """An archive that cannot be read to its end, or that no unpacking program would make."""


# What is unpacked may be larger than the archive by so much, and hold a member for so many of its bytes; speech,
# pictures and texts stay far below both, and an archive that is made to fill a disk is far above one of them.
MOST_RATIO, LEAST_MEMBER_BYTES = 100, 64
MOST_LINK_BYTES = 4096
SMALL_BYTES, FEW_MEMBERS = 100_000_000, 10_000  # allowed to the smallest archive


def unpack(archive: Path, folder: Path, files: tuple[str, ...] = ("*",)) -> list[Path]:
    """Writes the members whose names match one of `files` into `folder`; returns their paths.

    Patterns are shell globs over the whole member name (`*` crosses `/`). Links are never made, so nothing
    can be written through one: a link that stays inside is left out, one that leads out is refused.

    Raises:
        UnsafeArchive: an absolute name, `..`, a device, a link out of the folder, a file with holes, or far more bytes
            or members than the archive is large.
        DamagedArchive: cut off, altered, encrypted, or of a kind that is not read.
        ValueError: no known archive, or a pattern that matches nothing (with the pattern).
        OSError: the disk is full, or the like; the archive may be sound.
    """
    written, unmatched = [], set(files)
    size = archive.stat().st_size
    most_bytes, most_members = (
        max(SMALL_BYTES, MOST_RATIO * size),
        max(FEW_MEMBERS, size // LEAST_MEMBER_BYTES),
    )
    with progress(f"unpacking {archive.name}", size / 1e6, "MB", done=0.0) as bar, archive.open("rb") as raw:
        for number, (name, content) in enumerate(_read(_members(archive.name, raw), archive.name), 1):
            if number > most_members:
                raise UnsafeArchive(f"{archive.name}: more than {most_members:,} members; refused")
            hits = {pattern for pattern in files if fnmatchcase(name, pattern)}
            if hits:
                most_bytes -= _write(folder / name, content.read, most_bytes, archive)
                written.append(folder / name)
                unmatched -= hits
            bar.reach(raw.tell() / 1e6)
    if unmatched:
        raise ValueError(f"{archive.name} holds no file that matches {', '.join(sorted(unmatched))}")
    return written


Read = TypeVar("Read")
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    EOFError,
    zlib.error,
    struct.error,
    NotImplementedError,  # raised by zipfile for a compression that it does not know, as altered bytes name one
)


def _read(found: Iterator[Read], archive: str) -> Iterator[Read]:
    """The same, where faults of the archive alone are told as such."""
    while True:
        try:
            one = next(found, None)
        except BROKEN as error:
            raise DamagedArchive(f"{archive} is damaged ({error})") from error
        except OSError as error:
            if error.errno is None:  # bz2's way to say so
                raise DamagedArchive(f"{archive} is damaged ({error})") from error
            raise
        if one is None:
            return
        yield one


def _write(target: Path, read: Callable[[int], bytes], most_bytes: int, archive: Path) -> int:
    """The number of bytes."""
    size, name = 0, archive.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            for block in _read(iter(lambda: read(1 << 20) or None, None), name):
                size += len(block)
                if size > most_bytes:
                    raise UnsafeArchive(
                        f"{name}: unpacks to more than {MOST_RATIO} times its size, at {target.name}; refused"
                    )
                out.write(block)
    except (FileExistsError, NotADirectoryError) as error:
        raise DamagedArchive(f"{name} is damaged (it holds {target.name} twice)") from error
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} while unpacking {name}", str(target)) from error
    return size


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
            if member.issparse():  # says how large it is, and holds almost nothing
                raise UnsafeArchive(f"{name}: member {member.name!r} is a file with holes; refused")
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
            if info.flag_bits & 1:
                raise DamagedArchive(f"{name} is encrypted; place one that is not")
            if stat.S_ISLNK(mode):
                with zipped.open(info) as content:
                    link = content.read(MOST_LINK_BYTES).decode("utf-8", "replace")
                _refuse_link_out(path, PurePosixPath(path).parent, link, name)
            elif not info.is_dir():
                with zipped.open(info) as content:
                    yield path, content


def _deb_members(name: str, raw: io.BufferedReader) -> Iterator[tuple[str, IO[bytes]]]:
    """A .deb is an `ar` file: 60-byte headers (name, decimal size at 48), members padded to even length."""
    if raw.read(8) != b"!<arch>\n":
        raise ValueError(f"{name} is no Debian package (its first 8 bytes are not '!<arch>')")
    while len(header := raw.read(60)) == 60:
        member, told = header[:16].decode("ascii", "replace").strip(" /"), header[48:58].strip()
        if not told.isdigit():
            raise DamagedArchive(
                f"{name} is damaged (member {member!r} of size {told.decode('ascii', 'replace')!r})"
            )
        size = int(told)
        if member.startswith("data.tar"):
            if member.endswith(".zst"):
                raise ValueError(f"{name} is packed with zstd; place a build packed with xz")
            yield from _tar_members(name, io.BufferedReader(_Part(raw, size)))
            return
        raw.seek(size + size % 2, os.SEEK_CUR)
    raise DamagedArchive(f"{name} is damaged (it has no data.tar member)")


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
