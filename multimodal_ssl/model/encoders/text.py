"""Sentences to units: a unit for each window of 1, 2, 3 words, or MIL-NCE's one for the sentence.

Words come as rows of a matrix, 0 for padding. The matrix is handed in and, where it is frozen, not saved with the
weights: 400,000 words do not belong into every checkpoint, and a search may use words that no training saw.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal_ssl.model.units import Units

Ids = Int[Tensor, "item word"]  # 0 = padding


class Embedding(nn.Module):
    """Rows of a matrix, frozen, or trained from nothing, in which case only the shape of `vectors` is read.

    Row 0, of padding, gets no gradient and is zero where it is trained.
    """

    def __init__(self, vectors: Float[Tensor, "row channel"], trained: bool):
        super().__init__()
        self.channels = vectors.shape[1]
        if trained:
            self.weight = nn.Parameter(torch.randn(vectors.shape))
            with torch.no_grad():
                self.weight[0] = 0
        else:
            self.register_buffer("weight", vectors, persistent=False)

    def forward(self, ids: Ids) -> Float[Tensor, "item word channel"]:
        # On a GPU the look would stop the queue; there torch asserts by itself.
        if not ids.is_cuda and ids.numel() and int(ids.max()) >= len(self.weight):
            raise ValueError(
                f"ids of words must be below {len(self.weight)}, the rows of the matrix, got {int(ids.max())}; "
                "encode with the vocabulary that the matrix came with"
            )
        return F.embedding(ids, self.weight, padding_idx=0)


class TextEncoder(nn.Module, ABC):
    """Ids of words to units, and which words each unit is made of.

    Attributes:
        width: channels of a unit.
        fewest_words: of a text that has a unit.
        averaged: the one vector of a text is its units' mean; else their maximum, channel by channel.
    """

    width: int
    fewest_words: int = 1
    averaged: bool = False

    @abstractmethod
    def spans(self, num_words: int) -> list[tuple[int, int]]:
        """(first word, word after the last) of every unit, where the longest text has `num_words` words."""

    @abstractmethod
    def forward(self, ids: Ids) -> Units: ...

    def phrases(self, words: Sequence[str]) -> list[str]:
        """The words of each unit of a text, in the order of units."""
        return [" ".join(words[start:stop]) for start, stop in self.spans(len(words))]


class PhraseEncoder(TextEncoder):
    """Words -> linear -> ReLU, then a convolution and ReLU for each number of words in a phrase.

    A window that touches padding is no unit. Units come window size by window size, from left to right, see `spans`.
    Columns that are padding in every text are cut off first: with 20 instead of 8 words this encoder took twice as
    long, and similarities had 57 instead of 21 phrases to compare.

    Args:
        vectors: of words, row 0 for padding; `trained` as well, else they stay as they are.
    """

    def __init__(
        self, vectors: Float[Tensor, "row channel"], *, trained: bool, hidden: int, width: int,
        phrase_words: tuple[int, ...],
    ):  # fmt: skip
        super().__init__()
        self.width, self.phrase_words = width, phrase_words
        self.fewest_words = min(phrase_words)
        self.words = Embedding(vectors, trained)
        self.hidden = nn.Linear(self.words.channels, hidden)
        self.convs = nn.ModuleList(nn.Conv1d(hidden, width, size) for size in phrase_words)

    def spans(self, num_words: int) -> list[tuple[int, int]]:
        return [(at, at + size) for size in self.phrase_words for at in range(num_words - size + 1)]

    def forward(self, ids: Ids) -> Units:
        ids = self._without_empty_columns(ids)
        x = F.relu(self.hidden(self.words(ids))).transpose(1, 2)
        vectors, valid = [], []
        for size, conv in zip(self.phrase_words, self.convs, strict=True):
            if size <= ids.shape[1]:
                vectors.append(F.relu(conv(x)).transpose(1, 2))
                valid.append((ids.unfold(1, size, 1) != 0).all(2))
        return Units(torch.cat(vectors, 1), torch.cat(valid, 1))

    def _without_empty_columns(self, ids: Ids) -> Int[Tensor, "item used_word"]:
        if ids.shape[1] < self.fewest_words:
            raise ValueError(f"texts must be padded to {self.fewest_words} words or more, got {ids.shape[1]}")
        used = (ids != 0).any(0).nonzero()
        return ids[:, : max(self.fewest_words, int(used[-1]) + 1 if len(used) else 0)]


class BagOfWordsEncoder(TextEncoder):
    """`max over words of relu(W v + b)`, one unit a sentence  [Miech20 MIL-NCE, Alayrac20 MMV].

    With the linear head behind it, this is MIL-NCE's text net. Its code lets padding take part in the maximum, as
    `relu(b)`, so that a text's vector depends on whether it has the full number of words;
    `padding_takes_part` brings that back.

    Args:
        vectors: of words, row 0 for padding; `trained` as well, else they stay as they are.
    """

    def __init__(
        self, vectors: Float[Tensor, "row channel"], *, trained: bool, width: int, padding_takes_part: bool
    ):
        super().__init__()
        self.width, self.padding_takes_part = width, padding_takes_part
        self.words = Embedding(vectors, trained)
        self.hidden = nn.Linear(self.words.channels, width)

    def spans(self, num_words: int) -> list[tuple[int, int]]:
        return [(0, num_words)]

    def forward(self, ids: Ids) -> Units:
        x = F.relu(self.hidden(self.words(ids)))
        valid = ids != 0
        if not self.padding_takes_part:
            x = x * valid[..., None]  # after a ReLU, zeros never win
        return Units(x.max(1, keepdim=True).values, valid.any(1, keepdim=True))
