"""What a finished run leaves behind: one small JSON, the raw score of every item, and where both came from.

Judging starts here and needs no torch. A result is `RECIPE.seedN.json` beside
`RECIPE.seedN.items.jsonl.gz`; the JSON is written last, so a run without it is not finished.
"""

import gzip
import hashlib
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from common.files import write_atomically
from common.progress import say

MAX_ITEMS_BYTES = 200_000  # compressed; raw scores of every run live in git
SETTINGS_LAYOUT = (
    2  # how today's recipes spell their settings; results of layout 1 are translated by their paper
)
RECIPE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Item:
    """Raw scores of one test item.

    Args:
        group: the cluster that the bootstrap draws whole: source picture, dialogue, object.
        part: which test set it belongs to, e.g. "photographs".
        scores: keys carry the convention, e.g. "psnr[rgb,crop0,u8]"; counts (edits, words) are welcome, and
            so are inf and nan.
        texts: raw outputs that are no numbers, such as a hypothesis; judged by nobody, read by people.
        timed: names of the scores and texts that a clock decides. They are kept beside the raw scores, in the result,
            so that two equal runs have equal raw scores.
    """

    id: str
    group: str
    part: str
    scores: Mapping[str, float | int]
    texts: Mapping[str, str] = field(default_factory=dict)
    timed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """One recipe, one seed, and everything needed to ask where its numbers came from.

    `settings` holds what JSON can hold (a tuple comes back as a list). `items_file` and `items_sha256` are
    filled in by `write`. Hashes are hexadecimal sha256, None where the run used no such file.
    """

    paper: str
    recipe: str
    scale: str
    seed: int
    split: str  # "test" or "dev"
    settings: Mapping[str, Any]
    settings_hash: str
    settings_layout: int = 1  # see SETTINGS_LAYOUT; files that do not say are of layout 1
    totals: Mapping[str, float | int]
    wall_s: Mapping[str, float | int]  # "train" and "score", seconds
    peak_memory_bytes: int
    items_per_s: float | int
    commit: str
    dirty: bool  # the working tree differed from the commit, at any start
    lock_sha256: str
    manifest_sha256: str
    hardware: Mapping[str, Any]
    threads: int
    versions: Mapping[str, str]
    test_opened: int  # how many times this recipe and seed was scored on test
    finished_at: str  # ISO 8601, UTC
    pack_sha256: str | None = None
    backbone_sha256: str | None = None
    weights_sha256: str | None = None
    departures: tuple[str, ...] = ()
    bad_items: tuple[str, ...] = ()  # "id: reason" of what could not be read
    bad_items_share: float | int = 0.0  # in 0..1
    items_file: str = ""
    items_sha256: str = ""
    starts: tuple[
        Mapping[str, Any], ...
    ] = ()  # provenance of every start and of scoring, see `common.starts`
    times: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of items, see `Item.timed`

    def __post_init__(self) -> None:
        if not RECIPE_NAME.fullmatch(self.recipe):
            raise ValueError(f"recipe must be letters, digits, _ and -, got {self.recipe!r}")
        if self.split not in ("test", "dev"):
            raise ValueError(f"split must be 'test' or 'dev', got {self.split!r}")

    @property
    def name(self) -> str:
        """Stem of its files; a dev result never takes the place of a test result."""
        return f"{self.recipe}.seed{self.seed}" + ("" if self.split == "test" else f".{self.split}")


@dataclass(frozen=True)
class Run:
    """A result and its raw scores."""

    result: Result
    items: Sequence[Item]


