"""A folder of videos as something to search: each video's windows as units, saved video by video.

INDEX/index.json                  what made it: folder of videos, model and its hash, how files are cut
     /videos/NAME-HASH/video.json path, size and date of a video, times of its windows, what was wrong with it
                      /units.f16  window x position x channel, see `vectors`; `units.i8` in 8 bits; what is mostly
                                  zeros deflated
                      /000012.jpg some frames of window 12, side by side: what is shown of a result

A video's folder takes its name when it is whole, so that an index can be stopped, killed and gone on with, and be
searched meanwhile. Of a video, one window is in memory at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray

from common.data.container import Holes
from common.data.media import PICTURE_SUFFIXES, VIDEO_SUFFIXES, MediaError
from common.files import new_folder, only_writer, sweep, write_atomically
from common.strict_json import parsed
from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.matcher import Matcher
from multimodal_ssl.search.vectors import check_bits, packed, size_of, unpacked
from multimodal_ssl.search.windows import Cut, Window, windows

VERSION = 4  # raise when what lies in an index, or the hash of its model, changes its form
RECORD, SETTINGS = "video.json", "index.json"
UNITS = {8: "units.i8", 16: "units.f16"}  # by bits
MOST_SHOWN = 4  # frames of a window in its picture
JPEG_QUALITY = 80
SAID_DIGITS = 12  # of a hash in a sentence
WHOLE_BYTES, PARTS, PART_BYTES = 4_000_000, 16, 1 << 16  # of a file, what its fingerprint reads
# What lies beside videos: captions, notes, posters, an index.
BESIDE = (".srt", ".vtt", ".json", ".csv", ".txt", ".md", ".f16", ".i8", *PICTURE_SUFFIXES)
BREAKS_OFF = "the file breaks off"
Encode = Callable[[UInt8[ndarray, "time height width 3"]], Float32[ndarray, "position channel"]]


@dataclass(frozen=True, kw_only=True)
class IndexedVideo:
    """What an index keeps of one file."""

    path: str  # from the folder of videos, with "/"
    size_bytes: int
    modified_ns: int
    content: str = ""  # hash of its size and of parts of it, see `fingerprint`
    fault: str = ""  # why it holds nothing, or nothing after its last window
    gaps: tuple[str, ...] = ()  # what could not be decoded between its windows, a stretch each
    frame_size: tuple[int, int] = (0, 0)  # (height, width) as the network sees it
    units: tuple[int, int] = (0, 0)  # positions of a window, and their channels
    times_s: tuple[tuple[float, float], ...] = ()  # start and stop of every window
    taken: tuple[int, ...] = ()  # bytes of each window in the file of units; none: all are whole

    def same_file(self, other: IndexedVideo) -> bool:
        """Whatever its name and date: files are moved, copied and restored."""
        return (self.size_bytes, self.content) == (other.size_bytes, other.content)


@dataclass(frozen=True)
class Outcome:
    """What became of one file: "failed" where it cannot be decoded to its end, now or when it was tried before;
    "missing" where it is gone and what was made of it is kept."""

    what: Literal["indexed", "kept", "missing", "removed", "failed"]
    video: IndexedVideo


@dataclass(frozen=True)
class Index:
    """A folder that holds an index."""

    folder: Path
    videos_folder: Path  # where the videos lie
    model: str  # as it was asked for
    model_sha256: str
    cut: Cut
    bits: int = field(default=16, kw_only=True)  # of a number of a vector, one of `vectors.BITS`
    version: int = field(default=VERSION, kw_only=True)

    def __post_init__(self) -> None:
        check_bits(self.bits)

    # ---- reading

    @classmethod
    def read(cls, folder: Path) -> Index:
        """An index that is there.

        Raises:
            ValueError: there is none, or one of another version.
        """
        path = folder / SETTINGS
        if not path.is_file():
            raise ValueError(
                f"{folder} holds no index; make one with: python -m multimodal_ssl index DIR --out {folder}"
            )
        try:
            found = parsed(path.read_bytes())
            cut, version = Cut(**found["cut"]), found["version"]
            bits = found.get("bits", 16)  # as all were when none said it
            index = cls(folder, Path(found["videos"]), found["model"], found["model_sha256"], cut, bits=bits)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error}); remove {folder} and index again") from error
        if version != VERSION:
            raise ValueError(
                f"{folder} is of version {version}, this tool of {VERSION}; remove it, index again"
            )
        return index

    def check_model(self, name: str, sha256: str) -> None:
        """Refuses vectors of another model: they would compare, and mean nothing.

        Raises:
            ValueError: with both models' names and hashes.
        """
        if sha256 != self.model_sha256:
            raise ValueError(
                f"{self.folder} was made by model {self.model} ({self.model_sha256[:SAID_DIGITS]}), not by {name} "
                f"({sha256[:SAID_DIGITS]}), and what two models see does not compare; use that model, or index again "
                "into another folder"
            )

    def videos(self) -> Iterator[tuple[IndexedVideo, Path]]:
        """What is kept of each file, and where; in the order of folders."""
        for record in sorted(self._records()):
            yield _read_record(record), record.parent

    @property
    def num_videos(self) -> int:
        return sum(1 for _ in self._records())

    def _records(self) -> Iterator[Path]:
        return (self.folder / "videos").glob(f"[!.]*/{RECORD}")

    def units(
        self, video: IndexedVideo, folder: Path, start: int = 0, stop: int | None = None
    ) -> Float32[ndarray, "window position channel"]:
        """Units of some windows of a video.

        Raises:
            ValueError: the file was cut off or altered.
        """
        stop = len(video.times_s) if stop is None else stop
        path, whole = folder / UNITS[self.bits], size_of(video.units, self.bits)
        taken = video.taken or (whole,) * len(video.times_s)
        sizes = taken[start:stop]
        with path.open("rb") as file:
            file.seek(sum(taken[:start]))
            found = [file.read(size) for size in sizes]
        if [*map(len, found)] != [*sizes]:
            raise ValueError(f"{path} is shorter than its {RECORD} says; remove {folder} and index again")
        try:
            values = b"".join(_inflated(one, whole) for one in found)
            return unpacked(values, len(sizes), video.units, self.bits)
        except (zlib.error, ValueError) as error:
            raise ValueError(f"{path} is damaged ({error}); remove {folder} and index again") from error

    # ---- writing

    @classmethod
    def begin(cls, wanted: Index, *, moved: bool = False, bits: int | None = None) -> Index:
        """The index of these settings: new, or one to go on with.

        Args:
            moved: the videos that it was made of lie in the wanted folder now.
            bits: of a number of a vector; None: of a new index as wanted, while one that is there keeps its own.

        Raises:
            ValueError: what is there was made of other videos, by another model, cut or kept otherwise.
        """
        folder, wanted = wanted.folder, replace(wanted, bits=wanted.bits if bits is None else bits)
        if not (folder / SETTINGS).exists():
            if folder.exists() and (not folder.is_dir() or [*folder.glob("[!.]*")]):
                raise ValueError(f"{folder} is there and holds no index; choose another --out")
            write_atomically(folder / SETTINGS, wanted._json())
            return wanted
        there = cls.read(folder)
        there.check_model(wanted.model, wanted.model_sha256)
        if there.videos_folder != wanted.videos_folder and not moved:
            raise ValueError(
                f"{folder} is an index of {there.videos_folder}, not of {wanted.videos_folder}; choose another --out, "
                "or, if the videos were moved there, add --moved"
            )
        if there.cut != wanted.cut:
            raise ValueError(
                f"{folder} holds windows of {there.cut}, asked for are {wanted.cut}; choose another --out"
            )
        if bits not in (None, there.bits):
            raise ValueError(
                f"{folder} is kept in {there.bits} bits, asked for are {bits}; choose another --out or no --bits"
            )
        if there.videos_folder != wanted.videos_folder:
            there = replace(there, videos_folder=wanted.videos_folder)
            write_atomically(folder / SETTINGS, there._json())
        return there

    def _json(self) -> bytes:
        kept = {"version": self.version, "videos": str(self.videos_folder), "model": self.model}
        kept |= {"bits": self.bits, "model_sha256": self.model_sha256, "cut": asdict(self.cut)}
        return (json.dumps(kept, indent=1) + "\n").encode()

    def update(self, files: dict[str, Path], encode: Encode, *, prune: bool = False) -> Iterator[Outcome]:
        """Brings the index in line with the files, one after another; what is there and unchanged is kept.

        Args:
            files: by their path from the folder of videos, see `video_files`.
            encode: frames of a window to its units.
            prune: remove what was made of videos that are gone, which may only be on a drive that is not mounted.
        """
        with only_writer(self.folder):
            sweep(self.folder / "videos")  # of what a kill left
            before = {video.path: video for video in self._whole()}
            for path in sorted(before.keys() - files.keys()):
                if prune:
                    shutil.rmtree(self._folder_of(path))
                yield Outcome("removed" if prune else "missing", before[path])
            for path, file in files.items():
                yield self._one(path, file, before.get(path), encode)

    def _whole(self) -> Iterator[IndexedVideo]:
        """What is kept, without the records that are damaged: their videos are looked at as if they were new."""
        for record in sorted(self._records()):
            with suppress(ValueError):
                yield _read_record(record)

    def _one(self, path: str, file: Path, before: IndexedVideo | None, encode: Encode) -> Outcome:
        try:
            found = file.stat()
            now = IndexedVideo(path=path, size_bytes=found.st_size, modified_ns=found.st_mtime_ns)
            if not stat.S_ISREG(found.st_mode):  # a pipe would be waited on for ever
                now = replace(now, fault="is no regular file")
            else:
                now = replace(now, content=fingerprint(file))
        except OSError as error:
            now = IndexedVideo(
                path=path, size_bytes=0, modified_ns=0, fault=f"cannot be looked at: {error.strerror}"
            )
        if before and before.same_file(now):
            return Outcome("failed" if before.fault else "kept", before)
        target = self._folder_of(path)
        with new_folder(target) as partial:
            done = now if now.fault else _write_windows(now, file, partial, self, encode)
            write_atomically(partial / RECORD, json.dumps(asdict(done)).encode())
            shutil.rmtree(target, ignore_errors=True)
        return Outcome("failed" if done.fault else "indexed", done)

    def _folder_of(self, path: str) -> Path:
        """Its name can be read by people, is unlike that of any other path, and is short enough for any disk."""
        digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:SAID_DIGITS]
        words = re.sub(r"[^A-Za-z0-9]+", "-", Path(path).stem).strip("-")[:40]
        return self.folder / "videos" / f"{words or 'video'}-{digest}"


def fingerprint(file: Path) -> str:
    """Hash of a file's size and content: of all of it up to `WHOLE_BYTES`, else of parts all along it."""
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as opened:
        if size <= WHOLE_BYTES:
            digest.update(opened.read())
        else:
            for part in range(PARTS):
                opened.seek(part * (size - PART_BYTES) // (PARTS - 1))
                digest.update(opened.read(PART_BYTES))
    return digest.hexdigest()


def left_out(folder: Path) -> dict[str, int]:
    """How many files are no video by their names, by suffix; those that lie beside videos as a rule are not counted."""
    found: Counter[str] = Counter()
    for _, names in _seen(folder):
        others = (name for name in names if not name.lower().endswith((*VIDEO_SUFFIXES, *BESIDE)))
        found.update(Path(name).suffix.lower() or "without a suffix" for name in others)
    return dict(sorted(found.items()))


def video_files(folder: Path) -> dict[str, Path]:
    """Every video below a folder by its path from there, in order. What begins with a dot is hidden; links to files are
    followed, links to folders are not: they may lead in a circle.

    Raises:
        ValueError: no such folder, or no video in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give the one that holds the videos")
    found = {}
    for base, names in _seen(folder):
        for name in names:
            if name.lower().endswith(VIDEO_SUFFIXES):
                file = Path(base, name)
                found[file.relative_to(folder).as_posix()] = file
    if not found:
        raise ValueError(f"{folder} holds no video ({', '.join(VIDEO_SUFFIXES)})")
    return found


def _seen(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """(folder, names of files) of a tree, in order, without what is hidden."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield base, sorted(name for name in names if not name.startswith("."))


def encoder(matcher: Matcher) -> Encode:
    """A network's units of one window."""
    device = next(matcher.parameters()).device

    @torch.inference_mode()
    def encode(frames: UInt8[ndarray, "time height width 3"]) -> Float32[ndarray, "position channel"]:
        units = matcher.clips(as_video(torch.from_numpy(frames[None]).to(device)))
        found: ndarray = units.vectors[0].float().cpu().numpy()
        return found

    return encode


def _write_windows(now: IndexedVideo, file: Path, folder: Path, index: Index, encode: Encode) -> IndexedVideo:
    """Units and pictures of every window, past what cannot be decoded, up to where a file breaks off."""
    holes = Holes()
    times, sizes = list[tuple[float, float]](), list[int]()
    shape, units_shape, fault = (0, 0), (0, 0), ""
    with (folder / UNITS[index.bits]).open("wb") as out:
        found = windows(file, index.cut, holes=holes)
        while True:
            try:
                window = next(found, None)
            except MediaError as error:  # a full disk is another error, and not the file's
                fault = str(error).removeprefix(f"{file}: ")
                break
            if window is None:
                break
            small = window.small
            units = encode(small)
            shape, units_shape = small.shape[1:3], units.shape
            sizes.append(out.write(_deflated(packed(units, index.bits), units)))
            _write_picture(window, folder / picture_name(len(times)))
            times.append((round(window.start_s, 3), round(window.stop_s, 3)))
        out.flush()
        os.fsync(out.fileno())
    breaks = [hole for hole in holes.found if hole[2] == BREAKS_OFF]
    if breaks and not fault:
        fault = f"breaks off at {breaks[-1][0]:.2f} s of {breaks[-1][1]:.2f} s"
    gaps = tuple(str(Holes([hole])) for hole in holes.found if hole[2] != BREAKS_OFF)
    done = replace(now, fault=fault, gaps=gaps, frame_size=shape, units=units_shape)
    full = size_of(units_shape, index.bits)
    return replace(done, times_s=tuple(times), taken=tuple(sizes) if {*sizes} - {full} else ())


def _deflated(kept: bytes, units: Float32[ndarray, "position channel"]) -> bytes:
    """Of units that are mostly zeros; others would hardly shrink."""
    small = zlib.compress(kept, 1) if 2 * np.count_nonzero(units) < units.size else kept
    return min(kept, small, key=len)  # of equal length the first, so that length tells which it is


def _inflated(kept: bytes, size: int) -> bytes:
    return kept if len(kept) == size else zlib.decompress(kept)


def picture_name(window: int) -> str:
    return f"{window:06d}.jpg"


def shown_frames(num_frames: int) -> list[int]:
    """Which frames of a window its picture shows, from left to right."""
    return [int(at) for at in np.linspace(0, num_frames - 1, min(num_frames, MOST_SHOWN)).round()]


def _write_picture(window: Window, path: Path) -> None:
    from PIL import Image

    chosen = window.frames[shown_frames(len(window.frames))]
    Image.fromarray(np.concatenate(list(chosen), axis=1)).save(path, quality=JPEG_QUALITY)


def _read_record(path: Path) -> IndexedVideo:
    try:
        found: dict[str, Any] = parsed(path.read_bytes())
        times = tuple((start, stop) for start, stop in found.pop("times_s"))
        others: dict[str, Any] = {key: tuple(found.pop(key)) for key in ("frame_size", "units", "gaps")}
        others["taken"] = tuple(found.pop("taken", ()))
        return IndexedVideo(**found, times_s=times, **others)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); remove {path.parent} and index again") from error
