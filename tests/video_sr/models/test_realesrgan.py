"""Real-ESRGAN as a peer: ncnn's rows fill it in order, it enlarges x16, and `upscale` does not offer it."""

import numpy as np
import pytest
import torch

from common.data.packages import data_root
from video_sr import realesrgan_weights
from video_sr.models import by_name
from video_sr.models.realesrgan import RealESRGANTwice, RRDBNet, fill, published
from video_sr.ncnn_files import HALF


def small():
    torch.manual_seed(0)
    return RRDBNet(channels=4, growth=2, blocks=1)


def write_ncnn(network, stem):
    """A network's weights as ncnn stores them, in half precision."""
    rows, data, named = ["7767517", "9 9", "Input in 0 1 data"], b"", dict(network.named_parameters())
    for name in [key.removesuffix(".weight") for key in named if key.endswith("weight")]:
        weight, bias = named[f"{name}.weight"].detach(), named[f"{name}.bias"].detach()
        rows.append(
            f"Convolution {name} 1 1 a b 0={len(bias)} 1=3 4=1 6={weight.numel()} -23310=1,2.000000e-01"
        )
        half = weight.numpy().astype("<f2").tobytes()
        data += np.array([HALF], "<u4").tobytes() + half + bytes(-len(half) % 4)
        data += bias.numpy().astype("<f4").tobytes()
    stem.with_suffix(".param").write_text("\n".join(rows))
    stem.with_suffix(".bin").write_bytes(data)


def test_ncnns_rows_fill_it_in_their_order(tmp_path):
    network, stem = small(), tmp_path / "x4"
    write_ncnn(network, stem)
    other = RRDBNet(channels=4, growth=2, blocks=1)
    fill(other, realesrgan_weights.read_in_order(stem.with_suffix(".param"), stem.with_suffix(".bin")))
    picture = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(other(picture), network(picture), atol=1e-3, rtol=0)


def test_its_size_and_what_a_frame_becomes():
    assert sum(weight.numel() for weight in RRDBNet().parameters()) == 16_697_987
    twice = RealESRGANTwice(small())
    assert twice(torch.rand(1, 1, 3, 3, 5)).shape == (1, 3, 48, 80)


def test_it_is_a_peer_and_no_model():
    with pytest.raises(ValueError, match="unknown model 'realesrgan-twice'"):
        by_name.load("realesrgan-twice")
    assert "invents detail" in RealESRGANTwice.told
    assert by_name.load_peer("bicubic").num_frames == 1


@pytest.mark.corpus
def test_the_published_weights_enlarge_a_ramp_nearly_as_it_is():
    if not (data_root() / realesrgan_weights.PACKAGE.folder).is_dir():
        pytest.skip(f"{realesrgan_weights.PACKAGE.label} is not in the data root")
    ramp = torch.linspace(0.2, 0.8, 16).expand(1, 1, 3, 8, 16)
    with torch.inference_mode():
        made = published()(ramp)
    expected = torch.linspace(0.2, 0.8, 256).expand(1, 3, 128, 256)
    assert (made - expected).abs().mean() < 0.05
