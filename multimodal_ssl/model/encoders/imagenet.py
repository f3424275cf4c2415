"""Pictures and words to the 1,000 classes of ImageNet, where they meet without a caption ever having been seen.

    a_k   what a network trained on ImageNet gives each class at place k     [Norouzi14 ConSE: p(y | x)]
    b_l   how near word l is to each class's names, by word vectors          [Frome13 DeViSE: words as targets]

ConSE maps a picture to the mean of its classes' word vectors, weighted by p, and compares that with a word's: the score
is linear in p. Here the cosine of a word with every class is made sharp first, and a class has more names than one: its
synonyms, and the things that it is one of ("cat" and "animal" for a tabby), from WordNet.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from common.models.efficientnet_lite import HEAD, LITE0, LITE2, NUM_CLASSES, EfficientNetLite
from multimodal_ssl.model.class_names import names_of_classes
from multimodal_ssl.model.encoders.text import Embedding, Ids, TextEncoder
from multimodal_ssl.model.encoders.video import Grid, VideoEncoder
from multimodal_ssl.model.units import Units

STRIDE = 32  # pixels of a place
LEAST_SHARE = 1e-3  # of a class at a place; smaller ones are 0, so that an index is small
FRAMES_AT_ONCE = 8


class ClassesSeen(nn.Module):
    """Frames to the classes at every place of them: softmax at each place, then the mean over the frames of a clip."""

    def __init__(self, network: EfficientNetLite):
        super().__init__()
        self.network = network

    def forward(
        self, x: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch class 1 down right"]:
        batch, _, time, _, _ = x.shape
        frames = x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        seen = torch.cat([self._classes(some) for some in frames.split(FRAMES_AT_ONCE)])
        shares = seen.unflatten(0, (batch, time)).mean(dim=1)
        return torch.where(shares >= LEAST_SHARE, shares, 0.0)[:, :, None]

    def _classes(
        self, frames: Float[Tensor, "frame 3 height width"]
    ) -> Float[Tensor, "frame class down right"]:
        places = self.network.places(frames).permute(0, 2, 3, 1)
        found: Tensor = self.network.classifier(places).softmax(dim=3).permute(0, 3, 1, 2)
        return found


class ImageNetEncoder(VideoEncoder):
    """Units are shares of the classes at a place of the picture, in [0, 1], of sum 1 at most; frames are averaged."""

    def __init__(self) -> None:
        super().__init__(ClassesSeen(EfficientNetLite(LITE2)), width=NUM_CLASSES)

    def grid(self, time: int, height: int, width: int) -> Grid:
        return min(time, 1), math.ceil(height / STRIDE), math.ceil(width / STRIDE)


class FrozenPlaces(nn.Module):
    """Frames to the map before EfficientNet's classifier, which stays as it is whatever is trained behind it."""

    def __init__(self, network: EfficientNetLite):
        super().__init__()
        self.network = network.requires_grad_(False)

    def train(self, mode: bool = True) -> FrozenPlaces:
        super().train(mode)
        self.network.eval()  # its batch norms keep their statistics
        return self

    @torch.no_grad()
    def forward(
        self, x: Float[Tensor, "batch 3 time height width"]
    ) -> Float[Tensor, "batch channel time down right"]:
        batch, _, time, _, _ = x.shape
        frames = x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        seen = torch.cat([self.network.places(some) for some in frames.split(FRAMES_AT_ONCE)])
        return seen.unflatten(0, (batch, time)).transpose(1, 2)


class HeadOverTime(nn.Module):
    """1x1x1, then what the frames before and after add: x + 3x1x1(ReLU(x))."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.mix = nn.Conv3d(channels, width, 1)
        self.around = nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0))

    def forward(
        self, places: Float[Tensor, "batch channel time down right"]
    ) -> Float[Tensor, "batch width time down right"]:
        x = self.mix(places)
        found: Tensor = x + self.around(F.relu(x))
        return found


class PictureFeaturesEncoder(VideoEncoder):
    """Units of `width` channels, one a place and a frame, from features of pictures that are not trained."""

    def __init__(self, width: int) -> None:
        trunk = nn.Sequential(FrozenPlaces(EfficientNetLite(LITE0)), HeadOverTime(HEAD, width))
        super().__init__(trunk, width=width)

    def grid(self, time: int, height: int, width: int) -> Grid:
        return time, math.ceil(height / STRIDE), math.ceil(width / STRIDE)


class ClassNamesEncoder(TextEncoder):
    """Words to how near each class's names are; a unit a word, of a length that tells how near the nearest is.

        s_n = cos(v_word - c, v_n - c)            of every name n, c the mean of common words' vectors
        k_i = max_n max(s_n, 0) decay^depth(n)    over the names n of class i and of what it is one of, depth steps up
        b   = max_i k_i · unit(k^sharpness - mean of it)

    A word whose vector is zero, as padding's and function words' are, is no unit.

    Args:
        vectors: of the words that may come, row 0 for padding; not kept with the weights.
    """

    averaged = True
    names: Tensor
    center: Tensor
    _class: Tensor
    _name: Tensor
    _share: Tensor

    def __init__(self, vectors: Float[Tensor, "row channel"], *, decay: float, sharpness: float):
        super().__init__()
        self.width, self.sharpness = NUM_CLASSES, sharpness
        self.words = Embedding(vectors, trained=False)
        table = names_of_classes()
        self.register_buffer("names", torch.zeros(len(table.names), vectors.shape[1]))  # of unit length
        self.register_buffer("center", torch.zeros(vectors.shape[1]))
        self.register_buffer("_class", torch.tensor(table.classes), persistent=False)
        self.register_buffer("_name", torch.tensor(table.places), persistent=False)
        self.register_buffer(
            "_share", decay ** torch.tensor(table.depths, dtype=torch.float32), persistent=False
        )

    def spans(self, num_words: int) -> list[tuple[int, int]]:
        return [(at, at + 1) for at in range(num_words)]

    def forward(self, ids: Ids) -> Units:
        longest = max(1, int((ids != 0).sum(dim=1).max()))
        once, back = ids[:, :longest].unique(return_inverse=True)
        vectors = self.words(once[None])[0]
        return Units(self.nearness(vectors)[back], vectors.any(dim=1)[back])

    def nearness(self, vectors: Float[Tensor, "word channel"]) -> Float[Tensor, "word class"]:
        """b of words' vectors."""
        cosines = F.normalize(vectors - self.center, dim=1) @ self.names.T
        of_names = cosines.clamp(min=0)[:, self._name] * self._share
        near = of_names.new_zeros(len(vectors), NUM_CLASSES)
        near = near.scatter_reduce(1, self._class.expand_as(of_names), of_names, "amax")
        sharp = near**self.sharpness
        return near.amax(dim=1, keepdim=True) * F.normalize(sharp - sharp.mean(dim=1, keepdim=True), dim=1)
