"""The same weights and input as public code: ours gives what theirs gave, as `public_networks.npz` holds it.

Tolerances are those of single precision, where sums run in another order.
"""

import re

import numpy as np
import public_networks
import pytest
import torch
from public_networks import flows, picture, weight

from video_sr.models.basicvsr import Propagation, _residual
from video_sr.models.edvr import RCAN, FrameFusion
from video_sr.models.mgbp import MultiGrid
from video_sr.models.multi_distillation import DistillationBlock

KNOWN = np.load(public_networks.VALUES)

EDVR = [  # our names and theirs
    (r"enter", "conv_first"),
    (r"front\.(\d)\.first", r"feature_extraction.\1.conv1"),
    (r"front\.(\d)\.second", r"feature_extraction.\1.conv2"),
    (r"align\.shrink\.0\.0", "conv_l2_1"),
    (r"align\.shrink\.0\.2", "conv_l2_2"),
    (r"align\.shrink\.1\.0", "conv_l3_1"),
    (r"align\.shrink\.1\.2", "conv_l3_2"),
    (r"align\.levels\.(\d)\.compare\.conv", r"pcd_align.offset_conv1.l\1"),
    (r"align\.levels\.(\d)\.refine", r"pcd_align.offset_conv2.l\1"),
    (r"align\.levels\.(\d)\.refine_more", r"pcd_align.offset_conv3.l\1"),
    (r"align\.levels\.(\d)\.sample\.steer", r"pcd_align.dcn_pack.l\1.conv_offset"),
    (r"align\.levels\.(\d)\.sample", r"pcd_align.dcn_pack.l\1"),
    (r"align\.levels\.(\d)\.join", r"pcd_align.feat_conv.l\1"),
    (r"align\.cascade_compare\.conv", "pcd_align.cas_offset_conv1"),
    (r"align\.cascade_refine", "pcd_align.cas_offset_conv2"),
    (r"align\.cascade_sample\.steer", "pcd_align.cas_dcnpack.conv_offset"),
    (r"align\.cascade_sample", "pcd_align.cas_dcnpack"),
    (r"fuse\.embed_centre", "fusion.temporal_attn1"),
    (r"fuse\.embed", "fusion.temporal_attn2"),
    (r"fuse\.fuse", "fusion.feat_fusion"),
    (r"fuse\.attend", "fusion.spatial_attn1"),
    (r"fuse\.pooled", "fusion.spatial_attn2"),
    (r"fuse\.coarse_enter", "fusion.spatial_attn_l1"),
    (r"fuse\.coarse_pooled", "fusion.spatial_attn_l2"),
    (r"fuse\.coarse_leave", "fusion.spatial_attn_l3"),
    (r"fuse\.middle", "fusion.spatial_attn3"),
    (r"fuse\.middle_leave", "fusion.spatial_attn4"),
    (r"fuse\.scale", "fusion.spatial_attn5"),
    (r"fuse\.shift\.0", "fusion.spatial_attn_add1"),
    (r"fuse\.shift\.2", "fusion.spatial_attn_add2"),
]
RCAN_NAMES = [
    (r"enter", "conv_first"),
    (r"groups\.(\d)\.blocks\.(\d)\.first", r"body.\1.residual_group.\2.rcab.0"),
    (r"groups\.(\d)\.blocks\.(\d)\.second", r"body.\1.residual_group.\2.rcab.2"),
    (r"groups\.(\d)\.blocks\.(\d)\.attention\.down", r"body.\1.residual_group.\2.rcab.3.attention.1"),
    (r"groups\.(\d)\.blocks\.(\d)\.attention\.up", r"body.\1.residual_group.\2.rcab.3.attention.3"),
    (r"groups\.(\d)\.leave", r"body.\1.conv"),
    (r"after", "conv_after_body"),
    (r"tail\.4", "conv_last"),
    (r"tail\.(\d)", r"upsample.\1"),
]
IMDN = [
    (r"steps\.0", "c1"),
    (r"steps\.1", "c2"),
    (r"steps\.2", "c3"),
    (r"last", "c4"),
    (r"fuse", "c5"),
    (r"attention\.down", "cca.conv_du.0"),
    (r"attention\.up", "cca.conv_du.2"),
]


BASICVSR = [
    (r"passes\.(\w+)\.align", r"deform_align.\1"),
    (r"passes\.(\w+)\.align\.steer\.(\d)", r"deform_align.\1.conv_offset.\2"),
    (r"passes\.(\w+)\.trunk\.0", r"backbone.\1.main.0"),
    (r"passes\.(\w+)\.trunk\.2\.first", r"backbone.\1.main.2.0.conv1"),
    (r"passes\.(\w+)\.trunk\.2\.second", r"backbone.\1.main.2.0.conv2"),
    *(
        pair
        for ours, their in (("front", "feat_extract"), ("join", "reconstruction"))
        for pair in (
            (rf"{ours}\.0", f"{their}.main.0"),
            *((rf"{ours}\.{n + 2}\.first", f"{their}.main.2.{n}.conv1") for n in range(5)),
            *((rf"{ours}\.{n + 2}\.second", f"{their}.main.2.{n}.conv2") for n in range(5)),
        )
    ),
]


