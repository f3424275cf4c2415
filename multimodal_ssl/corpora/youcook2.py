"""YouCook2 [Zhou18]: cooking videos from YouTube, each cut into steps with a sentence.

youcookii_annotations_trainval.json             {"database": {VIDEO: {subset, recipe_type, annotations: [...]}}}
raw_videos/{training,validation}/RECIPE/VIDEO.{mp4,mkv,webm}     raw_videos/ may be missing: training/... in the root

The sentences of the test videos were never published; retrieval is scored on validation. MIL-NCE scored 3,350 clips of
it, those whose videos could still be had: the number of clips belongs to every score.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.data.manifest import Bad
from common.data.media import VIDEO_SUFFIXES
from common.strict_json import parsed
from multimodal_ssl.corpora.corpus import (
    AnnotatedClip,
    CorpusPart,
    collected,
    corpus_folder,
    fault_of,
    first_of,
    relative,
    seconds_of,
)

ANNOTATIONS = "youcookii_annotations_trainval.json"
SUBSETS = ("training", "validation")


def youcook2(path: Path, subset: str) -> CorpusPart[AnnotatedClip]:
    """Every step of one subset as a clip with one sentence; a video that is missing costs each of its steps.

    Raises:
        ValueError: an unknown subset, no annotations there, or none that can be used.
    """
    if subset not in SUBSETS:
        raise ValueError(f"subset must be one of {', '.join(SUBSETS)}, got {subset!r}")
    root = corpus_folder(path, f"the annotations of YouCook2 are {ANNOTATIONS}", ANNOTATIONS)
    return collected(f"youcook2-{subset}", _steps(root, subset))


def _steps(root: Path, subset: str) -> Iterator[AnnotatedClip | Bad]:
    try:
        database = parsed((root / ANNOTATIONS).read_text(encoding="utf-8"))["database"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{root / ANNOTATIONS} must be {{"database": {{...}}}}: {error}') from error
    for video, entry in database.items():
        if not isinstance(entry, dict):
            yield Bad(
                f"youcook2-{video}",
                relative(root / ANNOTATIONS),
                f"must be an object, got {str(entry)[:80]!r}",
            )
        elif entry.get("subset") == subset:
            yield from _steps_of(root, video, entry)


def _steps_of(root: Path, video: str, entry: dict[str, Any]) -> Iterator[AnnotatedClip | Bad]:
    place = f"{entry['subset']}/{entry.get('recipe_type')}/{video}"
    names = (f"{folder}{place}{suffix}" for folder in ("raw_videos/", "") for suffix in VIDEO_SUFFIXES)
    file = first_of(root, names)
    missing = fault_of(file)
    for number, step in enumerate(entry.get("annotations") or []):
        id = f"youcook2-{video}-{step.get('id', number) if isinstance(step, dict) else number}"
        where = relative(file or root / "raw_videos" / place)
        fault = missing or _fault(step)
        if fault:
            yield Bad(id, where, fault)
            continue
        start_s, stop_s = map(float, step["segment"])
        text, keys = " ".join(step["sentence"].split()), (f"youtube:{video}",)
        yield AnnotatedClip(
            id, where, start_s, stop_s, captions=(text,), labels=(str(entry.get("recipe_type")),), keys=keys
        )


def _fault(step: Any) -> str | None:
    segment = step.get("segment") if isinstance(step, dict) else None
    if not isinstance(segment, list) or len(segment) != 2:
        return f"a step needs segment [start, end], got {str(step)[:80]!r}"
    times = seconds_of(*segment)
    if isinstance(times, str):
        return times
    return None if str(step.get("sentence") or "").strip() else "the sentence is empty"
