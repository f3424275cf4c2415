"""Recordings with their texts as people keep them; which layout a folder has is told by looking.

    audiofolder     metadata.csv or metadata.jsonl: file_name, and text or transcription; speaker if known
    Common Voice    .tsv with a header: path (below clips/), sentence, client_id
    NeMo            .jsonl or .json, a line each: audio_filepath, text, duration, offset
    Kaldi           wav.scp and text, and utt2spk and segments where they are
    fairseq         .tsv whose first line is the audio's folder, beside it .wrd or .ltr
    pairs           one.wav beside one.txt, in folders of any depth

A line that is not of its layout stops the reading with one sentence that names file and line. Whether the sound itself
can be used is looked at later, see `checking`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from common.data.media import SOUND_SUFFIXES
from common.strict_json import parsed

TEXTS = ("text", "transcription", "transcript", "sentence")  # of a table, the first that is there
SPEAKERS = ("speaker", "speaker_id", "client_id")
PARTS = {"train": "train", "dev": "dev", "valid": "dev", "validation": "dev"}  # a file's name to its part
LAYOUTS = (
    "metadata.csv, metadata.jsonl, a .tsv of Common Voice, a NeMo manifest (.jsonl, .json), Kaldi's wav.scp and text, "
    "fairseq's .tsv with .wrd or .ltr, or .wav files beside .txt files of the same name"
)

# Layouts by name, and which files of a folder tell of them.
NAMED = {
    "audiofolder": ("metadata.csv", "metadata.jsonl"),
    "common-voice": ("*.tsv",),
    "nemo": ("*.jsonl", "*.json"),
    "kaldi": ("wav.scp",),
    "fairseq": ("*.tsv",),
    "pairs": ("*.txt",),
}


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One stretch of sound and what is said in it, unchecked."""

    id: str
    path: Path
    text: str  # as it was written
    where: str  # file and line that tell of it
    speaker: str = ""  # "" where nobody knows
    part: str = ""  # train or dev, where the layout says
    start_s: float = 0.0
    length_s: float | None = None  # None: to the end of the file


def read(place: Path, layout: str = "") -> list[Recording]:
    """All recordings that a folder, or one file of such a layout, tells of, in its order.

    Args:
        layout: one of `NAMED`; "" is told by looking.

    Raises:
        ValueError: no layout that is known, or a line that is not of it, with file and line.
    """
    place = place.expanduser()
    if not place.exists():
        raise ValueError(f"{place}: no such file or folder")
    reader = _of_folder if place.is_dir() else _of_file
    found = list(_as_named(place, layout) if layout else reader(place))
    if not found:
        raise ValueError(f"{place}: no recordings in it")
    return found


def _as_named(place: Path, layout: str) -> Iterator[Recording]:
    if layout not in NAMED:
        raise ValueError(f"layout must be one of {', '.join(NAMED)}, got {layout!r}")
    if layout in ("kaldi", "pairs"):
        folder = place if place.is_dir() else place.parent
        return _kaldi(folder) if layout == "kaldi" else _pairs(folder)
    globs, reader = NAMED[layout], {
        "audiofolder": _audiofolder, "common-voice": _common_voice, "nemo": _nemo, "fairseq": _fairseq
    }[layout]  # fmt: skip
    files = sorted(path for glob in globs for path in place.glob(glob)) if place.is_dir() else [place]
    if not files:
        raise ValueError(f"{place}: has no {' or '.join(globs)}, which layout {layout} is told in")
    return (one for path in _of_one_kind(files) for one in reader(path))


def _of_folder(folder: Path) -> Iterator[Recording]:
    for name in ("metadata.csv", "metadata.jsonl"):
        if (folder / name).is_file():
            return _audiofolder(folder / name)
    if (folder / "wav.scp").is_file():
        return _kaldi(folder)
    for suffix in (".tsv", ".jsonl", ".json"):
        if found := [path for path in sorted(folder.glob(f"*{suffix}")) if _reader(path)]:
            return (one for path in _of_one_kind(found) for one in _of_file(path))
    return _pairs(folder)


def _of_one_kind(files: list[Path]) -> list[Path]:
    """The only file, or those that are named as parts."""
    named = [path for path in files if path.stem in PARTS]
    if len(files) == 1 or not named:
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            raise ValueError(f"{files[0].parent}: which of {names}? give one of them instead of the folder")
        return files
    return named


