"""The `pretrain` verb: a checkpoint goes on learning from sound without texts, by a language's adapters."""

from __future__ import annotations

import hashlib
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.files import check_folder, write_atomically
from common.own_training import CARD, mirrors
from common.progress import say
from common.schedule import Cosine
from common.settings import free, override
from speech_adapters.checkpoints import by_name
from speech_adapters.model.arm import Arm, usual_bottleneck
from speech_adapters.model.objective import ContrastiveObjective, QuantiserSizes
from speech_adapters.own.sound import OwnSound
from speech_adapters.pretrain.recipe import Pretrain

if TYPE_CHECKING:
    from torch import nn

    from speech_adapters.model.adapters import Share
    from speech_adapters.model.contrastive import ContrastiveModel

SEED = 0
SET = "pretrained.safetensors"
ROUNDS, LEAST_STEPS, MOST_STEPS = 10, 400, 20_000
SHORT_S = 2.0
CROPS_S = (15.0, 8.0, 4.0, 2.0, 1.0)
LONG_ENOUGH = 0.8  # of the seconds must lie in recordings that hold a crop
MOST_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class OwnPretraining(Pretrain):
    """Adapters, layer norms, quantiser and projections learn; the encoder stays as it was."""

    arm: Arm = field(default_factory=Arm)
    backbone: str = free("")  # whose weights are hashed with the data

    @property
    def source(self) -> OwnSound:
        (only,) = self.sources
        assert isinstance(only, OwnSound)
        return only

    def prepare(self) -> None:
        self.source.prepare()

    def model(self) -> nn.Module:
        from speech_adapters.model.adapters import apply

        model: Any = super().model()
        by_name.load_pretraining(model, self.backbone)
        apply(self.arm, model.encoder)
        return model

    def manifest_sha256(self) -> str:
        held = f"{self.source.content_sha256()} {by_name.sha256(self.backbone)}"
        return hashlib.sha256(held.encode()).hexdigest()


def crop_s_for(seconds: Sequence[float], longest_s: float) -> float:
    """The longest crop, up to `longest_s`, that most of the sound is long enough for.

    Raises:
        ValueError: most of it is shorter than the shortest.
    """
    total = math.fsum(seconds)
    for crop_s in CROPS_S:
        held = math.fsum(length for length in seconds if length >= crop_s)
        if crop_s <= longest_s and held >= LONG_ENOUGH * total > 0:
            return crop_s
    raise ValueError(
        f"recordings must last {CROPS_S[-1]:g} s or more, got {len(seconds)} of {total:.1f} s together"
    )


