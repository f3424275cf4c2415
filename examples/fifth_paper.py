"""A fifth paper in one file: deep residual learning (He et al., arXiv 1512.03385) on the 1,797 digits of scikit-learn.

Its claim: a plain deep network trains badly, and shortcuts cure that. What stands here is all that a paper needs;
trainer, resuming, seeds, scores, verdicts, report and command line come from `common`. See docs/fifth-paper.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from common.claims import Claim
from common.data.order import draws
from common.kinds import Superior
from common.papers import Data, Paper, Report, Scale
from common.recipe import Recipe, Shard
from common.report.styles import method_styles
from common.results import Item

WIDTH, PARTS = 32, {"train": range(1200), "dev": range(1200, 1400), "test": range(1400, 1797)}


@cache
def digits() -> tuple[Tensor, Tensor]:
    """(1797 x 64 pixels in 0..1, their names); they follow one another writer by writer."""
    found = load_digits()
    return torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)


@dataclass
class Digits:
    pixels: Tensor
    names: Tensor

    def to(self, device: Any) -> Digits:
        return Digits(self.pixels.to(device), self.names.to(device))


class Deep(nn.Module):
    def __init__(self, depth: int, shortcuts: bool):
        super().__init__()
        self.first, self.last, self.shortcuts = nn.Linear(64, WIDTH), nn.Linear(WIDTH, 10), shortcuts
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.layers:  # equation (1): y = F(x) + x
            x = torch.relu(layer(x)) + (x if self.shortcuts else 0)
        return self.last(x)


@dataclass(frozen=True, kw_only=True)
class Classify(Recipe):
    steps: int = 100
    batch_size: int = 64
    peak_lr: float = 1e-3
    depth: int = 20
    shortcuts: bool = True

    def model(self) -> nn.Module:
        return Deep(self.depth, self.shortcuts)

    def batch(self, seed: int, step: int, shard: Shard) -> Digits:
        drawn = [draw.item for draw in draws(len(PARTS["train"]), self.batch_size, seed, step, shard)]
        pixels, names = digits()
        return Digits(pixels[drawn], names[drawn])

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        return [f"digit-{d.item}" for d in draws(len(PARTS["train"]), self.batch_size, seed, step, shard)]

    def losses(self, model: nn.Module, batch: Digits, step: int) -> dict[str, Tensor]:
        return {"nats": nn.functional.cross_entropy(model(batch.pixels), batch.names)}

    def score(self, model: nn.Module, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        pixels, names = digits()
        nats = nn.functional.cross_entropy(model(pixels), names, reduction="none").tolist()
        for item in PARTS[split]:
            yield Item(f"digit-{item}", f"writer-{item // 40}", "digits", {"nats": nats[item]})


ARMS = {"DEEP": Classify(), "PLAIN": Classify(shortcuts=False)}
PAPER = Paper(
    slug="residual-learning", title="Deep residual learning (arXiv 1512.03385)", folder=Path(__file__).parent,
    scales={
        "smoke": Scale(recipes={name: replace(arm, steps=3) for name, arm in ARMS.items()}, seeds=1),
        "mini": Scale(recipes=ARMS, seeds=3),
    },
    data=Data(verify=lambda scale: [], pack=lambda path, scale: "", scorable=lambda: True),
    claims=[Claim(
        id="shortcuts", says="A deep network with shortcuts is better than a plain one.", where="section 4.1",
        paper="ImageNet, 34 layers: 25.03 against 28.54 % top-1 error", reads=("PLAIN", "DEEP"), kind=Superior(),
        margin=lambda arms: arms["DEEP"].group_mean(arms["PLAIN"]["nats"] - arms["DEEP"]["nats"]),
        unit="nats", scales=("mini",), headline=True,
    )],
    report=Report(
        topic="residual learning", styles=method_styles(ARMS),
        **dict.fromkeys(("figures", "tables", "details", "panels"), lambda _: ()),
    ),
)  # fmt: skip
