"""HowTo100M [Miech19]: 1.2 million narrated videos of YouTube; clips and candidate captions as MIL-NCE draws them.

HowTo100M_v1.csv            video_id,category_1,category_2,rank,task_id         as first published, with
caption.json                {VIDEO: {"start": [...], "end": [...], "text": [...]}}     one file of all videos
videos.csv                  video_path                                          as MIL-NCE's code reads it, with
howto100m_captions/VIDEO.csv    start,end,text
videos/**/VIDEO.{mp4,webm,mkv}  in both

Which clip and which captions a training step sees is a function of seed and step alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from common.data.manifest import Bad
from common.data.media import VIDEO_SUFFIXES
from common.data.order import Draw, draws
from common.recipe import Shard
from common.strict_json import parsed
from multimodal_ssl.corpora.captions import Caption
from multimodal_ssl.corpora.corpus import (
    CorpusPart,
    Files,
    NarratedVideo,
    collected,
    corpus_folder,
    fault_of,
    first_of,
    relative,
    rows_of,
    within,
)

LISTS = {"HowTo100M_v1.csv": "video_id", "videos.csv": "video_path"}
READ_BYTES = 1 << 22


def howto100m(path: Path, limit: int | None = None) -> CorpusPart[NarratedVideo]:
    """Videos that lie on the disk and have captions; vanished ones, of which there are many, are bad.

    Args:
        limit: the first so many lines of the list, for a subset that others can draw again.

    Raises:
        ValueError: no list, no captions, or nothing that can be used.
    """
    return collected("howto100m", islice(narrated_videos(path), limit))


def narrated_videos(path: Path) -> Iterator[NarratedVideo | Bad]:
    """The same, streamed, in the order of the list. Captions are found, not yet read: `NarratedVideo.captions` does."""
    root = corpus_folder(path, "HowTo100M is a list of videos, captions and videos/", "videos")
    table = first_of(root, LISTS)
    captions = first_of(root, ("caption.json", "howto100m_captions"))
    if table is None or captions is None:
        lists = " or ".join(LISTS)
        raise ValueError(f"{root} must hold {lists}, and caption.json or howto100m_captions/")
    places, broken = ({}, "") if captions.is_dir() else _places(captions)
    files = Files(root / "videos", VIDEO_SUFFIXES)
    for row in rows_of(table, (LISTS[table.name],)):
        if isinstance(row, Bad):
            yield row
        else:
            yield _video_of(root, row[1][LISTS[table.name]], captions, places, files)
    if broken:
        yield Bad(captions.name, relative(captions), broken)


def _places(captions: Path) -> tuple[dict[str, tuple[int, int]], str]:
    """Places of captions up to the file's end or to where it is broken, and how it is."""
    places: dict[str, tuple[int, int]] = {}
    try:
        for name, place in caption_places(captions):
            places[name] = place
    except ValueError as error:
        return places, str(error)
    return places, ""


def _video_of(
    root: Path, name: str, captions: Path, places: dict[str, tuple[int, int]], files: Files
) -> NarratedVideo | Bad:
    video = Path(name).stem  # a path in one list, an id in the other
    id = f"howto100m-{video}"
    if within(root, name) is None or not video:
        return Bad(id, relative(root / "videos"), f"must name a file in videos, got {name!r}")
    file = files.of(video)
    said = captions / f"{video}.csv" if captions.is_dir() else captions
    fault = fault_of(file) or (None if video in places else _captions_fault(said, captions))
    if fault:
        return Bad(id, relative(file or root / "videos" / name), fault)
    assert file is not None  # else there is a fault
    return NarratedVideo(id, relative(file), relative(said), places.get(video), (f"youtube:{video}",))


def _captions_fault(said: Path, captions: Path) -> str | None:
    if said == captions:
        return f"{captions.name} lacks it"
    fault = fault_of(said)
    return f"captions {said.name}: {fault}" if fault else None


