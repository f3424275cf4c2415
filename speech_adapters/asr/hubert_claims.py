"""What we ask of a further self-supervised iteration: whether an encoder that learns more by itself carries the
paper's sentence further.

The encoder is `small-en` after HuBERT's iteration over clusters of its own features (`recipes.HUBERT`); no label was
read for it. The bar of the first sentence is the paper's claim's (`claims.BOUND`).
"""

from __future__ import annotations

from functools import partial

from common.claims import Claim
from common.kinds import SlightlyWorse, Superior
from speech_adapters.asr.claims import BOUND, ENGLISH, NOT_AT_SMOKE, in_nats, lower, narrower

ABOUT = "a further self-supervised iteration (clusters of the encoder's own features, as HuBERT's)"
SET_ON = "2026-11-28, before these runs and while the encoder was training"
BEFORE = ("ADAPTERS_EN", "FULL_EN")
ADAPTERS, FULL = AFTER = ("ADAPTERS_HUBERT_EN", "FULL_HUBERT_EN")

_question = partial(
    Claim, where="our question", paper="no number", kind=Superior(), scales=("mini",), not_testable=NOT_AT_SMOKE,
    question=True, about=ABOUT, unit="nats a character", parts=ENGLISH,
)  # fmt: skip

CLAIMS = (
    _question(
        id="hubert-narrower",
        says="English: from the encoder after it, adapters are less far behind full fine-tuning than from the one "
        "before.",
        reads=(*BEFORE, *AFTER),
        **in_nats(narrower, BEFORE, AFTER),
    ),
    _question(
        id="hubert-english",
        says=f"English: adapters are slightly worse than full fine-tuning (our bar: by up to {BOUND} nats).",
        reads=AFTER,
        kind=SlightlyWorse(BOUND, SET_ON),
        **in_nats(lower, FULL, ADAPTERS),
    ),
    _question(
        id="hubert-adapters",
        says="Adapters over the encoder after it are better than over the one before.",
        reads=(ADAPTERS, BEFORE[0]),
        **in_nats(lower, ADAPTERS, BEFORE[0]),
    ),
    _question(
        id="hubert-full",
        says="Full fine-tuning from the encoder after it is better than from the one before.",
        reads=(FULL, BEFORE[1]),
        **in_nats(lower, FULL, BEFORE[1]),
    ),
)
