"""Test clips that a scoring run keeps for the report, with what the model attends to in them: animations and strips.

    CLIP.clip.png     the clip itself, animated, its target boxed
    CLIP.look.png     the same under the attention of the whole caption, animated
    CLIP.strip.jpg    frames beside one another: the clip, and the attention of the caption, its thing and its motion

Bright is where a phrase looks, dark where it does not. Animations are APNG, which every browser plays.
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
    from multimodal_ssl.composed.clips import Clip, Composed
    from multimodal_ssl.model.matcher import Matcher

GALLERY = "distractors/0"
NUM_CLIPS = 3  # of each run
SIDE_PX = 128  # at least, of a drawn frame
FRAME_MS = 250
DARKEST = 0.2  # of a frame's light, where nothing is looked at
BOX = (255, 176, 0)
GAP_PX, WORDS_PX = 4, 18
CLIP, LOOK, STRIP = ".clip.png", ".look.png", ".strip.jpg"  # ends of names
Frames = UInt8[ndarray, "time height width 3"]
Look = Float[ndarray, "place_time place_height place_width"]
Boxes = Int16[ndarray, "time 4"]


def save(model: Matcher, composed: Composed, split: str, folder: Path) -> None:
    """Draws some clips of a gallery with distractors, the same ones for every arm."""
    from multimodal_ssl.evaluation.attention import attention

    for clip in examples(composed.gallery(split, GALLERY)):
        looks = dict(attention(model, composed, clip))
        if looks:
            save_clip(folder, clip, looks)


def examples(clips: Sequence[Clip]) -> list[Clip]:
    """Evenly spaced ones, chosen by place and not by what comes out."""
    return [clips[(2 * number + 1) * len(clips) // (2 * NUM_CLIPS)] for number in range(NUM_CLIPS)]


def save_clip(folder: Path, clip: Clip, looks: Mapping[str, Look]) -> None:
    """Writes the three pictures of a clip; `looks` are of the phrases of its caption."""
    target = clip.scene.target
    assert target is not None, f"{clip.id} shows no thing to look at"
    stem = clip.id.replace("/", "--")
    frames = enlarged(clip.frames)
    thing = clip.caption.removesuffix(target.motion).strip()
    wanted = {"whole caption": clip.caption, "thing": thing, "motion": target.motion}
    rows = {words: look for words, text in wanted.items() if (look := mean_look(looks, text)) is not None}
    boxed_frames = boxed(frames, clip.boxes, clip.frames.shape[1])
    whole = rows["whole caption"]
    inside, area = share_inside(whole, clip.boxes, clip.frames.shape[1])
    told = f"{100 * inside:.0f} % of it in the box, which is {100 * area:.0f} % of the picture"
    _save_animation(folder / f"{stem}{CLIP}", boxed_frames, clip.caption)
    _save_animation(folder / f"{stem}{LOOK}", spotlit(frames, whole), told)
    shown_rows = {"clip": boxed_frames} | {words: spotlit(frames, look) for words, look in rows.items()}
    Image.fromarray(strip(shown_rows)).save(folder / f"{stem}{STRIP}", quality=88)


def mean_look(looks: Mapping[str, Look], text: str) -> Look | None:
    """The mean over the phrases that lie in a text; None where none does."""
    chosen = [look for phrase, look in looks.items() if f" {phrase} " in f" {text.lower()} "]
    return np.mean(chosen, axis=0) if chosen else None


# ---- drawing


def enlarged(frames: Frames) -> UInt8[ndarray, "time large_height large_width 3"]:
    """By a whole number, so that pixels show."""
    times = max(1, math.ceil(SIDE_PX / frames.shape[1]))
    large: ndarray = frames.repeat(times, 1).repeat(times, 2)
    return large


def spotlit(frames: Frames, look: Look) -> Frames:
    """Frames as bright as they are looked at; a frame belongs to the place in time that it lies in."""
    height, width = frames.shape[1:3]
    lit = []
    for number, frame in enumerate(frames):
        place = look[number * len(look) // len(frames)] / look.max()
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


def share_inside(look: Look, boxes: Boxes, side_px: int) -> tuple[float, float]:
    """Shares in 0..1 of a look, and of the picture, that lie in a target's box; means over frames."""
    inside, area = [], []
    for number, (top, left, bottom, right) in enumerate(boxes.tolist()):
        place = look[number * len(look) // len(boxes)]
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
