"""A recogniser that hears nothing: one distribution of symbols at every frame, fitted to the texts of training.

An arm that is worse than it has learned nothing of the sound, and two such arms are not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from speech_adapters.ctc.scoring import ctc_nats, labels
from speech_adapters.data.source import Utterance

BLANK_SHARES = torch.linspace(0.05, 0.95, 19).tolist()  # tried at every frame; the likeliest is taken


class DeafModel(nn.Module):
    """Log-probabilities of all symbols, the same at every frame."""

    def __init__(self, log_probs: Float[Tensor, " symbol"]):
        super().__init__()
        self.log_probs = nn.Parameter(log_probs)


def fitted(
    utterances: Sequence[Utterance], num_frames: Sequence[int], num_symbols: int
) -> Float[Tensor, " symbol"]:
    """The blank's share that makes the texts likeliest, the rest shared as in the texts, one added to each symbol."""
    texts = [labels(one) for one in utterances]
    counts = Counter(symbol for text in texts for symbol in text)
    symbols = torch.tensor([0.0] + [counts[symbol] + 1.0 for symbol in range(1, num_symbols)])
    symbols = symbols / symbols.sum()
    frames = torch.tensor(num_frames)

    def at(blank: float) -> Tensor:
        probs = (1 - blank) * symbols
        probs[0] = blank
        return probs.log()

    def nats(blank: float) -> float:
        rows = at(blank).expand(len(texts), int(frames.max()), -1)
        return float(ctc_nats(rows, frames, texts).sum())

    return at(min(BLANK_SHARES, key=nats))
