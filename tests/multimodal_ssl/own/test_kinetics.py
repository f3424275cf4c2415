"""torchvision's weights of Kinetics-400 become ours: the same numbers on pixels in [0, 1]."""

import hashlib

import pytest
import torch
from torch import nn

from multimodal_ssl.own import kinetics, recipe

SMALL = kinetics.PublicFile(
    name="", megabytes=0, parts={"features": kinetics.TRUNK}, first=("features.0", "features.1")
)


def random_statistics(network):
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(std=0.1)
    return network.eval()


def theirs(pixels):
    mean, deviation = (
        torch.tensor(values)[:, None, None, None] for values in (kinetics.MEAN, kinetics.DEVIATION)
    )
    return (pixels - mean) / deviation


def of_trunk(tensors):
    return {name.removeprefix(f"{kinetics.TRUNK}."): value for name, value in tensors.items()}


@torch.inference_mode()
def test_numbers_are_torchvisions_but_for_the_border():
    torch.manual_seed(0)
    published, trunk = (
        nn.Sequential(nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(4)) for _ in "ab"
    )
    random_statistics(published)
    held = {f"features.{name}": value for name, value in published.state_dict().items()}
    trunk.eval().load_state_dict(of_trunk(kinetics.ours(held | {"classifier.weight": torch.ones(1)}, SMALL)))
    pixels = torch.rand(1, 3, 2, 8, 8)
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(trunk(pixels)[inside], published(theirs(pixels))[inside], atol=1e-5, rtol=1e-5)


def test_a_file_that_is_another_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    (tmp_path / "s3d-d76dad2f.pth").write_bytes(b"another")
    digest = hashlib.sha256(b"another").hexdigest()[:8]
    with pytest.raises(ValueError, match=f"SHA-256 must begin d76dad2f, got {digest}; fetch again"):
        kinetics.trunk("s3d-kinetics")


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize(("name", "maker"), [("s3d-kinetics", "s3d"), ("r2plus1d-kinetics", "r2plus1d_18")])
def test_every_tensor_of_torchvisions_trunk_has_its_place_in_ours(name, maker):
    from torchvision.models import video

    torch.manual_seed(0)
    published = random_statistics(getattr(video, maker)(weights=None))
    made = recipe.FRESH[name].network.video.build().eval()
    made.trunk.load_state_dict(of_trunk(kinetics.ours(published.state_dict(), kinetics.FILES[name])))
    pixels = torch.rand(1, 3, 4, 48, 48)
    conv, norm = (published.get_submodule(part) for part in kinetics.FILES[name].first)
    wanted = norm(conv(theirs(pixels)))
    layers = made.trunk[0][0] if maker == "s3d" else made.trunk[0]
    first = layers[1](layers[0](pixels))
    torch.testing.assert_close(first[..., 2:-2, 2:-2], wanted[..., 2:-2, 2:-2], atol=1e-4, rtol=1e-4)
