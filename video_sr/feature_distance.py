"""A distance between pictures by what EfficientNet-Lite0, which names what they show, sees in them; in LPIPS's form.

LPIPS's backbones come in no package; this one does. Its layers are not weighted by people's judgements, as LPIPS's are,
so the number is its own and compares with no LPIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from common.models.efficientnet_lite import pretrained

LARGEST_PX = 512  # a side, of the middle that is looked at


class FeatureDistance:
    """Mean over five resolutions of the mean over places of |u(a) - u(b)|², u features scaled to length 1; 0 to 4.

    Args:
        maps: of pictures, (batch, channel, height, width) at each resolution.
    """

    def __init__(self, maps: Callable[[Tensor], Sequence[Tensor]]):
        self.maps = maps

    def __call__(
        self, a: Float[Tensor, "batch 3 height width"], b: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, " batch"]:
        """One distance per pair of pictures in [0, 1]."""
        pairs = zip(*(self.maps(_middle(each)) for each in (a, b)), strict=True)
        layers = [(_unit(x) - _unit(y)).square().sum(1).mean((1, 2)) for x, y in pairs]
        return torch.stack(layers).mean(0)


@cache
def feature_distance() -> FeatureDistance:
    """With ImageNet's weights, fetched where they are not here (17 MB).

    Raises:
        FetchError: the weights cannot be had.
    """
    return FeatureDistance(pretrained().maps)


def _middle(pictures: Tensor) -> Tensor:
    top, left = (max(0, side - LARGEST_PX) // 2 for side in pictures.shape[-2:])
    return pictures[..., top : top + LARGEST_PX, left : left + LARGEST_PX]


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features, dim=1, eps=1e-10)
