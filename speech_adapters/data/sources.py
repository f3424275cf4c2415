"""The real speech that `mini` and `gpu` use: every source by name, with its packages and its utterances.

    fotaq-en      4,319 lines of a game, English, many actors, 3.0 h: the speech to pre-train on
    asterisk-*    477 to 579 prompts, one professional speaker a language, 0.4 h each, parallel: en, fr, es, it, ru
    drascula-*    443 to 446 lines of another game, its hero alone, parallel: en, es
    tuxpaint-*    890 to 927 descriptions of pictures, three or four words by volunteers: fr, es
    festvox-ru    620 sentences read by one speaker, 1.7 h, with labels of phones

None of it is LibriSpeech or Common Voice; results on it are never to be read as results on those.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from common.data.packages import Package, fetch
from speech_adapters.data.packages import asterisk, drascula, festvox, queen, tuxpaint
from speech_adapters.data.packages.utterances import Utterance

__all__ = ["SOURCES", "Source", "Utterance", "source"]


@dataclass(frozen=True)
class Source:
    """Speech of one language from one family of packages."""

    name: str
    language: str
    packages: tuple[Package, ...]
    read: Callable[[Path], list[Utterance]]
    edition: int = 1  # raise it when what is kept of the source changes

    def fetch(self, root: Path) -> None:
        """
        Raises:
            FetchError: a package that cannot be had; says which file to place where.
        """
        for package in self.packages:
            fetch(package, root)

    def utterances(self, root: Path) -> list[Utterance]:
        """All that have text and audio, usable or not, sorted by id."""
        return self.read(root)


def _sources() -> list[Source]:
    return [
        Source(queen.SOURCE, "en", (queen.PACKAGE,), queen.utterances),
        *(
            Source(
                f"asterisk-{one}", one, asterisk.packages(one), partial(asterisk.utterances, language=one), 2
            )
            for one in asterisk.VOICES
        ),
        *(
            Source(
                f"drascula-{one}", one, drascula.packages(one), partial(drascula.utterances, language=one), 2
            )
            for one in drascula.AUDIO
        ),
        *(
            Source(f"tuxpaint-{one}", one, (tuxpaint.PACKAGE,), partial(tuxpaint.utterances, language=one), 2)
            for one in tuxpaint.LANGUAGES
        ),
        Source(festvox.SOURCE, "ru", (festvox.PACKAGE,), festvox.utterances),
    ]


SOURCES: Mapping[str, Source] = MappingProxyType({one.name: one for one in _sources()})


def source(name: str) -> Source:
    """
    Raises:
        ValueError: no such source, with those there are.
    """
    if name not in SOURCES:
        raise ValueError(f"sources are {', '.join(sorted(SOURCES))}; got {name!r}")
    return SOURCES[name]
