"""The optimiser is AdamW as a recipe sets it: a step written by hand, which ignoring any setting would miss."""

from dataclasses import dataclass

import pytest
import torch
from toy_recipe import Toy

from common import checkpoint, runtime, trainer
from common.recipe import Shard

LAST = "layers.3."  # the layer that learns slower and does not decay
SETTINGS = {"betas": (0.6, 0.7), "weight_decay": 0.5, "clip_norm": 0.05, "lr_ratio": 0.1}
EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class Grouped(Toy):
    """Two groups of weights with settings of their own, and one bias that is frozen."""

    steps: int = 2  # the first step of AdamW is the same for all betas and every length of the gradient
    dropout: float = 0.0
    ema_decay: float = 0.0
    betas: tuple[float, float] = SETTINGS["betas"]
    weight_decay: float = SETTINGS["weight_decay"]
    clip_norm: float = SETTINGS["clip_norm"]
    lr_ratio: float = SETTINGS["lr_ratio"]

    def model(self):
        network = super().model()
        network.layers[0].bias.requires_grad_(False)
        return network

    def parameter_groups(self, model):
        slow = {"params": list(model.layers[3].parameters()), "lr_ratio": self.lr_ratio, "weight_decay": 0.0}
        return [{"params": [model.layers[0].weight]}, slow]


def by_hand(*, betas, weight_decay, clip_norm, lr_ratio):
    """Every weight after the steps [Loshchilov19, Algorithm 2], with `Grouped`'s rates, start and batches."""
    recipe = Grouped()
    runtime.seed_all(0, "init")
    network = recipe.model().train()
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    mean = {name: torch.zeros_like(weight) for name, weight in trained.items()}
    square = {name: torch.zeros_like(weight) for name, weight in trained.items()}
    for step in range(recipe.steps):
        loss = sum(recipe.losses(network, recipe.batch(0, step, Shard()), step).values())
        gradients = torch.autograd.grad(loss, list(trained.values()))
        length = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        for (name, weight), gradient in zip(trained.items(), gradients, strict=True):
            gradient = gradient * min(1.0, clip_norm / length)
            mean[name] = betas[0] * mean[name] + (1 - betas[0]) * gradient
            square[name] = betas[1] * square[name] + (1 - betas[1]) * gradient**2
            first, second = (
                mean[name] / (1 - betas[0] ** (step + 1)),
                square[name] / (1 - betas[1] ** (step + 1)),
            )
            rate = recipe.lr(step) * (lr_ratio if name.startswith(LAST) else 1)
            decay = 0.0 if name.startswith(LAST) else weight_decay
            weight.data -= rate * (first / (second.sqrt() + EPSILON) + decay * weight.data)
    return {name: weight.detach() for name, weight in network.named_parameters()}


def _furthest(one, two):
    return max((one[name] - two[name]).abs().max().item() for name in one)


@pytest.fixture
def trained(tmp_path):
    trainer.train(Grouped(), seed=0, folder=tmp_path, device="cpu")
    weights = checkpoint.load(tmp_path / "weights.safetensors").tensors
    return {name: weights[name] for name in weights if name != "mean_output"}


def test_training_is_adamw_by_hand(trained):
    """Off by 1e-6 at most, where the rate is 2e-2: the clipped length differs by an epsilon of torch's."""
    assert _furthest(trained, by_hand(**SETTINGS)) < 2e-6


@pytest.mark.parametrize(
    ("key", "ignored"),
    [
        ("betas", (0.9, 0.999)),  # torch's own
        ("betas", (SETTINGS["betas"][0], 0.999)),
        ("betas", (0.9, SETTINGS["betas"][1])),
        ("weight_decay", 0.01),  # torch's own
        ("weight_decay", 0.0),
        ("clip_norm", float("inf")),
        ("lr_ratio", 1.0),
    ],
)
def test_each_setting_shows_in_the_weights(trained, key, ignored):
    """Else the test above would pass without it."""
    assert _furthest(trained, by_hand(**SETTINGS | {key: ignored})) > 1e-4
