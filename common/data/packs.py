"""Packs: one tar file with all that a machine without a network needs, to be unpacked into its data root.

DATA_ROOT/packs/NAME.json    written last: what the pack holds, with hashes, and the manifest it stands for
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from common.data.manifest import Bad
from common.data.packages import file_sha256
from common.files import replacing
from common.strict_json import parsed

MOST_PACK_BYTES = 40_000_000
FOLDER = "packs"
Member = tuple[str, bytes | Path]  # name below the data root, and the content or the file that has it


@dataclass(frozen=True)
class Pack:
    """What a pack says of itself."""

    name: str
    manifest_sha256: str
    files: Mapping[str, str]  # name below the data root to sha256

    def faults(self, root: Path) -> list[Bad]:
        """Files that are missing or have other bytes than were packed."""
        return [
            Bad(name, name, "missing, or other bytes than were packed; unpack the pack again")
            for name, sha256 in self.files.items()
            if not (root / name).is_file() or file_sha256(root / name) != sha256
        ]


def write_pack(path: Path, name: str, manifest_sha256: str, parts: Mapping[str, Iterable[Member]]) -> str:
    """Writes a pack; equal content gives equal bytes, whoever packs it and when.

    Args:
        name: of the pack, see `open_pack`.
        manifest_sha256: of the data that is packed.
        parts: members by the name that the error about a pack too large calls them by. They are compressed already.

    Returns:
        sha256 of the file.

    Raises:
        ValueError: more than `MOST_PACK_BYTES`; says how much each part takes.
    """
    files, sizes = dict[str, str](), dict[str, int]()
    with replacing(path) as beside:
        with tarfile.open(beside, "w", format=tarfile.PAX_FORMAT) as tar:
            for part, members in parts.items():
                before = tar.offset
                for member, content in members:
                    files[member] = _add(tar, member, content)
                sizes[part] = tar.offset - before
            note = asdict(Pack(name, manifest_sha256, files))
            _add(tar, f"{FOLDER}/{name}.json", json.dumps(note, indent=1).encode())
        size = beside.stat().st_size
        if size > MOST_PACK_BYTES:
            listed = ", ".join(f"{part} {each / 1e6:.1f}" for part, each in sizes.items())
            raise ValueError(
                f"a pack must fit {MOST_PACK_BYTES / 1e6:.0f} MB, got {size / 1e6:.1f} ({listed}); "
                "write several packs, they can be unpacked into one folder"
            )
        return file_sha256(beside)


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> str:
    """Adds a file without owner, date or mode of its own; returns its sha256."""
    held = content if isinstance(content, bytes) else content.read_bytes()
    member = tarfile.TarInfo(name)
    member.size = len(held)
    tar.addfile(member, io.BytesIO(held))
    return hashlib.sha256(held).hexdigest()


def open_pack(root: Path, name: str) -> Pack | None:
    """The pack of that name that was unpacked into the data root; None where there is none.

    Raises:
        ValueError: its note is damaged.
    """
    path = root / FOLDER / f"{name}.json"
    if not path.is_file():
        return None
    try:
        return Pack(**parsed(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); unpack the pack again") from error
