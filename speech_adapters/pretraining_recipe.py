"""The recipe that pre-trains a backbone on speech without labels; both papers start from what it makes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from common.recipe import Recipe, Shard
from speech_adapters.architecture import SAMPLE_RATE_HZ, Architecture, Dropout, Masking

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from speech_adapters.batches import Batch
    from speech_adapters.pretraining import Pretraining
    from speech_adapters.speech_data import Clip

GUARD_FROM_STEP = 1000  # before, codes are still being found
SOLVED_NATS = 0.02  # a contrastive loss below this is a collapse, not a success [fairseq issue 4530]
SCORED_CLIPS = 64  # of each part
SHORTEST_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Pretrain(Recipe):
    """Trains wav2vec 2.0 by its self-supervised objective on crops of unlabelled speech."""

    sources: tuple[str, ...] = ("fotaq-en",)
    probed: tuple[str, ...] = ("fotaq-en",)  # what is scored
    architecture: Architecture = field(default_factory=Architecture)
    dropout: Dropout = field(default_factory=Dropout)
    masking: Masking = field(default_factory=Masking)
    start_from: str = ""  # weights of an earlier stage in `weights/`; empty starts from nothing
    batch_s: float = 16.0  # seconds in a batch, padding included
    crop_s: float = 15.6
    groups: int = 2
    codes: int = 320
    code_width: int = 256
    target_width: int = 256
    num_negatives: int = 100
    temperature: float = 0.1
    diversity_weight: float = 0.1
    penalty_weight: float = 10.0
    gumbel_start: float = 2.0
    gumbel_end: float = 0.5
    gumbel_factor: float = 0.999995
    cpu_bf16: bool = False  # sixteen bits on a CPU too: faster where it has AVX512-BF16 or AMX

    def model(self) -> nn.Module:
        from speech_adapters.pretraining import Contrast, Pretraining, Targets
        from speech_adapters.wav2vec2 import Wav2Vec2

        targets = Targets(
            groups=self.groups, codes=self.codes, code_width=self.code_width, width=self.target_width
        )
        names = [setting.name for setting in dataclasses.fields(Contrast)]
        contrast = Contrast(**{name: getattr(self, name) for name in names})
        model = Pretraining(Wav2Vec2(self.architecture, self.dropout), targets, contrast)
        if self.start_from:
            from speech_adapters.backbone import load_pretraining

            load_pretraining(model, self.start_from)
        return model

    # ---- training items

    def prepare(self) -> None:
        from speech_adapters import speech_data

        speech_data.prepare(*self.sources, *self.probed)

    def _clips(self) -> tuple[Clip, ...]:
        return _clips(self.sources, "train")

    def _lengths(self) -> tuple[int, ...]:
        return _cropped_lengths(self.sources, round(self.crop_s * SAMPLE_RATE_HZ))

    def _places(self, seed: int, step: int, shard: Shard) -> tuple[int, ...]:
        from speech_adapters import batches

        return batches.at(self._lengths(), round(self.batch_s * SAMPLE_RATE_HZ), seed, step, shard)

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        return [self._clips()[place].id for place in self._places(seed, step, shard)]

    def batch(self, seed: int, step: int, shard: Shard) -> Batch:
        import numpy as np

        from speech_adapters.batches import collate

        places, lengths = self._places(seed, step, shard), self._lengths()
        rows = []
        for place in places:
            waveform = self._clips()[place].waveform()
            spare = len(waveform) - lengths[place]
            begin = int(np.random.default_rng((seed, step, place)).integers(spare + 1))
            rows.append(waveform[begin : begin + lengths[place]])
        return collate([self._clips()[place].id for place in places], rows)

    # ---- learning

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        import torch

        from speech_adapters.wav2vec2 import span_mask

        device = batch.inputs.device
        num_frames = self.architecture.num_frames(batch.lengths)
        hidden = span_mask(num_frames, int(num_frames.max()), self.masking)
        half = self.cpu_bf16 and device.type == "cpu"
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            losses: dict[str, Tensor] = model(batch.inputs, batch.lengths, hidden, step)
        return losses

    def monitor(self, model: Pretraining) -> dict[str, Tensor]:  # type: ignore[override]
        import torch

        return {**model.watched, "chance": torch.tensor(math.log(1 + self.num_negatives))}

    def check(self, values: Mapping[str, float], step: int) -> str | None:
        """Codes that all became one, or a task that solved itself."""
        if step < GUARD_FROM_STEP:
            return None
        if (used := values["soft_perplexity"]) < (floor := 1.5 * self.groups):
            return (
                f"the codebook collapsed: perplexity {used:.2f} of {self.groups * self.codes} is below {floor:.1f}; "
                "raise diversity_weight or lower peak_lr"
            )
        if values["contrastive"] < SOLVED_NATS:
            return (
                f"the contrast solved itself: {values['contrastive']:.4f} nats are below {SOLVED_NATS}; such a run "
                "learned a short cut, lower peak_lr or lengthen the spans"
            )
        return None

    # ---- scoring

    def score(self, model: Pretraining, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:  # type: ignore[override]
        """Contrast of held-out clips with fixed masks and negatives, one clip at a time."""
        import torch

        from common.results import Item
        from common.runtime import seed_all
        from speech_adapters.wav2vec2 import span_mask

        device = next(model.parameters()).device
        for source in self.probed:
            for clip in _clips((source,), split)[:SCORED_CLIPS]:
                seed_all("probe", clip.id)
                waveform = torch.from_numpy(clip.waveform().astype("float32") / 32768.0)[None].to(device)
                lengths = torch.tensor([waveform.shape[1]], device=device)
                num_frames = self.architecture.num_frames(lengths)
                hidden = span_mask(num_frames, int(num_frames), Masking())
                if int(hidden.sum()) < 2:
                    continue
                with torch.inference_mode():
                    losses = model(waveform, lengths, hidden, self.steps)
                scores = {
                    "contrastive": losses["contrastive"].item(),
                    "accuracy": model.watched["accuracy"].item(),
                }
                yield Item(f"{source}/{clip.id}", clip.group, source, scores)

    def manifest_sha256(self) -> str:
        from speech_adapters import speech_data

        return speech_data.manifest_sha256(*self.sources)

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        from speech_adapters import speech_data

        bad = tuple(str(fault) for fault in speech_data.bad(*self.sources))
        kept = sum(len(_clips(self.sources, split)) for split in ("train", "dev", "test"))
        return bad, len(bad) / max(1, kept + len(bad))


@cache
def _clips(sources: tuple[str, ...], split: str) -> tuple[Clip, ...]:
    from speech_adapters import speech_data

    found = [clip for source in sources for clip in speech_data.clips(source, split)]
    shortest = SHORTEST_S * SAMPLE_RATE_HZ
    return tuple(clip for clip in found if clip.samples >= shortest)


@cache
def _cropped_lengths(sources: tuple[str, ...], most: int) -> tuple[int, ...]:
    return tuple(min(most, clip.samples) for clip in _clips(sources, "train"))
