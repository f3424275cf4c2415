"""Learning-rate schedules as values: a rate is a function of the step alone, so no resume can change it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEAST_RATIO = 1e-6  # of the peak: an exponential decay never reaches 0


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """How the learning rate goes up and down in a training."""

    @abstractmethod
    def rate(self, peak_lr: float, step: int, steps: int) -> float:
        """Rate of a step, counted from 0, in a training of `steps`."""


def _share(key: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{key} must be in 0..1, got {value}")


def _count(key: str, value: int) -> None:
    if value < 0:
        raise ValueError(f"{key} must be 0 or more, got {value}")


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Linear warm-up, then half a cosine down to `final_ratio` of the peak; a ratio of 1 holds it."""

    warmup_steps: int = 0
    final_ratio: float = 0.0

    def __post_init__(self) -> None:
        _count("warmup_steps", self.warmup_steps)
        _share("final_ratio", self.final_ratio)

    def rate(self, peak_lr: float, step: int, steps: int) -> float:
        if step < self.warmup_steps:
            return peak_lr * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, steps - self.warmup_steps)
        floor = self.final_ratio
        return peak_lr * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


@dataclass(frozen=True, kw_only=True)
class TriStage(Schedule):
    """Linear warm-up, the peak held, then an exponential decay to `final_ratio` of it: fairseq's tri-stage."""

    warmup_steps: int = 0
    hold_share: float = 0.4  # of all steps
    final_ratio: float = 0.05

    def __post_init__(self) -> None:
        _count("warmup_steps", self.warmup_steps)
        _share("hold_share", self.hold_share)
        _share("final_ratio", self.final_ratio)

    def rate(self, peak_lr: float, step: int, steps: int) -> float:
        held_until = self.warmup_steps + self.hold_share * steps
        if step < self.warmup_steps:
            return peak_lr * (step + 1) / self.warmup_steps
        if step < held_until:
            return peak_lr
        done = (step - held_until) / max(1.0, steps - held_until)
        return peak_lr * float(max(self.final_ratio, LEAST_RATIO) ** min(1.0, done))


COSINE, TRI_STAGE = Cosine(), TriStage()


@dataclass(frozen=True, kw_only=True)
class InTurn(Schedule):
    """Two trainings in one: the schedule runs over the first steps, then once more over the rest."""

    first_steps: int
    schedule: Schedule = COSINE

    def __post_init__(self) -> None:
        _count("first_steps", self.first_steps)

    def rate(self, peak_lr: float, step: int, steps: int) -> float:
        if step < self.first_steps:
            return self.schedule.rate(peak_lr, step, self.first_steps)
        return self.schedule.rate(peak_lr, step - self.first_steps, steps - self.first_steps)


def from_former(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of results older than schedules, with `schedule` in place of the numbers of one.

    They held `warmup_steps` and `final_lr_ratio` of a cosine, and `hold_share` where it was a tri-stage.
    """
    if "warmup_steps" not in settings:
        return dict(settings)
    numbers = {"warmup_steps", "final_lr_ratio", "hold_share"}
    told = {"warmup_steps": settings["warmup_steps"], "final_ratio": settings["final_lr_ratio"]}
    if "hold_share" in settings:
        told = {"kind": "TriStage", "hold_share": settings["hold_share"], **told}
    else:
        told = {"kind": "Cosine", **told}
    return {**{key: value for key, value in settings.items() if key not in numbers}, "schedule": told}
