"""No seams: at the edge of a tile a picture steps no more than it does elsewhere."""

import numpy as np
import pytest
import torch
from skimage import data as pictures

from common.data.resize import from_8bit
from video_sr.models import by_name
from video_sr.models.views import Tiled
from video_sr.protocol import degrade


@pytest.fixture(scope="module")
def low():
    """Of a photograph, 18 x 52 pixels."""
    frame = degrade(pictures.chelsea()[:288, :448])
    wide = np.concatenate((frame, frame[:, ::-1][:, 1:25]), 1)
    return from_8bit(torch.from_numpy(wide.copy())).movedim(-1, 0)[None, None]


def test_a_tile_s_edge_is_no_step(low):
    """What tiling changes differs between neighbouring columns by a hundredth of what the picture does, at the most."""
    network = by_name.load("wide")
    with torch.inference_mode():
        made = Tiled(network, 32)(low)
        changed = made - network(low)
    assert changed.abs().max() > 1e-4  # channel attention sees a tile, so there is something to see
    steps, spread = (each.diff(dim=-1).abs().mean((0, 1, 2)) for each in (changed, made))
    assert steps.max() < 0.01 * spread.mean()
