"""Laws of tiles and of the mean of eight views."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_networks import SMALL, stirred
from torch import nn
from typer.testing import CliRunner

from common.data.pictures import read_image
from common.data.resize import upscale
from video_sr.__main__ import app
from video_sr.models.bicubic import Bicubic
from video_sr.models.views import EightViews, Tiled, seen_through


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Watched(nn.Module):
    """Bicubic, and the sizes that it was given."""

    num_frames = 3

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, frames):
        self.sizes.append(tuple(frames.shape[-2:]))
        return upscale(frames[:, 1], 16)


@pytest.mark.parametrize("size", [(33, 70), (67, 40), (48, 49), (32, 32), (5, 90)])
def test_tiles_of_a_network_that_looks_near_are_the_whole(size):
    """Bicubic looks two pixels far, and four at a cut are not used."""
    watched, frames = Watched(), torch.rand(2, 3, 3, *size)
    torch.testing.assert_close(Tiled(watched, 32)(frames), upscale(frames[:, 1], 16), atol=1e-5, rtol=0)
    assert max(max(each) for each in watched.sizes) <= 32


def test_a_frame_no_larger_than_a_tile_is_not_touched():
    network, frames = stirred(SMALL["EVESRNet"].build()), torch.rand(1, 3, 3, 20, 32)
    with torch.no_grad():
        assert torch.equal(Tiled(network, 32)(frames), network(frames))


@pytest.mark.parametrize("name", ["MGBP-3D", "coarse to fine"])
def test_no_seam_stands_out(name):
    """Across a cut, tiled and whole differ by less than an 8-bit level, where a bare cut differs more."""
    network = stirred(SMALL[name].build(), by=0.01)
    frames = upscale(torch.rand(1, network.num_frames, 3, 16, 24), 2).clamp(0, 1)
    with torch.no_grad():
        whole, tiled = network(frames), Tiled(network, 32)(frames)
        bare = torch.cat((network(frames[..., :24]), network(frames[..., 24:])), -1)
    assert (tiled - whole).abs().max() < 1 / 255
    assert (bare - whole).abs().max() > 2 * (tiled - whole).abs().max()


@pytest.mark.parametrize("side", [31, 28, 34])
def test_a_tile_that_would_not_fit_the_pyramid_is_refused(side):
    with pytest.raises(ValueError, match=f"multiple of 4, 32 or more, got {side}"):
        Tiled(Bicubic(), side)


def test_the_mean_of_eight_views_turns_with_its_input():
    network, frames = EightViews(stirred(SMALL["wide activation"].build())), torch.rand(1, 1, 3, 5, 7)
    with torch.no_grad():
        upright = network(frames)
        for turned in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: torch.rot90(x, 1, (-2, -1))):
            torch.testing.assert_close(network(turned(frames)), turned(upright), atol=1e-5, rtol=0)
        assert not torch.allclose(upright, network.network(frames), atol=1e-5)


def test_views_of_bicubic_are_bicubic_with_and_without_tiles():
    frames = torch.rand(1, 1, 3, 9, 40)
    for tile in (0, 32):
        made = seen_through(Bicubic(), tile=tile, ensemble=True)(frames)
        torch.testing.assert_close(made, Bicubic()(frames), atol=1e-5, rtol=0)
    assert isinstance(seen_through(Bicubic()), Bicubic)


def test_the_tool_works_on_tiles_and_says_which_would_not_do(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    made = []
    for name, options in (("whole.png", ()), ("tiles.png", ("--tile", "32", "--ensemble"))):
        line = ["upscale", str(tmp_path / "in.png"), str(tmp_path / name), "--model", "bicubic", *options]
        done = CliRunner().invoke(app, line)
        assert done.exit_code == 0, done.output
        made.append(read_image(tmp_path / name).astype(int))
    assert np.abs(made[0] - made[1]).max() <= 1
    refused = CliRunner().invoke(
        app, [*line[:2], str(tmp_path / "no.png"), "--model", "bicubic", "--tile", "30"]
    )
    assert (refused.exit_code, "multiple of 4, 32 or more, got 30" in refused.stderr) == (2, True)
