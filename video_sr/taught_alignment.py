"""Alignment taught by the true motion of made clips, while it learns to enlarge; the lesson fades away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.recipe import Shard
from video_sr.networks import EVESRNetSizes
from video_sr.upscaling import Upscaling

if TYPE_CHECKING:
    from torch import Tensor, nn

    from video_sr.samples import Batch, MovedBatch


@dataclass(frozen=True, kw_only=True)
class TaughtAlignment(Upscaling):
    """As `Upscaling`, and at first the offsets of the alignment are drawn to where each frame shows the same.

    The corpus needs clips whose motion is known.
    """

    offset_weight: float = 0.0  # of the error of offsets, in LR pixels, at the first step; 0 teaches nothing
    taught_share: float = 0.5  # of all steps, over which the weight falls to 0 along a line

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.offset_weight < 0:
            raise ValueError(f"offset_weight must be 0 or more, got {self.offset_weight}")
        if self.copies:
            raise ValueError("copies do not move, so that no alignment can be taught by them")
        if not isinstance(self.network, EVESRNetSizes):
            raise ValueError(
                f"network must be EVESRNetSizes, whose alignment can be taught, got {self.network}"
            )
        if not 0 < self.taught_share <= 1:
            raise ValueError(f"taught_share must be above 0 and at most 1, got {self.taught_share}")

    def weight_at(self, step: int) -> float:
        """Of the error of offsets."""
        return self.offset_weight * max(0.0, 1 - step / (self.taught_share * max(1, self.steps)))

    def batch(self, seed: int, step: int, shard: Shard) -> Batch:
        from video_sr import samples

        batch = super().batch(seed, step, shard)
        if not self.weight_at(step):
            return batch
        window = {"num_frames": self.network.num_frames, "patch": self.patch}
        drawn = self._draws(seed, step, shard)
        return samples.moved(batch, [self.corpus.motion(seed, draw, **window) for draw in drawn])

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        if not self.weight_at(step):
            return super().losses(model, batch, step)
        with model.align.watched() as offsets:  # type: ignore[operator, union-attr]
            losses = super().losses(model, batch, step)
        return losses | {"offsets": self.weight_at(step) * offset_loss(offsets, batch)}  # type: ignore[arg-type]


def offset_loss(offsets: list[tuple[int, Tensor]], batch: MovedBatch) -> Tensor:
    """Mean error of all deformable layers in LR pixels: each level sees the motion in pixels of its own; what the
    cascade is given should have been aligned."""
    import torch

    from video_sr.objective import offset_error, pooled_motion

    known, errors = batch.known.float(), []
    for place, (level, offset_px) in enumerate(offsets):
        truth, share = pooled_motion(batch.offset_px, known, 2**level)
        if place == len(offsets) - 1:
            truth = torch.zeros_like(truth)
        height, width = share.shape[-2:]
        # item two_groups_taps height width -> batch time two_groups_taps height width; what was padded goes
        predicted = offset_px.unflatten(0, share.shape[:2])[..., :height, :width]
        errors.append(2**level * offset_error(predicted.float(), truth, share))
    return torch.stack(errors).mean()
