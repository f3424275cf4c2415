"""`train` of the tool; what is heavy is imported once it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.command import plain_errors
from common.own_training import GOES_ON, Device, Out, PrintSettings, Resume, Settings, carry_out


def train(
    data: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Videos, pictures, folders of numbered frames; any depth."),
    ],
    out: Out,
    network: Annotated[
        str,
        typer.Option(help="wide, evesrnet, span-x16, or another entry; an unknown name lists all."),
    ] = "wide",
    dev: Annotated[
        Path | None, typer.Option(help="Files to score on; default a tenth of FOLDER's, at least one.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of training; default the network's own at mini.")
    ] = None,
    settings: Settings = None,
    print_settings: PrintSettings = False,
    resume: Resume = "auto",
    device: Device = "auto",
) -> None:
    """Trains a x16 network on your own films and pictures; stopped, the same command goes on.

    Files are divided into those trained and those scored on, and made small by the challenge's protocol. OUT is a model
    for `upscale --model OUT`; OUT/README.md says how well it does beside bicubic and SPAN twice, OUT/left-out.txt
    which files were not used and why, OUT/run/previews how it came along.

    \b
    python -m video_sr train films/ --network wide --out mine
    python -m video_sr train films/ --dev more/ --network evesrnet --steps 3000 --out mine
    python -m video_sr upscale small.mp4 large.mp4 --model mine
    """
    with plain_errors(stopped=GOES_ON, too_large="a batch is"):
        from video_sr.own import training

        wanted = training.Wanted(
            data=data, network=network, out=out, dev=dev, steps=steps, settings=settings or ()
        )
        carry_out(wanted, training.train, print_settings=print_settings, device=device, resume=resume)
