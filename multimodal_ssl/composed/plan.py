"""What every composed clip shows and what its caption says: a plan without pixels, a pure function of its settings.

A clip shows an object in one of seven motions over a drifting photograph, with other objects moving behind it, and
its caption says so: "a dog moving left". Training clips come in films of eight, made up like a narrated video: one
place, and what is beside the target is another clip's target. Every object has a motion that training never shows,
not even of a thing in the background; such pairs are tested apart.

Some clips show no object: the whole scene is tinted and moves, and the caption says that. Their cue is everywhere,
so they are a control in which looking at single positions should not help.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from common.measures import Part
from multimodal_ssl.measures import CLEAN, CLEAN_NEW, DISTRACTORS, DISTRACTORS_NEW, GLOBAL, STILL

MOTIONS = (
    "moving left", "moving right", "moving up", "moving down", "growing", "shrinking", "standing still",
)  # fmt: skip
TINTS = ("red", "green", "blue", "yellow", "purple", "grey")
FILM_CLIPS = 8
STILL_VIEWS = 7  # galleries of stills
SPLITS = ("train", "dev", "test")
SALT = "composed-0"
GALLERIES = {part.name: part for part in (CLEAN, DISTRACTORS, STILL, GLOBAL)}  # kinds, by their names
NEW_PAIRS = {CLEAN: CLEAN_NEW, DISTRACTORS: DISTRACTORS_NEW}  # of a gallery, apart


@dataclass(frozen=True, kw_only=True)
class Composition:
    """How clips are composed; sizes of frames in pixels."""

    num_objects: int = 24  # 0 takes all that are usable
    size_px: int = 64
    num_frames: int = 4
    frame_step: int = 2  # frames of the motion between two kept ones
    views: int = 18  # training clips of every (object, motion) pair that training shows
    scene_views: int = 4  # training clips of every (tint, motion) of a whole scene
    new_motions: int = 1  # of every object, never shown in training
    most_distractors: int = 2  # in a training clip: none to so many, equally often
    test_distractors: int = 1
    renditions: int = 2  # galleries of every kind, each with every pair once
    made_up: bool = False  # stamps, photographs and sounds drawn by code

    def __post_init__(self) -> None:
        if not 0 <= self.new_motions < len(MOTIONS):
            raise ValueError(f"new_motions must be in 0..{len(MOTIONS) - 1}, got {self.new_motions}")
        if not 16 <= self.size_px <= 128:
            raise ValueError(f"size_px must be in 16..128, got {self.size_px}")
        for key in ("num_frames", "frame_step", "views", "renditions"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be 1 or more, got {getattr(self, key)}")

    def times(self) -> tuple[float, ...]:
        """When frames are taken: from -1/2 to at most 1/2 of the motion's duration."""
        last = max(1, self.num_frames * self.frame_step - 1)
        return tuple(number * self.frame_step / last - 0.5 for number in range(self.num_frames))


@dataclass(frozen=True)
class Cast:
    """Who and what can appear."""

    phrases: tuple[str, ...]  # of objects, with their articles: "a dog"
    pictures: Mapping[str, tuple[str, ...]]  # of a split
    recordings: Mapping[str, tuple[tuple[str, ...], ...]]  # of a split, each object's sounds


@dataclass(frozen=True)
class Shown:
    """An object in a motion. In a still nothing moves."""

    object: int
    motion: str


@dataclass(frozen=True)
class Scene:
    """One clip as planned."""

    id: str
    film: str
    picture: str
    caption: str
    shown: tuple[Shown, ...]  # back to front; the caption tells of the last
    tint: str = ""
    motion: str = ""  # of the whole scene
    recording: str = ""  # a sound; empty where the object has none in this split
    still: bool = False

    @property
    def target(self) -> Shown | None:
        return self.shown[-1] if self.shown else None

    def generator(self, what: str) -> np.random.Generator:
        """Randomness of this clip, or with "film" that of its film."""
        return generator(what, self.film if what == "film" else self.id)


@dataclass(frozen=True)
class Query:
    """A caption to be searched for in one gallery. Any of the right clips answers it."""

    id: str
    group: str  # the object, or what the scene is said to be: resampled together
    part: Part  # one of `measures.RETRIEVED`
    caption: str
    gallery: str
    right: tuple[str, ...]  # ids of all clips that show it, as target or beside one


def generator(*names: object) -> np.random.Generator:
    digest = hashlib.sha256("\n".join([SALT, *map(str, names)]).encode()).digest()
    return np.random.default_rng([*digest[:16]])


def new_pairs(composition: Composition, num_objects: int) -> frozenset[Shown]:
    """(object, motion) pairs kept out of training: as many of each object, and as many of each motion to within one
    object."""
    each = product(range(num_objects), range(composition.new_motions))
    return frozenset(Shown(number, MOTIONS[(number + k) % len(MOTIONS)]) for number, k in each)


def trained_pairs(composition: Composition, num_objects: int) -> tuple[Shown, ...]:
    new = new_pairs(composition, num_objects)
    pairs = (Shown(number, motion) for number, motion in product(range(num_objects), MOTIONS))
    return tuple(pair for pair in pairs if pair not in new)


# ---- training


