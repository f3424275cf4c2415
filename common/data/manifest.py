"""What a set of data is: one line per item with the hash of its content, and one hash over all of them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from common.data.packages import file_sha256
from common.files import write_atomically
from common.progress import tracked
from common.strict_json import parsed


@dataclass(frozen=True)
class Entry:
    """One item. Several items may lie in one file (shots of a film); they then share path and hash."""

    id: str
    path: str  # relative to the data root
    sha256: str  # of the file
    bytes: int
    keys: tuple[str, ...]  # groups (source picture, recording, speaker ...) that no split cuts
    part: str


@dataclass(frozen=True)
class Bad:
    """An item that cannot be used, and why."""

    id: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.id} ({self.path}): {self.reason}"


@dataclass(frozen=True)
class Manifest:
    """Entries, sorted by id, each id once."""

    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        ids = [entry.id for entry in self.entries]
        twice = sorted({id for id in ids if ids.count(id) > 1}) if len(set(ids)) < len(ids) else []
        if twice:
            raise ValueError(f"an id names one item, but these occur more than once: {', '.join(twice)}")
        object.__setattr__(self, "entries", tuple(sorted(self.entries, key=lambda entry: entry.id)))

    @property
    def sha256(self) -> str:
        """Over the lines of the file; equal sets of entries have equal hashes, in any order."""
        return hashlib.sha256(self._text().encode()).hexdigest()

    def _text(self) -> str:
        return "".join(
            json.dumps(asdict(entry), sort_keys=True, ensure_ascii=False) + "\n" for entry in self.entries
        )

    def write(self, path: Path) -> None:
        """JSON lines, atomically."""
        write_atomically(path, self._text().encode())

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        entries = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                fields = parsed(line)
                entries.append(Entry(**{**fields, "keys": tuple(fields["keys"])}))
            except (json.JSONDecodeError, TypeError, KeyError) as error:
                raise ValueError(f"{path} line {number} is no manifest entry: {error}") from error
        return cls(tuple(entries))

    def verify(self, root: Path, decode: Callable[[Entry, Path], object]) -> list[Bad]:
        """Hashes every file, decodes every entry once; returns the bad ones in the decoder's own words."""
        digests: dict[str, str] = {}
        entries = tracked(self.entries, "decoding", len(self.entries), "item")
        return [bad for entry in entries for bad in _faults(entry, root, decode, digests)]


def _faults(
    entry: Entry, root: Path, decode: Callable[[Entry, Path], object], digests: dict[str, str]
) -> Iterator[Bad]:
    path = root / entry.path
    if not path.is_file():
        yield Bad(entry.id, entry.path, "missing")
        return
    if entry.path not in digests:
        digests[entry.path] = file_sha256(path)
    if digests[entry.path] != entry.sha256:
        found = f"sha256 is {digests[entry.path]} ({path.stat().st_size} bytes)"
        yield Bad(entry.id, entry.path, f"{found}, the manifest has {entry.sha256} ({entry.bytes} bytes)")
        return
    try:
        decode(entry, path)
    except Exception as error:  # whatever a decoder raises is what the list is for
        yield Bad(entry.id, entry.path, f"{type(error).__name__}: {error}")


def check_bad_share(bad: Sequence[Bad], total: int, cap: float) -> float:
    """The share of bad items, in 0..1; raises with the whole list when it exceeds `cap`."""
    if total < 1:
        raise ValueError(f"a set must hold items, got {total}; fetch the data first")
    share = len(bad) / total
    if share > cap:
        listed = "\n  ".join(str(item) for item in bad)
        raise ValueError(
            f"at most {100 * cap:g} % of items may be bad, got {len(bad)} of {total}:\n  {listed}"
        )
    return share
