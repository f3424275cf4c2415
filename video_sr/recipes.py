"""What was trained and how: one constant per network of the challenge and arm, cut down per scale.

The paper's own training settings could not be read; `PAPER` settings are the recipe that the fact sheet in this
folder's README assembles from public code, and each departure is declared with the result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common.measures import mean_of
from common.papers import Scale, Search
from common.schedule import Cosine
from video_sr.corpora import PreparedClips, Textures, Vid3oC
from video_sr.measures import PHOTOGRAPHS, PSNR
from video_sr.networks import (
    BackProjectionSizes,
    BasicVSRSizes,
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
from video_sr.taught_alignment import TaughtAlignment
from video_sr.upscaling import Upscaling

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


OFFSET_WEIGHT = 0.05  # times an error of half a pixel it is about what a new network's picture lacks
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


# Whether neighbours help once an alignment is taught by the true motion, or begins at an estimated one: arms differ
# from UNTAUGHT, which is EVESRNet, in that alone.
def _taught(like: Upscaling, offset_weight: float) -> TaughtAlignment:
    fields = {field.name: getattr(like, field.name) for field in dataclasses.fields(like)}
    return TaughtAlignment(**fields | {"judged_by_order": True, "offset_weight": offset_weight})


def _arms_of_alignment(like: Upscaling) -> dict[str, TaughtAlignment]:
    sizes = replace(like.network, registration_rounds=4)  # type: ignore[call-arg]
    return {
        "TAUGHT": _taught(like, OFFSET_WEIGHT),
        "UNTAUGHT": _taught(like, 0.0),
        "REGISTERED": replace(_taught(like, 0.0), network=sizes),
    }


# The other six entries: small, few steps, run once by `reproduce`; their rate is nobody's search.
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
# Ours beside them: a recurrent network, at the entries' rate.
_RECURRENT = BasicVSRSizes(
    num_frames=5, channels=16, blocks=1, front_blocks=1, groups=4, tail_channels=(16, 3)
)
BASICVSR_MINI = _untuned(_RECURRENT, steps=600, cost_s=270.0)
BASICVSR_SMOKE = _smoke(BASICVSR_MINI, replace(_RECURRENT, num_frames=3, channels=8, tail_channels=(8, 3)))
# Trained, beside them: SPAN's weights at a peak rate of 3e-5, the steps of its rounds at a thousand times that.
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
# Perception against distortion: one network, weights that others trained for fidelity, and three weights of a critic.
# The start is SPAN's, since committed weights of ours have seen other seeds' test photographs.
_CURVE = {"CRITIC_NONE": 0.0, "CRITIC_LIGHT": 0.02, "CRITIC_HEAVY": 0.05}


def _curve(like: Upscaling, network: Network, **changes: Any) -> dict[str, Upscaling]:
    sizes = PerceptualSizes(generator=network, critic_channels=8, adversarial=0.0, matching=0.0)
    return {
        name: replace(like, network=replace(sizes, adversarial=weight), **changes)
        for name, weight in _CURVE.items()
    }


CURVE = _curve(WIDE, SPANSizes(), pretrained_lr_ratio=0.1, judged_by_features=True)
CURVE_GPU = _curve(WIDE_GPU, SPANSizes(), pretrained_lr_ratio=0.1, judged_by_features=True)
CURVE_MINI = _curve(
    WIDE_MINI, SPANSizes(), steps=60, batch_size=4, patch=8, schedule=Cosine(warmup_steps=10), ema_decay=0.9,
    peak_lr=1e-3, pretrained_lr_ratio=0.1, judged_by_features=True, cost_s=125.0,
)  # fmt: skip
CURVE_SMOKE = _curve(WIDE_SMOKE, SPAN_SMOKE)
BETWEEN = "CRITIC_LIGHT"  # a point of the figure; the claims read the ends of the curve


def _ends(curve: Mapping[str, Upscaling]) -> dict[str, Upscaling]:
    return {name: recipe for name, recipe in curve.items() if name != BETWEEN}


_TINY: Mapping[str, Network] = {
    "DKSAN": replace(_DKSAN, channels=8, trunk_blocks=(1, 0), squeeze=2),
    "MGBP3D": replace(_MGBP, channels=(8, 6, 4, 4, 3)),
    "EDVR": replace(_EDVR, channels=8, trunk_blocks=1, squeeze=2, tail_channels=8, second_channels=8),
    "MULTI_DISTILLATION": replace(_DISTILLED, channels=(8, 4, 4), blocks=(1, 1, 1), squeeze=2),
    "COARSE_TO_FINE": replace(_FINER, channels=(8, 8, 4, 4)),
    "BACK_PROJECTION": replace(_PROJECTED, wide=8, channels=4),
}
ENTRIES_SMOKE = {name: _smoke(recipe, _TINY[name]) for name, recipe in ENTRIES_MINI.items()}


# Overnight on CPU cores: the networks of `mini` at ten times the steps, on clips of which a quarter have two layers.
NIGHT_FACTOR = 10
LAYERED = PreparedClips(clips=48, layered_share=0.25)


def _night(recipe: Upscaling) -> Upscaling:
    assert isinstance(recipe.schedule, Cosine)
    schedule = replace(recipe.schedule, warmup_steps=NIGHT_FACTOR * recipe.schedule.warmup_steps)
    return replace(
        recipe, corpus=LAYERED, steps=NIGHT_FACTOR * recipe.steps, schedule=schedule,
        cost_s=NIGHT_FACTOR * recipe.cost_s,
    )  # fmt: skip


# What `make tune-extreme-vsr` tries, the same for every arm, judged on dev.
SEARCH = Search(
    arms=("WIDE", "EVESRNET", "COPIES"),
    settings={"peak_lr": (2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3)},
    measure=mean_of(PHOTOGRAPHS.name, PSNR.name),
    start=(2e-3,),
    more_is_better=True,
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
            **_ends(CURVE_SMOKE),
        },
        seeds=1,
        once={
            BETWEEN: CURVE_SMOKE[BETWEEN],
            **ENTRIES_SMOKE,
            "BASICVSR": BASICVSR_SMOKE,
            "SPAN_X16": replace(BICUBIC, corpus=Textures(), network=SPAN_X16_TRAINED_SMOKE.network),
        },
        on_request={
            "SPAN_X16_TRAINED": SPAN_X16_TRAINED_SMOKE,
            **TRACK2_SMOKE,
            **_arms_of_alignment(EVESRNET_SMOKE),
        },
        weights={"wide": "WIDE"},
        search=replace(SEARCH, settings={"peak_lr": (1e-3, 2e-3)}, start=None),
    ),
    "mini": Scale(
        recipes={
            "BICUBIC": replace(BICUBIC, corpus=EVESRNET_MINI.corpus, cost_s=20.0),
            "LEAST_SQUARES": replace(LEAST_SQUARES, corpus=EVESRNET_MINI.corpus, cost_s=50.0),
            "SPAN_TWICE": replace(SPAN_TWICE, corpus=EVESRNET_MINI.corpus, cost_s=60.0),
            "EVESRNET": EVESRNET_MINI,
            "COPIES": replace(EVESRNET_MINI, copies=True, peak_lr=2e-3),
            "WIDE": WIDE_MINI,
            **_ends(CURVE_MINI),
        },
        seeds=3,
        once={
            BETWEEN: CURVE_MINI[BETWEEN],
            **ENTRIES_MINI,
            "BASICVSR": BASICVSR_MINI,
            "SPAN_X16": replace(BICUBIC, network=SPANx16Sizes(), corpus=EVESRNET_MINI.corpus, cost_s=200.0),
        },
        on_request={
            "SPAN_X16_TRAINED": SPAN_X16_TRAINED_MINI,
            **TRACK2_MINI,
            **_arms_of_alignment(replace(EVESRNET_MINI, cost_s=260.0)),
        },
        weights={"evesrnet": "EVESRNET", "wide": "WIDE"},  # names for `upscale --model`
        search=SEARCH,
    ),
    "night": Scale(
        recipes={
            "BICUBIC": replace(BICUBIC, corpus=LAYERED, cost_s=20.0),
            "LEAST_SQUARES": replace(LEAST_SQUARES, corpus=LAYERED, cost_s=50.0),
            "SPAN_TWICE": replace(SPAN_TWICE, corpus=LAYERED, cost_s=60.0),
            "EVESRNET": _night(EVESRNET_MINI),
            "COPIES": _night(replace(EVESRNET_MINI, copies=True, peak_lr=2e-3)),
            "WIDE": _night(WIDE_MINI),
            **{name: _night(recipe) for name, recipe in _ends(CURVE_MINI).items()},
        },
        seeds=3,
        once={BETWEEN: _night(CURVE_MINI[BETWEEN])},
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
            **_ends(CURVE_GPU),
        },
        seeds=3,
        once={BETWEEN: CURVE_GPU[BETWEEN]},
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
            **_ends(CURVE),
        },
        seeds=3,
        once={BETWEEN: CURVE[BETWEEN]},
    ),
}
