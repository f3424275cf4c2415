"""Train, score, judge and report: `python -m common.run --help`.

python -m common.run list
python -m common.run train extreme-vsr WIDE --scale mini --seed 0 --score
python -m common.run reproduce extreme-vsr --scale mini
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import papers

if TYPE_CHECKING:
    from common.recipe import Recipe

PROJECT = "speech-video-reproductions"
USER_ERROR, NOT_BUILT, DIVERGED, INTERRUPTED = 2, 3, 4, 130

cli = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="""Reproduces papers claim by claim: trains, scores, judges, reports.

    \b
    python -m common.run list
    python -m common.run train extreme-vsr WIDE --scale mini --seed 0 --score
    python -m common.run reproduce extreme-vsr --scale mini
    """,
)  # fmt: skip

PaperArgument = Annotated[str, typer.Argument(metavar="PAPER", help="Slug of the paper, see `list`.")]
Papers = Annotated[
    list[str] | None, typer.Argument(metavar="[PAPER]...", help="Slugs; none means every built one.")
]
RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="Name of the recipe, see `list`.")]
Scale = Annotated[
    str, typer.Option(help="Preset of data, model size, steps and seeds: smoke, mini, gpu, paper.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed; it also picks the fold of test pictures.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Number of seeds; default is the scale's.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")
]


@contextmanager
def _plain_errors() -> Iterator[None]:
    """One sentence and an exit code for what a user can cause; anything else is ours and keeps its traceback."""
    from common.recipe import Diverged, Interrupted

    known = {papers.NotBuilt: NOT_BUILT, Diverged: DIVERGED, Interrupted: INTERRUPTED}
    try:
        yield
    except typer.Exit:  # a RuntimeError to Python, and already what we want
        raise
    except (papers.NotBuilt, Diverged, Interrupted) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(known[type(error)]) from error
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("REPRODUCTIONS_TRACEBACK"):
            raise
        where = "" if isinstance(error, ValueError) else " (REPRODUCTIONS_TRACEBACK=1 shows where)"
        typer.echo(f"{error}{where}", err=True)
        raise typer.Exit(USER_ERROR) from error
    except KeyboardInterrupt as error:
        typer.echo("stopped; the same command goes on from what was saved", err=True)
        raise typer.Exit(INTERRUPTED) from error


def _prepared(
    paper: str, recipe: str, scale: str, settings: list[str] | None
) -> tuple[papers.Paper, str, Recipe]:
    """A paper, the name of a run and its recipe with `--set` applied; the data are there afterwards."""
    from common.scoring import name_of
    from common.settings import override

    found = papers.find(paper)
    registered = found.recipe(recipe, scale)
    chosen = override(registered, settings or ())
    found.room("data").prepare(scale)
    chosen.prepare()
    return found, name_of(recipe, chosen, registered), chosen


@cli.command("list")
def list_recipes() -> None:
    """Every paper, recipe and scale, what a run costs, and which seeds you have."""
    from rich.console import Console
    from rich.table import Table

    from common import results

    table = Table("paper", "scale", "recipe", "steps", "cost a run", "your seeds", "published")
    for paper in papers.papers().values():
        if not paper.built:
            table.add_row(paper.slug, "", "not built yet", "", "", "", "")
            continue
        for scale in papers.SCALES:
            own, published = (
                results.read(folder) for folder in (paper.own_results(scale), paper.published(scale))
            )
            for name, recipe in paper.recipes(scale).items():
                seeds = [
                    " ".join(
                        str(r.result.seed)
                        for r in runs
                        if (r.result.recipe, r.result.split) == (name, "test")
                    )
                    for runs in (own, published)
                ]
                cost = f"{recipe.cost_s:.0f} s" if recipe.cost_s else ""
                table.add_row(paper.slug, scale, name, str(recipe.steps), cost, *seeds)
    Console().print(table)


@cli.command()
def train(
    paper: PaperArgument,
    recipe: RecipeArgument,
    scale: Scale = "mini",
    seed: Seed = 0,
    device: DeviceOption = "auto",
    settings: Set = None,
    resume: Annotated[
        str, typer.Option(help="auto goes on if it can; must fails if not; never or replace start anew.")
    ] = "auto",
    score: Annotated[bool, typer.Option("--score", help="Score on the test items right after.")] = False,
    split: Annotated[str, typer.Option(help="With --score: test, or dev for choosing settings.")] = "test",
) -> None:
    """Train one recipe with one seed; stopping and running the same line again goes on.

    \b
    python -m common.run train extreme-vsr WIDE --scale mini --seed 0
    python -m common.run train extreme-vsr WIDE --set peak_lr=5e-4 --score --split dev
    torchrun --nproc-per-node 2 -m common.run train extreme-vsr EVESRNET --scale gpu
    """
    with _plain_errors():
        from common import journal, scoring, trainer

        found, name, chosen = _prepared(paper, recipe, scale, settings)
        folder = found.run_folder(scale, name, seed)

        def mirrors(first_step: int) -> list[journal.Mirror]:
            label = f"{name}-seed{seed}"
            described: dict[str, Any] = {"paper": paper, "scale": scale, "seed": seed, **chosen.settings()}
            return [
                journal.Progress(label, first_step, chosen.steps),
                journal.Wandb(
                    project=PROJECT, group=f"{paper}-{scale}", name=label, config=described, folder=folder
                ),
            ]

        if chosen.steps:
            trainer.train(chosen, seed=seed, folder=folder, device=device, resume=resume, mirrors=mirrors)
        if not score or int(os.environ.get("RANK", "0")) > 0:
            return
        if not found.room("data").scorable():
            line = f"python -m common.run score {paper} {recipe} --scale {scale} --seed {seed}"
            typer.echo(
                f"trained; test data are not packed: bring {folder} to a machine that has them, then {line}"
            )
        else:
            path = scoring.score(found, name, chosen, scale=scale, seed=seed, split=split, device=device)
            typer.echo(f"result: {path}")


@cli.command()
def score(
    paper: PaperArgument,
    recipe: RecipeArgument,
    scale: Scale = "mini",
    seed: Seed = 0,
    device: DeviceOption = "auto",
    settings: Set = None,
    split: Annotated[str, typer.Option(help="test or dev.")] = "test",
) -> None:
    """Score a trained run item by item and write its result.

    \b
    python -m common.run score extreme-vsr WIDE --scale mini --seed 0
    """
    with _plain_errors():
        from common import scoring

        found, name, chosen = _prepared(paper, recipe, scale, settings)
        typer.echo(
            str(scoring.score(found, name, chosen, scale=scale, seed=seed, split=split, device=device))
        )


@cli.command()
def reproduce(
    paper: Papers = None,
    scale: Scale = "mini",
    seeds: Seeds = None,
    device: DeviceOption = "auto",
    jobs: Annotated[int, typer.Option(min=0, help="Runs side by side; 0 fits them to the cores.")] = 0,
) -> None:
    """Data, every recipe with every seed, and the report; what is finished is kept.

    \b
    python -m common.run reproduce extreme-vsr
    python -m common.run reproduce extreme-vsr --scale gpu --device cuda
    """
    with _plain_errors():
        from common import orchestrate
        from common.report import build

        chosen = [papers.find(slug) for slug in paper] if paper else papers.built()
        for one in chosen:
            orchestrate.reproduce(one, scale=scale, seeds=seeds or one.seeds(scale), device=device, jobs=jobs)
        build.show_claims(chosen, scale)
        typer.echo(f"report: {build.write_page(chosen)}")


@cli.command()
def claims(
    paper: Papers = None,
    scale: Scale = "mini",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge the claims from the raw scores there are: paper, published, yours."""
    with _plain_errors():
        from common.report import build

        chosen = [papers.find(slug) for slug in paper] if paper else papers.built()
        if as_json:
            typer.echo(build.claims_json(chosen, scale))
        else:
            build.show_claims(chosen, scale)


