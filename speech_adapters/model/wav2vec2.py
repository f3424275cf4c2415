"""wav2vec 2.0 [Baevski20, arXiv 2006.11477]: waveform -> conv features -> Transformer, BASE, LARGE, XLSR and small.

An utterance gives the same numbers alone and in a padded batch: the group norm of the first convolution takes its
statistics over the utterance's own frames, frames past its end are zero before the positional convolution and are
no keys of the attention. Weights of fairseq, Hugging Face and torchaudio fit after renaming (`interop/`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from common.sending import sent
from speech_adapters.model.architecture import BASE, NO_DROPOUT, Architecture, Dropout, Masking
from speech_adapters.model.encoder import SpeechEncoder, drawn_as_bert, valid_frames

# ---- convolutions over the waveform


class PaddingAwareGroupNorm(nn.GroupNorm):
    """Group norm with one channel a group, over each utterance's own frames; padding comes out as zero."""

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "batch channel frame"], num_frames: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch channel frame"]:
        length = x.shape[2]
        if bool((num_frames == length).all()):
            return super().forward(x)
        if x.device.type != "cpu":  # few kernels, however many utterances
            normed: Tensor = _GroupNormOfOwn.apply(x, self.weight, self.bias, num_frames, self.eps)
            return normed
        # Utterance by utterance is exact, needs no masked copies and is the same sum as for one alone.
        rows = [
            F.pad(super(PaddingAwareGroupNorm, self).forward(row[None, :, :n]), (0, length - n))
            for row, n in zip(x, num_frames.tolist(), strict=True)
        ]
        return torch.cat(rows)


