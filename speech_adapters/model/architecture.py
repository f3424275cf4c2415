"""Sizes of encoders and what training does to their inputs, as settings; no torch, so that recipes load fast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.settings import later

SAMPLE_RATE_HZ = 16_000
CONV_NORMS = ("group", "layer")
BASE_CONV = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes and places of norms: what must be equal for weights to fit."""

    conv: tuple[tuple[int, int, int], ...] = BASE_CONV  # channels, kernel, stride of each layer
    conv_norm: str = "group"  # one norm, after the first layer; "layer": one after each, over channels
    conv_bias: bool = False
    width: int = 768  # channels of the Transformer
    layers: int = 12
    heads: int = 12
    inner: int = 3072  # channels of the feed-forward
    pre_norm: bool = False  # norms before attention and feed-forward instead of after the residual sum
    positional_kernel: int = 128
    positional_groups: int = 16
    positional_layers: int = later(
        0
    )  # of data2vec: that many plain convolutions instead of one with weight norm
    normalise_input: bool = False  # each waveform to zero mean and unit variance
    input_epsilon: float = later(1e-5)  # added to that variance: fairseq's and ours; transformers has 1e-7

    def __post_init__(self) -> None:
        # JSON has lists where these are tuples.
        object.__setattr__(self, "conv", tuple(tuple(layer) for layer in self.conv))
        if self.conv_norm not in CONV_NORMS:
            raise ValueError(f"conv_norm must be one of {', '.join(CONV_NORMS)}, got {self.conv_norm!r}")
        for key in ("heads", "positional_groups"):
            if self.width % getattr(self, key):
                raise ValueError(f"{key} must divide width {self.width}, got {getattr(self, key)}")

    @property
    def stride(self) -> int:
        """Samples between two frames."""
        return math.prod(stride for _, _, stride in self.conv)

    @property
    def receptive_field(self) -> int:
        """Samples that one frame sees, the fewest that give a frame."""
        field = 1
        for _, kernel, stride in reversed(self.conv):
            field = (field - 1) * stride + kernel
        return field

    @property
    def frame_s(self) -> float:
        return self.stride / SAMPLE_RATE_HZ

    def num_frames(self, num_samples: Any) -> Any:
        """Frames of that many samples, an int or a tensor of ints; 0 when they are too few for one."""
        for _, kernel, stride in self.conv:
            num_samples = (num_samples - kernel) // stride + 1
        return max(0, num_samples) if isinstance(num_samples, int) else num_samples.clamp(min=0)


@dataclass(frozen=True, kw_only=True)
class WhisperArchitecture(Architecture):
    """Sizes of a Whisper encoder [Radford22, arXiv 2212.04356]: convolutions over a log-mel spectrum, fixed positions.

    `conv` tells of those convolutions, each with padding; fields of the convolutional positions mean nothing.
    """

    conv: tuple[tuple[int, int, int], ...] = ((512, 3, 1), (512, 3, 2))
    conv_bias: bool = True
    width: int = 512
    layers: int = 6
    heads: int = 8
    inner: int = 2048
    pre_norm: bool = True
    positional_kernel: int = 1
    positional_groups: int = 1
    bands: int = 80  # of the spectrum
    window: int = 400  # samples of one frame of the spectrum
    hop: int = 160  # samples between two
    most_frames: int = 1500  # positions there are: 30 s

    @property
    def stride(self) -> int:
        return self.hop * super().stride

    @property
    def receptive_field(self) -> int:
        """The fewest samples that give a frame: the spectrum's window. One frame sees 880 of them."""
        return self.window

    def num_frames(self, num_samples: Any) -> Any:
        frames = self.spectrum_frames(num_samples)
        for _, _, stride in self.conv:
            frames = -(-frames // stride)
        return frames

    def spectrum_frames(self, num_samples: Any) -> Any:
        """Frames of the spectrum, an int or a tensor of ints; 0 when the samples are too few for one."""
        return (num_samples // self.hop) * (num_samples >= self.window)


def kind_of(architecture: Architecture) -> str:
    """For people; a supervised encoder is always named so."""
    whisper = isinstance(architecture, WhisperArchitecture)
    return "Whisper's encoder, supervised and multilingual" if whisper else "wav2vec 2.0"


def architecture_of(sizes: Mapping[str, Any]) -> Architecture:
    """Of settings as JSON holds them."""
    conv = tuple((channels, kernel, stride) for channels, kernel, stride in sizes["conv"])
    kind = WhisperArchitecture if "bands" in sizes else Architecture
    return kind(**{**sizes, "conv": conv})


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Probabilities in 0..1 while training."""

    residual: float = 0.0  # after attention, feed-forward and the embedding
    attention: float = 0.0
    inner: float = 0.0  # inside the feed-forward
    features: float = 0.0  # of the projected conv features
    layer: float = 0.0  # of skipping a Transformer layer


NO_DROPOUT = Dropout()
BASE = Architecture()
LARGE = Architecture(width=1024, layers=24, heads=16, inner=4096)
XLSR = Architecture(
    width=1024, layers=24, heads=16, inner=4096, conv_norm="layer", conv_bias=True, pre_norm=True, normalise_input=True
)  # fmt: skip
# For two CPU cores: as many frames a second as BASE, six conv layers that narrow fast, pre-norm because the small
# post-norm nets that were tried stayed at chance in self-supervised pre-training.
SMALL = Architecture(
    conv=((64, 20, 10), (96, 3, 2), (128, 3, 2), (160, 3, 2), (160, 2, 2), (160, 2, 2)),
    width=192, layers=4, heads=4, inner=768, pre_norm=True, positional_kernel=64,
)  # fmt: skip
# For one GPU and the same few hours of speech: as deep as BASE, so that what layers are adapted can be asked.
DEEP = replace(SMALL, width=144, layers=12, heads=6, inner=576)
TINY = Architecture(
    conv=((8, 20, 10), (8, 3, 2), (16, 3, 2), (16, 3, 2), (16, 2, 2), (16, 2, 2)),
    width=24, layers=2, heads=2, inner=48, pre_norm=True, positional_kernel=16, positional_groups=4,
)  # fmt: skip
WHISPER_BASE = WhisperArchitecture()
WHISPER_TINY = WhisperArchitecture(conv=((24, 3, 1), (24, 3, 2)), width=24, layers=2, heads=2, inner=48)
ARCHITECTURES = {
    "base": BASE,
    "large": LARGE,
    "xlsr": XLSR,
    "small": SMALL,
    "deep": DEEP,
    "tiny": TINY,
    "whisper-base": WHISPER_BASE,
    "whisper-tiny": WHISPER_TINY,
}


@dataclass(frozen=True, kw_only=True)
class Masking:
    """Spans that are masked: each place starts one with probability `start`, so spans overlap [§3.1]."""

    start: float = 0.065  # share of places that start a span, in 0..1
    span: int = 10  # places that a span hides
