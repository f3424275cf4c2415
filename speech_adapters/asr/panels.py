"""Hypotheses of each arm beside their references, and the test utterances that a scoring run kept, to play."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from common import results
from common.kept import FOLDER
from common.metrics.error_rate import AlignedWord, align
from common.progress import say
from common.report.page import Panel, Sound, TimedWord
from common.report.tables import Cell, Table
from common.results import Item, Run
from common.settings import decode
from speech_adapters.asr.evidence import is_recogniser, language_words, own_utterances, variant
from speech_adapters.asr.finetune import FineTune
from speech_adapters.asr.former import former_settings
from speech_adapters.asr.kept_sounds import as_wav, file_stem, read_words

if TYPE_CHECKING:
    from speech_adapters.python_api import Transcriber

MOST_SOUNDS = 8  # on the page: 0.7 MB each at most
PREPARED_SOUNDS = 2  # a language, of published runs
MOST_UTTERANCES = 12  # a language in the table of hypotheses
LEGEND = "Each recipe's first seed. [reference→hypothesis] marks an error, – stands for no word."
COLUMNS = ("recipe", "greedy", "with n-gram")
Heard = tuple[bytes, Sequence[TimedWord]]  # a WAV file and what was heard in it


# ---- hypotheses


def marked(reference: str, hypothesis: str) -> str:
    """The hypothesis, errors as "[reference→hypothesis]" with "–" for no word; neighbouring ones share brackets."""
    told = []
    for equal, rows in groupby(align(reference, hypothesis), key=lambda row: row.operation == "equal"):
        words = list(rows)
        expected, found = (_side(words, side) for side in ("reference", "hypothesis"))
        told.append(expected if equal else f"[{expected or '–'}→{found or '–'}]")
    return " ".join(told)


def _side(words: Sequence[AlignedWord], side: str) -> str:
    return " ".join(word for row in words if (word := getattr(row, side)) is not None)


def hypotheses(runs: Sequence[Run]) -> list[Table]:
    """A table a language: hypotheses of each arm's first seed for a dozen test utterances, spread over lengths."""
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
            rows.append([Cell("reference", "", item_id), Cell(some[item_id].texts["reference"]), Cell("")])
            rows += [_hypotheses(recipe, items[item_id]) for recipe, items in told.items()]
        if rows:
            title = f"Hypotheses, {language_words(language)}"
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


def _hypotheses(recipe: str, item: Item) -> list[Cell]:
    texts = [item.texts.get(kind) for kind in ("greedy", "beam")]
    marks = [Cell("not decoded" if t is None else marked(item.texts["reference"], t)) for t in texts]
    return [Cell(recipe, "code"), *marks]


# ---- sounds


def players(folder: Path) -> Iterator[Panel]:
    """Test utterances, each beside the hypotheses of every arm that was scored on it.

    Sounds are those that own runs kept; of published runs they come from the prepared data, where those are here, and
    their words from the committed adapters.

    Args:
        folder: of a scale: runs lie in it as RECIPE/seedN, their results in `results`; or of published results.
    """
    runs = _own(folder) or _readable(folder)
    first = _first_seeds(runs)
    sounds = _kept(folder, runs) or _prepared(first)
    for language, by_stem in sorted(sounds.items()):
        spoken = [run for run in first if variant(run).language == language]
        for stem, (content, words) in list(by_stem.items())[: max(1, MOST_SOUNDS // len(sounds))]:
            found = {
                run.result.recipe: item for run in spoken for item in run.items if file_stem(item.id) == stem
            }
            transcripts = {recipe: item for recipe, item in found.items() if "reference" in item.texts}
            if transcripts:
                yield _player(content, words, language, transcripts)


def _kept(folder: Path, runs: Sequence[Run]) -> dict[str, dict[str, Heard]]:
    """{language: {stem: sound}} of what scoring runs kept."""
    paths: dict[str, dict[str, Path]] = defaultdict(dict)
    for run in runs:
        for path in sorted((folder / run.result.recipe).glob(f"seed*/{FOLDER}/*.wav")):
            paths[variant(run).language].setdefault(path.stem, path)
    return {
        language: {stem: (path.read_bytes(), read_words(path)) for stem, path in by_stem.items()}
        for language, by_stem in paths.items()
    }


def _prepared(runs: Sequence[Run]) -> dict[str, dict[str, Heard]]:
    """The same of the runs' own test utterances, a few spread over their lengths, where their data are prepared."""
    sounds: dict[str, dict[str, Heard]] = {}
    for run in runs:
        language, source = variant(run).language, decode(FineTune, run.result.settings).source
        if language in sounds:
            continue
        try:
            there = {f"{one.source}/{one.id}": one for one in source.utterances("test")}
        except (ValueError, OSError):  # not prepared here; looking at a page fetches nothing
            continue
        items = [item for item in _transcribed(run).values() if item.id in there]
        chosen = _spread(items)[-PREPARED_SOUNDS:]
        wavs = {file_stem(id): as_wav(there[id].waveform()) for id in chosen}
        sounds[language] = {stem: (wav, _heard(language, wav)) for stem, wav in wavs.items()}
    return sounds


def _heard(language: str, wav: bytes) -> Sequence[TimedWord]:
    """What the committed adapters of a language, of ADAPTERS and seed 0, hear in a WAV file; none without such."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        path.write_bytes(wav)
        try:
            found = _published_set(language).transcribe(path)
        except (ValueError, ImportError) as error:  # no such set, or nothing here that reads sound
            say(f"note: the page shows no words of {language} sounds: {error}")
            return ()
    return [TimedWord(word.text, word.start_s, word.stop_s) for word in found.words]


@cache
def _published_set(language: str) -> Transcriber:
    from speech_adapters.checkpoints.by_name import SMALL
    from speech_adapters.python_api import load

    return load(language, model=SMALL, device="cpu")


def _own(folder: Path) -> list[Run]:
    return _readable(folder / "results")


def _readable(folder: Path) -> list[Run]:
    """Test runs of recognisers, their settings spelled as today's."""
    found = []
    for run in results.readable(folder):
        result = run.result
        if result.settings_layout < results.SETTINGS_LAYOUT:
            today = former_settings(result.settings)
            result = replace(result, settings=today, settings_layout=results.SETTINGS_LAYOUT)
        spelled = replace(run, result=result)
        if result.split == "test" and is_recogniser(spelled):
            found.append(spelled)
    return found


def _player(
    content: bytes, words: Sequence[TimedWord], language: str, transcripts: Mapping[str, Item]
) -> Panel:
    item = next(iter(transcripts.values()))
    rows = [_hypotheses(recipe, item) for recipe, item in transcripts.items()]
    sound = Sound(f"reference: {item.texts['reference']}", content, words=words)
    title = f"{item.id}, {language_words(language)}"
    return Panel(title, sounds=[sound], tables=[Table(title, COLUMNS, rows, LEGEND)])
