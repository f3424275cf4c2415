"""Encoders and heads as settings that build them; no torch, so that recipes load fast.

A further encoder is a class here, its module in `encoders/`, and a constant that names it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from multimodal_ssl.model.vocabulary import Glove50, GloveOfContent, Word2vec300, WordVectors

if TYPE_CHECKING:
    from torch import Tensor

    from multimodal_ssl.model.encoders.audio import AudioEncoder, LogMel
    from multimodal_ssl.model.encoders.text import TextEncoder
    from multimodal_ssl.model.encoders.video import VideoEncoder
    from multimodal_ssl.model.heads import Projections


def _counts(owner: object, *keys: str) -> None:
    for key in keys:
        value = getattr(owner, key)
        if min(value if isinstance(value, tuple) else (value,), default=0) < 1:
            raise ValueError(f"{key} must be 1 or more, got {value}")


# ---- video


class VideoNet(ABC):
    """Which network sees the frames."""

    @abstractmethod
    def build(self) -> VideoEncoder:
        """The encoder, with fresh weights."""

    def fetched(self) -> dict[str, Tensor]:
        """Weights that a package brings and no file of ours keeps, by their names in the encoder; none but for those
        that say so.

        Raises:
            FetchError: the package cannot be had.
        """
        return {}


@dataclass(frozen=True, kw_only=True)
class SmallVideo(VideoNet):
    """Six convolutions, over space and time in turn, for CPU cores.

    Args:
        widths: channels after the first, second and last spatial stride.
        time_strides: of its two 3x1x1 convolutions; (1, 1) keeps every frame apart.
    """

    widths: tuple[int, int, int] = (24, 40, 80)
    time_strides: tuple[int, int] = (2, 2)

    def __post_init__(self) -> None:
        _counts(self, "widths", "time_strides")

    def build(self) -> VideoEncoder:
        from multimodal_ssl.model.encoders.video import SmallVideoEncoder

        return SmallVideoEncoder(self.widths, self.time_strides)


@dataclass(frozen=True)
class S3D(VideoNet):
    """Separable 3-D Inception  [Xie18]."""

    def build(self) -> VideoEncoder:
        from multimodal_ssl.model.encoders.video import S3DEncoder

        return S3DEncoder()


@dataclass(frozen=True)
class R2Plus1D(VideoNet):
    """R(2+1)D-18  [Tran18]."""

    def build(self) -> VideoEncoder:
        from multimodal_ssl.model.encoders.video import R2Plus1DEncoder

        return R2Plus1DEncoder()


@dataclass(frozen=True)
class ImageNetClasses(VideoNet):
    """EfficientNet-Lite2 with ImageNet's weights: at each place of the frames, shares of 1,000 classes  [Tan19]."""

    def build(self) -> VideoEncoder:
        from multimodal_ssl.model.encoders.imagenet import ImageNetEncoder

        return ImageNetEncoder()

    def fetched(self) -> dict[str, Tensor]:
        from common.models.efficientnet_lite import LITE2, pretrained

        return {f"trunk.network.{name}": tensor for name, tensor in pretrained(LITE2).state_dict().items()}


@dataclass(frozen=True, kw_only=True)
class PictureFeatures(VideoNet):
    """EfficientNet-Lite0 with ImageNet's weights, frozen, and a small head over time, which is trained  [Tan19].

    Args:
        width: channels of a unit.
    """

    width: int = 256

    def __post_init__(self) -> None:
        _counts(self, "width")

    def build(self) -> VideoEncoder:
        from multimodal_ssl.model.encoders.imagenet import PictureFeaturesEncoder

        return PictureFeaturesEncoder(self.width)

    def fetched(self) -> dict[str, Tensor]:
        from common.models.efficientnet_lite import LITE0, pretrained

        return {f"trunk.0.network.{name}": tensor for name, tensor in pretrained(LITE0).state_dict().items()}


# ---- audio


class AudioNet(ABC):
    """Which network sees the log-mel frames."""

    @abstractmethod
    def build(self, log_mel: LogMel) -> AudioEncoder:
        """The encoder behind that front end, with fresh weights."""


