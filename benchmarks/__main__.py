"""Runs the benchmarks, the most telling parts first, and renews the tables in their README: `python -m benchmarks`."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.plan import BENCHMARKS, PROFILES, Planned, planned
from benchmarks.quiet import MOST_LOAD, WAIT_LIMIT_S
from benchmarks.tables import generated
from common.command import TOOL_SETTINGS, plain_errors
from common.errors import CommandError
from common.files import write_atomically
from common.report.tables import replace_generated

app = typer.Typer(**TOOL_SETTINGS | {"no_args_is_help": False})
HERE = Path(__file__).parent


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Some of them; default all.")
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            help=f"Wait before each round until others take less than {MOST_LOAD:g} of each core.",
        ),
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Begin no part that would end later than this; default no limit."),
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(min=1, max=2, help="Pinned cores, 1 or 2; default as each benchmark is published."),
    ] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Timed rounds; default 15.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where results go; default benchmarks/results, and the README.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Write where time goes, operator by operator, instead of times.")
    ] = False,
) -> None:
    """Runs benchmarks part by part, each in a process of its own, and renews the tables in this folder's README.

    What was finished is kept when it is stopped, and not measured again at the same commit.

    \b
    python -m benchmarks
    python -m benchmarks --quiet --minutes 18
    python -m benchmarks speech_steps transcription --cores 1
    """
    with plain_errors(stopped="parts that were finished are kept"):
        if unknown := sorted(set(names or ()) - set(BENCHMARKS)):
            raise ValueError(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        if profile and names:
            raise ValueError(f"--profile looks at {PROFILES[0]} and takes no names, got {', '.join(names)}")
        chosen = PROFILES if profile else planned(names)
        try:
            late, failed = _run(chosen, _words(quiet, cores, repeats, folder), minutes)
        finally:  # what was finished before a stop is told as well
            if folder is None:
                _renew_tables()
        if late:
            typer.echo(f"no time was left for: {', '.join(late)}; the same command goes on with them")
        if failed:
            raise CommandError(f"failed: {', '.join(failed)}; see above. The other parts are kept")


def _renew_tables() -> None:
    readme = HERE / "README.md"
    write_atomically(readme, replace_generated(readme.read_text(), "benchmarks", generated()).encode())


def _words(quiet: bool, cores: int | None, repeats: int | None, folder: Path | None) -> list[str]:
    found = ["--quiet"] if quiet else []
    for option, value in (("--threads", cores), ("--repeats", repeats), ("--folder", folder)):
        found += [option, str(value)] if value is not None else []
    return found


def _run(chosen: tuple[Planned, ...], words: list[str], minutes: float | None) -> tuple[list[str], list[str]]:
    """Names of the parts that there was no time for, and of those that failed, with their exit codes."""
    late: list[str] = []
    failed: list[str] = []
    began, planned_minutes = time.monotonic(), 0.0
    typer.echo(
        f"{len(chosen)} parts, about {sum(each.minutes for each in chosen):.0f} min on two quiet cores"
    )
    for number, each in enumerate(chosen, 1):
        gone = (time.monotonic() - began) / 60
        pace = max(1.0, gone / planned_minutes) if planned_minutes else 1.0  # of this machine
        if minutes is not None and gone + pace * each.minutes > minutes:
            late.append(str(each))
            continue
        typer.echo(f"{each}, {number} of {len(chosen)}, about {each.minutes:g} min, after {gone:.1f} min")
        line = [sys.executable, "-m", f"benchmarks.{each.benchmark}", "--parts", each.part, *words]
        if minutes is not None:
            line += ["--wait-limit-s", f"{min(WAIT_LIMIT_S, 60 * (minutes - gone)):.0f}"]
        done = subprocess.run(line, check=False)  # a bar would take time from what is timed
        planned_minutes += each.minutes
        if done.returncode:
            failed.append(f"{each} (exit code {done.returncode})")
            typer.echo(f"{each} ended with exit code {done.returncode}, see above", err=True)
    return late, failed


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
