"""Camera motion over still photographs: clips whose every sub-pixel shift at 1/16 is real, with a known truth.

A pan by whole high-resolution pixels is a sub-pixel shift of the low-resolution frame without any
interpolation. Zoom and rotation are interpolated, so their frames are a little softer than the centre frame,
which is never resampled. Perfect camera motion alone teaches a network to trust neighbours that real video
does not give, so some clips carry objects that move on their own and some are cut. Where asked for, some have
parallax of two flat layers: a nearer strip moves with the same camera by more than what lies behind it, so that
it hides and uncovers it.

A clip is planned before any pixel is read, so that what moves where is known (`known_motion.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
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
    layered_share: float = 0.0  # have a nearer layer
    nearness: tuple[float, float] = (1.25, 2.5)  # its shift over the picture's, drawn log-uniformly

    def told(self) -> dict[str, Any]:
        """Its fields by name; without layers those that clips were published with."""
        layers = () if self.layered_share else ("layered_share", "nearness")
        return {name: value for name, value in asdict(self).items() if name not in layers}


PLAIN = Motion()


Picture = UInt8[ndarray, "picture_height picture_width 3"]
Frames = UInt8[ndarray, "time height width 3"]


@dataclass(frozen=True)
class Thing:
    """An ellipse of another place of the picture that moves on its own, by whole pixels."""

    radii: tuple[float, float]  # down, right
    source: tuple[int, int]  # corner of its box in the picture
    corners: Int[ndarray, "time 2"]  # of its box in each frame

    @property
    def box(self) -> Int[ndarray, " 2"]:
        return np.ceil(2 * np.array(self.radii)).astype(int)

    def covers(self, down: ndarray, right: ndarray) -> Bool[ndarray, ...]:
        """Whether it covers places, in pixels from the corner of its box."""
        shape: ndarray = ((down - self.radii[0]) / self.radii[0]) ** 2 + (
            (right - self.radii[1]) / self.radii[1]
        ) ** 2 <= 1
        return shape


@dataclass(frozen=True)
class Layer:
    """A strip of another place of the picture, nearer to the camera, between two wavy edges."""

    nearness: float  # its shift over that of what lies behind
    corners: Int[ndarray, "time 2"]  # of the frames in the picture, where the strip is read
    across_rad: float  # direction from its first edge to its second; 0 is down, a quarter turn right
    edges: tuple[float, float]  # across, in pixels from the middle of the middle frame
    waves: Float[ndarray, "edge wave 3"]  # of each edge: height and length in pixels, phase

    def covers(self, down: ndarray, right: ndarray) -> Bool[ndarray, ...]:
        """Whether it covers places of the middle frame, in pixels from the middle."""
        across = np.cos(self.across_rad) * down + np.sin(self.across_rad) * right
        along = np.cos(self.across_rad) * right - np.sin(self.across_rad) * down
        first, last = (
            edge + sum(height * np.sin(2 * np.pi * along / length + phase) for height, length, phase in waves)
            for edge, waves in zip(self.edges, self.waves, strict=True)
        )
        inside: ndarray = (first <= across) & (across < last)
        return inside


@dataclass(frozen=True)
class Plan:
    """Where the camera and all things are in each frame of a clip over a picture."""

    room: tuple[int, int]  # by how much the picture is higher and wider than a frame
    size: tuple[int, int]  # height and width of a frame
    corners: Int[ndarray, "time 2"]  # of the frames in the picture, before they are held inside
    zoom_per_frame: float
    turn_deg_per_frame: float
    things: tuple[Thing, ...] = ()  # later ones lie above
    cut: tuple[slice, Plan] | None = None  # frames that show another place, and where
    near: Layer | None = None  # above the picture, below all things

    @property
    def times(self) -> Int[ndarray, " time"]:
        """Of frames, 0 the middle one."""
        return np.arange(len(self.corners)) - len(self.corners) // 2

    def frames(self, picture: Picture) -> Frames:
        frames = self._seen(picture, self.corners)
        if self.near is not None:
            places = np.mgrid[: self.size[0], : self.size[1]] + 0.5
            covered = np.stack([self.near_covers(t, places) for t in range(len(frames))])
            frames[covered] = self._seen(picture, self.near.corners)[covered]
        for thing in self.things:
            _show(thing, frames, picture)
        if self.cut is not None:
            lost, elsewhere = self.cut
            frames[lost] = elsewhere.frames(picture)[lost]
        return frames

    def _seen(self, picture: Picture, corners: ndarray) -> Frames:
        return np.stack(
            [
                _view(picture, corner, self.size, 1 + self.zoom_per_frame * t, self.turn_deg_per_frame * t)
                for t, corner in zip(self.times, corners, strict=True)
            ]
        )

    def near_covers(self, t: int, places: ndarray) -> Bool[ndarray, "height width"]:
        """Whether the nearer layer covers places (down, right) of frame `t`, in pixels from its corner."""
        if self.near is None:
            return np.zeros(places.shape[1:], bool)
        down, right = places - np.array(self.size)[:, None, None] / 2
        moved = self.near.corners[t] - self.near.corners[len(self.times) // 2]
        zoom = 1 + self.zoom_per_frame * self.times[t]
        turn = np.deg2rad(self.turn_deg_per_frame * self.times[t])
        return self.near.covers(
            (np.cos(turn) * down - np.sin(turn) * right) / zoom + moved[0],
            (np.cos(turn) * right + np.sin(turn) * down) / zoom + moved[1],
        )


def clip(
    picture: Picture, motion: Motion, *, num_frames: int, size: tuple[int, int], rng: np.random.Generator
) -> Frames:
    """Frames of one clip; the middle one is an untouched crop of the picture.

    Args:
        size: height and width of a frame in pixels.

    Raises:
        ValueError: the picture is smaller than a frame, with both sizes.
    """
    height, width = picture.shape[:2]
    return plan((height, width), motion, num_frames=num_frames, size=size, rng=rng).frames(picture)


def plan(
    picture_size: tuple[int, int],
    motion: Motion,
    *,
    num_frames: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Plan:
    """As `clip`, before any pixel is read."""
    height, width = size
    room = np.array(picture_size) - size
    if room.min() < 0:
        raise ValueError(
            f"a {height}x{width} frame does not fit a {picture_size[0]}x{picture_size[1]} picture"
        )
    times = np.arange(num_frames) - num_frames // 2
    shifts = _pan(times, motion, rng)
    place = _place(room, shifts, rng)
    warped = rng.random() < motion.warped_share
    zoom = motion.zoom_per_frame * rng.normal() * warped
    turn_deg = motion.rotation_deg_per_frame * rng.normal() * warped
    things = tuple[Thing, ...]()
    if rng.random() < motion.object_share:
        things = tuple(_thing(picture_size, size, times, motion, rng) for _ in range(rng.integers(1, 3)))
    cut = None
    if rng.random() < motion.cut_share and num_frames >= 3:
        cut = _cut(picture_size, motion, num_frames, size, rng)
    near = None  # drawn last, so that all else is as without it
    if motion.layered_share and rng.random() < motion.layered_share:
        near = _near(room, size, np.clip(place + shifts, 0, room) - place, motion, rng)
    return Plan((int(room[0]), int(room[1])), size, place + shifts, zoom, turn_deg, things, cut, near)


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


def _near(
    room: ndarray, size: tuple[int, int], shifts: ndarray, motion: Motion, rng: np.random.Generator
) -> Layer | None:
    """A layer one of whose edges crosses the middle frame; none where the picture is too small for its shifts."""
    nearness = float(np.exp(rng.uniform(*np.log(motion.nearness))))
    shifts = np.rint(nearness * shifts).astype(int)
    corners = _place(room, shifts, rng) + shifts
    across_rad, side = rng.uniform(0, 2 * np.pi), min(size)
    first = rng.uniform(-0.25, 0.25) * side
    edges = (first, first + rng.uniform(0.2, 1.0) * side)
    lengths = rng.uniform(0.15, 1.2, (2, 3)) * side
    waves = np.stack((rng.uniform(0, 0.06, (2, 3)) * lengths, lengths, rng.uniform(0, 2 * np.pi, (2, 3))), -1)
    if (corners < 0).any() or (corners > room).any():
        return None
    return Layer(nearness, corners, across_rad, edges, waves)


def margin_px(size: tuple[int, int]) -> int:
    """How far around a turned frame the picture is read."""
    return int(0.1 * max(size)) + 8


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
    margin = margin_px(size)
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


def _thing(
    picture_size: tuple[int, int],
    size: tuple[int, int],
    times: ndarray,
    motion: Motion,
    rng: np.random.Generator,
) -> Thing:
    shifts = _pan(times, replace(motion, still_share=0), rng)
    down, right = rng.uniform(0.08, 0.3, 2) * min(size)
    box = np.ceil(2 * np.array((down, right))).astype(int)
    source = rng.integers(0, np.array(picture_size) - box + 1)
    start = rng.integers(-box // 2, np.array(size) - box // 2)
    return Thing((down, right), (int(source[0]), int(source[1])), start + shifts)


def _show(thing: Thing, frames: Frames, picture: Picture) -> None:
    """Pastes it into every frame that it reaches."""
    height, width = frames.shape[1:3]
    box, source = thing.box, thing.source
    texture = picture[source[0] : source[0] + box[0], source[1] : source[1] + box[1]]
    rows, columns = np.mgrid[: box[0], : box[1]]
    mask = thing.covers(rows, columns)
    for frame, (top, left) in zip(frames, thing.corners, strict=True):
        y0, y1, x0, x1 = max(0, top), min(height, top + box[0]), max(0, left), min(width, left + box[1])
        if y0 < y1 and x0 < x1:
            part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
            frame[y0:y1, x0:x1][mask[part]] = texture[part][mask[part]]


def _cut(
    picture_size: tuple[int, int],
    motion: Motion,
    num_frames: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[slice, Plan]:
    """The frames before or after some instant, never the middle one, and the plan of another place."""
    first = int(rng.integers(num_frames // 2 + 1, num_frames))
    lost = slice(first, num_frames) if rng.random() < 0.5 else slice(0, num_frames - first)
    plain = Motion(warped_share=0, object_share=0, cut_share=0)
    return lost, plan(picture_size, plain, num_frames=num_frames, size=size, rng=rng)
