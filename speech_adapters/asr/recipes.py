"""What was trained and how: one constant an arm, cut down per scale; and the backbone that small scales start from.

The paper's rates and steps could not be read. Settings of `paper` are fairseq's `base_10h`, which it starts from, with
what is known of its adapters (docs/papers/asr-adapters.md): fewer steps and no phase in which the encoder rests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.papers import Scale, Search, WeightsFile
from common.recipe import Recipe
from common.schedule import TRI_STAGE, Cosine
from speech_adapters.asr import night
from speech_adapters.asr.data import CORPORA, OTHER_VOICES, PROMPTS
from speech_adapters.asr.deaf import Deaf
from speech_adapters.asr.finetune import FineTune
from speech_adapters.asr.measures import CHOSEN_BY
from speech_adapters.data.source import Source
from speech_adapters.data.sources import AMAZON_QUEEN, DRASCULA, TONES
from speech_adapters.model.architecture import BASE, DEEP, SMALL, TINY, Dropout, Masking
from speech_adapters.model.arm import Arm
from speech_adapters.model.objective import ContrastiveObjective, QuantiserSizes
from speech_adapters.pretrain.hubert import Iteration
from speech_adapters.pretrain.recipe import FirstStage, Pretrain, Unlabelled
from speech_adapters.pretrain.teacher import Teacher

if TYPE_CHECKING:
    from torch import Tensor

# ---- the backbone

# English game dialogue; no line of a dialogue, and no text, of a dev or test part is among it. First BEST-RQ,
# since wav2vec 2.0's own objective from nothing took an hour for features worse than a spectrum's (model/best_rq.py).
FIRST_STAGE = FirstStage(
    architecture=SMALL, masking=Masking(start=0.065, span=10), steps=6000, batch_s=16.0, crop_s=8.0, peak_lr=1e-3,
    schedule=Cosine(warmup_steps=300, final_ratio=0.02), weight_decay=0.01, betas=(0.9, 0.98), clip_norm=1.0,
    cpu_bf16=True, log_every=50, save_every_s=120.0, cost_s=1500.0, scored_on=(AMAZON_QUEEN, DRASCULA["en"]),
)  # fmt: skip
# Then wav2vec 2.0's contrast, with settings that left chance where BASE's own did not: no feature penalty, a strong
# diversity term, many small batches.
BACKBONE = Pretrain(
    start_from="small-en-first", architecture=SMALL, masking=Masking(start=0.065, span=10),
    quantiser=QuantiserSizes(codes=64, code_width=64, width=64),
    objective=ContrastiveObjective(diversity_weight=1.0, penalty_weight=0.0, gumbel_factor=0.9995), steps=3000,
    batch_s=16.0, crop_s=8.0, peak_lr=3e-4, schedule=Cosine(warmup_steps=200, final_ratio=0.02), weight_decay=0.01,
    betas=(0.9, 0.98), clip_norm=1.0, cpu_bf16=True, log_every=50, save_every_s=120.0, cost_s=800.0,
    scored_on=(AMAZON_QUEEN, DRASCULA["en"]),
)  # fmt: skip

AFTER_HUBERT = "small-en-hubert"  # weights that it makes
# A further iteration, as HuBERT's: it goes on from the encoder above and names clusters of what that makes of masked
# frames, longer than both stages before. Layer 3 of 4, as HuBERT LARGE learns from the ninth of BASE's twelve. Nothing
# was searched. In 32 bits, since not every CPU is faster in 16.
HUBERT = Iteration(
    start_from="small-en", teacher=Teacher(encoder="small-en", layer=3, clusters=256), architecture=SMALL,
    masking=Masking(start=0.065, span=10), steps=12_000, batch_s=16.0, crop_s=8.0, peak_lr=5e-4,
    schedule=Cosine(warmup_steps=600, final_ratio=0.02), weight_decay=0.01, betas=(0.9, 0.98), clip_norm=1.0,
    log_every=100, save_every_s=120.0, cost_s=5400.0, scored_on=(AMAZON_QUEEN, DRASCULA["en"]),
)  # fmt: skip

# At `gpu` the encoder has BASE's twelve layers and hears five times as much as in the first stage above. Fixed codes
# alone: the contrast added nothing to what the small encoder's frames know of phones.
DEEP_BACKBONE = replace(
    FIRST_STAGE, architecture=DEEP, dropout=Dropout(residual=0.1, attention=0.1, inner=0.1), steps=8000, batch_s=64.0,
    schedule=Cosine(warmup_steps=400, final_ratio=0.02), cpu_bf16=False, log_every=100, workers=4, cost_s=360.0,
)  # fmt: skip

# ---- the paper's hardware and corpora

FULL = FineTune(
    source=CORPORA["en"], backbone="wav2vec_small", architecture=BASE, arm=Arm(kind="full"), steps=20_000,
    head_only_steps=10_000, batch_s=1600.0, batch_size=8, accumulate=8, peak_lr=5e-5,
    schedule=replace(TRI_STAGE, warmup_steps=2000), betas=(0.9, 0.98),
    dropout=Dropout(inner=0.1, layer=0.05), time_masking=Masking(start=0.065, span=10),
    channel_masking=Masking(start=0.0078, span=64), cache_frozen=False, bf16=True, workers=8, dev_every=1000,
)  # fmt: skip
ADAPTERS = replace(
    FULL, arm=Arm(kind="adapters"), steps=12_000, head_only_steps=0, schedule=replace(TRI_STAGE, warmup_steps=1200),
    peak_lr=1e-3,
)  # fmt: skip


def _of(recipe: FineTune, kind: str, layers: int = 0, places: str = "both") -> FineTune:
    """The recipe with another arm; adapter-like arms keep the adapters' width."""
    return replace(recipe, arm=Arm(kind=kind, layers=layers, bottleneck=recipe.arm.bottleneck, places=places))


