"""SPAN x16 finds how frames moved and takes from them what one frame cannot tell; without them it is SPAN twice."""

from dataclasses import replace

import pytest
import torch
from small_networks import SMALL

from common.data.resize import downscale, upscale
from video_sr.models.registration import Registration, shifts, warp
from video_sr.models.span_x16 import Agreement
from video_sr.networks import SPANSizes, SPANx16Sizes
from video_sr.recipes import SCALES


def scene(height, width, seed=0):
    """A picture with detail of all sizes down to a few pixels."""
    generator = torch.Generator().manual_seed(seed)
    layers = [
        upscale(torch.rand(1, 3, height // by, width // by, generator=generator), by) for by in (8, 32, 128)
    ]
    return sum(layers) / 3


def frames_of(picture, pans, size=(320, 384)):
    """Small frames seen through a window that pans by whole pixels (down, right) of the large picture."""
    top, left = 48, 48
    views = [picture[..., top + a : top + a + size[0], left + b : left + b + size[1]] for a, b in pans]
    return [downscale(view, 16) for view in views], views


def test_without_rounds_it_is_span_twice():
    torch.manual_seed(0)
    ours = replace(SMALL["SPAN x16"], rounds=0).build()
    twice = SPANSizes(channels=8, blocks=1, pretrained=False).build()
    for name in ("first", "second"):
        getattr(twice, name).load_state_dict(getattr(ours, name).state_dict())
    frames = torch.stack([scene(128, 128, seed)[0] for seed in range(3)])[None, ..., :9, :9]
    with torch.no_grad():
        torch.testing.assert_close(ours(frames), twice(frames))


@pytest.mark.parametrize("pan", [(0, 0), (7, -11), (-30, 22)])
def test_a_pan_is_told_to_a_tenth_of_a_small_pixel(pan):
    """That is, to a pixel or two of the large picture; none is told of a frame that did not move."""
    (centre, moved), _ = frames_of(scene(512, 512), [(0, 0), pan])
    found = shifts(Registration(4)(centre, moved), (20, 24))
    expected = torch.tensor([pan[1] / 16, pan[0] / 16]).view(1, 2, 1, 1)
    assert (found - expected).abs().max() < 0.1
    if pan == (0, 0):
        assert found.abs().max() < 1e-6


def test_shifts_of_an_enlarged_frame_are_those_of_the_small_one():
    affine = torch.tensor([[[1.0, 0.5, 0.0], [-2.0, 0.0, 0.25]]])
    small, large = shifts(affine, (3, 5)), shifts(affine, (3, 5), 4)
    torch.testing.assert_close(large.view(1, 2, 3, 4, 5, 4).mean((3, 5)), 4 * small)


def test_warping_by_whole_pixels_moves_and_repeats_the_edge():
    picture = torch.arange(12.0).view(1, 1, 3, 4)
    right = torch.zeros(1, 2, 3, 4)
    right[:, 0] = 1
    torch.testing.assert_close(warp(picture, right), picture[..., [1, 2, 3, 3]])


def test_a_flat_or_tiny_frame_does_not_move():
    grey = torch.full((2, 3, 5, 4), 0.5)
    assert Registration(4)(grey, grey).abs().max() == 0
    assert Registration(4)(torch.rand(1, 3, 1, 1), torch.rand(1, 3, 1, 1)).isfinite().all()


def agreed(picture, small, rounds=8):
    with torch.no_grad():
        return Agreement(rounds, 4)(picture, torch.stack(small, 1))


def test_neighbours_that_moved_bring_back_detail_and_copies_bring_less():
    """From bicubic, against the x4 truth; three tenths of the squared error go, more than copies can take."""
    small, views = frames_of(scene(512, 512), [(-9, 5), (6, -10), (0, 0), (5, 11), (-4, -6)])
    truth, start = downscale(views[2], 4), upscale(small[2], 4)
    error = lambda picture: (picture - truth)[..., 12:-12, 12:-12].square().mean()  # noqa: E731
    assert error(agreed(start, small)) < 0.7 * error(start)
    assert error(agreed(start, small)) < 0.8 * error(agreed(start, [small[2]] * 5))


def test_a_neighbour_of_another_scene_is_not_believed():
    (_, centre, _), views = frames_of(scene(512, 512), [(-9, 5), (0, 0), (6, -10)])
    (foreign,), _ = frames_of(scene(512, 512, seed=1), [(0, 0)])
    start, truth = upscale(centre, 4), downscale(views[1], 4)
    error = lambda picture: (picture - truth)[..., 12:-12, 12:-12].square().mean()  # noqa: E731
    alone = error(agreed(start, [centre] * 3))
    assert error(agreed(start, [foreign, centre, foreign])) < 1.05 * alone


def test_pretrained_weights_have_one_size():
    with pytest.raises(ValueError, match="pretrained weights have 48 channels and 6 blocks, got 8 and 6"):
        SPANx16Sizes(channels=8)
    assert SPANx16Sizes().pretrained_layers() == ("first.", "second.")


def test_what_others_trained_learns_at_its_own_rate(monkeypatch):
    recipe = replace(SCALES["smoke"].recipes["WIDE"], network=SMALL["SPAN x16"], pretrained_lr_ratio=0.1)
    model = recipe.model()
    assert len(recipe.parameter_groups(model)) == 1  # nothing was read
    monkeypatch.setattr(SPANx16Sizes, "pretrained_layers", lambda self: ("first.", "second."))
    ours, read = recipe.parameter_groups(model)
    assert read["lr_ratio"] == 0.1
    assert [id(weight) for weight in ours["params"]] == [id(model.agreement.step)]
    assert 1 + len(read["params"]) == len(list(model.parameters()))
