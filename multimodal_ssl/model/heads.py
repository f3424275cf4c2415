"""From each encoder's units to the spaces where they are compared.

Every head works unit by unit, so with one unit an item (`pool_video`) these are the published heads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal_ssl.model.units import Units


class UnitBatchNorm(nn.BatchNorm1d):
    """Batch norm of each channel with statistics over all valid units of all items in this process's batch.

    MMV's are over items, one unit each, of all replicas.
    """

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "item unit width"], valid: Bool[Tensor, "item unit"]
    ) -> Float[Tensor, "item unit width"]:
        normed = super().forward(x[valid])
        out = normed.new_zeros(x.shape)
        out[valid] = normed
        return out


class Projections(nn.Module, ABC):
    """Units of each modality to units of each comparison: "video" with "text", "video_for_audio" with "audio" and
    "audio_for_text" with "text"."""

    @abstractmethod
    def forward(self, units: dict[str, Units]) -> dict[str, Units]: ...


class SharedProjections(Projections):
    """A linear layer a modality, into one space for all.

    Args:
        widths: channels of each modality's units.
    """

    def __init__(self, widths: dict[str, int], *, width: int, unit_norm: bool):
        super().__init__()
        self.unit_norm = unit_norm
        self.linears = nn.ModuleDict(
            {modality: nn.Linear(channels, width) for modality, channels in widths.items()}
        )

    def forward(self, units: dict[str, Units]) -> dict[str, Units]:
        out = {
            modality: _finished(self.linears[modality](each.vectors), each.valid, self.unit_norm)
            for modality, each in units.items()
        }
        if "video" in out and "audio" in self.linears:
            out["video_for_audio"] = out["video"]
        if "audio" in out:
            out["audio_for_text"] = out["audio"]
        return out


class NoProjections(Projections):
    """Units as they come, padding being zero."""

    def forward(self, units: dict[str, Units]) -> dict[str, Units]:
        return {
            modality: _finished(each.vectors, each.valid, unit_norm=False) for modality, each in units.items()
        }


class FineAndCoarseProjections(Projections):
    """Fine-and-coarse graph: sound is compared in a fine space, text in a coarse one made of it  [Alayrac20 MMV].

        z_va = BN(W2 relu(BN(W1 v + b1)))        video where audio is
        z_vt = BN(W3 relu(z_va))                 video where text is
        z_a = Wa a + ba,   z_t = Wt t + bt       audio and text
        z_at = BN(W3 relu(z_a))                  audio where text is, at test only: its statistics are video's

    As MMV's public configuration has it ("fac_relu"; `mlp@512` to audio, linear to text).

    Args:
        widths: channels of each modality's units.
    """

    def __init__(self, widths: dict[str, int], *, audio_width: int, text_width: int, unit_norm: bool):
        super().__init__()
        self.unit_norm = unit_norm
        fine, coarse = audio_width, text_width
        self.video_in = nn.Linear(widths["video"], fine)
        self.video_in_norm = UnitBatchNorm(fine)
        self.video_out = nn.Linear(fine, fine, bias=False)
        self.video_out_norm = UnitBatchNorm(fine)
        self.coarse = nn.Linear(fine, coarse, bias=False)
        self.coarse_norm = UnitBatchNorm(coarse)
        self.text = nn.Linear(widths["text"], coarse)
        self.audio = nn.Linear(widths["audio"], fine) if "audio" in widths else None

    def forward(self, units: dict[str, Units]) -> dict[str, Units]:
        out: dict[str, tuple[Tensor, Tensor]] = {}
        if "video" in units:
            x, valid = units["video"].vectors, units["video"].valid
            hidden = F.relu(self.video_in_norm(self.video_in(x), valid))
            fine = self.video_out_norm(self.video_out(hidden), valid)
            out["video"] = self._to_coarse(fine, valid), valid
            if self.audio is not None:
                out["video_for_audio"] = fine, valid
        if "text" in units:
            out["text"] = self.text(units["text"].vectors), units["text"].valid
        if "audio" in units:
            assert self.audio is not None
            fine, valid = self.audio(units["audio"].vectors), units["audio"].valid
            out["audio"] = fine, valid
            if not self.training:
                out["audio_for_text"] = self._to_coarse(fine, valid), valid
        return {name: _finished(vectors, valid, self.unit_norm) for name, (vectors, valid) in out.items()}

    def _to_coarse(
        self, fine: Float[Tensor, "item unit fine"], valid: Bool[Tensor, "item unit"]
    ) -> Float[Tensor, "item unit coarse"]:
        return self.coarse_norm(self.coarse(F.relu(fine)), valid)


def _finished(
    vectors: Float[Tensor, "item unit width"], valid: Bool[Tensor, "item unit"], unit_norm: bool
) -> Units:
    """Units in float32 at least, which scores need under mixed precision; padding is zero."""
    exact = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    vectors = torch.where(valid[..., None], exact, 0.0)
    return Units(F.normalize(vectors, dim=2) if unit_norm else vectors, valid)
