"""Laws of hypotheses beside their references: errors are shown where they are."""

import sys

import numpy as np
import pytest

from common import results
from common.report.page import TimedWord
from speech_adapters.asr import panels as panels_
from speech_adapters.asr import paper as asr_paper
from speech_adapters.asr.kept_sounds import as_wav
from speech_adapters.asr.panels import MOST_SOUNDS, marked, players
from speech_adapters.data.packages.asterisk import Asterisk


@pytest.mark.parametrize(
    ("reference", "hypothesis", "shown"),
    [
        ("press one now", "press one now", "press one now"),
        ("press one now", "press won now", "press [one→won] now"),
        ("press one now", "press now", "press [one→–] now"),
        ("press now", "press one now", "press [–→one] now"),
        ("press one now", "", "[press one now→–]"),
        ("press one now please", "dress won now", "[press one→dress won] now [please→–]"),
    ],
)
def test_errors_are_marked_where_they_are(reference, hypothesis, shown):
    assert marked(reference, hypothesis) == shown


class Prompt:
    """A prepared test utterance."""

    def __init__(self, source, id):
        self.source, self.id = source, id

    def waveform(self):
        return np.arange(160, dtype=np.int16)


def test_published_runs_can_be_heard_where_their_data_are_prepared_and_nowhere_else(monkeypatch):
    published = asr_paper.PAPER.published("mini")
    monkeypatch.setattr(Asterisk, "utterances", lambda *_: (_ for _ in ()).throw(ValueError("not prepared")))
    assert list(players(published)) == []
    items = results.find(published, "ADAPTERS_EN", 0).items
    there = [Prompt(*item.id.split("/", 1)) for item in items if item.part == "asterisk-en"]
    monkeypatch.setattr(Asterisk, "utterances", lambda *_: there)
    asked = []
    monkeypatch.setattr(
        panels_, "_heard", lambda language, wav: asked.append(language) or [TimedWord("one", 0.0, 0.01)]
    )
    panels = list(players(published))
    assert set(asked) == {"en"}
    assert 0 < len(panels) <= MOST_SOUNDS
    for panel in panels:
        (sound,), (table,) = panel.sounds, panel.tables
        assert sound.content.startswith(b"RIFF")
        assert [word.text for word in sound.words] == ["one"]
        assert {row[0].text for row in table.rows} >= {"ADAPTERS_EN", "FULL_EN"}


def test_words_of_a_published_sound_are_those_of_the_committed_adapters():
    noise = (3000 * np.random.default_rng(0).standard_normal(24_000)).astype(np.int16)
    words = panels_._heard("en", as_wav(noise))
    assert all(0 <= word.start_s < word.stop_s <= 1.5 for word in words)
    assert list(panels_._heard("xx", as_wav(noise))) == []


def test_where_nothing_reads_sound_the_page_does_without_words(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert list(panels_._heard("en", as_wav(np.zeros(16_000, np.int16)))) == []
    told = capsys.readouterr()
    assert "the page shows no words of en sounds" in told.out + told.err
