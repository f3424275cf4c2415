"""Networks as settings: impossible sizes are named, and a further network is one class."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from common.data.resize import upscale
from common.recipe import Shard
from common.settings import decode, encode, override
from video_sr.challenge import FACTOR
from video_sr.networks import BicubicSizes, DKSANSizes, EVESRNetSizes, Network, WideActivationSizes
from video_sr.recipes import WIDE_SMOKE


class Brighter(nn.Module):
    """Bicubic enlargement and one number."""

    num_frames = 3

    def __init__(self):
        super().__init__()
        self.light = nn.Parameter(torch.zeros(()))

    def forward(self, frames):
        return upscale(frames[:, 1], FACTOR) + self.light


@dataclass(frozen=True, kw_only=True)
class BrighterSizes(Network):
    """A ninth network."""

    start: float = 0.0

    @property
    def num_frames(self):
        return 3

    def build(self):
        network = Brighter()
        nn.init.constant_(network.light, self.start)
        return network

    def departures(self):
        return ("Brighter is no entry of the challenge.",)


def test_a_ninth_network_is_one_class():
    recipe = replace(WIDE_SMOKE, network=BrighterSizes(start=0.5))
    batch = recipe.batch(0, 0, Shard())
    assert batch.low.shape[1] == 3
    assert recipe.losses(recipe.model(), batch, 0)["charbonnier"] > 0.1
    assert recipe.departures()[-1] == "Brighter is no entry of the challenge."
    assert recipe.settings()["network"] == {"kind": "BrighterSizes", "start": 0.5}
    assert decode(type(recipe), encode(recipe)) == recipe
    assert override(WIDE_SMOKE, ["network=BrighterSizes", "network.start=0.5"]) == recipe


@pytest.mark.parametrize("sizes", [BicubicSizes(), EVESRNetSizes(), WideActivationSizes(), DKSANSizes()])
def test_sizes_of_the_paper_depart_in_nothing_and_build_what_sees_their_window(sizes):
    assert sizes.departures() == ()
    assert sizes.build().num_frames == sizes.num_frames


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: EVESRNetSizes(num_frames=4), "num_frames must be odd.*got 4"),
        (lambda: EVESRNetSizes(tail_channels=(8, 8, 8)), r"1, 2 or 4 stages, got \(8, 8, 8\)"),
        (lambda: EVESRNetSizes(groups=3), "groups must divide the 128 channels, got 3"),
        (lambda: EVESRNetSizes(trunk_channels=0), "trunk_width must be 1 or more, got 0"),
        (lambda: EVESRNetSizes(squeeze=0), r"squeeze must be in 1\.\.128 \(the channels\), got 0"),
        (lambda: EVESRNetSizes(trunk_blocks=-1), "trunk_blocks must be 0 or more, got -1"),
        (lambda: WideActivationSizes(stages=(4, 2)), r"stages must multiply to 16, got \(4, 2\)"),
        (lambda: WideActivationSizes(linear_ratio=0.0), r"linear_ratio must leave 1\.\.64 channels, got 0.0"),
    ],
)
def test_impossible_sizes_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
