"""Speech for a machine without a network: the compressed originals of what was prepared, in one tar file.

Unpacked into a data root it holds, for every source, `speech/packed/SOURCE.bin`, recordings end to end as their
packages have them, `SOURCE.json.xz`, what is said in them and where they lie, and the packages' copyright files.
Prepared from it, a source has the same samples, splits and manifest as prepared from its packages.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from common.data import packs
from speech_adapters.data.packages.utterances import Utterance
from speech_adapters.data.sources import Source

FOLDER = "speech/packed"


@dataclass(frozen=True)
class Packed:
    """A source as a pack has it."""

    utterances: list[Utterance]
    read: Callable[[Utterance], bytes]
    left_out: list[tuple[str, str]]  # what was left out where it was packed, with reasons
    bad: list[tuple[str, str, str]]


def write_pack(
    path: Path,
    root: Path,
    manifest_sha256: str,
    sources: Sequence[tuple[Source, dict[str, Any], Callable[[Utterance], bytes]]],
) -> str:
    """Packs sources with their indices; returns the file's sha256, the same for the same content.

    Raises:
        ValueError: it is too large; says how much each source takes.
    """
    notices: set[bytes] = set()  # packages of one origin carry the same

    def members(
        one: Source, index: dict[str, Any], read: Callable[[Utterance], bytes]
    ) -> Iterator[tuple[str, bytes]]:
        yield from _recordings(one, index, read)
        fresh = [(name, text) for name, text in _licences(one, root) if text not in notices]
        notices.update(text for _, text in fresh)
        yield from dict(fresh).items()

    parts = {one.name: members(one, index, read) for one, index, read in sources}
    return packs.write_pack(path, f"speech-{manifest_sha256[:12]}", manifest_sha256, parts)


def _recordings(
    one: Source, index: dict[str, Any], read: Callable[[Utterance], bytes]
) -> Iterator[tuple[str, bytes]]:
    recordings = [read(_utterance(line)) for line in index["utterances"]]
    listed = {key: index[key] for key in ("utterances", "left_out", "bad")}
    yield f"{FOLDER}/{one.name}.bin", b"".join(recordings)
    yield f"{FOLDER}/{one.name}.json.xz", lzma.compress(json.dumps(listed, ensure_ascii=False).encode())


def _licences(one: Source, root: Path) -> Iterator[tuple[str, bytes]]:
    found: dict[bytes, str] = {}
    for package in one.packages:
        for name in package.files:
            notice = root / package.folder / name
            if notice.name == "copyright" and notice.is_file():
                found.setdefault(notice.read_bytes(), f"{FOLDER}/copyright/{package.name}")
    yield from ((name, text) for text, name in found.items())


def _utterance(line: dict[str, Any]) -> Utterance:
    values = {field.name: line[field.name] for field in fields(Utterance)}
    return Utterance(**{**values, "keys": tuple(values["keys"])})


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


def _recording(path: Path, places: dict[str, tuple[int, int, str]], utterance: Utterance) -> bytes:
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
