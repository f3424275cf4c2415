"""torchvision's weights of Kinetics-400 become ours: the same numbers on pixels in [0, 1]."""

import hashlib
from dataclasses import replace

import pytest
import torch

from multimodal_ssl.own import kinetics, recipe


@pytest.fixture(scope="module")
def theirs():
    """S3D with random weights and statistics."""
    from torchvision.models.video import s3d

    torch.manual_seed(0)
    network = s3d(weights=None).eval()
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(std=0.1)
    return network


@pytest.fixture
def root(theirs, tmp_path, monkeypatch):
    """A folder with them, under the name that their hash asks for."""
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()[:8]
    (tmp_path / "weights.pth").rename(tmp_path / f"s3d-{digest}.pth")
    file = replace(kinetics.FILES["s3d-kinetics"], name=f"s3d-{digest}.pth")
    monkeypatch.setattr(kinetics, "FILES", {"s3d-kinetics": file})
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    return tmp_path


@torch.inference_mode()
def test_numbers_are_torchvisions_but_for_the_border(theirs, root):
    trunk = recipe.FRESH["s3d-kinetics"].network.video.build().eval().trunk
    ours = {
        name.removeprefix(f"{kinetics.TRUNK}."): value
        for name, value in kinetics.trunk("s3d-kinetics").items()
    }
    trunk.load_state_dict(ours)
    pixels = torch.rand(1, 3, 4, 48, 48)
    mean, deviation = (
        torch.tensor(values)[:, None, None, None] for values in (kinetics.MEAN, kinetics.DEVIATION)
    )
    first, expected = trunk[0][0](pixels), theirs.features[0][0]((pixels - mean) / deviation)
    torch.testing.assert_close(first[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=1e-4, rtol=1e-4)
    # From there on both are one network.
    torch.testing.assert_close(trunk[1:](expected), theirs.features[1:](expected))


def test_a_file_that_is_another_one_is_refused(root):
    (path,) = root.iterdir()
    path.write_bytes(b"another")
    with pytest.raises(ValueError, match=r"SHA-256 must begin \w{8}, got \w{8}; fetch again"):
        kinetics.trunk("s3d-kinetics")
