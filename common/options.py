"""Options and arguments that several commands of `reproduce` share: one name, one meaning, one help text."""

from __future__ import annotations

from typing import Annotated

import typer

PaperArgument = Annotated[str, typer.Argument(metavar="PAPER", help="Slug of the paper, see `list`.")]
Papers = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PAPER]...", help="Slugs; none means every paper that has the scale."),
]
RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="Name of the recipe, see `list`.")]
Scale = Annotated[
    str, typer.Option(help="Preset of data, model size, steps and seeds: smoke, mini, night, gpu, paper.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed; it also picks the fold of test pictures.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Number of seeds; default is the scale's.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Jobs = Annotated[
    int, typer.Option(min=0, help="Runs side by side; 0 fits them to the cores, on a cluster 32.")
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor", envvar="EXECUTOR", metavar="NAME",
        help="local; slurm, a job for each run; submitit-local, the same path on this machine.",
    ),
]  # fmt: skip
ClusterOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--cluster",
        metavar="KEY=VALUE",
        help="For the jobs, e.g. slurm_partition=gpu, timeout_min=240; repeatable.",
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")
]
PrintSettings = Annotated[
    bool, typer.Option("--print-settings", help="Show every setting as --set takes it, and do nothing.")
]
