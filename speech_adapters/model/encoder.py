"""What every encoder of speech has in common: Transformer layers over frames, and how they are run through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from common.sending import sent
from speech_adapters.model.architecture import NO_DROPOUT, Architecture, Dropout


def valid_frames(
    num_frames: Int[Tensor, " batch"], length: int, device: torch.device
) -> Bool[Tensor, "batch frame"] | None:
    """True at each utterance's own frames; None when nothing is padding, which attention computes faster.

    Numbers of frames stay on the host, as everywhere in an encoder: a step that asks a GPU for them waits for it.
    """
    if bool((num_frames == length).all()):
        return None
    return torch.arange(length, device=device) < sent(num_frames, device)[:, None]


# Which frames may be attended to: all, those of a mask, or, where utterances lie end to end in one row, each
# utterance's own, told by their numbers of frames.
Keys = Bool[Tensor, "batch 1 1 frame"] | tuple[int, ...] | None


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(
        self, x: Float[Tensor, "batch frame width"], keys: Keys
    ) -> Float[Tensor, "batch frame width"]:
        query, key, value = (
            linear(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        if isinstance(keys, tuple):
            own = zip(*(each.split(keys, dim=2) for each in (query, key, value)), strict=True)
            attended = torch.cat(
                [F.scaled_dot_product_attention(q, k, v, dropout_p=dropout) for q, k, v in own], dim=2
            )
        else:
            attended = F.scaled_dot_product_attention(query, key, value, attn_mask=keys, dropout_p=dropout)
        return self.output(attended.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Attention and feed-forward, each with a residual sum; `adapters.py` fills the `after_` places."""

    def __init__(self, architecture: Architecture, dropout: Dropout):
        super().__init__()
        width = architecture.width
        self.pre_norm = architecture.pre_norm
        self.attention = Attention(width, architecture.heads, dropout.attention)
        self.attention_norm: nn.Module = nn.LayerNorm(width)
        self.expand = nn.Linear(width, architecture.inner)
        self.contract = nn.Linear(architecture.inner, width)
        self.feed_forward_norm: nn.Module = nn.LayerNorm(width)
        self.dropout, self.inner_dropout = nn.Dropout(dropout.residual), nn.Dropout(dropout.inner)
        self.after_attention: nn.Module = nn.Identity()
        self.after_feed_forward: nn.Module = nn.Identity()
        self.after_layer: nn.Module = nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch frame width"], keys: Keys = None
    ) -> Float[Tensor, "batch frame width"]:
        if self.pre_norm:
            x = x + self._attend(self.attention_norm(x), keys)
            return self.after_layer(x + self._feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x + self._attend(x, keys))
        return self.after_layer(self.feed_forward_norm(x + self._feed_forward(x)))

    def _attend(self, x: Tensor, keys: Keys) -> Tensor:
        return self.after_attention(self.dropout(self.attention(x, keys)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        inner = self.inner_dropout(F.gelu(self.expand(x)))
        return self.after_feed_forward(self.dropout(self.contract(inner)))


def _keys(num_frames: Tensor, x: Tensor) -> Keys:
    own = valid_frames(num_frames, x.shape[1], x.device)
    return None if own is None else own[:, None, None]


class SpeechEncoder(nn.Module, ABC):
    """Waveforms to one vector a frame, in three steps between which frozen activations can be cached:
    `extract` (convolutions), `embed` (masking, positions), `contextualise` (Transformer layers).

    Padding law: what an utterance becomes does not depend on what shares its batch.
    """

    extractor: nn.Module  # what recipes freeze

    def __init__(self, architecture: Architecture, dropout: Dropout = NO_DROPOUT):
        super().__init__()
        self.architecture, self.layer_drop = architecture, dropout.layer

    def _add_layers(self, dropout: Dropout) -> None:
        """The Transformer, once what lies below is made: weights are drawn in this order."""
        self.layers = nn.ModuleList(
            TransformerLayer(self.architecture, dropout) for _ in range(self.architecture.layers)
        )
        self.norm: nn.Module = nn.LayerNorm(self.architecture.width)

    @abstractmethod
    def extract(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch frame channel"], Int[Tensor, " batch"]]:
        """Conv features and how many frames are each utterance's own."""

    @abstractmethod
    def embed(
        self,
        features: Float[Tensor, "batch frame channel"],
        num_frames: Int[Tensor, " batch"],
        time_mask: Bool[Tensor, "batch frame"] | None = None,
        channel_mask: Bool[Tensor, "batch width"] | None = None,
    ) -> Float[Tensor, "batch frame width"]:
        """What the first layer reads: masked frames are replaced by one learned vector, masked channels by zero."""

    def contextualise(
        self,
        x: Float[Tensor, "batch frame width"],
        num_frames: Int[Tensor, " batch"] | tuple[int, ...],
        first: int = 0,
        stop: int | None = None,
    ) -> Float[Tensor, "batch frame width"]:
        """Through layers `first` to before `stop` (all); after the last one also the final norm of pre-norm nets.

        Args:
            num_frames: of each row its own; a tuple says where utterances that lie end to end in one row are cut.
        """
        *_, last = self._layer_outputs(x, num_frames, first, stop)
        return last

    def _layer_outputs(
        self, x: Tensor, num_frames: Tensor | tuple[int, ...], first: int = 0, stop: int | None = None
    ) -> Iterator[Tensor]:
        """The input, each layer's output, and where a final norm is due its output."""
        keys = num_frames if isinstance(num_frames, tuple) else _keys(num_frames, x)
        stop = len(self.layers) if stop is None else stop
        yield x
        for layer in self.layers[first:stop]:
            if self.training and self.layer_drop and torch.rand(()) < self.layer_drop:
                continue
            x = layer(x, keys)
            yield x
        if self.architecture.pre_norm and stop == len(self.layers):
            yield self.norm(x)

    def hidden_states(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"] | None = None
    ) -> list[Float[Tensor, "batch frame width"]]:
        """The embedding, then each layer's output; of pre-norm nets at last the final norm's."""
        features, num_frames = self.extract(waveform, num_samples)
        return list(self._layer_outputs(self.embed(features, num_frames), num_frames))

    def forward(
        self, waveform: Float[Tensor, "batch sample"], num_samples: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch frame width"], Int[Tensor, " batch"]]:
        """Context vectors, and how many frames are each utterance's own; the rest is meaningless."""
        features, num_frames = self.extract(waveform, num_samples)
        return self.contextualise(self.embed(features, num_frames), num_frames), num_frames


def drawn_as_bert(*modules: nn.Module) -> None:
    """Draws the weights of linear layers."""
    for module in modules:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
