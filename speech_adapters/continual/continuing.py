"""The recipe behind every arm: an encoder goes on learning by itself, on another language [Kessler22].

Everything is trained, or adapters, layer norms, quantiser and projections of the new language are while the encoder
rests. A second language may follow in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.schedule import InTurn
from speech_adapters.model.arm import Arm
from speech_adapters.pretrain.recipe import Pretrain

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from speech_adapters.data.batches import MaskedBatch
    from speech_adapters.data.crops import Crop
    from speech_adapters.model.contrastive import ContrastiveModel

FULL, ADAPTERS, HEAD = Arm(kind="full"), Arm(kind="adapters", bottleneck=64), Arm(kind="head")


@dataclass(frozen=True, kw_only=True)
class Continue(Pretrain):
    """Pre-trains on the sound of a new language, from the weights of a first one."""

    language: str = "fr"
    arm: Arm = field(default=ADAPTERS)
    extractor_trained: bool = False
    source_model: str = "small-en"  # what was learned first, and is asked what became of it
    replay_share: float = 0.0  # of the crops, in 0..1, that are of the first language
    replayed: tuple[str, ...] = ("fotaq-en",)
    anchor_weight: float = 0.0  # of the squared distance to the source's weights, summed
    then: tuple[str, ...] = ()  # sources that follow from `switch_step` on; empty goes on with the first
    switch_step: int = 0
    matrix: tuple[str, ...] = (
        "fotaq-en",
        "drascula-en",
        "asterisk-fr",
        "asterisk-es",
    )  # contrast is scored on
    spelled: tuple[str, ...] = ("asterisk-fr",)  # letters of whose test part a linear probe learns to tell
    remembered: str = "fotaq-en"  # the same, of the first language
    recognised: str = (
        ""  # source that a recogniser is trained on and tested on at last; empty leaves that out
    )
    probe_steps: int = 300
    probe_lr: float = 1.25e-2
    probe_train_s: float = 600.0
    recognition_steps: int = 200
    recognition_lr: float = 5e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        num_crops = round(self.batch_s / self.crop_s)
        if not 0 <= self.replay_share <= 1 / num_crops:
            raise ValueError(
                f"replay_share must be in 0..1/{num_crops}, one crop of a batch of {num_crops}, got {self.replay_share}"
            )
        if self.anchor_weight and self.arm.kind != "full":
            raise ValueError(f"an anchor holds weights that are all trained, got arm {self.arm.kind}")
        first_steps = self.schedule.first_steps if isinstance(self.schedule, InTurn) else None
        if self.then and first_steps != self.switch_step:
            raise ValueError(
                f"the schedule InTurn must switch at step {self.switch_step} as the sources do, got {self.schedule}"
            )

    # ---- the network

    def model(self) -> nn.Module:
        from speech_adapters.model.adapters import apply

        model: Any = super().model()
        apply(self.arm, model.encoder)
        if self.extractor_trained:
            model.encoder.extractor.requires_grad_(True)
        return model

    def source(self) -> ContrastiveModel:
        """The model of the first language, as it was."""
        from speech_adapters.checkpoints.by_name import load_pretraining

        model: Any = Pretrain.model(self)
        load_pretraining(model, self.source_model)
        return model.eval().requires_grad_(False)

    # ---- training items

    def _crops(self, seed: int, step: int) -> list[Crop]:
        from speech_adapters.data import crops

        count = round(self.batch_s / self.crop_s)
        sources = self.then if self.then and step >= self.switch_step else self.sources
        drawn = crops.draw(sources, "train", self.crop_samples, count, (seed, step))
        # As many steps apart as it takes that the share comes out.
        if self.replay_share and int((step + 1) * count * self.replay_share) > int(
            step * count * self.replay_share
        ):
            drawn[-1] = crops.draw(self.replayed, "train", self.crop_samples, 1, (seed, step, 1))[0]
        return drawn

    def prepare(self) -> None:
        from speech_adapters.data import prepared
        from speech_adapters.pretrain import linear_phone_probe

        everything = (
            *self.sources,
            *self.then,
            *self.matrix,
            *self.spelled,
            self.remembered,
            self.recognised,
        )
        prepared.prepare(*dict.fromkeys(source for source in everything if source))
        if self.phones:
            prepared.prepare(linear_phone_probe.SOURCE)

    @property
    def phones(self) -> bool:
        """Phones are labelled in Russian alone."""
        return self.language == "ru"

    # ---- learning

    def losses(self, model: nn.Module, batch: MaskedBatch, step: int) -> dict[str, Tensor]:
        losses = super().losses(model, batch, step)
        if self.anchor_weight:
            network: Any = getattr(model, "module", model)
            moved = sum(
                (weight - was.to(weight)).square().sum()
                for weight, was in zip(network.encoder.parameters(), _anchors(self.source_model), strict=True)
            )
            losses["anchor"] = self.anchor_weight * moved
        return losses

    # ---- scoring

    def score(self, model: Any, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        from speech_adapters.continual import evaluation

        yield from evaluation.items(self, model, seed=seed, split=split, folder=pictures.parent)

    def manifest_sha256(self) -> str:
        import hashlib

        from speech_adapters.checkpoints import by_name
        from speech_adapters.data import prepared

        read = {*self.sources, *self.then, *self.matrix, *self.spelled, self.remembered, self.recognised} - {
            ""
        }
        parts = [prepared.manifest_sha256(*sorted(read)), by_name.sha256(self.source_model)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def departures(self) -> tuple[str, ...]:
        small = self.source_model.startswith("small")
        told = {
            "The paper's recipe, hours and languages could not be read; they are ours, rates chosen on dev.": True,
            "A small encoder pre-trained on 2.6 hours of English game dialogue instead of BASE on LibriSpeech-960, "
            "and minutes of prompts and descriptions instead of hours of a new language.": small,
        }
        return tuple(sentence for sentence, holds in told.items() if holds)


@cache
def _anchors(name: str) -> list[Tensor]:
    from speech_adapters.checkpoints import by_name

    return [weight.detach() for weight in by_name.load(name).parameters()]
