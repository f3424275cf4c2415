"""EDVR and BasicVSR++ as basicsr has them, beside ours of as many weights, for the benchmark of the x16 networks.

What is timed ends where the networks differ, before their tails: at features of the middle frame. Random weights, so
that offsets reach about as far in both; that outputs agree on equal weights is a test (`test_parity.py`).
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.harness import Race, Rounds, race
from video_sr.models.basicvsr import Propagation
from video_sr.models.edvr import FrameFusion

PEER = "basicsr"
NUM_FRAMES, CHANNELS, PATCH = 5, 64, 32
EDVR_M, BASICVSR = (
    "EDVR-M: features of 5 frames, aligned and fused",
    "BasicVSR++: features of the middle of 5 frames",
)
Job = Callable[[], object]


class _Reached(Exception):
    """The features at which a forward is ended."""

    def __init__(self, features: Tensor):
        super().__init__()
        self.features = features


@cache
def load_peer() -> None:
    """Makes basicsr's networks importable without its `__init__`, which imports all that its training needs.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = find_spec(PEER)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"{PEER} is not installed (pip install '.[dev,peers]')")
    (root,) = found.submodule_search_locations
    for name, content in ((PEER, {}), ("utils", {"get_root_logger": None}), ("archs", {}), ("ops", {})):
        full = name if name == PEER else f"{PEER}.{name}"
        module = types.ModuleType(full)
        module.__path__ = [root if name == PEER else f"{root}/{name}"]
        vars(module).update(content)
        sys.modules[full] = module


def _picture(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def _motion() -> Tensor:
    """Between neighbours, up to two pixels."""
    return 4 * _picture(2, 1, NUM_FRAMES - 1, 2, PATCH, PATCH) - 2


def edvr_ours() -> tuple[nn.Module, Callable[[], Tensor]]:
    network = FrameFusion(num_frames=NUM_FRAMES, channels=CHANNELS, groups=8, blocks=5)
    frames = _picture(1, NUM_FRAMES, 3, PATCH, PATCH)
    return network, lambda: network(frames)


def edvr_theirs() -> tuple[nn.Module, Callable[[], Tensor]]:
    from basicsr.archs.edvr_arch import EDVR

    network = EDVR(num_feat=CHANNELS, num_frame=NUM_FRAMES, num_extract_block=5, num_reconstruct_block=0)
    for tail in ("upconv1", "upconv2", "conv_hr", "conv_last"):
        delattr(network, tail)

    def reached(_: nn.Module, __: Any, fused: Tensor) -> None:
        raise _Reached(fused)

    network.fusion.register_forward_hook(reached)
    return network, _ended(network, _picture(1, NUM_FRAMES, 3, PATCH, PATCH))


def _ended(network: nn.Module, frames: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        try:
            network(frames)
        except _Reached as end:
            return end.features
        raise AssertionError("the forward went past its features")

    return run


def basicvsr_ours() -> tuple[nn.Module, Callable[[], Tensor]]:
    network = Propagation(channels=CHANNELS, blocks=7, front_blocks=5, groups=16, farthest_px=10.0)
    features, (to_next, to_last) = _picture(NUM_FRAMES, 1, CHANNELS, PATCH, PATCH), _motion()
    return network, lambda: network(
        list(features.unbind(0)), list(to_next.unbind(1)), list(to_last.unbind(1))
    )


def basicvsr_theirs() -> tuple[nn.Module, Callable[[], Tensor]]:
    from basicsr.archs.basicvsrpp_arch import BasicVSRPlusPlus

    with mock.patch("torch.cuda.is_available", return_value=True):  # else its alignment is left out
        network = BasicVSRPlusPlus(mid_channels=CHANNELS, num_blocks=7)
    network.cpu_cache = False
    for unused in ("spynet", "feat_extract", "upconv1", "upconv2", "conv_hr", "conv_last"):
        delattr(network, unused)
    features, (to_next, to_last) = _picture(NUM_FRAMES, 1, CHANNELS, PATCH, PATCH), _motion()

    def run() -> Tensor:
        held: dict[str, list[Tensor]] = {"spatial": list(features.unbind(0))}
        for name in ("backward_1", "forward_1", "backward_2", "forward_2"):
            held[name] = []
            # What the last pass makes of frames after the middle one, nobody reads: it is left out, as in ours.
            until = NUM_FRAMES // 2 if name == "forward_2" else None
            network.propagate(held, to_next if name.startswith("backward") else to_last[:, :until], name)
        result: Tensor = network.reconstruction(torch.cat([held[name][NUM_FRAMES // 2] for name in held], 1))
        return result

    return network, run


def _jobs(made: Callable[[], tuple[nn.Module, Callable[[], Tensor]]]) -> Mapping[str, Job]:
    torch.manual_seed(0)
    network, run = made()

    def forward() -> Tensor:
        with torch.inference_mode():
            return run()

    def update() -> None:
        run().square().mean().backward()
        network.zero_grad()

    return {"forward": forward, "forward and backward": update}


def races(rounds: Rounds) -> list[Race]:
    """Both networks against basicsr's, or nothing where it is not installed."""
    try:
        load_peer()
    except ModuleNotFoundError as error:
        print(f"left out: {error}")
        return []
    found = []
    for job, pair in ((EDVR_M, (edvr_ours, edvr_theirs)), (BASICVSR, (basicvsr_ours, basicvsr_theirs))):
        ours, theirs = (_jobs(made) for made in pair)
        for what in ours:
            contenders = {"ours": ours[what], PEER: theirs[what]}
            found.append(race(f"{job}, {PATCH}x{PATCH}: {what}", contenders, rounds))
    return found
