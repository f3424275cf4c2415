"""What is asked and what was answered: pairs of methods on one picture, in random order and side; votes in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from pathlib import Path

import numpy as np

from common.data.media import PICTURE_SUFFIXES
from common.data.pictures import read_image
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
        if self.left == self.right:
            raise ValueError(f"left and right must be two methods, got {self.left!r} twice")

    @property
    def pair(self) -> Pair:
        return Pair(self.scene, self.left, self.right)


Shown = Mapping[str, Mapping[str, Path]]  # method -> scene -> picture


def from_folders(folders: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """Methods by name, each a folder of pictures; those of one name show one scene. Every picture is read once.

    Raises:
        ValueError: fewer than two methods, a folder without pictures or with two of one name, no scene that all of them
            show, or pictures of a scene that differ in size.
        MediaError: a file that cannot be read as a picture.
    """
    shown = _of_common_scenes({method: _scenes(folder) for method, folder in folders.items()})
    for scene in next(iter(shown.values())):
        sizes = {method: _size(pictures[scene]) for method, pictures in shown.items()}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{method} {size}" for method, size in sizes.items())
            raise ValueError(f"pictures of {scene} must be of one size, so that none stands out; got {told}")
    return shown


def _scenes(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise ValueError(
                f"{folder}: picture {path.stem} is there twice, {found[path.stem].name} and {path.name}; keep one"
            )
        found[path.stem] = path
    if not found:
        raise ValueError(f"{folder}: holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
    return found


def _size(path: Path) -> str:
    height, width, _ = read_image(path).shape
    return f"{width}x{height}"


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
        ValueError: a folder, no text, or a line that is no vote, with its number.
    """
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; votes are kept in a file, such as {path / 'votes.jsonl'}")
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: holds no votes, for it is no text: {error}; name another file") from error
    votes, keys = [], {field.name for field in fields(Vote)}
    for number, line in enumerate(lines, 1):
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
