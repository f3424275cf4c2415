"""Plain folders: audio files for pre-training, one by one, and audio with a table of texts.

FOLDER/**/NAME.{wav,flac,...}               audio_folder: no texts
FOLDER/manifest.tsv                         labelled_folder: PATH<TAB>TEXT, paths relative to the folder
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common.data.media import SOUND_SUFFIXES, is_utf8, shown
from common.data.packages import data_root
from common.progress import say
from speech_adapters.data.corpora.corpus import Corpus, Reading, opened, relative, within
from speech_adapters.data.corpora.public import PublicCorpus
from speech_adapters.data.raw import RawUtterance


def audio_folder(path: Path, language: str = "") -> Iterator[RawUtterance]:
    """Every audio file under `path`, without a text, in the order of their paths; the same on every machine.

    Holds one folder's names at a time, so millions of files stream. Links to files are followed, links to folders
    are not: they may lead in a circle. Nothing is decoded; a file that is no sound shows when it is read. Names that
    are not UTF-8 have no place in an index: they are left out, each with a line on stderr.

    Raises:
        ValueError: no such folder; or, when asked for the first, no audio in it.
    """
    root = data_root() / path
    if not root.is_dir():
        raise ValueError(f"{root} is no folder; place the audio there or set DATA_ROOT")
    return _stream(root, language)


def _stream(root: Path, language: str) -> Iterator[RawUtterance]:
    data, found = data_root(), False
    for file in _files(str(root)):
        name = Path(file).relative_to(root).as_posix()
        if not is_utf8(Path(name)):
            say(f"left out: {shown(Path(file))}: its name is not UTF-8; rename it")
            continue
        found = True
        yield RawUtterance(
            id=f"{root.name}/{name}",
            source=root.name,
            language=language,
            text="",
            raw_text="",
            keys=(f"recording:{root.name}/{name}",),
            speaker="",
            path=relative(Path(file), data),
        )
    if not found:
        raise ValueError(f"{root} holds no audio ({', '.join(SOUND_SUFFIXES)})")


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        # The order of a file system is its own; of sorted names it is everyone's.
        inside = sorted(
            (entry.name, entry.is_dir(follow_symlinks=False), entry.is_file()) for entry in entries
        )
    for name, is_folder, is_file in inside:
        if is_folder:
            yield from _files(os.path.join(folder, name))
        elif is_file and name.lower().endswith(SOUND_SUFFIXES):
            yield os.path.join(folder, name)


@dataclass(frozen=True)
class LabelledFolder(PublicCorpus):
    """Folders `train`, `dev` and `test` of anybody's audio, each with a table of texts."""

    path: str  # below DATA_ROOT
    language: str

    @property
    def name(self) -> str:
        return f"labelled-{self.path.replace('/', '-')}"

    def read(self, part: str) -> tuple[Corpus, ...]:
        corpus = labelled_folder(Path(self.path) / part, self.language)
        return (replace(corpus, name=f"{self.name}-{part}"),)


def labelled_folder(path: Path, language: str, *, sha256: str | None = None) -> Corpus:
    """A folder or archive with `manifest.tsv`: PATH<TAB>TEXT a line, quotation marks being letters of the text.

    Speakers are not known: parts of such a folder cannot be kept apart by speaker.
    """
    folder = opened(path, sha256)
    if not (folder / "manifest.tsv").is_file():
        inner = [
            file.parent for file in folder.glob("*/manifest.tsv")
        ]  # the one folder that an archive holds
        if len(inner) != 1:
            raise ValueError(f"{folder} must hold manifest.tsv with lines PATH<TAB>TEXT")
        folder = inner[0]
    table, reading = folder / "manifest.tsv", Reading(folder.name.removesuffix(".unpacked"), language)
    for where, line in reading.lines(table):
        fields = line.split("\t")
        audio = within(folder, fields[0])
        if len(fields) != 2:
            reading.reject(where, table, f"must be PATH<TAB>TEXT, got {len(fields)} fields: {line[:80]!r}")
        elif audio is None:
            reading.reject(where, table, f"path must lie in the folder, got {fields[0]!r}")
        else:
            name = f"{reading.name}/{Path(fields[0]).as_posix()}"
            reading.add(name, where, fields[1], audio, "", (f"recording:{name}",))
    return reading.corpus("manifest.tsv")
