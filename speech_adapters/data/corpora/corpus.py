"""What every reader hands back, and what all of them do: open a folder or an archive, judge lines, keep the bad."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.data.archives import DamagedArchive, unpack
from common.data.manifest import Bad, check_bad_share
from common.data.packages import data_root, file_sha256
from common.data.splits import SplitLeak
from common.files import new_folder, only_writer, write_atomically
from speech_adapters.data.raw import RawUtterance, text_key
from speech_adapters.data.text import alphabet, foreign, normalise, unspoken

STAMP = ".unpacked.json"
ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".tar", ".zip")
# Of the archives as published, as torchaudio 2.11 lists them; another file under such a name is refused.
PUBLISHED = {
    "dev-clean.tar.gz": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other.tar.gz": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean.tar.gz": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other.tar.gz": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100.tar.gz": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360.tar.gz": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500.tar.gz": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    "librispeech_finetuning.tgz": "5d1efdc777b548194d7e09ba89126e2188026df9fd57aa57eb14408d2b2342af",
}


@dataclass(frozen=True)
class Corpus:
    """One part of one release: what can be used, and what cannot with the reason."""

    name: str
    version: str
    utterances: tuple[RawUtterance, ...]  # sorted by id
    bad: tuple[Bad, ...]

    @property
    def sha256(self) -> str:
        """Over ids and texts as published: differs between releases, whatever their folders are called."""
        lines = "".join(f"{utterance.id}\t{utterance.raw_text}\n" for utterance in self.utterances)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def speakers(self) -> tuple[str, ...]:
        return tuple(sorted({utterance.speaker for utterance in self.utterances}))

    def bad_share(self, cap: float) -> float:
        """The share of bad lines and files, in 0..1; raises with the whole list when it exceeds `cap`."""
        return check_bad_share(self.bad, len(self.utterances) + len(self.bad), cap)


def check_apart(kind: str, **parts: Corpus) -> None:
    """Raises SplitLeak when two parts share a key of a kind: "speaker", "chapter", "book", "text".

    Official splits share no speaker. Texts they may share: two people read the same sentence.
    """
    owner: dict[str, tuple[str, str]] = {}
    for part, corpus in parts.items():
        keys = ((key, u.id) for u in corpus.utterances for key in u.keys if key.startswith(f"{kind}:"))
        for key, id in keys:
            other_part, other_id = owner.setdefault(key, (part, id))
            if other_part != part:
                raise SplitLeak(f"{other_id} ({other_part}) and {id} ({part}) share {key!r}")


# ---- opening


def opened(path: Path, sha256: str | None = None) -> Path:
    """The folder itself, or the folder `NAME.unpacked` beside an archive, filled when first asked for.

    Args:
        path: relative to `DATA_ROOT`, or absolute.
        sha256: of the archive, as its publisher states it; the known ones (`PUBLISHED`) are checked without.

    Raises:
        ValueError: nothing there, no known kind of archive, or another hash than expected.
        UnsafeArchive: an archive that would write outside its folder.
    """
    path = data_root() / path
    if path.is_dir():
        if sha256:
            raise ValueError(f"sha256 is that of an archive, but {path} is a folder; pass the archive")
        return path
    if not path.is_file():
        raise ValueError(f"{path} is no folder and no archive; place the corpus there or set DATA_ROOT")
    suffix = next((suffix for suffix in ARCHIVES if path.name.endswith(suffix)), None)
    if suffix is None:
        raise ValueError(f"{path} must be a folder or end in {', '.join(ARCHIVES)}")
    folder = path.with_name(path.name.removesuffix(suffix) + ".unpacked")
    expected = sha256 or PUBLISHED.get(path.name)
    if not _is_of(folder, path):
        with only_writer(path.parent, wait=True):  # ranks of one run start at once
            if not _is_of(folder, path):
                _unpack(path, folder, expected)
    _check_sha256(path, _stamp(folder)["sha256"], expected)
    return folder


def _stamp(folder: Path) -> dict[str, Any]:
    file = folder / STAMP
    stamp: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return stamp


def _identity(archive: Path) -> dict[str, Any]:
    # Hashing hundreds of gigabytes takes an hour: an archive whose size and date stand is the one that was hashed.
    return {"archive": archive.name, "bytes": archive.stat().st_size, "mtime_ns": archive.stat().st_mtime_ns}


def _is_of(folder: Path, archive: Path) -> bool:
    return _identity(archive).items() <= _stamp(folder).items()


def _check_sha256(archive: Path, found: str, expected: str | None) -> None:
    if expected not in (None, found):
        raise ValueError(
            f"{archive.name} must have sha256 {expected}, got {found} ({archive.stat().st_size} bytes); "
            "fetch it again, or unpack it and pass the folder if it is meant to differ"
        )


def _unpack(archive: Path, folder: Path, expected: str | None) -> None:
    """All or nothing: the folder gets its name after the last file and the stamp."""
    before, stamp = _stamp(folder), _identity(archive) | {"sha256": file_sha256(archive)}
    _check_sha256(archive, stamp["sha256"], expected)
    if before.get("sha256") == stamp["sha256"]:  # copied or touched, still the same archive
        write_atomically(folder / STAMP, json.dumps(stamp).encode())
        return
    if folder.exists() and not before:
        raise ValueError(
            f"{folder} was not made from {archive.name} by us; pass it, or move it out of the way"
        )
    try:
        with new_folder(folder) as work:
            unpack(archive, work)
            write_atomically(work / STAMP, json.dumps(stamp).encode())
            shutil.rmtree(folder, ignore_errors=True)
    except (DamagedArchive, OSError) as error:
        raise ValueError(f"{archive} cannot be unpacked ({error}); fetch it again or make room") from error


def inside(root: Path, *names: str) -> Path:
    """The folder with one of `names` in `root`, or `root` itself where that is its name."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    if root.name in {Path(name).name for name in names}:
        return root
    raise ValueError(f"{root} must hold a folder {' or '.join(names)}")