def theirs(network, names, *, pointwise=()):
    """Fills our network with the weights that theirs had; `pointwise` layers are 1x1 convolutions over there."""
    state = {}
    for key, value in network.state_dict().items():
        layer, kind = key.rsplit(".", 1)
        layer = re.sub(r"(?<=levels\.)\d", lambda level: str(int(level[0]) + 1), layer)  # ours count from 0
        matching = [re.sub(ours, their, layer) for ours, their in names if re.fullmatch(ours, layer)]
        shape = tuple(value.shape)
        if kind == "weight" and any(part in layer for part in pointwise):
            shape = (*shape, 1, 1)
        state[key] = weight(f"{matching[0]}.{kind}", shape).reshape(value.shape)
    network.load_state_dict(state)
    return network.eval()


def close(ours, known):
    np.testing.assert_allclose(ours.detach().numpy(), KNOWN[known], atol=2e-5 * np.abs(KNOWN[known]).max())


def test_edvr_aligns_and_fuses_as_basicsrs_does():
    """Our masks are twice the sigmoid, so the weights that they multiply are halved."""
    network = theirs(FrameFusion(num_frames=3, channels=8, groups=2, blocks=1), EDVR)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if re.search(r"sample\.weight$", name):
                value.mul_(0.5)
        close(network(picture(1, 3, 3, 8, 12)), "edvr")


def test_basicvsr_propagates_and_aligns_as_basicsrs_does():
    """With motion given, up to the tail, which is ours."""
    ours = torch.nn.Module()
    ours.front = _residual(3, 8, 5)
    propagation = Propagation(channels=8, blocks=1, front_blocks=5, groups=16, farthest_px=10.0)
    ours.passes, ours.join = propagation.passes, propagation.join
    theirs(ours, BASICVSR)
    features = ours.front(picture(1, 5, 3, 10, 12)[0])[:, None].unbind(0)
    to_next, to_last = (list(motion.unbind(1)) for motion in flows())
    close(propagation(list(features), to_next, to_last), "basicvsr")


def test_rcan_is_basicsrs():
    """There the mean is given back at the end; here the enlarged picture is added by who calls it."""
    network = theirs(RCAN(channels=8, groups=2, blocks=2, squeeze=4), RCAN_NAMES, pointwise=("attention",))
    close(network(picture(1, 3, 6, 7) - 0.5) + 0.5, "rcan")


def test_distillation_block_is_imdns():
    block = theirs(DistillationBlock(32, squeeze=16), IMDN, pointwise=("attention",))
    close(block(picture(1, 32, 6, 7)), "imdn")


def mgbp_name(key):
    """Theirs of ours: `Upscale_2-1-1-0-0.1.weight` is level 2 with its own visit and those of levels 3 and 4 last.

    Levels below stand with the visit that they made last: 1 as soon as there was any visit before.
    """
    layer, kind = key.rsplit(".", 1)
    if found := re.fullmatch(r"(noise_)?analysis\.(\d)", layer):
        return f"Analysis{'N' if found[1] else ''}_{found[2]}.{kind}"
    if layer == "synthesis":
        return f"Synthesis.{kind}"
    *inner, direction, visit = layer.replace("correct.", "").replace("inner.", "").split(".")
    steps = [int(visit), *map(int, reversed(inner))]
    level = 5 - len(steps)
    label = "-".join(map(str, [level, *[int(any(steps))] * (level - 1), *steps]))
    return f"Downscale_{label}.{kind}" if direction == "down" else f"Upscale_{label}.1.{kind}"


@pytest.mark.parametrize("kernel", [3, 5])
def test_multi_grid_is_mgbpv2s(kernel):
    """A picture of 48x64 is padded to 63x79 and 61x77, more above and to the left."""
    grid = MultiGrid((6, 5, 4, 4, 3), visits=2, kernel=kernel, frame_taps=1, noise=1, amplitude=0.0)
    flat = {
        key: weight(
            mgbp_name(key), (*value.shape[:2], *value.shape[3:]) if value.ndim == 5 else tuple(value.shape)
        )
        for key, value in grid.state_dict().items()
    }
    grid.load_state_dict(
        {key: value[:, :, None] if value.ndim == 4 else value for key, value in flat.items()}
    )
    close(grid(picture(1, 3, 48, 64)[:, :, None]), f"mgbp{kernel}")
