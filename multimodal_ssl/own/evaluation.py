"""How well captions find their clips, and clips their captions, on somebody's own: recalls with intervals, ranks."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from common.bootstrap import NUM_DRAWS, draws
from common.data import own_files
from common.data.own_files import LeftOut
from common.measures import Part
from common.results import Item
from multimodal_ssl.evaluation import retrieval
from multimodal_ssl.evaluation.encoding import device_of
from multimodal_ssl.measures import CLIPS, RANK, RIGHT
from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.matcher import Matcher
from multimodal_ssl.model.units import Units
from multimodal_ssl.model.vocabulary import MOST_WORDS, Vocabulary
from multimodal_ssl.own import checking
from multimodal_ssl.own.checking import MOST_WINDOWS
from multimodal_ssl.own.reading import read
from multimodal_ssl.search.weights import Trained
from multimodal_ssl.search.windows import Cut

TO_CLIP = Part(name="caption to clip", words="every caption looks for its clip among all")
TO_CAPTION = Part(name="clip to caption", words="every clip looks for one of its captions among all")
DIRECTIONS = (TO_CLIP, TO_CAPTION)
POOLING = "mean of scores"  # over the windows of a clip
KS = (1, 5, 10)
LEAST_GROUPS = 2  # of fewer no interval can be told
WORST = 5
TEXTS_AT_ONCE = 128


@dataclass(frozen=True)
class Captioned:
    """A clip as a model is asked about it."""

    id: str
    video: str
    captions: tuple[str, ...]
    scores: Float[ndarray, " text"]  # with every caption of all clips


def texts_of(matcher: Matcher, words: Vocabulary, texts: Sequence[str]) -> list[Units]:
    """Units of texts, `TEXTS_AT_ONCE` in each."""
    found = []
    with torch.inference_mode():
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            ids = np.stack([words.encode(text) for text in texts[first : first + TEXTS_AT_ONCE]])
            found.append(matcher.texts(torch.from_numpy(ids).to(device_of(matcher))))
    return found


def windows_of(matcher: Matcher, windows: UInt8[ndarray, "window time height width 3"]) -> Units:
    """Units of the windows of a clip."""
    with torch.inference_mode():
        return matcher.clips(as_video(torch.from_numpy(np.array(windows)).to(device_of(matcher))))


def scores_with(matcher: Matcher, clip: Units, texts: Iterable[Units]) -> Float[ndarray, " text"]:
    """Of one clip with every text, by the model's own similarity."""
    with torch.inference_mode():
        of_windows = torch.cat([matcher.scores(clip, some) for some in texts], dim=1)
    pooled: ndarray = retrieval.pool_windows(of_windows.T[:, None].double().cpu().numpy(), POOLING)[:, 0]
    return pooled


def items(clips: Sequence[Captioned], texts: Sequence[str]) -> list[Item]:
    """Ranks of every caption and of every clip; what ties goes before the right one.

    Args:
        texts: every caption once, in the order of the clips' scores.
    """
    of_text: dict[str, set[int]] = defaultdict(set)
    for number, clip in enumerate(clips):
        for text in clip.captions:
            of_text[text].add(number)
    places = {text: number for number, text in enumerate(texts)}
    scores = np.stack([clip.scores for clip in clips])
    found = []
    asked = [of_text[text] for text in texts]
    for text, right, rank, row in zip(
        texts, asked, retrieval.ranks(scores.T, asked).tolist(), scores.T, strict=True
    ):
        first = clips[int(row.argmax())].id
        said = {"caption": text, "right": " ".join(sorted(clips[i].id for i in right)), "found": first}
        found.append(_item(TO_CLIP, text, clips[min(right)].video, rank, len(clips), len(right), said))
    asked = [{places[text] for text in clip.captions} for clip in clips]
    for clip, right, rank in zip(clips, asked, retrieval.ranks(scores, asked).tolist(), strict=True):
        said = {
            "clip": clip.id,
            "right": " / ".join(clip.captions),
            "found": texts[int(clip.scores.argmax())],
        }
        found.append(_item(TO_CAPTION, clip.id, clip.video, rank, len(texts), len(right), said))
    return found


def _item(part: Part, name: str, video: str, rank: int, num: int, right: int, said: dict[str, str]) -> Item:
    return Item(
        f"{part.name}/{name}", video, part.name, {RANK.name: rank, CLIPS.name: num, RIGHT.name: right}, said
    )


def ranks_of(items: Iterable[Item], part: Part) -> Int[ndarray, " query"]:
    """Of one direction's queries."""
    return np.array([int(one.scores[RANK.name]) for one in items if one.part == part.name])


# ---- what is made of ranks


