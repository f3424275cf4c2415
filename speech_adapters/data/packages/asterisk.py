"""Voice prompts of a telephone exchange, one professional speaker a language, the same prompts in five languages.

A transcript is a text file with lines `prompt: text`; `;` begins a comment, `[...]` stands for tones. The audio is
G.722 at 16 kHz, a file per prompt. Since prompts are parallel, groups are made over all five transcripts whatever
language is read: prompts that share a text in any language stay together, so that every language splits alike.
"""

import gzip
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from common.data.packages import Package
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.raw import RawUtterance, group_names, text_key
from speech_adapters.data.text import check_language, normalise

VERSION = "1.6.1-1"
VOICES = {
    "en": "en_US_f_Allison",
    "fr": "fr_CA_f_June",
    "es": "es_MX_f_Allison",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}
SPEAKERS = {"en": "allison", "fr": "june", "es": "allison", "it": "carlo", "ru": "ivrvoice"}
_LICENCES = {"it": "CC-BY-3.0", "ru": "CC-BY-3.0"}
_SHA256 = {  # of the transcript's package and of the audio's
    "en": (
        "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
        "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
    ),
    "fr": (
        "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
    ),
    "es": (
        "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
        "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
    ),
    "it": (
        "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
        "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
    ),
    "ru": (
        "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
        "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
    ),
}
_BYTES = {
    "en": (22_844, 10_565_860),
    "fr": (23_152, 10_822_860),
    "es": (22_012, 13_048_380),
    "it": (23_972, 10_087_176),
    "ru": (25_592, 10_579_440),
}
# Menus name keys of a telephone by digits ("press 1"), which the speakers read as these words.
DIGITS = {
    "en": "zero one two three four five six seven eight nine",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "it": "zero uno due tre quattro cinque sei sette otto nove",
    "ru": "ноль один два три четыре пять шесть семь восемь девять",
}


def _package(language: str, audio: bool) -> Package:
    name = f"asterisk-core-sounds-{language}" + ("-g722" if audio else "")
    text = f"usr/share/doc/{name}/core-sounds-{language}.txt.gz"
    return Package(
        manager="apt",
        name=name,
        version=VERSION,
        sha256=_SHA256[language][audio],
        size_bytes=_BYTES[language][audio],
        licence=_LICENCES.get(language, "CC-BY-SA-3.0"),
        files=(
            f"usr/share/asterisk/sounds/{VOICES[language]}/*.g722" if audio else text,
            f"usr/share/doc/{name}/copyright",
        ),
    )


TRANSCRIPTS = {language: _package(language, audio=False) for language in VOICES}
AUDIO = {language: _package(language, audio=True) for language in VOICES}


@dataclass(frozen=True)
class Asterisk(PackagedSpeech):
    """477 to 579 prompts, 0.4 h, by one professional speaker."""

    language: str
    EDITION = 2

    def __post_init__(self) -> None:
        check_language(self.language, VOICES)

    @property
    def name(self) -> str:
        return f"asterisk-{self.language}"

    @property
    def packages(self) -> tuple[Package, ...]:
        return (*TRANSCRIPTS.values(), AUDIO[self.language])

    def read(self, root: Path) -> list[RawUtterance]:
        return utterances(root, self.language)


def utterances(root: Path, language: str) -> list[RawUtterance]:
    """Every prompt with both text and audio, sorted by id."""
    groups = _groups(root)
    folder = f"{AUDIO[language].folder}/usr/share/asterisk/sounds/{VOICES[language]}"
    found = []
    for prompt, texts in sorted(transcript(root, language).items()):
        path = f"{folder}/{prompt}.g722"
        if not (root / path).is_file():
            continue
        text = normalise(texts[0], language)
        found.append(
            RawUtterance(
                id=prompt,
                source=f"asterisk-{language}",
                language=language,
                text=text,
                raw_text=texts[0],
                keys=(f"prompts:{groups[prompt]}", f"prompt:{prompt}", text_key(language, text)),
                speaker=SPEAKERS[language],
                path=path,
                format="g722",
                flaw=_flaw(texts),
            )
        )
    return found


def transcript(root: Path, language: str) -> dict[str, tuple[str, ...]]:
    """Prompt to its text, or to its different texts where a slip gave it more than one."""
    package = TRANSCRIPTS[language]
    lines = gzip.decompress((root / package.folder / package.files[0]).read_bytes()).decode("utf-8-sig")
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for line in lines.splitlines():
        prompt, colon, text = line.partition(":")
        prompt, text = prompt.strip(), text.strip()
        text = text.removeprefix(f"{prompt}:").strip()  # a few lines name their prompt twice
        if colon and text and not line.startswith(";") and "[" not in text:
            found[prompt][spell_keys(text, language)] = None
    return {prompt: tuple(texts) for prompt, texts in found.items()}


def _flaw(texts: tuple[str, ...]) -> str:
    if len(texts) > 1:
        return "has two texts"
    return "names another prompt in its text" if re.search(r"\b[a-z]+(-[a-z]+)+: ", texts[0]) else ""


def spell_keys(text: str, language: str) -> str:
    """Digits that stand alone as words; longer numbers stay, since nobody wrote how they are read."""
    words = DIGITS[language].split()
    return re.sub(r"(?<![\d.,])\d(?![.,]?\d)", lambda digit: words[int(digit[0])], text)


@cache
def _groups(root: Path) -> dict[str, str]:
    links: dict[str, list[str]] = defaultdict(list)
    for language in VOICES:
        for prompt, texts in transcript(root, language).items():
            normalised = (normalise(text, language) for text in texts)
            links[prompt] += [text_key(language, text) for text in normalised if text]
    return group_names(links)
