"""Scores equal scikit-image's under the same convention, and say so in their names."""

import math

import numpy as np
import pytest
import skimage.data
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from common.metrics import image_quality
from common.metrics.image_quality import (
    ALEXNET_FILE,
    LPIPS,
    PSNR,
    PSNR_Y,
    SSIM,
    SSIM_Y,
    TEMPORAL,
    Convention,
    Lpips,
    luma,
    psnr,
    ssim,
    temporal_consistency,
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def disturbed(picture: np.ndarray, levels: int) -> np.ndarray:
    change = np.random.default_rng(1).integers(-levels, levels + 1, picture.shape)
    return np.clip(picture + change, 0, 255).astype(np.uint8)


def black_and_white(height: int, width: int) -> np.ndarray:
    """Flat areas at both ends of the range, where float32 variances cancel worst."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, width // 2 :] = 255
    return picture


PAIRS = {
    "noise": (noise(64, 96, 3), noise(64, 96, 3, seed=1)),
    "odd sides": (noise(53, 67, 3), disturbed(noise(53, 67, 3), 40)),
    "one window": (noise(11, 11, 3), noise(11, 11, 3, seed=1)),
    "one row of windows": (noise(11, 300, 3), noise(11, 300, 3, seed=1)),
    "photograph": (skimage.data.chelsea()[:251, :333], disturbed(skimage.data.chelsea(), 25)[:251, :333]),
    "flat areas": (black_and_white(120, 150), disturbed(black_and_white(120, 150), 2)),
    "black against white": (np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)),
}


def scikit_ssim(a: np.ndarray, b: np.ndarray, channel_axis: int | None = 2) -> float:
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return structural_similarity(a, b, channel_axis=channel_axis, **settings)


@pytest.mark.parametrize("pair", PAIRS)
def test_ssim_equals_scikit_image(pair):
    """theirs is float64, ours float32 about the local mean."""
    assert ssim(*PAIRS[pair]) == pytest.approx(scikit_ssim(*PAIRS[pair]), abs=1e-6)


@pytest.mark.parametrize("pair", PAIRS)
def test_psnr_equals_scikit_image(pair):
    theirs = peak_signal_noise_ratio(*PAIRS[pair], data_range=255)
    assert psnr(*PAIRS[pair]) == pytest.approx(theirs, abs=1e-9)


def test_psnr_counts_every_pixel_of_a_large_frame():
    """1 level everywhere is exactly 20·log10(255) dB, also beyond float32's 2**24."""
    grey = np.full((2100, 2801, 3), 100, np.uint8)
    assert psnr(grey, grey + np.uint8(1)) == 20 * math.log10(255)


def test_identical_pictures_are_infinitely_close():
    picture = noise(20, 30, 3)
    assert psnr(picture, picture) == math.inf
    assert ssim(picture, picture) == pytest.approx(1, abs=1e-6)


def test_scores_do_not_depend_on_the_order_of_the_pair():
    a, b = PAIRS["odd sides"]
    assert psnr(a, b) == psnr(b, a)
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-7)


def test_names_carry_the_convention():
    assert (PSNR, SSIM) == ("psnr[rgb,crop0,u8]", "ssim[rgb,crop0,u8,gauss11]")
    assert (PSNR_Y, SSIM_Y) == ("psnr[y,crop0,u8]", "ssim[y,crop0,u8,gauss11]")
    assert Convention("ssim", "y", crop=16).name == "ssim[y,crop16,u8,gauss11]"
    assert (TEMPORAL, LPIPS) == ("tdiff[rgb,u8]", "lpips[alex,v0.1]")


@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_crop_is_scoring_the_inside(colour):
    a, b = PAIRS["photograph"]
    for measure in ("psnr", "ssim"):
        inside = Convention(measure, colour).score(a[5:-5, 5:-5], b[5:-5, 5:-5])
        assert Convention(measure, colour, crop=5).score(a, b) == pytest.approx(inside, abs=1e-7)
        assert Convention(measure, colour).score(a, b) != pytest.approx(inside, abs=1e-7)


def test_luma_is_matlabs():
    """Studio range: black 16, white 235; pure red, green, blue 81, 145, 41."""
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert luma(colours).tolist() == [[16, 235, 81, 145, 41]]
    picture = skimage.data.coffee()
    assert np.abs(luma(picture) - rgb2ycbcr(picture)[..., 0]).max() <= 0.5 + 1e-9


def test_luma_scores_equal_scikit_image_on_luma():
    a, b = PAIRS["photograph"]
    theirs = peak_signal_noise_ratio(luma(a), luma(b)), scikit_ssim(luma(a), luma(b), channel_axis=None)
    assert Convention("psnr", "y").score(a, b) == pytest.approx(theirs[0], abs=1e-9)
    assert Convention("ssim", "y").score(a, b) == pytest.approx(theirs[1], abs=1e-6)


def test_the_truth_changes_as_the_truth():
    clip = noise(4, 12, 14, 3)
    assert temporal_consistency(clip, clip) == 0


