"""Recipes that pre-train a backbone on speech without labels, in two stages; both papers start from what they make."""

from __future__ import annotations

import itertools
import math
import statistics
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import provenance
from common.data.pcm import as_floats
from common.recipe import Recipe, Shard
from speech_adapters.data.source import PARTS, Source
from speech_adapters.data.sources import AMAZON_QUEEN, FESTVOX
from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture, Dropout, Masking
from speech_adapters.model.objective import ContrastiveObjective, QuantiserSizes

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from common.results import Item
    from speech_adapters.data.batches import MaskedBatch
    from speech_adapters.data.crops import Crop
    from speech_adapters.model.best_rq import BestRQModel
    from speech_adapters.model.contrastive import ContrastiveModel
    from speech_adapters.model.masked_prediction import MaskedPrediction

GUARD_FROM_STEP = (
    1000  # before, codes are still being found; half-way in a training of fewer than twice as many
)
SOLVED_NATS = 0.02  # a contrastive loss below this is a collapse, not a success [fairseq issue 4530]
# Ours left chance within 300 steps after a first stage, and within 1,100 from nothing.
LEFT_CHANCE_BY_STEP = 3000
AT_CHANCE = 0.98  # of chance; a loss that sits there is above it as often as below
SUDDEN = 0.5  # of what it was: no value that learns falls this far from one log to the next
LATELY = 8  # logged values that a new one is compared with
SCORED_CROPS = 32  # of each part


