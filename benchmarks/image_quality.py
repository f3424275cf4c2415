"""Times PSNR and SSIM of a 1072x1920 frame against scikit-image: `python -m benchmarks.image_quality`."""

import numpy as np
from numpy import ndarray
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.harness import Race, Rounds, race
from benchmarks.records import options, publish
from common.metrics.image_quality import psnr, ssim

FRAME = (1072, 1920)


def frames() -> tuple[ndarray, ndarray]:
    """A photograph, tiled to the challenge's size, and a noisy copy."""
    truth = np.tile(astronaut(), (3, 4, 1))[: FRAME[0], : FRAME[1]].copy()
    noise = np.random.default_rng(0).integers(-30, 31, truth.shape)
    return truth, np.clip(truth + noise, 0, 255).astype(np.uint8)


def scikit_ssim(a: ndarray, b: ndarray) -> float:
    return structural_similarity(
        a, b, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )


def races(rounds: Rounds) -> list[Race]:
    a, b = frames()
    assert abs(psnr(a, b) - peak_signal_noise_ratio(a, b)) < 1e-9
    assert abs(ssim(a, b) - scikit_ssim(a, b)) < 1e-6
    jobs = {
        "PSNR": (lambda: psnr(a, b), lambda: peak_signal_noise_ratio(a, b)),
        "SSIM": (lambda: ssim(a, b), lambda: scikit_ssim(a, b)),
        "PSNR and SSIM": (
            lambda: (psnr(a, b), ssim(a, b)),
            lambda: (peak_signal_noise_ratio(a, b), scikit_ssim(a, b)),
        ),
    }
    return [race(job, {"ours": ours, "scikit-image": theirs}, rounds) for job, (ours, theirs) in jobs.items()]


if __name__ == "__main__":
    chosen = options("Times PSNR and SSIM of one 1072x1920 RGB frame against scikit-image.")
    publish("image_quality", chosen, {"all": races})
