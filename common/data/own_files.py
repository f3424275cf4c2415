"""A person's own files for training: what cannot be used is left out by name, and dev shares nothing with training."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from common.data import sealed
from common.data.manifest import Bad, check_bad_share
from common.files import only_writer, write_atomically
from common.progress import say
from common.strict_json import parsed

MOST_BAD = 0.1  # share of items of which nothing can be had
SHOWN = 3  # of each reason, on the screen
INDEX, KEY_DIGITS = "index.json", 12


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


@dataclass(frozen=True)
class Prepared:
    """What was made of a person's files, beside the run that reads it.

    FOLDER/index.json         what it holds, and the key of all that made it
          /KEY*               data, as its maker lays them out, and their sizes and hashes in KEY.sealed.json
    """

    folder: Path

    @property
    def index(self) -> dict[str, Any]:
        """
        Raises:
            ValueError: nothing was prepared there.
        """
        path = self.folder / INDEX
        if not path.exists():
            raise ValueError(f"{self.folder} holds nothing that was prepared")
        return _parsed(path, path.stat().st_mtime_ns)

    @property
    def stem(self) -> Path:
        """What the names of the data begin with."""
        return self.folder / self.index["key"][:KEY_DIGITS]

    def prepare(self, key: str, make: Callable[[Path], dict[str, Any]]) -> None:
        """At once where it was done; what was prepared before stays until the new is whole.

        Args:
            key: changes with all that the data depend on.
            make: writes data under names that begin with the path it is given, and tells the index.
        """
        with only_writer(self.folder, wait=True):
            if self._holds(key):
                return
            stem = self.folder / key[:KEY_DIGITS]
            _remove(self.folder.glob(f"{stem.name}*"))
            try:
                index = make(stem)
            except BaseException:
                _remove(self.folder.glob(f"{stem.name}*"))
                raise
            data = [*self.folder.glob(f"{stem.name}*")]
            sealed.seal(self._seal(key), data)
            write_atomically(
                self.folder / INDEX, json.dumps({"key": key, **index}, ensure_ascii=False).encode()
            )
            kept = {INDEX, self._seal(key).name, *(path.name for path in data)}
            _remove(path for path in self.folder.glob("[!.]*") if path.name not in kept)

    def _holds(self, key: str) -> bool:
        if not (self.folder / INDEX).exists() or self.index["key"] != key:
            return False
        if not self._seal(key).exists() or (found := sealed.faults(self._seal(key))):
            told = (
                f"{found[0].path}: {found[0].reason}" if self._seal(key).exists() else "its seal is missing"
            )
            say(f"what was prepared in {self.folder} is not whole and is made again: {told}")
            return False
        return True

    def _seal(self, key: str) -> Path:
        return self.folder / f"{key[:KEY_DIGITS]}{sealed.ENDING}"


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink()


@cache
def _parsed(path: Path, mtime_ns: int) -> dict[str, Any]:
    found: dict[str, Any] = parsed(path.read_bytes())
    return found
