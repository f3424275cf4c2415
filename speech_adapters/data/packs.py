"""Speech for a machine without a network: the compressed originals of what was prepared, in one tar file.

Unpacked into a data root it holds, for every source, `speech/packed/SOURCE.bin`, recordings end to end as their
packages have them, `SOURCE.json.xz`, what is said in them and where they lie, and the packages' copyright files.
Prepared from it, a source has the same samples, splits and manifest as prepared from its packages.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from common.data.packages import Package
from common.data.packs import write_pack
from speech_adapters.data.raw import RawUtterance

FOLDER = "speech/packed"


@dataclass(frozen=True)
class Packed:
    """A source as a pack has it."""

    utterances: list[RawUtterance]
    read: Callable[[RawUtterance], bytes]
    left_out: list[tuple[str, str]]  # what was left out where it was packed, with reasons
    bad: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Contents:
    """A source as it was prepared, to be packed."""

    name: str
    packages: tuple[Package, ...]
    index: Mapping[str, Any]
    read: Callable[[RawUtterance], bytes]


def write(path: Path, root: Path, contents: Sequence[Contents], manifest_sha256: str) -> str:
    """Packs sources with their indices; returns the file's sha256, the same for the same content.

    Raises:
        ValueError: more than a pack may hold; says how much each source takes.
    """
    notices: set[bytes] = set()  # packages of one origin carry the same
    parts = {}
    for one in contents:
        members = list(_recordings(one))
        for name, text in _licences(one, root):
            if text not in notices:
                notices.add(text)
                members.append((name, text))
        parts[one.name] = members
    return write_pack(path, f"speech-{manifest_sha256[:12]}", manifest_sha256, parts)


def _recordings(one: Contents) -> Iterator[tuple[str, bytes]]:
    recordings = [one.read(_utterance(line)) for line in one.index["utterances"]]
    listed = {key: one.index[key] for key in ("utterances", "left_out", "bad")}
    yield f"{FOLDER}/{one.name}.bin", b"".join(recordings)
    yield f"{FOLDER}/{one.name}.json.xz", lzma.compress(json.dumps(listed, ensure_ascii=False).encode())


def _licences(one: Contents, root: Path) -> Iterator[tuple[str, bytes]]:
    for package in one.packages:
        for name in package.files:
            notice = root / package.folder / name
            if notice.name == "copyright" and notice.is_file():
                yield f"{FOLDER}/copyright/{package.name}", notice.read_bytes()


def _utterance(line: dict[str, Any]) -> RawUtterance:
    values = {field.name: line[field.name] for field in fields(RawUtterance)}
    return RawUtterance(**{**values, "keys": tuple(values["keys"])})


def open_pack(root: Path, name: str) -> Packed | None:
    """A source out of a pack that was unpacked into the data root; None where there is none."""
    listed = root / FOLDER / f"{name}.json.xz"
    if not listed.is_file():
        return None
    index = json.loads(lzma.decompress(listed.read_bytes()))
    places, at = {}, 0
    for line in index["utterances"]:
        places[line["id"]] = at, line["size"], line["sha256"]
        at += line["size"]
    utterances = [_utterance(line) for line in index["utterances"]]
    read = partial(_recording, root / FOLDER / f"{name}.bin", places)
    left_out = [(id_, reason) for id_, reason in index["left_out"]]
    return Packed(utterances, read, left_out, [(a, b, c) for a, b, c in index["bad"]])


def _recording(path: Path, places: dict[str, tuple[int, int, str]], utterance: RawUtterance) -> bytes:
    """
    Raises:
        OSError: missing, or other bytes than were packed.
    """
    at, size, sha256 = places[utterance.id]
    with path.open("rb") as file:
        file.seek(at)
        content = file.read(size)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise OSError(f"{path} has other bytes at {at} than were packed; unpack it again")
    return content
