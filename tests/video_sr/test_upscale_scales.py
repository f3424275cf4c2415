"""`upscale --scale` and `--compare`: other sizes of the same picture, and a video that shows both sides."""

import numpy as np
import odd_videos
import pytest
import torch
from PIL import Image
from small_networks import SMALL
from typer.testing import CliRunner

from common.data.resize import downscale
from common.data.video import probe, read_frames
from video_sr.__main__ import app
from video_sr.models.views import seen_through
from video_sr.upscale import split_view


def run(*words):
    return CliRunner().invoke(app, [*map(str, words), "--model", "bicubic", "--device", "cpu"])


@pytest.mark.parametrize("name", ["wide activation", "SPAN", "SPAN x16"])
def test_another_scale_is_the_networks_own_step_or_its_picture_reduced(name):
    torch.manual_seed(0)
    network = SMALL[name].build().eval()
    frames = torch.rand(1, network.num_frames, 3, 5, 7)
    with torch.no_grad():
        whole, x8, x4 = (seen_through(network, scale=scale)(frames) for scale in (16, 8, 4))
        torch.testing.assert_close(x8, downscale(whole, 2))
        own = network.x4(frames) if hasattr(network, "x4") else downscale(whole, 4)
    assert torch.equal(x4, own)
    assert x4.shape[-2:] == (20, 28)


def test_tiles_and_views_go_with_every_scale():
    torch.manual_seed(0)
    network = SMALL["wide activation"].build().eval()
    frames = torch.rand(1, 1, 3, 6, 50)
    with torch.no_grad():
        whole, tiled = (seen_through(network, scale=8, tile=tile)(frames) for tile in (0, 32))
        views = seen_through(network, scale=4, ensemble=True)(frames)
    torch.testing.assert_close(tiled, whole, atol=1e-3, rtol=0)  # a new network is bicubic
    assert views.shape == (1, 3, 24, 200)


def test_a_video_is_four_times_as_large_and_the_comparison_beside_it(tmp_path):
    source = odd_videos.film(tmp_path / "in.mp4", num_frames=3, width=32, height=18)
    large, beside = tmp_path / "out.mp4", tmp_path / "beside.mp4"
    done = run("upscale", source, large, "--scale", 4, "--compare", beside)
    assert done.exit_code == 0, done.output
    assert "32x18 to 128x72" in done.output
    for path in (large, beside):
        assert (probe(path).width, probe(path).height, len(list(read_frames(path)))) == (128, 72, 3)


def test_the_left_half_is_bicubic_and_a_white_line_divides():
    small, made = np.full((2, 4, 3), 50, np.uint8), np.full((32, 64, 3), 200, np.uint8)
    view = split_view(small, made)
    assert (view[:, :31] == 50).all()
    assert (view[:, 31:33] == 255).all()
    assert (view[:, 33:] == 200).all()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--scale", 3), "scale must be 4, 8 or 16, got 3"),
        (("--compare", "beside.png"), "what is compared is a video, which ends in .mp4"),
        (("--compare", "out.mp4"), "is the output itself; give the comparison another name"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_nothing_is_written(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4)).save("in.png")
    done = run("upscale", "in.png", "out.mp4", "--rate", 5, *words)
    assert (done.exit_code, done.stderr.count("error: ")) == (2, 1)
    assert sentence in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png"]
