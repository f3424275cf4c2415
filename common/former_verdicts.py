"""What published runs came to by the rule before the present one, for who knew those verdicts.

`former_verdicts.json` of a paper's folder was written once, when the rule changed on 2026-11-27 (docs/evidence.md);
each row names the runs that it was made of, and is shown while these are what is published.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.results import Run
from common.verdicts import Verdict

UNTIL = "by the rule until 2026-11-27"


@dataclass(frozen=True, kw_only=True)
class Former:
    """A verdict as it was: `told` is point, unit and interval, `runs` a hash of the raw scores it rests on."""

    scale: str
    claim: str
    word: str
    told: str
    runs: str


def read(folder: Path) -> dict[tuple[str, str], Former]:
    """Of a paper's folder, by scale and claim; none where the paper had no verdicts then."""
    path = folder / "former_verdicts.json"
    rows = json.loads(path.read_bytes()) if path.exists() else []
    return {(row["scale"], row["claim"]): Former(**row) for row in rows}


def hash_of(runs: Iterable[Run], recipes: Collection[str]) -> str:
    """Of the raw scores of some recipes."""
    hashes = sorted(run.result.items_sha256 for run in runs if run.result.recipe in recipes)
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def difference(
    known: Mapping[tuple[str, str], Former], verdict: Verdict, runs: Iterable[Run], recipes: Collection[str]
) -> str:
    """What the same runs came to before, where the word was another; else empty."""
    former = known.get((verdict.scale, verdict.claim))
    if former is None or former.word == verdict.word or former.runs != hash_of(runs, recipes):
        return ""
    return f"{UNTIL}: {former.word}, {former.told}" if former.told else f"{UNTIL}: {former.word}"
