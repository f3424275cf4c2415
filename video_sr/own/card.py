"""The page that lies beside trained weights: what they learned from, how well they do, how to use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from common.results import Item
from video_sr.measures import PSNR, SSIM
from video_sr.upscaling import Upscaling

OWN = "this model"


@dataclass(frozen=True)
class Scores:
    """Means over dev files, each counting once."""

    psnr_db: float
    ssim: float
    files: int
    by_file: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Scores:
        by_file = {one.id: {"psnr_db": one.scores[PSNR.name], "ssim": one.scores[SSIM.name]} for one in items}
        means = {key: fmean(row[key] for row in by_file.values()) for key in ("psnr_db", "ssim")}
        return cls(means["psnr_db"], means["ssim"], len(by_file), by_file)

    def record(self) -> dict[str, Any]:
        return asdict(self)


def card(
    *,
    name: str,
    network: str,
    recipe: Upscaling,
    data: Sequence[str],
    scores: Mapping[str, Scores],
    weights: int,
    wall_s: float,
    told: str = "",
) -> str:
    """Markdown.

    Args:
        network: by the name that `train --network` takes.
        data: sentences on the files.
        scores: of `OWN` and of its peers.
        told: what who enlarges by it should know, "" where nothing is.
    """
    rows = "\n".join(f"| {who} | {found.psnr_db:.2f} | {found.ssim:.4f} |" for who, found in scores.items())
    held = "\n".join(f"- {sentence}" for sentence in data)
    return f"""# {name}

Enlarges video x16: `{network}`, {weights:,} weights, {recipe.steps} steps of {recipe.batch_size} windows, peak rate
{recipe.peak_lr:g}, {wall_s / 60:.1f} min.

{f"**Note**: {told}.{chr(10)}{chr(10)}" if told else ""}## Scores on dev

| | PSNR (dB) | SSIM |
|---|--:|--:|
{rows}

{scores[OWN].files} files, two frames of each, 8-bit RGB, no border cut; small frames by MATLAB's bicubic to 1/16. Files
were divided by file, not by what they show: where the same place or shot is in several files, this flatters.

## Learned from

{held}

## Use

```sh
python -m video_sr upscale small.mp4 large.mp4 --model {name}
python -m video_sr score --sr made --hr truth --peer {name}
```
"""
