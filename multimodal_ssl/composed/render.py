"""From a planned scene to its pixels: stamps over a photograph, with motions that are known exactly.

Sizes and paths are shares of the frame's side, so that a scene is the same at every size. Stamps move by whole pixels
and are scaled once a frame at most. The camera drifts behind them, so that a background's flow tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int16, UInt8
from numpy import ndarray
from PIL import Image, ImageEnhance

from multimodal_ssl.composed.plan import Composition, Scene

Frames = UInt8[ndarray, "time height width 3"]
Boxes = Int16[ndarray, "time 4"]  # top, left, bottom, right, of the target, cut at the frame's edges

VERSION = 1  # raise when a scene comes to look otherwise
TARGET_SIDE = (0.28, 0.5)  # the longer side of a stamp halfway through the clip
DISTRACTOR_SIDE = (0.22, 0.42)
TRAVEL = (0.3, 0.55)  # of a moving stamp, over the whole clip
GROWTH = (1.7, 2.6)  # last over first size
EDGE = 0.15  # a stamp's middle keeps this far from the frame's edges
CAMERA_DRIFT = 0.15  # most of a frame's side, over the whole clip
VIEW = (1.0, 2.2)  # pixels of a photograph behind one pixel of a frame
WIDE_VIEW, WIDE_TRAVEL = (1.0, 1.3), (0.4, 0.7)  # of scenes that move as a whole
BRIGHTNESS = (0.8, 1.2)
MOST_HIDDEN = 0.4  # of a distractor's box under the target's, if one of some tries does better
TRIES = 10
STEPS = {"moving left": (0, -1), "moving right": (0, 1), "moving up": (-1, 0), "moving down": (1, 0)}
TINT_SHARE = 0.7
TINT_OF = {"red": (2.2, 0.4, 0.4), "green": (0.4, 1.8, 0.4), "blue": (0.4, 0.5, 2.4),
           "yellow": (1.6, 1.4, 0.2), "purple": (1.6, 0.3, 1.8)}  # fmt: skip
GREY_WEIGHTS = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Path:
    """Where a stamp is, and how large, at every frame; shares of the frame's side."""

    middles: ndarray  # time x (down, right)
    sides: ndarray  # longer side, a value a frame

    def boxes(self, ratio: float) -> ndarray:
        """time x (top, left, bottom, right) of a stamp whose height is `ratio` of its width."""
        halves = np.stack([np.minimum(1, ratio) * self.sides, np.minimum(1, 1 / ratio) * self.sides], 1) / 2
        return np.concatenate([self.middles - halves, self.middles + halves], 1)


def render_clip(
    scene: Scene,
    composition: Composition,
    sprites: Sequence[UInt8[ndarray, "_ _ 4"]],
    picture: ndarray,
) -> tuple[Frames, Boxes]:
    """Frames of a scene and the true box of its target in each; a still has one frame, a wide scene empty boxes.

    Args:
        sprites: the pictures of all objects, with alpha.
        picture: the photograph behind, height x width x 3.
    """
    times = (0.0,) if scene.still else composition.times()
    frames = _background(scene, picture, times, composition.size_px)
    if not scene.shown:
        return _tinted(np.stack([np.asarray(frame) for frame in frames]), scene.tint), np.zeros(
            (len(times), 4), np.int16
        )
    rng = scene.generator("stamps")
    target = scene.shown[-1]
    ratio = sprites[target.object].shape[0] / sprites[target.object].shape[1]
    path = _path(target.motion, TARGET_SIDE, times, rng)
    for one in scene.shown[:-1]:
        behind = sprites[one.object]
        other = _apart(one.motion, times, behind.shape[0] / behind.shape[1], path.boxes(ratio), rng)
        _paste(frames, behind, other, rng)
    boxes = _paste(frames, sprites[target.object], path, rng)
    return np.stack([np.asarray(frame) for frame in frames]), boxes


def _path(motion: str, sides: tuple[float, float], times: Sequence[float], rng: np.random.Generator) -> Path:
    at = np.asarray(times)
    side, travel, growth = rng.uniform(*sides), rng.uniform(*TRAVEL), rng.uniform(*GROWTH)
    step = np.array(STEPS.get(motion, (0, 0))) * travel
    power = {"growing": 1.0, "shrinking": -1.0}.get(motion, 0.0)
    reach = EDGE + np.abs(step) / 2
    middle = rng.uniform(reach, 1 - reach)
    return Path(middle + at[:, None] * step, side * growth ** (power * at))


