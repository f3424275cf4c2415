"""What encoders hand to similarities: the parts of each item, of which items may have different numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Units:
    """Vectors of the parts of some items: positions of a clip's feature map, phrases of a sentence.

    Attributes:
        vectors: of unit length where a score is to be a cosine. Padding holds any finite numbers.
        valid: False where a unit is padding. An item without valid units lacks this modality.
    """

    vectors: Float[Tensor, "item unit width"]
    valid: Bool[Tensor, "item unit"]

    def __post_init__(self) -> None:
        if self.vectors.shape[:-1] != self.valid.shape:
            raise ValueError(
                f"every unit needs one flag: vectors are {tuple(self.vectors.shape)} (item, unit, width), "
                f"flags {tuple(self.valid.shape)}; for one unit per item use Units.one"
            )

    @classmethod
    def one(cls, vectors: Float[Tensor, "item width"]) -> Units:
        """Items of one unit each, as a pooled vector is; every similarity of them is their product."""
        return cls(vectors[:, None], torch.ones_like(vectors[:, :1], dtype=torch.bool))

    @property
    def missing(self) -> Bool[Tensor, " item"]:
        """True for items that lack this modality."""
        return ~self.valid.any(dim=1)

    @property
    def num_valid(self) -> Int[Tensor, " item"]:
        """Valid units of each item, at least 1 so that a mean over none is 0 and no error."""
        return self.valid.sum(dim=1).clamp(min=1)

    def trimmed(self) -> Units:
        """Without the places where no item has a valid unit; waits for the GPU."""
        used = self.valid.any(dim=0)
        used[:1] = True  # a softmax over no place at all is an error
        return self if bool(used.all()) else Units(self.vectors[:, used], self.valid[:, used])

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: slice | Tensor) -> Units:
        """Some of the items; a slice copies nothing."""
        return Units(self.vectors[rows], self.valid[rows])
