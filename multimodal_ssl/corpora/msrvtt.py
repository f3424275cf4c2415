"""MSR-VTT [Xu16]: ten thousand clips of 10 to 30 s, twenty sentences each.

MSRVTT_JSFUSION_test.csv    key,vid_key,video_id,sentence       the 1,000 pairs called 1k-A; also msrvtt_test.csv
MSRVTT_data.json            {"videos": [{video_id, split, url, ...}], "sentences": [{video_id, caption}]}
    or {train_val,test}_videodatainfo.json, as first published
MSRVTT_train.9k.csv, MSRVTT_train.7k.csv    video_id            the clips to train on before 1k-A is tested
VIDEO.mp4                   in the root or in any folder below it

Zero-shot retrieval is scored on 1k-A: one sentence a clip. 32 of its clips have no sound; a model of sound scores them
as misses [AVLnet], which `retrieval.ranks(missed=...)` does: they stay in the list here, for they are good videos.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.data.manifest import Bad
from common.data.media import VIDEO_SUFFIXES
from common.strict_json import parsed
from multimodal_ssl.corpora.corpus import (
    AnnotatedClip,
    CorpusPart,
    Files,
    collected,
    corpus_folder,
    fault_of,
    first_of,
    relative,
    rows_of,
)

PAIRS = ("MSRVTT_JSFUSION_test.csv", "msrvtt_test.csv")
DATA = ("MSRVTT_data.json", "train_val_videodatainfo.json", "test_videodatainfo.json")
# The clips to train on before 1k-A is tested: 9,000, as CLIP4Clip publishes them, or the 7,010 of JSFusion and Miech.
LISTS = {"train-9k": "MSRVTT_train.9k.csv", "train-7k": "MSRVTT_train.7k.csv"}
PARTS = ("1k-A", "train", "validate", "test", *LISTS)


def msrvtt(path: Path, part: str) -> CorpusPart[AnnotatedClip]:
    """The 1,000 pairs of "1k-A", or the clips of an official split or of a training list with all of their sentences.

    Raises:
        ValueError: an unknown part, none of its lists there, or nothing that can be used.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    root = corpus_folder(path, "MSR-VTT is a folder of lists and videos")
    needed = [PAIRS if part == "1k-A" else DATA, *([(LISTS[part],)] if part in LISTS else [])]
    for names in needed:
        if first_of(root, names) is None:
            raise ValueError(f"{root} must hold {' or '.join(names)}")
    files = Files(root, VIDEO_SUFFIXES)
    stream = _pairs(root, files) if part == "1k-A" else _official(root, part, files)
    return collected(f"msrvtt-{part}", stream)


def _pairs(root: Path, files: Files) -> Iterator[AnnotatedClip | Bad]:
    table = first_of(root, PAIRS)
    assert table is not None  # asked before
    for row in rows_of(table, ("video_id", "sentence")):
        if isinstance(row, Bad):
            yield row
        else:
            where, fields = row
            yield _clip(root, fields["video_id"], [fields["sentence"]], files, where)


def _listed(root: Path, part: str) -> Iterator[str | Bad]:
    for row in rows_of(root / LISTS[part], ("video_id",)):
        yield row if isinstance(row, Bad) else row[1]["video_id"]


def _official(root: Path, part: str, files: Files) -> Iterator[AnnotatedClip | Bad]:
    listed: dict[str, None] | None = None
    if part in LISTS:
        rows = list(_listed(root, part))
        yield from (row for row in rows if isinstance(row, Bad))
        listed = dict.fromkeys(row for row in rows if not isinstance(row, Bad))
    told: set[str] = set()
    for name in DATA:
        if not (root / name).is_file():
            continue
        try:
            content = parsed((root / name).read_text(encoding="utf-8"))
            sentences: dict[str, list[str]] = defaultdict(list)
            odd: list[Bad] = []
            videos: list[dict[str, Any]] = [
                v
                for v in content["videos"]
                if (v["split"] == part if listed is None else v["video_id"] in listed)
            ]
            wanted = {video["video_id"] for video in videos}
            for number, sentence in enumerate(content["sentences"]):
                video, caption = sentence["video_id"], sentence["caption"]
                if isinstance(caption, str):
                    sentences[video].append(caption)
                elif video in wanted:
                    odd.append(_no_text(name, number, video, caption))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{root / name} must hold videos and sentences: {error!r}") from error
        yield from odd
        told |= wanted
        for video in videos:
            yield _clip(
                root, video["video_id"], sentences[video["video_id"]], files, name, str(video.get("url", ""))
            )
    for video in (listed or {}).keys() - told:
        yield Bad(f"msrvtt-{video}", LISTS[part], "no sentence is of it")


def _no_text(name: str, number: int, video: str, caption: object) -> Bad:
    return Bad(f"msrvtt-{video}-{number}", name, f"sentence {number}: must be text, got {caption!r}")


def _clip(
    root: Path, video: str, sentences: list[str], files: Files, where: str, url: str = ""
) -> AnnotatedClip | Bad:
    file = files.of(video)
    captions = tuple(" ".join(text.split()) for text in sentences if text.strip())
    fault = fault_of(file) or (None if captions else "has no sentence")
    place = relative(file or root / f"{video}.mp4")
    if fault:
        return Bad(f"msrvtt-{video}", place, f"{where}: {fault}")
    youtube = url.partition("v=")[2].partition("&")[0]
    keys = (f"msrvtt:{video}", *([f"youtube:{youtube}"] if youtube else []))
    return AnnotatedClip(f"msrvtt-{video}", place, captions=captions, keys=keys)
