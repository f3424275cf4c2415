"""What every reader hands back, and what all of them do: find files, read tables, keep the bad with the reason."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from common.data import media
from common.data.manifest import Bad, check_bad_share
from common.data.packages import data_root
from multimodal_ssl.corpora.captions import Caption, CaptionError, parse_captions


@dataclass(frozen=True, slots=True)
class AnnotatedClip:
    """A part of a file with what is said or known of it."""

    id: str
    path: str  # relative to the data root; absolute where the corpus lies elsewhere
    start_s: float = 0.0
    stop_s: float | None = None  # None: the file's end
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # groups that no split may part: "youtube:ID", "group:..."

    @property
    def file(self) -> Path:
        return data_root() / self.path


@dataclass(frozen=True, slots=True)
class NarratedVideo:
    """A whole video with timed captions, which are read when they are asked for: a corpus has millions."""

    id: str
    path: str
    captions_path: str = ""  # "": without captions
    captions_bytes: tuple[int, int] | None = (
        None  # offset and length, where one file holds those of many videos
    )
    keys: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        return data_root() / self.path

    def captions(self) -> tuple[list[Caption], list[str]]:
        """Captions in the order of their starts, and the faults of cues, as `captions.read_captions`; none: both empty.

        Raises:
            CaptionError: as `read_captions`.
        """
        if not self.captions_path:
            return [], []
        file = data_root() / self.captions_path
        offset, length = self.captions_bytes or (0, -1)
        try:
            with file.open("rb") as raw:
                raw.seek(offset)
                content = raw.read(length)
        except OSError as error:
            raise CaptionError(file, str(error.strerror)) from error
        return parse_captions(content, file.suffix.lower(), file)


Item = TypeVar("Item", AnnotatedClip, NarratedVideo)


@dataclass(frozen=True)
class CorpusPart(Generic[Item]):
    """One part of a corpus: what can be used, and what cannot with the reason."""

    name: str
    items: tuple[Item, ...]  # sorted by id, each id once
    bad: tuple[Bad, ...]

    @property
    def sha256(self) -> str:
        """Over ids, times, captions and labels: equal for equal lists, wherever the files lie."""
        lines = (repr([v for k, v in asdict(item).items() if k not in _PLACES]) for item in self.items)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def bad_share(self, cap: float) -> float:
        """The share of bad lines and files, in 0..1; raises with the whole list when it exceeds `cap`."""
        return check_bad_share(self.bad, len(self.items) + len(self.bad), cap)

    def checked(self, decode: Callable[[Item], object]) -> CorpusPart[Item]:
        """Decodes every item once; those that fail go to the bad ones in the decoder's own words."""
        kept, bad = [], list(self.bad)
        for item in self.items:
            try:
                decode(item)
                kept.append(item)
            except Exception as error:  # whatever a decoder raises is what the list is for
                bad.append(Bad(item.id, item.path, f"{type(error).__name__}: {error}"))
        return CorpusPart(self.name, tuple(kept), tuple(bad))

    @property
    def keys(self) -> Set[str]:
        return {key for item in self.items for key in item.keys}

    def without(self, keys: Set[str]) -> CorpusPart[Item]:
        """Items with none of `keys`: `howto100m.without(youcook2.keys)` leaves no test video in pre-training."""
        return CorpusPart(
            self.name, tuple(item for item in self.items if not keys & set(item.keys)), self.bad
        )


_PLACES = ("path", "captions_path", "captions_bytes")


def collected(name: str, stream: Iterable[Item | Bad]) -> CorpusPart[Item]:
    """All of a stream. An id that comes twice is kept once.

    Raises:
        ValueError: nothing usable, with the first reasons.
    """
    found: dict[str, Item] = {}
    bad: list[Bad] = []
    for item in stream:
        if isinstance(item, Bad):
            bad.append(item)
        elif item.id in found:
            bad.append(Bad(item.id, item.path, "the same item occurs before"))
        else:
            found[item.id] = item
    if not found:
        told = "; ".join(str(item) for item in bad[:3]) or "its lists are empty"
        raise ValueError(f"{name} holds no usable item: {told}")
    return CorpusPart(name, tuple(found[id] for id in sorted(found)), tuple(bad))


