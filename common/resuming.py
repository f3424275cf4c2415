"""Where a run stands when its folder is opened: finished, saved at a step, or not begun. Nothing is deleted unasked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import checkpoint, journal
from common.checkpoint import Checkpoint, CheckpointError, Unreadable

WORDS = ("auto", "must", "never", "replace")
ANEW = "--resume never discards it and starts anew"


@dataclass(frozen=True)
class Standing:
    """What a start finds.

    Args:
        saved: the finished weights, or the checkpoint to go on from; None starts anew.
        finished: `saved` are the weights of the last step, so that nothing is left to do.
        discarded: what is in the folder goes, as was asked for.
        moved: what is in the folder is of another run, or of one that cannot go on, and makes room for this one.
    """

    saved: Checkpoint | None = None
    finished: bool = False
    discarded: bool = False
    moved: bool = False


def look(folder: Path, identity: Mapping[str, Any], wanted: str, say: Callable[[str], None]) -> Standing:
    """Finds what to go on from and changes nothing.

    Args:
        identity: what must be equal for a resumed run to be the same run.
        wanted: see `trainer.train`.

    Raises:
        ValueError: there is something of this run, or of another, that must not be lost; says the way out.
    """
    if wanted not in WORDS:
        raise ValueError(f"resume must be {', '.join(WORDS[:-1])} or {WORDS[-1]}, got {wanted!r}")
    if wanted == "never":
        return Standing(discarded=True)
    finished, broken = _finished(folder / "weights.safetensors", say)
    # Weights say nothing of how many processes made them once they are made.
    asked = {key: value for key, value in identity.items() if finished is None or key != "world_size"}
    saved = finished or checkpoint.newest(folder / "checkpoints", say)
    if saved is None:
        _nothing_is_lost(folder, broken)
        if wanted == "must":
            raise ValueError(f"no intact checkpoint in {folder / 'checkpoints'}; start with --resume auto")
        return Standing(moved=_is_worth_keeping(folder))
    for key, ours in asked.items():
        if (theirs := saved.state["identity"][key]) != ours:
            if wanted == "replace":
                say(f"{saved.path} is of other settings or data, so this run starts anew")
                return Standing(moved=True)
            raise ValueError(
                f"{saved.path} was made with {key} {theirs}, this run has {ours}; use the same, or {ANEW}"
            )
    return Standing(saved, finished=finished is not None)


def _finished(weights: Path, say: Callable[[str], None]) -> tuple[Checkpoint | None, CheckpointError | None]:
    """The weights of a run that came to its end, or what is wrong with them."""
    if not checkpoint.is_finished(weights):
        return None, None
    try:
        return checkpoint.load(weights), None
    except Unreadable:
        raise
    except CheckpointError as error:
        say(f"passed over broken weights: {error}")
        return None, error


def _nothing_is_lost(folder: Path, broken: CheckpointError | None) -> None:
    """Raises where a start anew would lose what somebody may still want to look into."""
    if broken is not None:
        raise ValueError(f"{broken}, and no checkpoint is left to make them again from; {ANEW}")
    damaged = [
        path for path in checkpoint.steps_saved(folder / "checkpoints") if checkpoint.is_finished(path)
    ]
    if damaged:
        raise ValueError(f"none of the {len(damaged)} checkpoints in {damaged[0].parent} is intact; {ANEW}")


def _is_worth_keeping(folder: Path) -> bool:
    """Whether a run ended there or left weights on its way; one that saved nothing leaves nothing to keep."""
    ended = any(row["event"] == "end" for row in journal.read(folder / "journal.jsonl"))
    return ended or bool(checkpoint.steps_saved(folder / "snapshots"))


def discard(folder: Path) -> None:
    """Deletes what a run left, but for what scoring counted."""
    (folder / "journal.jsonl").unlink(missing_ok=True)
    checkpoint.prune(folder / "checkpoints", keep=0)
    checkpoint.prune(folder / "snapshots", keep=0)
    for suffix in (".safetensors", ".json"):
        (folder / "weights").with_suffix(suffix).unlink(missing_ok=True)


def move_away(folder: Path, say: Callable[[str], None]) -> None:
    """Puts what another run left into a folder `former-N` of its own."""
    number = 1
    while (former := folder / f"former-{number}").exists():
        number += 1
    former.mkdir()
    for name in (
        "journal.jsonl",
        "checkpoints",
        "snapshots",
        "previews",
        "weights.json",
        "weights.safetensors",
    ):
        if (folder / name).exists():
            (folder / name).rename(former / name)
    say(f"what was there is kept in {former}")
