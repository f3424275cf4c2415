"""HMDB51 [Kuehne11]: 6,766 clips of 51 actions, three published splits of 70 training and 30 test clips an action.

ACTION/NAME.avi                                     each action unpacked from a .rar of its own; also below hmdb51_org/
testTrainMulti_7030_splits/ACTION_test_splitN.txt   NAME.avi 1     1 training, 2 test, 0 neither
"""

from __future__ import annotations

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

SPLITS, PARTS = (1, 2, 3), {"train": "1", "test": "2"}
LISTS = "testTrainMulti_7030_splits"


def hmdb51(path: Path, split: int, part: str) -> CorpusPart[AnnotatedClip]:
    """The training or test clips of one published split, each with its action.

    A clip's name is FILM_ACTION_... with its properties and a number: those of one film are its group.

    Raises:
        ValueError: an unknown split or part, no such lists, or nothing that can be used.
    """
    if split not in SPLITS or part not in PARTS:
        raise ValueError(f"split must be 1, 2 or 3 and part train or test, got {split!r} and {part!r}")
    root = corpus_folder(path, f"HMDB51 is a folder per action and {LISTS}/", LISTS)
    lists = sorted((root / LISTS).glob(f"*_test_split{split}.txt"))
    return collected(
        f"hmdb51-{part}-{split}", (clip for names in lists for clip in _clips(root, names, part))
    )


def _clips(root: Path, names: Path, part: str) -> Iterator[AnnotatedClip | Bad]:
    action = names.name.rpartition("_test_split")[0]
    videos = root / "hmdb51_org" if (root / "hmdb51_org").is_dir() else root
    for line in lines_of(names):
        if isinstance(line, Bad):
            yield line
            continue
        where, text = line
        name, _, use = text.strip().rpartition(" ")
        file = within(videos / action, name)
        if not text.strip():
            continue
        if file is None or use not in ("0", "1", "2"):
            yield Bad(where, relative(names), f"must be NAME.avi and 0, 1 or 2, got {text[:80]!r}")
        elif use == PARTS[part]:
            film, fault = file.stem.partition(f"_{action}_")[0], fault_of(file)
            id = f"hmdb51-{action}-{file.stem}"
            if fault:
                yield Bad(id, relative(file), f"{where}: {fault}")
            else:
                yield AnnotatedClip(id, relative(file), labels=(action,), keys=(f"film:hmdb51-{film}",))
