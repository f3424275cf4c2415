"""ESC-50 [Piczak15]: 2,000 sounds of 5 s, 50 classes, five published folds.

meta/esc50.csv          filename,fold,target,category,esc10,src_file,take
audio/FOLD-SOURCE-TAKE-TARGET.wav

Pieces of one recording (src_file) lie in one fold. A score is the mean over five runs, each tested on one fold and
trained on the other four.
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
    relative,
    rows_of,
    within,
)

FOLDS, PARTS = (1, 2, 3, 4, 5), ("train", "test")
COLUMNS = ("filename", "fold", "category", "src_file")


def esc50(path: Path, fold: int, part: str) -> CorpusPart[AnnotatedClip]:
    """The sounds of one fold ("test") or of the other four ("train"), each with its category.

    Raises:
        ValueError: an unknown fold or part, no table there, or nothing that can be used.
    """
    if fold not in FOLDS or part not in PARTS:
        raise ValueError(f"fold must be 1 to 5 and part train or test, got {fold!r} and {part!r}")
    root = corpus_folder(path, "ESC-50 is meta/ and audio/", "meta/esc50.csv", "audio")
    return collected(f"esc50-{part}-{fold}", _sounds(root, fold, part))


def _sounds(root: Path, fold: int, part: str) -> Iterator[AnnotatedClip | Bad]:
    for row in rows_of(root / "meta" / "esc50.csv", COLUMNS):
        if isinstance(row, Bad):
            yield row
            continue
        where, fields = row
        file = within(root / "audio", fields["filename"])
        if file is None or fields["fold"] not in map(str, FOLDS):
            yield Bad(
                where,
                "audio",
                f"needs a file in audio and a fold of 1 to 5, got {','.join(fields.values())!r}",
            )
        elif (fields["fold"] == str(fold)) == (part == "test"):
            id = f"esc50-{file.stem}"
            if fault := fault_of(file):
                yield Bad(id, relative(file), f"{where}: {fault}")
            else:
                keys = (f"freesound:{fields['src_file']}",)
                yield AnnotatedClip(id, relative(file), labels=(fields["category"],), keys=keys)