@dataclass(frozen=True, kw_only=True)
class Unlabelled(Recipe):
    """What every stage shares: crops of one voice each, drawn anew at every step, some frames of them masked."""

    sources: tuple[Source, ...] = (AMAZON_QUEEN,)
    scored_on: tuple[Source, ...] = (AMAZON_QUEEN,)
    architecture: Architecture = field(default_factory=Architecture)
    dropout: Dropout = field(default_factory=Dropout)
    masking: Masking = field(default_factory=Masking)
    start_from: str = ""  # weights of an earlier stage in `weights/`; empty starts from nothing
    batch_s: float = 16.0  # seconds in a batch
    crop_s: float = 8.0  # seconds in a crop
    cpu_bf16: bool = False  # sixteen bits on a CPU too, where it has AVX512-BF16, AMX or their like

    # ---- training items

    def prepare(self) -> None:
        # What an encoder is scored on does not fit a pack.
        packed = all(source.from_pack() for source in self.sources)
        for source in (*self.sources, *(() if packed else (*self.scored_on, FESTVOX))):
            source.prepare()

    def _crops(self, seed: int, step: int) -> list[Crop]:
        """Of the whole batch, over all shards."""
        from speech_adapters.data import crops

        count = round(self.batch_s / self.crop_s)
        return crops.draw(self.sources, "train", self.crop_samples, count, (seed, step))

    @property
    def crop_samples(self) -> int:
        return round(self.crop_s * SAMPLE_RATE_HZ)

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        return [crop.id for crop in self._crops(seed, step)[shard.index :: shard.count]]

    def batch(self, seed: int, step: int, shard: Shard) -> MaskedBatch:
        """What is masked of a crop depends on seed, step and its place in the batch alone: shards change nothing."""
        import torch

        from common.runtime import seed_all
        from speech_adapters.data.batches import MaskedBatch, collate
        from speech_adapters.model.wav2vec2 import span_mask

        drawn = self._crops(seed, step)
        if len(drawn) % shard.count:
            raise ValueError(
                f"{shard.count} shards must hold equally many of a batch's {len(drawn)} crops; change batch_s"
            )
        num_frames = torch.tensor([self.architecture.num_frames(self.crop_samples)])
        seeds, mask = [], []
        with torch.random.fork_rng(devices=[]):
            for place in range(len(drawn)):
                seeds.append(seed_all(seed, step, "piece", place))
                mask.append(span_mask(num_frames, int(num_frames), self.masking)[0])
        own = slice(shard.index, None, shard.count)
        plain = collate([crop.id for crop in drawn[own]], [crop.waveform() for crop in drawn[own]])
        return MaskedBatch(
            plain.ids, plain.inputs, plain.lengths, mask=torch.stack(mask[own]), seeds=tuple(seeds[own]),
            masked_frames_per_shard=float(torch.stack(mask).sum()) / shard.count,
        )  # fmt: skip

    def _precision(self, device: torch.device) -> Any:
        import torch

        half = self.cpu_bf16 and device.type == "cpu" and provenance.cpu_has_bf16()
        return torch.autocast("cpu", torch.bfloat16, enabled=half)

    # ---- scoring

    def score(self, model: Any, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        """Losses of held-out crops; then what frames know of phones."""
        from speech_adapters.pretrain import linear_phone_probe

        yield from self.held_out(model, split)
        yield from linear_phone_probe.score(model.encoder, split)

    def held_out(self, model: Any, split: str) -> Iterator[Item]:
        """Losses of held-out crops with fixed masks and negatives, one at a time."""
        import torch

        from common.results import Item
        from common.runtime import seed_all
        from speech_adapters.data import crops
        from speech_adapters.model.wav2vec2 import span_mask

        device = next(model.parameters()).device
        for source in self.scored_on:
            for crop in itertools.islice(crops.consecutive(source, split, self.crop_samples), SCORED_CROPS):
                seed_all("probe", crop.id)
                waveform = torch.from_numpy(as_floats(crop.waveform()))[None].to(device)
                lengths = torch.tensor([waveform.shape[1]], device=device)
                num_frames = self.architecture.num_frames(lengths)
                mask = span_mask(num_frames, int(num_frames), Masking())
                if int(mask.sum()) < 2:  # too short for a contrast
                    continue
                with torch.inference_mode():
                    losses = self._judged(model, waveform, lengths, mask)
                yield Item(f"{source.name}/{crop.id}", crop.track.group, source.name, losses)

    @abstractmethod
    def _judged(self, model: Any, waveform: Tensor, lengths: Tensor, mask: Tensor) -> dict[str, float]:
        """Named losses of one crop, without gradient."""

    # ---- guarding

    @cached_property
    def _logged(self) -> deque[tuple[int, Mapping[str, float]]]:
        """What was logged last: memory of the guard alone, no setting, and begun anew after a resume."""
        return deque(maxlen=LATELY)

    def _usual(self, values: Mapping[str, float], step: int) -> dict[str, float]:
        """Mean of each value over the last logs before this one; empty while they are few."""
        before = self._logged
        while before and before[-1][0] >= step:  # of another run of the same recipe, or of before a resume
            before.pop()
        usual = {}
        if len(before) == LATELY:
            usual = {name: statistics.fmean(row[name] for _, row in before) for name in values}
        before.append((step, dict(values)))
        return usual

    def _still_at_chance(self, usual: Mapping[str, float], loss: str, step: int) -> str | None:
        if not usual or step < LEFT_CHANCE_BY_STEP or usual[loss] < AT_CHANCE * usual["chance"]:
            return None
        return (
            f"nothing is learned: {usual[loss]:.3f} nats, where chance is {usual['chance']:.3f}, though it should "
            f"have been left by step {LEFT_CHANCE_BY_STEP}; lower objective.penalty_weight, batch_s or peak_lr, "
            "or begin with a first stage (start_from)"
        )

    def manifest_sha256(self) -> str:
        from speech_adapters.data.prepared import manifest_sha256

        return manifest_sha256(self.sources)

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        bad = tuple(str(fault) for source in self.sources for fault in source.bad())
        kept = sum(source.count(part) for source in self.sources for part in PARTS)
        return bad, len(bad) / max(1, kept + len(bad))


@dataclass(frozen=True, kw_only=True)
class TargetPrediction(Unlabelled):
    """Trains an encoder to predict a target of every frame, one of several that something fixed assigns beforehand."""

    unmasked_weight: float = 0.5  # of the loss at frames that are not masked

    @property
    @abstractmethod
    def num_targets(self) -> int:
        """How many there are to choose among."""

    @abstractmethod
    def target_losses(self, model: Any, batch: MaskedBatch) -> dict[str, Tensor]:
        """Losses of a batch, see `MaskedPrediction`."""

    def losses(self, model: nn.Module, batch: MaskedBatch, step: int) -> dict[str, Tensor]:
        """Means over all frames of the whole batch that are masked, and that are not, however shards share them."""
        with self._precision(batch.inputs.device):
            losses = self.target_losses(model, batch)
        masked, frames, usual = int(batch.mask.sum()), batch.mask.numel(), batch.masked_frames_per_shard
        shares = {"masked": masked / usual, "unmasked": (frames - masked) / (frames - usual)}
        return {name: loss * shares[name] for name, loss in losses.items()}

    def monitor(self, model: MaskedPrediction) -> dict[str, Tensor]:  # type: ignore[override]
        import torch

        return {**model.metrics, "chance": torch.tensor(math.log(self.num_targets))}

    def check(self, values: Mapping[str, float], step: int) -> str | None:
        """What is fixed cannot collapse, but naming it may not be learned."""
        return self._still_at_chance(self._usual(values, step), "masked", step)


@dataclass(frozen=True, kw_only=True)
class FirstStage(TargetPrediction):
    """Trains an encoder to name fixed random codes of the spectrum at masked frames."""

    codebooks: int = 4
    codes: int = 128  # entries of each

    @property
    def num_targets(self) -> int:
        return self.codes

    def model(self) -> nn.Module:
        from speech_adapters.model.best_rq import BestRQModel
        from speech_adapters.model.wav2vec2 import Wav2Vec2

        encoder = Wav2Vec2(self.architecture, self.dropout)
        return BestRQModel(encoder, self.codebooks, self.codes, self.unmasked_weight)

    def target_losses(self, model: Any, batch: MaskedBatch) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = model(batch.inputs, batch.lengths, batch.mask)
        return losses

    def _judged(
        self, model: BestRQModel, waveform: Tensor, lengths: Tensor, mask: Tensor
    ) -> dict[str, float]:
        losses = model(waveform, lengths, mask)
        return {"hidden": losses["masked"].item(), "accuracy": model.metrics["accuracy"].item()}


@dataclass(frozen=True, kw_only=True)
class Pretrain(Unlabelled):
    """Trains wav2vec 2.0 by its self-supervised objective."""

    quantiser: QuantiserSizes = field(default_factory=QuantiserSizes)
    objective: ContrastiveObjective = field(default_factory=ContrastiveObjective)

    def model(self) -> nn.Module:
        from speech_adapters.model.contrastive import ContrastiveModel
        from speech_adapters.model.wav2vec2 import Wav2Vec2

        encoder = Wav2Vec2(self.architecture, self.dropout)
        model = ContrastiveModel(encoder, self.quantiser, self.objective)
        if self.start_from:
            from speech_adapters.checkpoints.by_name import load_pretraining

            load_pretraining(model, self.start_from)
        return model

    def not_in_shards(self) -> str:
        if self.accumulate == 1 or not self.objective.diversity_weight:
            return ""  # processes exchange how often each code is used
        return (
            f"how evenly codes are used is asked of a whole batch, and accumulate={self.accumulate} sees parts of it "
            "one after another; use accumulate=1 and more processes"
        )

    # ---- learning

    def losses(self, model: nn.Module, batch: MaskedBatch, step: int) -> dict[str, Tensor]:
        with self._precision(batch.inputs.device):
            losses: dict[str, Tensor] = model(
                batch.inputs,
                batch.lengths,
                batch.mask,
                step,
                None,
                batch.seeds,
                batch.masked_frames_per_shard,
            )
        return losses

    def monitor(self, model: ContrastiveModel) -> dict[str, Tensor]:  # type: ignore[override]
        import torch

        return {**model.metrics, "chance": torch.tensor(math.log(1 + self.objective.num_negatives))}

    def check(self, values: Mapping[str, float], step: int) -> str | None:
        """Codes that all became one, a task that solved itself, a sudden drop, or chance that is never left."""
        usual = self._usual(values, step)
        if step < min(GUARD_FROM_STEP, self.steps // 2):
            return None
        if (used := values["soft_perplexity"]) < (floor := 1.5 * self.quantiser.groups):
            most = self.quantiser.groups * self.quantiser.codes
            return (
                f"the codebook collapsed: perplexity {used:.2f} of {most} is below {floor:.1f}; "
                "raise objective.diversity_weight or lower peak_lr"
            )
        if values["contrastive"] < SOLVED_NATS:
            return (
                f"the contrast solved itself: {values['contrastive']:.4f} nats are below {SOLVED_NATS}; such a run "
                "learned a short cut, lower peak_lr or lengthen the spans"
            )
        for name, meant in (("soft_perplexity", "use of codes"), ("contrastive", "contrast")):
            if usual and values[name] < SUDDEN * usual[name]:
                return (
                    f"a sudden drop: the {meant} was {usual[name]:.2f} over the last {LATELY} logs and is "
                    f"{values[name]:.2f}; such a run collapses, lower peak_lr or clip_norm, or raise "
                    "objective.diversity_weight"
                )
        return self._still_at_chance(usual, "contrastive", step)

    def _judged(
        self, model: ContrastiveModel, waveform: Tensor, lengths: Tensor, mask: Tensor
    ) -> dict[str, float]:
        losses = model(waveform, lengths, mask, self.steps)
        return {
            "contrastive": losses["contrastive"].item(),
            "accuracy": model.metrics["accuracy"].item(),
        }
