"""What was trained and how: one constant per network of the challenge and arm, cut down per scale.

The paper's own training settings could not be read; `PAPER` settings are the recipe that the fact sheet in this
folder's README assembles from public code, and each departure is declared with the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.data.order import Draw, draws
from common.measures import mean_of
from common.papers import Scale, Search
from common.recipe import Recipe, Shard
from common.schedule import Cosine
from common.settings import later
from video_sr.corpora import Corpus, PreparedClips, Textures, Vid3oC
from video_sr.measures import PHOTOGRAPHS, PSNR, SSIM, of_copies
from video_sr.networks import (
    BackProjectionSizes,
    BicubicSizes,
    CoarseToFineSizes,
    DKSANSizes,
    EDVRAttentionSizes,
    EVESRNetSizes,
    LeastSquaresSizes,
    MGBP3DSizes,
    MultiDistillationSizes,
    Network,
    PerceptualSizes,
    SPANSizes,
    SPANx16Sizes,
    WideActivationSizes,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from video_sr.samples import Batch

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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch < 1:
            raise ValueError(f"patch must be 1 or more, got {self.patch}")
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
        if len(turns := self.turns()) > 1:
            named = list(model.named_parameters())
            return [
                {"params": [w for name, w in named if self.network.turn_of(name) == turn], "turn": turn}
                for turn in turns
            ]
        rest, steering, read = list[Any](), list[Any](), list[Any]()
        for name, weight in model.named_parameters():
            slow = name.startswith(self.network.pretrained_layers() or ("\0",))
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

    def score(self, model: nn.Module, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        from common.results import Item
        from video_sr import panels
        from video_sr.protocol import SequenceScore, crop_to_multiple, degrade, super_resolve_centre, windows

        num_frames = self.network.num_frames
        if count := self.network.fitted_on:
            sizes = {"num_frames": num_frames, "patch": self.patch}
            drawn = draws(self.corpus.num_items(seed), count, seed, 0)
            self.network.fit(model, (self.corpus.example(seed, draw, **sizes) for draw in drawn))
        for sequence in self.corpus.scored(split, seed):
            score, still_score = SequenceScore(), SequenceScore()
            # Two readings of one stream: the window runs ahead of the frame in its middle.
            ahead, truths = tee(crop_to_multiple(frame) for frame in sequence.frames())
            lows = (degrade(frame) for frame in ahead)
            for index, (window, truth) in enumerate(zip(windows(lows, num_frames), truths, strict=True)):
                if index not in sequence.scored:
                    continue
                low = window[num_frames // 2]
                still = np.stack([low] * num_frames)
                output = super_resolve_centre(model, still if self.copies else window)
                score.add(output, truth, low)
                score.add_beside(self.network.control(truth))
                if num_frames > 1 and not self.copies:
                    still_score.add(super_resolve_centre(model, still), truth)
                if index == sequence.scored.start:
                    panels.save(pictures, sequence.id, low, output, truth)
            scores = score.means()
            if still_score.frames:  # what the same network makes of a window without neighbours
                means = still_score.means()
                scores |= {of_copies(measure).name: means[measure.name] for measure in (PSNR, SSIM)}
            yield Item(sequence.id, sequence.group, sequence.part, scores)

    def manifest_sha256(self) -> str:
        return self.corpus.manifest_sha256()

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        return self.corpus.bad_items()

    def departures(self) -> tuple[str, ...]:
        ours = "The paper's training settings could not be read; they are ours."
        return (ours, *self.corpus.departures(), *self.network.departures())


# ---- the paper's hardware and corpus

BICUBIC = Upscaling(steps=0, network=BicubicSizes(), corpus=Vid3oC())
# What people can use instead, trained by others for x4.
SPAN_TWICE = replace(BICUBIC, network=SPANSizes())
SPAN_SMOKE = SPANSizes(channels=8, blocks=1, pretrained=False)
# What a linear filter of five by five pixels makes of them, fitted on the training pictures of each seed.
LEAST_SQUARES = replace(BICUBIC, network=LeastSquaresSizes())
EVESRNET = Upscaling(
    network=EVESRNetSizes(), corpus=Vid3oC(), steps=300_000, batch_size=32, peak_lr=4e-4,
    schedule=Cosine(warmup_steps=2000), ema_decay=0.999, clip_norm=1.0, bf16=True, patch=32, workers=8,
)  # fmt: skip
COPIES = replace(EVESRNET, copies=True)
WIDE = replace(EVESRNET, network=WideActivationSizes(), peak_lr=1e-3)


def _gpu(recipe: Upscaling, network: Network) -> Upscaling:
    return replace(
        recipe, network=network, corpus=PreparedClips(clips=400), patch=20, steps=20_000,
        schedule=Cosine(warmup_steps=500), workers=12, cost_s=480.0,
    )  # fmt: skip


def _mini(recipe: Upscaling, network: Network) -> Upscaling:
    return replace(
        recipe, network=network, corpus=PreparedClips(clips=48), batch_size=8, patch=16,
        schedule=Cosine(warmup_steps=30), ema_decay=0.99, clip_norm=0.5, bf16=False, workers=0,
    )  # fmt: skip


def _untuned(network: Network, steps: int, cost_s: float) -> Upscaling:
    return replace(_mini(EVESRNET, network), offset_lr_ratio=0.1, steps=steps, peak_lr=1e-3, cost_s=cost_s)


def _smoke(recipe: Upscaling, network: Network) -> Upscaling:
    return replace(
        recipe, network=network, corpus=Textures(), steps=4, batch_size=2, patch=8, schedule=Cosine(warmup_steps=1),
        log_every=1, cost_s=2.0,
    )  # fmt: skip


# 15 blocks, so that its weights stay below 16 MB.
EVESRNET_GPU = _gpu(EVESRNET, EVESRNetSizes(num_frames=5, channels=64, trunk_blocks=15))
WIDE_GPU = _gpu(WIDE, WideActivationSizes())
# Rates at `mini` are each arm's best on dev, see results/tuning-mini.json.
NARROW = EVESRNetSizes(
    num_frames=3, channels=16, groups=2, front_blocks=1, trunk_blocks=6, trunk_channels=48, squeeze=8,
    tail_channels=(16, 3),
)  # fmt: skip
SHORT = WideActivationSizes(channels=48, blocks=6, expansion=3, squeeze=8, stages=(16,))
EVESRNET_MINI = replace(_mini(EVESRNET, NARROW), offset_lr_ratio=0.1, steps=750, peak_lr=1e-3, cost_s=175.0)
WIDE_MINI = replace(_mini(WIDE, SHORT), steps=1000, peak_lr=2e-3, cost_s=150.0)

EVESRNET_SMOKE = _smoke(
    EVESRNET_MINI, replace(NARROW, channels=8, trunk_channels=8, trunk_blocks=1, squeeze=2)
)
WIDE_SMOKE = _smoke(WIDE_MINI, replace(SHORT, channels=8, blocks=1, squeeze=2))


# The other six entries: small, few steps, and one seed each; their rate is nobody's search.
_DKSAN = DKSANSizes(num_frames=3, channels=16, groups=2, front_blocks=1, trunk_blocks=(3, 1), squeeze=8)
_MGBP = MGBP3DSizes(num_frames=3, channels=(64, 32, 12, 6, 3), visits=1, noise_channels=0)
_EDVR = EDVRAttentionSizes(
    num_frames=3, channels=16, groups=2, front_blocks=1, trunk_blocks=4, squeeze=8, tail_channels=16,
    second_channels=16, second_groups=1, second_blocks=2,
)  # fmt: skip
_DISTILLED = MultiDistillationSizes(channels=(48, 16, 8), blocks=(3, 1, 1), squeeze=4)
_FINER = CoarseToFineSizes(channels=(48, 32, 16, 8), blocks=1)
_PROJECTED = BackProjectionSizes(wide=32, channels=6, stages=1, blocks=1)
ENTRIES_MINI = {
    "DKSAN": _untuned(_DKSAN, steps=350, cost_s=295.0),
    "MGBP3D": _untuned(_MGBP, steps=200, cost_s=340.0),
    "EDVR": _untuned(_EDVR, steps=500, cost_s=310.0),
    "MULTI_DISTILLATION": _untuned(_DISTILLED, steps=350, cost_s=330.0),
    "COARSE_TO_FINE": _untuned(_FINER, steps=450, cost_s=285.0),
    "BACK_PROJECTION": _untuned(_PROJECTED, steps=300, cost_s=295.0),
}
# Ours beside them, trained: SPAN's weights at a peak rate of 3e-5, the steps of its rounds at a thousand times that.
SPAN_X16_TRAINED_MINI = replace(
    _mini(EVESRNET, SPANx16Sizes()), steps=300, batch_size=4, patch=20, schedule=Cosine(warmup_steps=20),
    ema_decay=0.98, peak_lr=3e-2, pretrained_lr_ratio=1e-3, charbonnier_eps=1e-3, cost_s=700.0,
)  # fmt: skip
SPAN_X16_TRAINED_SMOKE = _smoke(
    SPAN_X16_TRAINED_MINI, SPANx16Sizes(num_frames=3, channels=8, blocks=1, rounds=2, pretrained=False)
)


def _track2(recipe: Upscaling, critic_channels: int, **changes: Any) -> Upscaling:
    """For what looks right: the same generator and rate, against a critic."""
    sizes = PerceptualSizes(generator=recipe.network, critic_channels=critic_channels)
    return replace(recipe, network=sizes, offset_lr_ratio=1.0, **changes)


# Few steps, since a critic at full size costs most of one.
TRACK2_MINI = {
    "PERCEPTUAL": _track2(WIDE_MINI, 8, steps=300, batch_size=4, peak_lr=1e-3, cost_s=410.0),
    "PERCEPTUAL_EVESRNET": _track2(EVESRNET_MINI, 8, steps=200, batch_size=4, peak_lr=5e-4, cost_s=360.0),
}
TRACK2_SMOKE = {
    "PERCEPTUAL": _track2(WIDE_SMOKE, 4),
    "PERCEPTUAL_EVESRNET": _track2(EVESRNET_SMOKE, 4),
}
_TINY: Mapping[str, Network] = {
    "DKSAN": replace(_DKSAN, channels=8, trunk_blocks=(1, 0), squeeze=2),
    "MGBP3D": replace(_MGBP, channels=(8, 6, 4, 4, 3)),
    "EDVR": replace(_EDVR, channels=8, trunk_blocks=1, squeeze=2, tail_channels=8, second_channels=8),
    "MULTI_DISTILLATION": replace(_DISTILLED, channels=(8, 4, 4), blocks=(1, 1, 1), squeeze=2),
    "COARSE_TO_FINE": replace(_FINER, channels=(8, 8, 4, 4)),
    "BACK_PROJECTION": replace(_PROJECTED, wide=8, channels=4),
}
ENTRIES_SMOKE = {name: _smoke(recipe, _TINY[name]) for name, recipe in ENTRIES_MINI.items()}


# What `make tune-extreme-vsr` tries, the same for every arm, judged on dev.
SEARCH = Search(
    arms=("WIDE", "EVESRNET", "COPIES"),
    settings={"peak_lr": (5e-4, 1e-3, 2e-3)},
    measure=mean_of(PHOTOGRAPHS.name, PSNR.name),
)


SCALES: Mapping[str, Scale] = {
    "smoke": Scale(
        recipes={
            "BICUBIC": replace(BICUBIC, corpus=Textures()),
            "LEAST_SQUARES": replace(
                LEAST_SQUARES, corpus=Textures(), patch=8, network=LeastSquaresSizes(examples=8)
            ),
            "SPAN_TWICE": replace(SPAN_TWICE, corpus=Textures(), network=SPAN_SMOKE),
            "EVESRNET": EVESRNET_SMOKE,
            "COPIES": replace(EVESRNET_SMOKE, copies=True),
            "WIDE": WIDE_SMOKE,
        },
        seeds=1,
        once={
            **ENTRIES_SMOKE,
            "SPAN_X16": replace(BICUBIC, corpus=Textures(), network=SPAN_X16_TRAINED_SMOKE.network),
            **TRACK2_SMOKE,
        },
        backbones={"SPAN_X16_TRAINED": SPAN_X16_TRAINED_SMOKE},
        weights={"wide": "WIDE"},
        search=replace(SEARCH, settings={"peak_lr": (1e-3, 2e-3)}),
    ),
    "mini": Scale(
        recipes={
            "BICUBIC": replace(BICUBIC, corpus=EVESRNET_MINI.corpus, cost_s=20.0),
            "LEAST_SQUARES": replace(LEAST_SQUARES, corpus=EVESRNET_MINI.corpus, cost_s=50.0),
            "SPAN_TWICE": replace(SPAN_TWICE, corpus=EVESRNET_MINI.corpus, cost_s=60.0),
            "EVESRNET": EVESRNET_MINI,
            "COPIES": replace(EVESRNET_MINI, copies=True, peak_lr=2e-3),
            "WIDE": WIDE_MINI,
        },
        seeds=3,
        once={
            **ENTRIES_MINI,
            "SPAN_X16": replace(BICUBIC, network=SPANx16Sizes(), corpus=EVESRNET_MINI.corpus, cost_s=200.0),
            **TRACK2_MINI,
        },
        backbones={"SPAN_X16_TRAINED": SPAN_X16_TRAINED_MINI},
        weights={"evesrnet": "EVESRNET", "wide": "WIDE"},  # names for `upscale --model`
        search=SEARCH,
    ),
    "gpu": Scale(
        recipes={
            "BICUBIC": replace(BICUBIC, corpus=EVESRNET_GPU.corpus),
            "LEAST_SQUARES": replace(LEAST_SQUARES, corpus=EVESRNET_GPU.corpus),
            "SPAN_TWICE": replace(SPAN_TWICE, corpus=EVESRNET_GPU.corpus),
            "EVESRNET": EVESRNET_GPU,
            "COPIES": replace(EVESRNET_GPU, copies=True),
            "WIDE": WIDE_GPU,
        },
        seeds=3,
        search=SEARCH,
    ),
    "paper": Scale(
        recipes={
            "BICUBIC": BICUBIC,
            "LEAST_SQUARES": LEAST_SQUARES,
            "SPAN_TWICE": SPAN_TWICE,
            "EVESRNET": EVESRNET,
            "COPIES": COPIES,
            "WIDE": WIDE,
        },
        seeds=3,
    ),
}
