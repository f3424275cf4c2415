"""Laws of the resize that defines the task, and MATLAB's numbers."""

import jaxtyping
import numpy as np
import pytest
import skimage.data
import torch

from benchmarks.resize import imresize_by_taps
from common.data.resize import downscale, from_8bit, imresize, resize_weights, to_8bit, upscale
from common.metrics.image_quality import psnr, ssim

SIZES = [((48, 80), (3, 5)), ((3, 5), (48, 80)), ((37, 23), (16, 61)), ((5, 4), (1, 1)), ((16, 16), (16, 7))]


def random_pictures(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def eight_bit_round_trip(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture cropped from its origin, and its bicubic x16 restoration, rounded after each step."""
    height, width = (side // 16 * 16 for side in picture.shape[:2])
    truth = np.ascontiguousarray(picture[:height, :width])
    small = to_8bit(downscale(from_8bit(torch.from_numpy(truth).permute(2, 0, 1))))
    return truth, to_8bit(upscale(from_8bit(small))).permute(1, 2, 0).contiguous().numpy()


@pytest.mark.parametrize(
    ("name", "psnr_db", "similarity"),
    [
        ("astronaut", 18.471, 0.52535),
        ("coffee", 21.142, 0.56785),
        ("chelsea", 23.757, 0.57858),
        ("rocket", 24.744, 0.76830),
    ],
)
def test_bicubic_x16_of_known_photographs(name, psnr_db, similarity):
    """Without antialiasing, with a = -0.75 or with sample covariance every one of these fails."""
    truth, restored = eight_bit_round_trip(getattr(skimage.data, name)())
    assert psnr(truth, restored) == pytest.approx(psnr_db, abs=1e-3)
    assert ssim(truth, restored) == pytest.approx(similarity, abs=2e-5)


@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)])
def test_equals_the_rule_written_tap_by_tap(before, after, dtype, tolerance):
    """float32 carries 24 bits: values of order 1 agree to 1e-6."""
    picture = random_pictures(*before)
    theirs = torch.from_numpy(imresize_by_taps(picture.numpy(), after))
    ours = imresize(picture.to(dtype), size=after)
    assert ours.dtype == dtype
    assert (ours.double() - theirs).abs().max() < tolerance


def test_up_weights_at_factor_two():
    """Keys' cubic at distances 7/4, 3/4, 1/4, 5/4, by hand: (-3, 29, 111, -9)/128."""
    row = resize_weights(8, 16, torch.float64, torch.device("cpu"))[8]
    assert torch.allclose(128 * row, torch.tensor([0, 0, -3, 29, 111, -9, 0, 0], dtype=torch.float64))


def test_shrinking_by_16_reads_64_pixels():
    inner = resize_weights(320, 20, torch.float64, torch.device("cpu"))[10]
    assert torch.count_nonzero(inner) == 64


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_constants_stay_constant(before, after):
    assert torch.allclose(imresize(torch.full(before, 0.7), size=after), torch.full(after, 0.7))


def test_down_and_up_does_not_move_the_picture():
    """A quarter pixel of a convention's shift would be 4 pixels here."""
    down = resize_weights(320, 20, torch.float64, torch.device("cpu"))
    up = resize_weights(20, 320, torch.float64, torch.device("cpu"))
    impulse_responses = (up @ down)[:, 128:192]  # one column per pixel, far from the borders
    place = torch.arange(320, dtype=torch.float64)
    centroid = (place @ impulse_responses) / impulse_responses.sum(0)
    assert abs(float((centroid - place[128:192]).mean())) < 1e-9


def test_down_and_up_commutes_with_mirroring():
    picture = random_pictures(3, 48, 64)
    there_and_back = upscale(downscale(picture))
    assert torch.allclose(upscale(downscale(picture.flip(-1, -2))), there_and_back.flip(-1, -2))


def test_axes_are_independent_of_order_and_of_leading_axes():
    pictures = random_pictures(2, 3, 48, 32)
    batched = imresize(pictures, size=(9, 20))
    assert torch.allclose(batched[1, 2], imresize(pictures[1, 2], size=(9, 20)))
    assert torch.allclose(batched.mT, imresize(pictures.mT, size=(20, 9)))


def test_is_linear():
    a, b = random_pictures(2, 32, 48)
    assert torch.allclose(downscale(2 * a - 3 * b), 2 * downscale(a) - 3 * downscale(b))


def test_gradient_is_the_transposed_resize():
    picture = random_pictures(32, 48).requires_grad_()
    weight = random_pictures(2, 3)
    (downscale(picture) * weight).sum().backward()
    assert torch.allclose((picture.grad * picture).sum(), (downscale(picture) * weight).sum())
    assert picture.grad.abs().min() > 0


def test_weights_first_made_in_inference_mode_can_train_later():
    resize_weights.cache_clear()
    with torch.inference_mode():
        downscale(random_pictures(16, 32))
    picture = random_pictures(16, 32).requires_grad_()
    downscale(picture).sum().backward()
    assert picture.grad is not None


def test_autocast_does_not_touch_it():
    picture = random_pictures(32, 32, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = downscale(picture)
    assert torch.equal(inside, downscale(picture))


def test_eight_bits_survive_the_round_trip():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_8bit(from_8bit(levels)), levels)


def test_to_8bit_rounds_half_up_and_clips():
    values = torch.tensor([-0.2, 0.49, 0.5, 1.5, 254.4, 300.0], dtype=torch.float64) / 255
    assert to_8bit(values).tolist() == [0, 0, 1, 2, 254, 255]


def test_refuses_sides_that_do_not_divide():
    with pytest.raises(ValueError, match="multiples of 16, got 1080x1920; crop to 1072x1920"):
        downscale(torch.zeros(3, 1080, 1920))


def test_refuses_integers():
    """Under the tests' runtime type checks the annotation answers first."""
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=r"uint8|u8"):
        imresize(torch.zeros(32, 32, dtype=torch.uint8), size=(2, 2))


def test_refuses_sizes_without_pixels():
    with pytest.raises(ValueError, match=r"got \(32, 32\) to \(0, 2\)"):
        imresize(torch.zeros(32, 32), size=(0, 2))


def test_refuses_to_store_nan_as_a_picture():
    with pytest.raises(ValueError, match="got 1 NaN or infinite of 4 values"):
        to_8bit(torch.tensor([0.0, 1.0, float("nan"), 0.5]))
