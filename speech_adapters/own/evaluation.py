"""Word and character errors of a recogniser on somebody's own recordings, with intervals, by speaker, aligned."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.bootstrap import NUM_DRAWS, draws
from common.data import own_files
from common.metrics.error_rate import align, char_errors, word_errors
from common.results import Item
from speech_adapters.checkpoints import by_name, convert
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.ctc.measures import CER, CHARACTER_ERRORS, CHARACTERS, WER, WORD_ERRORS, WORDS, Rate
from speech_adapters.data import any_script, text
from speech_adapters.data.batches import as_float
from speech_adapters.inference import recogniser as recognising
from speech_adapters.inference.recogniser import Recogniser, WordSearch
from speech_adapters.own import checking
from speech_adapters.own.reading import read
from speech_adapters.own.recordings import SHORT

RATES = {"wer": WER, "cer": CER}
LEAST_GROUPS = 2  # of fewer no interval can be told
WORST = 5


def item(id_: str, speaker: str, reference: str, hypothesis: str) -> Item:
    """Counts of one utterance; its group is its speaker, or itself where nobody knows."""
    words, characters = word_errors(reference, hypothesis), char_errors(reference, hypothesis)
    scores = {
        CHARACTERS.name: characters.length,
        CHARACTER_ERRORS.name: characters.errors,
        WORDS.name: words.length,
        WORD_ERRORS.name: words.errors,
    }
    return Item(id_, speaker or id_, speaker, scores, {"reference": reference, "hypothesis": hypothesis})


def interval(items: Sequence[Item], rate: Rate) -> tuple[float, float] | None:
    """95 % of the bootstrap over groups: speakers where there are several, else utterances; None of one alone."""
    speakers = {one.part for one in items} - {""}
    by_group: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in items:
        counts = by_group[one.group if len(speakers) >= LEAST_GROUPS else one.id]
        counts[0] += one.scores[rate.counted.name]
        counts[1] += one.scores[rate.divided_by.name]
    if len(by_group) < LEAST_GROUPS:
        return None
    errors, lengths = (draws((len(by_group),), NUM_DRAWS) @ np.array(list(by_group.values()))).T
    low, high = np.percentile(rate.factor * errors / lengths, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Scores:
    """A recogniser on recordings."""

    items: tuple[Item, ...]
    left_out: int = 0
    trained_on: int = 0  # of the recordings

    def rate(self, name: str) -> dict[str, Any]:
        """percent, and low and high of its interval (None where it cannot be told)."""
        bounds = interval(self.items, RATES[name]) or (None, None)
        return {"percent": RATES[name].of(self.items), "low": bounds[0], "high": bounds[1]}

    def by_speaker(self) -> list[dict[str, Any]]:
        """Worst first; empty where speakers are not known."""
        found = defaultdict(list)
        for one in self.items:
            found[one.part].append(one)
        if set(found) == {""}:
            return []
        rows = [
            {"speaker": speaker or "unknown", "recordings": len(those)}
            | {name: rate.of(those) for name, rate in RATES.items()}
            for speaker, those in found.items()
        ]
        return sorted(rows, key=lambda row: -row["cer"])

    def worst(self) -> list[Item]:
        """Utterances with the most character errors, of as many the shorter first."""
        wrong = [one for one in self.items if one.scores[CHARACTER_ERRORS.name]]
        return sorted(
            wrong, key=lambda one: (-one.scores[CHARACTER_ERRORS.name], one.scores[CHARACTERS.name])
        )[:WORST]

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "recordings": len(self.items),
            "left_out": self.left_out,
            "trained_on": self.trained_on,
            **{name: self.rate(name) for name in RATES},
            "by_speaker": self.by_speaker(),
            "worst": [{"id": one.id, **one.texts} for one in self.worst()],
        }

    def table(self) -> str:
        """For a terminal."""
        rows: list[tuple[str, ...]] = [("", "WER %", "CER %", "recordings")]
        shown = (_with_interval(self.rate(name)) for name in RATES)
        rows.append(("all", *shown, str(len(self.items))))
        for row in self.by_speaker():
            rates = (f"{row[name]:.1f}" for name in RATES)
            rows.append((row["speaker"], *rates, str(row["recordings"])))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        for one in self.worst():
            lines += [
                "",
                f"{one.id}: {one.scores[CHARACTER_ERRORS.name]} of {one.scores[CHARACTERS.name]} characters",
            ]
            lines += aligned(one.texts["reference"], one.texts["hypothesis"])
        return "\n".join(lines)

    def json(self) -> str:
        return json.dumps(self.record(), indent=1, ensure_ascii=False)


def _with_interval(rate: dict[str, Any]) -> str:
    bounds = "" if rate["low"] is None else f" ({rate['low']:.1f} to {rate['high']:.1f})"
    return f"{rate['percent']:.1f}{bounds}"


def aligned(reference: str, hypothesis: str) -> list[str]:
    """Two lines, word under word; stars stand where the other side has a word more, wrong words are upper case."""
    pairs = []
    for operation, spoken, heard in align(reference, hypothesis):
        same = operation == "equal"
        pairs.append(
            [(word if same else word.upper()) if word is not None else "" for word in (spoken, heard)]
        )
    widths = [max(map(len, pair)) for pair in pairs]
    made = []
    for name, words in zip(("said", "heard"), zip(*pairs, strict=True), strict=True):
        cells = (
            word.ljust(width) if word else "*" * width for word, width in zip(words, widths, strict=True)
        )
        made.append(f"  {name:5}  {' '.join(cells)}".rstrip())
    return made


# ---- a recogniser on recordings


def items(
    recogniser: Recogniser, spoken: Iterable[tuple[str, str, str, Any]], normalise: Callable[[str], str]
) -> Iterator[Item]:
    """Scores of (id, speaker, normalised text, int16 samples), each alone, as `transcribe` hears one window."""
    (decoder,) = recogniser.decoders
    for id_, speaker, reference, samples in spoken:
        waveform = as_float(samples)[None].to(recogniser.device)
        lengths = torch.tensor([waveform.shape[1]], device=recogniser.device)
        (log_probs,) = recogniser.acoustic_model.log_probs(waveform, lengths, [decoder.name])
        heard = " ".join(decoder.vocabulary.decode(word) for word in decoder.words(log_probs.cpu()))
        yield item(id_, speaker, reference, normalise(heard))


def normaliser_of(adapter_set: AdapterSet | None) -> Callable[[str], str]:
    """How texts are compared: as the set's training had them."""
    if adapter_set is None or adapter_set.normaliser == any_script.NORMALISER:
        return any_script.normalise
    return partial(text.normalise, language=adapter_set.language)


