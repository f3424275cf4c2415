"""How close a picture or a clip is to the truth, under names that carry the convention.

At x16 a convention is worth more than most methods: PSNR of luma instead of RGB is 1.4 to 2.3 dB higher, and
SSIM with scikit-image's default window 0.014 to 0.028 lower. So a score is only ever stored under a name such
as `psnr[rgb,crop0,u8]`, and two scores with different names are not compared.
"""

import hashlib
import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from torch import Tensor

PEAK = 255
GAUSS_TAPS, GAUSS_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
# Tiles that stay in the second-level cache: among the best of 12..64 x 22..128 on one core of a Zen 4.
TILE_ROWS, TILE_COLUMNS = 24, 32

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"
ALEXNET_SHA256_PREFIX = "7be5be79"


@dataclass(frozen=True)
class Convention:
    """What exactly is measured between two 8-bit RGB pictures, and the name that says so.

    Attributes:
        measure: "psnr" in dB; "ssim" at most 1, 11x11 Gaussian of sigma 1.5, population covariance, valid
            region.
        colour: "rgb" pools (PSNR) or averages (SSIM) the three channels; "y" takes luma, see `luma`.
        crop: pixels left out along each border.
    """

    measure: Literal["psnr", "ssim"]
    colour: Literal["rgb", "y"] = "rgb"
    crop: int = 0

    def __post_init__(self) -> None:
        for value, known in ((self.measure, ("psnr", "ssim")), (self.colour, ("rgb", "y"))):
            if value not in known:
                raise ValueError(f"expected one of {', '.join(known)}, got {value!r}")
        if self.crop < 0:
            raise ValueError(f"crop must be 0 or more pixels, got {self.crop}")

    @property
    def name(self) -> str:
        window = f",gauss{GAUSS_TAPS}" if self.measure == "ssim" else ""
        return f"{self.measure}[{self.colour},crop{self.crop},u8{window}]"

    def score(self, a: UInt8[ndarray, "height width 3"], b: UInt8[ndarray, "height width 3"]) -> float:
        """The score of one pair, symmetric in its arguments; averaging frames is up to the caller.

        Raises:
            ValueError: the pictures differ in shape, are not 8-bit RGB, or too little is left after the crop.
        """
        check_pair(a, b, axes=3)
        smallest = GAUSS_TAPS if self.measure == "ssim" else 1
        if min(a.shape[:2]) - 2 * self.crop < smallest:
            raise ValueError(
                f"{self.name} needs {smallest}x{smallest} pixels inside the crop, got {a.shape[:2]}"
            )
        inside = slice(self.crop, -self.crop or None)
        a, b = a[inside, inside], b[inside, inside]
        if self.colour == "y":
            a, b = luma(a)[..., None], luma(b)[..., None]
        return {"psnr": _psnr, "ssim": _ssim}[self.measure](a, b)


PSNR = Convention("psnr").name
SSIM = Convention("ssim").name
PSNR_Y = Convention("psnr", "y").name
SSIM_Y = Convention("ssim", "y").name
TEMPORAL = "tdiff[rgb,u8]"
LPIPS = "lpips[alex,v0.1]"


def psnr(a: UInt8[ndarray, "height width 3"], b: UInt8[ndarray, "height width 3"]) -> float:
    """`PSNR`: 10·log10(255² / mean squared error over pixels and channels) in dB.

    Identical pictures give inf, and one inf makes a clip's mean inf. The usual trap is a clip that opens on
    black frames, which bicubic restores exactly: the caller must leave such frames out, or pool errors, and
    say so.
    """
    return Convention("psnr").score(a, b)


def ssim(a: UInt8[ndarray, "height width 3"], b: UInt8[ndarray, "height width 3"]) -> float:
    """`SSIM` as in MATLAB [Wang04]: the mean over valid pixels and three channels, at most 1.

    Equal within 1e-6 to scikit-image's `structural_similarity(a, b, channel_axis=2, gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False, data_range=255)`.
    """
    return Convention("ssim").score(a, b)


def luma(picture: UInt8[ndarray, "height width 3"]) -> UInt8[ndarray, "height width"]:
    """BT.601 studio luma 16..235 as MATLAB's `rgb2ycbcr` of 8-bit RGB.

    16 + (65.481 R + 128.553 G + 24.966 B)/255, rounded to 8 bits like MATLAB's; BasicSR leaves it unrounded.
    """
    return np.floor(picture @ np.array([65.481, 128.553, 24.966]) / 255 + 16.5).astype(np.uint8)


