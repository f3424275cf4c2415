"""The feature distance: 0 for equal pictures, known where features are, and taken by the recipes that ask for it."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from common.models.efficientnet_lite import EfficientNetLite
from video_sr import feature_distance, figures, further
from video_sr.feature_distance import FeatureDistance
from video_sr.measures import FEATURES
from video_sr.recipes import SCALES


def seen(pixels):
    """The three colours, and their mean in blocks of two pixels a side."""
    return [pixels, F.avg_pool2d(pixels, 2)]


def test_equal_pictures_have_none_and_orthogonal_features_have_two():
    red, green = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    red[:, 0], green[:, 1] = 0.3, 0.9
    distance = FeatureDistance(seen)
    assert distance(red, red).item() == 0
    assert distance(red, green).item() == pytest.approx(2)  # |u - v|² of lengths 1, whatever the brightness
    assert distance(torch.cat((red, red)), torch.cat((red, green))).tolist() == pytest.approx([0, 2])


def test_only_the_middle_is_looked_at():
    a = torch.rand(1, 3, 600, 530)
    b = a.clone()
    b[..., :44, :] = 0
    b[..., :9] = 0
    assert FeatureDistance(seen)(a, b).item() == 0
    b[..., 44, 9] = 1 - a[..., 44, 9]
    assert FeatureDistance(seen)(a, b).item() > 0


def test_by_efficientnet_it_grows_with_blur():
    torch.manual_seed(0)
    network = EfficientNetLite().requires_grad_(False)
    picture = F.interpolate(torch.rand(1, 3, 24, 24), scale_factor=4)
    blurred = [F.avg_pool2d(picture, k, 1, k // 2, count_include_pad=False) for k in (3, 9)]
    light, heavy = (FeatureDistance(network.maps)(picture, each).item() for each in blurred)
    assert 0 < light < heavy < 4


def test_a_recipe_of_the_curve_has_it_among_its_scores(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_distance, "pretrained", EfficientNetLite)
    monkeypatch.setattr(further, "lpips_is_here", lambda: False)
    feature_distance.feature_distance.cache_clear()
    recipe = replace(SCALES["smoke"].recipes["CRITIC_HEAVY"], judged_by_features=True)
    (item, *_) = recipe.score(recipe.model().eval(), seed=0, split="test", pictures=tmp_path)
    feature_distance.feature_distance.cache_clear()
    assert 0 < item.scores[FEATURES.name] < 4


@pytest.mark.parametrize("scale", ["mini", "gpu", "paper"])
def test_arms_of_the_curve_differ_in_the_critics_weight_alone(scale):
    arms = [SCALES[scale].reproduced[name] for name in figures.CURVE]
    assert [arm.network.adversarial for arm in arms] == sorted({arm.network.adversarial for arm in arms})
    assert arms[0].network.adversarial == 0
    assert len({replace(arm, network=replace(arm.network, adversarial=0)) for arm in arms}) == 1
    assert arms[0].judged_by_features


def test_pretrained_weights_learn_at_their_own_rate_against_a_critic():
    arm = SCALES["mini"].recipes["CRITIC_HEAVY"]
    network = replace(arm.network, generator=SCALES["smoke"].recipes["SPAN_TWICE"].network)
    small = replace(arm, network=network)
    assert {g["lr_ratio"] for g in small.parameter_groups(network.build())} == {1.0}  # nothing is read
    model = torch.nn.ModuleDict({"generator": torch.nn.ModuleDict({"first": torch.nn.Linear(1, 1)})})
    assert [g["lr_ratio"] for g in arm.parameter_groups(model)] == [0.1]