def train_scenes(composition: Composition, cast: Cast) -> tuple[Scene, ...]:
    """Clips to train on, film after film."""
    pairs = trained_pairs(composition, len(cast.phrases))
    rng = generator("train")
    targets = [pairs[i] for _ in range(composition.views) for i in rng.permutation(len(pairs))]
    films = [targets[i : i + FILM_CLIPS] for i in range(0, len(targets), FILM_CLIPS)]
    scenes = [
        scene for number, film in enumerate(films) for scene in _film(number, film, composition, cast, rng)
    ]
    looks = list(product(TINTS, MOTIONS))
    wide = [looks[i] for _ in range(composition.scene_views) for i in rng.permutation(len(looks))]
    for place, (tint, motion) in enumerate(wide):
        film = f"train/wide-{place // FILM_CLIPS:04d}"
        picture = cast.pictures["train"][place // FILM_CLIPS % len(cast.pictures["train"])]
        scenes.append(_wide(f"{film}/{place % FILM_CLIPS}", film, picture, tint, motion))
    return tuple(scenes)


def _film(
    number: int, targets: Sequence[Shown], composition: Composition, cast: Cast, rng: np.random.Generator
) -> Iterator[Scene]:
    name = f"train/film-{number:04d}"
    picture = str(rng.choice(cast.pictures["train"]))
    pairs = trained_pairs(composition, len(cast.phrases))
    for place, target in enumerate(targets):
        beside = sorted({one.object for one in targets} - {target.object})
        wanted = min(len(beside), int(rng.integers(composition.most_distractors + 1)))
        chosen = [int(one) for one in rng.permutation(beside)[:wanted]]
        behind = tuple(_any([pair for pair in pairs if pair.object == one], rng) for one in chosen)
        yield Scene(
            f"{name}/{place}", name, picture, caption(cast, target), (*behind, target),
            recording=_sound(cast, "train", target.object, rng),
        )  # fmt: skip


def _any(pairs: Sequence[Shown], rng: np.random.Generator) -> Shown:
    return pairs[int(rng.integers(len(pairs)))]


def _sound(cast: Cast, split: str, number: int, rng: np.random.Generator) -> str:
    there = cast.recordings[split][number]
    return there[int(rng.integers(len(there)))] if there else ""


def _wide(id_: str, film: str, picture: str, tint: str, motion: str) -> Scene:
    return Scene(id_, film, picture, wide_caption(tint, motion), (), tint=tint, motion=motion)


def caption(cast: Cast, shown: Shown) -> str:
    return f"{cast.phrases[shown.object]} {shown.motion}"


def wide_caption(tint: str, motion: str) -> str:
    return f"a {tint} scene {motion}"


# ---- galleries and queries


def gallery_names(composition: Composition) -> tuple[str, ...]:
    """ "clean/0", "distractors/0", ..., "still/0", ..., "global/0", ..."""
    counts = dict.fromkeys(GALLERIES, composition.renditions) | {STILL.name: STILL_VIEWS}
    return tuple(f"{kind}/{number}" for kind, count in counts.items() for number in range(count))


def gallery(composition: Composition, cast: Cast, split: str, name: str) -> tuple[Scene, ...]:
    """Clips of one gallery of "dev" or "test": every pair, object or look once.

    Raises:
        ValueError: an unknown split or gallery, with those there are.
    """
    if split not in ("dev", "test") or name not in gallery_names(composition):
        known = ", ".join(gallery_names(composition))
        raise ValueError(f"galleries are of dev or test: {known}; got {name!r} of {split!r}")
    kind, rng = name.partition("/")[0], generator(split, name)
    pictures = cast.pictures[split]

    def place(number: int) -> tuple[str, str, str]:
        id_ = f"{split}/{name}/{number:04d}"
        return id_, id_, pictures[int(rng.integers(len(pictures)))]

    if kind == GLOBAL.name:
        return tuple(_wide(*place(i), *look) for i, look in enumerate(product(TINTS, MOTIONS)))
    num = len(cast.phrases)
    if kind == STILL.name:
        return tuple(
            Scene(*place(i), cast.phrases[i], (Shown(i, MOTIONS[-1]),), still=True) for i in range(num)
        )
    trained = trained_pairs(composition, num)
    scenes = []
    for i, target in enumerate(Shown(number, motion) for number, motion in product(range(num), MOTIONS)):
        wanted = composition.test_distractors if kind == DISTRACTORS.name else 0
        beside = rng.permutation([one for one in range(num) if one != target.object])[:wanted]
        behind = tuple(_any([pair for pair in trained if pair.object == one], rng) for one in beside)
        sound = _sound(cast, split, target.object, rng)
        scenes.append(Scene(*place(i), caption(cast, target), (*behind, target), recording=sound))
    return tuple(scenes)


def queries(composition: Composition, cast: Cast, split: str) -> Iterator[Query]:
    """Every caption of every gallery. Right is whatever clip shows what it says, behind another target too."""
    new = new_pairs(composition, len(cast.phrases))
    for name in gallery_names(composition):
        clips, kind = gallery(composition, cast, split, name), name.partition("/")[0]
        for clip in clips:
            right = tuple(other.id for other in clips if fits(clip, other))
            group = cast.phrases[clip.target.object] if clip.target else clip.caption
            part = GALLERIES[kind]
            if clip.target in new and not clip.still:
                part = NEW_PAIRS[part]
            yield Query(f"query/{clip.id}", group, part, clip.caption, name, right)


def fits(told: Scene, seen: Scene) -> bool:
    """Whether the caption of one clip is true of another."""
    if told.target is None:
        return (told.tint, told.motion) == (seen.tint, seen.motion)
    if told.still:
        return told.target.object in {one.object for one in seen.shown}
    return told.target in seen.shown