def _of_file(path: Path) -> Iterator[Recording]:
    reader = _reader(path)
    if reader is None:
        raise ValueError(f"{path}: must be a folder or a file of {LAYOUTS}")
    return reader(path)


def _reader(path: Path) -> Callable[[Path], Iterator[Recording]] | None:
    if path.name in ("wav.scp", "text") and (path.parent / "wav.scp").is_file():
        return lambda path: _kaldi(path.parent)
    if path.suffix == ".csv":
        return _audiofolder
    if path.suffix == ".tsv":
        return _common_voice if "\t" in next(iter(_lines(path)), (0, ""))[1] else _fairseq
    if path.suffix in (".jsonl", ".json"):
        first = next(iter(_lines(path)), (0, ""))[1]
        if "audio_filepath" in first:
            return _nemo
        return _audiofolder if path.suffix == ".jsonl" else None
    return None


# ---- lines


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, empty ones left out; see `_every_line`."""
    return ((number, text) for number, text in _every_line(path) if text.strip())


def _every_line(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1; only line feeds end one, whatever else Unicode calls a separator.

    Raises:
        ValueError: not UTF-8, with the line.
    """
    with path.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                _wrong(path, number, "must be UTF-8, got other bytes; save it as UTF-8")
            yield number, text


def _wrong(path: Path, line: int, sentence: str) -> NoReturn:
    raise ValueError(f"{path}:{line}: {sentence}")


