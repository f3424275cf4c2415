"""What was trained and how: one constant an arm, cut down per scale; and the backbone that small scales start from."""

from __future__ import annotations

from collections.abc import Mapping

from common.recipe import Recipe
from speech_adapters.architecture import SMALL, Masking
from speech_adapters.pretrain import Pretrain

# Settings that left chance where BASE's own did not: no feature penalty, a strong diversity term, short spans, many
# small batches. English game dialogue; no line of a dialogue, and no text, of a dev or test part is among it.
BACKBONE = Pretrain(
    architecture=SMALL, masking=Masking(start=0.08, span=6), codes=64, code_width=64, target_width=64, num_negatives=50,
    diversity_weight=1.0, penalty_weight=0.0, gumbel_factor=0.9995, steps=15_000, batch_s=16.0, crop_s=8.0,
    peak_lr=5e-4, warmup_steps=500, final_lr_ratio=0.05, weight_decay=0.01, betas=(0.9, 0.98), clip_norm=1.0,
    cpu_bf16=True, log_every=50, save_every_s=120.0, cost_s=4500.0, probed=("fotaq-en", "asterisk-en", "asterisk-fr"),
)  # fmt: skip

# Known to `train` and `score`, no part of `reproduce`: its weights are committed.
BACKBONES: Mapping[str, Mapping[str, Recipe]] = {"mini": {"BACKBONE": BACKBONE}}
RECIPES: Mapping[str, Mapping[str, Recipe]] = {"paper": {}, "gpu": {}, "mini": {}, "smoke": {}}
SEEDS = {"smoke": 1, "mini": 3, "gpu": 3, "paper": 3}
