"""The papers of this repository, known from pyproject.toml alone: `common/` imports none of them by name."""

from __future__ import annotations

import importlib
import importlib.util
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
SCALES = ("smoke", "mini", "gpu", "paper")


def runs_root() -> Path:
    """Where a person's own runs and report go: `runs/` of the repository, or RUNS_ROOT (tests, big disks)."""
    return ROOT / Path(os.environ.get("RUNS_ROOT") or "runs").expanduser()


class NotBuilt(Exception):
    """A paper whose place is kept and whose code does not exist yet."""


@dataclass(frozen=True)
class Paper:
    """A folder with the rooms every paper has: data, recipes, claims, figures, results, weights."""

    slug: str
    package: str

    @property
    def folder(self) -> Path:
        return ROOT / self.package.replace(".", "/")

    @property
    def built(self) -> bool:
        return (self.folder / "recipes.py").is_file()

    def room(self, name: str) -> ModuleType:
        """One of its modules: "data", "recipes", "claims", "figures".

        Raises:
            NotBuilt: the paper has no code yet.
        """
        if not self.built:
            raise NotBuilt(
                f"paper {self.slug} is not built yet; built are: {', '.join(p.slug for p in built())}"
            )
        return importlib.import_module(f"{self.package}.{name}")

    def recipes(self, scale: str) -> Mapping[str, Recipe]:
        """Recipes of a scale by name, the headline's first."""
        if scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        found: Mapping[str, Mapping[str, Recipe]] = self.room("recipes").RECIPES
        return found.get(scale, {})

    def every_recipe(self, scale: str) -> Mapping[str, Recipe]:
        """Those that `reproduce` runs, and those that make weights that are committed (`BACKBONES`)."""
        backbones: Mapping[str, Mapping[str, Recipe]] = getattr(self.room("recipes"), "BACKBONES", {})
        return {**self.recipes(scale), **backbones.get(scale, {})}

    def recipe(self, name: str, scale: str) -> Recipe:
        """One recipe; the error for an unknown name lists the known ones."""
        known = self.every_recipe(scale)
        if name not in known:
            raise ValueError(
                f"{self.slug} has no recipe {name!r} at scale {scale}; known: {', '.join(known)}"
            )
        return known[name]

    def seeds(self, scale: str) -> int:
        """How many seeds a scale runs."""
        seeds: Mapping[str, int] = self.room("recipes").SEEDS
        return seeds[scale]

    def published(self, scale: str) -> Path:
        """Results that are committed."""
        return self.folder / "results" / scale

    def own(self, scale: str) -> Path:
        """Where a person's own runs go."""
        return runs_root() / self.slug / scale

    def own_results(self, scale: str) -> Path:
        return self.own(scale) / "results"

    def run_folder(self, scale: str, recipe: str, seed: int) -> Path:
        return self.own(scale) / recipe / f"seed{seed}"


@cache
def papers() -> dict[str, Paper]:
    """Every paper by slug, built or not."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        table = tomllib.load(file)["tool"]["reproductions"]["papers"]
    return {slug: Paper(slug, package) for slug, package in table.items()}


def built() -> list[Paper]:
    return [paper for paper in papers().values() if paper.built]


def find(slug: str) -> Paper:
    """Paper by its slug; the error for an unknown one lists them all."""
    if slug not in papers():
        raise ValueError(f"unknown paper {slug!r}; known: {', '.join(papers())}")
    return papers()[slug]