def temporal_consistency(
    sr: UInt8[ndarray, "time height width 3"], hr: UInt8[ndarray, "time height width 3"]
) -> float:
    """`TEMPORAL`: how far the clip's changes are from the truth's, in 8-bit levels; 0 is best.

    mean over t of rms((sr[t+1] - sr[t]) - (hr[t+1] - hr[t])), the root of the mean over pixels and channels.
    Flicker raises it; an error that stays put does not, so it says nothing without PSNR beside it. It is this
    repository's own stand-in for judgements of flicker by eye and comes from no paper.

    For clips that do not fit into memory, average `change_error` over pairs of neighbouring frames.
    """
    check_pair(sr, hr, axes=4)
    if len(sr) < 2:
        raise ValueError(f"temporal consistency compares neighbouring frames, got {len(sr)} frame(s)")
    return sum(change_error(sr[t : t + 2], hr[t : t + 2]) for t in range(len(sr) - 1)) / (len(sr) - 1)


def change_error(sr: UInt8[ndarray, "2 height width 3"], hr: UInt8[ndarray, "2 height width 3"]) -> float:
    """rms((sr[1] - sr[0]) - (hr[1] - hr[0])) in 8-bit levels, one term of `temporal_consistency`."""
    check_pair(sr, hr, axes=4)
    error = sr.astype(np.int16) - hr
    return math.sqrt(np.mean(np.square(error[1] - error[0], dtype=np.float32), dtype=np.float64))


def check_pair(a: ndarray, b: ndarray, axes: int) -> None:
    """Both are 8-bit RGB, channels last, of one shape that has pixels."""
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"pictures must be uint8, got {a.dtype} and {b.dtype}; convert with to_8bit")
    if a.shape != b.shape:
        raise ValueError(f"pictures must have one shape, got {a.shape} and {b.shape}")
    if a.ndim != axes or a.shape[-1] != 3 or a.size == 0:
        raise ValueError(f"expected {axes} axes, the last of 3 channels, and some pixels, got {a.shape}")


def _psnr(a: UInt8[ndarray, "height width channel"], b: UInt8[ndarray, "height width channel"]) -> float:
    squares = _sum_of_squares(np.ascontiguousarray(a).reshape(-1), np.ascontiguousarray(b).reshape(-1))
    return math.inf if squares == 0 else 10 * math.log10(PEAK**2 * a.size / squares)


def _sum_of_squares(a: UInt8[ndarray, " value"], b: UInt8[ndarray, " value"]) -> int:
    """Σ (a-b)², exact: runs of 256 squares stay below 2**24, where float32 still counts every integer."""
    run, chunk = 256, 1 << 16
    whole = len(a) // run * run
    total = int(np.square(a[whole:].astype(np.int64) - b[whole:]).sum())
    left, right = torch.from_numpy(a[:whole]), torch.from_numpy(b[:whole])
    for start in range(0, whole, chunk):
        error = left[start : start + chunk].float().sub_(right[start : start + chunk])
        total += int(error.square_().view(-1, run).sum(1).sum(dtype=torch.float64))
    return total


def _ssim(a: UInt8[ndarray, "height width channel"], b: UInt8[ndarray, "height width channel"]) -> float:
    planes = [torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))) for picture in (a, b)]
    out_height = a.shape[0] - GAUSS_TAPS + 1
    total = 0.0
    with torch.inference_mode():
        for plane_a, plane_b in zip(*planes, strict=True):
            for top in range(0, out_height, TILE_ROWS):
                rows = slice(top, min(top + TILE_ROWS, out_height) + GAUSS_TAPS - 1)
                total += _ssim_of_strip(plane_a[rows].float(), plane_b[rows].float())
    return total / (a.shape[2] * out_height * (a.shape[1] - GAUSS_TAPS + 1))


