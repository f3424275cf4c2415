"""Panels of the report: test clips beside what each arm attends to in them, as scoring runs kept them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image

from common.kept import FOLDER
from common.report.page import Panel, Picture
from multimodal_ssl.arms import Condition
from multimodal_ssl.evaluation.pictures import ATTENTION, CLIP, STRIP

MOST_PANELS = 4  # and as many with strips


def panels(folder: Path, conditions: Mapping[str, Condition]) -> Iterator[Panel]:
    """Each kept clip beside what the arms attend to in it, then strips of one of them.

    Args:
        folder: of a scale: runs lie in it as RECIPE/seedN.
        conditions: what the recipes are; runs of others are left out.
    """
    kept: dict[str, dict[str, Path]] = {}  # clip -> recipe -> folder, the first seed's
    for path in sorted(folder.glob(f"*/seed*/{FOLDER}/*{ATTENTION}")):
        stem, recipe = path.name.removesuffix(ATTENTION), path.parts[-4]
        if recipe in conditions:
            kept.setdefault(stem, {}).setdefault(recipe, path.parent)
    for stem, of_recipe in sorted(kept.items())[:MOST_PANELS]:
        recipes = sorted(of_recipe, key=lambda recipe: conditions[recipe].order)
        clips = [path for recipe in recipes if (path := of_recipe[recipe] / f"{stem}{CLIP}").exists()]
        if not clips:
            continue
        clip = clips[0]  # every arm's is the same
        pictures = [Picture("the clip; the box is the truth", clip.read_bytes())]
        for recipe in recipes:
            attended = of_recipe[recipe] / f"{stem}{ATTENTION}"
            pictures.append(Picture(f"{conditions[recipe].words}: {_told(attended)}", attended.read_bytes()))
        yield Panel(f"“{_told(clip)}”: where the caption attends to", pictures)
    for stem, of_recipe in sorted(kept.items())[:1]:
        recipes = sorted(of_recipe, key=lambda recipe: conditions[recipe].order)
        strips = [(recipe, of_recipe[recipe] / f"{stem}{STRIP}") for recipe in recipes]
        there = [
            Picture(conditions[recipe].words, path.read_bytes()) for recipe, path in strips if path.exists()
        ]
        if there:
            yield Panel("The same, frame by frame and phrase by phrase", there)


def _told(path: Path) -> str:
    with Image.open(path) as picture:
        return str(picture.info.get("Description", ""))
