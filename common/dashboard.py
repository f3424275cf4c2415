"""`make dashboard`: your runs from their journals, and how to look at them further, whatever is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import journal, mirrors, papers
from common.papers import runs_root

PROJECT = "speech-video-reproductions"
WORDS = {"end": "finished", "diverged": "diverged", "stopped": "stopped"}  # last event -> state
MOST_SHOWN = 5  # offline runs that are named


def show(*, upload: bool) -> None:
    """A table of every journal under runs/; with `upload` each is replayed to W&B.

    Raises:
        ValueError: DASHBOARD names one that is not known.
    """
    from rich.console import Console
    from rich.table import Table

    mirrors.asked()
    begun = [
        (paper.slug, scale, *run)
        for paper in papers.papers().values()
        for scale in papers.SCALES
        for run in paper.begun(scale)
    ]
    if not begun:
        print(
            f"no run of yours under {runs_root()} yet: `make reproduce-extreme-vsr SCALE=smoke` makes some in a "
            "minute, `make report` shows the published ones"
        )
        return
    table = Table("paper", "scale", "run", "seed", "step", "loss", "state")
    for slug, scale, name, seed, folder in begun:
        table.add_row(slug, scale, name, str(seed), *_latest(folder / "journal.jsonl"))
        if upload:
            journal.replay(
                folder / "journal.jsonl", project=PROJECT, group=f"{slug}-{scale}", name=f"{name}-seed{seed}"
            )
    Console().print(table)
    for line in further(runs_root()):
        print(line)


def _latest(path: Path) -> tuple[str, str, str]:
    """Step, loss and state of a run, as its journal's last rows say."""
    rows = journal.read(path)
    logged = [row for row in rows if row["event"] == "train"]
    last: dict[str, Any] = logged[-1] if logged else {}
    loss = f"{last['loss']:.5g}" if isinstance(last.get("loss"), float) else ""
    return str(last.get("step", 0)), loss, WORDS.get(rows[-1]["event"], "open") if rows else "empty"


def further(root: Path) -> list[str]:
    """Lines that look at the same runs in W&B's terminal viewer and in TensorBoard, where there is something to see."""
    offline = sorted(root.rglob("wandb/offline-run-*"))
    events = sorted(root.rglob("tensorboard/events.out.tfevents.*"))
    tool = Path(sys.executable).with_name(
        "wandb"
    )  # the package may be there and its commands not on the path
    lines = []
    if offline and tool.exists():
        lines.append(f"{len(offline)} offline runs of W&B; the newest, in this terminal:")
        newest = sorted(offline, key=lambda path: path.stat().st_mtime)[-MOST_SHOWN:]
        lines += [f"  {tool} leet {path}" for path in reversed(newest)]
        lines.append(
            f"to send one to your account: {tool} sync FOLDER; all of them: python -m common.run dashboard --upload"
        )
    elif offline:
        lines.append(f"{len(offline)} offline runs of W&B, which is not installed here")
    if events:
        lines.append(f"TensorBoard: {sys.executable} -m tensorboard.main --logdir {root}")
    if not lines:
        lines.append(
            "DASHBOARD=tensorboard, or WANDB_MODE=offline, keeps curves and pictures beside the journals"
        )
    return lines
