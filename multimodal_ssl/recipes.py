"""What was trained and how: every arm at several rates of wrong captions, cut down or grown per scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.measures import mean_of
from common.papers import Scale, Search, WeightsFile
from common.schedule import Cosine
from multimodal_ssl.arms import BATCH_SIZES, COMPARED, VARIED, Arm
from multimodal_ssl.composed.wrong_captions import WrongCaptions
from multimodal_ssl.contrast import Contrast
from multimodal_ssl.data import COMPOSITIONS
from multimodal_ssl.measures import CLEAN, LOG_RANK
from multimodal_ssl.model import networks
from multimodal_ssl.model.networks import Network, SharedSpace

if TYPE_CHECKING:
    from torch import Tensor

GPU_COSINE = Cosine(warmup_steps=300, final_ratio=0.02)


def _at(rate_percent: int, arms: Iterable[Arm], *, near: bool = False) -> dict[str, Contrast]:
    """NAME_25 is an arm at 25 % wrong captions, NAME_25_NEAR with captions of a neighbour in the film."""
    wrong = WrongCaptions(rate=rate_percent / 100, near=near)
    return {f"{arm.name}_{rate_percent}" + "_NEAR" * near: replace(arm.recipe, wrong=wrong) for arm in arms}


def _pooling_as(arm: Arm, network: Network) -> Network:
    return replace(network, pool_video=arm.recipe.network.pool_video)


def _grown(arm: Arm) -> Arm:
    """All objects, longer clips, S3D; batches of the same number of samples whatever their size."""
    recipe = replace(
        arm.recipe, composition=COMPOSITIONS["gpu"],
        network=_pooling_as(arm, replace(networks.GPU, audio=None, heads=SharedSpace(width=256))),
        batch_size=BATCH_SIZES["gpu"], steps=3000, schedule=GPU_COSINE, chunk=32, workers=6, bf16=True, cost_s=400.0,
    )  # fmt: skip
    return replace(arm, recipe=recipe)


def _in_batches(recipe: Contrast, batch_size: int) -> Contrast:
    """The same number of samples in batches of another size, the rate scaled by the square root."""
    ratio = batch_size / recipe.batch_size
    assert isinstance(recipe.schedule, Cosine)
    return replace(
        recipe, batch_size=batch_size, steps=round(recipe.steps / ratio),
        schedule=replace(recipe.schedule, warmup_steps=round(recipe.schedule.warmup_steps / ratio)),
        peak_lr=recipe.peak_lr * ratio**0.5,
    )  # fmt: skip


def _overnight(arm: Arm) -> Arm:
    """All objects and batches of 256 on a core of a CPU, as many batches as at `mini`."""
    recipe = replace(
        arm.recipe, composition=COMPOSITIONS["night"], batch_size=BATCH_SIZES["night"], chunk=32, cost_s=900.0
    )
    return replace(arm, recipe=recipe)


def _night() -> dict[str, Contrast]:
    """Arms that are compared, and those without attention in smaller batches of as many samples in all."""
    arms = [_overnight(arm) for arm in COMPARED]
    found = {**_at(0, arms), **_at(25, arms)}
    for size in (32, 64):
        found |= {
            f"{arm.name}_BATCH{size}": _in_batches(replace(arm.recipe, wrong=WrongCaptions(rate=0.25)), size)
            for arm in arms[:2]
        }
    return found


def _breadth() -> dict[str, Contrast]:
    arms, more = [_grown(arm) for arm in COMPARED], [_grown(arm) for arm in VARIED]
    found: dict[str, Contrast] = {}
    for rate in (0, 25, 50, 75):
        found |= _at(rate, arms)
    for rate in (25, 50):
        found |= _at(rate, arms, near=True)
    found |= _at(25, more) | _at(0, more)
    for size in (32, 64, 256, 512):
        found |= {
            f"{arm.name}_BATCH{size}": _in_batches(replace(arm.recipe, wrong=WrongCaptions(rate=0.25)), size)
            for arm in arms
        }
    return found


def _shrunk(arm: Arm) -> Arm:
    recipe = replace(
        arm.recipe, composition=COMPOSITIONS["smoke"],
        network=_pooling_as(arm, replace(networks.SMOKE, audio=None, heads=SharedSpace(width=8))), steps=4,
        schedule=Cosine(warmup_steps=1, final_ratio=0.02),
        batch_size=BATCH_SIZES["smoke"], log_every=1, scored_pairs=24, cost_s=3.0,
    )  # fmt: skip
    return replace(arm, recipe=recipe)


_SMALL = [_shrunk(arm) for arm in COMPARED]


def weights_file(
    folder: Path, file: str, recipe: Contrast, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> WeightsFile:
    """What is committed of a run: its weights, and the vectors of the words that its captions use."""
    from multimodal_ssl.search import weights

    found, described = weights.with_vocabulary(tensors, state, recipe._composed().words)
    return folder / "weights" / f"{file}.safetensors", found, described


# What `make tune-fine-grained-ssl` tries, by the same rule for every arm, judged on dev, whose captions are right. It
# starts where an earlier search, of fewer values, had found each arm's best without wrong captions.
SEARCH = Search(
    arms=tuple(f"{arm.name}_{rate}" for rate in (0, 25) for arm in COMPARED),
    settings={"peak_lr": (2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3), "tau": (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)},
    measure=mean_of(CLEAN.name, LOG_RANK.name),
    start=(2e-3, 0.03),
)
RECIPES: Mapping[str, Mapping[str, Contrast]] = {
    "smoke": {**_at(0, _SMALL), **_at(25, _SMALL)},
    "mini": {**_at(0, COMPARED), **_at(25, COMPARED)},
    "night": _night(),
    "gpu": _breadth(),
}
SCALES: Mapping[str, Scale] = {
    "smoke": Scale(
        recipes=RECIPES["smoke"],
        seeds=1,
        weights={"fine": "FINE_0"},
        search=replace(SEARCH, settings={"peak_lr": (1e-3, 2e-3)}, start=None),
    ),
    "mini": Scale(recipes=RECIPES["mini"], seeds=3, weights={"fine": "FINE_0"}, search=SEARCH),
    "night": Scale(recipes=RECIPES["night"], seeds=3, search=SEARCH),
    "gpu": Scale(recipes=RECIPES["gpu"], seeds=3, search=SEARCH),
}
