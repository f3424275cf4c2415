"""Splits that cannot leak: items that share anything stay together, and a salted hash assigns them."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.data.manifest import Entry


class SplitLeak(ValueError):
    """Two parts of a split share a group key or a file's content."""


@dataclass(frozen=True)
class Component:
    """Items connected by shared keys, directly or through others: the least that a split may move."""

    ids: tuple[str, ...]  # sorted
    keys: tuple[str, ...]  # sorted; without content hashes

    @property
    def name(self) -> str:
        """Its first id: what the salted hash reads."""
        return self.ids[0]


def components(entries: Iterable[Entry]) -> list[Component]:
    """Connected components over group keys and content hashes, sorted by name."""
    entries = list(entries)
    parent = list(range(len(entries)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    seen: dict[str, int] = {}
    for i, entry in enumerate(entries):
        for key in _links(entry):
            parent[root(i)] = root(seen.setdefault(key, i))
    members: dict[int, list[Entry]] = defaultdict(list)
    for i, entry in enumerate(entries):
        members[root(i)].append(entry)
    found = (
        Component(tuple(sorted(e.id for e in group)), tuple(sorted({k for e in group for k in e.keys})))
        for group in members.values()
    )
    return sorted(found, key=lambda component: component.name)


def _links(entry: Entry) -> tuple[str, ...]:
    return (*entry.keys, f"sha256:{entry.sha256}")


def _draw(component: Component, salt: str) -> int:
    """A uniform 64-bit number that depends on the salt and the component's name alone."""
    return int.from_bytes(hashlib.sha256(f"{salt}\n{component.name}".encode()).digest()[:8], "big")


def fold(component: Component, salt: str, num_folds: int) -> int:
    """0..num_folds-1. Depends on no other component, so more data never moves it; sizes vary."""
    if num_folds < 2:
        raise ValueError(f"num_folds must be at least 2, got {num_folds}")
    return _draw(component, salt) % num_folds


def even_folds(groups: Sequence[Component], salt: str, num_folds: int) -> dict[str, int]:
    """Item id to fold, components dealt in hash order: for few groups, sizes differ by at most one."""
    if not 2 <= num_folds <= len(groups):
        raise ValueError(f"num_folds must be in 2..{len(groups)} (the number of groups), got {num_folds}")
    dealt = sorted(groups, key=lambda component: (_draw(component, salt), component.name))
    return {id: place % num_folds for place, component in enumerate(dealt) for id in component.ids}


def named_part(component: Component, salt: str, shares: Mapping[str, float]) -> str:
    """One of the names of `shares` (which sum to 1), each with its share's probability."""
    if not math.isclose(sum(shares.values()), 1) or min(shares.values()) < 0:
        raise ValueError(f"shares must be at least 0 and sum to 1, got {dict(shares)}")
    at, upto = _draw(component, salt) / 2**64, 0.0
    for name, share in shares.items():
        upto += share
        if at < upto:
            return name
    return name  # rounding left the sum a hair below `at`


def check_disjoint(**parts: Iterable[Entry]) -> None:
    """Raises SplitLeak when two parts share a group key or a file; names both items and what they share."""
    owner: dict[str, tuple[str, str]] = {}
    for part, entries in parts.items():
        for entry in entries:
            for key in _links(entry):
                other_part, other_id = owner.setdefault(key, (part, entry.id))
                if other_part != part:
                    raise SplitLeak(f"{other_id} ({other_part}) and {entry.id} ({part}) share {key!r}")
