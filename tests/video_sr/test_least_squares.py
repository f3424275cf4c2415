"""The best linear filter: it finds what is linear, leaves what is flat, and learns from training pictures alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from common.data.resize import from_8bit, upscale
from video_sr import data
from video_sr.models.least_squares import LeastSquares
from video_sr.networks import LeastSquaresSizes
from video_sr.recipes import SCALES


def examples(count, enlarge, seed=0, size=8):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        low = torch.from_numpy(rng.integers(0, 256, (3, size, size), dtype=np.uint8))
        high = (enlarge(from_8bit(low)[None])[0] * 255).round().clamp(0, 255).to(torch.uint8)
        yield low.movedim(0, -1)[None].numpy(), high.movedim(0, -1).numpy()


def test_of_bicubic_pictures_the_filter_that_is_fitted_is_bicubic():
    """Four by four pixels are inside five by five; the truth's rounding and clipping are all that is left."""
    model = LeastSquares(5)
    soft = lambda low: upscale(0.25 + low / 2, 16)  # noqa: E731  nothing is clipped
    shown = [(low // 2 + 64, high) for low, high in examples(24, soft)]
    model.fit(shown)
    low = torch.rand(1, 1, 3, 12, 9) / 2 + 0.25
    made, wanted = model(low), upscale(low[:, 0], 16)
    inside = (..., slice(32, -32), slice(32, -32))
    assert (made[inside] - wanted[inside]).abs().max() < 2 / 255


def test_the_error_is_the_least_there_is():
    """Orthogonal to what the filter sees, and no other weights have less."""
    noise = torch.rand(1, 3, 128, 128)
    held = list(examples(6, lambda low: (upscale(low, 16) + noise) / 2))
    model = LeastSquares(3)
    model.fit(held)

    def error():
        low = torch.stack([from_8bit(torch.from_numpy(one)).movedim(-1, 1) for one, _ in held])
        high = torch.stack([from_8bit(torch.from_numpy(one)).movedim(-1, 0) for _, one in held])
        return (model(low) - high)[..., 16:-16, 16:-16].double().square().mean()

    least = error()
    for place in range(0, 8, 3):
        model.weights[place] += 0.01
        assert error() > least
        model.weights[place] -= 0.01


def test_a_flat_picture_stays_flat_and_ends_are_repeated():
    model = LeastSquares(5)
    model.weights.normal_()
    assert torch.equal(model(torch.full((2, 1, 3, 1, 4), 0.5)), torch.full((2, 3, 16, 64), 0.5))


def test_examples_of_one_grey_leave_it_at_rest():
    model = LeastSquares(3)
    model.fit([(np.full((1, 4, 4, 3), 7, np.uint8), np.full((64, 64, 3), 7, np.uint8))])
    assert not model.weights.any()


@pytest.mark.parametrize(("side", "told"), [(4, "odd"), (1, "3 or more")])
def test_a_neighbourhood_has_a_middle_and_neighbours(side, told):
    with pytest.raises(ValueError, match=told):
        LeastSquaresSizes(side=side)


def test_it_is_fitted_on_the_training_examples_of_its_seed_before_it_is_scored(tmp_path, monkeypatch):
    recipe = SCALES["smoke"].recipes["LEAST_SQUARES"]
    drawn = []
    corpus = type(recipe.corpus)
    whole = corpus.example
    monkeypatch.setattr(
        corpus,
        "example",
        lambda self, seed, draw, **sizes: drawn.append(seed) or whole(self, seed, draw, **sizes),
    )
    model = recipe.model()
    items = list(recipe.score(model, seed=3, split="dev", pictures=tmp_path))
    assert drawn == [3] * recipe.network.examples
    assert model.weights.any()
    plain = replace(recipe, network=SCALES["smoke"].recipes["BICUBIC"].network)
    bicubic = list(plain.score(plain.model(), seed=3, split="dev", pictures=tmp_path))
    assert [item.id for item in items] == [item.id for item in bicubic]
    assert {"x4/ssim[rgb,crop0,u8,gauss11,quarter]"} <= set(bicubic[0].scores) - set(items[0].scores)


def test_no_test_photograph_is_among_what_it_may_be_fitted_on(monkeypatch):
    """As every network: photographs of a seed are dealt once."""
    monkeypatch.setattr(data, "_bad_ids", set)
    for seed in range(5):
        assert not set(data.photographs("train", seed)) & set(data.photographs("test", seed))