def _first(row: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((str(row[key]) for key in keys if row.get(key) is not None), None)


def _table(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows by the names of the first line; between tabs, as in Common Voice, nothing is quoted."""
    lines = list(_lines(path))
    reader = csv.reader(
        (text + "\n" for _, text in lines),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    header: list[str] = []
    before = 0
    try:
        for row in reader:
            number, before = lines[before][0], reader.line_num
            if not header:
                header = row
            elif len(row) != len(header):
                _wrong(path, number, f"must have {len(header)} fields as the first line has, got {len(row)}")
            else:
                yield number, dict(zip(header, row, strict=True))
    except csv.Error as error:
        _wrong(path, lines[min(before, len(lines) - 1)][0], f"cannot be read as a table: {error}")


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in _lines(path):
        try:
            row = parsed(text)
        except ValueError as error:
            _wrong(path, number, f"must be one JSON object, got what is none: {error}")
        if not isinstance(row, dict):
            _wrong(path, number, f"must be one JSON object, got {type(row).__name__}")
        yield number, row


def _made(path: Path, line: int, folder: Path, name: str | None, text: str | None, **more: Any) -> Recording:
    if not name:
        _wrong(path, line, "names no audio file")
    if text is None:
        _wrong(path, line, f"has no text; the field must be named {' or '.join(TEXTS)}")
    more = {"part": PARTS.get(path.stem, ""), "id": name} | more
    return Recording(path=folder / name, text=text, where=f"{path}:{line}", **more)


# ---- layouts


def _audiofolder(path: Path) -> Iterator[Recording]:
    rows = _table(path, ",") if path.suffix == ".csv" else _objects(path)
    for line, row in rows:
        speaker = _first(row, SPEAKERS) or ""
        yield _made(path, line, path.parent, _first(row, ("file_name",)), _first(row, TEXTS), speaker=speaker)


def _common_voice(path: Path) -> Iterator[Recording]:
    folder = path.parent / "clips" if (path.parent / "clips").is_dir() else path.parent
    for line, row in _table(path, "\t"):
        speaker = _first(row, SPEAKERS) or ""
        yield _made(path, line, folder, _first(row, ("path",)), _first(row, ("sentence",)), speaker=speaker)


def _nemo(path: Path) -> Iterator[Recording]:
    for line, row in _objects(path):
        name, start_s, length_s = (
            _first(row, ("audio_filepath",)),
            row.get("offset") or 0.0,
            row.get("duration"),
        )
        for key, value in (("offset", start_s), ("duration", length_s)):
            if value is not None and not _is_time(value):
                _wrong(path, line, f"{key} must be seconds, 0 or more, got {value!r}")
        # The text is that of `duration` seconds from `offset` on, also where that is the file's beginning.
        cut = {"start_s": start_s, "length_s": length_s}
        cut |= {"id": f"{name}@{start_s:g}"} if "offset" in row else {}
        yield _made(
            path, line, path.parent, name, _first(row, TEXTS), speaker=_first(row, SPEAKERS) or "", **cut
        )


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def _fairseq(path: Path) -> Iterator[Recording]:
    lines = list(_lines(path))
    folder = Path(lines[0][1].strip()) if lines else path.parent
    folder = folder if folder.is_absolute() and folder.is_dir() else path.parent / folder
    texts = next((t for s in (".wrd", ".ltr") if (t := path.with_suffix(s)).is_file()), None)
    if texts is None:
        _wrong(path, 1, f"needs its texts in {path.stem}.wrd or {path.stem}.ltr beside it")
    spoken = [text for _, text in _every_line(texts)]
    if len(spoken) != len(lines) - 1:
        _wrong(
            texts, len(spoken), f"must have a line for each of {len(lines) - 1} recordings, got {len(spoken)}"
        )
    for (line, told), text in zip(lines[1:], spoken, strict=True):
        name, tab, samples = told.partition("\t")
        if not tab or not samples.strip().isdigit():
            _wrong(path, line, "must be a file, a tab and its number of samples")
        if texts.suffix == ".ltr":
            text = text.replace(" ", "").replace("|", " ")
        yield _made(path, line, folder, name, text)


def _kaldi(folder: Path) -> Iterator[Recording]:
    sounds = {key: (number, rest) for number, key, rest in _keyed(folder / "wav.scp")}
    for number, rest in sounds.values():
        if rest.endswith("|"):
            _wrong(folder / "wav.scp", number, "is a command, which is not run here; name a file of sound")
    speakers = (
        {key: rest for _, key, rest in _keyed(folder / "utt2spk")} if (folder / "utt2spk").is_file() else {}
    )
    cuts = dict(_segments(folder / "segments", sounds)) if (folder / "segments").is_file() else {}
    if not (folder / "text").is_file():
        raise ValueError(f"{folder / 'text'}: no such file; a Kaldi folder has wav.scp and text")
    for number, key, text in _keyed(folder / "text"):
        recording, start_s, length_s = cuts.get(key, (key, 0.0, None))
        if recording not in sounds:
            _wrong(folder / "text", number, f"{key} is not in {'segments' if cuts else 'wav.scp'}")
        yield _made(
            folder / "text", number, folder, sounds[recording][1], text, id=key, speaker=speakers.get(key, ""),
            start_s=start_s, length_s=length_s,
        )  # fmt: skip


def _keyed(path: Path) -> Iterator[tuple[int, str, str]]:
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        key, rest = [*line.split(maxsplit=1), "", ""][:2]
        if seen.setdefault(key, number) != number:
            _wrong(path, number, f"{key} is there already, in line {seen[key]}")
        yield number, key, rest.strip()


def _segments(path: Path, sounds: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, float, float]]]:
    for number, key, rest in _keyed(path):
        words = rest.split()
        try:
            recording, begin_s, end_s = words[0], *map(float, words[1:3])
        except (ValueError, IndexError):
            _wrong(path, number, "must be an utterance, a recording, and the seconds of beginning and end")
        if recording not in sounds:
            _wrong(path, number, f"{recording} is not in wav.scp")
        if not 0 <= begin_s < end_s:
            _wrong(path, number, f"must end after it begins, got {begin_s:g} to {end_s:g}")
        yield key, (recording, begin_s, end_s - begin_s)


def _pairs(folder: Path) -> Iterator[Recording]:
    sounds = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUND_SUFFIXES)
    texts = {path: path.with_suffix(".txt") for path in sounds}
    if not any(text.is_file() for text in texts.values()):
        raise ValueError(f"{folder}: no recordings with texts in it; looked for {LAYOUTS}")
    for path, text in texts.items():
        spoken = " ".join(line for _, line in _lines(text)) if text.is_file() else ""
        yield Recording(
            id=path.relative_to(folder).as_posix(), path=path, text=spoken, where=str(text),
            speaker=path.parent.name if path.parent != folder else "",
        )  # fmt: skip
