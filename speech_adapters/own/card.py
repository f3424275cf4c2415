"""The page that lies beside trained weights: what they learned from, how well they do, how to use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speech_adapters.model.adapters import Share
from speech_adapters.own.evaluation import Scores

NORMALISED = "Texts are compared in lower case and without punctuation; accents count."


def card(
    *,
    name: str,
    language: str,
    model: str,
    encoder: str,
    arm: str,
    data: Sequence[str],
    left_out: int,
    trained: Share,
    steps: int,
    peak_lr: float,
    scores: Scores,
    chosen: str,
) -> str:
    """Markdown.

    Args:
        encoder: what kind it is, for the beginning of a sentence.
        data: sentences on the recordings.
        left_out: how many recordings were not used.
        chosen: options of `transcribe` that choose these weights.
    """
    rates = "\n".join(_row(label, scores.rate(key)) for label, key in (("WER", "wer"), ("CER", "cer")))
    held = "\n".join(f"- {sentence}" for sentence in data)
    return f"""# {name}

{encoder} ({model}), arm `{arm}`, language `{language}`: {trained.trained:,} of {trained.total:,} weights trained
({trained.percent:.2f} %), {steps} steps, peak rate {peak_lr:g}.

## Scores on dev

| | % | 95 % interval |
|---|---|---|
{rates}

{len(scores.items)} recordings, the likeliest path without a language model. {NORMALISED} They are of the same
kind as the training data: other voices and rooms do worse.

## Learned from

{held}
- {left_out} recordings were left out

## Use

```sh
python -m speech_adapters transcribe talk.wav {chosen}
```
"""


def _row(label: str, rate: dict[str, Any]) -> str:
    bounds = "too few to tell" if rate["low"] is None else f"{rate['low']:.1f} to {rate['high']:.1f}"
    return f"| {label} | {rate['percent']:.1f} | {bounds} |"
