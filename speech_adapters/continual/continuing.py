"""The recipe behind every arm: an encoder goes on learning by itself, on another language [Kessler22].

Everything is trained, or adapters, layer norms, quantiser and projections of the new language are while the encoder
is frozen. A second language may follow in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.schedule import InTurn
from speech_adapters.continual.evaluation_settings import Evaluation
from speech_adapters.data.source import Source
from speech_adapters.data.sources import AMAZON_QUEEN, FESTVOX
from speech_adapters.model.arm import Arm
from speech_adapters.pretrain.recipe import Pretrain

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from speech_adapters.data.batches import MaskedBatch
    from speech_adapters.data.crops import Crop
    from speech_adapters.model.contrastive import ContrastiveModel


@dataclass(frozen=True, kw_only=True)
class Continue(Pretrain):
    """Pre-trains on the sound of a new language, from the weights of a first one."""

    language: str = "fr"
    arm: Arm = field(default=Arm(kind="adapters", bottleneck=64))
    extractor_trained: bool = False
    first_model: str = "small-en"  # of the language learned before, which may be forgotten
    replay_share: float = 0.0  # of the crops, in 0..1, that are of the first language
    replayed: tuple[Source, ...] = (AMAZON_QUEEN,)
    anchor_weight: float = 0.0  # of the squared distance to the first model's weights, summed
    then: tuple[Source, ...] = ()  # that follow from `switch_step` on; empty goes on with the first ones
    switch_step: int = 0
    evaluation: Evaluation = field(default_factory=Evaluation)

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

    def first_language_model(self) -> ContrastiveModel:
        """The model that learned the first language, as it was."""
        from speech_adapters.checkpoints.by_name import load_pretraining

        model: Any = Pretrain.model(self)
        load_pretraining(model, self.first_model)
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

    @property
    def read(self) -> tuple[Source, ...]:
        """Every source of speech that is trained on or scored on, each once."""
        replayed = self.replayed if self.replay_share else ()
        return tuple(dict.fromkeys((*self.sources, *self.then, *replayed, *self.evaluation.sources)))

    @property
    def phones(self) -> bool:
        """Phones are labelled in Russian alone."""
        return self.language == FESTVOX.language

    def prepare(self) -> None:
        for source in (*self.read, *((FESTVOX,) if self.phones else ())):
            source.prepare()

    # ---- learning

    def losses(self, model: nn.Module, batch: MaskedBatch, step: int) -> dict[str, Tensor]:
        losses = super().losses(model, batch, step)
        if self.anchor_weight:
            network: Any = getattr(model, "module", model)
            moved = sum(
                (weight - was.to(weight)).square().sum()
                for weight, was in zip(network.encoder.parameters(), _anchors(self.first_model), strict=True)
            )
            losses["anchor"] = self.anchor_weight * moved
        return losses

    # ---- scoring

    def score(self, model: Any, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        """Every item of a run; what depends on the training alone comes from its journal and snapshots."""
        from speech_adapters.continual import evaluation
        from speech_adapters.pretrain import linear_phone_probe

        asked, folder = self.evaluation, pictures.parent
        yield from self._forgetting(model, split)
        yield from evaluation.seconds(folder / "journal.jsonl", self.steps)
        first = [asked.first_letters_on] if asked.first_letters_on is not None else []
        for source in dict.fromkeys((*asked.letters_on, *first)):
            kept = source in asked.letters_on
            on_the_way = evaluation.snapshots(folder, self.steps, self.model) if kept else {}
            yield from evaluation.letters(model.encoder, on_the_way, source, split, seed, asked.probe)
        if asked.recognition_on is not None:
            yield from evaluation.recognition(
                model.encoder, self.arm.bottleneck, asked.recognition_on, split, seed, asked.recognition
            )
        if self.phones:
            yield from linear_phone_probe.score(model.encoder, split)

    def _forgetting(self, model: Any, split: str) -> Iterator[Item]:
        """The contrast on every source, then what switching the new set off leaves."""
        from speech_adapters.checkpoints import by_name
        from speech_adapters.checkpoints.adapter_sets import AdapterSet
        from speech_adapters.continual import forgetting

        first = self.first_language_model().to(next(model.parameters()).device)
        on = self.evaluation.contrast_on
        for source in on:
            yield from forgetting.contrast_items(model, first, source, split, self.crop_samples)
        if self.steps and self.arm.kind == "adapters":
            learned = AdapterSet.of(model, self.arm, self.language, by_name.sha256(self.first_model), {})
            yield from forgetting.switched_off_items(first.encoder, learned, on[0], split, self.crop_samples)

    def manifest_sha256(self) -> str:
        import hashlib

        from speech_adapters.checkpoints import by_name
        from speech_adapters.data.prepared import manifest_sha256

        parts = [manifest_sha256(self.read), by_name.sha256(self.first_model)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def departures(self) -> tuple[str, ...]:
        small = self.first_model.startswith("small")
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
