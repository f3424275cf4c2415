"""Which parts the benchmarks have, in the order in which they are worth having when time is short."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Planned:
    """A part of a benchmark, and its minutes with 15 rounds on two quiet cores."""

    benchmark: str
    part: str
    minutes: float

    def __str__(self) -> str:
        return f"{self.benchmark} {self.part}"


PLAN = (
    Planned("speech_steps", "ragged", 3.8),
    Planned("speech_steps", "top", 1.5),
    Planned("speech_steps", "adapters", 2.5),
    Planned("speech_steps", "full", 4.2),
    Planned("transcription", "ragged", 1.8),
    Planned("pair_similarity", "steps", 0.8),
    Planned("clip_search", "search", 1.2),
    Planned("transcription", "long", 2.0),
    Planned("pretraining_steps", "steps", 6.5),
    Planned("speech_steps", "settings", 3.8),
    Planned("speech_steps", "arms", 2.8),
    Planned("speech_steps", "bf16", 3.5),
    Planned("speech_steps", "lora", 1.6),
    Planned("pair_similarity", "alone", 1.0),
    Planned("pair_similarity", "larger", 1.2),
    Planned("clip_search", "index", 0.8),
    Planned("clip_search", "approximate", 2.0),
    Planned("clip_search", "loading", 0.5),
    Planned("upscaling", "times", 1.0),
    Planned("upscaling", "peers", 4.5),
    Planned("resize", "all", 0.3),
    Planned("image_quality", "all", 0.5),
    Planned("speech_steps", "memory", 3.5),
    Planned("pretraining_steps", "memory", 2.5),
    Planned("pair_similarity", "memory", 1.5),
    Planned("upscaling", "memory", 1.0),
    Planned("clip_search", "memory", 0.5),
    Planned("memory", "transcribe", 2.0),
    Planned("memory", "upscale", 2.0),
    Planned("memory", "index", 2.0),
)
PROFILES = (Planned("profiles", "all", 1.0),)
BENCHMARKS = tuple(dict.fromkeys(each.benchmark for each in PLAN))


def planned(names: Sequence[str] | None) -> tuple[Planned, ...]:
    """The parts of some benchmarks, or of all."""
    return tuple(each for each in PLAN if not names or each.benchmark in names)
