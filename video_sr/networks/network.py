"""What every network of the challenge is as a setting: sizes that must be equal for weights to fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


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

    def prepare(self) -> None:  # noqa: B027 (most networks read nothing)
        """Fetches what `build` reads beside its sizes; nothing unless weights of others are in it."""

    def departures(self) -> tuple[str, ...]:
        """In what its sizes differ from the paper's, one sentence each."""
        return ()


def at_least(owner: object, least: int, *keys: str) -> None:
    for key in keys:
        if getattr(owner, key) < least:
            raise ValueError(f"{key} must be {least} or more, got {getattr(owner, key)}")


def check_squeeze(squeeze: int, channels: int) -> None:
    if not 1 <= squeeze <= channels:
        raise ValueError(f"squeeze must be in 1..{channels} (the channels), got {squeeze}")
