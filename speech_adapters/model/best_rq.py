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
from speech_adapters.model.contrastive import taken
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


class BestRQModel(nn.Module):
    """An encoder with a linear output head over the codebook entries; `metrics` has the accuracy at masked frames."""

    def __init__(self, encoder: Wav2Vec2, codebooks: int = 4, codes: int = 128, unmasked_weight: float = 0.5):
        super().__init__()
        self.encoder, self.unmasked_weight = encoder, unmasked_weight
        self.quantiser = RandomProjectionQuantiser(encoder.architecture, codebooks, codes)
        self.head = nn.Linear(encoder.architecture.width, codebooks * codes)
        self.shape = (codebooks, codes)
        self.metrics: dict[str, Tensor] = {}

    def forward(
        self,
        waveform: Float[Tensor, "batch sample"],
        num_samples: Int[Tensor, " batch"],
        mask: Bool[Tensor, "batch frame"],
    ) -> dict[str, Tensor]:
        """Cross-entropy in nats a codebook, at masked frames and, weighted, at the others; padding is left out."""
        features, num_frames = self.encoder.extract(waveform, num_samples)
        x = self.encoder.contextualise(self.encoder.embed(features, num_frames, mask), num_frames)
        with torch.no_grad():
            found = [self.quantiser(row[:n]) for row, n in zip(waveform, num_samples.tolist(), strict=True)]
        indices = nn.utils.rnn.pad_sequence(found, batch_first=True)
        mask = mask.cpu()  # which frames are taken is known to the host, so that it need not wait for a GPU
        valid = torch.arange(x.shape[1]) < num_frames[:, None].cpu()
        with torch.autocast(waveform.device.type, enabled=False):
            logits = self.head(x.float()).unflatten(2, self.shape)
            losses = {"masked": _cross_entropy(taken(logits, mask), taken(indices, mask))}
            if self.unmasked_weight:
                others = valid & ~mask
                losses["unmasked"] = self.unmasked_weight * _cross_entropy(
                    taken(logits, others), taken(indices, others)
                )
        accuracy = (taken(logits, mask).argmax(dim=2) == taken(indices, mask)).float().mean()
        self.metrics = {"accuracy": accuracy.detach()}
        return losses


def _cross_entropy(logits: Tensor, indices: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), indices.flatten())
