"""The index of a folder of sound, of any size: a line of JSON for each file, then one over all of them.

Files are examined in processes of their own and told one by one into a second file, so that a preparation which is
stopped goes on where it was. The index itself is whole or not there.

A group, which no split cuts, is a folder at the topmost level that has `LEAST_FOLDERS`, so that a speaker's books stay
together; where no level has so many, the folder a recording lies in; where all lie in one, each is its own.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from common.data.manifest import Bad, check_bad_share
from common.data.splits import Component, named_part
from common.data.workers import workers
from common.files import replacing
from common.progress import progress, say
from speech_adapters.data import audio_files
from speech_adapters.model.architecture import SAMPLE_RATE_HZ

SPLIT: tuple[str, dict[str, float]] = ("unlabelled-0", {"train": 0.9, "dev": 0.05, "test": 0.05})
LEAST_FOLDERS = 50  # so that hardly ever a part comes out empty
DUPLICATE = "exact duplicate"  # the first words of that fault
MOST_BAD = 0.1  # share of files that may be left out before preparation stops
RULES = (2, SPLIT, LEAST_FOLDERS, audio_files.RULES)  # raise the first for new code
SLICE = 1024  # files handed to one pool of processes
SHOWN = 20  # files that preparation names on the screen; all are named in the index
CROPS_S = (2, 4, 8, 16)  # preparation says from how much of a folder they can be drawn


class Index:
    """The file as it was when it was opened, whoever replaces it; in memory are places and lengths alone.

    `places` are, of each part, where the lines of its recordings begin, and their samples at 16 kHz.
    """

    def __init__(self, path: Path):
        with path.open("rb") as file:
            self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        found = {part: (array("q"), array("q")) for part in SPLIT[1]}
        start, line = 0, dict[str, Any]()
        for raw in iter(self._lines.readline, b""):
            line = json.loads(raw)
            if part := line.get("part"):
                found[part][0].append(start)
                found[part][1].append(line["samples"])
            start += len(raw)
        self.manifest_sha256 = str(line["manifest_sha256"])  # of the last one
        self.places = {part: (np.array(begin), np.array(samples)) for part, (begin, samples) in found.items()}

    def line(self, start: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._lines[start : self._lines.find(b"\n", start)])
        return found


def faults(path: Path) -> dict[str, str]:
    """Names of what is left out, and why."""
    with path.open("rb") as lines:
        return {line["name"]: line["fault"] for raw in lines if (line := json.loads(raw)).get("fault")}


def update(path: Path, folder: Path, names: Sequence[str], suspects: Collection[str]) -> bool:
    """Makes the index that of the files `names`; only those that are new, changed or `suspects` are examined.

    Returns whether it was written anew.

    Raises:
        ValueError: more than `MOST_BAD` of them are left out, with the list; what was examined stays known.
    """
    done = path.with_suffix(".progress")
    known = {name: one for name, one in (_known(path) | _known(done)).items() if name not in suspects}
    todo = [n for n in names if n not in known or known[n].identity != audio_files.identity(folder / n)]
    if path.exists() and not todo and len(known) == len(names) and not done.exists():
        return False
    _examine(folder, todo, done)
    _write(path, folder, names, known | _known(done))
    done.unlink(missing_ok=True)
    return True


class _Known(NamedTuple):
    identity: tuple[int, int]
    line: bytes


def _known(path: Path) -> dict[str, _Known]:
    """By name, what files were found to be; a line that a power cut tore says nothing."""
    found: dict[str, _Known] = {}
    for raw in path.read_bytes().splitlines() if path.exists() else ():
        try:
            line = json.loads(raw)
        except json.JSONDecodeError:
            continue
        if "name" in line:
            found[line["name"]] = _Known((line["bytes"], line["mtime_ns"]), raw)
    return found


# ---- examining


def _examine(folder: Path, names: Sequence[str], done: Path) -> None:
    if names:
        say(f"{folder}: decoding {len(names)} files, once")
    with progress("decoding", len(names), "file") as bar, done.open("a", encoding="utf-8") as file:
        file.write("\n")  # a line that a power cut tore shall not spoil the next
        for begin in range(0, len(names), SLICE):
            for line in examined(folder, names[begin : begin + SLICE]):
                file.write(json.dumps(line) + "\n")
                file.flush()
                bar.advance()


def examined(folder: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What `audio_files.examine` says of each file, and its name; every core works."""
    look, num_done = partial(_look, folder), 0
    try:
        with workers(len(names)) as pool:
            for line in pool.map(look, names, chunksize=4):
                num_done += 1
                yield line
    except BrokenProcessPool:  # some file crashes its decoder; alone in a process, it is known which
        remaining = list(names[num_done:])
        while remaining:
            try:
                with workers(1) as pool:
                    while remaining:
                        yield pool.submit(look, remaining[0]).result()
                        del remaining[0]
            except BrokenProcessPool:
                crasher = remaining.pop(0)
                yield {"name": crasher} | audio_files.crashed(folder / crasher)


