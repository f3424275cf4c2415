"""Clusters of an encoder's own features: the targets of HuBERT's iterations [Hsu21, arXiv 2106.07447, section 3].

The frames of one layer are clustered by k-means over a part of them, and every frame of the training speech gets the
number of its nearest centre, once. What is kept stands on a grid of the encoder's stride from the start of each track;
of a crop that begins between two places the nearer one is taken, as fairseq does, so at most half a stride (10 ms) off.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from numpy import ndarray
from torch import Tensor

from common.data import sealed
from common.data.arrays import save_array
from common.data.pcm import as_floats
from common.progress import tracked
from speech_adapters.data.crops import Crop
from speech_adapters.data.prepared import manifest_sha256
from speech_adapters.data.source import Source, Track
from speech_adapters.model.architecture import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from speech_adapters.pretrain.teacher import Teacher

PART = "train"
WINDOW_S = 16  # of a track that the teacher hears at once
CLUSTERED_FRAMES = 150_000  # of which centres are found, evenly spread over the speech; more change little
DRAWN_FROM = 0  # seed of k-means


class Clusters:
    """Centres, and the cluster of every frame of the training speech, in a sealed folder."""

    def __init__(self, folder: Path, teacher: Teacher, sources: tuple[Source, ...]):
        from speech_adapters.checkpoints import by_name

        self.teacher = teacher
        self.encoder = teacher.load_encoder()
        self.stride = self.encoder.architecture.stride
        self.tracks: list[Track] = [track for source in sources for track in source.tracks(PART)]
        sizes = [math.ceil(track.samples / self.stride) for track in self.tracks]
        ends = np.cumsum([0, *sizes]).tolist()
        self._places = {track.id: place for track, place in zip(self.tracks, ends, strict=False)}
        self.num_frames = ends[-1]
        told = (by_name.sha256(teacher.encoder), teacher.layer, teacher.clusters, manifest_sha256(sources))
        key = hashlib.sha256(" ".join(map(str, told)).encode()).hexdigest()[:16]
        self.folder = folder / key
        self._labels_path, self._centres_path = (
            self.folder / f"{name}.npy" for name in ("labels", "centres")
        )
        self._seal = self.folder / sealed.SEAL

    def fill(self) -> None:
        """Computes both unless they are there. Two runs that start at once both compute; the last one stays."""
        if self._seal.exists():
            sealed.check_once(self._seal)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        save_array(self._centres_path, self._clustered())
        labels = np.zeros(self.num_frames, dtype=np.uint16)
        for place, features in self._features("frames to clusters"):
            labels[place : place + len(features)] = nearest(features, torch.from_numpy(self._centres()))
        save_array(self._labels_path, labels)
        sealed.seal(self._seal, [self._centres_path, self._labels_path])

    def _clustered(self) -> Float32[ndarray, "cluster channel"]:
        from sklearn.cluster import MiniBatchKMeans

        every = max(1, self.num_frames // CLUSTERED_FRAMES)
        frames = torch.cat([features[::every] for _, features in self._features("features to cluster")])
        if len(frames) < self.teacher.clusters:
            raise ValueError(
                f"{self.teacher.clusters} clusters need as many frames, the training speech has {len(frames)}"
            )
        found = MiniBatchKMeans(
            self.teacher.clusters, batch_size=10_000, n_init=5, max_iter=100, random_state=DRAWN_FROM
        )
        return found.fit(frames.numpy()).cluster_centers_.astype(np.float32)

    def _features(self, words: str) -> Iterator[tuple[int, Float[Tensor, "frame channel"]]]:
        """Of every window of every track, one for each place of the grid; where the last is too short, as before it."""
        window = WINDOW_S * SAMPLE_RATE_HZ // self.stride * self.stride
        spare = self.encoder.architecture.receptive_field - self.stride
        for track in tracked(self.tracks, words, len(self.tracks), "track"):
            last: Tensor | None = None
            for begin in range(0, track.samples, window):
                end = min(begin + window, track.samples)
                sound = as_floats(track.waveform(begin, min(end + spare, track.samples)))
                frames = self.features(torch.from_numpy(sound))
                places = math.ceil((end - begin) / self.stride)
                if not len(frames):
                    frames = torch.zeros(1, self.encoder.architecture.width) if last is None else last[None]
                last = frames[-1]
                yield (
                    self._places[track.id] + begin // self.stride,
                    torch.cat([frames, last.expand(places - len(frames), -1)])[:places],
                )

    @torch.no_grad()
    def features(self, waveform: Float[Tensor, " sample"]) -> Float[Tensor, "frame channel"]:
        """What the teacher's layer makes of a waveform."""
        if not self.encoder.architecture.num_frames(len(waveform)):
            return torch.zeros(0, self.encoder.architecture.width)
        return self.encoder.hidden_states(waveform[None])[self.teacher.layer][0]

    def of_sound(self, waveform: Float[Tensor, " sample"]) -> Int[Tensor, " frame"]:
        """The cluster of each frame, heard anew: of what is not training speech."""
        found = nearest(self.features(waveform.cpu()), torch.from_numpy(self._centres()))
        return torch.from_numpy(found.astype(np.int64))

    def of_crop(self, crop: Crop) -> Int[Tensor, " frame"]:
        """The cluster of each frame of a crop of the training speech, as it is kept."""
        begin = self._places[crop.track.id] + round(crop.begin / self.stride)
        frames = int(self.encoder.architecture.num_frames(crop.end - crop.begin))
        return torch.from_numpy(np.asarray(self._labels[begin : begin + frames], dtype=np.int64))

    def _centres(self) -> Float32[ndarray, "cluster channel"]:
        return np.load(self._centres_path)

    @cached_property
    def _labels(self) -> ndarray:
        return sealed.mapped(self._labels_path, self._seal)


def nearest(
    features: Float[Tensor, "frame channel"], centres: Float[Tensor, "cluster channel"]
) -> Int[ndarray, " frame"]:
    """Number of the nearest centre of each frame."""
    found: ndarray = (features @ centres.T - centres.square().sum(1) / 2).argmax(1).numpy()
    return found


@lru_cache(maxsize=2)
def of(folder: Path, teacher: Teacher, sources: tuple[Source, ...]) -> Clusters:
    """Filled."""
    found = Clusters(folder, teacher, sources)
    found.fill()
    return found