def heard_in_training(origin: Mapping[str, Any], sha256s: Iterable[str]) -> int:
    """How many recordings are among those that weights of such an origin were trained on."""
    told = str(origin.get("heard", ""))
    heard = {told[place : place + SHORT] for place in range(0, len(told), SHORT)}
    return sum(sha256[:SHORT] in heard for sha256 in sha256s)


def evaluate(
    data: Path,
    model: str | None,
    adapter: Path | None,
    device: torch.device,
    search: WordSearch | None = None,
    layout: str = "",
) -> Scores:
    """Scores of a set, or of a whole recogniser, on a folder of recordings.

    Args:
        model: a name or path of `by_name.find`; None is the one that the set was trained on.
        layout: see `reading.read`.
        search: with an n-gram of words; None takes the likeliest path.

    Raises:
        ValueError: neither, or nothing is left to score.
    """
    adapter_set = AdapterSet.load(adapter) if adapter else None
    model = model or str((adapter_set.origin if adapter_set else {}).get("model", ""))
    if not model:
        raise ValueError("which encoder? give --model; this set does not name the one it was trained on")
    recogniser = recognising.load(model, {"set": adapter} if adapter else {}, device)
    if search:
        recogniser = recogniser.with_beam_search(search)
    recordings, normalise = read(data, layout), normaliser_of(adapter_set)
    found, left, sha256s = list[Item](), list[own_files.LeftOut](), list[str]()
    for one in checking.checked(recordings, recogniser.architecture, normalise=normalise):
        if isinstance(one, own_files.LeftOut):
            left.append(one)
        else:
            spoken = (one.recording.id, one.recording.speaker, one.text, one.samples)
            found += items(recogniser, [spoken], normalise)
            sha256s.append(one.sha256)
    own_files.tell(left, len(recordings), what="recordings")
    if not found:
        raise ValueError(f"{data}: no recordings are left to score; see what was left out above")
    origin = adapter_set.origin if adapter_set else convert.read(by_name.find(model)).stored.origin
    return Scores(tuple(found), len(left), heard_in_training(origin, sha256s))
