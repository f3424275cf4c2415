"""BEST-RQ, the first stage of pre-training: at masked frames, predict codebook indices of a random quantiser.

The quantiser is a random projection of the log-mel spectrum onto random codebooks that are never trained [Chiu22, arXiv
2202.01855], so there is nothing that could collapse. From nothing, wav2vec 2.0's own objective has to find features and
codes at once; on two CPU cores an hour of it left features that tell phones apart less well than a log-mel spectrum
does. This stage's layers tell them apart better than it (speech_adapters/asr/README.md has both), and the contrast
that follows starts from features worth quantising. Departures: several codebooks as in [Zhang23, arXiv 2303.01037],
and unmasked frames are predicted too, at half the weight, so that every frame trains the convolutions.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture
from speech_adapters.model.masked_prediction import MaskedPrediction
from speech_adapters.model.wav2vec2 import Wav2Vec2

MELS = 40
NEIGHBOURS = 1  # frames to either side that a code also covers
FLOOR = 1e-5  # of mel energies, about -100 dB of full scale
DRAWN_FROM = 1  # seed of projections and codebooks


class RandomProjectionQuantiser(nn.Module):
    """Frames to codes: log-mel, standardised band by band over the utterance, projected, the nearest entry."""

    mel_filters: Tensor
    projections: Tensor
    codebooks: Tensor

    def __init__(self, architecture: Architecture, codebooks: int = 4, codes: int = 128, width: int = 16):
        super().__init__()
        from torchaudio.functional import melscale_fbanks

        self.window, self.hop = architecture.receptive_field, architecture.stride
        drawn = torch.Generator().manual_seed(DRAWN_FROM)
        channels = MELS * (1 + 2 * NEIGHBOURS)
        filters = melscale_fbanks(self.window // 2 + 1, 0.0, SAMPLE_RATE_HZ / 2, MELS, SAMPLE_RATE_HZ)
        self.register_buffer("mel_filters", filters, persistent=False)
        projections = torch.randn(codebooks, channels, width, generator=drawn)
        self.register_buffer("projections", projections, persistent=False)
        entries = torch.randn(codebooks, codes, width, generator=drawn)
        self.register_buffer("codebooks", F.normalize(entries, dim=2), persistent=False)

    def forward(self, waveform: Float[Tensor, " sample"]) -> Int[Tensor, "frame codebook"]:
        """Codes of one utterance, a row for each of the encoder's frames."""
        projected = F.normalize(torch.einsum("fc,gcw->fgw", self.spectrum(waveform), self.projections), dim=2)
        return torch.einsum("fgw,gew->fge", projected, self.codebooks).argmax(dim=2)

    def spectrum(self, waveform: Float[Tensor, " sample"]) -> Float[Tensor, "frame band"]:
        """Standardised log-mel of each frame and its neighbours."""
        window = torch.hann_window(self.window, device=waveform.device)
        spectrum = torch.stft(
            waveform, self.window, self.hop, window=window, center=False, return_complex=True
        )
        bands = (spectrum.abs().square().T @ self.mel_filters + FLOOR).log()
        bands = (bands - bands.mean(dim=0)) / (bands.std(dim=0, correction=0) + 1e-4)
        padded = F.pad(bands, (0, 0, NEIGHBOURS, NEIGHBOURS))
        return torch.cat([padded[i : i + len(bands)] for i in range(1 + 2 * NEIGHBOURS)], dim=1)


class BestRQModel(MaskedPrediction):
    """An encoder that names the entries its quantiser finds for every frame."""

    def __init__(self, encoder: Wav2Vec2, codebooks: int = 4, codes: int = 128, unmasked_weight: float = 0.5):
        super().__init__(encoder, codebooks, codes, unmasked_weight)
        self.quantiser = RandomProjectionQuantiser(encoder.architecture, codebooks, codes)

    def forward(  # type: ignore[override]
        self,
        waveform: Float[Tensor, "batch sample"],
        num_samples: Int[Tensor, " batch"],
        mask: Bool[Tensor, "batch frame"],
    ) -> dict[str, Tensor]:
        """Losses of `MaskedPrediction`, of the quantiser's entries."""
        with torch.no_grad():
            found = [self.quantiser(row[:n]) for row, n in zip(waveform, num_samples.tolist(), strict=True)]
        return super().forward(
            waveform, num_samples, mask, nn.utils.rnn.pad_sequence(found, batch_first=True)
        )