def _apart(
    motion: str, times: Sequence[float], ratio: float, target: ndarray, rng: np.random.Generator
) -> Path:
    """A path that the target hides little of: the first good one, or the best of some."""
    tried = []
    for _ in range(TRIES):
        path = _path(motion, DISTRACTOR_SIDE, times, rng)
        hidden = float(_hidden(path.boxes(ratio), target).max())
        if hidden <= MOST_HIDDEN:
            return path
        tried.append((hidden, path))
    return min(tried, key=lambda one: one[0])[1]


def _hidden(boxes: ndarray, over: ndarray) -> ndarray:
    """Share of each box that lies under the other of the same frame."""
    low, high = np.maximum(boxes[:, :2], over[:, :2]), np.minimum(boxes[:, 2:], over[:, 2:])
    shared: ndarray = np.prod(np.clip(high - low, 0, None), 1) / np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return shared


def _paste(frames: Sequence[Image.Image], sprite: ndarray, path: Path, rng: np.random.Generator) -> Boxes:
    picture = Image.fromarray(sprite)
    if rng.random() < 0.5:  # which way a thing faces is to say nothing of where it goes
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    brighter = ImageEnhance.Brightness(picture.convert("RGB")).enhance(rng.uniform(*BRIGHTNESS))
    brighter.putalpha(picture.getchannel("A"))
    found = np.zeros((len(frames), 4), np.int16)
    for number, frame in enumerate(frames):
        scale = path.sides[number] * frame.width / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        scaled = brighter.resize(size, Image.Resampling.BILINEAR)
        top, left = np.rint(path.middles[number] * frame.width - np.array(size[::-1]) / 2).astype(int)
        frame.paste(scaled, (int(left), int(top)), scaled)
        found[number] = np.clip((top, left, top + size[1], left + size[0]), 0, frame.width)
    return found


def _background(scene: Scene, picture: ndarray, times: Sequence[float], size_px: int) -> list[Image.Image]:
    """Views of a photograph: drifting behind stamps, or moving as the scene says."""
    film, own = scene.generator("film"), scene.generator("camera")
    view = size_px * film.uniform(*(WIDE_VIEW if scene.tint else VIEW))
    spare = np.array(picture.shape[:2])
    anchor = film.uniform(0, 1, 2)  # a film stays about one place
    if scene.tint:
        # What is seen moves left when the camera turns right, and grows when it comes nearer.
        step = -np.array(STEPS.get(scene.motion, (0, 0))) * own.uniform(*WIDE_TRAVEL) * view
        power = {"growing": -1.0, "shrinking": 1.0}.get(scene.motion, 0.0)
    else:
        angle = own.uniform(0, 2 * np.pi)
        step = np.array([np.sin(angle), np.cos(angle)]) * own.uniform(0, CAMERA_DRIFT) * view
        power = 0.0
    views = view * own.uniform(*GROWTH) ** (power * np.asarray(times))
    reach = np.maximum(views.max(), view + np.abs(step)) / 2 + 1
    middle = np.clip(anchor * spare + own.normal(0, 0.1, 2) * view, reach, np.maximum(reach, spare - reach))
    source = Image.fromarray(picture)
    frames = []
    for time, side in zip(times, views, strict=True):
        top, left = np.clip(middle + time * step - side / 2, 0, spare - side)
        box = (float(left), float(top), float(left + side), float(top + side))
        frames.append(source.resize((size_px, size_px), Image.Resampling.BILINEAR, box=box))
    return frames


def _tinted(frames: Frames, tint: str) -> Frames:
    """Frames in one colour's light: partly their own, partly their brightness in that colour; grey has no colour."""
    own = frames.astype(np.float32)
    bright = own @ np.array(GREY_WEIGHTS, np.float32)
    if tint == "grey":
        mixed = np.repeat(bright[..., None], 3, -1)
    else:
        mixed = (1 - TINT_SHARE) * own + TINT_SHARE * bright[..., None] * np.array(TINT_OF[tint], np.float32)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
