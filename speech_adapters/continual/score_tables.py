"""Forgetting, costs, letters and recognition as tables: means over seeds, and every seed below."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from common.measures import Measure, Part
from common.report.tables import Cell, Table, number
from common.results import Item, Run
from common.settings import decode
from speech_adapters.continual import evidence
from speech_adapters.continual.claims import PRINTED
from speech_adapters.continual.continuing import Continue
from speech_adapters.continual.evidence import KINDS, SOURCE, Variant, is_timing
from speech_adapters.continual.matrix import signed
from speech_adapters.continual.measures import (
    ACCURACY,
    BACKWARD_S,
    CELLS,
    CONTRAST,
    FULL_CELL,
    LETTERS,
    RECOGNITION,
    UPDATE_S,
)
from speech_adapters.ctc.measures import BLANK_SHARE, CER, CHARACTERS, DEAF_NATS, NATS, WER, Rate, ratio
from speech_adapters.pretrain.measures import FRAMES, PHONES, depths

TIMES = {UPDATE_S: "whole update", BACKWARD_S: "without the optimiser's step"}
RATES = {NATS: "nats per character", CER: "character errors (%)", WER: "word errors (%)"}  # of recognition
DEAF = Rate("nats per character of one that hears nothing", DEAF_NATS, CHARACTERS, "nats")
MOST_UTTERANCES = 12  # of a language among the transcripts
OVER_SEEDS = "Means over seeds, below them every seed."


def scores(runs: Sequence[Run]) -> list[Table]:
    """Those tables that have rows."""
    tables = [_forgetting(runs), _costs(runs), _letters(runs), _recognition(runs), _phones(runs)]
    return [table for table in tables if table.rows]


def _who(what: Variant, seeds: Sequence[Run]) -> Cell:
    return Cell(seeds[0].result.recipe, "code", what.words)


def _over_seeds(values: Sequence[float], note: str = "") -> Cell:
    """Mean of what is there, every seed where there are several, and what else is to be told."""
    several = ("seeds " if note else "") + ", ".join(map(number, values)) if len(values) > 1 else ""
    return Cell(number(evidence.average(values)), "number", "; ".join(filter(None, (note, several))))


def _count(runs: Sequence[Run]) -> Cell:
    return Cell(str(len(runs)), "number")


# ---- forgetting and costs


def _forgetting(runs: Sequence[Run]) -> Table:
    arms = evidence.by_variant(run for run in runs if evidence.parts(run, CONTRAST))
    sources, first = evidence.every(runs, CONTRAST), arms.get(Variant(SOURCE), [])
    start = {source: evidence.average(evidence.contrasts(first, source)) for source in sources}
    rows = []
    for arm, seeds in arms.items():
        cells = [
            _contrast(seeds, source, math.nan if arm.method == SOURCE else start[source])
            for source in sources
        ]
        rows.append([_who(arm, seeds), *cells, _off(seeds), _count(seeds)])
    negatives = {
        decode(Continue, run.result.settings).objective.num_negatives for run in runs if not is_timing(run)
    }
    chance = "".join(f" Chance is {number(math.log(1 + count))} nats." for count in sorted(negatives))
    caption = (
        "Contrastive loss in nats on held-out crops with fixed masks and negatives, the positives being the source "
        f"model's; below it the difference to the source, and the share of masked frames told apart.{chance} "
        "Adapters are switched on, but for the column before the last: the largest difference to the source's outputs "
        f"once they are switched off. {OVER_SEEDS}"
    )
    columns = ("recipe", *map(evidence.speech_words, sources), "switched off", "seeds")
    return Table("Forgetting: the source's own task, after each arm", columns, rows, caption)


def _contrast(seeds: Sequence[Run], source: str, start: float) -> Cell:
    values = evidence.contrasts(seeds, source)
    right = [
        evidence.mean(items, ACCURACY.name)
        for run in seeds
        if (items := evidence.parts(run, CONTRAST).get(source))
    ]
    notes = [f"{signed(evidence.average(values) - start)} to the source"] * (
        bool(values) and math.isfinite(start)
    )
    if math.isfinite(share := evidence.average(right)):
        notes.append(f"{number(100 * share)} % right")
    return _over_seeds(values, "; ".join(notes))


def _off(seeds: Sequence[Run]) -> Cell:
    found = [pair for run in seeds if (pair := evidence.switched_off(run))]
    if not found:
        return Cell("–", "number")
    return Cell(
        number(max(off for off, _ in found)), "number", f"{number(min(on for _, on in found))} switched on"
    )


def _costs(runs: Sequence[Run]) -> Table:
    timed = [run for run in runs if is_timing(run)]
    rows = []
    for cell in CELLS:
        cells = [Cell(cell.name)]
        for time in TIMES:
            seconds = [
                value
                for run in timed
                if math.isfinite(value := evidence.mean(evidence.of_part(run, cell), time.name))
            ]
            saved = [100 - share for share in shares(timed, cell, time)] if cell != FULL_CELL else []
            cells += [_over_seeds(seconds), _over_seeds(saved)]
        if any(cell.text != "–" for cell in cells[1:]):
            rows.append([*cells, _count(timed)])
    columns = ["trained"]
    for words in TIMES.values():
        columns += [f"{words} (s)", "saved (%)"]
    caption = (
        f"At BASE's size, forward and backward on made-up sound; the cells take turns in one process. Saved: of the "
        f"first row's time. The paper prints {PRINTED:.0f} % and does not say of what. {OVER_SEEDS}"
    )
    return Table("What an update costs", (*columns, "seeds"), rows, caption)


def shares(timed: Sequence[Run], cell: Part, time: Measure) -> list[float]:
    """A cell's seconds in % of the first cell's, of each seed that has both."""
    pairs = [
        [evidence.mean(evidence.of_part(run, one), time.name) for one in (cell, FULL_CELL)] for run in timed
    ]
    return [100 * own / base for own, base in pairs if math.isfinite(own) and math.isfinite(base)]


# ---- letters and recognition


def measured(seeds: Sequence[Run], part: Part, rate: Rate) -> list[float]:
    """A rate over all items of a part, of each run that has it."""
    return [rate.of(items) for run in seeds if (items := evidence.of_part(run, part))]


def _letters(runs: Sequence[Run]) -> Table:
    rows = []
    for source in evidence.every(runs, LETTERS):
        for arm, seeds in evidence.by_variant(runs).items():
            asked = [run for run in seeds if source in evidence.parts(run, LETTERS)]
            if asked:
                levels = [_over_seeds(evidence.letters(asked, source, rate)) for rate in (NATS, CER)]
                deaf = Cell(number(evidence.average(evidence.letters(asked, source, DEAF))), "number")
                taken = [value for run in asked if math.isfinite(value := evidence.training_s(run))]
                cells = [*levels, deaf, Cell(_on_the_way(asked, source)), _over_seeds(taken)]
                rows.append([Cell(evidence.speech_words(source)), _who(arm, asked), *cells, _count(asked)])
    columns = (
        "speech",
        "recipe",
        "nats/character",
        "CER (%)",
        "hears nothing",
        "on the way",
        "training (s)",
        "seeds",
    )
    caption = (
        "A linear probe of letters on frozen outputs, trained the same way over every encoder; sums over all test "
        "utterances divided once. Hears nothing: nats per character of one distribution of letters at every frame. On "
        f"the way: updates and nats per character, mean over seeds. {OVER_SEEDS}"
    )
    return Table("Letters by a linear probe", columns, rows, caption)


def _on_the_way(seeds: Sequence[Run], source: str) -> str:
    found: dict[int, list[float]] = defaultdict(list)
    for run in seeds:
        items = evidence.parts(run, LETTERS)[source]
        for step in evidence.snapshots(run, source):
            found[step].append(evidence.nats_at(items, step))
    return ", ".join(f"{step:,}: {number(evidence.average(nats))}" for step, nats in sorted(found.items()))


def recognised(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by the speech that recognisers were trained on, as the settings name it."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        if evidence.parts(run, RECOGNITION):
            found[evidence.recognised_on(run)].append(run)
    return dict(found)


def _recognition(runs: Sequence[Run]) -> Table:
    rows = []
    for speech, found in recognised(runs).items():
        for kind, words in KINDS.items():
            part = RECOGNITION.of(kind)
            for arm, seeds in evidence.by_variant(found).items():
                asked = [run for run in seeds if evidence.of_part(run, part)]
                if asked:
                    rates = [_over_seeds(measured(asked, part, rate)) for rate in RATES]
                    blank = [
                        100 * evidence.mean(evidence.of_part(run, part), BLANK_SHARE.name) for run in asked
                    ]
                    who = [Cell(evidence.speech_words(speech)), Cell(words), _who(arm, asked)]
                    rows.append([*who, *rates, _over_seeds(blank), _count(asked)])
    columns = (
        "speech", "fine-tuned", "recipe", "nats/character", "CER (%)", "WER (%)", "blank (%)", "seeds"
    )  # fmt: skip
    caption = (
        "After a short fine-tuning from each encoder, the same way; greedy; sums over all test utterances divided "
        f"once. Blank: frames whose likeliest symbol it is. {OVER_SEEDS}"
    )
    return Table("Recognition after pre-training", columns, rows, caption)


def _phones(runs: Sequence[Run]) -> Table:
    rows = []
    heights = depths(item for run in runs for item in evidence.of_part(run, PHONES))
    for arm, seeds in evidence.by_variant(runs).items():
        if asked := [items for run in seeds if (items := evidence.of_part(run, PHONES))]:
            cells = [
                _over_seeds([100 * ratio(items, depth.name, FRAMES.name) for items in asked])
                for depth in heights
            ]
            rows.append([_who(arm, seeds), *cells, Cell(str(len(asked)), "number")])
    columns = ("recipe", *(depth.heading for depth in heights), "seeds")
    caption = f"Frames named right by a linear classifier, in %. {OVER_SEEDS}"
    return Table("Phones (Russian) by depth of the encoder", columns, rows, caption)


# ---- transcripts


def transcripts(runs: Sequence[Run]) -> list[Table]:
    """A table a language: a dozen test utterances by length, with the hypotheses of each arm's first seed."""
    tables = []
    for speech, found in recognised(runs).items():
        hypotheses = {
            seeds[0].result.recipe: {kind: _texts(seeds[0], kind) for kind in KINDS}
            for seeds in evidence.by_variant(found).values()
        }
        some = {
            name: text
            for kinds in hypotheses.values()
            for items in kinds.values()
            for name, text in items.items()
        }
        rows = []
        for name in _spread({name: item.texts["reference"] for name, item in some.items()}):
            rows.append([Cell("reference", "", name), Cell(some[name].texts["reference"]), Cell("")])
            for recipe, kinds in hypotheses.items():
                told = [
                    Cell(items[name].texts["greedy"] if name in items else "–") for items in kinds.values()
                ]
                rows.append([Cell(recipe, "code"), *told])
        if rows:
            columns = ("recipe", *KINDS.values())
            caption = (
                "Test utterances at evenly spaced ranks of length; the first seed of each recipe, greedy."
            )
            tables.append(Table(f"Hypotheses: {evidence.speech_words(speech)}", columns, rows, caption))
    return tables


def _texts(run: Run, kind: str) -> dict[str, Item]:
    """Items with transcripts, by what their ids share over kinds."""
    part = RECOGNITION.of(kind)
    said = (item for item in evidence.of_part(run, part) if "greedy" in item.texts)
    return {item.id.removeprefix(f"{part.name}/"): item for item in said}


def _spread(references: dict[str, str]) -> list[str]:
    """Names at evenly spaced ranks of (length, name), the shortest and the longest among them."""
    ordered = sorted(references, key=lambda name: (len(references[name]), name))
    wanted = min(MOST_UTTERANCES, len(ordered))
    return [ordered[round(place * (len(ordered) - 1) / max(1, wanted - 1))] for place in range(wanted)]