@dataclass(frozen=True, kw_only=True)
class SmallAudio(AudioNet):
    """3x3 convolutions; each layer halves both time and frequency."""

    widths: tuple[int, ...] = (24, 48, 96)

    def __post_init__(self) -> None:
        _counts(self, "widths")

    def build(self, log_mel: LogMel) -> AudioEncoder:
        from multimodal_ssl.model.encoders.audio import SmallAudioEncoder

        return SmallAudioEncoder(log_mel, self.widths)


@dataclass(frozen=True)
class ResNet18(AudioNet):
    """ResNet-18 for one channel  [He16]."""

    def build(self, log_mel: LogMel) -> AudioEncoder:
        from multimodal_ssl.model.encoders.audio import ResNet18Encoder

        return ResNet18Encoder(log_mel)


@dataclass(frozen=True, kw_only=True)
class Audio:
    """The log-mel front end, in MMV's times [Alayrac20], and the network behind it."""

    net: AudioNet = SmallAudio()
    window_s: float = 2048 / 48_000
    hop_s: float = 1024 / 48_000
    mels: int = 80  # bins of the mel scale, 0 to 8 kHz

    def __post_init__(self) -> None:
        _counts(self, "mels")
        if not 0 < self.hop_s <= self.window_s:
            raise ValueError(f"hop_s must be in (0, window_s = {self.window_s:g}], got {self.hop_s:g}")

    def build(self) -> AudioEncoder:
        from multimodal_ssl.model.encoders.audio import LogMel

        return self.net.build(LogMel(window_s=self.window_s, hop_s=self.hop_s, mels=self.mels))


# ---- text


class TextNet(ABC):
    """How words become units."""

    vectors: WordVectors

    @abstractmethod
    def build(self, matrix: Tensor) -> TextEncoder:
        """The encoder, with fresh weights but for the words' where `vectors` are frozen.

        Args:
            matrix: of word vectors, row 0 for padding.
        """


