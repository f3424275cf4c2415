"""Test clips that a scoring run keeps for the report, and what each arm heard in them, word by word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from common import results
from common.metrics.error_rate import AlignedWord, align
from common.report.page import Panel, Sound
from common.report.tables import Cell, Table
from common.results import Item, Run
from speech_adapters.asr.evidence import is_recogniser, language_words, own_utterances, variant
from speech_adapters.asr.kept_sounds import file_stem

MOST_SOUNDS = 8  # on the page: 0.7 MB each at most
MOST_UTTERANCES = 12  # a language in the table of hypotheses
LEGEND = "Each recipe's first seed. [said→heard] marks an error, – stands for no word."
COLUMNS = ("recipe", "heard, greedy", "heard, with n-gram")
FOLDER = "pictures-test"  # of a run, where the trainer lets a scoring run keep examples


# ---- hypotheses


def marked(reference: str, hypothesis: str) -> str:
    """The hypothesis with what differs as "[said→heard]", "–" for no word; neighbouring errors share brackets."""
    told = []
    for equal, rows in groupby(align(reference, hypothesis), key=lambda row: row.operation == "equal"):
        words = list(rows)
        said, heard = (_side(words, side) for side in ("reference", "hypothesis"))
        told.append(said if equal else f"[{said or '–'}→{heard or '–'}]")
    return " ".join(told)


def _side(words: Sequence[AlignedWord], side: str) -> str:
    return " ".join(word for row in words if (word := getattr(row, side)) is not None)


def hypotheses(runs: Sequence[Run]) -> list[Table]:
    """A table a language: a dozen test utterances, spread over lengths, and what each arm's first seed made of them."""
    by_language: dict[str, list[Run]] = defaultdict(list)
    for run in _first_seeds(runs):
        by_language[variant(run).language].append(run)
    tables = []
    for language, chosen in sorted(by_language.items()):
        told = {run.result.recipe: _transcribed(run) for run in chosen}
        shared = set.intersection(*(set(items) for items in told.values()))
        some = next(iter(told.values()))
        rows = []
        for item_id in _spread([some[one] for one in shared]):
            rows.append([Cell("said", "", item_id), Cell(some[item_id].texts["reference"]), Cell("")])
            rows += [_heard(recipe, items[item_id]) for recipe, items in told.items()]
        if rows:
            title = f"What was heard, {language_words(language)}"
            caption = f"Test utterances at evenly spaced ranks of length. {LEGEND}"
            tables.append(Table(title, COLUMNS, rows, caption))
    return tables


def _first_seeds(runs: Sequence[Run]) -> list[Run]:
    """Per recipe on all layers the run of its least seed that has texts."""
    found: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: (run.result.recipe, run.result.seed)):
        name = run.result.recipe
        if name not in found and variant(run).whole and _transcribed(run):
            found[name] = run
    return list(found.values())


def _transcribed(run: Run) -> dict[str, Item]:
    return {item.id: item for item in own_utterances(run) if "reference" in item.texts}


def _spread(items: Sequence[Item]) -> list[str]:
    """Ids at evenly spaced ranks of (length of the reference, id), the shortest and the longest among them."""
    ordered = sorted(items, key=lambda item: (len(item.texts["reference"]), item.id))
    wanted = min(MOST_UTTERANCES, len(ordered))
    ranks = [round(place * (len(ordered) - 1) / max(1, wanted - 1)) for place in range(wanted)]
    return [ordered[rank].id for rank in ranks]


def _heard(recipe: str, item: Item) -> list[Cell]:
    texts = [item.texts.get(kind) for kind in ("greedy", "beam")]
    marks = [Cell("not decoded" if t is None else marked(item.texts["reference"], t)) for t in texts]
    return [Cell(recipe, "code"), *marks]


# ---- sounds


def players(folder: Path) -> Iterator[Panel]:
    """Clips that own runs kept, to be heard beside the transcripts of every arm that was scored on them.

    Args:
        folder: of a scale: runs lie in it as RECIPE/seedN, their results in `results`.
    """
    runs = _own(folder)
    heard = _first_seeds(runs)
    sounds: dict[str, dict[str, Path]] = defaultdict(dict)  # language -> stem -> file
    for run in runs:
        for path in sorted((folder / run.result.recipe).glob(f"seed*/{FOLDER}/*.wav")):
            sounds[variant(run).language].setdefault(path.stem, path)
    for language, paths in sorted(sounds.items()):
        spoken = [run for run in heard if variant(run).language == language]
        for stem, path in list(paths.items())[: max(1, MOST_SOUNDS // len(sounds))]:
            found = {
                run.result.recipe: item for run in spoken for item in run.items if file_stem(item.id) == stem
            }
            transcripts = {recipe: item for recipe, item in found.items() if "reference" in item.texts}
            if transcripts:
                yield _player(path, language, transcripts)


def _own(folder: Path) -> list[Run]:
    """Test runs of recognisers whose settings are spelled as today's."""
    return [
        run
        for run in results.readable(folder / "results")
        if run.result.split == "test"
        and run.result.settings_layout == results.SETTINGS_LAYOUT
        and is_recogniser(run)
    ]


def _player(path: Path, language: str, transcripts: Mapping[str, Item]) -> Panel:
    item = next(iter(transcripts.values()))
    rows = [_heard(recipe, item) for recipe, item in transcripts.items()]
    sound = Sound(f"said: {item.texts['reference']}", path.read_bytes())
    title = f"{item.id}, {language_words(language)}"
    return Panel(title, sounds=[sound], tables=[Table(title, COLUMNS, rows, LEGEND)])
