"""Spoken descriptions of the stamps of a children's drawing program, by volunteers, in a dozen languages.

`STEM_desc_LANGUAGE.ogg` says what the line `LANGUAGE.utf8=` of `STEM.txt` has: three or four words, 44.1 kHz Vorbis.
Who speaks is not recorded; a language has several speakers and accents.
"""

from dataclasses import dataclass
from pathlib import Path

from common.data.packages import Package
from common.data.pinned import STAMPS, stamps
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.raw import RawUtterance, group_names, text_key
from speech_adapters.data.text import check_language, normalise

LANGUAGES = ("fr", "es")  # whose sounds are kept of the package
PACKAGE = stamps("*.txt", *(f"*_desc_{language}.ogg" for language in LANGUAGES))


@dataclass(frozen=True)
class TuxPaint(PackagedSpeech):
    """890 to 927 descriptions of pictures by volunteers."""

    language: str
    EDITION = 2

    def __post_init__(self) -> None:
        check_language(self.language, LANGUAGES)

    @property
    def name(self) -> str:
        return f"tuxpaint-{self.language}"

    @property
    def packages(self) -> tuple[Package, ...]:
        return (PACKAGE,)

    def read(self, root: Path) -> list[RawUtterance]:
        return utterances(root, self.language)


def utterances(root: Path, language: str) -> list[RawUtterance]:
    """Every description with both text and sound, sorted by id."""
    folder = root / PACKAGE.folder / STAMPS
    ending = f"_desc_{language}.ogg"
    texts = {}
    for sound in sorted(folder.rglob(f"*{ending}")):
        listed = sound.with_name(sound.name.removesuffix(ending) + ".txt")
        if listed.is_file() and (raw := described(listed.read_text("utf-8", "replace"), language)):
            texts[sound.relative_to(folder).as_posix().removesuffix(ending)] = raw
    groups = group_names({stamp: [normalise(raw, language)] for stamp, raw in texts.items()})
    return [
        RawUtterance(
            id=stamp,
            source=f"tuxpaint-{language}",
            language=language,
            text=(text := normalise(raw, language)),
            raw_text=raw,
            keys=(f"stamps:{groups[stamp]}", f"stamp:{stamp}", text_key(language, text)),
            speaker=f"volunteers-{language}",
            path=(folder / f"{stamp}{ending}").relative_to(root).as_posix(),
        )
        for stamp, raw in sorted(texts.items())
    ]


def described(content: str, language: str) -> str:
    """The text in one language; the first line of the file is English."""
    lines = content.splitlines()
    if language == "en":
        return lines[0].strip() if lines else ""
    marked = (
        line.removeprefix(f"{language}.utf8=") for line in lines if line.startswith(f"{language}.utf8=")
    )
    return next(marked, "").strip()
