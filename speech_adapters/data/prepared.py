"""From packages of real speech to prepared waveforms; the only place that splits speech.

Every source is decoded once, cut free of silence at both ends, brought to one peak and kept as 16-bit samples at
16 kHz, all utterances end to end in one array. What a line of text cannot be trusted to say (digits, signs, stage
directions) is left out by rule and counted; what cannot be decoded is bad, listed by name, and capped.

Splits are salted hashes over groups. Prompts that share a text in any language are a group, so that asterisk's
languages stay parallel. Of the game, a group is a dialogue. Everywhere else a group is what shares a text. Where a
text, or the very recording, still occurs in two parts, its lines are left out of every part.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16
from numpy import ndarray

from common.data.arrays import writing_rows
from common.data.manifest import Bad, Entry, Manifest, check_bad_share
from common.data.packages import data_root
from common.data.splits import Component, check_disjoint, named_part
from common.files import only_writer, write_atomically
from common.progress import say, tracked
from speech_adapters.data import packs, synthetic, unlabelled
from speech_adapters.data.decoding import SAMPLE_RATE_HZ, SETTINGS, Decoded, content, decode_all, refusal
from speech_adapters.data.packages.utterances import Utterance
from speech_adapters.data.sources import Source, source
from speech_adapters.data.text import NORMALISER
from speech_adapters.data.unlabelled import is_folder

PARTS = ("train", "dev", "test")
EXPECTED = Path(__file__).with_name("manifests.json")
# Of speech to pre-train on, little is probed. Each salt is the first of speech-0, speech-1, ... whose parts come near
# the shares: dialogues are few and of very different length. Nothing but their sizes was looked at.
SPLIT: tuple[str, dict[str, float]] = ("speech-0", {"train": 0.74, "dev": 0.08, "test": 0.18})
PRETRAINING_SPLIT: tuple[str, dict[str, float]] = ("speech-15", {"train": 0.88, "dev": 0.04, "test": 0.08})
PRETRAINED_ON = ("fotaq-en",)
MOST_BAD = 0.05  # share of utterances that may be bad before preparation stops


@dataclass(frozen=True)
class Clip:
    """One prepared utterance."""

    id: str
    source: str
    language: str
    text: str  # normalised
    group: str
    speaker: str
    start: int  # in the source's array
    samples: int
    lead: int  # samples of silence that were cut off in front: times in the original are this much later

    def waveform(self) -> Int16[ndarray, " sample"]:
        """Samples at 16 kHz, mapped from disk: copy before changing."""
        return _array(self.source, data_root())[self.start : self.start + self.samples]


def prepare(*names: str) -> None:
    """Fetches and decodes the sources named; at once when that was done. A folder of recordings is indexed instead.

    Raises:
        FetchError: a package that cannot be had.
        ValueError: an unknown source, or too much of a source is bad; what is bad is listed.
    """
    for name in filter(is_folder, names):
        unlabelled.prepare(name)
    for one in [source(name) for name in names if name != synthetic.SOURCE and not is_folder(name)]:
        if _index_path(one).exists():
            continue
        with only_writer(data_root() / "speech", wait=True):  # ranks of one run start at once
            if not _index_path(one).exists():
                _prepare(one)


def clips(name: str, split: str) -> tuple[Any, ...]:
    """Utterances of "train", "dev" or "test", sorted by id: clips; of a folder its recordings, which have no text.

    Raises:
        ValueError: an unknown source or split, or a source that was not prepared.
    """
    if split not in PARTS:
        raise ValueError(f"split must be train, dev or test, got {split!r}")
    if name == synthetic.SOURCE:
        return synthetic.clips(split)
    if is_folder(name):
        return tuple(unlabelled.recordings(name, split))
    return _clips(name, data_root())[split]


def manifest_sha256(*names: str) -> str:
    """Hash over what the sources hold: ids, texts, groups, parts, the hash of every recording, and the settings.

    Where a source is not prepared, of what is expected of it: published results can then be judged without data.
    """
    listed = [(name, _held(name)) for name in sorted(set(names))]
    return hashlib.sha256(json.dumps([listed, _settings(())]).encode()).hexdigest()


def _held(name: str) -> str:
    if name == synthetic.SOURCE:
        return name
    if is_folder(name):
        return unlabelled.manifest_sha256(name)
    prepared = _index_path(source(name)).exists()
    return str(_index(name, data_root())["manifest_sha256"]) if prepared else expected()[name]


@cache
def expected() -> dict[str, str]:
    """Manifest hash of each source as it was when results were published; packages may change."""
    found: dict[str, str] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found


def bad(*names: str) -> tuple[Bad, ...]:
    """What could not be decoded when the sources were prepared; of a folder, all that is left out."""
    real = [name for name in names if name != synthetic.SOURCE and not is_folder(name)]
    folders = [fault for name in filter(is_folder, names) for fault in unlabelled.bad(name)]
    return (*(Bad(*fields) for name in real for fields in _index(name, data_root())["bad"]), *folders)


def left_out(*names: str) -> Counter[str]:
    """Reasons of the rules, and how many utterances each left out."""
    return Counter(reason for name in names for _, reason in _index(name, data_root())["left_out"])


def verify(*names: str) -> list[Bad]:
    """Reads and decodes every kept utterance again; what is no longer what was prepared, by name."""
    found: list[Bad] = []
    for name in names:
        available = _available(source(name))
        lines = {line["id"]: line for line in _index(name, data_root())["utterances"]}
        here = [u for u in available.utterances if u.id in lines]
        missing = sorted(set(lines) - {u.id for u in here})
        found += [Bad(id_, lines[id_]["path"], "missing") for id_ in missing]
        decoding = tracked(decode_all(here, available.read), f"decoding {name}", len(here), "utterance")
        for utterance, decoded in zip(here, decoding, strict=True):
            if reason := _difference(name, lines[utterance.id], decoded):
                found.append(Bad(utterance.id, utterance.path, reason))
    return found


def _difference(name: str, line: dict[str, Any], decoded: Decoded) -> str:
    if decoded.bad or decoded.left_out:
        return decoded.bad or decoded.left_out
    if decoded.sha256 != line["sha256"]:
        return f"sha256 must be {line['sha256']}, got {decoded.sha256}"
    kept = _array(name, data_root())[line["start"] : line["start"] + line["samples"]]
    return (
        "" if np.array_equal(kept, decoded.samples) else "its prepared samples are not those of the recording"
    )


def pack(path: Path, *names: str) -> str:
    """Writes prepared sources, as their packages have them, into one tar file; returns its sha256.

    Raises:
        ValueError: it is too large, with the size of each source.
    """
    prepare(*names)
    root = data_root()
    chosen = [(source(name), _index(name, root), _available(source(name)).read) for name in names]
    return packs.write_pack(path, root, manifest_sha256(*names), chosen)


def packed(*names: str) -> bool:
    """Whether each of the sources came here in a pack."""
    return all(packs.open_pack(data_root(), name) for name in names)


# ---- preparation


def _settings(packages: Iterable[str]) -> list[Any]:
    return [SPLIT, PRETRAINING_SPLIT, PRETRAINED_ON, NORMALISER, SETTINGS, list(packages)]


def _index_path(one: Source) -> Path:
    """Written last. The name says by which code and from which packages."""
    pins = [f"{package.label} {package.sha256}" for package in one.packages]
    digest = hashlib.sha256(json.dumps(_settings([*pins, f"edition {one.edition}"])).encode()).hexdigest()
    return data_root() / "speech" / f"{one.name}-{digest[:12]}.json"


def _available(one: Source) -> packs.Packed:
    """Utterances and how to read their bytes: from a pack that was unpacked here, else from packages."""
    root = data_root()
    if packed := packs.open_pack(root, one.name):
        return packed
    if missing := [package for package in one.packages if not (root / package.folder).is_dir()]:
        size = sum(package.size_bytes for package in missing)
        say(f"{one.name}: {size / 1e6:.0f} MB of packages to download once, into {root}")
    one.fetch(root)
    return packs.Packed(one.utterances(root), partial(content, root), [], [])


def _prepare(one: Source) -> None:
    available = _available(one)
    reasons = {u.id: reason for u in available.utterances if (reason := refusal(u))}
    todo = [u for u in available.utterances if u.id not in reasons]
    decoding = decode_all(todo, available.read)
    decoded = list(tracked(decoding, f"decoding {one.name}", len(todo), "utterance"))
    faults = [Bad(u.id, u.path, d.bad) for u, d in zip(todo, decoded, strict=True) if d.bad]
    for fault in faults:
        say(f"bad, left out: {fault}")
    check_bad_share(faults, len(todo), MOST_BAD)
    reasons |= {u.id: d.left_out for u, d in zip(todo, decoded, strict=True) if d.left_out}
    found = [(u, d) for u, d in zip(todo, decoded, strict=True) if len(d.samples)]
    parts = split_parts(one.name, [(u, d.sha256) for u, d in found])
    reasons |= {u.id: "occurs in another part too" for u, _ in found if u.id not in parts}
    kept = [(u, d) for u, d in found if u.id in parts]
    entries = [Entry(u.id, u.path, d.sha256, d.size, u.keys, parts[u.id]) for u, d in kept]
    check_disjoint(**{part: [e for e in entries if e.part == part] for part in PARTS})
    index = {
        "manifest_sha256": Manifest(tuple(entries)).sha256,
        "bad": [*available.bad, *((fault.id, fault.path, fault.reason) for fault in faults)],
        "left_out": sorted([*available.left_out, *reasons.items()]),
        "utterances": _write_samples(_index_path(one).with_suffix(".npy"), kept, parts),
    }
    write_atomically(_index_path(one), json.dumps(index, ensure_ascii=False).encode())
    if expected().get(one.name, index["manifest_sha256"]) != index["manifest_sha256"]:
        say(
            f"WARNING {one.name}: its package holds other recordings or texts than published results were made with; "
            "your runs stand for themselves and are not compared with those"
        )
    say(f"{one.name}: {len(kept)} kept, {len(index['left_out'])} left out by rule, {len(index['bad'])} bad")


def split_parts(name: str, items: Sequence[tuple[Utterance, str]]) -> dict[str, str]:
    """Utterance to part, for (utterance, hash of its recording); those that would stand in two parts are missing."""
    salt, shares = PRETRAINING_SPLIT if name in PRETRAINED_ON else SPLIT
    part = {u.group: named_part(Component((u.group,), u.keys), salt, shares) for u, _ in items}
    seen = defaultdict(set)
    for u, digest in items:
        for key in (*u.keys, digest):
            seen[key].add(part[u.group])
    return {
        u.id: part[u.group] for u, digest in items if all(len(seen[key]) == 1 for key in (*u.keys, digest))
    }


def _write_samples(
    target: Path, kept: Sequence[tuple[Utterance, Decoded]], parts: dict[str, str]
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


# ---- reading; the data root is an argument so that a cache cannot outlive a change of it


@cache
def _index(name: str, root: Path) -> dict[str, Any]:
    path = _index_path(source(name))
    if not path.exists():
        raise ValueError(f"{name} is not prepared in {root}; call prepare({name!r}) first")
    index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return index


@cache
def _array(name: str, root: Path) -> ndarray:
    array: ndarray = np.load(_index_path(source(name)).with_suffix(".npy"), mmap_mode="r")
    return array


@cache
def _clips(name: str, root: Path) -> dict[str, tuple[Clip, ...]]:
    fields = Clip.__dataclass_fields__
    found = defaultdict(list)
    for line in sorted(_index(name, root)["utterances"], key=lambda line: line["id"]):
        found[line["part"]].append(Clip(**{field: line[field] for field in fields}))
    return {part: tuple(found[part]) for part in PARTS}


def hours(name: str, split: str) -> float:
    return sum(clip.samples for clip in clips(name, split)) / SAMPLE_RATE_HZ / 3600
