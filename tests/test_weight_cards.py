"""Beside every committed file of weights lies a card that names it; scores in it follow from published results."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from repository import ROOT

from common.bootstrap import NUM_DRAWS, draws
from common.results import read

WEIGHTS = sorted(path.relative_to(ROOT) for path in ROOT.glob("*/**/weights/*.safetensors"))
ASR, CLIPS = ROOT / "speech_adapters" / "asr" / "results", ROOT / "multimodal_ssl" / "results"
CER, RIGHT, R5 = "character errors", "right", "R@5"
MEASURES = {  # what is counted, by what it is divided
    CER: lambda scores: (scores["character_errors"], scores["characters"]),
    RIGHT: lambda scores: (scores["accuracy"], 1),
    R5: lambda scores: (scores["rank"] <= 5, 1),
}
COUNTED = {"character_errors", "accuracy", "rank"}
LEAST_GROUPS = 10  # of fewer, as of crops of two dialogues, an interval would say nothing
TOLD = [  # file, results of its run, recipe, part of the test, measure
    ("speech_adapters/asr/weights/en", ASR / "mini", "ADAPTERS_EN", "asterisk-en", CER),
    ("speech_adapters/asr/weights/en", ASR / "mini", "ADAPTERS_EN", "drascula-en", CER),
    ("speech_adapters/asr/weights/fr", ASR / "mini", "ADAPTERS_FR", "asterisk-fr", CER),
    ("speech_adapters/asr/weights/fr", ASR / "mini", "ADAPTERS_FR", "tuxpaint-fr", CER),
    *(
        (f"speech_adapters/weights/{name}", ASR / scale, recipe, part, RIGHT)
        for name, scale, recipe in (
            ("small-en", "mini", "BACKBONE"),
            ("small-en-first", "mini", "FIRST_STAGE"),
            ("small-en-hubert", "mini", "HUBERT"),
            ("deep-en", "gpu", "DEEP_BACKBONE"),
        )
        for part in ("fotaq-en", "drascula-en")
    ),
    *(
        ("multimodal_ssl/weights/fine", CLIPS / "mini", "FINE_0", part, R5)
        for part in ("clean", "distractors")
    ),
]


def cards(weights: Path) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / weights).parent.glob("*.md"))
    )


def score(folder: Path, recipe: str, part: str, measure: str) -> str:
    """Percent of seed 0, and 95 % of the bootstrap over groups, over items where groups are few."""
    (run,) = [run for run in read(folder) if (run.result.recipe, run.result.seed) == (recipe, 0)]
    items = [item for item in run.items if item.part == part and item.scores.keys() & COUNTED]
    grouped = len({item.group for item in items}) >= LEAST_GROUPS
    counts = defaultdict(lambda: np.zeros(2))
    for item in items:
        counts[item.group if grouped else item.id] += MEASURES[measure](item.scores)
    sums = np.array(list(counts.values()))
    counted, divided = (draws((len(sums),), NUM_DRAWS) @ sums).T
    low, high = np.percentile(100 * counted / divided, [2.5, 97.5])
    point = 100 * sums[:, 0].sum() / sums[:, 1].sum()
    return f"{point:.1f} ({low:.1f} to {high:.1f})"


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_every_committed_file_of_weights_is_named_by_a_card_beside_it(weights):
    assert f"`{weights.name}`" in cards(weights) or f"`{weights.stem}`" in cards(weights)


@pytest.mark.parametrize(("weights", "folder", "recipe", "part", "measure"), TOLD)
def test_scores_of_a_card_are_those_of_the_run_that_made_the_weights(weights, folder, recipe, part, measure):
    made_by = json.loads((ROOT / f"{weights}.json").read_text(encoding="utf-8"))["state"]["origin"]
    assert (made_by["recipe"], made_by["scale"]) == (recipe, folder.name)
    assert f"| {part} | {score(folder, recipe, part, measure)} |" in cards(Path(weights))
