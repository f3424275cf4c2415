"""What one update costs at the paper's size: extractor frozen or trained, everything or adapters trained.

The four cells take turns in one process, so that what else the machine does hits all alike. The paper's 32 % may be any
of their differences, since which of them it compares could not be read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.recipe import Recipe, Shard
from speech_adapters.model.architecture import BASE, SAMPLE_RATE_HZ, Architecture, Masking
from speech_adapters.model.arm import Arm

if TYPE_CHECKING:
    from torch import nn

    from common.results import Item

CELLS = {  # whether adapters are what is trained of the Transformer; whether the extractor is trained
    "full, extractor trained": (False, True),
    "full, extractor frozen": (False, False),
    "adapters, extractor trained": (True, True),
    "adapters, extractor frozen": (True, False),
}


@dataclass(frozen=True, kw_only=True)
class Cost(Recipe):
    """Times updates of self-supervised pre-training; nothing is learned and no data are read."""

    architecture: Architecture = field(default=BASE)
    bottleneck: int = 256
    utterances: int = 2
    seconds: float = 3.0  # of each
    repeats: int = 8  # after one that is not counted

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps:
            raise ValueError(f"updates are timed and nothing is trained: steps must be 0, got {self.steps}")

    def model(self) -> nn.Module:
        from torch import nn

        return nn.Identity()

    def batch(self, seed: int, step: int, shard: Shard) -> Any:
        raise AssertionError("nothing is trained")

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        return []

    def losses(self, model: nn.Module, batch: Any, step: int) -> dict[str, Any]:
        raise AssertionError("nothing is trained")

    def score(self, model: nn.Module, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        """Seconds of an update, with and without the optimiser's step, of every cell in every repeat."""
        from common.results import Item
        from common.runtime import find_device, seed_all

        seed_all("cost", seed)
        device = find_device().kind
        models = {adapted: self._build(adapted, device) for adapted in (False, True)}
        for repeat in range(self.repeats + 1):
            for cell, (adapted, extractor) in CELLS.items():
                times = self._update(*models[adapted], adapted, extractor, device)
                if repeat:
                    scores = {"update_s": round(times[1], 5), "backward_s": round(times[0], 5)}
                    yield Item(f"{cell}/{repeat:02d}", f"repeat {repeat:02d}", cell, scores)

    def _build(self, adapted: bool, device: str) -> tuple[Any, Any]:
        import torch

        from speech_adapters.model.adapters import apply
        from speech_adapters.model.contrastive import ContrastiveModel, QuantiserSizes
        from speech_adapters.model.wav2vec2 import Wav2Vec2

        model = ContrastiveModel(Wav2Vec2(self.architecture), QuantiserSizes()).to(device)
        kind = "adapters" if adapted else "full"
        apply(Arm(kind=kind, bottleneck=self.bottleneck), model.encoder)
        model.to(device).encoder.extractor.requires_grad_(True)  # so that the optimiser knows of it
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        return model, torch.optim.AdamW(trained, lr=1e-6)

    def _update(
        self, model: Any, optimiser: Any, adapted: bool, extractor: bool, device: str
    ) -> tuple[float, float]:
        import torch

        from speech_adapters.model.wav2vec2 import span_mask

        model.encoder.extractor.requires_grad_(extractor)
        samples = round(self.seconds * SAMPLE_RATE_HZ)
        waveform = torch.randn(self.utterances, samples, device=device) * 0.1
        lengths = torch.full((self.utterances,), samples, device=device)
        frames = self.architecture.num_frames(lengths)
        mask = span_mask(frames, int(frames.max()), Masking())
        begun = _clock(device)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.bf16 and device == "cuda"):
            losses = model(waveform, lengths, mask)
        torch.stack(list(losses.values())).sum().backward()
        done = _clock(device)
        optimiser.step()
        ended = _clock(device)
        optimiser.zero_grad()
        return done - begun, ended - begun


def _clock(device: str) -> float:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()
