"""Test clips that a scoring run keeps for the report, with what the model attends to in them: animations and strips.

    CLIP.clip.png       the clip itself, animated, its target boxed
    CLIP.attention.png  the same under the attention of the whole caption, animated
    CLIP.strip.jpg      frames beside one another: the clip, and the attention of the caption, its object and its motion

Bright is where a phrase attends, dark where it does not. Animations are APNG, which every browser plays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int16, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

if TYPE_CHECKING:
    from multimodal_ssl.composed.clips import ComposedClip, ComposedClips
    from multimodal_ssl.model.matcher import Matcher

GALLERY = "distractors/0"
NUM_CLIPS = 3  # of each run
SIDE_PX = 128  # at least, of a drawn frame
FRAME_MS = 250
DARKEST = 0.2  # of a frame's light, where nothing is attended to
BOX = (255, 176, 0)
GAP_PX, WORDS_PX = 4, 18
CLIP, ATTENTION, STRIP = ".clip.png", ".attention.png", ".strip.jpg"  # ends of names
Frames = UInt8[ndarray, "time height width 3"]
AttentionMap = Float[ndarray, "place_time place_height place_width"]
Boxes = Int16[ndarray, "time 4"]


def save(model: Matcher, composed: ComposedClips, split: str, folder: Path) -> None:
    """Draws some clips of a gallery with distractors, the same ones for every arm."""
    from multimodal_ssl.evaluation.attention import attention

    for clip in examples(composed.gallery(split, GALLERY)):
        maps = dict(attention(model, composed, clip))
        if maps:
            save_clip(folder, clip, maps)


def examples(clips: Sequence[ComposedClip]) -> list[ComposedClip]:
    """Evenly spaced ones, chosen by place and not by what comes out."""
    return [clips[(2 * number + 1) * len(clips) // (2 * NUM_CLIPS)] for number in range(NUM_CLIPS)]


def save_clip(folder: Path, clip: ComposedClip, maps: Mapping[str, AttentionMap]) -> None:
    """Writes the three pictures of a clip; `maps` are of the phrases of its caption."""
    target = clip.scene.target
    assert target is not None, f"{clip.id} shows no object to attend to"
    stem = clip.id.replace("/", "--")
    frames = enlarged(clip.frames)
    named = clip.caption.removesuffix(target.motion).strip()
    wanted = {"whole caption": clip.caption, "object": named, "motion": target.motion}
    rows = {
        words: attended for words, text in wanted.items() if (attended := mean_map(maps, text)) is not None
    }
    boxed_frames = boxed(frames, clip.boxes, clip.frames.shape[1])
    whole = rows["whole caption"]
    inside, area = share_inside(whole, clip.boxes, clip.frames.shape[1])
    told = f"{100 * inside:.0f} % of it in the box, which is {100 * area:.0f} % of the picture"
    _save_animation(folder / f"{stem}{CLIP}", boxed_frames, clip.caption)
    _save_animation(folder / f"{stem}{ATTENTION}", spotlit(frames, whole), told)
    shown_rows = {"clip": boxed_frames} | {
        words: spotlit(frames, attended) for words, attended in rows.items()
    }
    Image.fromarray(strip(shown_rows)).save(folder / f"{stem}{STRIP}", quality=88)


def mean_map(maps: Mapping[str, AttentionMap], text: str) -> AttentionMap | None:
    """The mean over the phrases that lie in a text; None where none does."""
    chosen = [attended for phrase, attended in maps.items() if f" {phrase} " in f" {text.lower()} "]
    return np.mean(chosen, axis=0) if chosen else None


# ---- drawing


def enlarged(frames: Frames) -> UInt8[ndarray, "time large_height large_width 3"]:
    """By a whole number, so that pixels show."""
    times = max(1, math.ceil(SIDE_PX / frames.shape[1]))
    large: ndarray = frames.repeat(times, 1).repeat(times, 2)
    return large


def spotlit(frames: Frames, attended: AttentionMap) -> Frames:
    """Frames as bright as they are attended to; a frame belongs to the place in time that it lies in."""
    height, width = frames.shape[1:3]
    lit = []
    for number, frame in enumerate(frames):
        place = attended[number * len(attended) // len(frames)] / attended.max()
        light = Image.fromarray(place.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        bright = DARKEST + (1 - DARKEST) * np.clip(np.asarray(light), 0, 1)[..., None]
        lit.append(np.rint(frame * bright).astype(np.uint8))
    return np.stack(lit)


def boxed(frames: Frames, boxes: Boxes, side_px: int) -> Frames:
    """Frames with a target's box, given in pixels of a frame of `side_px`."""
    times = frames.shape[1] // side_px
    drawn = []
    for frame, (top, left, bottom, right) in zip(frames, boxes.astype(int) * times, strict=True):
        picture = Image.fromarray(frame)
        ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), outline=BOX, width=2)
        drawn.append(np.asarray(picture))
    return np.stack(drawn)


def share_inside(attended: AttentionMap, boxes: Boxes, side_px: int) -> tuple[float, float]:
    """Shares in 0..1 of an attention map, and of the picture, that lie in a target's box; means over frames."""
    inside, area = [], []
    for number, (top, left, bottom, right) in enumerate(boxes.tolist()):
        place = attended[number * len(attended) // len(boxes)]
        down, across = (_overlap(size, side_px, *ends) for size, ends in
                        ((place.shape[0], (top, bottom)), (place.shape[1], (left, right))))  # fmt: skip
        inside.append(float(down @ place @ across / place.sum()))
        area.append(float(down.mean() * across.mean()))
    return sum(inside) / len(inside), sum(area) / len(area)


def _overlap(places: int, side_px: int, start: int, stop: int) -> Float[ndarray, " place"]:
    """Share of each place, of `places` along a side, that lies between two pixels."""
    edges = np.linspace(0, side_px, places + 1)
    low, high = np.maximum(edges[:-1], start), np.minimum(edges[1:], stop)
    shared: ndarray = np.clip(high - low, 0, None) / (side_px / places)
    return shared


def strip(rows: Mapping[str, Frames]) -> UInt8[ndarray, "strip_height strip_width 3"]:
    """Frames from left to right, a row with its words for each way of showing them."""
    drawn = []
    for words, frames in rows.items():
        apart = np.pad(frames, ((0, 0), (0, 0), (0, GAP_PX), (0, 0)), constant_values=255)
        line = np.concatenate(list(apart), axis=1)
        title = Image.new("RGB", (line.shape[1], WORDS_PX), "white")
        ImageDraw.Draw(title).text((0, 2), words, fill=(51, 51, 51), font=ImageFont.load_default(12))
        drawn += [np.asarray(title), line]
    return np.concatenate(drawn, axis=0)


def _save_animation(path: Path, frames: Frames, words: str) -> None:
    """An endless APNG; the words lie in it, where the report finds them."""
    told = PngImagePlugin.PngInfo()
    told.add_text("Description", words)
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, "PNG", save_all=True, append_images=others, duration=FRAME_MS, loop=0, pnginfo=told)
