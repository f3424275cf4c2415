"""Train, score, judge and report: `python -m common.run --help`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common import papers
from common.command import RESUME, plain_errors, tell_changes, tool
from common.errors import CommandError
from common.options import (
    ClusterOptions,
    DeviceOption,
    ExecutorName,
    Jobs,
    PaperArgument,
    Papers,
    PrintSettings,
    RecipeArgument,
    Scale,
    Seed,
    Seeds,
    Set,
)
from common.output import outlives_its_reader
from common.stopping import stop_with_the_owner

if TYPE_CHECKING:
    from common.journal import Mirror
    from common.recipe import Experiment, Recipe

GOES_ON = "the same command does what is left"
TOO_LARGE = "a batch is"

cli = tool("""Reproduces papers claim by claim: trains, scores, judges, reports.

    \b
    python -m common.run list
    python -m common.run train extreme-vsr WIDE --scale mini --seed 0 --score
    python -m common.run reproduce extreme-vsr --scale mini
    """)


@dataclass(frozen=True)
class _Chosen:
    """What a command line names, with `--set` applied: checked before any data are touched."""

    paper: papers.Paper
    name: str  # of the run: the recipe's own, or with a hash where `--set` changes a number
    recipe: Experiment

    @classmethod
    def of(cls, paper: str, recipe: str, scale: str, settings: list[str] | None) -> _Chosen:
        from common.recipe import name_of
        from common.settings import override

        found = papers.find(paper)
        registered = found.recipe(recipe, scale)
        chosen = override(registered, settings or ())
        return cls(found, name_of(recipe, chosen, registered), chosen)

    def print_settings(self) -> None:
        """Every setting as `--set` takes it, the name of the run first."""
        from common.settings import assignments

        typer.echo("\n".join([f"# {self.name}", *assignments(self.recipe)]))


@cli.command("list")
def list_recipes(
    paper: Annotated[str | None, typer.Option(help="Only of this paper.")] = None,
    scale: Annotated[str | None, typer.Option(help="Only of this scale.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Every paper, recipe and scale, what a run costs, and which seeds you have."""
    with plain_errors():
        from common.report import listing

        rows = listing.rows(papers.chosen([paper] if paper else None, scale), scale)
        typer.echo(listing.as_json(rows) if as_json else listing.as_text(rows))


@cli.command()
def train(
    paper: PaperArgument,
    recipe: RecipeArgument,
    scale: Scale = "mini",
    seed: Seed = 0,
    device: DeviceOption = "auto",
    settings: Set = None,
    resume: Annotated[str, typer.Option(help=RESUME)] = "auto",
    score: Annotated[bool, typer.Option("--score", help="Score on the test items right after.")] = False,
    split: Annotated[str, typer.Option(help="With --score: test, or dev for choosing settings.")] = "test",
    print_settings: PrintSettings = False,
) -> None:
    """Train one recipe with one seed; stopping and running the same line again goes on.

    \b
    python -m common.run train extreme-vsr WIDE --scale mini --seed 0
    python -m common.run train extreme-vsr WIDE --set peak_lr=5e-4 --score --split dev
    torchrun --nproc-per-node 2 -m common.run train extreme-vsr EVESRNET --scale gpu
    """
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        stop_with_the_owner()
        from common import mirrors, trainer
        from common.recipe import Recipe

        mirrors.asked()  # refuses before anything is fetched
        chosen = _Chosen.of(paper, recipe, scale, settings)
        if print_settings:
            chosen.print_settings()
            return
        if not isinstance(chosen.recipe, Recipe) and not score:
            raise ValueError(f"{recipe} measures and trains nothing; `score` it, or add --score here")
        tell_changes()
        chosen.recipe.prepare()
        folder = chosen.paper.run_folder(scale, chosen.name, seed)
        if isinstance(chosen.recipe, Recipe) and chosen.recipe.steps:
            shown = partial(_mirrors, chosen, chosen.recipe, scale, seed)
            trainer.train(
                chosen.recipe, seed=seed, folder=folder, device=device, resume=resume, mirrors=shown
            )
        if not score or int(os.environ.get("RANK", "0")) > 0:
            return
        if not chosen.paper.data.scorable():
            line = f"python -m common.run score {paper} {recipe} --scale {scale} --seed {seed}"
            typer.echo(
                f"trained; test data are not packed: bring {folder} to a machine that has them, then {line}"
            )
        else:
            from common import scoring

            path = scoring.score_once(
                chosen.paper, chosen.name, chosen.recipe, scale=scale, seed=seed, split=split, device=device
            )
            typer.echo(f"result: {path}")


