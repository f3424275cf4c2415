"""What is asked and what was answered: pairs of methods on one picture, in random order and side; votes in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from pathlib import Path

import numpy as np

from common.data.media import PICTURE_SUFFIXES
from common.strict_json import parsed

CHOICES = ("left", "right", "same")
KEPT = "results/{scale}/*/seed0/pictures-test/*.output.jpg"  # pictures that published runs left, of seed 0


@dataclass(frozen=True)
class Pair:
    """Two methods' pictures of one scene, and which stands on the left."""

    scene: str
    left: str
    right: str

    @property
    def asked(self) -> tuple[str, frozenset[str]]:
        """The same question, whatever its sides."""
        return self.scene, frozenset((self.left, self.right))


@dataclass(frozen=True)
class Vote:
    """An answer."""

    scene: str
    left: str
    right: str
    chosen: str  # "left", "right" or "same"

    def __post_init__(self) -> None:
        if self.chosen not in CHOICES:
            raise ValueError(f"chosen must be one of {', '.join(CHOICES)}, got {self.chosen!r}")

    @property
    def pair(self) -> Pair:
        return Pair(self.scene, self.left, self.right)


Shown = Mapping[str, Mapping[str, Path]]  # method -> scene -> picture


def from_folders(folders: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """Methods by name, each a folder of pictures; those of one name show one scene.

    Raises:
        ValueError: fewer than two methods, or no scene that all of them show.
    """
    shown = {
        method: {
            path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURE_SUFFIXES
        }
        for method, folder in folders.items()
    }
    return _of_common_scenes(shown)


def published(folder: Path, scale: str) -> dict[str, dict[str, Path]]:
    """What published runs of a paper's folder kept of their pictures."""
    shown: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob(KEPT.format(scale=scale))):
        shown.setdefault(path.parents[2].name, {})[path.name.removesuffix(".output.jpg")] = path
    return _of_common_scenes(shown)


def _of_common_scenes(shown: Mapping[str, Mapping[str, Path]]) -> dict[str, dict[str, Path]]:
    if len(shown) < 2:
        raise ValueError(f"a study compares two methods or more, got {', '.join(shown) or 'none'}")
    scenes = set.intersection(*(set(pictures) for pictures in shown.values()))
    if not scenes:
        raise ValueError(f"no picture has one name with all of {', '.join(shown)}")
    return {
        method: {scene: pictures[scene] for scene in sorted(scenes)} for method, pictures in shown.items()
    }


def questions(shown: Shown, votes: Sequence[Vote], rng: np.random.Generator) -> list[Pair]:
    """Every pair of methods on every scene that was not answered yet, in random order and on random sides."""
    answered = {vote.pair.asked for vote in votes}
    scenes = next(iter(shown.values()))
    pairs = [Pair(scene, *both) for scene in scenes for both in combinations(sorted(shown), 2)]
    left = [pair for pair in pairs if pair.asked not in answered]
    swapped = rng.random(len(left)) < 0.5
    sided = [
        Pair(pair.scene, pair.right, pair.left) if swap else pair
        for pair, swap in zip(left, swapped, strict=True)
    ]
    return [sided[index] for index in rng.permutation(len(sided))]


def read_votes(path: Path) -> list[Vote]:
    """Votes of a file, one JSON object a line; none where there is no file.

    Raises:
        ValueError: a line that is no vote, with its number.
    """
    if not path.exists():
        return []
    votes, keys = [], {field.name for field in fields(Vote)}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            content = parsed(line)
            if not isinstance(content, dict) or set(content) != keys:
                raise ValueError(f"expected {', '.join(sorted(keys))}")
            votes.append(Vote(**{key: str(value) for key, value in content.items()}))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: is no vote: {error}") from error
    return votes


def keep(path: Path, vote: Vote) -> None:
    """Adds a vote to the file, at once on the disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(vote)) + "\n")
