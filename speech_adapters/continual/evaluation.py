"""What is scored of an arm beside its contrast: letters as training goes on, recognition, seconds.

letters SOURCE        CTC of a linear probe on frozen outputs: the last one, and `@STEP` of snapshots on the way
recognition KIND      CTC after fine-tuning everything, or adapters on top of the language's own
training              seconds of each tenth of the training
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import checkpoint, journal
from common.measures import Part
from common.results import Item
from speech_adapters.continual.evaluation_settings import ShortTraining
from speech_adapters.continual.measures import ADAPTERS, ALL, LETTERS, SECONDS, TRAIN_S, TRAINING, at
from speech_adapters.continual.recognition import deaf_nats, recognise
from speech_adapters.ctc.measures import CHARACTER_ERRORS, CHARACTERS, CTC_NATS, DEAF_NATS
from speech_adapters.data.source import Source
from speech_adapters.model.arm import Arm

if TYPE_CHECKING:
    from speech_adapters.model.wav2vec2 import Wav2Vec2

SEGMENTS = 10  # of a training, so that its seconds have a spread
HEAD = Arm(kind="head")
ARMS = {ALL: Arm(kind="full"), ADAPTERS: Arm(kind="adapters", bottleneck=64)}


def snapshots(folder: Path, steps: int, new_model: Callable[[], Any]) -> dict[int, tuple[Wav2Vec2, float]]:
    """Encoders kept on the way by step, and how many seconds of training each took.

    Args:
        steps: of the training; what an earlier, longer one left is passed over.
        new_model: makes the model that snapshots are of.
    """
    found = {}
    for path in sorted((folder / "snapshots").glob("step-*.safetensors")):
        kept = checkpoint.load(path)
        if (step := kept.state["step"]) <= steps:
            model = new_model()
            model.load_state_dict(kept.tensors)
            found[int(step)] = (model.eval().encoder, kept.state["wall_s"])
    return found


def letters(
    encoder: Wav2Vec2,
    on_the_way: Mapping[int, tuple[Wav2Vec2, float]],
    source: Source,
    split: str,
    seed: int,
    training: ShortTraining,
) -> Iterator[Item]:
    """An item for each utterance, with what the probe of every encoder made of it, and one that hears nothing."""
    part, groups, scores = LETTERS.on(source).name, dict[str, str](), dict[str, dict[str, float]]()
    deaf = deaf_nats(encoder.architecture, source, split, training)
    for one, found in recognise(encoder, HEAD, source, split, seed=seed, training=training):
        groups[one.id] = one.group
        kept = {CTC_NATS.name: round(found.scores[CTC_NATS.name], 4), DEAF_NATS.name: round(deaf[one.id], 4)}
        scores[one.id] = kept | {key: found.scores[key] for key in (CHARACTERS.name, CHARACTER_ERRORS.name)}
    for step, (earlier, wall_s) in on_the_way.items():
        for one, found in recognise(earlier, HEAD, source, split, seed=seed, training=training):
            nats = round(found.scores[CTC_NATS.name], 4)
            scores[one.id] |= {at(CTC_NATS, step): nats, at(TRAIN_S, step): wall_s}
    timed = tuple(at(TRAIN_S, step) for step in on_the_way)
    for id_, values in scores.items():
        yield Item(f"{part}/{id_}", groups[id_], part, values, timed=timed)


def recognition(
    encoder: Wav2Vec2, bottleneck: int, source: Source, split: str, seed: int, training: ShortTraining
) -> Iterator[Item]:
    """Scores and transcripts of each utterance after everything, then adapters of that width, was trained."""
    for part, arm in ARMS.items():
        of_width = replace(arm, bottleneck=bottleneck) if part is ADAPTERS else arm
        for one, found in recognise(encoder, of_width, source, split, seed=seed, training=training):
            yield _recognised(part, one.id, one.group, found.scores, one.text, found.hypothesis)


def _recognised(
    part: Part, id_: str, group: str, scores: Mapping[str, float], reference: str, greedy: str
) -> Item:
    rounded = {key: round(value, 4) for key, value in scores.items()}
    return Item(f"{part.name}/{id_}", group, part.name, rounded, {"reference": reference, "greedy": greedy})


def seconds(path: Path, steps: int) -> Iterator[Item]:
    """Seconds of each tenth of a training, from its journal; none where nothing was trained."""
    rows = [row for row in journal.read(path) if row["event"] == "train"]
    if not rows or not steps:
        return
    ends = {row["step"]: row["wall_s"] for row in rows}
    marks = [
        max((step for step in ends if step <= steps * n / SEGMENTS), default=0) for n in range(SEGMENTS + 1)
    ]
    for number, (begin, end) in enumerate(itertools.pairwise(marks)):
        if end > begin:
            a_step = (ends[end] - ends.get(begin, 0.0)) / (end - begin)
            tenth = f"tenth {number + 1}"
            scores = {SECONDS.name: round(a_step * steps / SEGMENTS, 4)}
            yield Item(f"{TRAINING.name}/{tenth}", tenth, TRAINING.name, scores, timed=(SECONDS.name,))
