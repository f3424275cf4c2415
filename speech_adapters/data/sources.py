"""Every source of speech that recipes name, as a value; how each is read stands with its class.

    fotaq-en      4,319 lines of a game, English, many actors, 3.0 h: the speech to pre-train on
    asterisk-*    477 to 579 prompts, one professional speaker a language, 0.4 h each, parallel: en, fr, es, it, ru
    drascula-*    443 to 446 lines of another game, its hero alone, parallel: en, es
    tuxpaint-*    890 to 927 descriptions of pictures, three or four words by volunteers: fr, es
    festvox-ru    620 sentences read by one speaker, 1.7 h, with labels of phones

None of it is LibriSpeech or Common Voice; results on it are never to be read as results on those. Corpora of the
papers are read where somebody placed them under DATA_ROOT.
"""

from __future__ import annotations

from speech_adapters.data.corpora.commonvoice import CommonVoice
from speech_adapters.data.corpora.folders import LabelledFolder
from speech_adapters.data.corpora.libri import LibriLight
from speech_adapters.data.corpora.multilingual import MultilingualLibriSpeech
from speech_adapters.data.packages.asterisk import VOICES, Asterisk
from speech_adapters.data.packages.drascula import AUDIO, Drascula
from speech_adapters.data.packages.festvox import FestvoxRussian
from speech_adapters.data.packages.queen import AmazonQueen
from speech_adapters.data.packages.tuxpaint import LANGUAGES, TuxPaint
from speech_adapters.data.prepared import PackagedSpeech
from speech_adapters.data.source import Source
from speech_adapters.data.synthetic import Tones
from speech_adapters.data.unlabelled import AudioFolder

__all__ = [
    "AMAZON_QUEEN", "ASTERISK", "DRASCULA", "FESTVOX", "LIBRI_LIGHT", "PACKAGED", "TONES", "TUXPAINT",
    "AudioFolder", "CommonVoice", "LabelledFolder", "MultilingualLibriSpeech", "Source", "former",
]  # fmt: skip

AMAZON_QUEEN = AmazonQueen()
ASTERISK = {language: Asterisk(language) for language in VOICES}
DRASCULA = {language: Drascula(language) for language in AUDIO}
TUXPAINT = {language: TuxPaint(language) for language in LANGUAGES}
FESTVOX = FestvoxRussian()
TONES = Tones()
LIBRI_LIGHT = LibriLight()
PACKAGED: tuple[PackagedSpeech, ...] = (
    AMAZON_QUEEN, *ASTERISK.values(), *DRASCULA.values(), *TUXPAINT.values(), FESTVOX
)  # fmt: skip


def former(name: str) -> Source:
    """The source that settings of results older than these values call so."""
    known: dict[str, Source] = {source.name: source for source in (*PACKAGED, TONES)}
    return known[name]