class _GroupNormOfOwn(torch.autograd.Function):
    """The same for all utterances at once, equal but for rounding; only the input is kept for the way back."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, num_frames: Tensor, eps: float
    ) -> Float[Tensor, "batch channel frame"]:
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        own = valid_frames(num_frames, x.shape[2], x.device)
        assert own is not None, "nothing is padding"
        own, count = own[:, None], sent(num_frames, x.device).to(exact.dtype)[:, None, None]
        mean = exact.masked_fill(~own, 0.0).sum(dim=2, keepdim=True) / count
        scale = (
            (exact - mean).masked_fill(~own, 0.0).square().sum(dim=2, keepdim=True) / count + eps
        ).rsqrt()
        ctx.save_for_backward(x, weight, own, count, mean, scale)
        normed = (exact - mean) * scale * weight[:, None] + bias[:, None]
        return normed.masked_fill(~own, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, own, count, mean, scale = ctx.saved_tensors
        grad = grad.masked_fill(~own, 0.0)
        normed = (x - mean).masked_fill(~own, 0.0) * scale
        of_bias = grad.sum(dim=2, keepdim=True)
        of_weight = (grad * normed).sum(dim=2, keepdim=True)
        of_x = scale * weight[:, None] * (grad - (of_bias + normed * of_weight) / count)
        of_x = of_x.masked_fill(~own, 0.0).to(x.dtype)
        return of_x, of_weight.sum(dim=0)[:, 0], of_bias.sum(dim=0)[:, 0], None, None


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each frame."""

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "batch channel frame"], num_frames: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch channel frame"]:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class ConvLayer(nn.Module):
    """Convolution without padding, norm if any, GELU."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int, norm: str | None, bias: bool
    ):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv1d(channels_in, channels, kernel, stride, bias=bias)
        nn.init.kaiming_normal_(self.conv.weight)
        kinds: dict[str | None, Any] = {"group": PaddingAwareGroupNorm, "layer": ChannelNorm}
        self.norm = kinds[norm](channels) if norm else None

    def forward(
        self, x: Float[Tensor, "batch channels_in time"], num_frames: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch channel frame"], Int[Tensor, " batch"]]:
        x = self.conv(x)
        num_frames = ((num_frames - self.kernel) // self.stride + 1).clamp(min=0)
        if self.norm:
            x = self.norm(x, num_frames)
        # Nobody else holds x. The first layers' are the largest of a step, so that one copy less is felt.
        return (F.gelu(x) if x.requires_grad else torch.ops.aten.gelu_(x)), num_frames


class FeatureExtractor(nn.Module):
    """Waveform to frames of 20 ms (BASE: 49 a second, each of 25 ms) [§2, "Feature encoder"]."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        norms = [architecture.conv_norm if i == 0 or architecture.conv_norm == "layer" else None
                 for i in range(len(architecture.conv))]  # fmt: skip
        ins = [1, *(channels for channels, _, _ in architecture.conv)]
        self.layers = nn.ModuleList(
            ConvLayer(channels_in, *sizes, norm, architecture.conv_bias)
            for channels_in, sizes, norm in zip(ins, architecture.conv, norms, strict=False)
        )

    def forward(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch frame channel"], Int[Tensor, " batch"]]:
        """Features, and how many frames are each utterance's own.

        Raises:
            ValueError: an utterance shorter than one receptive field.
        """
        if num_samples is None:
            num_samples = torch.full(waveform.shape[:1], waveform.shape[1])
        num_samples = num_samples.cpu()  # and the numbers of frames with it, see `valid_frames`
        if int(num_samples.min()) < (fewest := self.architecture.receptive_field):
            raise ValueError(f"an utterance must have {fewest} samples or more, got {int(num_samples.min())}")
        if self.architecture.normalise_input:
            waveform = normalise_waveform(waveform, num_samples, self.architecture.input_epsilon)
        x, num_frames = waveform[:, None], num_samples
        for layer in self.layers:
            x, num_frames = layer(x, num_frames)
        return x.transpose(1, 2), num_frames


def normalise_waveform(
    waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"], epsilon: float = 1e-5
) -> Float[Tensor, "batch sample"]:
    """Each utterance's own samples to zero mean and unit variance, to which `epsilon` is added; padding to zero."""
    length = waveform.shape[1]
    if waveform.device.type != "cpu":  # few kernels, however many utterances
        if bool((num_samples == length).all()):
            return F.layer_norm(waveform, (length,), eps=epsilon)
        gain, shift = waveform.new_ones(1), waveform.new_zeros(1)
        normed: Tensor = _GroupNormOfOwn.apply(waveform[:, None], gain, shift, num_samples, epsilon)
        return normed[:, 0]
    rows = [F.pad(F.layer_norm(row[:n], (n,), eps=epsilon), (0, length - n))
            for row, n in zip(waveform, num_samples.tolist(), strict=True)]  # fmt: skip
    return torch.stack(rows)


# ---- Transformer


class PositionalConv(nn.Module):
    """Relative positions by a grouped convolution over frames, with weight norm over kernel places [§2].

    `weight[o, i, k] = gain[k] direction[o, i, k] / |direction[:, :, k]|`.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        width, kernel = architecture.width, architecture.positional_kernel
        self.groups = architecture.positional_groups
        direction = torch.empty(width, width // self.groups, kernel)
        # Three times fairseq's: small nets then tell positions apart from the start.
        nn.init.normal_(direction, std=3 * math.sqrt(4 / (kernel * width)))
        self.direction = nn.Parameter(direction)
        self.gain = nn.Parameter(direction.norm(dim=(0, 1), keepdim=True))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(
        self, x: Float[Tensor, "batch frame width"], own: Bool[Tensor, "batch frame"] | None = None
    ) -> Float[Tensor, "batch frame width"]:
        weight = self.gain * self.direction / self.direction.norm(dim=(0, 1), keepdim=True)
        kernel = weight.shape[2]
        y = F.conv1d(x.transpose(1, 2), weight, self.bias, padding=kernel // 2, groups=self.groups)
        # An even kernel gives one frame too many.
        return F.gelu(y[:, :, : x.shape[1]]).transpose(1, 2)


class PositionalConvs(nn.Module):
    """Relative positions by several convolutions, each with a norm that learns nothing [Baevski22, data2vec §4.1]."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        width, kernel = architecture.width, architecture.positional_kernel
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=architecture.positional_groups)
            for _ in range(architecture.positional_layers)
        )

    def forward(
        self, x: Float[Tensor, "batch frame width"], own: Bool[Tensor, "batch frame"] | None = None
    ) -> Float[Tensor, "batch frame width"]:
        """Frames that are not an utterance's own are zero to every convolution, as they are past its end."""
        length = x.shape[1]
        for conv in self.layers:
            assert isinstance(conv, nn.Conv1d)
            x = conv(x.transpose(1, 2))[:, :, :length].transpose(1, 2)
            x = F.gelu(F.layer_norm(x, (conv.out_channels,)))
            if own is not None:
                x = x.masked_fill(~own[:, :, None], 0.0)
        return x


