"""Times steps and inference of the x16 networks and the deformable convolution: `python -m benchmarks.upscaling`."""

import dataclasses
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from benchmarks import video_peers
from benchmarks.harness import Peak, Race, Rounds, peak_memory, race
from benchmarks.records import options, publish
from common.papers import find
from common.recipe import Shard
from video_sr.corpora import Textures
from video_sr.models.blocks import deform_conv2d
from video_sr.upscaling import Upscaling

LAYOUTS = {"as shipped": None, "channels last": torch.channels_last, "contiguous": torch.contiguous_format}
FULL_HD = (67, 120)  # low-resolution size of a 1072x1920 frame
SCALE = "mini"


def recipe(name: str) -> Upscaling:
    """A recipe's own networks and batches on made-up textures, so that nothing needs downloading."""
    found = find("extreme-vsr").recipe(name, SCALE)
    assert isinstance(found, Upscaling)
    return dataclasses.replace(found, corpus=Textures())


def network(name: str, layout: torch.memory_format | None) -> nn.Module:
    torch.manual_seed(0)
    made = recipe(name).model()
    return made if layout is None else made.to(memory_format=layout)  # type: ignore[call-overload]


def training_step(name: str, layout: torch.memory_format | None) -> Callable[[], None]:
    """One step of forward, backward and AdamW on the recipe's batch, loading left out."""
    made, settings = network(name, layout), recipe(name)
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-4)
    batch = settings.batch(0, 0, Shard())

    def step() -> None:
        torch.stack(list(settings.losses(made, batch, 0).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def full_hd_frame(name: str, layout: torch.memory_format | None) -> Callable[[], Tensor]:
    """One 1072x1920 frame out of its low-resolution window."""
    made = network(name, layout).eval()
    window = torch.rand(1, recipe(name).network.num_frames, 3, *FULL_HD)

    def enlarge() -> Tensor:
        with torch.inference_mode():
            result: Tensor = made(window)
        return result

    return enlarge


def deformable(convolve: Callable[..., Tensor]) -> Callable[[], None]:
    """Forward and backward of one modulated deformable convolution on 40 frames of 16x16, 32 channels, 4 groups."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 32, 16, 16, generator=generator, requires_grad=True)
    offset = torch.randn(40, 4 * 18, 16, 16, generator=generator, requires_grad=True)
    mask = torch.rand(40, 4 * 9, 16, 16, generator=generator, requires_grad=True)
    weight = torch.randn(32, 32, 3, 3, generator=generator, requires_grad=True)
    bias = torch.zeros(32, requires_grad=True)
    return lambda: convolve(x, offset, mask, weight, bias).sum().backward()


def torchvision_form(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torchvision_deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)


def races(rounds: Rounds) -> list[Race]:
    ran = partial(race, rounds=rounds)
    found = [
        ran(
            "deformable convolution, forward and backward",
            {"ours (grid_sample)": deformable(deform_conv2d), "torchvision": deformable(torchvision_form)},
        )
    ]
    for name in ("EVESRNET", "WIDE"):
        for job, make in (("training step", training_step), ("1072x1920 frame", full_hd_frame)):
            contenders = {words: make(name, layout) for words, layout in LAYOUTS.items()}
            found.append(ran(f"{name} at {SCALE}: {job}", contenders))
    return found


def peaks() -> list[Peak]:
    """Most memory of a fresh process that does one thing."""
    return [
        peak_memory(f"{name} at {SCALE}: {job}", module=__name__, maker=make.__name__, arguments=(name, None))
        for name in ("EVESRNET", "WIDE", "BICUBIC")
        for job, make in (("training step", training_step), ("1072x1920 frame", full_hd_frame))
        if not (name == "BICUBIC" and make is training_step)
    ]


if __name__ == "__main__":
    chosen = options(
        "Times the x16 networks: training steps, full-HD frames, memory formats, deformable convolution."
    )
    publish(
        "upscaling", chosen, {"times": races, "peers": video_peers.races, "memory": lambda rounds: peaks()}
    )
