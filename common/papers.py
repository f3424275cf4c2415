"""What a paper hands the command line, the trainer and the report: one typed object, `Paper`.

pyproject.toml names where each lies (`[tool.reproductions.papers]`, `slug = "module:PAPER"`), since `common/` imports
none of them by name. A fifth paper is one more line there and one more object; mypy and `tests/test_papers.py` see what
it lacks.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import results

if TYPE_CHECKING:
    import matplotlib.figure
    from torch import Tensor

    from common.claims import Claim
    from common.data.manifest import Bad
    from common.recipe import Experiment
    from common.report.page import Panel, Picture
    from common.report.styles import Style
    from common.report.tables import Table
    from common.results import Result, Run

ROOT = Path(__file__).resolve().parents[1]
SCALES = ("smoke", "mini", "night", "gpu", "paper")

WeightsFile = tuple[Path, Mapping[str, "Tensor"], Mapping[str, Any]]  # where it is committed, tensors, state


def runs_root() -> Path:
    """Where a person's own runs and report go: `runs/` of the repository, or RUNS_ROOT (tests, big disks)."""
    return ROOT / Path(os.environ.get("RUNS_ROOT") or "runs").expanduser()


@dataclass(frozen=True, kw_only=True)
class Search:
    """What `tune` tries, by one rule for every arm: every combination of values, or a climb from a start.

    Args:
        arms: names of recipes of the scale.
        settings: dotted name of a setting to the values that are tried.
        measure: the total of a dev result that decides, e.g. "photographs/psnr[rgb,crop0,u8]/mean".
        start: a value of every setting, from which each arm climbs by the same rule: the nearest values to either
            side of its best are tried, one setting at a time, until a best has been tried on all sides. None tries
            every combination.
        more_is_better: of the measure.
        without: arms to settings that say nothing of them, such as the head's own rate where the head is all that
            learns; they keep those of their recipe.
    """

    arms: tuple[str, ...]
    settings: Mapping[str, tuple[Any, ...]]
    measure: str
    start: tuple[Any, ...] | None = None
    more_is_better: bool = False
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tried = self.settings.values()
        if self.start is not None and not all(
            value in values for value, values in zip(self.start, tried, strict=True)
        ):
            raise ValueError(f"start must be a combination of what is tried, got {self.start}")

    def of(self, arm: str) -> Search:
        """What is tried of one arm."""
        kept = [setting for setting in self.settings if setting not in self.without.get(arm, ())]
        start = None if self.start is None else dict(zip(self.settings, self.start, strict=True))
        return replace(
            self,
            arms=(arm,),
            settings={setting: self.settings[setting] for setting in kept},
            start=None if start is None else tuple(start[setting] for setting in kept),
        )

    def beside(self, combination: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Combinations that are one value away in one setting."""
        found = []
        for place, values in enumerate(self.settings.values()):
            at = values.index(combination[place])
            for near in values[max(0, at - 1) : at] + values[at + 1 : at + 2]:
                found.append((*combination[:place], near, *combination[place + 1 :]))
        return found


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A preset of data, model size, steps and seeds.

    Args:
        recipes: what `reproduce` runs, by name; the headline's first.
        seeds: how many seeds of each it runs.
        more_seeds: of recipes that get others than that.
        once: what `reproduce` runs after those, with one seed; no claim reads them.
        on_request: known to `train` and `score` and no part of `reproduce`, such as those that make committed weights.
        weights: what `publish` commits beside results: name of a file to name of the recipe, of seed 0.
        search: what `tune` tries, None where nothing is to be chosen.
    """

    recipes: Mapping[str, Experiment]
    seeds: int
    more_seeds: Mapping[str, int] = field(default_factory=dict)
    once: Mapping[str, Experiment] = field(default_factory=dict)
    on_request: Mapping[str, Experiment] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    search: Search | None = None

    def __post_init__(self) -> None:
        named = {*self.weights.values(), *self.more_seeds, *(self.search.arms if self.search else ())}
        if unknown := sorted(named - set(self.every_recipe)):
            raise ValueError(
                f"weights, seeds and search name recipes of their scale, which lacks {', '.join(unknown)}"
            )

    def runs(self, seeds: int | None = None) -> Iterator[tuple[str, Experiment, int]]:
        """(name, recipe, seed) of what `reproduce` runs, a seed of every recipe before the next one.

        Args:
            seeds: how many of each, in place of the scale's numbers.
        """
        for seed in range(seeds or max([self.seeds, *self.more_seeds.values()])):
            for name, recipe in self.recipes.items():
                if seed < (seeds or self.more_seeds.get(name, self.seeds)):
                    yield name, recipe, seed
        yield from ((name, recipe, 0) for name, recipe in self.once.items())

    @property
    def reproduced(self) -> Mapping[str, Experiment]:
        """What `reproduce` runs, with however many seeds."""
        return {**self.recipes, **self.once}

    @property
    def every_recipe(self) -> Mapping[str, Experiment]:
        return {**self.reproduced, **self.on_request}


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a paper does with files beside reading them in recipes; each recipe fetches what it reads (`prepare`).

    Args:
        verify: hashes and decodes everything that a scale reads once; what is bad, by name.
        pack: writes one archive of at most 40 MB with what a scale's training reads, and gives its sha256.
        scorable: whether what is scored is here; on a machine that got its data from a pack it may not be.
    """

    verify: Callable[[str], list[Bad]]
    pack: Callable[[Path, str], str]
    scorable: Callable[[], bool]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the page and the README show of the runs of one scale, beside the verdicts.

    Args:
        topic: what the paper is about in a word or three, where all papers stand side by side.
        styles: how each recipe looks in every figure.
        figures: (caption, figure) of what the runs can show.
        tables: shown at once; also in the README.
        details: long tables, folded until they are asked for.
        panels: pictures and sounds that scoring kept under a folder of own runs.
        frames: of the published runs' folder, what the first page's picture shows of them.
    """

    topic: str
    styles: Mapping[str, Style]
    figures: Callable[[Sequence[Run]], Iterable[tuple[str, matplotlib.figure.Figure]]]
    tables: Callable[[Sequence[Run]], Sequence[Table]]
    details: Callable[[Sequence[Run]], Sequence[Table]]
    panels: Callable[[Path], Iterable[Panel]]
    frames: Callable[[Path], Iterable[Picture]] = lambda folder: ()


def whole_weights(
    folder: Path, file: str, recipe: Experiment, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> WeightsFile:
    """A run's weights committed as they are, which is what `Paper.weights_file` does unless told otherwise."""
    return folder / "weights" / f"{file}.safetensors", tensors, state


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One paper: what is run, on what, what is claimed and what is shown.

    Args:
        slug: as on the command line and in `make reproduce-SLUG`.
        title: of its section in the report and the README.
        folder: holds its README.md, `results/SCALE/` and `weights/`.
        scales: of `SCALES`; one that is missing cannot be run.
        weights_file: what is committed of a run: (paper's folder, file's name, recipe, tensors, state) to the file.
        closeness: measure -> how far means of runs on other kinds of CPU were seen apart, or somewhat more.
        former_settings: settings of a result written before layout 2, as today's recipes spell them.
    """

    slug: str
    title: str
    folder: Path
    scales: Mapping[str, Scale]
    data: Data
    claims: Sequence[Claim]
    report: Report
    weights_file: Callable[..., WeightsFile] = whole_weights
    closeness: Mapping[str, float] = field(default_factory=dict)
    former_settings: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.scales) - set(SCALES)):
            raise ValueError(f"{self.slug}: scales must be of {', '.join(SCALES)}, got {', '.join(unknown)}")

    @property
    def arxiv(self) -> str:
        """Its number there, as the title has it."""
        found = re.search(r"arXiv ([\d.]+)", self.title)
        return found[1] if found else ""

    def at(self, scale: str) -> Scale:
        """What is run at a scale.

        Raises:
            ValueError: an unknown scale, or one that this paper has no recipes for.
        """
        if scale not in self.scales:
            check_scale(scale)
            raise ValueError(f"{self.slug} has no recipes at scale {scale}; it has {', '.join(self.scales)}")
        return self.scales[scale]

    def recipe(self, name: str, scale: str) -> Experiment:
        """One recipe; the error for an unknown name lists the known ones."""
        known = self.at(scale).every_recipe
        if name not in known:
            raise ValueError(
                f"{self.slug} has no recipe {name!r} at scale {scale}; known: {', '.join(known)}"
            )
        return known[name]

    def prepare(self, scale: str) -> None:
        """Fetches and prepares what the recipes of a scale read; at once where that was done."""
        for recipe in self.at(scale).reproduced.values():
            recipe.prepare()

    # ---- where its files lie

    def published(self, scale: str) -> Path:
        """Results that are committed."""
        return self.folder / "results" / scale

    def tuning_log(self, scale: str) -> Path:
        """The committed log of the search on dev; it need not be there."""
        return self.folder / "results" / f"tuning-{scale}.json"

    def own(self, scale: str) -> Path:
        """Where a person's own runs go."""
        return runs_root() / self.slug / scale

    def own_results(self, scale: str) -> Path:
        return self.own(scale) / "results"

    def run_folder(self, scale: str, recipe: str, seed: int) -> Path:
        return self.own(scale) / recipe / f"seed{seed}"

    def begun(self, scale: str, recipe: str = "*") -> Iterator[tuple[str, int, Path]]:
        """(recipe, seed, folder) of every run of yours that has a journal; a folder of another name is named."""
        for path in sorted(self.own(scale).glob(f"{recipe}/seed*/journal.jsonl")):
            seed = path.parent.name.removeprefix("seed")
            if seed.isdecimal():
                yield path.parent.parent.name, int(seed), path.parent
            else:
                results.name_odd(f"{path.parent} is no run of ours, which would be named seedN")

    # ---- results

    def evidence(self, scale: str, *, own: bool) -> list[Run]:
        """Test runs of today's recipes on today's data; others are no evidence for them.

        A file that cannot be used is named and left out; `results.read` is for where that must not happen.
        """
        folder = self.own_results(scale) if own else self.published(scale)
        recipes = self.scales[scale].every_recipe if scale in self.scales else {}
        found = (
            self.as_today(run, recipes[run.result.recipe])
            for run in results.readable(folder)
            if run.result.split == "test" and run.result.recipe in recipes
        )
        return [run for run in found if run is not None]

    def spelled_today(self, result: Result) -> Mapping[str, Any]:
        """A result's settings, those of an earlier layout as today's recipes spell them."""
        former = result.settings_layout < results.SETTINGS_LAYOUT
        return self.former_settings(result.settings) if former else result.settings

    def alike(self, one: Result, other: Result) -> bool:
        """Whether two results are of the same settings and data, however their layouts spell them."""
        same_data = one.manifest_sha256 == other.manifest_sha256
        return same_data and self.spelled_today(one) == self.spelled_today(other)

    def as_today(self, run: Run, recipe: Experiment) -> Run | None:
        """The run with its settings as they are spelled today, or None when it is not of that recipe on its data."""
        result = run.result
        settings = self.spelled_today(result)
        if settings != recipe.settings() or result.manifest_sha256 != recipe.manifest_sha256():
            return None
        spelled = replace(
            result,
            settings=settings,
            settings_hash=recipe.settings_hash(),
            settings_layout=results.SETTINGS_LAYOUT,
        )
        return replace(run, result=spelled)

    def finished(
        self, name: str, recipe: Experiment, scale: str, seed: int, split: str = "test"
    ) -> Run | None:
        """Your own finished run of a recipe and seed, of these very settings and data; one that is damaged is named."""
        path = results.path_of(self.own_results(scale), name, seed, split)
        run = results.read_or_name(path) if path.is_file() else None
        return None if run is None else self.as_today(run, recipe)


def check_scale(scale: str) -> None:
    """Raises ValueError for a scale that no paper can have."""
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")


@cache
def papers() -> Mapping[str, Paper]:
    """Every paper by slug.

    Raises:
        TypeError: pyproject.toml names something that is no `Paper`, or one of another slug.
    """
    with open(ROOT / "pyproject.toml", "rb") as file:
        table = tomllib.load(file)["tool"]["reproductions"]["papers"]
    found = {slug: EntryPoint(slug, place, "papers").load() for slug, place in table.items()}
    for slug, paper in found.items():
        if not isinstance(paper, Paper) or paper.slug != slug:
            raise TypeError(f"pyproject.toml: {table[slug]} must be the Paper {slug}, got {paper!r}")
    return found


def find(slug: str) -> Paper:
    """Paper by its slug; the error for an unknown one lists them all."""
    if slug not in papers():
        raise ValueError(f"unknown paper {slug!r}; known: {', '.join(papers())}")
    return papers()[slug]


def chosen(slugs: Sequence[str] | None, scale: str | None) -> list[Paper]:
    """The papers named, each of which must have the scale; where none is named, all that have it; None is any scale."""
    found = [find(slug) for slug in slugs or papers()]
    if scale is None:
        return found
    check_scale(scale)
    if not slugs:
        return [paper for paper in found if scale in paper.scales]
    for paper in found:
        paper.at(scale)
    return found
