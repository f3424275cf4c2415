"""What is committed of a published run beside its result, so that the report can show it: journals, and some pictures.

Pictures lie as in a run's own folder: `results/SCALE/RECIPE/seedN/pictures-test/`. Sounds are not committed.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeVar

from common import journal, results
from common.files import write_atomically
from common.papers import Paper
from common.results import Run

JOURNAL = "journal.jsonl"  # of a run
FOLDER = "pictures-test"  # of a run, where the trainer lets a scoring run keep examples
ENDINGS = (".jpg", ".png")
SHARED = ("low", "truth")  # by a file's name: what is not of a recipe's own making
MOST_ITEMS = 3  # whose pictures are committed
MOST_BYTES = 2_000_000  # of a paper and scale
MOST_ROWS = 200  # of one kind in a journal: more would draw the same curve

Kept = TypeVar("Kept")


def evenly(found: Sequence[Kept], most: int) -> list[Kept]:
    """At most so many, spread over all."""
    count = min(most, len(found))
    return [found[(2 * place + 1) * len(found) // (2 * count)] for place in range(count)]


def journal_of(results_folder: Path, recipe: str, seed: int) -> Path:
    """Where the journal of a published run lies; those published before 2026-11-28 have none."""
    return results_folder / f"{recipe}.seed{seed}.{JOURNAL}"


def publish(paper: Paper, scale: str, recipes: Collection[str]) -> list[Path]:
    """Copies pictures and journals beside the published results; raises what `publish_pictures` raises."""
    return [*publish_pictures(paper, scale, recipes), *publish_journals(paper, scale, recipes)]


def publish_journals(paper: Paper, scale: str, recipes: Collection[str]) -> list[Path]:
    """Copies the journals of those of your runs whose raw scores are the published ones."""
    copied = []
    for recipe, seed, folder in paper.begun(scale):
        if recipe in recipes and _is_published(paper, scale, recipe, seed):
            target = journal_of(paper.published(scale), recipe, seed)
            write_atomically(target, thinned((folder / JOURNAL).read_bytes()))
            copied.append(target)
    return copied


def thinned(lines: bytes) -> bytes:
    """A journal with at most `MOST_ROWS` rows of each event, evenly spread, the last of each among them."""
    places: dict[str, list[int]] = defaultdict(list)
    rows = lines.splitlines(keepends=True)
    for place, line in enumerate(rows):
        if found := journal.row(line):
            places[found["event"]].append(place)
    chosen = {
        place
        for of_event in places.values()
        for place in (*evenly(of_event[:-1], MOST_ROWS - 1), of_event[-1])
    }
    return b"".join(rows[place] for place in sorted(chosen))


def publish_pictures(paper: Paper, scale: str, recipes: Collection[str]) -> list[Path]:
    """Copies pictures of a few items of your runs of seed 0 beside the published results.

    What every recipe is given and compared with lies once, under the first that had it. What a recipe itself made lies
    under its own name, equal to another's or not.

    Raises:
        ValueError: a run whose raw scores are not the published ones, or too much to commit.
    """
    published = {
        path: path.stat().st_size for path in sorted(paper.published(scale).glob(f"*/seed*/{FOLDER}/*"))
    }
    shared = {(path.name, path.read_bytes()): path for path in published if _is_shared(path)}
    chosen: dict[Path, Path] = {}
    for recipe in sorted(recipes):
        source = paper.run_folder(scale, recipe, 0) / FOLDER
        files = sorted(path for path in source.glob("*") if path.suffix in ENDINGS)
        if not files:
            continue
        if not _is_published(paper, scale, recipe, 0):
            raise ValueError(f"{recipe}: pictures are of a run whose raw scores are not the published ones")
        wanted = evenly(sorted({_stem(path) for path in files}), MOST_ITEMS)
        for path in files:
            target = paper.published(scale) / recipe / "seed0" / FOLDER / path.name
            if _stem(path) not in wanted:
                continue
            if _is_shared(path) and shared.setdefault((path.name, path.read_bytes()), target) != target:
                continue
            chosen[target] = path
    size = sum((published | {target: path.stat().st_size for target, path in chosen.items()}).values())
    if size > MOST_BYTES:
        raise ValueError(f"{paper.slug}: pictures must fit {MOST_BYTES:,} bytes at {scale}, got {size:,}")
    for target, path in chosen.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return list(chosen)


def _is_shared(path: Path) -> bool:
    return any(f".{what}." in path.name for what in SHARED)


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _is_published(paper: Paper, scale: str, recipe: str, seed: int) -> bool:
    """Whether your run has the raw scores that are published."""
    own, published = (
        results.find(folder, recipe, seed) for folder in (paper.own_results(scale), paper.published(scale))
    )
    return own is not None and published is not None and _untimed(own, own) == _untimed(published, own)


def _untimed(run: Run, timed: Run) -> dict[str, dict[str, float | int]]:
    """Raw scores by item, without those that a clock decides."""
    clocked = {item.id: item.timed for item in timed.items}
    return {
        item.id: {key: value for key, value in item.scores.items() if key not in clocked.get(item.id, ())}
        for item in run.items
    }
