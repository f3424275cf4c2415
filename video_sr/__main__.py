"""The tool: `python -m video_sr upscale|score|degrade`; what is heavy is imported once a command runs."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

LINE_EVERY_S = 10.0  # progress where no terminal watches

app = typer.Typer(
    help="x16 video super-resolution: enlarge a video, score a result, make the challenge's input.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Rate = Annotated[
    float | None, typer.Option(min=0.01, help="Frames per second, when IN is a folder and OUT a video.")
]


@app.command()
def upscale(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video, or a folder of frames.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="A video; without a suffix a folder of PNGs.")
    ],
    model: Annotated[str, typer.Option(help="A name, or a run's weights.safetensors.")] = "evesrnet",
    device: Device = "auto",
    rate: Rate = None,
    crf: Annotated[int, typer.Option(min=0, max=51, help="H.264 quality, 0 is best.")] = 16,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Enlarges a video of any length x16, with its sound, in constant memory.

    \b
    python -m video_sr upscale small.mp4 large.mp4
    python -m video_sr upscale small.mp4 large.mp4 --model bicubic --overwrite
    python -m video_sr upscale frames/ large.mp4 --rate 25 --model runs/mine/weights.safetensors
    """
    with _plain_errors():
        from common.runtime import find_device
        from video_sr.models.by_name import load
        from video_sr.upscale import Footage, check_target
        from video_sr.upscale import upscale as enlarge

        check_target(source, target, overwrite=overwrite)
        footage = Footage.open(source)
        network, found = load(model), find_device(device)
        if found.notice and next(network.parameters(), None) is not None:
            typer.echo(found.notice, err=True)
        rate_hz = None if rate is None else Fraction(rate).limit_denominator(1001)
        with _progress(footage.num_frames) as advance:
            count = enlarge(
                footage, target, network.to(found.kind), rate_hz=rate_hz, crf=crf, advance=advance
            )
        size = f"{footage.width}x{footage.height} to {footage.width * 16}x{footage.height * 16}"
        typer.echo(f"{target}: {count} frames, {size}, by {model}")


@app.command()
def score(
    sr: Annotated[Path, typer.Option(help="What a method made: a video, a folder of frames, or of such.")],
    hr: Annotated[Path, typer.Option(help="The truth, laid out alike.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, frame by frame.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw PSNR over frames into this .png.")] = None,
    lpips: Annotated[
        bool, typer.Option("--lpips", help="Also LPIPS; its file lies in WEIGHTS_ROOT.")
    ] = False,
) -> None:
    """Scores sequences against the truth by the challenge's protocol, and names every convention.

    \b
    python -m video_sr score --sr large.mp4 --hr truth.mp4
    python -m video_sr score --sr results/ --hr truth/ --plot psnr.png
    python -m video_sr score --sr results/ --hr truth/ --json > scores.json
    """
    with _plain_errors():
        from video_sr import score_kit

        if plot and (plot.suffix.lower() != ".png" or not plot.parent.is_dir()):
            raise ValueError(f"{plot}: the plot must be a .png in a folder that is there")
        for side in (sr, hr):
            if not side.exists():
                raise ValueError(f"{side}: no such file or folder")
        pairs = score_kit.find_pairs(sr, hr)
        network = score_kit.load_lpips() if lpips else None
        counts = [pair.hr.num_frames for pair in pairs]
        total = None if None in counts else sum(count or 0 for count in counts)
        with _progress(total) as advance:
            scored = [score_kit.score(pair, network, advance) for pair in pairs]
        report = score_kit.report(scored)
        typer.echo(json.dumps(report, indent=1) if as_json else score_kit.table(scored))
        if plot:
            score_kit.plot(scored).savefig(plot, dpi=150)
            typer.echo(f"{plot}: drawn", err=True)


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
    with _plain_errors():
        from video_sr.upscale import Footage, check_target, degrade_footage

        if target.suffix:
            raise ValueError(
                f"{target}: degrade writes a folder of PNG files, since a lossy video would be another task; "
                f"give a name without {target.suffix}"
            )
        check_target(source, target)
        footage = Footage.open(source)
        with _progress(footage.num_frames) as advance:
            count = degrade_footage(footage, target, advance=advance)
        width, height = footage.width // 16, footage.height // 16
        cut = (width * 16, height * 16) != (footage.width, footage.height)
        typer.echo(
            f"{target}: {count} frames, {footage.width}x{footage.height} "
            + (f"cut to {width * 16}x{height * 16}, " if cut else "")
            + f"to {width}x{height}"
        )


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM; no `except Exception` on the way may hold it."""


@contextmanager
def _plain_errors() -> Iterator[None]:
    """A user's mistake becomes one sentence and exit code 2, a signal 128 + its number; no traceback."""
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in signals:  # the clean-up that follows is short and must not be cut
            signal.signal(each, signal.SIG_IGN)
        raise _Stopped(number)

    before = {each: signal.signal(each, stop) for each in signals}
    try:
        yield
    except (ValueError, OSError) as error:
        _fail(str(error), 2)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        _fail(f"out of memory, frames are too large for this device: {error}", 2)
    except _Stopped as stopped:
        number = int(stopped.args[0])
        _fail(f"stopped by {signal.Signals(number).name}, nothing was written", 128 + number)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _fail(sentence: str, code: int) -> NoReturn:
    typer.echo(f"error: {' '.join(sentence.split())}", err=True)
    raise typer.Exit(code)


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[], object]]:
    """A bar with the time left on a terminal, else a line every 10 s; on stderr. Gives what to call per frame."""
    if not sys.stderr.isatty():
        yield _lines(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        "frames",
        TimeElapsedColumn(),
        "left",
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=total)
        yield lambda: bar.advance(task)


def _lines(total: int | None) -> Callable[[], object]:
    begun = said = time.monotonic()
    done = 0

    def advance() -> None:
        nonlocal said, done
        done += 1
        now = time.monotonic()
        if now - said >= LINE_EVERY_S:
            said, rate_hz = now, done / (now - begun)
            left = f" of {total}, {max(0, total - done) / rate_hz:.0f} s left" if total else ""
            typer.echo(f"frame {done}{left}, {rate_hz:.2f} frames/s", err=True)

    return advance


if __name__ == "__main__":
    app(prog_name="python -m video_sr")
