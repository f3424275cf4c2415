"""Commands that train on a person's own files: the options, mirrors and end that they share, whatever the method."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

import typer

from common.command import RESUME
from common.mirrors import asked

if TYPE_CHECKING:
    from common.journal import Mirror
    from common.recipe import Recipe

GOES_ON = "the same command goes on"
CARD = "README.md"
Out = Annotated[Path, typer.Option(help="Folder for the weights, their card, and what resuming needs.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")
]
PrintSettings = Annotated[
    bool,
    typer.Option("--print-settings", help="Check what is given, show every setting as --set takes it, stop."),
]
Resume = Annotated[str, typer.Option(help=RESUME)]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


@runtime_checkable
class Wanted(Protocol):
    """What a command line asks for."""

    @property
    def out(self) -> Path: ...

    def recipe(self) -> Recipe:
        """The training, its files read and checked.

        Raises:
            ValueError: files or settings that cannot be used.
        """


def carry_out(
    wanted: Wanted, train: Callable[..., Path], *, print_settings: bool, device: str, resume: str
) -> None:
    """Shows the settings, or trains and shows the card.

    Args:
        train: (wanted, device=, resume=) to the file that it leaves beside its card.
    """
    if print_settings:
        from common.settings import assignments

        typer.echo("\n".join(assignments(wanted.recipe())))
        return
    asked()  # refuses an unknown dashboard before a file is read
    path = train(wanted, device=device, resume=resume)
    typer.echo((wanted.out / CARD).read_text(encoding="utf-8"))
    typer.echo(f"{path}: its card is {wanted.out / CARD}")


def mirrors(recipe: Any, run: Path, *, label: str, group: str) -> Callable[[int], list[Mirror]]:
    """From the first step: the progress bar, and the dashboards that DASHBOARD names, or WANDB_MODE asks for.

    Args:
        run: OUT/run; OUT names the run.
        label: of the bar; with "-own" the project.
        group: of runs in W&B.
    """
    from common.journal import Progress
    from common.mirrors import dashboards

    mode = os.environ.get("WANDB_MODE", "disabled")
    names = asked("none" if mode == "disabled" else "wandb")

    def shown(first_step: int) -> list[Mirror]:
        return [
            Progress(label, first_step, recipe.steps),
            *dashboards(
                names, project="speech-video-reproductions-own", group=group, name=run.resolve().parent.name,
                config=recipe.settings(), folder=run, first_step=first_step,
            ),
        ]  # fmt: skip

    return shown
