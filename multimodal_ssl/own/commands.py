"""`train`, `evaluate` and `embed` of the tool; what is heavy is imported once one runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.command import plain_errors
from common.own_training import GOES_ON, Device, Out, PrintSettings, Resume, Settings, carry_out

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Folder of videos with .vtt, .srt or .json beside them; a .csv of path, caption, start, end; .tar shards.",
    ),
]
Model = Annotated[
    str | None, typer.Option(help="films, fine, or a file such as OUT/model.safetensors; default films.")
]
Rate = Annotated[
    float | None,
    typer.Option(min=0.01, max=1000, help="Frames looked at per second, as `index` takes it."),
]


def train(
    data: Data,
    out: Out,
    model: Annotated[
        str,
        typer.Option(
            help="To start from: a name, a file, or small, pictures, s3d, r2plus1d, s3d-kinetics ..."
        ),
    ] = "fine",
    dev: Annotated[
        Path | None, typer.Option(help="Clips to score on; default a tenth of DATA, by video.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.01, max=1000, help="Frames looked at per second, as `index` takes it.")
    ] = 4.0,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of training; default thirty rounds over DATA, 200 to 20000."),
    ] = None,
    settings: Settings = None,
    print_settings: PrintSettings = False,
    resume: Resume = "auto",
    device: Device = "auto",
) -> None:
    """Trains search on your own captioned videos; stopped, the same command goes on.

    Writes OUT/model.safetensors for `index --model`. OUT/README.md says how well captions find their clips on dev,
    OUT/left-out.txt which clips and captions were not used and why.

    \b
    python -m multimodal_ssl train films --out mine
    python -m multimodal_ssl train clips.csv --dev dev.csv --model small --out anew
    python -m multimodal_ssl index films --model mine/model.safetensors --out films-index
    """
    with plain_errors(stopped=GOES_ON, too_large="a batch is"):
        from multimodal_ssl.own import training

        wanted = training.Wanted(
            data=data, model=model, out=out, dev=dev, rate_hz=rate, steps=steps, settings=settings or ()
        )
        carry_out(wanted, training.train, print_settings=print_settings, device=device, resume=resume)


def evaluate(
    data: Data,
    model: Model = None,
    rate: Rate = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = "auto",
) -> None:
    """How well captions find your own clips and clips their captions: recalls with 95 % intervals, median ranks.

    \b
    python -m multimodal_ssl evaluate films --model mine/model.safetensors
    python -m multimodal_ssl evaluate clips.csv --model fine --json
    python -m multimodal_ssl evaluate real-films
    """
    with plain_errors(too_large="a clip is"):
        from common.runtime import find_device
        from multimodal_ssl.own import evaluation
        from multimodal_ssl.search import weights
        from multimodal_ssl.search.windows import cut_of

        trained = weights.load(model)
        scores, notice = evaluation.evaluate(
            data, trained, find_device(device).kind, cut_of(trained.matching, rate)
        )
        if notice:
            typer.echo(f"note: {notice}", err=True)
        named = {"data": str(data), "model": trained.name}
        typer.echo(
            json.dumps(named | scores.record(), indent=1, ensure_ascii=False) if as_json else scores.table()
        )


def embed(
    data: Data,
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    model: Model = None,
    rate: Rate = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT where it is there.")] = False,
    device: Device = "auto",
) -> None:
    """Writes a vector of every clip and of every caption, captions or none; products of the two are cosines.

    \b
    python -m multimodal_ssl embed films --out films.npz
    python -m multimodal_ssl embed clips.csv --model mine/model.safetensors --out clips.npz
    python -m multimodal_ssl embed shards --rate 2 --out shards.npz --overwrite
    """
    with plain_errors(too_large="a clip is"):
        from common.runtime import find_device
        from multimodal_ssl.own import embedding
        from multimodal_ssl.search import weights
        from multimodal_ssl.search.windows import cut_of

        if out.suffix != ".npz":
            raise ValueError(f"{out}: vectors are written as .npz; choose such a name")
        if out.exists() and not overwrite:
            raise ValueError(f"{out} is there already; choose another name, or --overwrite")
        trained = weights.load(model)
        typer.echo(
            embedding.embed(data, out, trained, find_device(device).kind, cut_of(trained.matching, rate))
        )