def caption_places(file: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """(name, (offset, length) in bytes) of every value of one large JSON object; holds a block and a value.

    Raises:
        ValueError: the file is no JSON object, or breaks off (with the byte).
    """
    with file.open("rb") as raw:
        text = _Blocks(raw, file)
        text.past("{")
        while text.past('"}') == '"':
            text.at -= 1
            name = parsed(text.value()[0])
            text.past(":")
            _, offset, length = text.value()
            yield name, (offset, length)
            if text.past(",}") == "}":
                return


class _Blocks:
    """A file as text that is read on when it is needed.

    Bytes are decoded as Latin-1, where each is one character, so that places in the text are places in the file.
    """

    def __init__(self, raw: BinaryIO, file: Path):
        self.raw, self.file, self.decoder = raw, file, json.JSONDecoder()
        self.held, self.at, self.before = "", 0, 0  # what is held begins at byte `before`

    def _more(self) -> bool:
        block = self.raw.read(READ_BYTES)
        self.held, self.before, self.at = (
            self.held[self.at :] + block.decode("latin-1"),
            self.before + self.at,
            0,
        )
        return bool(block)

    def _broken(self, reason: object) -> ValueError:
        return ValueError(
            f"{self.file} must be one JSON object, breaks at byte {self.before + self.at}: {reason}"
        )

    def past(self, signs: str) -> str:
        """Goes past white space and one of `signs`; returns it."""
        while True:
            while self.at < len(self.held) and self.held[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.held):
                break
            if not self._more():
                raise self._broken(f"ends before one of {signs}")
        if self.held[self.at] not in signs:
            raise self._broken(f"needs one of {signs}, got {self.held[self.at]!r}")
        self.at += 1
        return self.held[self.at - 1]

    def value(self) -> tuple[bytes, int, int]:
        """Goes past an object, a list or a string; returns its bytes, its offset and its length."""
        self.past('"{[')
        self.at -= 1
        while True:
            try:
                _, stop = self.decoder.raw_decode(self.held, self.at)
                break
            except RecursionError as error:
                raise self._broken("is nested too deeply") from error
            except ValueError as error:  # broken, or not yet read whole: only the end of the file tells
                if not self._more():
                    raise self._broken(error) from error
        start, self.at = self.at, stop
        return self.held[start:stop].encode("latin-1"), self.before + start, stop - start


# ---- drawing


@dataclass(frozen=True)
class Narration:
    """A clip and the captions that may belong to it."""

    video: str
    start_s: float
    stop_s: float
    captions: tuple[
        str, ...
    ]  # in the order of time, the nearest to the drawn one; fewer where a video has fewer
    drawn: int  # which of them the clip was drawn from


def nearest_captions(captions: Sequence[Caption], index: int, num: int) -> range:
    """`num` neighbours around `index`, grown to the left or right, whichever keeps their span shorter [Miech20].

    Equal spans grow to the right. At either end the other side gives the rest; a video with fewer captions gives all
    of them, where the published code repeats the outermost.
    """
    if not 0 <= index < len(captions):
        raise ValueError(f"index must be in 0..{len(captions) - 1}, got {index}")
    if num < 1:
        raise ValueError(f"num must be at least 1, got {num}")
    first, last = index, index
    while last - first + 1 < min(num, len(captions)):
        if first == 0:
            last += 1
        elif last == len(captions) - 1:
            first -= 1
        else:
            to_left = captions[last].stop_s - captions[first - 1].start_s
            to_right = captions[last + 1].stop_s - captions[first].start_s
            first, last = (first - 1, last) if to_left < to_right else (first, last + 1)
    return range(first, last + 1)


def narration(
    video: NarratedVideo,
    captions: Sequence[Caption],
    draw: Draw,
    num_candidates: int = 4,
    clip_s: float = 3.2,
    min_span_s: float = 5.0,
) -> Narration:
    """A random clip inside the span of a random caption, which is stretched about its middle to `min_span_s`.

    Starts are real numbers where the published code draws whole seconds. The clip may outlast the video: its last
    caption may, and what reads the clip fills up.

    Args:
        draw: of `common.data.order`: the same for one seed and position, whichever worker asks.
    """
    if not 0 < clip_s <= min_span_s:
        raise ValueError(
            f"clips must fit into the shortest span: 0 < clip_s <= {min_span_s:g}, got {clip_s:g}"
        )
    if not captions:
        raise ValueError(f"{video.id} has no captions to draw from; leave it out of the list")
    random = draw.generator()
    index = int(random.integers(len(captions)))
    start_s, stop_s = captions[index].start_s, captions[index].stop_s
    if stop_s - start_s < min_span_s:
        start_s = max(0.0, start_s - (min_span_s - (stop_s - start_s)) / 2)
        stop_s = start_s + min_span_s
    at_s = float(random.uniform(start_s, stop_s - clip_s))
    near = nearest_captions(captions, index, num_candidates)
    return Narration(video.id, at_s, at_s + clip_s, tuple(captions[i].text for i in near), index - near.start)


def narrations(
    videos: Sequence[NarratedVideo],
    batch_size: int,
    seed: int,
    step: int,
    shard: Shard = Shard(),  # noqa: B008
    num_candidates: int = 4,
) -> list[tuple[NarratedVideo, Narration]]:
    """The clips of one shard of a step's batch; an epoch is one random clip of every video.

    Raises:
        CaptionError: captions of a drawn video that cannot be read; `CorpusPart.checked(NarratedVideo.captions)` finds
            them before.
    """
    found = []
    for draw in draws(len(videos), batch_size, seed, step, shard):
        video = videos[draw.item]
        found.append((video, narration(video, video.captions()[0], draw, num_candidates)))
    return found
