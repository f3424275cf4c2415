"""UCF101 [Soomro12]: 13,320 clips of 101 actions, three published splits.

UCF-101/ACTION/v_ACTION_gGG_cCC.avi                         GG: clips of one group are cut from one video
ucfTrainTestlist/{classInd,trainlist0N,testlist0N}.txt      ACTION/v_....avi [NUMBER OF ACTION]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from common.data.manifest import Bad
from multimodal_ssl.corpora.corpus import (
    AnnotatedClip,
    CorpusPart,
    collected,
    corpus_folder,
    fault_of,
    lines_of,
    relative,
    within,
)

SPLITS, PARTS = (1, 2, 3), ("train", "test")
_NAME = re.compile(r"(\w+)/v_\w+_g(\d+)_c(\d+)\.avi")


def ucf101(path: Path, split: int, part: str) -> CorpusPart[AnnotatedClip]:
    """The training or test clips of one published split, each with its action; no group lies in both.

    Raises:
        ValueError: an unknown split or part, no such lists, or nothing that can be used.
    """
    if split not in SPLITS or part not in PARTS:
        raise ValueError(f"split must be 1, 2 or 3 and part train or test, got {split!r} and {part!r}")
    lists = f"ucfTrainTestlist/{part}list{split:02d}.txt"
    root = corpus_folder(path, "UCF101 is UCF-101/ and ucfTrainTestlist/", lists, "UCF-101")
    return collected(f"ucf101-{part}-{split}", _clips(root, root / lists))


def _clips(root: Path, names: Path) -> Iterator[AnnotatedClip | Bad]:
    for line in lines_of(names):
        if isinstance(line, Bad):
            yield line
            continue
        where, text = line
        name = text.split(" ")[0]  # test lists lack the number
        parts, file = _NAME.fullmatch(name), within(root / "UCF-101", name)
        if not text.strip():
            continue
        if parts is None or file is None:
            yield Bad(where, relative(names), f"must be ACTION/v_ACTION_gGG_cCC.avi, got {text[:80]!r}")
        elif fault := fault_of(file):
            yield Bad(f"ucf101-{file.stem}", relative(file), f"{where}: {fault}")
        else:
            keys = (f"group:ucf101-{parts[1]}-g{parts[2]}",)
            yield AnnotatedClip(f"ucf101-{file.stem}", relative(file), labels=(parts[1],), keys=keys)
