"""Sound to units, one a step of time: log-mel spectrogram, then a 2-D network averaged over frequency.

A sound gives the same numbers alone and in a padded batch, in training, too: windows never reach past its end,
frames past it are zero before every convolution, and batch norms take their statistics over the sounds' valid frames
(times frequencies) in this process's batch. Clips without sound take part in nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.audio import SAMPLE_RATE_HZ
from multimodal_ssl.model.units import Units

FLOOR = 1e-6  # power of a mel bin that counts as silence; 16-bit rounding noise lies near it

Map = Float[Tensor, "batch channel mel frame"]
LastMap = Float[Tensor, "batch last_channel last_mel last_frame"]


class LogMel(nn.Module):
    """`log((mel + FLOOR) / FLOOR)`: silence is 0, which is also what convolutions pad with.

    Power spectrogram under a Hann window, triangles on the HTK mel scale from 0 to 8 kHz (torchaudio). Window and
    hop are rounded to samples; the FFT has the next power of two, and a frame takes that many samples. A shorter
    sound is taken as followed by silence.
    """

    def __init__(self, *, window_s: float, hop_s: float, mels: int):
        super().__init__()
        from torchaudio.transforms import MelSpectrogram

        window = round(window_s * SAMPLE_RATE_HZ)
        self.hop = round(hop_s * SAMPLE_RATE_HZ)
        self.span = 1 << (window - 1).bit_length()
        # Centred frames would mirror what lies beyond the end, which is another sound's padding.
        self.mel = MelSpectrogram(SAMPLE_RATE_HZ, self.span, window, self.hop, n_mels=mels, center=False)

    def forward(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch mel frame"], Int[Tensor, " batch"]]:
        """Log-mel frames, 0 past each sound's end, and how many are valid."""
        waveform = waveform * _first(num_samples, waveform.shape[1])
        waveform = F.pad(waveform, (0, max(0, self.span - waveform.shape[1])))
        # bfloat16 would leave two digits of a spectrum.
        with torch.autocast(waveform.device.type, enabled=False):
            power = self.mel(waveform)
        num_frames = (num_samples - self.span).clamp(min=0) // self.hop + (num_samples > 0)
        return torch.log1p(power / FLOOR) * _first(num_frames, power.shape[2])[:, None], num_frames


class MaskedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics are over valid frames times frequencies; padding comes out as zero."""

    def forward(self, x: Map, valid: Bool[Tensor, "batch frame"] | None = None) -> Map:
        if valid is None or bool(valid.all()):
            return super().forward(x)
        # batch channel mel frame -> own_frame channel mel 1
        normed = super().forward(x.permute(0, 3, 1, 2)[valid][..., None])[..., 0]
        out = normed.new_zeros(*valid.shape, *normed.shape[1:])
        out[valid] = normed
        return out.permute(0, 2, 3, 1)


class AudioEncoder(nn.Module, ABC):
    """Front end, network and mean over frequencies; what networks share.

    Attributes:
        width: channels of a unit.
    """

    width: int

    def __init__(self, log_mel: LogMel):
        super().__init__()
        self.log_mel = log_mel

    @abstractmethod
    def trunk(self, x: Map, num_frames: Int[Tensor, " batch"]) -> tuple[LastMap, Int[Tensor, " batch"]]:
        """Last map, and how many of its frames are valid for each sound."""

    def forward(self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"]) -> Units:
        """Units of 16 kHz sounds; 0 samples mean that a clip has no sound, and padding may hold any numbers."""
        there = num_samples > 0
        if not bool(there.any()):
            nothing = waveform.new_zeros(len(waveform), 1, self.width)
            return Units(nothing, torch.zeros_like(nothing[..., 0], dtype=torch.bool))
        mels, num_frames = self.log_mel(waveform[there], num_samples[there])
        x, num_frames = self.trunk(mels[:, None], num_frames)
        heard = x.mean(2).transpose(1, 2)
        vectors = heard.new_zeros(len(waveform), *heard.shape[1:])
        vectors[there] = heard
        valid = vectors.new_zeros(vectors.shape[:2], dtype=torch.bool)
        valid[there] = _first(num_frames, heard.shape[1])
        return Units(vectors, valid)


class SmallAudioEncoder(AudioEncoder):
    """3x3 convolutions of stride 2 with batch norm and ReLU; an 8th of the frames with three of them."""

    def __init__(self, log_mel: LogMel, widths: tuple[int, ...]):
        super().__init__(log_mel)
        ins = (1, *widths)
        self.convs = nn.ModuleList(
            nn.Conv2d(channels_in, channels, 3, 2, 1, bias=False)
            for channels_in, channels in zip(ins, widths, strict=False)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(channels) for channels in widths)
        self.width = widths[-1]

    def trunk(self, x: Map, num_frames: Int[Tensor, " batch"]) -> tuple[LastMap, Int[Tensor, " batch"]]:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x, num_frames = conv(x), _halved(num_frames)
            x = F.relu(norm(x, _first(num_frames, x.shape[3])))
        return x, num_frames


class ResNet18Encoder(AudioEncoder):
    """torchvision's ResNet-18 for one channel, without its classifier; a 32nd of the frames  [He16].

    Its layers are walked here because its own forward cannot tell padding from sound.
    """

    width = 512

    def __init__(self, log_mel: LogMel):
        super().__init__(log_mel)
        from torchvision.models import resnet18

        self.net = resnet18(weights=None, norm_layer=MaskedBatchNorm)
        self.net.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        nn.init.kaiming_normal_(self.net.conv1.weight, mode="fan_out", nonlinearity="relu")
        del self.net.fc, self.net.avgpool

    def trunk(self, x: Map, num_frames: Int[Tensor, " batch"]) -> tuple[LastMap, Int[Tensor, " batch"]]:
        net = self.net
        x, num_frames = net.conv1(x), _halved(num_frames)
        x = F.relu(net.bn1(x, _first(num_frames, x.shape[3])))
        # After a ReLU padding's zeros never win, but the pooling carries a sound's last frame past its end.
        x, num_frames = net.maxpool(x), _halved(num_frames)
        x = x * _first(num_frames, x.shape[3])[:, None, None]
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            for block in layer:
                num_frames = _halved(num_frames) if block.stride == 2 else num_frames
                x = _residual(block, x, num_frames)
        return x, num_frames


def _residual(block: Any, x: Map, num_frames: Int[Tensor, " batch"]) -> LastMap:
    y = block.conv1(x)
    valid = _first(num_frames, y.shape[3])
    y = block.bn2(block.conv2(F.relu(block.bn1(y, valid))), valid)
    if block.downsample is not None:
        conv, norm = block.downsample
        x = norm(conv(x), valid)
    return F.relu(y + x)


def _first(counts: Int[Tensor, " batch"], length: int) -> Bool[Tensor, "batch place"]:
    """True at each row's first `counts` places."""
    return torch.arange(length, device=counts.device) < counts[:, None]


def _halved(counts: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """Places left by any layer of stride 2 here: kernels are odd and padded by half, so an odd place is kept."""
    return (counts + 1) // 2
