"""The tool: `python -m video_sr upscale|score|degrade|train|study`; what is heavy is imported once a command runs."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from common.command import plain_errors, tool
from common.progress import progress
from video_sr.own import commands
from video_sr.study.commands import study

app = tool("x16 video super-resolution: enlarge a video, score a result, train on your own films.")
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Rate = Annotated[
    float | None, typer.Option(min=0.01, help="Frames per second, when IN is a folder and OUT a video.")
]


@app.command()
def upscale(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video, a picture, or a folder of frames.")],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="A video; of a picture a .png; without a suffix a folder of PNGs."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="span-x16, span-twice, wide, evesrnet, bicubic, a folder that train has left, or a run's "
            "weights.safetensors; default the best that is here."
        ),
    ] = None,
    scale: Annotated[int, typer.Option(help="4, 8 or 16 times as large.")] = 16,
    tile: Annotated[
        int,
        typer.Option(
            min=0,
            help="Pixels of IN a side, a multiple of 4: works on tiles, for frames larger than memory; 0: whole.",
        ),
    ] = 0,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Mean of eight flips and turns; eight times as long.")
    ] = False,
    compare: Annotated[
        Path | None, typer.Option(help="Also write this video: left half bicubic, right half the model's.")
    ] = None,
    device: Device = "auto",
    rate: Rate = None,
    crf: Annotated[int, typer.Option(min=0, max=51, help="H.264 quality, 0 is best.")] = 16,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Of a damaged video, keep what can be decoded; list the holes.")
    ] = False,
) -> None:
    """Enlarges a video of any length x16, x8 or x4, with its main sound and its frames' times, in constant memory.

    \b
    python -m video_sr upscale small.mp4 large.mp4
    python -m video_sr upscale small.mp4 large.mp4 --model span-x16 --compare beside-bicubic.mp4
    python -m video_sr upscale frames/ large.mp4 --rate 25 --model runs/mine/weights.safetensors
    """
    with plain_errors(too_large="frames are"):
        from common.runtime import find_device
        from video_sr.models import by_name
        from video_sr.models.views import seen_through
        from video_sr.upscale import Footage, check_beside, check_target
        from video_sr.upscale import upscale as enlarge

        check_target(source, target, overwrite=overwrite)
        check_beside(source, target, compare, overwrite=overwrite)
        footage = Footage.open(source, salvage=salvage)
        model, notice = (model, "") if model else by_name.usual()
        if notice:
            typer.echo(f"note: {notice}", err=True)
        loaded = by_name.load(model)
        if told := getattr(loaded, "told", ""):
            typer.echo(f"note: {told}", err=True)
        network = seen_through(loaded, tile=tile, ensemble=ensemble, scale=scale)
        found = find_device(device)
        if found.notice and next(network.parameters(), None) is not None:
            typer.echo(found.notice, err=True)
        rate_hz = None if rate is None else Fraction(rate).limit_denominator(1001)
        with progress("enlarging", footage.num_frames, "frame") as bar:
            count = enlarge(
                footage,
                target,
                network.to(found.kind),
                rate_hz=rate_hz,
                crf=crf,
                compare=compare,
                advance=bar.advance,
                tell=lambda line: typer.echo(f"note: {line}", err=True),
            )
        size = f"{footage.width}x{footage.height} to {footage.width * scale}x{footage.height * scale}"
        typer.echo(f"{target}: {count} frames, {size}, by {model}")


@app.command()
def score(
    sr: Annotated[Path, typer.Option(help="What a method made: a video, a folder of frames, or of such.")],
    hr: Annotated[Path, typer.Option(help="The truth, laid out alike.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, frame by frame.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw scores over frames into this .png.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with scores and pictures to slide over one another.")
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Also score what a model makes of HR degraded: bicubic, lanczos, span-twice, realesrgan-twice, "
            "...; all: these four; repeatable."
        ),
    ] = None,
    lpips: Annotated[
        bool, typer.Option("--lpips", help="Also LPIPS; its file lies in WEIGHTS_ROOT.")
    ] = False,
    features: Annotated[
        bool,
        typer.Option("--features", help="Also the distance of EfficientNet-Lite0's features; fetches 17 MB."),
    ] = False,
    ffmpeg: Annotated[
        bool, typer.Option("--ffmpeg", help="Also XPSNR, VIF and VMAF, by FFmpeg; fetches 68 MB, once.")
    ] = False,
    warped: Annotated[
        bool, typer.Option("--warped", help="Also how steady it is along motion; a second a frame.")
    ] = False,
) -> None:
    """Scores sequences against the truth by the challenge's protocol, and names every convention.

    \b
    python -m video_sr score --sr large.mp4 --hr truth.mp4 --peer span-twice
    python -m video_sr score --sr results/ --hr truth/ --plot psnr.png --html scores.html
    python -m video_sr score --sr results/ --hr truth/ --json > scores.json
    """
    with plain_errors(too_large="frames are"):
        from common.files import write_atomically
        from video_sr import by_ffmpeg, further, peers, score_kit, score_shown
        from video_sr.models.by_name import load_peer

        for path, what, suffix in ((plot, "plot", ".png"), (html, "page", ".html")):
            if path and (path.suffix.lower() != suffix or not path.parent.is_dir()):
                raise ValueError(f"{path}: the {what} must be a {suffix} in a folder that is there")
            if path and path.is_dir():
                raise ValueError(
                    f"{path}: is a folder; name a file for the {what}, such as {path / f'a{suffix}'}"
                )
        for side in (sr, hr):
            if not side.exists():
                raise ValueError(f"{side}: no such file or folder")
        pairs = score_kit.find_pairs(sr, hr)
        asked = further.Further(
            distances=further.distances(features=features, lpips=lpips),
            ffmpeg=by_ffmpeg.program() if ffmpeg else None,
            warped=warped,
        )
        beside = {
            name: load_peer(name) for name in peers.named(peer or [])
        }  # a wrong name is told before any work
        for name, one in beside.items():
            if told := getattr(one, "told", ""):
                typer.echo(f"note: {name}: {told}", err=True)
        counts = [pair.hr.num_frames for pair in pairs]
        total = None if None in counts else sum(count or 0 for count in counts)
        with progress("scoring", total, "frame") as bar:
            scored = [score_kit.score(pair, asked, bar.advance) for pair in pairs]
        rows = []
        for name, one in beside.items():
            with progress(f"scoring {name}", total, "frame") as bar:
                rows.append(peers.score_peer(name, one, pairs, asked, bar.advance))
        report = score_kit.report(scored) | ({"peers": peers.report(rows)} if rows else {})
        typer.echo(json.dumps(report, indent=1) if as_json else score_kit.table(scored))
        if rows and not as_json:
            typer.echo("\n" + peers.table(scored, rows))
        if plot:
            score_shown.plot(scored).savefig(plot, dpi=150)
            typer.echo(f"{plot}: drawn", err=True)
        if html:
            write_atomically(html, score_shown.page(scored, rows).encode())
            typer.echo(f"{html}: written", err=True)


@app.command()
def degrade(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="High resolution: a video or a folder of frames.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, for PNG files.")],
) -> None:
    """Makes the challenge's low-resolution frames: cut to multiples of 16, MATLAB's bicubic to 1/16, 8 bits.

    \b
    python -m video_sr degrade truth.mp4 small/
    python -m video_sr degrade truth/clip-001 small/clip-001
    python -m video_sr upscale small/ large.mp4 --rate 25
    """
    with plain_errors(too_large="frames are"):
        from video_sr.upscale import Footage, check_target, degrade_footage, is_file_name

        if is_file_name(target):
            raise ValueError(
                f"{target}: degrade writes a folder of PNG files, since a lossy video would be another task; "
                f"give a name without {target.suffix}"
            )
        check_target(source, target)
        footage = Footage.open(source)
        with progress("making small", footage.num_frames, "frame") as bar:
            count = degrade_footage(footage, target, advance=bar.advance)
        width, height = footage.width // 16, footage.height // 16
        cut = (width * 16, height * 16) != (footage.width, footage.height)
        typer.echo(
            f"{target}: {count} frames, {footage.width}x{footage.height} "
            + (f"cut to {width * 16}x{height * 16}, " if cut else "")
            + f"to {width}x{height}"
        )


app.command()(commands.train)
app.command()(study)

if __name__ == "__main__":
    app(prog_name="python -m video_sr")