def planned(source: OwnSound, backbone: str, steps: int | None) -> OwnPretraining:
    """Settings that suit the encoder's width and the seconds of sound.

    Those of encoders up to 256 wide are what continual-pretraining chose on dev, those of wider ones its `paper` scale
    with batches for one device. A checkpoint's own quantiser goes on; where it has none, one begins anew.
    """
    architecture = by_name.architecture(backbone)
    wide = architecture.width > 256
    lengths = source.seconds("train").tolist()
    crop_s = crop_s_for(lengths, 15.0 if wide else 8.0)
    batch_s = 60.0 if wide else 16.0
    if steps is None:
        steps = min(MOST_STEPS, max(LEAST_STEPS, round(ROUNDS * math.fsum(lengths) / batch_s)))
    sizes = by_name.quantiser_sizes(backbone)
    fresh = QuantiserSizes() if wide else QuantiserSizes(codes=64, code_width=64, width=64)
    return OwnPretraining(
        sources=(source,), scored_on=(source,), backbone=backbone, architecture=architecture,
        arm=Arm(kind="adapters", bottleneck=usual_bottleneck(architecture)), quantiser=sizes or fresh,
        objective=ContrastiveObjective(
            diversity_weight=0.1 if wide else 1.0, penalty_weight=0.0, gumbel_start=0.5 if sizes else 2.0
        ),
        steps=steps, batch_s=batch_s, crop_s=crop_s, peak_lr=5e-4 if wide else 1e-3,
        schedule=Cosine(final_ratio=0.05, warmup_steps=round(0.1 * steps)), weight_decay=0.01, betas=(0.9, 0.98),
        clip_norm=1.0, bf16=wide, threads=min(MOST_THREADS, os.cpu_count() or 1),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command line asks for."""

    folder: Path
    model: str
    out: Path
    language: str = "und"  # undetermined, as ISO 639 has it
    steps: int | None = None
    settings: Sequence[str] = ()  # as --set takes them

    def recipe(self) -> OwnPretraining:
        """The training, its sound looked at.

        Raises:
            ValueError: a folder, a checkpoint or settings that cannot be used.
        """
        check_folder(self.out)
        by_name.find(self.model)  # before any work
        folder = self.folder.expanduser()
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder")
        path, kept = folder.absolute(), self.out / "recordings"
        source = OwnSound(str(path), self.language, kept=str(kept))
        kept.mkdir(parents=True, exist_ok=True)
        source.prepare()
        return override(planned(source, self.model, self.steps), self.settings)


def pretrain(wanted: Wanted, *, device: str, resume: str) -> Path:
    """Trains, or goes on training, and leaves the set and its card in the folder; returns the set's file.

    Raises:
        Interrupted: after a signal; the same call goes on.
        Diverged: a collapse, or a loss that is no number.
        ValueError: as `Wanted.recipe`, or what is in the folder is of another training.
    """
    from common import checkpoint, trainer
    from speech_adapters.checkpoints.adapter_sets import AdapterSet
    from speech_adapters.model.adapters import share
    from speech_adapters.own.finetuning import encoder_of

    recipe = wanted.recipe()
    model: Any = recipe.model()
    trained_share = share(model)
    for sentence in summary(recipe):
        say(sentence)
    say(f"{trained_share.trained:,} of {trained_share.total:,} weights are trained, {recipe.steps} steps")

    run = wanted.out / "run"
    shown = mirrors(recipe, run, label="pretrain", group=recipe.source.name)
    trained = trainer.train(recipe, seed=SEED, folder=run, device=device, resume=resume, mirrors=shown)
    made = checkpoint.load(trained.weights)
    model.load_state_dict(made.tensors)
    needs = encoder_of(wanted.model, wanted.out)
    origin = {"data": recipe.source.name, "settings": recipe.settings(), "model": needs,
              "provenance": made.state["provenance"]}  # fmt: skip
    path = wanted.out / SET
    backbone = by_name.sha256(recipe.backbone)
    AdapterSet.of(model, recipe.arm, wanted.language, backbone, origin).save(path)
    write_atomically(wanted.out / CARD, _card(wanted, recipe, needs, trained_share, model).encode())
    return path


def summary(recipe: OwnPretraining) -> list[str]:
    """Sentences on hours, what is held out, and the crops."""
    told = []
    for part in ("train", "dev"):
        seconds = recipe.source.seconds(part)
        told.append(f"{part}: {seconds.sum() / 3600:.2f} h in {len(seconds)} recordings")
    every = recipe.source.seconds("train")
    long = every[every >= recipe.crop_s].sum() / every.sum()
    told.append(f"crops of {recipe.crop_s:g} s, for which {100 * long:.0f} % of the sound is long enough")
    if recipe.crop_s < SHORT_S:
        told.append("a contrast inside so short a crop teaches little: recordings of 4 s and more are better")
    return told


def held_out(recipe: OwnPretraining, model: ContrastiveModel) -> str:
    """How well masked frames of held-out recordings are told from others of the same recording, as a sentence."""
    items = list(recipe.held_out(model.eval(), "dev"))
    if not items:
        return "too few recordings to hold any out"
    nats, right = (
        statistics.fmean(item.scores[name] for item in items) for name in ("contrastive", "accuracy")
    )
    return (
        f"contrast on {len(items)} held-out crops: {nats:.2f} nats (chance {recipe.objective.chance:.2f}), "
        f"{100 * right:.0f} % of masked frames told right"
    )


def _card(wanted: Wanted, recipe: OwnPretraining, needs: str, trained: Share, model: ContrastiveModel) -> str:
    held = "\n".join(f"- {sentence}" for sentence in summary(recipe))
    return f"""# {wanted.out.resolve().name}

wav2vec 2.0 ({Path(wanted.model).name}) pre-trained further without texts by adapters, language `{wanted.language}`:
{trained.trained:,} of {trained.total:,} weights trained, {recipe.steps} steps, peak rate {recipe.peak_lr:g}.

- {held_out(recipe, model)}
{held}

It writes no letters yet; recordings with texts teach it some:

```sh
python -m speech_adapters finetune recordings --model {Path(needs).name} --on {SET} --out mine
```
"""