def _mirrors(chosen: _Chosen, recipe: Recipe, scale: str, seed: int, first_step: int) -> list[Mirror]:
    """The progress bar and what DASHBOARD names, from the step on that a run starts with."""
    from common import dashboard, journal, mirrors

    slug, label = chosen.paper.slug, f"{chosen.name}-seed{seed}"
    described = {"paper": slug, "scale": scale, "recipe": chosen.name, "seed": seed, **recipe.settings()}
    shown = mirrors.dashboards(
        mirrors.asked(), project=dashboard.PROJECT, group=f"{slug}-{scale}", name=label, config=described,
        folder=chosen.paper.run_folder(scale, chosen.name, seed), first_step=first_step,
    )  # fmt: skip
    return [journal.Progress(label, first_step, recipe.steps), *shown]


@cli.command()
def score(
    paper: PaperArgument,
    recipe: RecipeArgument,
    scale: Scale = "mini",
    seed: Seed = 0,
    device: DeviceOption = "auto",
    settings: Set = None,
    split: Annotated[str, typer.Option(help="test or dev.")] = "test",
    print_settings: PrintSettings = False,
) -> None:
    """Score a trained run item by item and write its result.

    \b
    python -m common.run score extreme-vsr WIDE --scale mini --seed 0
    """
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        chosen = _Chosen.of(paper, recipe, scale, settings)
        if print_settings:
            chosen.print_settings()
            return
        chosen.recipe.prepare()
        from common import scoring

        path = scoring.score(
            chosen.paper, chosen.name, chosen.recipe, scale=scale, seed=seed, split=split, device=device
        )
        typer.echo(str(path))


@cli.command()
def reproduce(
    paper: Papers = None,
    scale: Scale = "mini",
    seeds: Seeds = None,
    device: DeviceOption = "auto",
    jobs: Jobs = 0,
    executor: ExecutorName = "local",
    cluster: ClusterOptions = None,
) -> None:
    """Data, every recipe with every seed, and the report; what is finished is kept.

    \b
    python -m common.run reproduce extreme-vsr
    python -m common.run reproduce extreme-vsr --scale gpu --device cuda
    python -m common.run reproduce --scale gpu --device cuda --executor slurm --cluster slurm_partition=gpu
    """
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        from common import executors, orchestrate
        from common.report import build

        chosen = papers.chosen(paper, scale)
        tell_changes()
        lanes = orchestrate.Lanes(device, jobs, executors.executor(executor, cluster or ()))
        failed = []
        for one in chosen:
            try:
                orchestrate.reproduce(one, scale=scale, seeds=seeds, lanes=lanes)
            except CommandError as error:  # the others, and what there is of this one, are not lost
                failed.append(f"{one.slug}: {error}")
        build.show_claims(chosen, scale)
        typer.echo(f"report: {build.write_page(chosen)}")
        if failed:
            raise CommandError("\n".join(failed))


