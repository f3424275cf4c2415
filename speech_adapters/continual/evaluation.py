"""What is scored of every arm: the contrast on both languages, letters as training goes on, recognition, seconds.

contrast SOURCE       nats of held-out pieces against the source model's codes: the forgetting matrix
switched off          difference to the source encoder once the new set is switched off again
letters SOURCE        CTC of a linear probe on frozen outputs: the last one, and `@STEP` of snapshots on the way
recognition KIND      CTC after fine-tuning everything, or adapters on top of the language's own
training              seconds of each tenth of the training
phones (Russian)      frames named right, where the new language has labels
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from common import checkpoint, journal
from common.results import Item
from speech_adapters.checkpoints import by_name
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.continual import forgetting
from speech_adapters.continual.continuing import ADAPTERS, FULL, HEAD
from speech_adapters.continual.recognition import recognise
from speech_adapters.pretrain import linear_phone_probe

if TYPE_CHECKING:
    from speech_adapters.continual.continuing import Continue
    from speech_adapters.model.contrastive import ContrastiveModel
    from speech_adapters.model.wav2vec2 import Wav2Vec2

SEGMENTS = 10  # of a training, so that its seconds have a spread


def items(
    recipe: Continue, model: ContrastiveModel, *, seed: int, split: str, folder: Path
) -> Iterator[Item]:
    """Every item of a run; what depends on the training alone comes from its journal and snapshots in `folder`."""
    device = next(model.parameters()).device
    source = recipe.source().to(device)
    for name in recipe.matrix:
        yield from forgetting.contrast_items(model, source, name, split, recipe.crop_samples)
    if recipe.steps and recipe.arm.kind == "adapters":
        learned = AdapterSet.of(model, recipe.arm, recipe.language, by_name.sha256(recipe.source_model), {})
        bare = copy.deepcopy(source.encoder)
        yield from forgetting.switched_off_items(bare, learned, recipe.matrix[0], split, recipe.crop_samples)
    yield from seconds(folder / "journal.jsonl", recipe.steps)
    for name in filter(None, dict.fromkeys((*recipe.spelled, recipe.remembered))):
        on_the_way = _snapshots(recipe, folder) if name in recipe.spelled else {}
        yield from _letters(recipe, {"": (model.encoder, 0.0), **on_the_way}, name, split, seed)
    yield from _recognition(recipe, model, split, seed)
    if recipe.phones:
        yield from linear_phone_probe.score(model.encoder, split)


def _snapshots(recipe: Continue, folder: Path) -> dict[str, tuple[Wav2Vec2, float]]:
    """Encoders kept on the way, by "@STEP", and how many seconds of training each took."""
    found = {}
    for path in sorted((folder / "snapshots").glob("step-*.safetensors")):
        kept, model = checkpoint.load(path), recipe.model()
        if (step := kept.state["step"]) <= recipe.steps:
            model.load_state_dict(kept.tensors)
            found[f"@{step}"] = (model.eval().encoder, kept.state["wall_s"])
    return found  # type: ignore[return-value]


def _letters(
    recipe: Continue, encoders: dict[str, tuple[Wav2Vec2, float]], name: str, split: str, seed: int
) -> Iterator[Item]:
    """An item for each clip, with what every encoder's probe made of it."""
    part, scores, groups = f"letters {name}", dict[str, dict[str, float]](), dict[str, str]()
    for mark, (encoder, wall_s) in encoders.items():
        heard = recognise(
            encoder, HEAD, name, split, seed=seed, steps=recipe.probe_steps, peak_lr=recipe.probe_lr,
            train_s=recipe.probe_train_s,
        )  # fmt: skip
        for clip, found in heard:
            groups[clip.id] = clip.group
            kept = scores.setdefault(clip.id, {})
            kept[f"ctc_nats{mark}"] = round(found.scores["ctc_nats"], 4)
            if mark:
                kept[f"train_s{mark}"] = wall_s
            else:
                kept |= {key: found.scores[key] for key in ("characters", "character_errors")}
    for id_, values in scores.items():
        yield Item(f"{part}/{id_}", groups[id_], part, values)


def _recognition(recipe: Continue, model: ContrastiveModel, split: str, seed: int) -> Iterator[Item]:
    if not recipe.recognised:
        return
    arms = {"all": FULL, "adapters": replace(ADAPTERS, bottleneck=recipe.arm.bottleneck)}
    for kind, arm in arms.items():
        part = f"recognition {kind}"
        heard = recognise(
            model.encoder, arm, recipe.recognised, split, seed=seed, steps=recipe.recognition_steps,
            peak_lr=recipe.recognition_lr,
        )  # fmt: skip
        for clip, found in heard:
            scores = {key: round(value, 4) for key, value in found.scores.items()}
            texts = {"reference": clip.text, "greedy": found.hypothesis}
            yield Item(f"{part}/{clip.id}", clip.group, part, scores, texts)


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
            part = f"tenth {number + 1}"
            yield Item(f"training/{part}", part, "training", {"seconds": round(a_step * steps / SEGMENTS, 4)})
