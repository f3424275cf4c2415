"""A network of the challenge trained for what looks right (track 2), against a critic, as a setting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from video_sr.networks.network import Network, at_least
from video_sr.networks.wide_activation import WideActivationSizes

if TYPE_CHECKING:
    from torch import Tensor, nn

GENERATOR, CRITIC = "generator", "critic"


@dataclass(frozen=True, kw_only=True)
class PerceptualSizes(Network):
    """A generator, which is what enlarges, and a critic of its pictures.

    Args:
        generator: any network that is trained with one optimiser.
        critic_channels: width of the critic at full size; it doubles at each of three halvings.
        adversarial: weight of the critic's opinion, where the Charbonnier loss has one.
        matching: weight of the distance between the critic's features of both pictures.
    """

    generator: Network = field(default_factory=WideActivationSizes)
    critic_channels: int = 64
    adversarial: float = 0.005
    matching: float = 0.05

    def __post_init__(self) -> None:
        at_least(self, 1, "critic_channels")
        at_least(self, 0, "adversarial", "matching")
        if len(self.generator.turns()) > 1:
            raise ValueError("generator must be a network without a critic of its own")

    @property
    def num_frames(self) -> int:
        return self.generator.num_frames

    def prepare(self) -> None:
        self.generator.prepare()

    def build(self) -> nn.Module:
        from video_sr.models.perceptual import Perceptual

        return Perceptual(self.generator.build(), self.critic_channels)

    def empty(self) -> nn.Module:
        from video_sr.models.perceptual import Perceptual

        return Perceptual(self.generator.empty(), self.critic_channels)

    def pretrained_layers(self) -> tuple[str, ...]:
        return tuple(f"{GENERATOR}.{name}" for name in self.generator.pretrained_layers())

    def turns(self) -> tuple[str, ...]:
        return (GENERATOR, CRITIC)

    def turn_of(self, name: str) -> str:
        return CRITIC if name.startswith(f"{CRITIC}.") else GENERATOR

    def losses_in_turn(
        self, turn: str, model: nn.Module, low: Tensor, high: Tensor, *, eps: float
    ) -> dict[str, Tensor]:
        import torch

        from video_sr.objective import charbonnier, feature_matching, relativistic

        network: Any = getattr(model, "module", model)
        with torch.set_grad_enabled(turn == GENERATOR):
            made = network.generator(low)
        of_made, features_made = network.critic(made)
        of_truth, features_of_truth = network.critic(high)
        if turn == CRITIC:
            return {"critic": relativistic(of_truth, of_made)}
        return {
            "charbonnier": charbonnier(made, high, eps=eps),
            "adversarial": self.adversarial * relativistic(of_made, of_truth.detach()),
            "matching": self.matching * feature_matching(features_made, features_of_truth),
        }

    def departures(self) -> tuple[str, ...]:
        return (
            *self.generator.departures(),
            "Trained against a critic alone: no feature distance is among its losses.",
        )
