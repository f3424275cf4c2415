"""Anybody's folder of videos, with or without captions beside them.

FOLDER/**/NAME.{mp4,mkv,...}                the video
FOLDER/**/NAME.{vtt,srt,json}               its captions; NAME.LANGUAGE.vtt, as fetchers write them, counts too

A file that cannot be read is told, and the next is tried. NAME.info.json, which fetchers write, is none of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from common.data.manifest import Bad
from common.data.media import VIDEO_SUFFIXES
from multimodal_ssl.corpora.captions import CaptionError, read_captions
from multimodal_ssl.corpora.corpus import (
    CorpusPart,
    NarratedVideo,
    collected,
    corpus_folder,
    fault_of,
    relative,
)

CAPTIONS = (".vtt", ".srt", ".json")  # the first that can be read is taken
LANGUAGE = re.compile(r"\.[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*")  # .en, .en-US, .zh-Hans


def folder(path: Path, language: str = "") -> CorpusPart[NarratedVideo]:
    """Every video below `path`, with its captions where it has some.

    Args:
        language: of the captions to prefer, as "en"; without, plain NAME.vtt and then the first by name.

    Raises:
        ValueError: no such folder, or no video in it.
    """
    root = corpus_folder(path, "a folder of videos")
    return collected(root.name, videos(root, language))


def videos(root: Path, language: str = "") -> Iterator[NarratedVideo | Bad]:
    """The same, streamed in the order of paths. Videos are not decoded; captions are read once, to tell their faults.

    Links to files are followed, links to folders are not: they may lead in a circle. What begins with a dot is hidden.
    """
    for base, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = sorted(name for name in names if not name.startswith("."))
        for name in names:
            if name.lower().endswith(VIDEO_SUFFIXES):
                yield from _video(root, Path(base, name), names, language)


def _video(root: Path, file: Path, names: list[str], language: str) -> Iterator[NarratedVideo | Bad]:
    id = file.relative_to(root).as_posix()
    try:
        id.encode()
    except UnicodeEncodeError:
        yield Bad(ascii(id), ascii(str(root)), "file names must be UTF-8; rename it")
        return
    if fault := fault_of(file):
        yield Bad(id, relative(file), fault)
        return
    captions = ""
    for said in _caption_files(file, names, language):
        try:
            faults = read_captions(said)[1]
        except (CaptionError, OSError) as error:
            yield Bad(f"captions of {id}", relative(said), str(error))
            continue
        captions = relative(said)
        for cue in faults:
            yield Bad(f"captions of {id}", captions, cue)
        break
    yield NarratedVideo(id, relative(file), captions, keys=(f"video:{id}",))


def _caption_files(file: Path, names: list[str], language: str) -> list[Path]:
    """Files beside a video that may hold its captions, the likeliest first."""

    def order(name: str) -> tuple[bool, bool, int, str]:
        stem, suffix = os.path.splitext(name)
        middle = stem.removeprefix(file.stem)
        return middle != f".{language}", middle != "", CAPTIONS.index(suffix.lower()), name

    others = {os.path.splitext(name)[0] for name in names if name.lower().endswith(VIDEO_SUFFIXES)} - {
        file.stem
    }
    fitting = []
    for name in names:
        stem, suffix = os.path.splitext(name)
        rest = stem.removeprefix(file.stem)
        beside = stem == file.stem or (stem.startswith(file.stem) and LANGUAGE.fullmatch(rest))
        if beside and stem not in others and suffix.lower() in CAPTIONS:
            fitting.append(name)
    return [file.with_name(name) for name in sorted(fitting, key=order)]
