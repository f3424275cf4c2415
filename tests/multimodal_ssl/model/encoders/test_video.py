"""Video encoders: where their units lie, and the same numbers as torchvision's own models."""

import pytest
import torch
from torch import nn
from torchvision.models.video import r2plus1d_18, s3d

from multimodal_ssl.model import networks
from multimodal_ssl.model.encoders.video import R2Plus1DEncoder, S3DEncoder, SmallVideoEncoder
from multimodal_ssl.model.networks import SmallVideo


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def small(time_strides=(2, 2)):
    return SmallVideoEncoder((4, 6, 8), time_strides)


def with_own_statistics(net):
    """Fresh running statistics would hide a batch norm that is left out or taken twice."""
    for each in net.modules():
        if isinstance(each, nn.BatchNorm3d):
            each.running_mean.normal_(0, 0.1)
            each.running_var.uniform_(0.5, 1.5)
    return net.eval()


def pooled(encoder, clips):
    with torch.no_grad():
        return encoder.eval()(clips).vectors.mean(1)


def test_mean_over_s3d_units_is_torchvisions_pooled_feature():
    theirs = with_own_statistics(s3d(weights=None))
    theirs.classifier = nn.Identity()
    ours, clips = (
        S3DEncoder(),
        torch.rand(1, 16, 3, 224, 224),
    )  # the smallest that torchvision's pooling takes
    ours.trunk.load_state_dict(theirs.features.state_dict())
    with torch.no_grad():
        expected = theirs(clips.transpose(1, 2))
    # Another memory format sums in another order.
    torch.testing.assert_close(pooled(ours, clips), expected, atol=1e-5, rtol=1e-4)


def test_mean_over_r2plus1d_units_is_torchvisions_pooled_feature():
    theirs = with_own_statistics(r2plus1d_18(weights=None))
    theirs.fc = nn.Identity()
    ours, clips = R2Plus1DEncoder(), torch.rand(2, 5, 3, 33, 40)
    stages = [theirs.stem, theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4]
    ours.trunk.load_state_dict(nn.Sequential(*stages).state_dict())
    with torch.no_grad():
        expected = theirs(clips.transpose(1, 2))
    torch.testing.assert_close(pooled(ours, clips), expected, atol=1e-5, rtol=1e-4)


def test_small_network_is_the_plain_stack_of_its_six_layers():
    ours, clips = with_own_statistics(small()), torch.rand(2, 4, 3, 16, 24)
    x = clips.transpose(1, 2)
    strides = [(1, 2, 2), (1, 2, 2), (2, 1, 1), (1, 2, 2), (2, 1, 1), (1, 1, 1)]
    kernels = [(1, 5, 5), (1, 3, 3), (3, 1, 1), (1, 3, 3), (3, 1, 1), (1, 3, 3)]
    for (conv, norm, _), stride, kernel in zip(ours.trunk, strides, kernels, strict=True):
        assert conv.weight.shape[2:] == kernel
        x = nn.functional.conv3d(x, conv.weight, None, stride, [size // 2 for size in kernel])
        shift, scale = (
            norm.running_mean.view(-1, 1, 1, 1),
            norm.running_var.add(1e-5).rsqrt().view(-1, 1, 1, 1),
        )
        x = ((x - shift) * scale).relu()  # gain 1 and bias 0 of a fresh norm
    torch.testing.assert_close(ours(clips).vectors, x.flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(5, 33, 52), (8, 64, 64), (9, 65, 47)])
@pytest.mark.parametrize(
    "make",
    [small, lambda: small((1, 1)), lambda: small((2, 1)), lambda: small((3, 2)), S3DEncoder, R2Plus1DEncoder],
    ids=["2+2", "1+1", "2+1", "3+2", "s3d", "r2plus1d"],
)
def test_grid_counts_the_units_of_any_size(make, size):
    time, height, width = size
    encoder = make().eval()
    with torch.no_grad():
        units = encoder(torch.rand(1, time, 3, height, width))
        last_map = encoder.trunk(torch.rand(1, 3, time, height, width))
    assert encoder.grid(*size) == last_map.shape[2:]
    assert units.vectors.shape == (1, last_map[0, 0].numel(), encoder.width)
    assert units.valid.all()


def test_grids_are_those_of_the_fact_sheets_sizes():
    assert S3DEncoder().grid(16, 224, 224) == (2, 7, 7)
    assert S3DEncoder().grid(32, 224, 224) == (4, 7, 7)
    assert R2Plus1DEncoder().grid(16, 112, 112) == (2, 7, 7)
    assert networks.MINI.video.build().grid(4, 64, 64) == (1, 8, 8)


def test_units_come_row_by_row_frame_by_frame():
    """A spot of light at one place changes the unit of that place most."""
    encoder = small((1, 1)).eval()
    dark = torch.zeros(1, 3, 3, 64, 64)
    lit = dark.clone()
    lit[0, 2, :, 40:48, 8:16] = 1  # frame 2 of 3, row 5 of 8, column 1 of 8
    change = (encoder(lit).vectors - encoder(dark).vectors).norm(dim=2)[0]
    assert change.argmax() == 2 * 64 + 5 * 8 + 1


def test_clips_stored_with_channels_last_give_the_same_numbers_without_a_copy():
    encoder, stored = small().eval(), torch.rand(2, 4, 16, 16, 3)
    view = stored.permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(encoder(view).vectors, encoder(view.contiguous()).vectors, atol=0, rtol=0)
    as_taken = view.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
    assert as_taken.data_ptr() == stored.data_ptr()


def test_batch_norm_is_over_all_places_of_all_clips():
    encoder, clips = small(), torch.rand(5, 4, 3, 16, 16)
    encoder(clips)
    conv, norm, _ = encoder.trunk[0]
    x = conv(clips.transpose(1, 2))
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean((0, 2, 3, 4)))
    assert all(each.momentum == 0.1 for each in S3DEncoder().modules() if isinstance(each, nn.BatchNorm3d))


@pytest.mark.parametrize(
    ("make", "size", "message"),
    [
        (S3DEncoder, (4, 64, 64), "S3D leaves no place of 4 frames of 64x64 pixels"),
        (S3DEncoder, (8, 16, 64), "8 frames of 16x64"),
    ],
)
def test_clip_too_small_for_one_place_is_refused(make, size, message):
    time, height, width = size
    with pytest.raises(ValueError, match=message):
        make()(torch.rand(1, time, 3, height, width))


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [(SmallVideo(), SmallVideoEncoder), (networks.S3D(), S3DEncoder), (networks.R2Plus1D(), R2Plus1DEncoder)],
)
def test_settings_build_their_network(chosen, kind):
    assert type(chosen.build()) is kind
