"""`study` of the tool; what is heavy is imported once it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.command import plain_errors

KEPT = "every answer is kept, and the same command goes on"


def study(
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER of pictures, two or more; default the pictures that published runs kept."
        ),
    ] = None,
    votes: Annotated[Path, typer.Option(help="The file that answers are kept in.")] = Path("votes.jsonl"),
    rank: Annotated[bool, typer.Option("--rank", help="Rank by the votes there are; ask nothing.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes any.")] = 8016,
) -> None:
    """Asks on a local page which of two pictures looks better, and ranks methods by the answers.

    \b
    python -m video_sr study --votes mine.jsonl
    python -m video_sr study --method ours=made/ --method span=span/ --votes mine.jsonl
    python -m video_sr study --votes mine.jsonl --rank
    """
    with plain_errors(stopped=KEPT):
        import numpy as np

        from video_sr.study import pairs, ranking, server

        given = pairs.read_votes(votes)
        if rank and not given:
            raise ValueError(
                f"{votes}: there are no votes to rank by; without --rank the study asks for some"
            )
        if rank:
            typer.echo(ranking.table(given))
            return
        if not votes.absolute().parent.is_dir():
            raise ValueError(f"{votes}: there is no folder {votes.parent}; create it first")
        folders = _named(method or [])
        root = Path(__file__).parents[1]
        shown = pairs.from_folders(folders) if folders else pairs.published(root, "mini")
        asked = pairs.questions(shown, given, np.random.default_rng())
        if not asked:
            typer.echo(ranking.table(given))
            typer.echo(f"every pair was answered in {votes}; another --votes asks anew", err=True)
            return
        with server.serve(server.Study(shown, asked, votes), port) as running:
            address = f"http://{server.HOST}:{running.server_address[1]}/"
            told = f"{len(asked)} pairs of {len(shown)} methods to go: open {address}"
            typer.echo(f"{told} and stop with Ctrl-C; then --rank")
            running.serve_forever()


def _named(texts: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in texts:
        name, _, folder = text.partition("=")
        if not name or not Path(folder).is_dir() or not folder:
            raise ValueError(f"--method must be NAME=FOLDER of a folder that is there, got {text!r}")
        if name in found:
            raise ValueError(f"--method {name} is there twice, {found[name]} and {folder}; rename one")
        found[name] = Path(folder)
    return found
