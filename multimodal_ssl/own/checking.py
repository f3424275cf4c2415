"""What of somebody's clips can be trained on or scored: each video is looked at once, what is left out is listed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data.container import Holes
from common.data.media import MediaError
from common.data.own_files import LeftOut
from common.progress import tracked
from multimodal_ssl.model.vocabulary import FUNCTION_WORDS, Vocabulary, tokenise
from multimodal_ssl.own.reading import OwnClip, opened
from multimodal_ssl.search.windows import Cut, Window, windows

MOST_WINDOWS = 8  # of a clip, evenly spaced


@dataclass(frozen=True)
class Checked:
    """A clip with windows of it, cut as an index cuts them."""

    clip: OwnClip
    captions: tuple[str, ...]  # in lower case and without punctuation; each once
    windows: UInt8[ndarray, "window time height width 3"]  # as a network sees them
    sha256: str  # of the windows


def checked(
    clips: Sequence[OwnClip], cut: Cut, words: Vocabulary | None = None
) -> Iterator[Checked | LeftOut]:
    """Each clip, its video read once, or why it is left out.

    Args:
        words: that captions are read with; None looks at the pictures alone.
    """
    usable: dict[tuple[Path, str], list[tuple[OwnClip, tuple[str, ...]]]] = defaultdict(list)
    ids: dict[str, OwnClip] = {}
    for clip in clips:
        captions = captions_of(clip, words) if words else ()
        if (first := ids.setdefault(clip.id, clip)) is not clip:
            yield LeftOut(clip.id, clip.where, f"is listed twice: first in {first.where}")
        elif isinstance(captions, LeftOut):
            yield captions
        else:
            usable[clip.path, clip.member].append((clip, captions))
    same: dict[str, OwnClip] = {}
    for those in tracked(usable.values(), "reading videos", len(usable), "video"):
        told = {clip.id: captions for clip, captions in those}
        for found in _of_one_video([clip for clip, _ in those], cut):
            if isinstance(found, LeftOut):
                yield found
                continue
            clip, pictures = found
            digest = hashlib.sha256(np.array(pictures.shape).tobytes() + pictures.tobytes()).hexdigest()
            if (first := same.setdefault(digest, clip)) is not clip and words:
                yield LeftOut(clip.id, clip.where, f"shows the same as another: {first.id}")
            else:
                yield Checked(clip, told[clip.id], pictures, digest)


def captions_of(clip: OwnClip, words: Vocabulary) -> tuple[str, ...] | LeftOut:
    """Those that name something that can be seen, in lower case and without punctuation; each once."""
    read = {" ".join(tokenise(text)): words.read(text)[0] for text in clip.captions}
    if found := tuple(text for text, known in read.items() if not FUNCTION_WORDS.issuperset(known)):
        return found
    told = " / ".join(clip.captions)[:80]
    if not clip.captions:
        return LeftOut(clip.id, clip.where, "has no caption")
    if not any(read.values()):
        return LeftOut(clip.id, clip.where, f"has no word with a vector: {told}")
    return LeftOut(clip.id, clip.where, f"names nothing that can be seen: {told}")


# ---- pictures


@dataclass
class _Kept:
    """Evenly spaced windows that lie inside a clip, of however many come; else the one that shares most with it."""

    start_s: float
    stop_s: float
    inside: list[UInt8[ndarray, "time height width 3"]] = field(default_factory=list)
    step: int = 1  # every so many-th is kept
    num: int = 0
    shared_s: float = 0.0
    nearest: UInt8[ndarray, "time height width 3"] | None = None

    def look(self, window: Window) -> None:
        shared_s = min(window.stop_s, self.stop_s) - max(window.start_s, self.start_s)
        if shared_s > self.shared_s + 1e-6:
            self.shared_s, self.nearest = shared_s, window.small
        if window.start_s < self.start_s - 1e-6 or window.stop_s > self.stop_s + 1e-6:
            return
        if self.num % self.step == 0:
            self.inside.append(window.small)
        self.num += 1
        if len(self.inside) > MOST_WINDOWS:
            self.inside, self.step = self.inside[::2], 2 * self.step

    @property
    def found(self) -> UInt8[ndarray, "window time height width 3"] | None:
        """None before the first window that shares a moment with it."""
        if self.inside:
            return np.stack(self.inside)
        return None if self.nearest is None else self.nearest[None]


def _of_one_video(
    clips: Sequence[OwnClip], cut: Cut
) -> Iterator[LeftOut | tuple[OwnClip, UInt8[ndarray, "window time height width 3"]]]:
    """Clips as they end in the video, so that those of hours are never held together."""
    waiting = [(clip, _Kept(clip.start_s, inf if clip.stop_s is None else clip.stop_s)) for clip in clips]
    fault, read_s, holes = "", 0.0, Holes()
    try:
        with opened(clips[0]) as path:
            for window in windows(path, cut, holes=holes):
                read_s = window.stop_s
                for clip, one in waiting:
                    one.look(window)
                    if one.stop_s <= window.start_s:
                        yield _ended(clip, one, holes, read_s)
                waiting = [(clip, one) for clip, one in waiting if one.stop_s > window.start_s]
                if not waiting:
                    break
    except MediaError as error:
        fault = str(error).removeprefix(f"{path}: ")
    except OSError as error:
        fault = str(error)
    for clip, one in waiting:
        if fault:
            yield LeftOut(clip.id, clip.where, f"cannot be read: {clip.path}: {fault}", bad=True)
        else:
            yield _ended(clip, one, holes, read_s)


def _ended(
    clip: OwnClip, one: _Kept, holes: Holes, read_s: float
) -> LeftOut | tuple[OwnClip, UInt8[ndarray, "window time height width 3"]]:
    """A clip that was read to its end, unless something of it cannot be decoded or it shows nothing."""
    for start_s, stop_s, why in holes.found:
        if start_s < one.stop_s and one.start_s < stop_s:
            told = f"cannot be read: {clip.path}: {Holes([(start_s, stop_s, why)])}"
            return LeftOut(clip.id, clip.where, told, bad=True)
    if one.found is not None:
        return clip, one.found
    if one.start_s < read_s:  # as before pictures that begin later than the sound
        told = f"has no pictures in its time: from {one.start_s:g} to {one.stop_s:g} s"
    else:
        told = f"begins after its video ends: at {one.start_s:g} s of {read_s:.3g} s"
    return LeftOut(clip.id, clip.where, told, bad=True)
