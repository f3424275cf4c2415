"""Composed clips: rendered once, then mapped from disk; the only place that says which split is what.

    DATA_ROOT/multimodal/composed-HASH/{train,dev,test}.npy     frames of all clips of a split, one after another
                                      /{train,dev,test}-boxes.npy, sounds.npy, index.json (written last)

None of it is HowTo100M, YouCook2, MSR-VTT or any filmed video; no number measured on it is one of those.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

from jaxtyping import Bool, Int16, Int64, UInt8
from numpy import ndarray

from common.data import sealed
from common.data.manifest import Bad
from common.data.packages import data_root
from common.files import only_writer
from multimodal_ssl.composed import gather, made_up, material, plan, render, store
from multimodal_ssl.composed.material import Material
from multimodal_ssl.composed.plan import SPLITS, Cast, Composition, Query, Scene
from multimodal_ssl.composed.wrong_captions import WrongCaptions, given_captions
from multimodal_ssl.model.vocabulary import Vocabulary, made_up_vectors


@dataclass(frozen=True, eq=False)
class ComposedClip:
    """One composed clip."""

    scene: Scene
    frames: UInt8[ndarray, "time height width 3"]  # mapped from disk: copy before changing
    boxes: Int16[
        ndarray, "time 4"
    ]  # of the target: top, left, bottom, right in pixels; zeros where there is none
    sound: Int16[ndarray, " sample"] | None  # at 16 kHz

    @property
    def id(self) -> str:
        return self.scene.id

    @property
    def caption(self) -> str:
        return self.scene.caption


@dataclass(frozen=True, eq=False)
class ComposedClips:
    """All clips of one composition."""

    composition: Composition
    material: Material
    folder: Path | None  # None composes in memory

    @property
    def num_train(self) -> int:
        return len(self.scenes("train"))

    def scenes(self, split: str) -> tuple[Scene, ...]:
        """Of "train", film after film; of "dev" and "test", gallery after gallery."""
        return self._scenes[split]

    @cached_property
    def _scenes(self) -> dict[str, tuple[Scene, ...]]:
        return planned(self.composition, self.material.cast)

    def train_clip(self, index: int) -> ComposedClip:
        return self._clip("train", index)

    def gallery(self, split: str, name: str) -> tuple[ComposedClip, ...]:
        """Clips that the queries of that gallery are answered from; stills have one frame.

        Raises:
            ValueError: an unknown split or gallery, with those there are.
        """
        wanted = plan.gallery(self.composition, self.material.cast, split, name)
        first = next(i for i, scene in enumerate(self.scenes(split)) if scene.id == wanted[0].id)
        return tuple(self._clip(split, i) for i in range(first, first + len(wanted)))

    def queries(self, split: str) -> tuple[Query, ...]:
        return tuple(plan.queries(self.composition, self.material.cast, split))

    def given_captions(
        self, seed: int, wrong: WrongCaptions
    ) -> tuple[Int64[ndarray, " clip"], Bool[ndarray, " clip"]]:
        """For every training clip the index of the clip whose caption it gets, and whether that is wrong."""
        return given_captions(self.scenes("train"), seed, wrong)

    @property
    def words(self) -> Vocabulary:
        """Vectors of all words that captions use."""
        return self.material.words

    def _clip(self, split: str, index: int) -> ComposedClip:
        scene = self.scenes(split)[index]
        stop = 1 if scene.still else None
        frames, boxes = (array[index, :stop] for array in self._arrays(split))
        return ComposedClip(scene, frames, boxes, self._sound(scene, split))

    def _arrays(self, split: str) -> tuple[ndarray, ndarray]:
        if self.folder is None:
            return _in_memory(self.composition, split)
        return _mapped(self.folder / f"{split}.npy"), _mapped(self.folder / f"{split}-boxes.npy")

    def _sound(self, scene: Scene, split: str) -> Int16[ndarray, " sample"] | None:
        if not scene.recording:
            return None
        if self.folder is None:
            return made_up.sound(int(scene.recording), split)
        start, samples = _index(self.folder)[scene.recording]
        return _mapped(self.folder / "sounds.npy")[start : start + samples]


def planned(composition: Composition, cast: Cast) -> dict[str, tuple[Scene, ...]]:
    galleries = plan.gallery_names(composition)
    held_out = {
        split: tuple(s for name in galleries for s in plan.gallery(composition, cast, split, name))
        for split in ("dev", "test")
    }
    return {"train": plan.train_scenes(composition, cast)} | held_out


@cache
def _mapped(path: Path) -> ndarray:
    return sealed.mapped(path, path.parent / sealed.SEAL)


@cache
def _index(folder: Path) -> dict[str, tuple[int, int]]:
    kept = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return {recording: (start, samples) for recording, (start, samples) in kept.items()}


# ---- preparing and opening


def prepare(composition: Composition) -> None:
    """Fetches packages and renders the clips; at once when that was done, or needs no files.

    Raises:
        FetchError: a package that cannot be had.
        ValueError: more than a twentieth of the files are bad; they are listed.
    """
    root = data_root()
    if composition.made_up:
        return
    if not _ready(composition, root):
        with only_writer(root / "multimodal", wait=True):  # ranks of one run start at once
            if not _ready(composition, root):
                gather.gather(root)
                scenes = planned(composition, material.load(root, composition.num_objects).cast)
                store.write(_folder(composition, root), composition, root, scenes)
    sealed.check_once(_folder(composition, root) / sealed.SEAL)


def compose(composition: Composition) -> ComposedClips:
    """The clips of a composition that was prepared, or that is made up.

    Raises:
        ValueError: it was not prepared.
    """
    return _compose(composition, data_root())


@cache
def _compose(composition: Composition, root: Path) -> ComposedClips:
    if composition.made_up:
        return ComposedClips(composition, _made_up(composition), None)
    if not _ready(composition, root):
        raise ValueError(f"{composition} is not prepared in {root}; run make data-fine-grained-ssl")
    return ComposedClips(
        composition, material.load(root, composition.num_objects), _folder(composition, root)
    )


def manifest_sha256(composition: Composition) -> str:
    """Hash of the files that clips are made of and of how; empty for made-up clips."""
    return "" if composition.made_up else _hash(composition, data_root())


def _hash(composition: Composition, root: Path) -> str:
    made = [material.manifest_sha256(root), asdict(composition), render.VERSION, plan.SALT]
    return hashlib.sha256(json.dumps(made).encode()).hexdigest()


def verify(composition: Composition) -> list[Bad]:
    """What is no longer what was composed, by name."""
    return [] if composition.made_up else sealed.faults(_folder(composition, data_root()) / sealed.SEAL)


def bad(composition: Composition) -> list[str]:
    """ "id: reason" of what could not be used when the packages were read."""
    return (
        [] if composition.made_up else [f"{id_}: {why}" for id_, _, why in material.index(data_root())["bad"]]
    )


# ---- where it lies


def _ready(composition: Composition, root: Path) -> bool:
    return (material.folder_of(root) / "index.json").exists() and (
        _folder(composition, root) / "index.json"
    ).exists()


def _folder(composition: Composition, root: Path) -> Path:
    return root / "multimodal" / f"composed-{_hash(composition, root)[:12]}"


# ---- made up


@cache
def _made_up(composition: Composition) -> Material:
    phrases = made_up.names()[: composition.num_objects]
    numbers = tuple((str(number),) for number in range(len(phrases)))
    cast = Cast(phrases, {split: made_up.pictures(split) for split in SPLITS}, dict.fromkeys(SPLITS, numbers))
    pictures = {name: made_up.picture(name) for names in cast.pictures.values() for name in names}
    captions = [f"{phrase} {motion}" for phrase in phrases for motion in plan.MOTIONS]
    vocabulary = made_up_vectors([*captions, *material.texts(phrases)])
    return Material(cast, tuple(made_up.sprite(phrase) for phrase in phrases), pictures, vocabulary, Path())


@cache
def _in_memory(composition: Composition, split: str) -> tuple[ndarray, ndarray]:
    held = _made_up(composition)
    return store.render(composition, held, planned(composition, held.cast)[split])
