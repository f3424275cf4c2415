"""What was trained and how: one constant an arm, at several rates of wrong captions, cut down per scale.

Nothing of the paper's recipe could be read. Arms differ in the similarity, and attention in weights of pairs as well;
everything else is the same but rates and temperatures, which are each arm's best on dev (results/tuning-mini.json); an
arm of `MORE` takes those of the arm it varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.papers import Scale, Search, WeightsFile
from multimodal_ssl.contrast import Contrast, noisy
from multimodal_ssl.data import COMPOSITIONS
from multimodal_ssl.model import sizes
from multimodal_ssl.model.sizes import Text

if TYPE_CHECKING:
    from torch import Tensor

COARSE = Contrast(
    composition=COMPOSITIONS["mini"], similarity="mean-and-max", steps=450, batch_size=48, peak_lr=1e-3,
    warmup_steps=45, final_lr_ratio=0.02, betas=(0.9, 0.98), clip_norm=5.0, log_every=25, cost_s=100.0,
)  # fmt: skip
FINE = replace(COARSE, similarity="log-mean-exp", peak_lr=2e-3, tau=0.03)
ATTENTION = replace(FINE, similarity="soft-attention", weighted=True)
ARMS_OF = {"COARSE": COARSE, "FINE": FINE, "ATTENTION": ATTENTION}
MORE = {
    "MEAN": replace(COARSE, similarity="mean"),
    "ATTENTION_POOL": replace(COARSE, similarity="attention-pool"),
    "MAX_MEAN": replace(FINE, similarity="max-mean"),
    "PARAMETRIC": replace(FINE, similarity="parametric-attention"),
    "UNWEIGHTED": replace(ATTENTION, weighted=False),
    "WEIGHTED_COARSE": replace(COARSE, weighted=True),
    "BOTH": replace(FINE, coarse_share=0.5),
}


def _at(rate_percent: int, arms: Mapping[str, Contrast], kind: str = "random") -> dict[str, Contrast]:
    """NAME_25 is an arm at 25 % wrong captions, NAME_25_NEAR with captions of a neighbour in the film."""
    ending = "" if kind == "random" else f"_{kind.upper()}"
    return {
        f"{name}_{rate_percent}{ending}": noisy(arm, rate_percent / 100, kind) for name, arm in arms.items()
    }


def _gpu(recipe: Contrast) -> Contrast:
    """All objects, longer clips, S3D; batches of the same number of samples whatever their size."""
    network = replace(
        sizes.GPU, audio=None, heads=sizes.Heads(text_width=256), text=Text(hidden=512, width=512)
    )
    return replace(
        recipe, composition=COMPOSITIONS["gpu"], network=network, batch_size=128, steps=3000, warmup_steps=300,
        chunk=32, workers=6, bf16=True, cost_s=400.0,
    )  # fmt: skip


def _in_batches(recipe: Contrast, batch_size: int) -> Contrast:
    """The same number of samples in batches of another size, the rate scaled by the square root."""
    ratio = batch_size / recipe.batch_size
    return replace(
        recipe, batch_size=batch_size, steps=round(recipe.steps / ratio),
        warmup_steps=round(recipe.warmup_steps / ratio), peak_lr=recipe.peak_lr * ratio**0.5,
    )  # fmt: skip


def _breadth() -> dict[str, Contrast]:
    arms = {name: _gpu(arm) for name, arm in ARMS_OF.items()}
    more = {name: _gpu(arm) for name, arm in MORE.items()}
    found: dict[str, Contrast] = {}
    for rate in (0, 25, 50, 75):
        found |= _at(rate, arms)
    for rate in (25, 50):
        found |= _at(rate, arms, "near")
    found |= _at(25, more) | _at(0, more)
    for size in (32, 64, 256, 512):
        found |= {f"{name}_BATCH{size}": _in_batches(noisy(arm, 0.25), size) for name, arm in arms.items()}
    return found


def _smoke(recipe: Contrast) -> Contrast:
    network = replace(sizes.SMOKE, audio=None, heads=sizes.Heads(text_width=8))
    return replace(
        recipe, composition=COMPOSITIONS["smoke"], network=network, steps=4, warmup_steps=1, batch_size=6, log_every=1,
        scored_pairs=24, cost_s=3.0,
    )  # fmt: skip


_SMALL = {name: _smoke(arm) for name, arm in ARMS_OF.items()}


def weights_file(
    folder: Path, file: str, recipe: Contrast, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> WeightsFile:
    """What is committed of a run: its weights, and the vectors of the words that its captions use."""
    from multimodal_ssl.search import weights

    found, described = weights.with_vocabulary(tensors, state, recipe._composed().words)
    return folder / "weights" / f"{file}.safetensors", found, described


# What `make tune-fine-grained-ssl` tries, the same for every arm, judged on dev without wrong captions.
SEARCH = Search(
    arms=("COARSE_0", "FINE_0", "ATTENTION_0"),
    settings={"peak_lr": (1e-3, 2e-3, 4e-3), "tau": (0.03, 0.05, 0.1)},
    measure="clean/log_rank/mean",
)
SCALES: Mapping[str, Scale] = {
    "smoke": Scale(
        recipes={**_at(0, _SMALL), **_at(25, _SMALL)},
        seeds=1,
        weights={"fine": "FINE_0"},
        search=replace(SEARCH, settings={"peak_lr": (1e-3, 2e-3)}),
    ),
    "mini": Scale(
        recipes={**_at(0, ARMS_OF), **_at(25, ARMS_OF)}, seeds=3, weights={"fine": "FINE_0"}, search=SEARCH
    ),
    "gpu": Scale(recipes=_breadth(), seeds=3, search=SEARCH),
}
