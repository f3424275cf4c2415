"""The challenge's scoring kit: which clips belong together, how close they are, and a page that says how."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from common.data.media import VIDEO_SUFFIXES
from common.results import jsonable
from video_sr.challenge import FACTOR
from video_sr.further import FURTHER, Frame, Further
from video_sr.measures import FEATURES, LPIPS, PSNR, PSNR_Y, SSIM, SSIM_Y, STRUCTURE, TEMPORAL, VIF
from video_sr.protocol import (
    FLATTEST_LEVELS,
    SMALLEST_STRUCTURE_PX,
    AllFlat,
    crop_to_multiple,
    finite_mean,
)
from video_sr.upscale import Footage, pictures_in, visible

FIDELITY = Further()
MEASURES = {measure.name: measure for measure in (PSNR, SSIM, PSNR_Y, SSIM_Y, STRUCTURE, TEMPORAL, *FURTHER)}
FINE_UNITS = (SSIM.unit, LPIPS.unit, VIF.unit, FEATURES.unit)  # shown with four decimals instead of two
MOST_NAMED = 8  # files or frames in a sentence
SUDDEN = 2.0  # times the median change, from which a step between two frames is named
FEWEST_CHANGES = 4  # that have a median
AVERAGING = "a sequence's score is the mean over its frames; the mean counts every sequence alike"
BORDERS = (
    f"8-bit RGB, no border left out (crop0); the last rows and columns go, down to multiples of {FACTOR}"
)


@dataclass(frozen=True)
class Pair:
    """One sequence and its truth, known to agree in size (after the protocol's cut), in the number of frames and, of
    two folders of pictures, in their names."""

    name: str
    sr: Footage
    hr: Footage
    beside: tuple[str, ...] = ()  # what lies in the folders and was not read, a sentence each

    def __post_init__(self) -> None:
        sr, hr = (self.sr.width, self.sr.height), (self.hr.width, self.hr.height)
        if min(*sr, *hr) < FACTOR:
            raise ValueError(
                f"{self.name}: frames need at least {FACTOR} pixels a side, SR has {_size(sr)}, HR {_size(hr)}"
            )
        cut = (hr[0] - hr[0] % FACTOR, hr[1] - hr[1] % FACTOR)
        if sr not in (hr, cut):
            expected = _size(hr) if hr == cut else f"{_size(hr)}, or {_size(cut)} after the protocol's cut"
            raise ValueError(f"{self.name}: SR frames must be {expected}, as HR's, got {_size(sr)}")
        if self.by_names:
            self._check_names()

    @property
    def by_names(self) -> bool:
        """Two folders of pictures: what belongs together bears one name. Other frames are counted."""
        return all(side.pictures and side.path.is_dir() for side in (self.sr, self.hr))

    def _check_names(self) -> None:
        ours, truths = ([_frame_name(path) for path in side.pictures] for side in (self.sr, self.hr))
        if ours == truths:
            return
        counts = (
            ""
            if len(ours) == len(truths)
            else f"SR has {len(ours)} frames, HR has {len(truths)}; pictures pair by name, "
        )
        only = [
            f"only in {side.path}: {_listed([p.stem for p in side.pictures if _frame_name(p) not in others])}"
            for side, others in ((self.sr, truths), (self.hr, ours))
            if any(_frame_name(p) not in others for p in side.pictures)
        ]
        raise ValueError(f"{self.name}: {counts or 'pictures pair by name, '}{'; '.join(only)}")

    @property
    def cut(self) -> str:
        """What the protocol leaves of the truth, in words; empty where it leaves everything."""
        width, height = self.hr.width, self.hr.height
        kept = (width - width % FACTOR, height - height % FACTOR)
        return "" if kept == (width, height) else f"from {_size((width, height))} to {_size(kept)}"

    def frames(self) -> Iterator[tuple[UInt8[ndarray, "height width 3"], UInt8[ndarray, "height width 3"]]]:
        """Frames of SR and HR side by side; both videos must end together."""
        both = enumerate(zip_longest(self.sr.frames(), self.hr.frames()))
        for index, (sr, hr) in both:
            if sr is None or hr is None:
                more = index + 1 + sum(1 for _ in both)
                counts = (index, more) if sr is None else (more, index)
                raise ValueError(f"{self.name}: SR has {counts[0]} frames, HR has {counts[1]}")
            yield crop_to_multiple(sr), crop_to_multiple(hr)


@dataclass(frozen=True)
class Scored:
    """Scores of one pair."""

    pair: Pair
    frames: Sequence[Mapping[str, float]]
    flat_frames: int
    means: Mapping[str, float]

    @property
    def identical(self) -> list[int]:
        """Frames that are the truth itself, of infinite PSNR."""
        return [i for i, frame in enumerate(self.frames) if math.isinf(frame.get(PSNR.name, 0.0))]


def find_pairs(sr: Path, hr: Path) -> list[Pair]:
    """Two clips, or the sequences of the same names in two folders; the first frame of each is read.

    Raises:
        ValueError: a name on one side only, sizes or numbers of frames that differ, or nothing to read.
    """
    if _is_clip(sr) and _is_clip(hr):
        return [Pair(_stem(hr), Footage.open(sr), Footage.open(hr), _beside(sr) + _beside(hr))]
    if _is_clip(sr) or _is_clip(hr):
        one, many = (sr, hr) if _is_clip(sr) else (hr, sr)
        raise ValueError(f"{one} is one sequence and {many} a folder of sequences; give two of a kind")
    ours, truths = _sequences(sr), _sequences(hr)
    only = [f"only in {side}: {', '.join(names)}" for side, names in (
        (sr, [name for name in ours if name not in truths]),
        (hr, [name for name in truths if name not in ours]),
    ) if names]  # fmt: skip
    if only:
        raise ValueError(f"SR and HR must hold the same sequences; {'; '.join(only)}")
    beside = _beside(sr) + _beside(hr)
    pairs = []
    for name, truth in truths.items():
        within = _beside(ours[name]) + _beside(truth)
        pairs.append(Pair(name, Footage.open(ours[name]), Footage.open(truth), beside + within))
        beside = ()
    return pairs


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _frame_name(path: Path) -> str | int:
    """001 and 1 are one name."""
    return int(path.stem) if path.stem.isdecimal() else path.stem


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _beside(path: Path) -> tuple[str, ...]:
    """What a folder holds and nobody reads."""
    if not path.is_dir():
        return ()
    taken = set(pictures_in(path)) or set(_clips_in(path))
    names = [each.name for each in visible(path) if each not in taken]
    return (f"{path}: not read are {_listed(names)}",) if names else ()


def _is_clip(path: Path) -> bool:
    """Whether it is one sequence.

    Raises:
        ValueError: pictures and videos lie side by side, so that it might be one sequence or several.
    """
    if not path.is_dir():
        return True
    pictures, videos = pictures_in(path), [each for each in _clips_in(path) if not each.is_dir()]
    if pictures and videos:
        raise ValueError(
            f"{path}: holds pictures ({pictures[0].name}) beside videos ({videos[0].name}); keep one kind in it"
        )
    return bool(pictures)


def _clips_in(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES]


def _sequences(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in _clips_in(folder):
        name = _stem(path)
        if name in found:
            raise ValueError(f"{folder}: sequence {name} is there twice, {found[name].name} and {path.name}")
        found[name] = path
    if not found:
        raise ValueError(f"{folder}: holds neither frames nor sequences")
    return found


def score(
    pair: Pair,
    further: Further = FIDELITY,
    advance: Callable[[], object] = lambda: None,
    frames: Iterable[tuple[Frame, Frame]] | None = None,
) -> Scored:
    """Streams both clips once.

    Args:
        further: measures beside the protocol's.
        advance: called after each frame.
        frames: of another SR beside the pair's truth; by default the pair's own.

    Raises:
        ValueError: the clips differ in length, or every frame is flat.
    """
    read = pair.frames() if frames is None else frames
    try:
        sequence, means = further.score(read, advance)
    except AllFlat as error:
        raise ValueError(f"{pair.name}: {error}; leave the sequence out") from error
    return Scored(pair, sequence.frames, sequence.flat_frames, means)


def overall(scored: Sequence[Scored]) -> dict[str, float]:
    """Mean over the sequences that have the measure, each counting alike (one-frame clips have no tdiff)."""
    columns = {name: [s.means[name] for s in scored if name in s.means] for name in MEASURES}
    return {name: finite_mean(column) for name, column in columns.items() if column}


def table(scored: Sequence[Scored]) -> str:
    """A line per sequence, their mean, and every convention by name."""
    means = overall(scored)
    rows = [["sequence", "frames", "flat", *(MEASURES[name].heading for name in means)]]
    for s in scored:
        rows.append([s.pair.name, str(len(s.frames)), str(s.flat_frames), *cells(s.means, means)])
    totals = [str(sum(len(s.frames) for s in scored)), str(sum(s.flat_frames for s in scored))]
    rows.append(["mean", *totals, *cells(means, means)])
    return "\n".join([*columns(rows), "", *notes(scored)])


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line per row; names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers in rows:
        right = (number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *right]))
    return lines


def cells(means: Mapping[str, float], names: Iterable[str]) -> list[str]:
    """The named measures as texts, each with its decimals."""
    decimals = {name: 4 if MEASURES[name].unit in FINE_UNITS else 2 for name in names}
    return [f"{means[name]:.{decimals[name]}f}" if name in means else "-" for name in names]


def notes(scored: Sequence[Scored]) -> list[str]:
    """What was measured, in sentences."""
    lines = [f"{m.heading} is {m.name}: {m.words}" for m in map(MEASURES.__getitem__, overall(scored))]
    flat = (
        f"flat frames, where the truth's standard deviation is below {FLATTEST_LEVELS:g} level, "
        f"are left out of all but tdiff: {sum(s.flat_frames for s in scored)}"
    )
    cuts = [f"HR of {s.pair.name} was cut {s.pair.cut}" for s in scored if s.pair.cut]
    return [*lines, BORDERS, *cuts, AVERAGING, flat, *_counts(scored)]


def _counts(scored: Sequence[Scored]) -> list[str]:
    """How many there are, how they were paired, and which frames and files a reader might think were counted."""
    named = sum(s.pair.by_names for s in scored)
    lines = [
        f"{len(scored)} sequence(s) of {sum(len(s.frames) for s in scored)} frames; frames were paired by name in "
        f"{named}, in their order in {len(scored) - named}"
    ]
    for s in scored:
        if s.identical:
            lines.append(
                f"{len(s.identical)} of {len(s.frames)} frames of {s.pair.name} are the truth itself "
                f"({_listed([str(i) for i in s.identical])}): their infinite PSNR is left out of means, unless it is "
                "all there is"
            )
        if not any(STRUCTURE.name in frame for frame in s.frames):
            lines.append(
                f"{s.pair.name} has no {STRUCTURE.name}, which needs {SMALLEST_STRUCTURE_PX} pixels a side"
            )
        if sudden := _sudden(s):
            lines.append(sudden)
    return [*lines, *(line for s in scored for line in s.pair.beside)]


def _sudden(scored: Scored) -> str:
    """The step between two frames that stands out most, as one does at the edge of a batch; or nothing."""
    changes = [frame.get(TEMPORAL.name, 0.0) for frame in scored.frames[1:]]
    if len(changes) < FEWEST_CHANGES or max(changes) < SUDDEN * (usual := statistics.median(changes)):
        return ""
    at = changes.index(max(changes))
    return (
        f"{scored.pair.name} changes most, against the truth, from frame {at} to {at + 1}: "
        f"by {changes[at]:.1f} levels, where its median is {usual:.1f}"
    )


def report(scored: Sequence[Scored]) -> dict[str, Any]:
    """Everything, frame by frame, as JSON holds it; infinity (identical frames) is the text "inf"."""
    sequences = {
        s.pair.name: {
            "means": s.means,
            "num_frames": len(s.frames),
            "flat_frames": s.flat_frames,
            "identical_frames": s.identical,
            "hr_cut": s.pair.cut,
            "frames": s.frames,
        }
        for s in scored
    }
    content: dict[str, Any] = jsonable(
        {"means": overall(scored), "conventions": notes(scored), "sequences": sequences}
    )
    return content


def _size(width_height: tuple[int, int]) -> str:
    return f"{width_height[0]}x{width_height[1]}"
