"""What one update costs at the paper's size: extractor frozen or trained, everything or adapters trained.

The four cells take turns in one process, so that what else the machine does hits all alike. The paper's 32 % may be any
of their differences, since which of them it compares could not be read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.recipe import Measurement
from speech_adapters.continual.measures import BACKWARD_S, CELLS, UPDATE_S
from speech_adapters.model.architecture import BASE, SAMPLE_RATE_HZ, Architecture, Masking
from speech_adapters.model.arm import Arm

if TYPE_CHECKING:
    from common.results import Item


@dataclass(frozen=True, kw_only=True)
class Cost(Measurement):
    """Times updates of self-supervised pre-training on made-up sound."""

    architecture: Architecture = field(default=BASE)
    bottleneck: int = 256
    utterances: int = 2
    seconds: float = 3.0  # of each
    repeats: int = 8  # after one that is not counted
    bf16: bool = False  # mixed precision, only on a GPU

    def measure(self, *, seed: int, split: str, device: str) -> Iterator[Item]:
        """Seconds of an update, with and without the optimiser's step, of every cell in every repeat."""
        from common.results import Item
        from common.runtime import seed_all

        seed_all("cost", seed)
        models = {adapted: self._build(adapted, device) for adapted in (False, True)}
        for repeat in range(self.repeats + 1):
            for cell, (adapted, extractor) in CELLS.items():
                backward_s, update_s = self._update(*models[adapted], extractor, device)
                if repeat:
                    scores = {UPDATE_S.name: round(update_s, 5), BACKWARD_S.name: round(backward_s, 5)}
                    yield Item(
                        f"{cell.name}/{repeat:02d}",
                        f"repeat {repeat:02d}",
                        cell.name,
                        scores,
                        timed=tuple(scores),
                    )

    def _build(self, adapted: bool, device: str) -> tuple[Any, Any]:
        import torch

        from speech_adapters.model.adapters import apply
        from speech_adapters.model.contrastive import ContrastiveModel
        from speech_adapters.model.objective import QuantiserSizes
        from speech_adapters.model.wav2vec2 import Wav2Vec2

        model = ContrastiveModel(Wav2Vec2(self.architecture), QuantiserSizes()).to(device)
        kind = "adapters" if adapted else "full"
        apply(Arm(kind=kind, bottleneck=self.bottleneck), model.encoder)
        model.to(device).encoder.extractor.requires_grad_(True)  # so that the optimiser knows of it
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        return model, torch.optim.AdamW(trained, lr=1e-6)

    def _update(self, model: Any, optimiser: Any, extractor: bool, device: str) -> tuple[float, float]:
        """Seconds until the gradient is there, and until the weights are updated."""
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