@cli.command()
def claims(
    paper: Papers = None,
    scale: Scale = "mini",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge the claims from the raw scores there are: paper, published, yours."""
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        from common.report import build

        chosen = papers.chosen(paper, scale)
        if as_json:
            typer.echo(build.claims_json(chosen, scale))
        else:
            build.show_claims(chosen, scale)


@cli.command()
def export(
    paper: Papers = None,
    out: Annotated[Path, typer.Option(help="Folder for one JSON file a paper.")] = Path("results-export"),
) -> None:
    """Write claims, verdicts and runs as JSON, one file a paper, for other programs."""
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        from common.files import check_folder
        from common.report import export as exporting

        check_folder(out)
        for one in papers.chosen(paper, None):
            typer.echo(str(exporting.write(one, out)))


@cli.command()
def report(
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write the page with verdicts, figures and pictures of every paper."""
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        from common.report import build

        page = build.write_page(list(papers.papers().values()))
        typer.echo(str(page))
        if open_page:
            import webbrowser

            webbrowser.open(page.as_uri())


@cli.command()
def verify(
    renew: Annotated[bool, typer.Option(help="Write the stale ones anew instead.")] = False,
    against: Annotated[Path | None, typer.Option(help="Compare your results, a file or folder.")] = None,
) -> None:
    """Recompute every committed table from raw scores, or compare runs; fail when one is stale or too far apart."""
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        if against is not None:
            from common.against import show

            raise typer.Exit(int(show(against)))
        from common.report import build

        if renew:
            for path in build.renew_tables(list(papers.papers().values())):
                typer.echo(f"renewed {path}")
        stale = build.stale_tables(list(papers.papers().values()))
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
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        from common.data.packages import data_root

        bad: list[str] = []
        for one in papers.chosen(paper, scale):
            one.prepare(scale)
            typer.echo(f"{one.slug}: data of scale {scale} are ready in {data_root()}")
            if check:
                found = [f"{one.slug}: bad: {item}" for item in one.data.verify(scale)]
                typer.echo("\n".join([*found, f"{one.slug}: {len(found)} bad items"]))
                bad += found
        if bad:
            raise typer.Exit(1)


@cli.command()
def pack(
    paper: PaperArgument,
    scale: Annotated[str, typer.Option(help="Whose data: mini or gpu, of some papers night.")] = "gpu",
    out: Annotated[
        Path | None, typer.Option(help="The archive to write; default runs/PAPER/pack.tar.")
    ] = None,
) -> None:
    """Write one archive of at most 40 MB with the data that a machine without a network needs."""
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        found = papers.find(paper)
        found.at(scale)
        path = out or papers.runs_root() / paper / "pack.tar"
        digest = found.data.pack(path, scale)
        typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, sha256 {digest}")
        typer.echo(f"there: tar -xf {path.name} -C $DATA_ROOT, then make reproduce-{paper} SCALE={scale}")


@cli.command()
def tune(
    paper: PaperArgument, scale: Scale = "mini", device: DeviceOption = "auto",
    jobs: Jobs = 0,
    executor: ExecutorName = "local",
    cluster: ClusterOptions = None,
    arm: Annotated[list[str] | None, typer.Option(help="An arm to search, again for more; default all.")] = None,
) -> None:  # fmt: skip
    """Search the arms' settings on dev by one rule for all: every combination, or a climb from a start."""
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        from common import executors, orchestrate

        found = papers.find(paper)
        found.at(scale)
        tell_changes()
        lanes = orchestrate.Lanes(device, jobs, executors.executor(executor, cluster or ()))
        orchestrate.tune(found, scale=scale, lanes=lanes, arms=arm or ())


@cli.command()
def publish(paper: PaperArgument, scale: Scale = "mini") -> None:
    """Copy your finished runs of a clean commit into the published results, weights and tables."""
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        from common import kept, openings, results, scoring
        from common.report import build

        found = papers.find(paper)
        found.at(scale)
        current = build.current_names(found, scale)
        written = results.publish(found.own_results(scale), found.published(scale), current, found.alike)
        openings.record(found.folder, map(results.read_run, written))
        beside = kept.publish(found, scale, current)
        for path in [*written, *beside, *scoring.publish_weights(found, scale)]:
            typer.echo(str(path))
        for path in build.renew_tables(list(papers.papers().values())):
            typer.echo(f"renewed {path}")


@cli.command()
def dashboard(
    upload: Annotated[bool, typer.Option(help="Replay the journals to W&B as well.")] = False,
    workspaces: Annotated[
        str | None, typer.Option(metavar="ENTITY", help="Save W&B workspaces of every paper there, and stop.")
    ] = None,
) -> None:
    """Show your runs: a table of their journals here, and the lines that open W&B's terminal viewer or TensorBoard.

    When a run starts, DASHBOARD=wandb (the default), tensorboard, none or wandb,tensorboard says where it shows too.
    WANDB_MODE=online sends runs to an account; else they stay here.
    """
    with outlives_its_reader(), plain_errors(stopped=GOES_ON, too_large=TOO_LARGE):
        if workspaces is not None:
            from common.workspaces import save

            typer.echo("\n".join(save(list(papers.papers().values()), workspaces)))
            return
        from common.dashboard import show

        show(upload=upload)


if __name__ == "__main__":
    sys.exit(cli())
