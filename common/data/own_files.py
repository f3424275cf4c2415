"""A person's own files for training: what cannot be used is left out by name, and dev shares nothing with training."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.data.manifest import Bad, check_bad_share
from common.files import write_atomically
from common.progress import say

MOST_BAD = 0.1  # share of items of which nothing can be had
SHOWN = 3  # of each reason, on the screen


@dataclass(frozen=True)
class LeftOut:
    """An item, or a part of one, that is not used.

    Args:
        where: file, and line where there is one; "" where the id says it.
        reason: a sentence without its subject; what differs from one to the next stands after a colon.
        bad: nothing can be had of it at all.
    """

    id: str
    where: str
    reason: str
    bad: bool = False

    def __str__(self) -> str:
        return f"{self.id} ({self.where}): {self.reason}" if self.where else f"{self.id}: {self.reason}"


def tell(left: Sequence[LeftOut], total: int, listing: Path | None = None, *, what: str = "items") -> None:
    """Says how many are left out and why, the first of each reason by name; all of them go into the listing.

    Raises:
        ValueError: more than `MOST_BAD` of all are bad, with their names.
    """
    if listing is not None:
        listing.unlink(missing_ok=True)
    by_reason = defaultdict(list)
    for one in left:
        by_reason[one.reason.partition(":")[0]].append(one)
    for reason, those in by_reason.items():
        say(f"left out, {reason}: {len(those)} of {total}")
        for one in those[:SHOWN]:
            say(f"  {one}")
    if left:
        say(f"{len(left)} of {total} {what} are left out")
    if listing is not None and left:
        write_atomically(listing, "".join(f"{one}\n" for one in left).encode(errors="backslashreplace"))
        say(f"all {len(left)} are listed in {listing}")
    check_bad_share([Bad(one.id, one.where, one.reason) for one in left if one.bad], total, MOST_BAD)


def without_leaks(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what is trained on and given for dev as well, by sha256; ids of the two parts differ then.

    Args:
        lines: each with id, part ("train" or "dev") and sha256.
    """
    trained = {line["sha256"] for line in lines if line["part"] == "train"}
    leaks = [line for line in lines if line["part"] == "dev" and line["sha256"] in trained]
    if leaks:
        say(f"left out of dev, is in the training data too: {len(leaks)}, such as {leaks[0]['id']}")
    return [
        line | ({"id": f"dev/{line['id']}"} if line["part"] == "dev" else {})
        for line in lines
        if line["part"] == "train" or line["sha256"] not in trained
    ]


def is_divided(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether what was given names the part of every line, and some for dev."""
    return all(line["part"] for line in lines) and any(line["part"] == "dev" for line in lines)


def by_hash(names: Iterable[str]) -> list[str]:
    """In an order that depends on nothing but each name."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode(errors="surrogateescape")).digest())
