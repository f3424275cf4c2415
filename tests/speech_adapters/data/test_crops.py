"""Tracks: lines of one voice end to end, and crops of them that are drawn fairly or cover everything."""

from collections import Counter
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pytest

from speech_adapters.data import crops, prepared, synthetic
from speech_adapters.data.prepared import Clip


@dataclass(frozen=True)
class Line(Clip):
    """A clip whose samples are made up: number `start` and the next ones, so that each says where it is from."""

    def waveform(self):
        return np.arange(self.start, self.start + self.samples, dtype=np.int16)


def line(name, speaker, start, samples, group="dialogue"):
    return Line(
        f"toy/{name}", "toy", "en", "some words", group, speaker, start, samples, lead=0
    )  # two voices never share a number


LINES = (
    line("a1", "ann", 0, 7), line("a2", "ann", 100, 1), line("b1", "bob", 1000, 9), line("a3", "ann", 200, 4),
    line("o1", "other", 2000, 6, "inn"), line("o2", "other", 3000, 5, "yard"), line("o3", "other", 2100, 2, "inn"),
)  # fmt: skip
ANN = [*range(7), 100, *range(200, 204)]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(prepared, "clips", lambda name, split: LINES if split == "train" else ())
    for cached in (crops.tracks, crops._long_enough):
        cached.cache_clear()
    yield
    for cached in (crops.tracks, crops._long_enough):
        cached.cache_clear()


def found(least_samples=0):
    return {track.id: track for track in crops.tracks("toy", "train", least_samples)}


def test_a_voice_is_a_stretch_and_so_is_a_group_of_voices_that_are_not_told_apart():
    assert {id_: track.samples for id_, track in found().items()} == {
        "toy/ann": 12, "toy/bob": 9, "toy/inn": 8, "toy/yard": 5,
    }  # fmt: skip
    assert list(found(9)) == ["toy/ann", "toy/bob"]


def test_a_piece_is_that_slice_of_the_lines_end_to_end():
    ann = found()["toy/ann"]
    for begin in range(12):
        for end in range(begin + 1, 13):
            assert crops.Crop(ann, begin, end).waveform().tolist() == ANN[begin:end]


def test_only_lines_inside_a_piece_are_read(monkeypatch):
    read = []
    monkeypatch.setattr(
        Line, "waveform", lambda self: read.append(self.id) or np.zeros(self.samples, np.int16)
    )
    crops.Crop(found()["toy/ann"], 7, 10).waveform()
    assert read == ["toy/a2", "toy/a3"]


def test_a_draw_is_a_function_of_its_arguments():
    def ids(key):
        return [crop.id for crop in crops.draw(("toy",), "train", 4, 20, key)]

    assert ids((3, 17)) == ids((3, 17))
    assert len({tuple(ids((seed, step))) for seed in range(3) for step in range(3)}) == 9


def test_every_place_is_as_likely_as_any_other():
    """7 places of a voice with 12 samples and 4 of one with 9: a draw of the voice first would be wrong."""
    drawn = Counter(crop.id for crop in crops.draw(("toy",), "train", 6, 12_000, (0,)))
    places = [f"toy/{v}+{i}" for v, n in (("ann", 12), ("bob", 9), ("inn", 8)) for i in range(n - 5)]
    assert sorted(drawn) == sorted(places)
    expected = 12_000 / len(places)
    assert all(abs(drawn[place] - expected) < 5 * sqrt(expected) for place in places)


def test_every_place_of_every_source_is_as_likely(monkeypatch):
    """A source none of whose voices is long enough stands in the row, too."""
    sources = {"short": LINES[1:2], "toy": LINES[2:3], "more": (line("c", "cy", 5000, 20),)}
    monkeypatch.setattr(prepared, "clips", lambda name, split: sources[name])
    drawn = Counter(p.id for p in crops.draw(("short", "toy", "more"), "train", 8, 9_000, (0,)))
    places = [*(f"toy/bob+{i}" for i in range(2)), *(f"more/cy+{i}" for i in range(13))]
    assert sorted(drawn) == sorted(places)
    assert all(abs(drawn[place] - 600) < 5 * sqrt(600) for place in places)


def test_crops_cover_everything_once():
    for samples in (1, 2, 3, 4):  # a quarter of up to four is one sample: nothing is left over
        told = [int(s) for crop in crops.consecutive("toy", "train", samples) for s in crop.waveform()]
        assert sorted(told) == sorted(int(s) for one in LINES for s in one.waveform())


def test_a_rest_below_a_quarter_of_a_piece_is_left_out():
    lengths = [(p.track.id, p.end - p.begin) for p in crops.consecutive("toy", "train", 8)]
    assert lengths == [("toy/ann", 8), ("toy/ann", 4), ("toy/bob", 8), ("toy/inn", 8), ("toy/yard", 5)]


def test_a_join_never_mixes_voices():
    owner = {
        int(s): one.speaker + one.group * (one.speaker == "other") for one in LINES for s in one.waveform()
    }
    drawn = [*crops.draw(("toy",), "train", 5, 200, (1,)), *crops.consecutive("toy", "train", 5)]
    assert all(len({owner[int(s)] for s in crop.waveform()}) == 1 for crop in drawn)
    assert {owner[int(crop.waveform()[0])] for crop in drawn} == {"ann", "bob", "otherinn", "otheryard"}


def test_where_no_voice_is_long_enough_the_length_is_told():
    with pytest.raises(ValueError, match="crop of 13 samples needs a voice with as much, none of toy has"):
        crops.draw(("toy",), "train", 13, 1, (0,))


def test_made_up_speech_has_stretches_too(monkeypatch):
    monkeypatch.undo()
    (track,) = crops.tracks(synthetic.SOURCE, "dev")
    assert track.samples == sum(clip.samples for clip in synthetic.clips("dev"))
