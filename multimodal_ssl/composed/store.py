"""Composed clips on disk: rendered in parallel, written once, mapped when read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.data import sealed
from common.data.arrays import writing_rows
from common.data.workers import workers
from common.files import sweep, write_atomically
from common.progress import progress, tracked
from multimodal_ssl.composed import material
from multimodal_ssl.composed.material import Material
from multimodal_ssl.composed.plan import SPLITS, Composition, Scene
from multimodal_ssl.composed.render import render_clip

CHUNK = 32  # clips that a worker composes at a time


def write(folder: Path, composition: Composition, root: Path, plan: Mapping[str, Sequence[Scene]]) -> None:
    """Renders a plan into a folder; its index is written last."""
    held = material.load(root, composition.num_objects)
    sweep(folder)  # of what a run that was killed left
    recordings = sorted({s.recording for split in SPLITS for s in plan[split] if s.recording})
    label = f"composing of {len(held.sprites)} objects"
    with (
        workers() as pool,
        progress(label, sum(map(len, plan.values())), "clip") as bar,
    ):
        for split in SPLITS:
            chunks = [plan[split][i : i + CHUNK] for i in range(0, len(plan[split]), CHUNK)]
            with (
                writing_rows(folder / f"{split}.npy", len(plan[split])) as frames,
                writing_rows(folder / f"{split}-boxes.npy", len(plan[split])) as boxes,
            ):
                for some_frames, some_boxes in pool.map(partial(_render, composition, root), chunks):
                    frames.add(some_frames)
                    boxes.add(some_boxes)
                    bar.advance(len(some_frames))
        decoding = pool.map(partial(_read_sound, held.folder), recordings, chunksize=CHUNK)
        sounds = list(tracked(decoding, "decoding sounds", len(recordings), "sound"))
    starts = np.cumsum([0, *map(len, sounds)]).tolist()
    with writing_rows(folder / "sounds.npy", starts[-1]) as samples:
        for sound in sounds:
            samples.add(sound)
    index = {
        path: (start, len(sound)) for path, start, sound in zip(recordings, starts, sounds, strict=False)
    }
    write_atomically(folder / "index.json", json.dumps(index, ensure_ascii=False).encode())
    sealed.seal(folder / sealed.SEAL, [*folder.glob("*.npy"), folder / "index.json"])


def _render(composition: Composition, root: Path, plan: Sequence[Scene]) -> tuple[ndarray, ndarray]:
    return render(composition, material.load(root, composition.num_objects), plan)


def render(composition: Composition, held: Material, plan: Sequence[Scene]) -> tuple[ndarray, ndarray]:
    """clip x time x height x width x 3, and boxes; a still's one frame is repeated."""
    frames, boxes = [], []
    for scene in plan:
        clip = render_clip(scene, composition, held.sprites, held.pictures[scene.picture])
        repeats = composition.num_frames // len(clip[0])
        frames.append(np.repeat(clip[0], repeats, 0))
        boxes.append(np.repeat(clip[1], repeats, 0))
    return np.stack(frames), np.stack(boxes)


def _read_sound(folder: Path, recording: str) -> Int16[ndarray, " sample"]:
    return material.waveform((folder / "sounds" / material.flat(recording)).read_bytes(), Path(recording))
