"""Fidelity losses on cases small enough for paper and pencil."""

import pytest
import torch

from video_sr.objective import charbonnier, l1


def test_charbonnier_of_equal_pictures_is_the_root_of_eps():
    picture = torch.full((2, 3, 4, 4), 0.5)
    assert charbonnier(picture, picture).item() == pytest.approx(1e-3)


def test_charbonnier_averages_after_the_root():
    """sqrt(9 + 16) = 5 and sqrt(0 + 16) = 4; the root of the mean would give 4.53."""
    assert charbonnier(torch.tensor([3.0, 0.0]), torch.zeros(2), eps=16.0).item() == pytest.approx(4.5)


def test_charbonnier_has_a_finite_gradient_where_pictures_agree():
    prediction = torch.zeros(3, requires_grad=True)
    charbonnier(prediction, torch.zeros(3)).backward()
    assert prediction.grad.isfinite().all()


def test_charbonnier_without_eps_is_refused():
    with pytest.raises(ValueError, match=r"eps must be positive.*got 0"):
        charbonnier(torch.zeros(3), torch.zeros(3), eps=0.0)


def test_l1_is_the_mean_absolute_difference():
    assert l1(torch.tensor([1.0, -0.5]), torch.tensor([0.0, 0.5])).item() == 1.0


def test_charbonnier_approaches_l1_far_from_zero():
    torch.manual_seed(0)
    prediction, truth = torch.rand(50), torch.rand(50) + 1.5
    assert charbonnier(prediction, truth).item() == pytest.approx(l1(prediction, truth).item(), rel=1e-5)
