"""The page that lies beside trained weights: what they learned from, how well they do, how to use them."""

from __future__ import annotations

from collections.abc import Sequence

from multimodal_ssl.own.evaluation import DIRECTIONS, KS, Scores, with_interval


def card(
    *,
    name: str,
    start: str,
    data: Sequence[str],
    left_out: int,
    weights: int,
    steps: int,
    peak_lr: float,
    scores: Scores,
    use: str,
) -> str:
    """Markdown.

    Args:
        data: sentences on the clips.
        left_out: how many clips and captions were not used.
        weights: how many there are, those that stay as they are as well.
        use: lines to paste.
    """
    rows = []
    for part in DIRECTIONS:
        recalls = [scores.recall(part, k) for k in KS]
        cells = " | ".join(f"{with_interval(found)}, at random {found['chance']:.1f}" for found in recalls)
        rows.append(f"| {part.name} | {cells} | {scores.median_rank(part):g} |")
    table = "\n".join(rows)
    held = "\n".join(f"- {sentence}" for sentence in data)
    return f"""# {name}

A model of clips and captions, started from `{start}`: {weights:,} weights, {steps} steps, peak rate {peak_lr:g}.

## Scores on dev

| | R@1 % | R@5 % | R@10 % | median rank |
|---|---|---|---|---|
{table}

{len(scores.items)} searches; in brackets 95 % intervals over {scores.drawn}. {scores.protocol}.
The clips are of the same kind as those trained on: other films do worse.

## Learned from

{held}
- {left_out} clips or captions were left out

## Use

```sh
{use}
```
"""