def _look(folder: Path, name: str) -> dict[str, Any]:
    return {"name": name} | audio_files.examine(folder / name)


# ---- writing


def _write(path: Path, folder: Path, names: Sequence[str], known: Mapping[str, _Known]) -> None:
    digest = hashlib.sha256(json.dumps(RULES).encode())
    left_out, told = dict[str, str](), list[tuple[str, str]]()
    with replacing(path) as beside:
        with beside.open("wb") as file:
            for line in _judged(names, known):
                file.write(json.dumps(line).encode() + b"\n")
                digest.update(json.dumps([line[key] for key in ("name", "sha256", "part", "fault")]).encode())
                told += [(line["name"], sentence) for sentence in line["told"]]
                if line["fault"]:
                    left_out[line["name"]] = line["fault"]
            file.write(json.dumps({"manifest_sha256": digest.hexdigest()}).encode() + b"\n")
        _tell(folder, "left out", list(left_out.items()))
        _tell(folder, "kept", told)
        bad = [Bad(name, str(folder / name), fault) for name, fault in left_out.items()]
        check_bad_share(bad, len(names), MOST_BAD)


def _judged(names: Sequence[str], known: Mapping[str, _Known]) -> Iterator[dict[str, Any]]:
    """Lines with what depends on other files too: group, part, and whether a file is an exact duplicate."""
    depth, first = _depth(names), dict[str, str]()
    for name in names:
        line = json.loads(known[name].line)
        if line["fault"].startswith(DUPLICATE):
            line["fault"] = ""
        if not line["fault"] and (earlier := first.setdefault(line["sha256"], name)) != name:
            line["fault"] = f"{DUPLICATE}: has the bytes of {earlier}"
        line["group"] = _group(name, depth)
        line["part"] = "" if line["fault"] else named_part(Component((line["group"],), ()), *SPLIT)
        yield line


def _depth(names: Sequence[str]) -> int:
    """How many folders of a path make its group; 0 where each recording is its own."""
    folders = {PurePosixPath(name).parent.parts for name in names}
    deepest = max(map(len, folders))
    for depth in range(1, deepest + 1):
        if len({parts[:depth] for parts in folders}) >= LEAST_FOLDERS:
            return depth
    return deepest if len(folders) > 1 else 0


def _group(name: str, depth: int) -> str:
    return "/".join(PurePosixPath(name).parent.parts[:depth]) or name


# ---- telling


def _tell(folder: Path, what: str, told: Sequence[tuple[str, str]]) -> None:
    kinds = Counter(sentence.partition(":")[0] for _, sentence in told)
    for name, sentence in told[:SHOWN]:
        say(f"{what}: {folder / name}: {sentence}")
    if told:
        say(f"{folder}: {what}, {', '.join(f'{number} {kind}' for kind, number in kinds.most_common())}")


def tell_hours(folder: Path, samples: Mapping[str, np.ndarray]) -> None:
    """Hours of each part, and how many of them are long enough for a crop: none is ever of two recordings."""
    for part, each in ((part, lengths / SAMPLE_RATE_HZ) for part, lengths in samples.items()):
        if not len(each):
            say(
                f"WARNING {folder}: no recording fell to {part}; a folder falls to one part whole, so spread them over "
                f"{LEAST_FOLDERS} folders or more, or put all into one"
            )
            continue
        shares = (f"{100 * each[each >= s].sum() / each.sum():.0f} % for {s} s" for s in CROPS_S)
        hours = f"{len(each)} recordings, {each.sum() / 3600:.2f} h"
        say(f"{folder}: {part} has {hours}, of which long enough for a crop: {', '.join(shares)}")