@dataclass(frozen=True)
class Scores:
    """A model on somebody's clips."""

    items: tuple[Item, ...]
    cut: Cut
    left_out: int = 0

    @property
    def protocol(self) -> str:
        return (
            f"at most {MOST_WINDOWS} windows of {self.cut.num_frames} frames at {self.cut.rate_hz:g} Hz, {POOLING}, "
            f"{MOST_WORDS} words"
        )

    def of(self, part: Part) -> list[Item]:
        return [one for one in self.items if one.part == part.name]

    def ranks(self, part: Part) -> Int[ndarray, " query"]:
        return ranks_of(self.items, part)

    def recall(self, part: Part, k: int) -> dict[str, Any]:
        """percent, low and high of its interval (None where it cannot be told), and that of a random order."""
        those = self.of(part)
        low, high = interval(those, k) or (None, None)
        chance = np.mean(
            [_chance(int(one.scores[CLIPS.name]), int(one.scores[RIGHT.name]), k) for one in those]
        )
        return {
            "percent": retrieval.recall_at(self.ranks(part), k),
            "low": low,
            "high": high,
            "chance": float(chance),
        }

    def median_rank(self, part: Part) -> float:
        return retrieval.median_rank(self.ranks(part))

    def worst(self) -> list[Item]:
        """Captions whose clip is ranked last."""
        wrong = [one for one in self.of(TO_CLIP) if one.scores[RANK.name] > 1]
        return sorted(wrong, key=lambda one: -one.scores[RANK.name])[:WORST]

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "clips": len(self.of(TO_CAPTION)),
            "captions": len(self.of(TO_CLIP)),
            "left_out": self.left_out,
            "protocol": self.protocol,
            **{
                part.name.replace(" ", "_"): {f"recall_at_{k}": self.recall(part, k) for k in KS}
                | {"median_rank": self.median_rank(part)}
                for part in DIRECTIONS
            },
            "worst": [{"rank": int(one.scores[RANK.name]), **one.texts} for one in self.worst()],
        }

    def table(self) -> str:
        """For a terminal."""
        rows: list[tuple[str, ...]] = [("", *(f"R@{k} %" for k in KS), "median rank", "of")]
        for part in DIRECTIONS:
            those = self.of(part)
            recalls = (self.recall(part, k) for k in KS)
            middle = f"{self.median_rank(part):g}"
            rows.append((part.name, *map(with_interval, recalls), middle, f"{those[0].scores[CLIPS.name]:g}"))
            chances = (f"{self.recall(part, k)['chance']:.1f}" for k in KS)
            rows.append(("  at random", *chances, "", ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        for one in self.worst():
            rank, right, first = one.scores[RANK.name], one.texts["right"], one.texts["found"]
            lines.append(f"rank {rank:g}: {one.texts['caption']!r} is {right}, found first: {first}")
        return "\n".join([*lines, f"{self.protocol}"])

    @property
    def drawn(self) -> str:
        """What the intervals draw, of which there are too few where there is none."""
        return drawn_by(self.items)

    def json(self) -> str:
        return json.dumps(self.record(), indent=1, ensure_ascii=False)


def with_interval(recall: dict[str, Any]) -> str:
    if recall["chance"] == 100.0:
        return "all of them"  # the gallery holds no more
    bounds = "" if recall["low"] is None else f" ({recall['low']:.1f} to {recall['high']:.1f})"
    return f"{recall['percent']:.1f}{bounds}"


def drawn_by(items: Sequence[Item]) -> str:
    """What an interval draws: videos where there are several, else queries."""
    return "videos" if len({one.group for one in items}) >= LEAST_GROUPS else "queries"


def interval(items: Sequence[Item], k: int) -> tuple[float, float] | None:
    """95 % of the bootstrap over `drawn_by`; None of one alone."""
    by_video = drawn_by(items) == "videos"
    counts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in items:
        held = counts[one.group if by_video else one.id]
        held[0] += one.scores[RANK.name] <= k
        held[1] += 1
    if len(counts) < LEAST_GROUPS:
        return None
    found, asked = (draws((len(counts),), NUM_DRAWS) @ np.array(list(counts.values()))).T
    low, high = np.percentile(100 * found / asked, [2.5, 97.5])
    return float(low), float(high)


def _chance(num: int, right: int, k: int) -> float:
    """Per cent of random orders with one of the right ones among the first k."""
    return 100 * (1 - math.comb(num - right, k) / math.comb(num, k)) if k <= num else 100.0


# ---- a model on clips


def evaluate(data: Path, trained: Trained, device: str, cut: Cut) -> tuple[Scores, str]:
    """Scores of a model on a place of clips, and a sentence where it reads fewer words than hoped for.

    Raises:
        ValueError: fewer than two clips are left to score.
    """
    clips, faults = read(data)
    words, notice = trained.vocabulary()
    if not trained.matching.network.text.vectors.trained:  # frozen ones are loaded for these captions alone
        words = words.of(text for one in clips for text in one.captions)
    matcher = trained.matcher(words).to(device)
    read_as = (checking.captions_of(clip, words) for clip in clips)
    texts = list(dict.fromkeys(text for those in read_as if not isinstance(those, LeftOut) for text in those))
    told = texts_of(matcher, words, texts)
    asked, left = list[Captioned](), list(faults)
    for one in checking.checked(clips, cut, words):
        if isinstance(one, LeftOut):
            left.append(one)
        else:  # scores alone are kept: units of ten thousand clips are gigabytes
            scores = scores_with(matcher, windows_of(matcher, one.windows), told)
            asked.append(Captioned(one.clip.id, one.clip.video, one.captions, scores))
    own_files.tell(left, len(clips) + len(faults), what="clips")
    if len(asked) < 2:
        raise ValueError(f"{data}: 2 clips or more are needed to score, {len(asked)} are left")
    kept = {text for one in asked for text in one.captions}
    places = [place for place, text in enumerate(texts) if text in kept]
    asked = [replace(one, scores=one.scores[places]) for one in asked]
    return Scores(tuple(items(asked, [texts[place] for place in places])), cut, len(left)), notice
