"""Scale `night`: the paper's question on an encoder that others trained well, for two cores overnight.

Whisper-base's encoder learned from transcripts in many languages: it is supervised, so its runs answer questions of
ours and are no evidence for what the paper says of self-supervised ones. Speech, batches and measures are `mini`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from common.papers import Scale, Search
from common.schedule import TRI_STAGE
from speech_adapters.asr.data import OTHER_VOICES, PROMPTS
from speech_adapters.asr.deaf import Deaf
from speech_adapters.asr.finetune import FineTune
from speech_adapters.asr.measures import CHOSEN_BY
from speech_adapters.checkpoints import whisper_base
from speech_adapters.data.sources import TONES
from speech_adapters.model.architecture import WHISPER_BASE, WHISPER_TINY
from speech_adapters.model.arm import Arm

BOTTLENECK = WHISPER_BASE.width // 3  # as the paper's 256 is of BASE: 9.7 % of the weights are trained
TOPS = (1, 2, 4)
FEWER = {"HALF": 7.0, "QUARTER": 3.5}  # minutes of labels, of 14

# Peak rates of what is trained of the encoder, and of the head. Those of full fine-tuning and of adapters are the best
# on dev of a joint search at the steps that are run (results/tuning-night.json). Others were not searched: LoRA has the
# adapters' rates, the rest are guesses.
RATES = {
    "full": (1e-4, 3e-3),
    "adapters": (1e-3, 3e-3),
    "bitfit": (3e-3, 1e-2),
    "head": (1e-2, 1e-2),
    "nothing": (1e-3, 1e-2),
}
AS = {  # methods that take another's rates
    "lora": "adapters",
    "single-adapter": "adapters",
    "finetune": "full",
    "single-finetune": "full",
}

# No masking, nothing dropped. The head comes first, at a rate of its own: adapters and a head from nothing together
# wrote blanks for long.
FULL = FineTune(
    source=PROMPTS["en"], other_voices=(OTHER_VOICES["en"],), backbone=whisper_base.NAME, architecture=WHISPER_BASE,
    arm=Arm(kind="full", bottleneck=BOTTLENECK), steps=300, head_only_steps=75, batch_s=16.0,
    peak_lr=RATES["full"][0], head_lr=RATES["full"][1], schedule=replace(TRI_STAGE, warmup_steps=30),
    betas=(0.9, 0.98), clip_norm=1.0, weight_decay=0.01, packed=True, fused=True, onednn=True, dev_every=50,
    cost_s=400.0,
)  # fmt: skip


def _arm(full: FineTune, kind: str, layers: int = 0, cost_s: float = 380.0) -> FineTune:
    """Another arm. Of adapters in some layers alone the norms of those layers are trained, so that the layers below
    them are computed once."""
    arm = replace(full.arm, kind=kind, layers=layers, norms="adapted" if layers else "all")
    peak_lr, head_lr = RATES[AS.get(kind, kind)]
    return replace(full, arm=arm, peak_lr=peak_lr, head_lr=head_lr, cost_s=cost_s)


def _whole(full: FineTune, language: str) -> dict[str, FineTune]:
    """Every layer, in one language, and the controls."""
    peak_lr, head_lr = RATES["nothing"]
    nothing = replace(full, backbone="", head_only_steps=0, peak_lr=peak_lr, head_lr=head_lr, cost_s=500.0)
    head = replace(_arm(full, "head", cost_s=100.0), head_only_steps=0)
    arms = {
        "FULL": full,
        "ADAPTERS": _arm(full, "adapters"),
        "RANDOM": nothing,
        "LORA": _arm(full, "lora"),
        "BITFIT": _arm(full, "bitfit"),
        "HEAD": head,
    }
    return {f"WHISPER_{name}_{language.upper()}": recipe for name, recipe in arms.items()}


def _in_part(full: FineTune, language: str) -> dict[str, FineTune]:
    """The top N layers, and one layer alone."""
    arms = {}
    for n in TOPS:
        cost_s = 100 + 50.0 * n
        arms[f"ADAPTERS_TOP{n}"] = _arm(full, "adapters", n, cost_s)
        arms[f"FINETUNE_TOP{n}"] = _arm(full, "finetune", n, cost_s + 5 * n)
    for n in range(1, WHISPER_BASE.layers + 1):
        cost_s = 100 + 45.0 * (WHISPER_BASE.layers - n + 1)
        arms[f"ADAPTER_LAYER{n}"] = _arm(full, "single-adapter", n, cost_s)
        arms[f"FINETUNE_LAYER{n}"] = _arm(full, "single-finetune", n, cost_s)
    return {f"WHISPER_{name}_{language.upper()}": recipe for name, recipe in arms.items()}


def _of_fewer_labels(full: FineTune) -> dict[str, FineTune]:
    """Steps and rates are those of all labels, so that fewer minutes are no less training."""
    return {
        f"WHISPER_{arm.upper()}_{share}_EN": replace(_arm(full, arm), minutes=minutes)
        for arm in ("full", "adapters")
        for share, minutes in FEWER.items()
    }


FULL_FR = replace(FULL, source=PROMPTS["fr"], other_voices=(OTHER_VOICES["fr"],))
DEAF = Deaf(
    source=FULL.source, other_voices=FULL.other_voices, backbone="", architecture=WHISPER_BASE, cost_s=15.0
)
HEADLINE = ("WHISPER_FULL_EN", "WHISPER_ADAPTERS_EN")

# Each arm goes from the start to where no neighbour is better, in both rates at once; the arms in part and in French
# take the rates of their kind.
SEARCH = Search(
    arms=(*_whole(FULL, "en"),),
    settings={
        "peak_lr": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
        "head_lr": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    },
    measure=CHOSEN_BY,
    start=(3e-4, 1e-2),
)
NIGHT = Scale(
    recipes={
        **_whole(FULL, "en"),
        **_whole(FULL_FR, "fr"),
        **_in_part(FULL, "en"),
        **_in_part(FULL_FR, "fr"),
        **_of_fewer_labels(FULL),
        "WHISPER_DEAF_EN": DEAF,
    },
    seeds=3,
    more_seeds=dict.fromkeys((*HEADLINE, "WHISPER_DEAF_EN"), 5),
    search=SEARCH,
)


def _smoke(recipe: FineTune) -> FineTune:
    return replace(
        recipe, source=TONES, other_voices=(), backbone="random-whisper-tiny", architecture=WHISPER_TINY, steps=4,
        head_only_steps=1, schedule=replace(TRI_STAGE, warmup_steps=1), arm=replace(recipe.arm, bottleneck=8),
        cache_frozen=False, dev_every=2, log_every=1, batch_s=4.0, cost_s=3.0,
    )  # fmt: skip


SMOKE: Mapping[str, FineTune] = {
    "WHISPER_FULL_EN": _smoke(FULL),
    "WHISPER_ADAPTERS_EN": _smoke(_arm(FULL, "adapters")),
    "WHISPER_ADAPTERS_TOP1_EN": _smoke(_arm(FULL, "adapters", 1)),
}
