"""Windows near a question by one pooled vector each, out of a graph [Malkov18, HNSW] instead of all of them.

For indexes of more than 100,000 windows, whose units take minutes to read. The graph proposes windows by the mean of
their places, the model's own similarity judges those alone: a score is what it is without the graph, and what was not
proposed is not found. `python -m benchmarks clip_search` says how many of the best windows are. faiss makes the graph.

INDEX/near.npz   the graph, and which windows it is of
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from common.data.archives import BROKEN
from common.errors import CommandError
from common.files import write_atomically
from multimodal_ssl.search.index import Index
from multimodal_ssl.search.query import Question, pooled_windows

FILE = "near.npz"
LINKS = 32  # of a window to others
CARE = (100, 400)  # how many are looked at to link a window, and to find the nearest, at least
PROPOSED = 1000  # windows of a search
Videos = tuple[
    tuple[str, int], ...
]  # folder's name and content, and number of windows, in the order of the index


@runtime_checkable
class Graph(Protocol):
    """What proposes: faiss's, or another that searches alike."""

    def search(self, vectors: Float32[ndarray, "query channel"], num: int) -> tuple[ndarray, ndarray]:
        """Cosines and numbers of the nearest for each query, -1 where there are fewer."""


@dataclass(frozen=True, eq=False)
class Near:
    """A graph over all windows of an index."""

    graph: Graph
    videos: Videos

    def propose(self, question: Question, num: int = PROPOSED) -> dict[int, list[int]]:
        """Windows near a question, in the order of time, by number of the video in the index."""
        starts = [0, *accumulate(count for _, count in self.videos)]
        _, (found,) = self.graph.search(question.pooled_vector()[None], min(num, starts[-1]))
        chosen: dict[int, list[int]] = defaultdict(list)
        for place in sorted(int(place) for place in found if place >= 0):
            video = int(np.searchsorted(starts, place, side="right")) - 1
            chosen[video].append(place - starts[video])
        return dict(chosen)


def check_installed() -> None:
    """Raises CommandError where faiss is not installed."""
    _faiss()


def build(index: Index, advance: Callable[[], object] = lambda: None) -> Path:
    """Makes the graph of an index as it is now; nothing where it is there already.

    Raises:
        CommandError: faiss is not installed.
    """
    faiss = _faiss()
    path, videos = index.folder / FILE, _videos(index)
    if path.exists() and _read(path)[1] == videos:
        return path
    graph = None
    for video, folder in index.videos():
        for vectors in pooled_windows(index, video, folder):
            if graph is None:
                graph = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
                graph.hnsw.efConstruction = CARE[0]
            graph.add(vectors)
        advance()
    if graph is None:
        raise ValueError(f"{index.folder} holds no windows: none of its videos could be decoded")
    held = io.BytesIO()
    np.savez(
        held, graph=faiss.serialize_index(graph), videos=np.frombuffer(json.dumps(videos).encode(), np.uint8)
    )
    write_atomically(path, held.getvalue())
    return path


def read(index: Index) -> Near:
    """The graph of an index.

    Raises:
        CommandError: faiss is not installed.
        ValueError: there is no graph, or one of other windows.
    """
    faiss, path = _faiss(), index.folder / FILE
    way_out = f"make it with: python -m multimodal_ssl index {index.videos_folder} --out {index.folder} --approximate"
    if not path.exists():
        raise ValueError(f"{index.folder} has no graph to search by; {way_out}")
    kept, videos = _read(path)
    if videos != _videos(index):
        raise ValueError(f"{path} is of other windows than {index.folder} holds now; {way_out}")
    try:
        graph = faiss.deserialize_index(kept)
    except RuntimeError as error:  # what faiss raises of bytes that it cannot read
        raise _damaged(path, error) from error
    graph.hnsw.efSearch = max(CARE[1], PROPOSED)
    return Near(graph, videos)


def _videos(index: Index) -> Videos:
    return tuple((f"{folder.name} {video.content}", len(video.times_s)) for video, folder in index.videos())


def _read(path: Path) -> tuple[ndarray, Videos]:
    try:
        with np.load(path) as found:
            return found["graph"], tuple(
                (name, count) for name, count in json.loads(found["videos"].tobytes())
            )
    except (*BROKEN, ValueError, TypeError, KeyError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged ({error}); remove it and index again with --approximate")


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise CommandError("--approximate needs faiss: pip install faiss-cpu") from error
    return faiss
