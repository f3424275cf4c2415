"""Laws that every network of the challenge keeps, whichever team's it is."""

import pytest
import torch
from small_networks import SMALL, stirred
from torch.nn import functional as F

from common import checkpoint
from common.data.resize import upscale
from common.settings import encode
from video_sr.models import by_name
from video_sr.models.blocks import ChannelAttention
from video_sr.models.multi_distillation import ContrastAttention
from video_sr.models.registration import Registration

EVERY = pytest.mark.parametrize("name", list(SMALL))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def window(name, height, width, batch=1):
    """Smooth frames, which SPAN needs to stay about 0..1."""
    coarse = torch.rand(batch, SMALL[name].num_frames, 3, -(-height // 2), -(-width // 2))
    return upscale(coarse, 2)[..., :height, :width].clamp(0, 1)


@EVERY
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 4)])
def test_any_size_comes_out_16_times_as_large(name, size):
    network = stirred(SMALL[name].build())
    with torch.no_grad():
        made = network(window(name, *size, batch=2))
    assert made.shape == (2, 3, 16 * size[0], 16 * size[1])
    assert made.isfinite().all()


@EVERY
def test_a_new_network_is_about_bicubic(name):
    """Exactly so in one step; in several x2 or x4 steps but for the cubic's own difference. SPAN starts anywhere."""
    if name.startswith("SPAN"):
        pytest.skip("starts from weights that are read, not from bicubic")
    frames = window(name, 6, 7)
    with torch.no_grad():
        made = SMALL[name].build()(frames)
    torch.testing.assert_close(made, upscale(frames[:, frames.shape[1] // 2], 16), atol=0.03, rtol=0)


@EVERY
def test_every_weight_gets_a_gradient(name):
    network = stirred(SMALL[name].build())
    low = window(name, 8, 8, batch=2)
    sum(SMALL[name].losses(network, low, torch.rand(2, 3, 128, 128), eps=1e-6).values()).backward()
    silent = [
        key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert silent == []


@EVERY
def test_one_batch_can_be_overfitted(name):
    sizes, low = SMALL[name], window(name, 4, 4)
    network = sizes.build()
    truth = F.interpolate(torch.rand(1, 3, 16, 16), size=(64, 64), mode="bicubic").clamp(0, 1)
    optimiser, losses = torch.optim.Adam(network.parameters(), 1e-2), []
    for step in range(steps := 80):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        loss = sum(sizes.losses(network, low, truth, eps=1e-6).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


@EVERY
def test_a_saved_network_comes_back(name, tmp_path):
    network, path = stirred(SMALL[name].build()), tmp_path / "weights.safetensors"
    settings = {"network": {"kind": type(SMALL[name]).__name__, **encode(SMALL[name])}}
    checkpoint.save(path, network.state_dict(), {"settings": settings})
    low = window(name, 4, 5)
    with torch.no_grad():
        assert torch.equal(by_name.load(str(path))(low), network(low))


@EVERY
def test_half_precision_is_near_single(name):
    network, low = stirred(SMALL[name].build(), by=0.01), window(name, 6, 6)
    with torch.no_grad():
        whole = network(low)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(low)
    assert (half.float() - whole).abs().mean() < 0.01 * whole.abs().max()


@EVERY
def test_a_static_clip_gives_the_same_picture_at_every_time(name):
    network = stirred(SMALL[name].build())
    num_frames = network.num_frames
    still = window(name, 6, 6)[:, :1].expand(-1, num_frames + 2, -1, -1, -1)
    with torch.no_grad():
        pictures = [network(still[:, start : start + num_frames]) for start in range(3)]
    assert all(torch.equal(picture, pictures[0]) for picture in pictures)


@EVERY
def test_clips_of_a_batch_do_not_mix(name):
    network, low = stirred(SMALL[name].build()), window(name, 5, 6, batch=2)
    with torch.no_grad():
        apart = torch.cat([network(clip[None]) for clip in low])
        torch.testing.assert_close(network(low), apart, atol=1e-4, rtol=1e-4)


@EVERY
def test_a_tile_gives_what_the_whole_gives_far_from_its_edges(name):
    """But for channel attention, which takes means over the picture, and motion, which all of it tells: here the one is
    told to scale by a constant, the other to find none."""
    network = stirred(SMALL[name].build(), by=0.01)
    for layer in network.modules():
        if isinstance(layer, ChannelAttention | ContrastAttention):
            layer.up.weight.data.zero_()
        if isinstance(layer, Registration):
            layer.rounds = 0
    low = window(name, 56, 16)
    with torch.no_grad():
        whole, tile = network(low), network(low[..., 8:, :])
    torch.testing.assert_close(
        tile[..., 16 * 24 : 16 * 26, :], whole[..., 16 * 32 : 16 * 34, :], atol=2e-4, rtol=0
    )


@EVERY
def test_a_window_of_another_length_is_refused_or_its_middle_is_read(name):
    network, frames = stirred(SMALL[name].build()), torch.rand(1, 5, 3, 4, 4)
    if network.num_frames > 1:
        with pytest.raises(ValueError, match="takes 3 frames, got 5"):
            network(frames)
    else:
        with torch.no_grad():
            assert torch.equal(network(frames), network(frames[:, 2:3]))


@EVERY
def test_neighbours_reach_the_picture(name):
    network, frames = stirred(SMALL[name].build()), window(name, 6, 6)
    if network.num_frames == 1:
        pytest.skip("sees one frame")
    other = frames.clone()
    other[:, 0] = 1 - other[:, 0]
    with torch.no_grad():
        assert (network(frames) - network(other)).abs().max() > 1e-5


@EVERY
def test_a_small_network_says_what_was_cut(name):
    """More than the class says of its full size."""
    if name.startswith("SPAN"):
        pytest.skip("is no entry of the challenge, from which anything could be cut")
    assert set(SMALL[name].departures()) > set(type(SMALL[name])().departures())
