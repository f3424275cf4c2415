"""Where a run comes from is a history: it may be stopped, go on with other code, and be scored on another machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# What nobody knows counts as dirty.
UNKNOWN: Mapping[str, Any] = {
    "commit": "unknown", "dirty": True, "lock_sha256": "unknown", "hardware": {}, "versions": {}
}  # fmt: skip

Start = dict[str, Any]  # "at" and the fields of `provenance.provenance`


def added(starts: Sequence[Mapping[str, Any]], at: str, provenance: Mapping[str, Any]) -> list[Start]:
    """The history with one more start; starts of equal provenance are one entry that lists them all.

    Args:
        at: what began there, as "step 40" or "scoring".
    """
    history: list[Start] = [dict(start) for start in starts]
    for start in history:
        if {key: value for key, value in start.items() if key != "at"} == provenance:
            start["at"] = [*start["at"], at]
            return history
    return [*history, {"at": [at], **provenance}]


def of_former(state: Mapping[str, Any]) -> list[Start]:
    """The history of a checkpoint or weights that were saved before it was kept: of the last start, or unknown."""
    return [{"at": ["unknown"], **state.get("provenance", UNKNOWN)}]


def dirty(starts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether at any start the working tree differed from its commit."""
    return any(start["dirty"] for start in starts)


def last(starts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Provenance of the last start, dirty if any was."""
    return {**{key: value for key, value in starts[-1].items() if key != "at"}, "dirty": dirty(starts)}
