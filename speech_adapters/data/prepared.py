"""From packages of real speech to prepared waveforms.

Every source is decoded once, cut free of silence at both ends, brought to one peak and kept as 16-bit samples at
16 kHz, all utterances end to end in one array. What a line of text cannot be trusted to say (digits, signs, stage
directions) is left out by rule and counted; what cannot be decoded is bad, listed by name, and capped.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.data import sealed
from common.data.arrays import writing_rows
from common.data.manifest import Bad, Entry, Manifest, check_bad_share
from common.data.packages import Package, data_root, fetch
from common.data.splits import check_disjoint
from common.files import only_writer, write_atomically
from common.progress import say, tracked
from speech_adapters.data import packs
from speech_adapters.data.decoding import SETTINGS, Decoded, content, decode_all, refusal
from speech_adapters.data.raw import RawUtterance
from speech_adapters.data.source import PARTS, Source, check_part
from speech_adapters.data.splits import PRETRAINING_SPLIT, SPLIT, Split, split_parts
from speech_adapters.data.text import NORMALISER
from speech_adapters.data.tracks import SpeakerTracks

EXPECTED = Path(__file__).with_name("manifests.json")
MOST_BAD = 0.05  # share of utterances that may be bad before preparation stops
# What every hash of data is over beside the data; the list names the sources that are split to pre-train on.
RULES = (SPLIT, PRETRAINING_SPLIT, ["fotaq-en"], NORMALISER, SETTINGS)


@dataclass(frozen=True)
class PreparedUtterance:
    """An utterance whose samples lie in its source's array."""

    id: str
    source: str
    language: str
    text: str  # normalised
    group: str
    speaker: str
    start: int  # in the array
    samples: int
    lead: int  # samples of silence that were cut off in front: times in the original are this much later
    array: Path = field(default=Path(), compare=False, repr=False)

    def waveform(self) -> Int16[ndarray, " sample"]:
        """Samples at 16 kHz, mapped from disk: copy before changing."""
        return _mapped(self.array)[self.start : self.start + self.samples]


@dataclass(frozen=True)
class PackagedSpeech(Source):
    """Speech inside packages of an ordinary registry, of one language, decoded once."""

    EDITION: ClassVar[int] = 1  # raise it when what is kept of the source changes
    SPLIT: ClassVar[Split] = SPLIT

    @property
    @abstractmethod
    def packages(self) -> tuple[Package, ...]: ...

    @abstractmethod
    def read(self, root: Path) -> list[RawUtterance]:
        """All that have text and audio in the packages below the data root, usable or not, sorted by id."""

    def prepare(self) -> None:
        if not self.index_path().exists():
            with only_writer(data_root() / "speech", wait=True):  # ranks of one run start at once
                if not self.index_path().exists():
                    _prepare(self)
        sealed.check_once(sealed.seal_of(self.index_path()))

    def utterances(self, part: str) -> tuple[PreparedUtterance, ...]:
        check_part(part)
        return _utterances(self.index_path(), self.name)[part]

    def tracks(self, part: str, min_samples: int = 0) -> SpeakerTracks:
        return SpeakerTracks(self.name, self.utterances(part), min_samples)

    def content_sha256(self) -> str:
        if self.index_path().exists():
            return str(self.index()["manifest_sha256"])
        return expected()[self.name]

    def bad(self) -> tuple[Bad, ...]:
        return tuple(Bad(*fault) for fault in self.index()["bad"])

    def left_out(self) -> Counter[str]:
        """Reasons of the rules, and how many utterances each left out."""
        return Counter(reason for _, reason in self.index()["left_out"])

    def verify(self) -> list[Bad]:
        available = available_here(self)
        lines = {line["id"]: line for line in self.index()["utterances"]}
        here = [u for u in available.utterances if u.id in lines]
        missing = sorted(set(lines) - {u.id for u in here})
        found = [Bad(id_, lines[id_]["path"], "missing") for id_ in missing]
        for utterance, decoded in zip(here, decode_all(here, available.read), strict=True):
            if reason := _difference(self.array_path(), lines[utterance.id], decoded):
                found.append(Bad(utterance.id, utterance.path, reason))
        return found or sealed.faults(sealed.seal_of(self.index_path()))

    def from_pack(self) -> bool:
        return packs.open_pack(data_root(), self.name) is not None

    # ---- where it lies

    def index_path(self) -> Path:
        """Written last. The name says by which code and from which packages."""
        pins = [f"{package.label} {package.sha256}" for package in self.packages]
        rules = [*RULES, [*pins, f"edition {self.EDITION}"]]
        digest = hashlib.sha256(json.dumps(rules).encode()).hexdigest()
        return data_root() / "speech" / f"{self.name}-{digest[:12]}.json"

    def array_path(self) -> Path:
        return self.index_path().with_suffix(".npy")

    def index(self) -> dict[str, Any]:
        """
        Raises:
            ValueError: it is not prepared.
        """
        return _index(self.index_path(), self.name)


def manifest_sha256(sources: Iterable[Source]) -> str:
    """Hash over what sources hold: ids, texts, groups, parts, the hash of every recording, and the rules."""
    held = {source.name: source.content_sha256() for source in sources}
    return hashlib.sha256(json.dumps([sorted(held.items()), [*RULES, []]]).encode()).hexdigest()


@cache
def expected() -> dict[str, str]:
    """Manifest hash of each source as it was when results were published; packages may change."""
    found: dict[str, str] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found