def jsonable(value: Any) -> Any:
    """The value with every non-finite number as "nan", "inf" or "-inf": strict JSON has no such numbers."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)  # numpy scalars too; what is no number fails here, before anything is written
    return number if math.isfinite(number) else str(number)


def _numbers(values: Mapping[str, Any]) -> dict[str, float | int]:
    return {key: float(value) if isinstance(value, str) else value for key, value in values.items()}


def _encode_items(items: Iterable[Item]) -> bytes:
    """Gzipped JSON lines; equal items give equal bytes (no time stamp, no seconds, sorted keys)."""
    rows = []
    for item in items:
        row: dict[str, Any] = {"id": item.id, "group": item.group, "part": item.part}
        row["scores"] = {key: value for key, value in item.scores.items() if key not in item.timed}
        if texts := {key: text for key, text in item.texts.items() if key not in item.timed}:
            row["texts"] = texts
        rows.append(row)
    lines = [json.dumps(jsonable(row), sort_keys=True, allow_nan=False) + "\n" for row in rows]
    return gzip.compress("".join(lines).encode(), compresslevel=9, mtime=0)


def _times(items: Iterable[Item]) -> dict[str, dict[str, Any]]:
    """What `timed` names, by id of the item."""
    return {
        item.id: {
            "scores": {key: value for key, value in item.scores.items() if key in item.timed},
            "texts": {key: text for key, text in item.texts.items() if key in item.timed},
        }
        for item in items
        if item.timed
    }


def _decode_items(content: bytes, times: Mapping[str, Mapping[str, Any]]) -> list[Item]:
    rows = [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]
    items = []
    for row in rows:
        timed = times.get(row["id"], {"scores": {}, "texts": {}})
        scores = _numbers(row["scores"]) | _numbers(timed["scores"])
        texts = {**row.get("texts", {}), **timed["texts"]}
        items.append(
            Item(row["id"], row["group"], row["part"], scores, texts, (*timed["scores"], *timed["texts"]))
        )
    return items


def write(folder: Path, result: Result, items: Sequence[Item]) -> Path:
    """Writes the raw scores, then the result; returns the path of the result.

    Raises:
        ValueError: two items share an id, or the compressed scores exceed 200 kB.
    """
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        twice = sorted({id for id in ids if ids.count(id) > 1})[:5]
        raise ValueError(f"{result.name}: item ids must differ, seen more than once: {', '.join(twice)}")
    content = _encode_items(items)
    if len(content) > MAX_ITEMS_BYTES:
        raise ValueError(
            f"{result.name}: raw scores must fit {MAX_ITEMS_BYTES:,} bytes compressed, got {len(content):,} "
            f"for {len(items):,} items; keep fewer scores per item or round them"
        )
    items_file = f"{result.name}.items.jsonl.gz"
    digest = hashlib.sha256(content).hexdigest()
    result = replace(result, items_file=items_file, items_sha256=digest, times=_times(items))
    text = json.dumps(jsonable(asdict(result)), indent=1, sort_keys=True, allow_nan=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.name}.json"
    # A crash between the two files must leave an unfinished run, not an old result beside new scores.
    path.unlink(missing_ok=True)
    write_atomically(folder / items_file, content)
    write_atomically(path, text.encode())
    return path


def read_run(path: Path) -> Run:
    """One result with its raw scores, checked against the recorded hash.

    Raises:
        ValueError: the file is not a result, or one under another name, or the raw scores are missing or are not the
            recorded ones.
    """
    try:
        row = json.loads(path.read_bytes())
        unknown = set(row) - {field.name for field in fields(Result)}
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}")
        row |= {key: tuple(row.get(key, ())) for key in ("departures", "bad_items", "starts")}
        row |= {key: _numbers(row[key]) for key in ("totals", "wall_s")}
        row |= {key: float(row[key]) for key in ("items_per_s", "bad_items_share")}
        result = Result(**row)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not a result file ({error}); delete it and score again") from error
    if path.stem != result.name:
        raise ValueError(f"{path}: a copy of {result.name}.json under another name; move it away")
    items_path = path.parent / Path(result.items_file).name
    if not items_path.is_file():
        raise ValueError(f"{path}: its raw scores {items_path.name} are missing; score again")
    content = items_path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != result.items_sha256:
        raise ValueError(f"{items_path}: sha256 must be {result.items_sha256}, got {found}; score again")
    return Run(result, _decode_items(content, result.times))


def read(folder: Path) -> list[Run]:
    """Every finished run of a folder, by recipe, seed and split; none where the folder is missing.

    Raises:
        ValueError: a file there is damaged or is none of ours; see `readable`.
    """
    return _in_order(read_run(path) for path in sorted(folder.glob("*.json")))


def readable(folder: Path) -> list[Run]:
    """As `read`, for looking at them: a file that cannot be used is named on stderr, once, and left out."""
    return _in_order(filter(None, (read_or_name(path) for path in sorted(folder.glob("*.json")))))


def read_or_name(path: Path) -> Run | None:
    """The run, or None where the file cannot be used, which is named on stderr, once."""
    try:
        return read_run(path)
    except (ValueError, OSError) as error:
        name_odd(str(error))
        return None


@cache
def name_odd(sentence: str) -> None:
    """Says what was passed over; the same sentence once."""
    say(f"passed over: {sentence}")


def _in_order(runs: Iterable[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (run.result.recipe, run.result.seed, run.result.split))


def find(folder: Path, recipe: str, seed: int, split: str = "test") -> Run | None:
    """The finished run of a recipe and seed, else None."""
    path = path_of(folder, recipe, seed, split)
    return read_run(path) if path.is_file() else None


def path_of(folder: Path, recipe: str, seed: int, split: str) -> Path:
    """Where the result of a run lies, or would."""
    suffix = "" if split == "test" else f".{split}"
    return folder / f"{recipe}.seed{seed}{suffix}.json"


def same_settings_and_data(one: Result, other: Result) -> bool:
    return (one.settings, one.manifest_sha256) == (other.settings, other.manifest_sha256)


def publish(
    run_folder: Path,
    paper_results_folder: Path,
    recipes: Collection[str] | None = None,
    alike: Callable[[Result, Result], bool] = same_settings_and_data,
) -> list[Path]:
    """Copies the finished test runs of a folder, or of the recipes named, into the published results.

    A run with the very raw scores and weights that are published already, made by what `alike` takes for the same
    settings and data, stays as it was first published.

    Raises:
        ValueError: nothing to publish, a run was made on a dirty tree, or what is published already is damaged; nothing
            is copied then.
    """
    read(paper_results_folder)  # what is damaged there must be seen to first
    runs = [run for run in readable(run_folder) if run.result.split == "test"]
    runs = [run for run in runs if recipes is None or run.result.recipe in recipes]
    if not runs:
        raise ValueError(f"{run_folder}: no finished run to publish")
    dirty = [run.result.name for run in runs if run.result.dirty]
    if dirty:
        raise ValueError(
            f"published runs must come from a clean commit; these do not: {', '.join(dirty)}. "
            "Commit, then run again"
        )
    return [
        write(paper_results_folder, run.result, run.items)
        for run in runs
        if not _is_there(paper_results_folder, run.result, alike)
    ]


def _is_there(folder: Path, result: Result, alike: Callable[[Result, Result], bool]) -> bool:
    found = find(folder, result.recipe, result.seed)
    if found is None:
        return False
    hashes = (result.items_sha256, result.weights_sha256)
    return (found.result.items_sha256, found.result.weights_sha256) == hashes and alike(found.result, result)
