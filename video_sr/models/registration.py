"""How a whole frame moved against its neighbour: an affine motion by Gauss and Newton's steps, without weights.

Nothing is learned, so that it cannot follow the training clips' own motion. Where all pixels vote, motion is known to a
few hundredths of one, and only then do neighbours help at x16, where a tenth is one and a half of the enlarged
picture's. What moves on its own is left to whoever uses it, and shows as a difference.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST_PX = 8  # a side, below which there is no coarser level
NUM_LEVELS = 3
LEAST_SCALE = 0.004  # of differences (values in 0..1) that count as noise: an 8-bit level
USUAL_PX = (
    1.0,
    0.1,
    0.1,
)  # standard deviation of a shift, and of what zoom and turns add at the frame's edge
NOISE = 10.0  # differences go together over some pixels, so that fewer count
Affine = Float[
    Tensor, "item 2 3"
]  # shift (right, down) = affine @ (1, x, y), x and y from -1 to 1 over the frame


def warp(
    pictures: Float[Tensor, "item channels height width"],
    shift: Float[Tensor, "item 2 height width"],
    padding: str = "border",
) -> Float[Tensor, "item channels height width"]:
    """Pictures read, bilinearly, at each pixel's place plus its shift (right, down) in pixels; edges are repeated, or
    with `padding` "zeros" all outside is 0."""
    height, width = pictures.shape[-2:]
    rows = torch.arange(height, device=shift.device, dtype=shift.dtype)[:, None] + shift[:, 1]
    columns = torch.arange(width, device=shift.device, dtype=shift.dtype) + shift[:, 0]
    grid = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), -1)
    return F.grid_sample(pictures, grid.to(pictures.dtype), padding_mode=padding, align_corners=False)


def shifts(
    affine: Affine, size: tuple[int, int], enlarged: int = 1
) -> Float[Tensor, "item 2 sr_height sr_width"]:
    """Shift of every pixel of a frame of `size` that is `enlarged` so many times, in pixels of its own."""
    places = _places((enlarged * size[0], enlarged * size[1]), affine)
    return enlarged * torch.einsum("ick,khw->ichw", affine, places)


def _places(size: tuple[int, int], like: Tensor) -> Float[Tensor, "3 height width"]:
    """1, x and y of every pixel's centre."""
    y, x = ((2 * torch.arange(n, device=like.device, dtype=like.dtype) + 1) / n - 1 for n in size)
    return torch.stack((torch.ones_like(x).expand(size), x.expand(size), y[:, None].expand(size)))


class Registration(nn.Module):
    """The affine motion with which `warp` brings a frame onto the centre, and with turned sign, nearly, back.

    Args:
        rounds: of Gauss-Newton steps at each of up to three sizes; 0 finds no motion.
    """

    def __init__(self, rounds: int):
        super().__init__()
        self.rounds = rounds

    @torch.no_grad()
    def forward(
        self, frames: Float[Tensor, "item 3 height width"], centre: Float[Tensor, "item 3 height width"]
    ) -> Affine:
        """Differences count less the larger they are (Geman and McClure's weights): what moves alone is outvoted."""
        levels = [(frames.double(), centre.double())]
        while len(levels) < NUM_LEVELS and min(levels[-1][0].shape[-2:]) >= 2 * SMALLEST_PX:
            levels.append(tuple(F.avg_pool2d(each, 2) for each in levels[-1]))  # type: ignore[arg-type]
        affine = frames.new_zeros(len(frames), 2, 3, dtype=torch.float64)
        for index, (frame, target) in reversed(list(enumerate(levels))):
            for _ in range(self.rounds):
                affine = affine + _step(frame, target, affine / 2**index) * 2**index
        return affine.to(frames.dtype)


def _step(frames: Tensor, centre: Tensor, affine: Tensor) -> Tensor:
    """By how much the motion changes, each shift by a pixel at most."""
    size = (frames.shape[-2], frames.shape[-1])
    shift = shifts(affine, size)
    moved = warp(frames, shift)
    error = centre - moved
    across, down = _slopes((centre + moved) / 2)
    places = _places(size, affine)
    scale = 2 * error.abs().mean((1, 2, 3), keepdim=True) + LEAST_SCALE
    weight = (1 + (error / scale).square().mean(1, keepdim=True)).pow(-2) * inside(shift)
    # item channels height width -> item 6 (channels height width): slopes times 1, x, y
    slopes = torch.stack([slope * place for slope in (across, down) for place in places], 1)
    weighted = slopes * weight[:, None]
    left = torch.einsum("iachw,ibchw->iab", weighted, slopes)
    right = torch.einsum("iachw,ichw->ia", weighted, error)
    # What is likely without having seen anything, against the noise of differences.
    prior = (torch.tensor(USUAL_PX, dtype=left.dtype, device=left.device) * 2).reciprocal().square().repeat(2)
    pull = NOISE * scale.square().view(-1, 1) * prior
    right = right - pull * affine.flatten(1)
    return torch.linalg.solve(left + torch.diag_embed(pull), right).view(-1, 2, 3).clamp(-1, 1)


def inside(shift: Float[Tensor, "item 2 height width"]) -> Float[Tensor, "item 1 height width"]:
    """1 where a shifted pixel lies in its frame, else 0."""
    height, width = shift.shape[-2:]
    columns = torch.arange(width, device=shift.device) + shift[:, 0]
    rows = torch.arange(height, device=shift.device)[:, None] + shift[:, 1]
    return ((columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1))[:, None].to(
        shift.dtype
    )


def _slopes(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences (across, down); edges are repeated."""
    wide = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    return (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2
