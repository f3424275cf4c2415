"""Whisper's encoder [Radford22, arXiv 2212.04356]: waveform -> log-mel spectrum -> two convolutions -> Transformer.

It was trained with transcripts in many languages, so it is a supervised, multilingual encoder: what is built on it says
nothing about self-supervision. It stands beside wav2vec 2.0 with the same three steps, and takes the same adapters.

Departure: Whisper always hears 30 s, silence included; here an utterance has its own length. It gives the same numbers
alone and in a padded batch: its spectrum is that of its own samples, frames past its end are zero before each
convolution, and no keys of the attention.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from speech_adapters.model.architecture import (
    NO_DROPOUT,
    SAMPLE_RATE_HZ,
    WHISPER_BASE,
    Dropout,
    WhisperArchitecture,
)
from speech_adapters.model.encoder import SpeechEncoder, drawn_as_bert, valid_frames

LEAST_POWER = 1e-10  # of a band
RANGE = 8.0  # decades below the loudest band, at which the spectrum is cut off
MEL_HZ, KNEE_HZ = (
    200 / 3,
    1000.0,
)  # Slaney's mel scale: linear below the knee, then 27 mels for each factor of 6.4
KNEE_MEL, MELS_PER_NAT = KNEE_HZ / MEL_HZ, 27 / math.log(6.4)


def mel_bands(bands: int, window: int) -> Float[Tensor, "band bin"]:
    """Triangles between 0 Hz and half the sample rate, equally far apart in Slaney's mels, of equal area."""
    top = KNEE_MEL + MELS_PER_NAT * math.log(SAMPLE_RATE_HZ / 2 / KNEE_HZ)
    mels = torch.linspace(0, top, bands + 2, dtype=torch.float64)
    above = KNEE_HZ * torch.exp((mels - KNEE_MEL).clamp(min=0) / MELS_PER_NAT)
    edges = torch.where(mels < KNEE_MEL, mels * MEL_HZ, above)
    bins = torch.linspace(0, SAMPLE_RATE_HZ / 2, window // 2 + 1, dtype=torch.float64)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return (torch.minimum(rising, falling).clamp(min=0) * 2 / (high - low)).float()


def sinusoids(length: int, width: int) -> Float[Tensor, "frame width"]:
    """Sines, then cosines, of wave lengths from 2 pi to 10,000 * 2 pi frames."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class MelExtractor(nn.Module):
    """Waveform to frames of 20 ms: a log-mel spectrum of 100 frames a second, two convolutions with padding."""

    def __init__(self, architecture: WhisperArchitecture):
        super().__init__()
        self.architecture = architecture
        ins = [architecture.bands, *(channels for channels, _, _ in architecture.conv)]
        self.convs = nn.ModuleList(
            nn.Conv1d(channels_in, channels, kernel, stride, padding=kernel // 2)
            for channels_in, (channels, kernel, stride) in zip(ins, architecture.conv, strict=False)
        )
        # Made by formula, so no part of the weights.
        self.register_buffer("bands", mel_bands(architecture.bands, architecture.window), persistent=False)
        self.register_buffer("hann", torch.hann_window(architecture.window), persistent=False)

    def forward(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch frame channel"], Int[Tensor, " batch"]]:
        """Features, and how many frames are each utterance's own.

        Raises:
            ValueError: an utterance shorter than the spectrum's window, or longer than there are positions for.
        """
        if num_samples is None:
            num_samples = torch.full(waveform.shape[:1], waveform.shape[1])
        num_samples = num_samples.cpu()  # and the numbers of frames with it, see `valid_frames`
        if int(num_samples.min()) < (fewest := self.architecture.receptive_field):
            raise ValueError(f"an utterance must have {fewest} samples or more, got {int(num_samples.min())}")
        most = self.architecture.most_frames * self.architecture.stride
        if int(num_samples.max()) > most:
            raise ValueError(
                f"Whisper hears {most / SAMPLE_RATE_HZ:g} s at once, got an utterance of "
                f"{int(num_samples.max()) / SAMPLE_RATE_HZ:g} s; cut it"
            )
        rows = [self.log_mel(row[:n]) for row, n in zip(waveform, num_samples.tolist(), strict=True)]
        spectrum = nn.utils.rnn.pad_sequence([row.T for row in rows], batch_first=True).transpose(1, 2)
        return self.convolve(spectrum, self.architecture.spectrum_frames(num_samples))

    def log_mel(self, waveform: Float[Tensor, " sample"]) -> Float[Tensor, "band frame"]:
        """Of one utterance, in decades / 4, about -1 to 1.5, no band more than 8 decades below the loudest."""
        dtype = torch.promote_types(waveform.dtype, torch.float32)  # never less
        with torch.autocast(waveform.device.type, enabled=False):
            window, hop = self.architecture.window, self.architecture.hop
            hann: Any = self.hann
            spectrum = torch.stft(waveform.to(dtype), window, hop, window=hann.to(dtype), return_complex=True)
            decades = (self.bands.to(dtype) @ spectrum[:, :-1].abs().square()).clamp(min=LEAST_POWER).log10()  # type: ignore[operator]
        return (torch.maximum(decades, decades.max() - RANGE) + 4) / 4

    def convolve(
        self, spectrum: Float[Tensor, "batch band time"], num_frames: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch frame channel"], Int[Tensor, " batch"]]:
        """A log-mel spectrum to features, and how many frames are each utterance's own."""
        x = spectrum
        for conv, (_, _, stride) in zip(self.convs, self.architecture.conv, strict=True):
            own = valid_frames(num_frames, x.shape[2], x.device)
            x = F.gelu(conv(x if own is None else x.masked_fill(~own[:, None], 0.0)))
            num_frames = -(-num_frames // stride)
        return x.transpose(1, 2), num_frames


class Whisper(SpeechEncoder):
    """Waveforms to one vector a frame; `embed` adds fixed positions, and masks with zeros: it has no mask vector."""

    def __init__(self, architecture: WhisperArchitecture = WHISPER_BASE, dropout: Dropout = NO_DROPOUT):
        super().__init__(architecture, dropout)
        self.extractor = MelExtractor(architecture)
        # Kept with the weights: those of half precision were rounded, and the layers above tell the difference.
        self.register_buffer("places", sinusoids(architecture.most_frames, architecture.width))
        self._add_layers(dropout)
        self.feature_dropout, self.dropout = nn.Dropout(dropout.features), nn.Dropout(dropout.residual)
        drawn_as_bert(*self.layers.modules())

    def extract(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch frame channel"], Int[Tensor, " batch"]]:
        features: tuple[Tensor, Tensor] = self.extractor(waveform, num_samples)
        return features

    def embed(
        self,
        features: Float[Tensor, "batch frame channel"],
        num_frames: Int[Tensor, " batch"],
        time_mask: Bool[Tensor, "batch frame"] | None = None,
        channel_mask: Bool[Tensor, "batch width"] | None = None,
    ) -> Float[Tensor, "batch frame width"]:
        x = self.feature_dropout(features)
        if time_mask is not None:
            x = x.masked_fill(time_mask[:, :, None], 0.0)
        if channel_mask is not None:
            x = x.masked_fill(channel_mask[:, None], 0.0)
        return self.dropout(x + self.places[: x.shape[1]])  # type: ignore[index]
