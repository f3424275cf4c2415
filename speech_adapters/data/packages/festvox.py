"""Sentences read by one Russian speaker, recorded for a synthesiser, with labels of phones.

`etc/txt.done.data` has lines `( ID "TEXT" )`, where `+` before a vowel marks stress; `wav/ID.wav` is 16 kHz.
`lab/ID.lab` has, after a line `#`, lines `END 125 PHONE` with the end in seconds; `pau` is a pause.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from common.data.packages import Package, data_root
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.raw import RawUtterance, group_names, text_key
from speech_adapters.data.text import normalise

VOICE = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"
PACKAGE = Package(
    manager="apt",
    name="festvox-ru",
    version="0.5+dfsg-6",
    sha256="21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4",
    size_bytes=178_728_512,
    licence="as BSD: any use, with its notice, changes marked, names kept",
    files=(
        f"{VOICE}/etc/txt.done.data",
        f"{VOICE}/wav/*.wav",
        f"{VOICE}/lab/*.lab",
        "usr/share/doc/festvox-ru/copyright",
    ),
)
_LINE = re.compile(r'\( (\S+) "(.*)" \)')


class Phone(NamedTuple):
    """A labelled stretch of a recording, in seconds from its beginning."""

    start_s: float
    stop_s: float
    phone: str


@dataclass(frozen=True)
class FestvoxRussian(PackagedSpeech):
    """620 sentences, 1.7 h, by one speaker, with labels of phones."""

    language = "ru"
    name = "festvox-ru"

    @property
    def packages(self) -> tuple[Package, ...]:
        return (PACKAGE,)

    def read(self, root: Path) -> list[RawUtterance]:
        return utterances(root)

    def phones(self) -> dict[str, list[Phone]]:
        """Labels of every utterance by its id."""
        root = data_root()
        return {utterance.id: phones(root, utterance) for utterance in self.read(root)}


def utterances(root: Path) -> list[RawUtterance]:
    """Every sentence with both text and recording, sorted by id."""
    folder = f"{PACKAGE.folder}/{VOICE}"
    listed = (root / folder / "etc/txt.done.data").read_text("utf-8").splitlines()
    texts = {match[1]: match[2].replace("+", "") for line in listed if (match := _LINE.match(line))}
    groups = group_names({id_: [normalise(raw, "ru")] for id_, raw in texts.items()})
    return [
        RawUtterance(
            id=id_,
            source=FestvoxRussian.name,
            language="ru",
            text=(text := normalise(raw, "ru")),
            raw_text=raw,
            keys=(f"sentences:{groups[id_]}", text_key("ru", text)),
            speaker="nsh",
            path=f"{folder}/wav/{id_}.wav",
        )
        for id_, raw in sorted(texts.items())
        if (root / folder / f"wav/{id_}.wav").is_file()
    ]


def phones(root: Path, utterance: RawUtterance) -> list[Phone]:
    """Labels of an utterance, one after the other, pauses included.

    Raises:
        ValueError: times that run backwards, with the file.
    """
    path = root / PACKAGE.folder / VOICE / f"lab/{utterance.id}.lab"
    lines = path.read_text("utf-8").partition("#")[2].split("\n")
    found, start_s = [], 0.0
    for line in filter(None, (line.strip() for line in lines)):
        stop, _, phone = line.split()
        if float(stop) < start_s:
            raise ValueError(f"{path}: times must not run backwards, got {stop} after {start_s:g}")
        found.append(Phone(start_s, float(stop), phone))
        start_s = float(stop)
    return found
