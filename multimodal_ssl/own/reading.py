"""Videos with their captions as people keep them; which layout a place has is told by looking.

    table           .csv with a header: path (below the table's folder) and caption, perhaps start and end in seconds
    shards          .tar of webdataset: KEY.mp4 with KEY.txt, .json (caption or text, or timed), .vtt or .srt
    folder          videos of any depth, NAME.vtt, .srt or .json (see corpora/captions.py) beside NAME.mp4

Rows of a table with one path and one time are one clip with several captions. A line of a table that is none stops the
reading with one sentence that names file and line; a faulty cue of subtitles costs that cue and is told by its line.
Whether the pictures themselves can be used is looked at later, see `checking`.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from common.data.manifest import Bad
from common.data.media import VIDEO_SUFFIXES, fault_of
from common.data.own_files import LeftOut
from common.data.packages import data_root
from common.strict_json import parsed
from multimodal_ssl.corpora import folder as folders
from multimodal_ssl.corpora.captions import Caption, CaptionError, parse_captions
from multimodal_ssl.corpora.corpus import rows_of, seconds_of
from multimodal_ssl.own import real_films

PATHS = ("path", "video", "file_name")  # columns of a table, the first that is there
CAPTIONS = ("caption", "text", "sentence")
STARTS, ENDS = ("start", "start_s"), ("end", "end_s", "stop")
PARTS = {"train": "train", "dev": "dev", "valid": "dev", "validation": "dev"}  # a file's name to its part
LAYOUTS = "a .csv with path and caption, .tar shards of webdataset, or videos with .vtt, .srt or .json of the same name"


@dataclass(frozen=True, kw_only=True)
class OwnClip:
    """One stretch of a video and what is said of it, unchecked."""

    id: str
    video: str  # which video it is of, as the data name it
    path: Path  # the video, or the shard that holds it
    captions: tuple[str, ...]  # as they were written; none where nobody says
    where: str  # file and line that tell of it
    start_s: float = 0.0
    stop_s: float | None = None  # None: to the end of the file
    part: str = ""  # train or dev, where the layout says
    member: str = ""  # of the shard


def look(place: Path) -> Iterator[OwnClip | LeftOut]:
    """What a folder, one file of a layout that is known, or `real-films`, tells of, in its order; read as it is asked
    for.

    Raises:
        ValueError: at once, where there is no such place or no layout that is known.
    """
    place = place.expanduser()
    if str(place) == real_films.NAME and not place.exists():
        place = real_films.place()
    if not place.exists():
        raise ValueError(f"{place}: no such file or folder")
    return _of_folder(place) if place.is_dir() else _of_file(place)


def read(place: Path) -> tuple[list[OwnClip], list[LeftOut]]:
    """All clips of a place, and captions and videos of it that cannot be read.

    Raises:
        ValueError: as `look`, nothing in it, or a line that is not of its layout, with file and line.
    """
    found = list(look(place))
    clips = [one for one in found if isinstance(one, OwnClip)]
    if not clips:
        told = "".join(f"; {one}" for one in found[:3])
        raise ValueError(f"{place}: no clips in it; looked for {LAYOUTS}{told}")
    return clips, [one for one in found if isinstance(one, LeftOut)]


def _of_folder(place: Path) -> Iterator[OwnClip | LeftOut]:
    if tables := sorted(path for path in place.glob("*.csv") if path.is_file() and _is_table(path)):
        return (one for path in _of_one_kind(tables) for one in _table(path))
    if shards := sorted(path for path in place.rglob("*.tar") if path.is_file()):
        return (one for path in shards for one in _shard(path))
    return _folder(place)


def _of_file(path: Path) -> Iterator[OwnClip | LeftOut]:
    if not path.is_file():
        raise ValueError(f"{path}: {fault_of(path)}")
    if path.suffix.lower() == ".csv":
        return _table(path)
    if path.suffix.lower() == ".tar":
        return _shard(path)
    raise ValueError(f"{path}: must be a folder or a file of {LAYOUTS}")


def _of_one_kind(files: list[Path]) -> list[Path]:
    """The only file, or those that are named as parts."""
    named = [path for path in files if path.stem in PARTS]
    if len(files) > 1 and "train" not in {PARTS[path.stem] for path in named}:
        names = ", ".join(path.name for path in files)
        raise ValueError(f"{files[0].parent}: which of {names}? give one of them instead of the folder")
    return named if len(files) > 1 else files


def _id(video: str, start_s: float, stop_s: float | None) -> str:
    if stop_s is None:
        return f"{video}@{start_s:g}" if start_s else video
    return f"{video}@{start_s:g}-{stop_s:g}"


# ---- a table


def _is_table(path: Path) -> bool:
    """Captions of one video are a .csv as well, which names no path."""
    with path.open("rb") as opened:
        first = opened.readline().decode("utf-8-sig", "replace").strip()
    return bool({name.strip(' "') for name in first.split(",")} & set(PATHS))


def _table(path: Path) -> Iterator[OwnClip]:
    """Rows of one path and one time stand together, wherever they are."""
    clips: dict[tuple[str, float, float | None], OwnClip] = {}
    for row in rows_of(path, ()):
        if isinstance(row, Bad):
            _wrong(path, row.id, row.reason)
        where, fields = row
        name, caption = (_first(fields, keys) for keys in (PATHS, CAPTIONS))
        if name is None or caption is None:
            lacking, keys = ("video", PATHS) if name is None else ("caption", CAPTIONS)
            _wrong(path, where, f"names no {lacking}; the column must be named {' or '.join(keys)}")
        start_s, stop_s = _times(path, where, _first(fields, STARTS), _first(fields, ENDS))
        key = name, start_s, stop_s
        if key in clips:
            clips[key] = replace(clips[key], captions=(*clips[key].captions, caption))
        else:
            clips[key] = OwnClip(
                id=_id(name, start_s, stop_s), video=name, path=path.parent / name, captions=(caption,),
                where=f"{path}, {_line(where)}", start_s=start_s, stop_s=stop_s, part=PARTS.get(path.stem, ""),
            )  # fmt: skip
    yield from clips.values()


def _first(fields: dict[str, str], keys: tuple[str, ...]) -> str | None:
    """The first of these columns that is there and holds something."""
    return next((found for key in keys if (found := fields.get(key, "").strip())), None)


def _times(path: Path, where: str, start: str | None, end: str | None) -> tuple[float, float | None]:
    found = seconds_of(start or 0, end or 1e9)
    if isinstance(found, str):
        _wrong(path, where, found)
    return found[0], found[1] if end else None


def _line(where: str) -> str:
    return "line " + where.rpartition(" ")[2]


def _wrong(path: Path, where: str, sentence: str) -> NoReturn:
    raise ValueError(f"{path}, {_line(where)}: {sentence}")


# ---- a folder of videos with captions beside them


def _folder(root: Path) -> Iterator[OwnClip | LeftOut]:
    for found in folders.videos(root.resolve()):
        if isinstance(found, Bad):
            of_captions = found.id.startswith("captions of ")  # of the video itself else
            where = str(data_root() / found.path)
            yield LeftOut(found.id, where, f"cannot be read: {found.reason}", bad=not of_captions)
        elif captions := found.captions()[0]:
            yield from _cues(found.id, found.file, captions, str(data_root() / found.captions_path))
        else:
            yield OwnClip(id=found.id, video=found.id, path=found.file, captions=(), where=str(found.file))


def _cues(
    video: str, path: Path, captions: list[Caption], where: str, member: str = ""
) -> Iterator[OwnClip | LeftOut]:
    """A clip for each cue. Those that begin and end together are one with several captions."""
    timed: dict[tuple[float, float], list[str]] = {}
    for cue in captions:
        timed.setdefault((cue.start_s, cue.stop_s), []).append(cue.text)
    for (start_s, stop_s), texts in timed.items():
        yield OwnClip(
            id=_id(video, start_s, stop_s), video=video, path=path, captions=tuple(texts), where=where,
            start_s=start_s, stop_s=stop_s, member=member,
        )  # fmt: skip


# ---- shards of webdataset


def _shard(path: Path) -> Iterator[OwnClip | LeftOut]:
    """Members that stand together and have one name up to its first dot are one sample."""
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                place = PurePosixPath(member.name)
                key, dot, suffix = place.name.partition(".")
                if member.isfile() and key and dot:
                    samples.setdefault((place.parent / key).as_posix(), {})[f".{suffix.lower()}"] = member
            for key, members in samples.items():
                yield from _sample(path, shard, key, members)
    except tarfile.TarError as error:
        raise ValueError(f"{path}: is no whole tar file ({error}); make the shard again") from error


def _sample(
    path: Path, shard: tarfile.TarFile, key: str, members: dict[str, tarfile.TarInfo]
) -> Iterator[OwnClip | LeftOut]:
    video = next((members[suffix].name for suffix in members if suffix in VIDEO_SUFFIXES), None)
    if video is None:
        yield LeftOut(f"{path.name}/{key}", str(path), f"has no video: {', '.join(members)}")
        return
    told = next((suffix for suffix in (".txt", ".json", ".vtt", ".srt") if suffix in members), None)
    name, where = f"{path.name}/{video}", f"{path}, {key}{told or ''}"
    content = b"" if told is None else shard.extractfile(members[told]).read()  # type: ignore[union-attr]
    try:
        captions, cues, faults = _told(content, told or "", Path(where))
    except CaptionError as error:
        yield LeftOut(name, where, f"cannot be read: {str(error).removeprefix(f'{where}: ')}")
        return
    for fault in faults:
        yield LeftOut(name, where, f"cannot be read: {fault}")
    if cues:
        yield from _cues(name, path, cues, where, video)
    else:
        yield OwnClip(id=name, video=name, path=path, captions=captions, where=where, member=video)


def _told(content: bytes, suffix: str, name: Path) -> tuple[tuple[str, ...], list[Caption], list[str]]:
    """Captions of the whole video, those with times, and faults of cues."""
    if suffix in ("", ".txt"):
        try:
            lines = content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise CaptionError(name, f"must be UTF-8, has {error.reason} at byte {error.start}") from error
        return tuple(line for line in lines if line.strip()), [], []
    if suffix == ".json" and (found := _whole_caption(content)):
        return found, [], []
    return (), *parse_captions(content, suffix, name)


def _whole_caption(content: bytes) -> tuple[str, ...]:
    """Of JSON that says one or several things of the whole video; none where it says something else."""
    try:
        told: Any = parsed(content)
    except ValueError:
        return ()
    if not isinstance(told, dict) or "start" in told:
        return ()
    found = next((told[key] for key in CAPTIONS if told.get(key)), ())
    texts = [found] if isinstance(found, str) else found
    return tuple(texts) if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else ()


@contextmanager
def opened(clip: OwnClip) -> Iterator[Path]:
    """A file to read its video from; that of a shard is unpacked for as long as the block lasts.

    Raises:
        OSError: the shard can no longer be read.
    """
    if not clip.member:
        yield clip.path
        return
    with TemporaryDirectory() as scratch:
        # A name of ours: one out of an archive may lead anywhere.
        target = Path(scratch, "video" + PurePosixPath(clip.member).suffix)
        with tarfile.open(clip.path, "r:") as shard, target.open("wb") as out:
            held = shard.extractfile(clip.member)
            assert held is not None  # it was a file when the shard was listed
            while block := held.read(1 << 20):
                out.write(block)
        yield target
