"""From a sentence to the moments of an index that fit it best.

Every window is scored, or those that a graph proposes (`near`), by the model's own similarity as it was trained and by
one pooled vector a side. Both are shown and never mixed: the order is the first's.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch.nn import functional as F

from multimodal_ssl.model.matcher import Matcher
from multimodal_ssl.model.similarity import Compare, maximum, mean, mean_and_max_pooled, mean_pooled
from multimodal_ssl.model.units import Units
from multimodal_ssl.model.vocabulary import FUNCTION_WORDS, MOST_WORDS, Vocabulary
from multimodal_ssl.search.index import Index, IndexedVideo, picture_name
from multimodal_ssl.search.weights import Trained

AT_ONCE = 256  # windows whose units are in memory


@dataclass(frozen=True, eq=False)
class Question:
    """A sentence as a model reads it, or a picture as it sees it, which has no words.

    Attributes:
        phrases: words of each unit, in the order of units.
        pooled: compares one vector a side.
    """

    text: str
    units: Units  # of one item
    phrases: tuple[str, ...]
    words: tuple[str, ...]  # that are read
    unknown: tuple[str, ...]  # without a vector, so not read
    cut: tuple[str, ...]  # after the most words that are read
    unseen: tuple[str, ...]  # read, but of no caption that the model was trained on
    pooled: Compare = mean_and_max_pooled

    @property
    def pooled_is(self) -> str:
        """What `pooled` compares, for people."""
        if not self.words:
            return "means of places"
        return "means of both sides" if self.pooled is mean_pooled else "mean of places, maximum of phrases"

    def pooled_vector(self) -> Float32[ndarray, " channel"]:
        """The side of `pooled` that is the question's, of unit length."""
        pool = mean if self.pooled is mean_pooled else maximum
        vector: ndarray = F.normalize(pool(self.units), dim=1)[0].numpy()
        return vector

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a person should know beside the answer."""
        said = {
            "have no vector and are left out": self.unknown,
            f"come after the {MOST_WORDS} words that are read": self.cut,
            "stood in no caption of the training, so only their vectors are known": self.unseen,
        }
        return tuple(f"words that {what}: {', '.join(words)}" for what, words in said.items() if words)


@dataclass(frozen=True)
class Hit:
    """One window. Both scores lie in -1 to 1."""

    video: IndexedVideo
    folder: Path  # of the index, where the video's units and pictures lie
    window: int
    score: float  # by the model's own similarity
    pooled: float  # of pooled vectors

    @property
    def start_s(self) -> float:
        return self.video.times_s[self.window][0]

    @property
    def stop_s(self) -> float:
        return self.video.times_s[self.window][1]

    @property
    def picture(self) -> Path:
        return self.folder / picture_name(self.window)


def ask(trained: Trained, text: str, vocabulary: Vocabulary) -> tuple[Matcher, Question]:
    """A model and what it reads of a sentence. Frozen vectors are loaded for the sentence's words alone.

    Raises:
        ValueError: none of its words has a vector, or all are function words.
    """
    found, unknown = vocabulary.read(text)
    read = found[:MOST_WORDS]
    if not read:
        raise ValueError(f"none of the words of {text!r} has a vector; ask in lower-case English words")
    # In other sentences they stay, for models that were trained with them: left out, clips of dev were harder to find.
    if FUNCTION_WORDS.issuperset(read):
        raise ValueError(f"{text!r} names nothing that can be seen; add what is there or what it does")
    needed = vocabulary if trained.matching.network.text.vectors.trained else vocabulary.of([text])
    matcher = trained.matcher(needed)
    with torch.inference_mode():
        units = matcher.texts(torch.from_numpy(needed.encode(text))[None])
    encoder = matcher.encoders.text
    there = units.valid[0].tolist()
    phrases = [phrase for phrase, valid in zip(encoder.phrases(read), there, strict=False) if valid]
    if not phrases:
        raise ValueError(f"{trained.name} reads phrases of {encoder.fewest_words} words or more")
    question = Question(
        text, units, tuple(phrases), tuple(read), _once(unknown), tuple(found[MOST_WORDS:]),
        _once([word for word in read if trained.words is not None and word not in trained.words]),
        mean_pooled if encoder.averaged else mean_and_max_pooled,
    )  # fmt: skip
    return matcher, question


def _once(words: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def search(
    index: Index,
    matcher: Matcher,
    question: Question,
    top: int,
    advance: Callable[[], object] = lambda: None,
    proposed: Mapping[int, Sequence[int]] | None = None,
) -> tuple[list[Hit], int]:
    """The `top` best windows, best first, and how many there are. Of windows that share a moment the best alone counts;
    of equal scores that of the first path and time.

    Args:
        advance: called after each video.
        proposed: windows that are scored, in the order of time, by number of the video; None: all.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    hits, num = [], 0
    for number, (video, folder) in enumerate(index.videos()):
        num += len(video.times_s)
        chosen = range(len(video.times_s)) if proposed is None else proposed.get(number, ())
        own, pooled = score_windows(index, video, folder, matcher, question.units, question.pooled, chosen)
        for place in islice(_apart([video.times_s[window] for window in chosen], own[:, 0]), top):
            hits.append(Hit(video, folder, chosen[place], float(own[place, 0]), float(pooled[place, 0])))
        advance()
    return sorted(hits, key=lambda hit: (-hit.score, hit.video.path, hit.window))[:top], num


