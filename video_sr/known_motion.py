"""Where each place of a made clip's middle frame lies in its other frames: what an alignment can be taught by.

Nobody knows it of real footage. A place is the middle of a low-resolution pixel; where that pixel lies on the edge of a
thing it shows both, and is told as what its middle shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from video_sr.challenge import FACTOR
from video_sr.motion import Plan, margin_px

NOBODY = -1  # what a place shows that no thing covers: the picture
NEARER = -2  # or its nearer layer
EDGE_PX = 2  # inside the surroundings that a turned frame is read from


@dataclass(frozen=True)
class KnownMotion:
    """Offsets from places of the middle frame to where each frame shows the same, and whether it does."""

    offset_px: Float[ndarray, "time 2 height width"]  # down, right; of low resolution; 0 where not known
    known: Bool[ndarray, "time height width"]  # not where it is hidden, outside, or cut

    def cropped(self, times: slice, top: int, left: int, patch: int) -> KnownMotion:
        """Of some frames and a square."""
        place = np.s_[..., top : top + patch, left : left + patch]
        return KnownMotion(self.offset_px[times][place], self.known[times][place])


def known_motion(plan: Plan) -> KnownMotion:
    """Of a whole clip, at 1/16 of its size."""
    height, width = (side // FACTOR for side in plan.size)
    places = FACTOR * (np.mgrid[:height, :width] + 0.5)  # down, right; pixels of high resolution
    shows = _shown(plan, len(plan.times) // 2, places)
    offset, known = (
        np.zeros((len(plan.times), 2, height, width)),
        np.zeros((len(plan.times), height, width), bool),
    )
    for t in range(len(plan.times)):
        moved, visible = _of_picture(plan, plan.corners, t, places)
        if plan.near is not None:
            nearer, read = _of_picture(plan, plan.near.corners, t, places)
            moved, visible = (
                np.where(shows == NEARER, nearer, moved),
                np.where(shows == NEARER, read, visible),
            )
        for number, thing in enumerate(plan.things):
            own = (thing.corners[t] - thing.corners[len(plan.times) // 2])[:, None, None] + places
            moved = np.where(shows == number, own, moved)
        inside = ((moved >= 0) & (moved < np.array(plan.size)[:, None, None])).all(0)
        known[t] = inside & (visible | (shows >= 0)) & (_shown(plan, t, moved) == shows)
        offset[t] = np.where(known[t], (moved - places) / FACTOR, 0)
    if plan.cut is not None:
        lost, _ = plan.cut
        offset[lost], known[lost] = 0, False
    return KnownMotion(offset.astype(np.float32), known)


def _of_picture(plan: Plan, corners: ndarray, t: int, places: ndarray) -> tuple[ndarray, ndarray]:
    """Where frame `t` shows what the picture, seen from such corners, has at places of the middle frame, and whether
    it was read there."""
    middle = np.array(plan.size)[:, None, None] / 2
    corners = np.clip(corners, 0, np.array(plan.room))[..., None, None]
    in_picture = places + corners[len(plan.times) // 2]
    zoom, turn = 1 + plan.zoom_per_frame * plan.times[t], np.deg2rad(plan.turn_deg_per_frame * plan.times[t])
    down, right = in_picture - corners[t] - middle
    turned = np.stack(
        (np.cos(turn) * down + np.sin(turn) * right, np.cos(turn) * right - np.sin(turn) * down)
    )
    if zoom == 1 and turn == 0:
        return in_picture - corners[t], np.ones(places.shape[1:], bool)
    margin, whole = margin_px(plan.size), np.add(plan.size, plan.room)[:, None, None]
    first = np.maximum(0, corners[t] - margin) + EDGE_PX
    last = np.minimum(whole, corners[t] + 2 * middle + margin) - EDGE_PX
    return zoom * turned + middle, ((in_picture > first) & (in_picture < last)).all(0)


def _shown(plan: Plan, t: int, places: ndarray) -> Int[ndarray, "height width"]:
    """Number of the thing that covers each place of frame `t`, the uppermost; else the nearer layer or nobody."""
    found = np.where(plan.near_covers(t, places), NEARER, NOBODY)
    for number, thing in enumerate(plan.things):
        down, right = places - 0.5 - thing.corners[t][:, None, None]
        found[thing.covers(down, right)] = number
    return found