# ---- the encoder


class Wav2Vec2(SpeechEncoder):
    """Waveforms to one vector a frame; `embed` is projection, masking and positions."""

    def __init__(self, architecture: Architecture = BASE, dropout: Dropout = NO_DROPOUT):
        super().__init__(architecture, dropout)
        channels, width = architecture.conv[-1][0], architecture.width
        self.extractor = FeatureExtractor(architecture)
        self.feature_norm = nn.LayerNorm(channels)
        self.projection = nn.Linear(channels, width)
        self.mask_vector = nn.Parameter(torch.randn(width) * 0.1)
        positions = PositionalConvs if architecture.positional_layers else PositionalConv
        self.positional: nn.Module = positions(architecture)
        self._add_layers(dropout)
        self.feature_dropout, self.dropout = nn.Dropout(dropout.features), nn.Dropout(dropout.residual)
        drawn_as_bert(self.projection, *self.layers.modules())

    def extract(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch frame channel"], Int[Tensor, " batch"]]:
        """Conv features and how many frames are each utterance's own."""
        return self.extractor(waveform, num_samples)

    def embed(
        self,
        features: Float[Tensor, "batch frame channel"],
        num_frames: Int[Tensor, " batch"],
        time_mask: Bool[Tensor, "batch frame"] | None = None,
        channel_mask: Bool[Tensor, "batch width"] | None = None,
    ) -> Float[Tensor, "batch frame width"]:
        x = self.feature_dropout(self.projection(self.feature_norm(features)))
        if time_mask is not None:
            x = torch.where(sent(time_mask, x.device)[:, :, None], self.mask_vector.to(x.dtype), x)
        if channel_mask is not None:
            x = x.masked_fill(channel_mask[:, None], 0.0)
        own = valid_frames(num_frames, x.shape[1], x.device)
        if own is not None:
            x = x.masked_fill(~own[:, :, None], 0.0)
        x = x + self.positional(x, own)
        return self.dropout(x if self.architecture.pre_norm else self.norm(x))


# ---- masking


def span_mask(lengths: Int[Tensor, " batch"], size: int, masking: Masking) -> Bool[Tensor, "batch size"]:
    """Random spans inside each row's own places, `floor(start * length + u)` of them with distinct starts.

    Rows shorter than two spans get at most one, rows of a span or less none: something must stay visible.
    """
    device, span = lengths.device, masking.span
    places = torch.arange(size, device=device)
    num_starts = (lengths - span + 1).clamp(min=0)  # places where a whole span fits
    wanted = (masking.start * lengths + torch.rand(len(lengths), device=device)).floor()
    wanted = torch.minimum(wanted, num_starts - 1).clamp(min=0)
    wanted = torch.where(lengths < 2 * span, wanted.clamp(max=1), wanted)
    order = torch.rand(len(lengths), size, device=device)
    order = order.masked_fill(places >= num_starts[:, None], 2.0).argsort(dim=1).argsort(dim=1)
    begun = (order < wanted[:, None]).int().cumsum(dim=1)
    return (begun - F.pad(begun, (span, 0))[:, :size]) > 0


def pad(
    rows: Sequence[
        Float[Tensor, ...]
    ],  # waveforms or frames by channels; axes named alike would have to be equal
) -> tuple[Float[Tensor, "batch ..."], Int[Tensor, " batch"]]:
    """Rows of unequal length as one batch, zeros at the end, and their lengths."""
    lengths = torch.tensor([len(row) for row in rows])
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True), lengths