# ---- reading


class Reading:
    """Lines of transcripts as they come: each becomes an utterance, or is kept as bad with file, line and reason."""

    def __init__(self, name: str, language: str):
        alphabet(language)  # an unknown language is an error before anything is read
        self.name, self.language = name, language
        self._root = data_root()
        self._found: dict[str, RawUtterance] = {}
        self._bad: list[Bad] = []

    def lines(self, file: Path) -> Iterator[tuple[str, str]]:
        """(where, line) without its end. Only "\\n" ends a line: texts hold U+2028 and U+0085."""
        with file.open("rb") as raw:
            for number, line in enumerate(raw, start=1):
                where = f"{file.name} line {number}"
                try:
                    yield where, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    self.reject(where, file, f"is not UTF-8: {error.reason} at byte {error.start}")

    def add(
        self, id: str, where: str, raw_text: str, audio: Path, speaker: str, keys: Iterable[str] = ()
    ) -> None:
        """An utterance; keys for its speaker and its text come with it."""
        text = normalise(raw_text, self.language)
        reason = self._fault(id, raw_text, text, audio)
        if reason:
            self.reject(id, audio, f"{where}: {reason}")
            return
        spoken_by = (f"speaker:{speaker}",) if speaker else ()
        self._found[id] = RawUtterance(
            id=id,
            source=self.name,
            language=self.language,
            text=text,
            raw_text=raw_text,
            keys=(*spoken_by, *keys, text_key(self.language, text)),
            speaker=speaker,
            path=self.relative(audio),
        )

    def _fault(self, id: str, raw_text: str, text: str, audio: Path) -> str | None:
        if id in self._found:
            return "the same utterance occurs before"
        try:
            if os.stat(audio).st_size == 0:
                return "the audio file is empty (0 bytes)"
        except OSError:
            return "there is no audio file"
        if not raw_text.strip():
            return "the text is empty"
        if signs := unspoken(raw_text):
            return f"letters do not tell the sound of {signs!r} in {raw_text!r}"
        if letters := foreign(raw_text, self.language):
            return f"{letters!r} cannot be written in {self.language!r}, in {raw_text!r}"
        if not text:
            return f"no letter of {self.language!r} in {raw_text!r}"
        return None

    def reject(self, id: str, path: Path, reason: str) -> None:
        self._bad.append(Bad(id, self.relative(path), reason))

    def relative(self, path: Path) -> str:
        """To the data root; absolute where the corpus lies elsewhere, which `root / path` undoes."""
        return relative(path, self._root)

    def corpus(self, version: str) -> Corpus:
        """
        Raises:
            ValueError: nothing usable, with the first reasons.
        """
        if not self._found:
            told = "; ".join(str(bad) for bad in self._bad[:3]) or "there are no transcripts"
            raise ValueError(f"{self.name} holds no usable utterance: {told}")
        utterances = tuple(self._found[id] for id in sorted(self._found))
        return Corpus(self.name, version, utterances, tuple(self._bad))


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def within(folder: Path, name: str) -> Path | None:
    """`folder / name`, or None for a name that leads out of the folder."""
    path = Path(name)
    leads_out = not name or path.is_absolute() or ".." in path.parts or "\0" in name
    return None if leads_out else folder / path
