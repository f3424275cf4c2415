"""`train` of the tool; what is heavy is imported once it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.command import plain_errors

GOES_ON = "the same command goes on"


def train(
    data: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Videos, pictures, folders of numbered frames; any depth."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the weights, their card, and what resuming needs.")],
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
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")
    ] = None,
    print_settings: Annotated[
        bool,
        typer.Option("--print-settings", help="Check FOLDER, show every setting as --set takes it, stop."),
    ] = False,
    resume: Annotated[
        str, typer.Option(help="auto goes on if it can; must fails if not; never or replace start anew.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
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
        if print_settings:
            from common.settings import assignments

            typer.echo("\n".join(assignments(wanted.recipe())))
            return
        path = training.train(wanted, device=device, resume=resume)
        typer.echo((out / training.CARD).read_text(encoding="utf-8"))
        typer.echo(f"{path}: its card is {out / training.CARD}")