def _both(
    name: str, recipe: FineTune, french: Source, other_voices: tuple[Source, ...] = ()
) -> dict[str, FineTune]:
    """The same arm in English and in French."""
    return {f"{name}_EN": recipe, f"{name}_FR": replace(recipe, source=french, other_voices=other_voices)}


def _breadth(full: FineTune, adapters: FineTune, layers: int) -> dict[str, FineTune]:
    """Top-N, single-layer and other arms, in English."""
    arms = {}
    for n in sorted({1, 2, *range(4, layers, 2), *range(1, min(layers, 4))}):
        arms[f"ADAPTERS_TOP{n}_EN"] = _of(adapters, "adapters", n)
        arms[f"FINETUNE_TOP{n}_EN"] = _of(full, "finetune", n)
    for n in range(1, layers + 1):
        arms[f"ADAPTER_LAYER{n}_EN"] = _of(adapters, "single-adapter", n)
        arms[f"FINETUNE_LAYER{n}_EN"] = _of(full, "single-finetune", n)
    for width in (adapters.arm.bottleneck // 4, adapters.arm.bottleneck // 2, adapters.arm.bottleneck * 2):
        arms[f"ADAPTERS_WIDTH{width}_EN"] = replace(adapters, arm=replace(adapters.arm, bottleneck=width))
    arms["ONE_ADAPTER_EN"] = _of(adapters, "adapters", places="feed-forward")
    arms["LORA_EN"] = _of(adapters, "lora")
    arms["BITFIT_EN"] = _of(adapters, "bitfit")
    return arms


# ---- smaller

# Rates at `mini` and `gpu` are each arm's best on dev, see results/tuning-mini.json and tuning-gpu.json.
_SMALL = FineTune(
    source=PROMPTS["en"], other_voices=(OTHER_VOICES["en"],), arm=Arm(kind="full", bottleneck=64), steps=700,
    batch_s=16.0, peak_lr=2e-3, schedule=replace(TRI_STAGE, warmup_steps=70), betas=(0.9, 0.98), clip_norm=1.0,
    weight_decay=0.01, time_masking=Masking(start=0.03, span=6), dev_every=50, cost_s=150.0,
)  # fmt: skip
_SMALL_ADAPTERS = replace(_SMALL, arm=Arm(kind="adapters", bottleneck=64), peak_lr=1.25e-2, cost_s=115.0)
# For a quarter of the steps the head learns alone, at a rate of its own.
FULL_MINI = replace(_SMALL, head_only_steps=175, head_lr=5e-3)
ADAPTERS_MINI = replace(_SMALL_ADAPTERS, head_only_steps=175, peak_lr=5e-3, head_lr=1.25e-2)
HEAD_MINI = replace(
    _SMALL, arm=Arm(kind="head"), time_masking=Masking(start=0.0, span=1), peak_lr=3e-2, cost_s=30.0
)
RANDOM_MINI = replace(_SMALL, backbone="", architecture=SMALL, cost_s=250.0)
# Of the frames of every encoder here, which are 20 ms apart.
DEAF = Deaf(source=PROMPTS["en"], other_voices=(OTHER_VOICES["en"],), backbone="", cost_s=15.0)
OTHER_FR = (OTHER_VOICES["fr"],)
# From the encoder after a further iteration.
FULL_HUBERT_MINI, ADAPTERS_HUBERT_MINI = (
    replace(recipe, backbone=AFTER_HUBERT) for recipe in (FULL_MINI, ADAPTERS_MINI)
)


def _gpu(recipe: FineTune) -> FineTune:
    arm = replace(recipe.arm, bottleneck=DEEP.width // 3) if recipe.arm.bottleneck else recipe.arm
    start = "deep-en" if recipe.backbone else ""
    return replace(
        recipe, backbone=start, architecture=DEEP, arm=arm, steps=2000,
        schedule=replace(TRI_STAGE, warmup_steps=200), dev_every=200, cost_s=60.0,
    )  # fmt: skip


FULL_GPU, ADAPTERS_GPU = _gpu(_SMALL), replace(_gpu(_SMALL_ADAPTERS), peak_lr=3e-2)


def _smoke(recipe: FineTune) -> FineTune:
    start = "random-tiny" if recipe.backbone else ""
    return replace(
        recipe, source=TONES, other_voices=(), backbone=start, architecture=TINY, cache_frozen=False, steps=4,
        head_only_steps=min(recipe.head_only_steps, 1),
        schedule=replace(TRI_STAGE, warmup_steps=1), arm=replace(recipe.arm, bottleneck=8), dev_every=2, log_every=1,
        batch_s=4.0, cost_s=3.0,
    )  # fmt: skip


def weights_file(
    folder: Path, file: str, recipe: Recipe, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> WeightsFile:
    """What is committed of a run: a backbone in 16 bits with its quantiser, of an adapter arm the set alone."""
    from speech_adapters.asr import weights

    if isinstance(recipe, Unlabelled):
        return weights.of_backbone(folder.parent / "weights", file, recipe, tensors, state)
    assert isinstance(recipe, FineTune)
    return weights.of_adapters(folder / "weights", file, recipe, tensors, state)


# What `make tune-asr-adapters` tries, by the same rule for every arm, judged on dev; French takes the English rates.
SEARCH = Search(
    arms=("FULL_EN", "ADAPTERS_EN", "HEAD_EN", "RANDOM_EN"),
    settings={
        "peak_lr": (3e-4, 8e-4, 2e-3, 5e-3, 1.25e-2, 3e-2, 8e-2),
        "head_lr": (8e-4, 2e-3, 5e-3, 1.25e-2, 3e-2, 8e-2, 2e-1),
        "head_only_steps": (0, 175, 350),
    },
    measure=CHOSEN_BY,
    start=(5e-3, 1.25e-2, 175),
    without={"HEAD_EN": ("head_lr", "head_only_steps"), "RANDOM_EN": ("head_only_steps",)},
)
_FR = PROMPTS["fr"]
SCALES: Mapping[str, Scale] = {
    "smoke": Scale(
        recipes={
            "FULL_EN": _smoke(FULL_MINI),
            "ADAPTERS_EN": _smoke(ADAPTERS_MINI),
            "HEAD_EN": _smoke(HEAD_MINI),
            "RANDOM_EN": _smoke(RANDOM_MINI),
            "DEAF_EN": replace(_smoke(DEAF), steps=0, dev_every=0),
            **night.SMOKE,
        },
        seeds=1,
        weights={"en": "ADAPTERS_EN"},
        search=replace(SEARCH, settings={"peak_lr": (2e-3, 5e-3)}, start=None),
    ),
    "mini": Scale(
        recipes={
            "DEAF_EN": DEAF,
            "RANDOM_EN": RANDOM_MINI,  # the longest first, so that no lane ends late
            **_both("FULL", FULL_MINI, _FR, OTHER_FR),
            **_both("ADAPTERS", ADAPTERS_MINI, _FR, OTHER_FR),
            "HEAD_EN": HEAD_MINI,
            "FULL_HUBERT_EN": FULL_HUBERT_MINI,
            "ADAPTERS_HUBERT_EN": ADAPTERS_HUBERT_MINI,
        },
        seeds=3,
        on_request={"FIRST_STAGE": FIRST_STAGE, "BACKBONE": BACKBONE, "HUBERT": HUBERT},
        weights={  # names for `transcribe --adapter`, or of a backbone
            "small-en-first": "FIRST_STAGE",
            "small-en": "BACKBONE",
            AFTER_HUBERT: "HUBERT",
            "en": "ADAPTERS_EN",
            "fr": "ADAPTERS_FR",
        },
        search=SEARCH,
    ),
    "night": night.NIGHT,
    "gpu": Scale(
        recipes={
            "DEAF_EN": DEAF,
            **_both("FULL", FULL_GPU, _FR, OTHER_FR),
            **_both("ADAPTERS", ADAPTERS_GPU, _FR, OTHER_FR),
            **_both("HEAD", _gpu(HEAD_MINI), _FR, OTHER_FR),
            **_both("RANDOM", _gpu(RANDOM_MINI), _FR, OTHER_FR),
            **_breadth(FULL_GPU, ADAPTERS_GPU, DEEP.layers),
        },
        seeds=3,
        on_request={"DEEP_BACKBONE": DEEP_BACKBONE},
        weights={"deep-en": "DEEP_BACKBONE"},
        search=replace(SEARCH, settings={"peak_lr": SEARCH.settings["peak_lr"]}, start=(5e-3,)),
    ),
    "paper": Scale(
        recipes={
            **_both("FULL", FULL, CORPORA["fr"]),
            **_both("ADAPTERS", ADAPTERS, CORPORA["fr"]),
            "HEAD_EN": _of(ADAPTERS, "head"),
            "RANDOM_EN": replace(FULL, backbone="", architecture=BASE, head_only_steps=0, peak_lr=5e-4),
            **_breadth(FULL, ADAPTERS, BASE.layers),
        },
        seeds=3,
    ),
}
