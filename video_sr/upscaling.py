"""How a x16 network is trained and scored, whatever it is: what `recipes.py` gives settings to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.data.order import Draw, draws
from common.measures import Measure
from common.recipe import Recipe, Shard
from common.settings import later
from video_sr.corpora import Corpus
from video_sr.measures import PSNR, SSIM, of_apart, of_copies, of_reversed
from video_sr.networks import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from video_sr.samples import Batch

APART = 3  # frames between neighbours that are shown to be of less use
FARTHEST_OFFSET_PX = (
    20.0  # mean offset of the alignment, in LR pixels, beyond which a run is lost [EDVR issues]
)


@dataclass(frozen=True, kw_only=True)
class Upscaling(Recipe):
    """Trains a x16 network on windows of low-resolution frames and scores it by the challenge's protocol."""

    network: Network
    corpus: Corpus
    copies: bool = False  # the window holds the middle frame alone, repeated: a control
    patch: int = 16  # low-resolution pixels a side
    charbonnier_eps: float = 1e-6
    offset_lr_ratio: float = 1.0  # rate of layers that predict offsets of an alignment, against the others'
    pretrained_lr_ratio: float = later(1.0)  # that of weights which others trained
    judged_by_features: bool = later(
        False
    )  # also scored by a feature distance, and by LPIPS where its file is
    judged_by_order: bool = later(
        False
    )  # also scored with neighbours in reverse order, and three frames apart

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch < 1:
            raise ValueError(f"patch must be 1 or more, got {self.patch}")
        if self.judged_by_order and self.network.num_frames == 1:
            raise ValueError("judged_by_order needs a network of several frames, got one of 1")
        if self.steps:
            self.corpus.check(num_frames=self.network.num_frames, patch=self.patch)

    def model(self) -> nn.Module:
        return self.network.build()

    # ---- training items

    def prepare(self) -> None:
        from video_sr import data

        self.corpus.prepare()
        if self.steps or data.scorable():  # a machine filled from a pack trains, and may have no network
            self.network.prepare()
            self._distances()

    def _draws(self, seed: int, step: int, shard: Shard) -> list[Draw]:
        return draws(self.corpus.num_items(seed), self.batch_size, seed, step, shard)

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        return [self.corpus.item_id(seed, draw) for draw in self._draws(seed, step, shard)]

    def batch(self, seed: int, step: int, shard: Shard) -> Batch:
        from video_sr import samples

        window = {"num_frames": self.network.num_frames, "patch": self.patch}
        examples = [self.corpus.example(seed, draw, **window) for draw in self._draws(seed, step, shard)]
        return samples.collate(examples, copies=self.copies)

    # ---- learning

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        return self.network.losses(model, batch.low, batch.high, eps=self.charbonnier_eps)

    def turns(self) -> tuple[str, ...]:
        return self.network.turns()

    def losses_in_turn(self, turn: str, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        if turn == "":
            return self.losses(model, batch, step)
        return self.network.losses_in_turn(turn, model, batch.low, batch.high, eps=self.charbonnier_eps)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Offsets may learn more slowly: they feed on themselves and run away first (EDVR's `dcn_lr_mul`); and so may
        what others trained."""
        pretrained = self.network.pretrained_layers() or ("\0",)
        if len(self.turns()) > 1:
            in_turn: dict[tuple[str, float], list[Any]] = {}
            for name, weight in model.named_parameters():
                ratio = self.pretrained_lr_ratio if name.startswith(pretrained) else 1.0
                in_turn.setdefault((self.network.turn_of(name), ratio), []).append(weight)
            return [
                {"params": weights, "turn": turn, "lr_ratio": ratio}
                for (turn, ratio), weights in in_turn.items()
            ]
        rest, steering, read = list[Any](), list[Any](), list[Any]()
        for name, weight in model.named_parameters():
            slow = name.startswith(pretrained)
            (read if slow else steering if ".steer." in name else rest).append(weight)
        groups: list[dict[str, Any]] = [{"params": rest}] if rest else []
        groups += [{"params": steering, "lr_ratio": self.offset_lr_ratio}] if steering else []
        return groups + ([{"params": read, "lr_ratio": self.pretrained_lr_ratio}] if read else [])

    def monitor(self, model: nn.Module) -> dict[str, Tensor]:
        offset = getattr(model, "mean_offset_px", None)
        return {} if offset is None else {"offset_px": offset}

    def check(self, values: Mapping[str, float], step: int) -> str | None:
        if values.get("offset_px", 0.0) > FARTHEST_OFFSET_PX:
            return (
                f"the alignment's mean offset is {values['offset_px']:.1f} pixels, over {FARTHEST_OFFSET_PX:.0f}: "
                "it has lost the frames; lower peak_lr"
            )
        return None

    def preview(self, model: nn.Module, seed: int) -> dict[str, Any]:
        """Bicubic, output and truth side by side, of the first items of the training order."""
        import torch

        from common.data.resize import to_8bit, upscale

        batch = self.batch(seed, 0, Shard()).to(next(model.parameters()).device)
        with torch.inference_mode():
            output = model(batch.low[:4])
        rows = [upscale(batch.low[:4, batch.low.shape[1] // 2]), output, batch.high[:4]]
        strip = torch.cat([torch.cat(list(row.float()), dim=2) for row in rows], dim=1)
        return {"bicubic-output-truth": to_8bit(strip).movedim(0, -1).cpu().numpy()}

    # ---- scoring

    def _distances(self) -> Mapping[str, Callable[[Tensor, Tensor], Tensor]]:
        from video_sr import further

        return (
            further.distances(features=True, lpips=further.lpips_is_here()) if self.judged_by_features else {}
        )

    def score(self, model: nn.Module, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        from common.results import Item
        from video_sr import panels
        from video_sr.protocol import SequenceScore, crop_to_multiple, degrade, super_resolve_centre, windows

        num_frames, distances = self.network.num_frames, self._distances()
        if count := self.network.fitted_on:
            sizes = {"num_frames": num_frames, "patch": self.patch}
            drawn = draws(self.corpus.num_items(seed), count, seed, 0)
            self.network.fit(model, (self.corpus.example(seed, draw, **sizes) for draw in drawn))
        for sequence in self.corpus.scored(split, seed):
            score, others = (
                SequenceScore(distances),
                defaultdict[Callable[[Measure], Measure], Any](SequenceScore),
            )
            # Two readings of one stream: the window runs ahead of the frame in its middle.
            ahead, truths = tee(crop_to_multiple(frame) for frame in sequence.frames())
            lows = (degrade(frame) for frame in ahead)
            around = windows(lows, APART * (num_frames - 1) + 1 if self.judged_by_order else num_frames)
            for index, (wide, truth) in enumerate(zip(around, truths, strict=True)):
                if index not in sequence.scored:
                    continue
                first = len(wide) // 2 - num_frames // 2
                window, low = wide[first : first + num_frames], wide[len(wide) // 2]
                still = np.stack([low] * num_frames)
                output = super_resolve_centre(model, still if self.copies else window)
                score.add(output, truth, low)
                score.add_beside(self.network.control(truth))
                shown: dict[Callable[[Measure], Measure], Any] = {}
                if num_frames > 1 and not self.copies:
                    shown[of_copies] = still
                if self.judged_by_order:
                    shown |= {of_reversed: window[::-1], of_apart: wide[::APART]}
                for named, other in shown.items():
                    others[named].add(super_resolve_centre(model, other), truth)
                if index == sequence.scored.start:
                    panels.save(pictures, sequence.id, low, output, truth)
            scores = score.means()
            for named, of_other in others.items():  # what the same network makes of other windows
                means = of_other.means()
                scores |= {named(measure).name: means[measure.name] for measure in (PSNR, SSIM)}
            yield Item(sequence.id, sequence.group, sequence.part, scores)

    def manifest_sha256(self) -> str:
        return self.corpus.manifest_sha256()

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        return self.corpus.bad_items()

    def departures(self) -> tuple[str, ...]:
        ours = "The paper's training settings could not be read; they are ours."
        return (ours, *self.corpus.departures(), *self.network.departures())
