"""AudioSet [Gemmeke17]: two million pieces of 10 s from YouTube with labels; what is published are lists, not sounds.

{balanced_train,unbalanced_train,eval}_segments.csv     # three lines of comment
                                                        YTID, START, STOP, "/m/09x0r,/m/05zppz"
class_labels_indices.csv                                index,mid,display_name
PART/**/NAME.{mp4,...,wav,flac,...}                     PART as in the lists; NAME one of YTID_STARTms_STOPms,
                                                        YTID_START_STOP in whole seconds, YTID, or Y and YTID

Files are named by whoever fetched them. Each is taken for the piece itself, begun at START; whole videos are not read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from common.data.manifest import Bad
from common.data.media import SOUND_SUFFIXES, VIDEO_SUFFIXES
from multimodal_ssl.corpora.corpus import (
    AnnotatedClip,
    CorpusPart,
    Files,
    collected,
    corpus_folder,
    fault_of,
    lines_of,
    relative,
    rows_of,
    seconds_of,
)

PARTS = ("balanced_train", "unbalanced_train", "eval")


def audioset(path: Path, part: str) -> CorpusPart[AnnotatedClip]:
    """One part, every piece with the names of its labels; vanished ones, of which there are many, are bad.

    Raises:
        ValueError: an unknown part, no list of it, or nothing that can be used.
    """
    return collected(f"audioset-{part}", pieces(path, part))


def pieces(path: Path, part: str) -> Iterator[AnnotatedClip | Bad]:
    """The same, streamed: two million lines of "unbalanced_train" need no more memory than the names of its files."""
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    table, classes = f"{part}_segments.csv", "class_labels_indices.csv"
    root = corpus_folder(path, "AudioSet's lists lie beside a folder per part", table, classes)
    names = {}
    for row in rows_of(root / classes, ("mid", "display_name")):
        if isinstance(row, Bad):
            yield row
        else:
            names[row[1]["mid"]] = row[1]["display_name"]
    yield from _pieces(root, part, names)


def _pieces(root: Path, part: str, names: dict[str, str]) -> Iterator[AnnotatedClip | Bad]:
    table, files = root / f"{part}_segments.csv", Files(root / part, VIDEO_SUFFIXES + SOUND_SUFFIXES)
    for line in lines_of(table):
        if isinstance(line, Bad):
            yield line
            continue
        where, text = line
        if not text.strip() or text.startswith("# "):  # comments of the first lines
            continue
        fields = next(csv.reader([text], skipinitialspace=True))
        times = seconds_of(*fields[1:3]) if len(fields) == 4 else f"must have 4 fields, got {len(fields)}"
        mids = fields[3].split(",") if len(fields) == 4 else []
        if not isinstance(times, str) and (unknown := [mid for mid in mids if mid not in names]):
            times = f"labels must stand in class_labels_indices.csv, got {', '.join(unknown)}"
        if isinstance(times, str):
            yield Bad(where, relative(table), f"{times}: {text[:80]!r}")
        else:
            yield _clip(root / part, fields[0], times, tuple(names[mid] for mid in mids), files)


def _clip(
    folder: Path, video: str, times: tuple[float, float], labels: tuple[str, ...], files: Files
) -> AnnotatedClip | Bad:
    start_s, stop_s = times
    in_ms = f"{video}_{1000 * start_s:.0f}_{1000 * stop_s:.0f}"
    file = files.of(in_ms, f"{video}_{start_s:.0f}_{stop_s:.0f}", video, f"Y{video}")
    id = f"audioset-{video}-{1000 * start_s:.0f}"
    if fault := fault_of(file):
        return Bad(id, relative(file or folder / video), fault)
    assert file is not None  # else there is a fault
    return AnnotatedClip(id, relative(file), 0.0, stop_s - start_s, labels=labels, keys=(f"youtube:{video}",))