@dataclass(frozen=True, kw_only=True)
class Phrases(TextNet):
    """A unit for each window of some numbers of words."""

    vectors: WordVectors = field(default_factory=Glove50)
    hidden: int = 128  # channels that each word is mapped to
    width: int = 128  # channels of a phrase
    phrase_words: tuple[int, ...] = (1, 2, 3)  # windows of so many words

    def __post_init__(self) -> None:
        _counts(self, "hidden", "width", "phrase_words")

    def build(self, matrix: Tensor) -> TextEncoder:
        from multimodal_ssl.model.encoders.text import PhraseEncoder

        return PhraseEncoder(
            matrix, trained=self.vectors.trained, hidden=self.hidden, width=self.width,
            phrase_words=self.phrase_words,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BagOfWords(TextNet):
    """One unit a sentence, the maximum over its words  [Miech20 MIL-NCE].

    Args:
        padding_takes_part: in the maximum, as in MIL-NCE's code.
    """

    vectors: WordVectors = field(default_factory=Glove50)
    width: int = 128
    padding_takes_part: bool = False

    def __post_init__(self) -> None:
        _counts(self, "width")

    def build(self, matrix: Tensor) -> TextEncoder:
        from multimodal_ssl.model.encoders.text import BagOfWordsEncoder

        return BagOfWordsEncoder(
            matrix, trained=self.vectors.trained, width=self.width, padding_takes_part=self.padding_takes_part
        )


@dataclass(frozen=True, kw_only=True)
class NamesOfClasses(TextNet):
    """A unit a word: how near it is to the names of each of ImageNet's classes, nothing of it trained.

    Args:
        decay: of a name's share for each step up from the class, to what it is one of.
        sharpness: the power that nearness is taken to.
    """

    vectors: WordVectors = field(default_factory=GloveOfContent)
    decay: float = 0.95
    sharpness: float = 6.0

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1 or self.sharpness <= 0:
            raise ValueError(
                f"decay must be in (0, 1] and sharpness above 0, got {self.decay:g} and {self.sharpness:g}"
            )

    def build(self, matrix: Tensor) -> TextEncoder:
        from multimodal_ssl.model.encoders.imagenet import ClassNamesEncoder

        return ClassNamesEncoder(matrix, decay=self.decay, sharpness=self.sharpness)


# ---- heads


class Heads(ABC):
    """From each encoder's channels to the spaces where units are compared."""

    @property
    @abstractmethod
    def text_space(self) -> int:
        """Channels where text is compared with video."""

    @abstractmethod
    def build(self, widths: dict[str, int]) -> Projections:
        """The projections, with fresh weights, of encoders of those widths by modality."""


@dataclass(frozen=True, kw_only=True)
class SharedSpace(Heads):
    """One linear layer a modality, all into one space."""

    width: int = 128
    unit_norm: bool = True  # MIL-NCE as published compares raw vectors

    def __post_init__(self) -> None:
        _counts(self, "width")

    @property
    def text_space(self) -> int:
        return self.width

    def build(self, widths: dict[str, int]) -> Projections:
        from multimodal_ssl.model.heads import SharedProjections

        return SharedProjections(widths, width=self.width, unit_norm=self.unit_norm)


@dataclass(frozen=True, kw_only=True)
class FineAndCoarse(Heads):
    """Video -> space with audio -> space with text: the graph "FAC"  [Alayrac20 MMV].

    Args:
        audio_width: channels where audio is compared with video, and of the hidden layer.
        text_width: channels where text is compared.
    """

    audio_width: int = 512
    text_width: int = 128
    unit_norm: bool = True

    def __post_init__(self) -> None:
        _counts(self, "audio_width", "text_width")

    @property
    def text_space(self) -> int:
        return self.text_width

    def build(self, widths: dict[str, int]) -> Projections:
        from multimodal_ssl.model.heads import FineAndCoarseProjections

        return FineAndCoarseProjections(
            widths, audio_width=self.audio_width, text_width=self.text_width, unit_norm=self.unit_norm
        )


@dataclass(frozen=True, kw_only=True)
class AsTheyAre(Heads):
    """Nothing is projected: both encoders make units of one space.

    Args:
        width: of that space.
    """

    width: int

    @property
    def text_space(self) -> int:
        return self.width

    def build(self, widths: dict[str, int]) -> Projections:
        from multimodal_ssl.model.heads import NoProjections

        return NoProjections()


# ---- a whole network


@dataclass(frozen=True, kw_only=True)
class Network:
    """Everything that must be equal for weights to fit, but for the similarity."""

    video: VideoNet = SmallVideo()
    text: TextNet = Phrases()
    audio: Audio | None = None  # None: clips are taken as silent
    heads: Heads = SharedSpace()
    pool_video: bool = False  # one unit a clip, averaged before the heads, as MMV and MIL-NCE have it


# For two CPU cores: 4 frames of 64x64 pixels make 8x8 places.
MINI = Network(text=Phrases(width=256))
SMOKE = Network(
    video=SmallVideo(widths=(4, 6, 8)), text=Phrases(hidden=12, width=16),
    audio=Audio(net=SmallAudio(widths=(4, 6, 8)), mels=20), heads=FineAndCoarse(text_width=8, audio_width=12),
)  # fmt: skip
# 16 frames of 224x224 pixels make 2x7x7 places.
GPU = Network(
    video=S3D(), text=Phrases(hidden=512, width=512), audio=Audio(net=ResNet18()),
    heads=FineAndCoarse(text_width=256),
)  # fmt: skip
# MMV's sizes; 2048 is the hidden layer of MIL-NCE's and MMV's text nets.
PAPER = replace(GPU, text=Phrases(vectors=Word2vec300(), hidden=2048, width=512))
# For real films: 4 frames of 224 pixels and more make 1x7x7 places and more, over time their mean.
FILMS = Network(video=ImageNetClasses(), text=NamesOfClasses(), heads=AsTheyAre(width=1000))
