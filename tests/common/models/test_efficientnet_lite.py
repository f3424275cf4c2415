"""EfficientNet-Lite against the implementation that its weights come from, and what its maps are."""

import zlib

import numpy as np
import pytest
import torch

from common.data.packages import FetchError, data_root
from common.models import efficientnet_lite
from common.models.efficientnet_lite import LITE0, LITE2, EfficientNetLite, our_name, pretrained, weights_file

# Made by EfficientNet.from_name(f"efficientnet-{name}", image_size=None) of efficientnet-lite-pytorch 0.1.0 (PyPI),
# which is no dependency: logits 0, 1, 500 and 999 of `waves`, scaled as here, and the class with the highest.
MADE_UP = {  # with the weights of `made_up` under its own names; pictures of 75 x 106
    LITE0: ([4.4441, 5.2503, -2.1411, -1.9942], 653),
    LITE2: ([3.0124, -1.2074, -0.6133, 1.8542], 991),
}
TRAINED = {  # with the weights of the packages; pictures of `side_px`
    LITE0: ([0.4709, -1.9144, -0.0190, -1.1372], 506),
    LITE2: ([-0.2705, 0.3312, -0.6319, 0.3099], 811),
}
ASKED = [0, 1, 500, 999]


def waves(height, width):
    y, x = np.mgrid[:height, :width]
    found = [0.5 + 0.5 * np.sin(0.02 * x * y / 8 + colour + x / 5) for colour in range(3)]
    return torch.from_numpy(np.stack(found).astype(np.float32))[None]


def made_up(variant):
    """A network whose weights are drawn by their names, so that nothing needs to be kept."""
    network = EfficientNetLite(variant)
    for name, tensor in network.state_dict().items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        if not tensor.is_floating_point():
            continue
        if name.endswith(("running_var", "norm.weight")):
            drawn = rng.uniform(0.5, 1.5, tensor.shape)
        elif tensor.dim() > 1:
            drawn = rng.standard_normal(tensor.shape) * (2 / tensor[0].numel()) ** 0.5
        else:
            drawn = rng.standard_normal(tensor.shape) / 10
        tensor.copy_(torch.from_numpy(np.asarray(drawn, dtype=np.float32)))
    return network


@pytest.fixture(scope="module")
def network():
    return made_up(LITE0).requires_grad_(False)


@pytest.mark.parametrize("variant", [LITE0, LITE2], ids=lambda variant: variant.name)
def test_numbers_are_those_of_the_implementation_that_weights_come_from(variant):
    with torch.no_grad():
        logits = made_up(variant)(waves(75, 106))[0]
    known, first = MADE_UP[variant]
    torch.testing.assert_close(logits[ASKED], torch.tensor(known), atol=2e-4, rtol=0)  # known to four places
    assert int(logits.argmax()) == first


@pytest.mark.corpus
@pytest.mark.parametrize("variant", [LITE0, LITE2], ids=lambda variant: variant.name)
def test_the_packages_weights_give_the_numbers_that_they_give_there(variant):
    if not (data_root() / variant.package.folder).exists():
        pytest.skip(f"needs {variant.package.label} under DATA_ROOT")
    with torch.no_grad():
        logits = pretrained(variant)(waves(variant.side_px, variant.side_px))[0]
    known, first = TRAINED[variant]
    torch.testing.assert_close(logits[ASKED], torch.tensor(known), atol=2e-4, rtol=0)
    assert int(logits.argmax()) == first


def test_maps_halve_and_round_up(network):
    shapes = [tuple(one.shape[1:]) for one in network.maps(waves(75, 106))]
    assert shapes == [(16, 38, 53), (24, 19, 27), (40, 10, 14), (112, 5, 7), (320, 3, 4)]
    assert network.places(waves(75, 106)).shape == (1, 1280, 3, 4)


def test_logits_are_the_mean_of_those_of_places(network):
    picture = waves(64, 64)
    at_places = network.classifier(network.places(picture).flatten(2).mT)
    torch.testing.assert_close(at_places.mean(1), network(picture), atol=1e-4, rtol=1e-4)


def test_pictures_of_a_batch_do_not_touch_each_other(network):
    one, other = waves(64, 96), waves(64, 96).flip(3)
    torch.testing.assert_close(network(torch.cat([one, other]))[1:], network(other), atol=1e-4, rtol=1e-4)


def test_every_name_of_theirs_is_a_name_of_ours():
    theirs = [
        "_conv_stem.weight",
        "_bn0.bias",
        "_blocks.0._bn1.weight",
        "_blocks.3._expand_conv.weight",
        "_bn1.bias",
    ]
    ours = [
        "stem.conv.weight",
        "stem.norm.bias",
        "blocks.0.depthwise.norm.weight",
        "blocks.3.expand.conv.weight",
    ]
    assert [our_name(name) for name in [*theirs, "_fc.bias"]] == [*ours, "head.norm.bias", "classifier.bias"]
    assert our_name("other._bn1.bias") == "other._bn1.bias"


def test_a_package_with_other_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "fetch", lambda package: tmp_path)
    with pytest.raises(FetchError, match="got none"):
        weights_file(LITE0)
    (tmp_path / "lite0.pth").write_bytes(b"other")
    with pytest.raises(FetchError, match=r"lite0\.pth \("):
        weights_file(LITE0)