def pack(path: Path, sources: Sequence[PackagedSpeech]) -> str:
    """Writes prepared sources, as their packages have them, into one tar file; returns its sha256.

    Raises:
        ValueError: more than a pack may hold, with the size of each source.
    """
    for source in sources:
        source.prepare()
    contents = [
        packs.Contents(one.name, one.packages, one.index(), available_here(one).read) for one in sources
    ]
    return packs.write(path, data_root(), contents, manifest_sha256(sources))


# ---- preparation


def available_here(source: PackagedSpeech) -> packs.Packed:
    """Utterances and how to read their bytes: from a pack that was unpacked here, else from packages."""
    root = data_root()
    if packed := packs.open_pack(root, source.name):
        return packed
    if missing := [package for package in source.packages if not (root / package.folder).is_dir()]:
        size = sum(package.size_bytes for package in missing)
        say(f"{source.name}: {size / 1e6:.0f} MB of packages to download once, into {root}")
    for package in source.packages:
        fetch(package, root)
    return packs.Packed(source.read(root), partial(content, root), [], [])


def _prepare(source: PackagedSpeech) -> None:
    available = available_here(source)
    reasons = {u.id: reason for u in available.utterances if (reason := refusal(u))}
    todo = [u for u in available.utterances if u.id not in reasons]
    decoding = decode_all(todo, available.read)
    decoded = list(tracked(decoding, f"decoding {source.name}", len(todo), "utterance"))
    faults = [Bad(u.id, u.path, d.bad) for u, d in zip(todo, decoded, strict=True) if d.bad]
    for fault in faults:
        say(f"bad, left out: {fault}")
    check_bad_share(faults, len(todo), MOST_BAD)
    reasons |= {u.id: d.left_out for u, d in zip(todo, decoded, strict=True) if d.left_out}
    found = [(u, d) for u, d in zip(todo, decoded, strict=True) if len(d.samples)]
    parts = split_parts(source.SPLIT, [(u, d.sha256) for u, d in found])
    reasons |= {u.id: "occurs in another part too" for u, _ in found if u.id not in parts}
    kept = [(u, d) for u, d in found if u.id in parts]
    entries = [Entry(u.id, u.path, d.sha256, d.size, u.keys, parts[u.id]) for u, d in kept]
    check_disjoint(**{part: [e for e in entries if e.part == part] for part in PARTS})
    index = {
        "manifest_sha256": Manifest(tuple(entries)).sha256,
        "bad": [*available.bad, *((fault.id, fault.path, fault.reason) for fault in faults)],
        "left_out": sorted([*available.left_out, *reasons.items()]),
        "utterances": _write_samples(source.array_path(), kept, parts),
    }
    write_atomically(source.index_path(), json.dumps(index, ensure_ascii=False).encode())
    sealed.seal(sealed.seal_of(source.index_path()), [source.array_path(), source.index_path()])
    if expected().get(source.name, index["manifest_sha256"]) != index["manifest_sha256"]:
        say(
            f"WARNING {source.name}: its package holds other recordings or texts than published results were made "
            "with; your runs stand for themselves and are not compared with those"
        )
    say(
        f"{source.name}: {len(kept)} kept, {len(index['left_out'])} left out by rule, {len(index['bad'])} bad"
    )


def _write_samples(
    target: Path, kept: Sequence[tuple[RawUtterance, Decoded]], parts: dict[str, str]
) -> list[dict[str, Any]]:
    """The array, and a line for each utterance: where it lies in it, and everything else there is to know."""
    lines, start = [], 0
    for utterance, decoded in kept:
        place = {"start": start, "samples": len(decoded.samples), "lead": decoded.lead}
        lines.append(
            asdict(utterance) | place | {"sha256": decoded.sha256, "size": decoded.size}
            | {"group": utterance.group, "part": parts[utterance.id]}
        )  # fmt: skip
        start += len(decoded.samples)
    with writing_rows(target, start) as rows:
        for _, decoded in kept:
            rows.add(decoded.samples)
    return lines


def _difference(array: Path, line: dict[str, Any], decoded: Decoded) -> str:
    if decoded.bad or decoded.left_out:
        return decoded.bad or decoded.left_out
    if decoded.sha256 != line["sha256"]:
        return f"sha256 must be {line['sha256']}, got {decoded.sha256}"
    kept = _mapped(array)[line["start"] : line["start"] + line["samples"]]
    return (
        "" if np.array_equal(kept, decoded.samples) else "its prepared samples are not those of the recording"
    )


# ---- reading


@cache
def _index(path: Path, name: str) -> dict[str, Any]:
    if not path.exists():
        raise ValueError(f"{name} is not prepared in {data_root()}; run `python -m common.run data` first")
    index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return index


@cache
def _mapped(path: Path) -> ndarray:
    return sealed.mapped(path, sealed.seal_of(path))


@cache
def _utterances(path: Path, name: str) -> dict[str, tuple[PreparedUtterance, ...]]:
    told = {one.name for one in fields(PreparedUtterance)} - {"array"}
    found = defaultdict(list)
    for line in sorted(_index(path, name)["utterances"], key=lambda line: line["id"]):
        known = {key: line[key] for key in told}
        found[line["part"]].append(PreparedUtterance(**known, array=path.with_suffix(".npy")))
    return {part: tuple(found[part]) for part in PARTS}
