"""MATLAB's antialiased bicubic resize in torch: the degradation that x16 super-resolution is asked to undo.

The down-scaler defines the task. At x16, leaving out the antialiasing (the default of OpenCV and of torch's
`interpolate`) makes another, aliased task whose pictures agree with these only to about 20 dB.
"""

from functools import lru_cache

import torch
from jaxtyping import Float, Float32, Shaped, UInt8
from torch import Tensor

KEYS_SLOPE = -0.5  # MATLAB's cubic; OpenCV and torch's plain bicubic take -0.75
KERNEL_WIDTH = 4  # taps of the cubic at its own scale; 64 when shrinking by 16


def imresize(
    images: Float[Tensor, "*batch height width"], *, size: tuple[int, int]
) -> Float[Tensor, "*batch out_height out_width"]:
    """Bicubic, antialiased resize as MATLAB's `imresize(images, size)`, neither rounded nor clipped.

    Per axis with scale s = out/in, 1-based output pixel x lies at u = x/s + (1 - 1/s)/2 of the input; its
    weights are k(t·(u - i)), t = min(s, 1), with Keys' cubic k (a = -1/2), divided by their sum. Beyond the
    border the picture is mirrored with its edge pixel repeated. Both axes are matrix products, in the order
    that multiplies less, so gradients and any number of leading axes come for free.

    Half precision and autocast regions are computed in float32. A GPU told to use TF32 rounds the factors to
    11 bits, some 0.1 of an 8-bit level: score on the CPU or without TF32.

    Args:
        images: any range; `from_8bit` makes [0, 1].
        size: (height, width) of the result.

    Raises:
        ValueError: integers were given, or an axis would have no pixel.
    """
    if not images.is_floating_point():
        raise ValueError(f"imresize takes floating point, got {images.dtype}; convert with from_8bit")
    if min(*size, *images.shape[-2:]) < 1:
        raise ValueError(f"pictures need at least 1x1 pixels, got {tuple(images.shape[-2:])} to {size}")
    (height, width), (out_height, out_width) = images.shape[-2:], size
    dtype = images.dtype if images.dtype == torch.float64 else torch.float32
    rows = resize_weights(height, out_height, dtype, images.device)
    columns = resize_weights(width, out_width, dtype, images.device)
    rows_first = out_height * width * (height + out_width)  # multiplications per picture
    columns_first = height * out_width * (width + out_height)
    with torch.autocast(images.device.type, enabled=False):
        exact = images.to(dtype)
        cheaper = (rows @ exact) @ columns.T if rows_first <= columns_first else rows @ (exact @ columns.T)
    return cheaper.to(images.dtype)


def downscale(
    images: Float[Tensor, "*batch height width"], factor: int = 16
) -> Float[Tensor, "*batch out_height out_width"]:
    """`imresize` to 1/factor of both sides, which must be multiples of the factor."""
    height, width = images.shape[-2:]
    if height % factor or width % factor:
        raise ValueError(
            f"height and width must be multiples of {factor}, got {height}x{width}; "
            f"crop to {height - height % factor}x{width - width % factor}"
        )
    return imresize(images, size=(height // factor, width // factor))


def upscale(
    images: Float[Tensor, "*batch height width"], factor: int = 16
) -> Float[Tensor, "*batch out_height out_width"]:
    """`imresize` to `factor` times both sides."""
    height, width = images.shape[-2:]
    return imresize(images, size=(height * factor, width * factor))


def to_8bit(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """[0, 1] to 0..255, rounded half up and clipped, as MATLAB's `im2uint8`.

    Raises:
        ValueError: a value is NaN or infinite, which clipping would pass off as a picture.
    """
    if not torch.isfinite(images).all():
        bad = int((~torch.isfinite(images)).sum())
        raise ValueError(f"pictures must be finite, got {bad} NaN or infinite of {images.numel()} values")
    wide = images.float() if images.dtype in (torch.float16, torch.bfloat16) else images
    return (wide * 255 + 0.5).clamp(0, 255).to(torch.uint8)  # the cast drops the fraction


def from_8bit(images: UInt8[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
    """0..255 to [0, 1]."""
    if images.dtype != torch.uint8:
        raise ValueError(f"from_8bit takes torch.uint8, got {images.dtype}")
    return images.to(torch.float32) / 255


@lru_cache(maxsize=64)
def resize_weights(
    length: int, out_length: int, dtype: torch.dtype, device: torch.device
) -> Shaped[Tensor, "out_length length"]:
    """The matrix that resizes one axis; every row sums to 1. Cached, so never write to it.

    Dense on purpose: one 1072x1920 RGB frame to 67x120 takes 12 ms on one CPU thread; skipping the zeros
    outside the band takes 8 ms and has its border still to build.
    """
    # Outside inference mode, or a matrix first made inside it could never take part in training.
    with torch.inference_mode(False), torch.no_grad():
        scale = out_length / length
        stretch = min(scale, 1.0)
        centre = (torch.arange(out_length, dtype=torch.float64) + 0.5) / scale - 0.5  # 0-based
        num_taps = int(-(-KERNEL_WIDTH // stretch)) + 2
        first = torch.floor(centre - KERNEL_WIDTH / stretch / 2)
        taps = first[:, None] + torch.arange(num_taps)
        weights = keys_cubic(stretch * (centre[:, None] - taps))
        weights /= weights.sum(1, keepdim=True)
        mirrored = taps.long().remainder(2 * length)
        mirrored = torch.where(mirrored < length, mirrored, 2 * length - 1 - mirrored)
        matrix = torch.zeros(out_length, length, dtype=torch.float64).scatter_add_(1, mirrored, weights)
        return matrix.to(device, dtype)


def keys_cubic(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Keys' cubic: (a+2)|x|³ - (a+3)|x|² + 1 up to 1, a|x|³ - 5a|x|² + 8a|x| - 4a up to 2, then 0."""
    a, x = KEYS_SLOPE, x.abs()
    near = ((a + 2) * x - (a + 3)) * x.square() + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
