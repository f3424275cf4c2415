"""How often each test set of a paper was opened, over the paper's whole history.

`openings.json` of a paper's folder is appended to by `publish` and by nothing else: a result that is published anew
takes the place of the former one, but that the test set was looked at before stays on record. What was scored and
never published is not counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from common.files import write_atomically
from common.results import Run


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Runs of one scale and commit that were published.

    Args:
        commit: of the code that made them.
        scored: name of a result to when it was scored, ISO 8601.
        parts: test set to the recipes that were scored on it.
    """

    scale: str
    commit: str
    scored: Mapping[str, str]
    parts: Mapping[str, list[str]]

    @property
    def day(self) -> str:
        """When the first of its runs was scored."""
        return min(self.scored.values())[:10]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The history of a test set at a scale.

    Args:
        publications: with new scores of it.
        runs: that were scored on it, in all.
        most: how often one recipe and seed was scored on it.
    """

    part: str
    scale: str
    publications: int
    runs: int
    most: int
    first: Publication
    last: Publication


def read(folder: Path) -> list[Publication]:
    """The record of a paper's folder; empty where there is none."""
    path = folder / "openings.json"
    return [Publication(**row) for row in json.loads(path.read_bytes())] if path.exists() else []


def record(folder: Path, runs: Iterable[Run]) -> None:
    """Adds what is not on record yet: a run counts once however often it is published."""
    known = read(folder)
    seen = {(one.scale, name, when) for one in known for name, when in one.scored.items()}
    new: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        result = run.result
        if (result.scale, result.name, result.finished_at) not in seen:
            new.setdefault((result.scale, result.commit[:12]), []).append(run)
    if not new:
        return
    known += [_publication(scale, commit, together) for (scale, commit), together in new.items()]
    known.sort(key=lambda one: min(one.scored.values()))
    text = json.dumps([asdict(one) for one in known], indent=1) + "\n"
    write_atomically(folder / "openings.json", text.encode())


def _publication(scale: str, commit: str, runs: Iterable[Run]) -> Publication:
    scored, recipes = {}, dict[str, set[str]]()
    for run in runs:
        scored[run.result.name] = run.result.finished_at
        for item in run.items:
            recipes.setdefault(item.part, set()).add(run.result.recipe)
    parts = {part: sorted(recipes[part]) for part in sorted(recipes)}
    return Publication(scale=scale, commit=commit, scored=scored, parts=parts)


def opened(publications: Collection[Publication], parts: Collection[str]) -> list[Opened]:
    """Of each test set and scale what its history comes to, in order of the parts."""
    scales = dict.fromkeys(one.scale for one in publications)
    found = (_opened(part, scale, publications) for part in dict.fromkeys(parts) for scale in scales)
    return [one for one in found if one is not None]


def _opened(part: str, scale: str, publications: Collection[Publication]) -> Opened | None:
    history = [one for one in publications if one.scale == scale and part in one.parts]
    times = Counter(
        name for one in history for name in one.scored if name.rpartition(".seed")[0] in one.parts[part]
    )
    if not history:
        return None
    return Opened(
        part=part,
        scale=scale,
        publications=len(history),
        runs=times.total(),
        most=max(times.values()),
        first=history[0],
        last=history[-1],
    )