def _ssim_of_strip(a: Float32[Tensor, "row column"], b: Float32[Tensor, "row column"]) -> float:
    """Sum of the SSIM map over the valid region of a few full rows, `row` - 10 of them.

    Works on s = a + b and d = a - b: with μ their blurred means and v their blurred variances, 2·μa·μb = (μs²
    - μd²)/2, μa² + μb² = (μs² + μd²)/2 and likewise for the covariance from v, so four blurs do instead of
    five. Since variances ignore offsets, s is taken about its mean, which keeps float32 within 1e-6 of
    float64. The blur is a band matrix times the strip, then overlapping tiles times a band matrix: matrix
    products run near the processor's peak, which a convolution of single-channel planes does not.
    """
    (num_rows, width), overlap = a.shape, GAUSS_TAPS - 1
    out_width = width - overlap
    num_tiles = -(-out_width // TILE_COLUMNS)
    padded = num_tiles * TILE_COLUMNS + overlap
    maps = a.new_zeros(num_rows, 4, padded)  # zeros beyond the width reach only outputs that are dropped
    s, d, s_square, d_square = maps[..., :width].unbind(1)
    torch.add(a, b, out=s)
    offset = float(s[::8, ::8].mean().round())
    s -= offset
    torch.sub(a, b, out=d)
    torch.mul(s, s, out=s_square)
    torch.mul(d, d, out=d_square)

    num_out = num_rows - overlap
    blurred = gauss_band(num_out) @ maps.view(num_rows, 4 * padded)
    tiles = blurred.as_strided(
        (num_tiles, num_out * 4, TILE_COLUMNS + overlap), (TILE_COLUMNS, padded, 1)
    )  # neighbours share their overlap, nothing is copied
    across = gauss_band(TILE_COLUMNS).T.expand(num_tiles, -1, -1)
    mean_s, mean_d, var_s, var_d = (tiles @ across).view(num_tiles, num_out, 4, TILE_COLUMNS).unbind(2)
    var_s -= mean_s.square()
    mean_d.square_()
    var_d -= mean_d
    mean_s += offset
    mean_s.square_()
    above = (mean_s - mean_d).add_(2 * SSIM_C1).mul_((var_s - var_d).add_(2 * SSIM_C2))
    below = mean_s.add_(mean_d).add_(2 * SSIM_C1).mul_(var_s.add_(var_d).add_(2 * SSIM_C2))
    ratio = above.div_(below)
    last = out_width - (num_tiles - 1) * TILE_COLUMNS
    return float(ratio[:-1].sum(dtype=torch.float64) + ratio[-1, :, :last].sum(dtype=torch.float64))


@lru_cache(maxsize=TILE_ROWS + 1)
def gauss_band(num_out: int) -> Float32[Tensor, "num_out num_in"]:
    """Row i holds the 11 Gaussian weights, which sum to 1, from column i on: the valid blur of one axis."""
    offset = torch.arange(GAUSS_TAPS, dtype=torch.float64) - GAUSS_TAPS // 2
    weights = torch.exp(-offset.square() / (2 * GAUSS_SIGMA**2))
    band = torch.zeros(num_out, num_out + GAUSS_TAPS - 1, dtype=torch.float64)
    for row in range(num_out):
        band[row, row : row + GAUSS_TAPS] = weights / weights.sum()
    return band.float()


class Lpips:
    """`LPIPS`: learned perceptual distance [Zhang18] with AlexNet, heads of version 0.1; 0 is identical.

    Takes [0, 1] and checks it: papers have been published with [0, 1] fed to a network that expects [-1, 1].
    Never downloads; the linear heads come with the `lpips` package, the AlexNet features from a file.

    Args:
        backbone_path: torchvision's AlexNet, `alexnet-owt-7be5be79.pth` in WEIGHTS_ROOT.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: the file is another one, or damaged.
    """

    def __init__(self, backbone_path: Path, device: torch.device | str = "cpu"):
        backbone_path = Path(backbone_path)
        if not backbone_path.is_file():
            raise FileNotFoundError(
                f"LPIPS needs torchvision's AlexNet, not found at {backbone_path}: put {ALEXNET_FILE} from "
                f"https://download.pytorch.org/models/{ALEXNET_FILE} (244 MB) into WEIGHTS_ROOT"
            )
        digest = hashlib.sha256(backbone_path.read_bytes()).hexdigest()
        if not digest.startswith(ALEXNET_SHA256_PREFIX):
            raise ValueError(
                f"{backbone_path}: SHA-256 must begin {ALEXNET_SHA256_PREFIX}, got {digest[:8]}; fetch again"
            )
        self.network = _lpips_network(torch.load(backbone_path, map_location="cpu", weights_only=True)).to(
            device
        )

    @torch.no_grad()
    def __call__(
        self, a: Float[Tensor, "batch 3 height width"], b: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, " batch"]:
        """One distance per pair of pictures in [0, 1]."""
        if a.shape != b.shape:
            raise ValueError(f"pictures must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
        for images in (a, b):
            low, high = float(images.min()), float(images.max())
            if not (low >= 0 and high <= 1):  # written so that NaN fails
                raise ValueError(f"LPIPS takes pictures in [0, 1], got {low:g} to {high:g}; see from_8bit")
        return self.network(a, b, normalize=True).flatten()


def _lpips_network(alexnet: dict[str, Tensor]) -> torch.nn.Module:
    """The package's network around these AlexNet features; neither downloads nor moves the random numbers."""
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    with torch.no_grad():
        for (
            name,
            weight,
        ) in network.net.named_parameters():  # slice2.3.weight is torchvision's features.3.weight
            weight.copy_(alexnet["features." + name.split(".", 1)[1]])
    return network.eval().requires_grad_(False)
