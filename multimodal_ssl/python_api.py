"""The tool in Python, of the command line's parts: `multimodal_ssl.load("fine")`, then `index` and `search`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from common.runtime import find_device
from multimodal_ssl.model.vocabulary import Vocabulary
from multimodal_ssl.search import likeness, query, weights
from multimodal_ssl.search.index import Encode, Index, Outcome, encoder, video_files
from multimodal_ssl.search.query import Hit
from multimodal_ssl.search.weights import Trained
from multimodal_ssl.search.windows import Cut, cut_of, windows

__all__ = ["Finder", "Hit", "Index", "load"]


@dataclass(frozen=True, eq=False)
class Finder:
    """Finds moments in videos by what is seen. A sentence has a vector of each phrase, a video of each place."""

    trained: Trained
    device: str  # cpu or cuda

    # ---- folders of videos

    def index(
        self, videos: str | Path, out: str | Path, *, rate_hz: float | None = None, prune: bool = False
    ) -> tuple[Index, list[Outcome]]:
        """Makes a folder of videos searchable, or brings its index up to date; with what became of each file.

        Args:
            rate_hz: frames looked at per second; None: as the model is made for.
            prune: remove what was made of videos that are gone.

        Raises:
            ValueError: no video there, or what is in `out` was made otherwise.
        """
        files = video_files(Path(videos))
        index = self.begin(Path(videos), Path(out), rate_hz)
        return index, list(self.update(index, files, prune=prune))

    def begin(
        self,
        videos: Path,
        out: Path,
        rate_hz: float | None = None,
        *,
        moved: bool = False,
        bits: int | None = None,
    ) -> Index:
        """An index of these videos by this model: new, or one to go on with; `moved` and `bits`, see `Index.begin`."""
        model = self.trained.name
        if Path(model).is_file():  # from wherever a search is started
            model = str(Path(model).resolve())
        cut = self._cut(rate_hz)
        wanted = Index(out, videos.resolve(), model, self.trained.sha256, cut)
        return Index.begin(wanted, moved=moved, bits=bits)

    def update(self, index: Index, files: dict[str, Path], *, prune: bool = False) -> Iterator[Outcome]:
        """Brings an index in line with `video_files` of its folder; what becomes of each, one after another."""
        return index.update(files, self._encode, prune=prune)

    def search(self, text: str, index: Index | str | Path, *, top: int = 5) -> list[Hit]:
        """The moments that fit a sentence best, best first; none shares a moment with a better one.

        Raises:
            ValueError: the index is of another model, or none of the words is known.
        """
        held = index if isinstance(index, Index) else Index.read(Path(index))
        held.check_model(self.trained.name, self.trained.sha256)
        matcher, question = query.ask(self.trained, text, self.vocabulary)
        hits, _ = query.search(held, matcher, question, top)
        return hits

    def like(self, picture: str | Path, index: Index | str | Path, *, top: int = 5) -> list[Hit]:
        """The moments that look like a picture most, as `search`.

        Raises:
            ValueError: the index is of another model, or it is no picture.
        """
        held = index if isinstance(index, Index) else Index.read(Path(index))
        held.check_model(self.trained.name, self.trained.sha256)
        hits, _ = query.search(held, *likeness.ask_like(self.trained, Path(picture)), top)
        return hits

    # ---- single texts and videos

    def embed_text(self, text: str) -> tuple[tuple[str, ...], Float32[ndarray, "phrase channel"]]:
        """The phrases that the model reads in a sentence, and a vector of each.

        Raises:
            ValueError: none of its words is known.
        """
        _, question = query.ask(self.trained, text, self.vocabulary)
        vectors: ndarray = question.units.vectors[0].numpy()
        return question.phrases, vectors

    def embed_video(
        self, path: str | Path, *, rate_hz: float | None = None
    ) -> Float32[ndarray, "window place channel"]:
        """Vectors of overlapping windows of a video, in the order of time; a place is a cell of the picture.

        Raises:
            ValueError: it cannot be decoded to its end.
        """
        return np.stack([self._encode(window.small) for window in windows(Path(path), self._cut(rate_hz))])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words that can be asked: GloVe's 400,000, fetched once (76 MB); without a network those of the captions."""
        return self.trained.vocabulary()[0]

    @cached_property
    def _encode(self) -> Encode:
        return encoder(self.trained.matcher().to(self.device))

    def _cut(self, rate_hz: float | None) -> Cut:
        return cut_of(self.trained.matching, rate_hz)


def load(model: str | None = None, *, device: str = "auto") -> Finder:
    """A model that indexes and searches.

    Args:
        model: the name of published weights, or a run's weights.safetensors; None: `films`, or `fine` where its
            packages cannot be had.
        device: auto, cpu or cuda.

    Raises:
        ValueError: no such model or device.
    """
    return Finder(weights.load(model), find_device(device).kind)
