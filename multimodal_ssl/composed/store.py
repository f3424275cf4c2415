"""Composed clips on disk: rendered in parallel, written once, mapped when read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.files import write_atomically
from multimodal_ssl.composed import material
from multimodal_ssl.composed.material import Material
from multimodal_ssl.composed.plan import SPLITS, Composition, Scene
from multimodal_ssl.composed.render import render_clip

CHUNK = 32  # clips that a worker composes at a time


def write(folder: Path, composition: Composition, root: Path, plan: Mapping[str, Sequence[Scene]]) -> None:
    """Renders a plan into a folder; its index is written last."""
    held = material.load(root, composition.num_objects)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.partial"):  # by a run that was killed
        left.unlink()
    total = sum(map(len, plan.values()))
    _say(f"composing {total} clips of {len(held.sprites)} objects into {folder}")
    with ProcessPoolExecutor(min(8, os.cpu_count() or 1), initializer=material.one_thread) as pool:
        done = 0
        for split in SPLITS:
            chunks = [plan[split][i : i + CHUNK] for i in range(0, len(plan[split]), CHUNK)]
            with (
                _Growing(folder / f"{split}.npy", len(plan[split])) as frames,
                _Growing(folder / f"{split}-boxes.npy", len(plan[split])) as boxes,
            ):
                for some_frames, some_boxes in pool.map(partial(_render, composition, root), chunks):
                    frames.add(some_frames)
                    boxes.add(some_boxes)
                    done += len(some_frames)
                    if done // 1000 > (done - len(some_frames)) // 1000 or done == total:
                        _say(f"{done} of {total} clips")
        recordings = sorted({s.recording for split in SPLITS for s in plan[split] if s.recording})
        sounds = list(pool.map(partial(_read_sound, held.folder), recordings, chunksize=CHUNK))
    with _Growing(folder / "sounds.npy", sum(map(len, sounds))) as file:
        for sound in sounds:
            file.add(sound)
    starts = np.cumsum([0, *map(len, sounds)]).tolist()
    index = {
        path: (start, len(sound)) for path, start, sound in zip(recordings, starts, sounds, strict=False)
    }
    write_atomically(folder / "index.json", json.dumps(index, ensure_ascii=False).encode())


class _Growing:
    """An array that is written row after row and appears under its name when it is whole."""

    def __init__(self, path: Path, rows: int):
        self.path, self.rows, self.at = path, rows, 0
        self.beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
        self.array: np.memmap | None = None

    def __enter__(self) -> _Growing:
        return self

    def add(self, rows: ndarray) -> None:
        if self.array is None:
            shape = (self.rows, *rows.shape[1:])
            self.array = np.lib.format.open_memmap(self.beside, mode="w+", dtype=rows.dtype, shape=shape)
        self.array[self.at : self.at + len(rows)] = rows
        self.at += len(rows)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None and self.array is not None:
            assert self.at == self.rows, f"{self.at} rows of {self.rows} were written"
            self.array.flush()
            self.beside.replace(self.path)
        else:
            self.beside.unlink(missing_ok=True)


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


def _say(text: str) -> None:
    print(f"multimodal: {text}", file=sys.stderr, flush=True)