def test_an_error_that_stays_put_is_no_flicker():
    clip = noise(4, 12, 14, 3) // 2
    assert temporal_consistency(clip + noise(12, 14, 3, seed=1) // 2, clip) == 0


def test_flicker_of_known_size():
    """Brightness +0, +3, +0 on a still clip: both changes are off by 3 levels; +0, +0, +4 gives (0 + 4)/2."""
    still = np.full((3, 8, 8, 3), 100, np.uint8)
    for offsets, expected in (([0, 3, 0], 3), ([0, 0, 4], 2)):
        flickering = still + np.array(offsets, np.uint8)[:, None, None, None]
        assert temporal_consistency(flickering, still) == pytest.approx(expected)


def test_temporal_score_is_the_same_backwards_and_mirrored():
    sr, hr = noise(4, 12, 14, 3), noise(4, 12, 14, 3, seed=1)
    expected = pytest.approx(temporal_consistency(sr, hr))
    assert temporal_consistency(sr[::-1], hr[::-1]) == expected
    assert temporal_consistency(sr[:, :, ::-1], hr[:, :, ::-1]) == expected
    assert temporal_consistency(hr, sr) == expected


def test_refuses_pairs_of_different_shape():
    with pytest.raises(ValueError, match=r"one shape, got \(16, 16, 3\) and \(16, 20, 3\)"):
        image_quality.check_pair(noise(16, 16, 3), noise(16, 20, 3), axes=3)


def test_refuses_floats():
    with pytest.raises(ValueError, match="must be uint8, got float64 and uint8"):
        image_quality.check_pair(noise(16, 16, 3) / 255, noise(16, 16, 3), axes=3)


def test_refuses_channels_first():
    with pytest.raises(ValueError, match=r"3 channels.*got \(3, 16, 16\)"):
        image_quality.check_pair(noise(3, 16, 16), noise(3, 16, 16), axes=3)


def test_refuses_pictures_smaller_than_the_window():
    picture = noise(40, 42, 3)
    with pytest.raises(ValueError, match=r"crop16.*needs 11x11 pixels.*got \(40, 42\)"):
        Convention("ssim", crop=16).score(picture, picture)


def test_refuses_a_single_frame():
    with pytest.raises(ValueError, match=r"got 1 frame"):
        temporal_consistency(noise(1, 8, 8, 3), noise(1, 8, 8, 3))


def test_refuses_negative_crop():
    with pytest.raises(ValueError, match="got -1"):
        Convention("psnr", crop=-1)


@pytest.fixture
def alexnet_file(tmp_path, monkeypatch):
    """AlexNet's features at random, under the checksum of the file that holds them."""
    import hashlib

    from torchvision.models import alexnet

    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = alexnet(weights=None).features.state_dict()
    path = tmp_path / ALEXNET_FILE
    torch.save({f"features.{name}": weight for name, weight in features.items()}, path)
    prefix = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(image_quality, "ALEXNET_SHA256_PREFIX", prefix)
    return path


def test_lpips_says_which_file_is_missing_and_where_it_goes(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"alexnet-owt-7be5be79\.pth.*download\.pytorch\.org.*WEIGHTS_ROOT"
    ):
        Lpips(tmp_path / ALEXNET_FILE)


def test_lpips_refuses_another_file(tmp_path):
    path = tmp_path / ALEXNET_FILE
    path.write_bytes(b"an error page")
    with pytest.raises(ValueError, match="SHA-256 must begin 7be5be79, got"):
        Lpips(path)


def test_lpips_holds_the_features_of_the_file_and_leaves_the_random_numbers(alexnet_file):
    before = torch.random.get_rng_state()
    distance = Lpips(alexnet_file)
    assert torch.equal(torch.random.get_rng_state(), before)
    stored = torch.load(alexnet_file, weights_only=True)
    loaded = dict(distance.network.net.named_parameters())
    assert len(loaded) == len(stored) == 10
    assert torch.equal(loaded["slice5.10.weight"], stored["features.10.weight"])


def test_lpips_of_each_pair(alexnet_file):
    a, b = (torch.from_numpy(noise(2, 3, 64, 64, seed=seed)) / 255 for seed in (0, 1))
    distance = Lpips(alexnet_file)
    assert distance(a, a).tolist() == [0, 0]
    assert (distance(a, b) > 0).all()
    assert torch.allclose(distance(a, b)[1:], distance(a[1:], b[1:]), rtol=1e-4)


@pytest.mark.parametrize(("value", "shown"), [(-1.0, "-1 to"), (255.0, "to 255"), (math.nan, "nan")])
def test_lpips_takes_zero_to_one_only(alexnet_file, value, shown):
    picture = torch.full((1, 3, 64, 64), 0.5)
    outside = picture.clone()
    outside[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=rf"in \[0, 1\], got .*{shown}"):
        Lpips(alexnet_file)(picture, outside)