# ---- finding


def corpus_folder(path: Path, layout: str, *needed: str) -> Path:
    """The folder, checked for the files that name its corpus; `layout` says in errors what must be there.

    Raises:
        ValueError: no such folder, an archive, or one of `needed` is not in it.
    """
    root = data_root() / path
    if root.is_file():
        raise ValueError(f"{root} is a file; unpack it (tar, unzip, unrar) and pass the folder")
    if not root.is_dir():
        raise ValueError(f"{root} is no folder; place the corpus there or set DATA_ROOT")
    if missing := [name for name in needed if not (root / name).exists()]:
        raise ValueError(f"{root} lacks {', '.join(missing)}; {layout}")
    return root


def first_of(root: Path, names: Iterable[str]) -> Path | None:
    """The first of `names` that lies in `root`."""
    return next((root / name for name in names if (root / name).exists()), None)


def fault_of(file: Path | None) -> str | None:
    """Why a file cannot be read, as far as its entry in the folder tells: nothing is decoded here."""
    try:
        if file is None or not file.exists():
            return "there is no such file"
        return media.fault_of(file) or None
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"


def relative(path: Path) -> str:
    """To the data root; absolute where the corpus lies elsewhere, which `data_root() / path` undoes."""
    root = data_root()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def within(folder: Path, name: str) -> Path | None:
    """`folder / name`, or None for a name that leads out of the folder."""
    path = Path(name)
    leads_out = not name or path.is_absolute() or ".." in path.parts or "\0" in name
    return None if leads_out else folder / path


class Files:
    """Every file below a folder by its name without suffix; of equal names the first in the order of paths.

    One walk instead of a question per line and suffix: lists have millions of lines.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...]):
        self._found: dict[str, str] = {}  # strings: a Path takes several times as much
        for base, folders, names in os.walk(folder):
            folders.sort()  # in place: the order in which walk goes on
            for name in sorted(names):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in suffixes:
                    self._found.setdefault(stem, os.path.join(base, name))

    def of(self, *stems: str) -> Path | None:
        """The file of the first of `stems` that has one."""
        return next((Path(self._found[stem]) for stem in stems if stem in self._found), None)


# ---- tables


def lines_of(file: Path) -> Iterator[tuple[str, str] | Bad]:
    """(where, line without its end), streamed; a line that is not UTF-8 is bad. Only "\\n" ends a line."""
    with file.open("rb") as raw:
        for number, line in enumerate(raw, start=1):
            where = f"{file.name} line {number}"
            try:
                yield where, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield Bad(where, relative(file), f"is not UTF-8: {error.reason} at byte {error.start}")


def rows_of(file: Path, needed: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]] | Bad]:
    """(where, row by column name) of a CSV file with a header, streamed; a row of another width is bad.

    Raises:
        ValueError: `needed` columns are not there.
    """
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        reader = csv.reader(text, strict=True)  # else a quote that is never closed swallows all that follows
        columns = next(reader, [])
        if missing := [name for name in needed if name not in columns]:
            raise ValueError(f"{file} needs the columns {', '.join(missing)}, has {', '.join(columns)}")
        while True:
            where = f"{file.name} line {reader.line_num + 1}"
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield Bad(where, relative(file), f"is no row: {error}")
                continue
            if row is None:
                return
            if fault := _row_fault(row, len(columns)):
                yield Bad(where, relative(file), fault)
            elif row:
                yield where, dict(zip(columns, row, strict=True))


def _row_fault(row: list[str], width: int) -> str | None:
    if row and len(row) != width:
        return f"must have {width} fields, got {len(row)}: {','.join(row)[:80]!r}"
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return None


def seconds_of(start: object, stop: object) -> tuple[float, float] | str:
    """Start and stop in seconds, or what is wrong with them."""
    try:
        start_s, stop_s = float(str(start)), float(str(stop))
    except ValueError:
        return f"times must be seconds, got {start!r} to {stop!r}"
    if not 0 <= start_s < stop_s < float("inf"):
        return f"must start at 0 s or later and end after its start, got {start_s:g} to {stop_s:g} s"
    return start_s, stop_s
