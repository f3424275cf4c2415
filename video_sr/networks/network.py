"""What every network of the challenge is as a setting: sizes that must be equal for weights to fit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from video_sr.challenge import FACTOR

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Network(ABC):
    """Sizes of a network that enlarges the middle one of `num_frames` frames x16."""

    @property
    @abstractmethod
    def num_frames(self) -> int:
        """Frames of the window it sees, odd; 1 for a single-frame network."""

    @abstractmethod
    def build(self) -> nn.Module:
        """A new network, from torch's random state."""

    def empty(self) -> nn.Module:
        """One whose weights are to be read from a file of ours; needs no package."""
        return self.build()

    def prepare(self) -> None:
        """Fetches what `build` reads, where it reads anything."""
        return

    def pretrained_layers(self) -> tuple[str, ...]:
        """How the names of weights begin that `build` read from others, and that so may learn more slowly."""
        return ()

    def losses(self, model: nn.Module, low: Tensor, high: Tensor, *, eps: float) -> dict[str, Tensor]:
        """What training it makes small, by name, weighted, to be summed.

        Args:
            model: what `build` gave.
            low: windows of frames, (batch, time, 3, height, width).
            high: the truth of their middle frames.
            eps: of the Charbonnier loss, where it has one.
        """
        from video_sr.objective import charbonnier

        return {"charbonnier": charbonnier(model(low), high, eps=eps)}

    @property
    def fitted_on(self) -> int:
        """How many training examples are told to `fit` before it is scored."""
        return 0

    def fit(self, model: nn.Module, examples: Iterable[tuple[ndarray, ndarray]]) -> None:
        """Sets what has a closed form, from low-resolution frames (time, height, width, 3) and truths, uint8."""
        return

    def control(self, truth: ndarray) -> dict[str, float]:
        """What is scored of a frame (height, width, 3) beside what the network makes of it, by name."""
        return {}

    def turns(self) -> tuple[str, ...]:
        """As `Recipe.turns`: names of the optimisers that its training takes."""
        return ("",)

    def turn_of(self, name: str) -> str:
        """Which of them moves the weight of that name."""
        return self.turns()[0]

    def losses_in_turn(
        self, turn: str, model: nn.Module, low: Tensor, high: Tensor, *, eps: float
    ) -> dict[str, Tensor]:
        """As `losses`, of one of several optimisers."""
        return self.losses(model, low, high, eps=eps)

    def departures(self) -> tuple[str, ...]:
        """In what its sizes differ from the paper's, one sentence each."""
        return ()


def l1_of(model: nn.Module, low: Tensor, high: Tensor) -> dict[str, Tensor]:
    """The losses of a network that is trained on L1 alone."""
    from video_sr.objective import l1

    return {"l1": l1(model(low), high)}


def at_least(owner: object, least: int, *keys: str) -> None:
    for key in keys:
        if getattr(owner, key) < least:
            raise ValueError(f"{key} must be {least} or more, got {getattr(owner, key)}")


def check_squeeze(squeeze: int, channels: int) -> None:
    if not 1 <= squeeze <= channels:
        raise ValueError(f"squeeze must be in 1..{channels} (the channels), got {squeeze}")


def check_odd(owner: object, *keys: str) -> None:
    for key in keys:
        value = getattr(owner, key)
        if value < 1 or value % 2 == 0:
            raise ValueError(f"{key} must be odd, for there to be a centre, got {value}")


def check_groups(groups: int, channels: int) -> None:
    if groups < 1 or channels % groups:
        raise ValueError(f"groups must divide the {channels} channels, got {groups}")


def check_stages(stages: tuple[int, ...]) -> None:
    if math.prod(stages) != FACTOR:
        raise ValueError(f"stages must multiply to {FACTOR}, got {stages}")