@cli.command()
def report(
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write the page with verdicts, figures and pictures of every built paper."""
    with _plain_errors():
        from common.report import build

        page = build.write_page(papers.built())
        typer.echo(str(page))
        if open_page:
            import webbrowser

            webbrowser.open(page.as_uri())


@cli.command()
def verify(
    renew: Annotated[bool, typer.Option(help="Write the stale ones anew instead.")] = False,
) -> None:
    """Recompute every committed table from raw scores; fail when one is stale."""
    with _plain_errors():
        from common.report import build

        if renew:
            for path in build.renew_tables(papers.built()):
                typer.echo(f"renewed {path.relative_to(papers.ROOT)}")
        stale = build.stale_tables(papers.built())
        for problem in stale:
            typer.echo(problem, err=True)
        if stale:
            raise typer.Exit(1)
        typer.echo("every committed table follows from its raw scores")


@cli.command()
def data(
    paper: Papers = None,
    scale: Scale = "mini",
    check: Annotated[
        bool, typer.Option("--verify", help="Decode everything once and list what is bad.")
    ] = False,
) -> None:
    """Fetch and prepare what a paper's scale needs."""
    with _plain_errors():
        for one in [papers.find(slug) for slug in paper] if paper else papers.built():
            one.recipes(scale)  # an unknown scale is an error before anything is fetched
            room = one.room("data")
            room.prepare(scale)
            typer.echo(f"{one.slug}: data of scale {scale} are ready in {room.data_root()}")
            if check:
                bad = room.verify()
                for item in bad:
                    typer.echo(f"bad: {item}", err=True)
                typer.echo(f"{one.slug}: {len(bad)} bad items")
                if bad:
                    raise typer.Exit(1)


@cli.command()
def pack(
    paper: PaperArgument,
    out: Annotated[
        Path | None, typer.Option(help="The archive to write; default runs/PAPER/pack.tar.")
    ] = None,
) -> None:
    """Write one archive of at most 40 MB with the data that a machine without a network needs."""
    with _plain_errors():
        found = papers.find(paper)
        path = out or papers.runs_root() / paper / "pack.tar"
        digest = found.room("data").pack(path)
        typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, sha256 {digest}")
        typer.echo("there: tar -xf pack.tar -C $DATA_ROOT, then make reproduce-PAPER SCALE=gpu")


@cli.command()
def tune(
    paper: PaperArgument, scale: Scale = "mini", device: DeviceOption = "auto",
    jobs: Annotated[int, typer.Option(min=0, help="Runs side by side; 0 fits them to the cores.")] = 0,
) -> None:  # fmt: skip
    """Try the settings that a paper's arms may differ in, on dev, with the same budget for every arm."""
    with _plain_errors():
        from common import orchestrate

        orchestrate.tune(papers.find(paper), scale=scale, device=device, jobs=jobs)


@cli.command()
def publish(paper: PaperArgument, scale: Scale = "mini") -> None:
    """Copy your finished runs of a clean commit into the published results, weights and tables."""
    with _plain_errors():
        from common import results, scoring
        from common.report import build

        found = papers.find(paper)
        current = build.current_names(found, scale)
        written = results.publish(found.own_results(scale), found.published(scale), current)
        for path in [*written, *scoring.publish_weights(found, scale)]:
            typer.echo(str(path.relative_to(papers.ROOT)))
        for path in build.renew_tables(papers.built()):
            typer.echo(f"renewed {path.relative_to(papers.ROOT)}")


@cli.command()
def dashboard(
    upload: Annotated[bool, typer.Option(help="Replay the journals to W&B as well.")] = False,
) -> None:
    """Show your runs from their journals, newest values first; with --upload replay them to W&B."""
    with _plain_errors():
        from common import orchestrate

        orchestrate.dashboard(upload=upload)


if __name__ == "__main__":
    sys.exit(cli())
