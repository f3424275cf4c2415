"""An encoder for recognition: encoder and output head, run from the waveform or from where the frozen layers end."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from speech_adapters.model.adapters import EMBEDDED, FEATURES, WAVEFORM
from speech_adapters.model.encoder import SpeechEncoder


class CTCModel(nn.Module):
    """Log-probabilities of symbols (0 is CTC's blank) for every frame."""

    def __init__(self, encoder: SpeechEncoder, num_symbols: int, head_dropout: float = 0.0):
        super().__init__()
        self.encoder = encoder
        self.head_only = False  # the encoder rests: no gradient goes below the head
        self.dropout = nn.Dropout(head_dropout)
        self.head = nn.Linear(encoder.architecture.width, num_symbols)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        inputs: Float[Tensor, "batch sample"] | Float[Tensor, "batch frame channel"],
        lengths: Int[Tensor, " batch"],
        depth: int = WAVEFORM,
        time_mask: Bool[Tensor, "batch frame"] | None = None,
        channel_mask: Bool[Tensor, "batch width"] | None = None,
        packed: bool = False,
    ) -> tuple[Float[Tensor, "batch frame symbol"], Int[Tensor, " batch"]]:
        """Log-probabilities, and how many frames are each utterance's own.

        Args:
            inputs: waveforms, or what `frozen_activations` made of them at `depth`.
            time_mask: frames to mask; only where `depth` is before the embedding.
            packed: on a CPU compute nothing on padding: what lies below the layers utterance by utterance, the
                layers on all of them end to end. Equal but for the rounding of other sizes of matrix products;
                padding gets zeros. Without effect on a GPU, which computes padding sooner than it starts one small
                kernel after another.
        """
        packed = packed and inputs.device.type == "cpu" and bool((lengths != inputs.shape[1]).any())
        encode = self._encode_packed if packed else self._encode
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.head_only):
            x, num_frames = encode(inputs, lengths, depth, time_mask, channel_mask)
        log_probs = self.head(self.dropout(x)).float().log_softmax(dim=2)
        if packed:
            log_probs = nn.utils.rnn.pad_sequence(log_probs[0].split(num_frames.tolist()), batch_first=True)
        return log_probs, num_frames

    def _encode_packed(
        self, x: Tensor, lengths: Tensor, depth: int, time_mask: Tensor | None, channel_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """All utterances end to end in one row, and how many frames each has."""
        rows = []
        for place, length in enumerate(lengths.tolist()):
            own = slice(place, place + 1)
            row, _ = self._embedded(
                x[own, :length], lengths[own], depth,
                None if time_mask is None else time_mask[own, : self._num_frames(length, depth)],
                None if channel_mask is None else channel_mask[own],
            )  # fmt: skip
            rows.append(row)
        counts = tuple(row.shape[1] for row in rows)
        return self._through_layers(torch.cat(rows, dim=1), counts, depth), lengths.new_tensor(counts)

    def _num_frames(self, length: int, depth: int) -> int:
        return self.encoder.architecture.num_frames(length) if depth == WAVEFORM else length

    def _encode(
        self, x: Tensor, num_frames: Tensor, depth: int, time_mask: Tensor | None, channel_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        x, num_frames = self._embedded(x, num_frames, depth, time_mask, channel_mask)
        return self._through_layers(x, num_frames, depth), num_frames

    def _embedded(
        self, x: Tensor, num_frames: Tensor, depth: int, time_mask: Tensor | None, channel_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if depth == WAVEFORM:
            x, num_frames = self.encoder.extract(x, num_frames)
        if depth <= FEATURES:
            x = self.encoder.embed(x, num_frames, time_mask, channel_mask)
        elif time_mask is not None or channel_mask is not None:
            raise ValueError(f"masks act before the embedding, which depth {depth} is past")
        return x, num_frames

    def _through_layers(self, x: Tensor, num_frames: Tensor | tuple[int, ...], depth: int) -> Tensor:
        first = max(0, depth - EMBEDDED)
        if first == len(self.encoder.layers):  # nothing is left, the final norm included
            return x
        return self.encoder.contextualise(x, num_frames, first=first)

    @torch.no_grad()
    def frozen_activations(
        self, waveform: Float[Tensor, " sample"], depth: int
    ) -> Float[Tensor, "frame channel"]:
        """What one utterance has become at `depth`, without dropout: the same alone and in any batch."""
        was_training = self.training
        self.eval()
        lengths = torch.tensor([len(waveform)], device=waveform.device)
        x, num_frames = self.encoder.extract(waveform[None], lengths)
        if depth > FEATURES:
            x = self.encoder.embed(x, num_frames)
        if depth > EMBEDDED:
            x = self.encoder.contextualise(x, num_frames, stop=depth - EMBEDDED)
        self.train(was_training)
        return x[0]
