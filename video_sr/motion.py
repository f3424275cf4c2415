"""Camera motion over still photographs: clips whose every sub-pixel shift at 1/16 is real, with a known truth.

A pan by whole high-resolution pixels is a sub-pixel shift of the low-resolution frame without any
interpolation. Zoom and rotation are interpolated, so their frames are a little softer than the centre frame,
which is never resampled. Perfect camera motion alone teaches a network to trust neighbours that real video
does not give, so some clips carry objects that move on their own and some are cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How clips move; sizes in pixels of the high-resolution frame, shares of all clips."""

    slowest_px: float = 1.5  # pan per frame, drawn log-uniformly
    fastest_px: float = 22.0
    jitter_px: float = 1.0  # standard deviation of a hand's shake about the pan
    warped_share: float = 0.35  # also zoom and rotate
    zoom_per_frame: float = 0.006  # standard deviation
    rotation_deg_per_frame: float = 0.25  # standard deviation
    object_share: float = 0.35  # hold one or two objects with a motion of their own
    cut_share: float = 0.1  # frames before or after some instant show another place
    still_share: float = 0.05  # do not move at all


Picture = UInt8[ndarray, "picture_height picture_width 3"]
Frames = UInt8[ndarray, "time height width 3"]


def clip(
    picture: Picture, motion: Motion, *, num_frames: int, size: tuple[int, int], rng: np.random.Generator
) -> Frames:
    """Frames of one clip; the middle one is an untouched crop of the picture.

    Args:
        size: height and width of a frame in pixels.

    Raises:
        ValueError: the picture is smaller than a frame, with both sizes.
    """
    height, width = size
    room = np.array(picture.shape[:2]) - size
    if room.min() < 0:
        raise ValueError(
            f"a {height}x{width} frame does not fit a {picture.shape[0]}x{picture.shape[1]} picture"
        )
    times = np.arange(num_frames) - num_frames // 2
    shifts = _pan(times, motion, rng)
    place = _place(room, shifts, rng)
    warped = rng.random() < motion.warped_share
    zoom = motion.zoom_per_frame * rng.normal() * warped
    angle_deg = motion.rotation_deg_per_frame * rng.normal() * warped
    frames = np.stack(
        [
            _view(picture, place + shift, size, 1 + zoom * t, angle_deg * t)
            for t, shift in zip(times, shifts, strict=True)
        ]
    )
    if rng.random() < motion.object_share:
        for _ in range(rng.integers(1, 3)):
            _add_object(frames, picture, _pan(times, replace(motion, still_share=0), rng), rng)
    if rng.random() < motion.cut_share:
        _cut(frames, picture, motion, rng)
    return frames


def _pan(times: ndarray, motion: Motion, rng: np.random.Generator) -> ndarray:
    """Whole-pixel shift (down, right) of each frame; the middle frame's is 0."""
    if rng.random() < motion.still_share:
        return np.zeros((len(times), 2), dtype=int)
    speed = np.exp(rng.uniform(np.log(motion.slowest_px), np.log(motion.fastest_px)))
    direction = rng.uniform(0, 2 * np.pi)
    shake = rng.normal(0, motion.jitter_px, (len(times), 2)) * (times != 0)[:, None]
    return np.rint(np.outer(times, speed * np.array([np.sin(direction), np.cos(direction)])) + shake).astype(
        int
    )


def _place(room: ndarray, shifts: ndarray, rng: np.random.Generator) -> ndarray:
    """Corner of the middle frame, inside the picture; other frames may be clamped to its edge."""
    low, high = np.maximum(0, -shifts.min(0)), room - np.maximum(0, shifts.max(0))
    crowded = high < low  # the pan is longer than the room: start in the middle
    low, high = np.where(crowded, room // 2, low), np.where(crowded, room // 2, high)
    return rng.integers(low, high + 1)


def _view(
    picture: Picture, corner: ndarray, size: tuple[int, int], zoom: float, angle_deg: float
) -> UInt8[ndarray, "height width 3"]:
    """Frame seen from a corner; pure pans are copies, others go through Pillow's cubic transform."""
    height, width = size
    top, left = np.clip(corner, 0, np.array(picture.shape[:2]) - size)
    if zoom == 1 and angle_deg == 0:
        return picture[top : top + height, left : left + width]
    cosine, sine = np.cos(np.deg2rad(angle_deg)) / zoom, np.sin(np.deg2rad(angle_deg)) / zoom
    # Only the surroundings that a small turn can reach, since Pillow copies what it is given.
    margin = int(0.1 * max(size)) + 8
    top0, left0 = max(0, top - margin), max(0, left - margin)
    around = Image.fromarray(picture[top0 : top + height + margin, left0 : left + width + margin])
    middle_x, middle_y = left - left0 + width / 2, top - top0 + height / 2
    affine = (
        cosine, sine, middle_x - cosine * width / 2 - sine * height / 2,
        -sine, cosine, middle_y + sine * width / 2 - cosine * height / 2,
    )  # fmt: skip
    turned = np.asarray(
        around.transform((width, height), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    )
    inside = _inside(affine, size, (around.height, around.width))
    # Beyond the picture Pillow gives black, which no camera sees: keep the unturned view there.
    return np.where(inside[..., None], turned, picture[top : top + height, left : left + width])


def _inside(
    affine: tuple[float, ...], size: tuple[int, int], around: tuple[int, int]
) -> Bool[ndarray, "height width"]:
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    x = affine[0] * columns + affine[1] * rows + affine[2]
    y = affine[3] * columns + affine[4] * rows + affine[5]
    return (x > 2) & (x < around[1] - 2) & (y > 2) & (y < around[0] - 2)


def _add_object(frames: Frames, picture: Picture, shifts: ndarray, rng: np.random.Generator) -> None:
    """Pastes an ellipse of another place of the picture, moving by whole pixels."""
    height, width = frames.shape[1:3]
    radii = rng.uniform(0.08, 0.3, 2) * min(height, width)
    box = np.ceil(2 * radii).astype(int)
    source = rng.integers(0, np.array(picture.shape[:2]) - box + 1)
    texture = picture[source[0] : source[0] + box[0], source[1] : source[1] + box[1]]
    rows, columns = np.mgrid[: box[0], : box[1]]
    mask = ((rows - radii[0]) / radii[0]) ** 2 + ((columns - radii[1]) / radii[1]) ** 2 <= 1
    start = rng.integers(-box // 2, np.array([height, width]) - box // 2)
    for frame, (top, left) in zip(frames, start + shifts, strict=True):
        y0, y1, x0, x1 = max(0, top), min(height, top + box[0]), max(0, left), min(width, left + box[1])
        if y0 < y1 and x0 < x1:
            part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
            frame[y0:y1, x0:x1][mask[part]] = texture[part][mask[part]]


def _cut(frames: Frames, picture: Picture, motion: Motion, rng: np.random.Generator) -> None:
    """Replaces the frames before or after some instant by a clip of another place; the middle frame stays."""
    num_frames, middle = len(frames), len(frames) // 2
    if num_frames < 3:
        return
    first = int(rng.integers(middle + 1, num_frames))
    lost = slice(first, num_frames) if rng.random() < 0.5 else slice(0, num_frames - first)
    plain = Motion(warped_share=0, object_share=0, cut_share=0)
    frames[lost] = clip(picture, plain, num_frames=num_frames, size=frames.shape[1:3], rng=rng)[lost]
