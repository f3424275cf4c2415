"""Sizes of the encoders and heads, as settings; no torch, so that recipes load fast."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

VIDEO_NETS = ("small", "s3d", "r2plus1d")
AUDIO_NETS = ("small", "resnet18")
TEXT_UNITS = ("phrases", "words")
WORD_VECTORS = ("glove-50", "word2vec-300", "trained")
GRAPHS = ("shared", "fac")


def _one_of(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{key} must be one of {', '.join(known)}, got {value!r}")


def _counts(owner: object, *keys: str) -> None:
    for key in keys:
        value = getattr(owner, key)
        if min(value if isinstance(value, tuple) else (value,), default=0) < 1:
            raise ValueError(f"{key} must be 1 or more, got {value}")


@dataclass(frozen=True, kw_only=True)
class Video:
    """Which network sees the frames; `widths` and `time_strides` are the small one's."""

    net: str = "small"
    widths: tuple[int, ...] = (24, 40, 80)  # channels after the first, second and last spatial stride
    time_strides: tuple[int, ...] = (2, 2)  # of its two 3x1x1 convolutions; (1, 1) keeps every frame apart

    def __post_init__(self) -> None:
        _one_of("net", self.net, VIDEO_NETS)
        _counts(self, "widths", "time_strides")
        for key, wanted in (("widths", 3), ("time_strides", 2)):
            if len(getattr(self, key)) != wanted:
                raise ValueError(f"{key} must have {wanted} numbers, got {getattr(self, key)}")


@dataclass(frozen=True, kw_only=True)
class Audio:
    """The log-mel front end, in MMV's times [Alayrac20], and the network behind it; `widths` are the small one's."""

    net: str = "small"
    widths: tuple[int, ...] = (24, 48, 96)  # each layer halves both time and frequency
    window_s: float = 2048 / 48_000
    hop_s: float = 1024 / 48_000
    mels: int = 80  # bins of the mel scale, 0 to 8 kHz

    def __post_init__(self) -> None:
        _one_of("net", self.net, AUDIO_NETS)
        _counts(self, "widths", "mels")
        if not 0 < self.hop_s <= self.window_s:
            raise ValueError(f"hop_s must be in (0, window_s = {self.window_s:g}], got {self.hop_s:g}")


@dataclass(frozen=True, kw_only=True)
class Text:
    """How words become units: a unit for each window of 1, 2, 3 words, or one for the sentence [Miech20]."""

    units: str = "phrases"
    vectors: str = "glove-50"  # frozen, from elsewhere; "trained": learned from nothing
    hidden: int = 128  # channels that each word is mapped to
    width: int = 128  # channels of a phrase; a sentence of units="words" has `hidden`
    phrase_words: tuple[int, ...] = (1, 2, 3)  # windows of so many words
    padding_takes_part: bool = (
        False  # in the maximum over words, as MIL-NCE's code has it; units="words" only
    )

    def __post_init__(self) -> None:
        _one_of("units", self.units, TEXT_UNITS)
        _one_of("vectors", self.vectors, WORD_VECTORS)
        _counts(self, "hidden", "width", "phrase_words")
        if self.padding_takes_part and self.units != "words":
            raise ValueError(
                'padding_takes_part needs units="words": windows that touch padding are no phrases'
            )


@dataclass(frozen=True, kw_only=True)
class Heads:
    """From each encoder's channels to the spaces where units are compared.

    "shared": one linear layer a modality, all into one space. "fac": video -> space with audio -> space with text
    [Alayrac20 MMV].
    """

    graph: str = "shared"
    text_width: int = 128  # channels where text is compared; under "shared" everything is
    audio_width: int = 512  # channels where audio is compared with video, and of the hidden layer; "fac" only
    pool_video: bool = False  # one unit a clip, averaged before the heads, as MMV and MIL-NCE have it
    unit_norm: bool = True  # MIL-NCE as published compares raw vectors

    def __post_init__(self) -> None:
        _one_of("graph", self.graph, GRAPHS)
        _counts(self, "text_width", "audio_width")


@dataclass(frozen=True, kw_only=True)
class Network:
    """Everything that must be equal for weights to fit."""

    video: Video = Video()
    text: Text = Text()
    audio: Audio | None = None  # None: clips are taken as silent
    heads: Heads = Heads()

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Network:
        """Settings as `json` gave them."""
        audio = fields["audio"]
        return cls(
            video=Video(**_with_tuples(fields["video"])),
            text=Text(**_with_tuples(fields["text"])),
            audio=None if audio is None else Audio(**_with_tuples(audio)),
            heads=Heads(**fields["heads"]),
        )


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where these are tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


# For two CPU cores: 4 frames of 64x64 pixels make 8x8 places.
MINI = Network(text=Text(width=256))
SMOKE = Network(
    video=Video(widths=(4, 6, 8)), text=Text(hidden=12, width=16), audio=Audio(widths=(4, 6, 8), mels=20),
    heads=Heads(graph="fac", text_width=8, audio_width=12),
)  # fmt: skip
# 16 frames of 224x224 pixels make 2x7x7 places.
GPU = Network(
    video=Video(net="s3d"), text=Text(hidden=512, width=512), audio=Audio(net="resnet18"),
    heads=Heads(graph="fac", text_width=256),
)  # fmt: skip
# MMV's sizes; hidden = 2048 is that of MIL-NCE's and MMV's text nets.
PAPER = replace(GPU, text=Text(vectors="word2vec-300", hidden=2048, width=512))
