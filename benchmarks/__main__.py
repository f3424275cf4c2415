"""Runs every benchmark of this folder and renews the table in its README: `python -m benchmarks`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.harness import RESULTS, Ratio, in_words
from common.command import TOOL_SETTINGS, plain_errors
from common.errors import CommandError
from common.files import write_atomically
from common.report.tables import Cell, Table, markdown, replace_generated

app = typer.Typer(**TOOL_SETTINGS | {"no_args_is_help": False})
HERE = Path(__file__).parent
BENCHMARKS = (
    "resize",
    "image_quality",
    "upscaling",
    "speech_steps",
    "pretraining_steps",
    "transcription",
    "pair_similarity",
    "clip_search",
)


def table(name: str) -> Table:
    """The committed result of one benchmark."""
    found = json.loads((RESULTS / f"{name}.json").read_text())
    rows = []
    units = {race["unit"] for race in found["races"] if "unit" in race}
    for race in found["races"]:
        first = race["timings"][0]["name"]
        ratios = ["", *(in_words(Ratio(**ratio), first) for ratio in race["ratios"])]
        for timing, ratio in zip(race["timings"], ratios, strict=True):
            numbers = [f"{1e3 * timing[key]:.1f}" for key in ("min_s", "median_s")]
            numbers += [f"{race['work'] / timing['median_s']:.2f}"] if units else []
            cells = [Cell(number, "number") for number in (*numbers, ratio)]
            rows.append([Cell(race["job"]), Cell(timing["name"]), *cells])
    peaks = "; ".join(f"{peak['job']}: {peak['peak_bytes'] / 1e6:.0f} MB" for peak in found["peaks"])
    commit, date = found["commit"][:12], found["date"][:10]
    threads = f"{found['threads']} thread{'s' * (found['threads'] > 1)}"
    where = f"{found['hardware']['gpu'] or found['hardware']['cpu']}, {threads}, commit {commit}, {date}"
    caption = f"{where}, load average {found['load_average'][0]}." + (
        f" Peak memory: {peaks}." if peaks else ""
    )
    pace = tuple(f"{unit} a second" for unit in sorted(units))
    columns = ("job", "contender", "min (ms)", "median (ms)", *pace, "first is faster by (quartiles)")
    return Table(name, columns, rows, caption)


def generated() -> str:
    """All tables, as the README holds them."""
    names = [each for name in BENCHMARKS for each in (name, f"{name}_gpu")]
    return "\n\n".join(markdown(table(name)) for name in names if (RESULTS / f"{name}.json").exists())


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Some of them; default all.")
    ] = None,
) -> None:
    """Runs benchmarks, each in a process of its own, and renews the table in this folder's README.

    \b
    python -m benchmarks
    python -m benchmarks resize image_quality
    """
    with plain_errors(stopped="results of benchmarks that were finished are kept"):
        if unknown := sorted(set(names or ()) - set(BENCHMARKS)):
            raise ValueError(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        chosen = names or BENCHMARKS
        for number, name in enumerate(chosen, 1):  # a bar would take time from what is timed
            typer.echo(f"{name}, {number} of {len(chosen)}")
            done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
            if done.returncode:
                raise CommandError(f"benchmark {name} ended with exit code {done.returncode}; see above")
        readme = HERE / "README.md"
        write_atomically(readme, replace_generated(readme.read_text(), "benchmarks", generated()).encode())


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
