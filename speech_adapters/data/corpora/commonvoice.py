"""Common Voice [Ardila20], every release from 1 on, from a local archive or folder.

cv-corpus-VERSION-DATE/LANGUAGE/{train,dev,test,validated,...}.tsv      a header, then a line per clip
cv-corpus-VERSION-DATE/LANGUAGE/clips/NAME.mp3
cv-corpus-VERSION_LANGUAGE/{train.tsv,...,clips/NAME.mp3}               releases 1 to 4, without an inner folder

Columns are found by name. Releases 1 to 4 have client_id, path, sentence, up_votes, down_votes, age, gender,
accent; 5.0 adds locale and segment (and shuffled the columns); accent is accents later on; 13.0 adds variant; 17.0
adds sentence_id and sentence_domain. Quotation marks are letters of a sentence and never enclose a field.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from speech_adapters.data.corpora.corpus import Corpus, Reading, opened, within
from speech_adapters.data.corpora.hours import draw_hours
from speech_adapters.data.corpora.public import PublicCorpus

SPLITS = ("train", "dev", "test", "validated")
NEEDED = ("client_id", "path", "sentence")
# Newest first: the column that a release brought, and which releases have it and none of those above.
BROUGHT = (("sentence_id", "17.0 and later"), ("variant", "13.0 to 16.1"), ("locale", "5.0 to 12.0"))
RELEASE = re.compile(r"cv-corpus-\d+(\.\d+)?(-delta)?(-\d{4}-\d{2}-\d{2}|-singleword)?")


@dataclass(frozen=True)
class CommonVoice(PublicCorpus):
    """Hours of one language to train on, drawn by seed, with its whole dev and test parts."""

    language: str
    hours: float = 10.0
    seed: int = 0

    @property
    def name(self) -> str:
        return f"common-voice-{self.language}-{self.hours:g}h"

    def read(self, part: str) -> tuple[Corpus, ...]:
        whole = common_voice(Path("CommonVoice"), self.language, part)
        return (draw_hours(whole, self.hours, self.seed).of(whole) if part == "train" else whole,)


def common_voice(
    path: Path, language: str, split: str, *, version: str | None = None, sha256: str | None = None
) -> Corpus:
    """One split of one language; train, dev and test share no speaker, validated holds all three.

    Args:
        path: the release's folder, what holds it, the language's own folder, or the archive as downloaded.
        version: of the release, as "17.0" or "cv-corpus-17.0-2024-03-15"; another one found is an error.
        sha256: of the archive, as the release page states it.

    Returns:
        A corpus whose version is the release's name, as its folder or archive has it, or else what its columns
        tell: "columns of 13.0 to 16.1".
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    folder = _language_folder(opened(path, sha256), language)
    table = folder / f"{split}.tsv"
    if not table.is_file():
        raise ValueError(f"{folder} must hold {split}.tsv; delta releases come without splits")
    reading = Reading(f"common-voice-{language}-{split}", language)
    columns = _read_table(table, folder / "clips", reading)
    found = _version(folder, columns)
    if version and version not in (found, *re.findall(r"cv-corpus-([\d.]+)", found)):
        raise ValueError(f"Common Voice must be version {version}, found {found} in {folder}")
    return reading.corpus(found)


def _language_folder(root: Path, language: str) -> Path:
    if (root / language / "clips").is_dir():
        return root / language
    # An inner folder of releases 1 to 4 is named after the language or is the archive's root.
    inner = (*root.glob(f"cv-corpus-*/{language}"), *root.glob(f"cv-corpus-*_{language}"))
    inner = tuple(sorted(folder for folder in inner if (folder / "clips").is_dir()))
    if len(inner) > 1:
        raise ValueError(f"{root} holds several releases, pass one: {', '.join(map(str, inner))}")
    if inner:
        return inner[0]
    if (root / "clips").is_dir():
        return root
    raise ValueError(f"{root} must hold {language}/clips or cv-corpus-VERSION/{language}/clips")


def _version(folder: Path, columns: list[str]) -> str:
    for name in reversed(folder.parts[-3:]):  # the language's folder, the release's, the archive's
        if release := RELEASE.search(name):
            return release[0]
    brought = (releases for column, releases in BROUGHT if column in columns)
    return f"columns of {next(brought, '1 to 4')}"


def _read_table(table: Path, clips: Path, reading: Reading) -> list[str]:
    """Adds every line; returns the column names."""
    lines = reading.lines(table)
    columns = next(lines, ("", ""))[1].split("\t")
    if missing := [name for name in NEEDED if name not in columns]:
        raise ValueError(f"{table} needs the columns {', '.join(missing)}, got {', '.join(columns)}")
    for where, line in lines:
        fields = line.split("\t")
        if len(fields) != len(columns):
            reading.reject(where, table, f"must have {len(columns)} fields, got {len(fields)}: {line[:80]!r}")
            continue
        _read_row(where, dict(zip(columns, fields, strict=True)), table, clips, reading)
    return columns


def _read_row(where: str, row: dict[str, str], table: Path, clips: Path, reading: Reading) -> None:
    name = row["path"] if row["path"].endswith(".mp3") else f"{row['path']}.mp3"  # the first releases
    audio = within(clips, name)
    if audio is None:
        reading.reject(where, table, f"path must name a file in clips, got {row['path']!r}")
    elif not row["client_id"]:
        reading.reject(where, table, "client_id is empty: nobody can tell whose voice it is")
    elif row.get("locale", reading.language) != reading.language:
        reading.reject(where, table, f"locale must be {reading.language!r}, got {row['locale']!r}")
    else:
        prefix = "" if audio.stem.startswith("common_voice_") else f"common_voice_{reading.language}_"
        # A client_id is a hash of 128 digits; 16 of them tell as many speakers apart.
        speaker = f"common-voice-{row['client_id'][:16]}"
        reading.add(f"{prefix}{audio.stem}", where, row["sentence"], audio, speaker)
