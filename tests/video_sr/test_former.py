"""Settings of published results and weights, in the layout of their time, are today's recipes."""

import json

import pytest

from common import papers, results
from common.settings import decode
from video_sr.former import former_settings
from video_sr.upscaling import Upscaling

PAPER = papers.find("extreme-vsr")
FLAT = {
    "steps": 3, "batch_size": 1, "peak_lr": 0.1, "final_lr_ratio": 0.0, "warmup_steps": 2, "weight_decay": 0.0,
    "betas": [0.9, 0.99], "clip_norm": 0.0, "ema_decay": 0.0, "accumulate": 1, "bf16": False, "threads": 1,
    "network": "evesrnet", "num_frames": 5, "copies": False, "corpus": "live", "clips": 7, "patch": 16,
    "charbonnier_eps": 1e-6, "channels": 128, "squeeze": 16, "groups": 8, "offset_lr_ratio": 1.0, "front_blocks": 5,
    "trunk_blocks": 20, "trunk_channels": 0, "tail_channels": [128, 64, 64, 64], "blocks": 16, "expansion": 6,
    "linear_ratio": 0.8, "stages": [4, 4],
}  # fmt: skip


@pytest.mark.parametrize("network", ["bicubic", "evesrnet", "wide_activation"])
@pytest.mark.parametrize("corpus", ["pool", "live", "vid3oc", "reds", "textures"])
def test_every_former_network_and_corpus_is_one_of_today(network, corpus):
    told = former_settings(FLAT | {"network": network, "corpus": corpus})
    recipe = decode(Upscaling, json.loads(json.dumps(told)))
    assert recipe.settings() == told
    assert recipe.network.num_frames == (5 if network == "evesrnet" else 1)
    assert recipe.lr(0) == 0.05


def test_a_former_trunk_of_width_zero_is_as_wide_as_the_rest():
    network = decode(Upscaling, former_settings(FLAT)).network
    assert (network.trunk_channels, network.trunk_width) == (None, 128)


def test_published_settings_are_those_of_todays_recipes():
    runs = results.read(PAPER.published("mini"))
    former = [run for run in runs if isinstance(run.result.settings["network"], str)]
    assert (len(runs), len(former)) == (63, 9)
    for run in runs:
        told = former_settings(run.result.settings) if run in former else run.result.settings
        assert told == PAPER.recipe(run.result.recipe, "mini").settings(), run.result.name