def _apart(times_s: Sequence[tuple[float, float]], scores: Float32[ndarray, " window"]) -> Iterator[int]:
    """Places of windows from the best on, without those that share a moment with a better one; as many as are taken.

    Those that are kept share none, so that a window can meet its two neighbours in time alone.
    """
    kept: list[tuple[float, float]] = []  # in the order of time
    for place in np.argsort(-scores, kind="stable").tolist():
        start_s, stop_s = times_s[place]
        at = bisect(kept, (start_s, stop_s))
        before, after = kept[at - 1 : at] if at else [], kept[at : at + 1]
        if all(stop_s <= other[0] or start_s >= other[1] for other in (*before, *after)):
            kept.insert(at, (start_s, stop_s))
            yield place


@torch.inference_mode()
def score_windows(
    index: Index,
    video: IndexedVideo,
    folder: Path,
    matcher: Matcher,
    texts: Units,
    pooled: Compare = mean_and_max_pooled,
    chosen: Sequence[int] | None = None,
) -> tuple[Float32[ndarray, "window text"], Float32[ndarray, "window text"]]:
    """Scores of some windows of a video, of all by default, by the model's own similarity, and of pooled vectors."""
    ways = (matcher.scores, pooled)
    found = [[way(units, texts).numpy() for way in ways] for units in _in_parts(index, video, folder, chosen)]
    if not found:
        nothing = np.zeros((0, len(texts)), np.float32)
        return nothing, nothing
    own, of_pooled = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return own, of_pooled


@torch.inference_mode()
def pooled_windows(
    index: Index, video: IndexedVideo, folder: Path
) -> Iterator[Float32[ndarray, "window channel"]]:
    """Means of the places of a video's windows, of unit length, in parts."""
    for units in _in_parts(index, video, folder):
        yield F.normalize(mean(units), dim=1).numpy()


def _in_parts(
    index: Index, video: IndexedVideo, folder: Path, chosen: Sequence[int] | None = None
) -> Iterator[Units]:
    chosen = range(len(video.times_s)) if chosen is None else chosen
    for start in range(0, len(chosen), AT_ONCE):
        part = chosen[start : start + AT_ONCE]
        whole = part[-1] - part[0] + 1 == len(part)  # one after another
        spans = [(part[0], part[-1] + 1)] if whole else [(window, window + 1) for window in part]
        found = [index.units(video, folder, *span) for span in spans]
        vectors = torch.from_numpy(found[0] if whole else np.concatenate(found))
        yield Units(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool))
