"""Tracks: lines of one voice end to end, and crops of them that are drawn fairly or cover everything."""

from collections import Counter
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pytest

from speech_adapters.data import crops
from speech_adapters.data.prepared import PreparedUtterance
from speech_adapters.data.source import Source
from speech_adapters.data.synthetic import Tones
from speech_adapters.data.tracks import SpeakerTracks


@dataclass(frozen=True)
class Line(PreparedUtterance):
    """An utterance whose samples are made up: number `start` and the next ones, so that each says where it is from."""

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


@dataclass(frozen=True)
class Lines(Source):
    """Lines that a test made; all are of the training part."""

    lines: tuple[Line, ...]
    name: str = "toy"
    language = "en"

    def prepare(self):
        pass

    def utterances(self, part):
        return self.lines if part == "train" else ()

    def tracks(self, part, min_samples=0):
        return SpeakerTracks(self.name, self.utterances(part), min_samples)

    def content_sha256(self):
        return ""


TOY = Lines(LINES)


def found(min_samples=0):
    return {track.id: track for track in TOY.tracks("train", min_samples)}


def test_a_speaker_has_a_track_and_so_has_a_group_of_speakers_that_are_not_told_apart():
    assert {id_: track.samples for id_, track in found().items()} == {
        "toy/ann": 12, "toy/bob": 9, "toy/inn": 8, "toy/yard": 5,
    }  # fmt: skip
    assert list(found(9)) == ["toy/ann", "toy/bob"]


def test_a_crop_is_that_slice_of_the_lines_end_to_end():
    ann = found()["toy/ann"]
    for begin in range(12):
        for end in range(begin + 1, 13):
            assert crops.Crop(ann, begin, end).waveform().tolist() == ANN[begin:end]


def test_only_lines_inside_a_crop_are_read(monkeypatch):
    read = []
    monkeypatch.setattr(
        Line, "waveform", lambda self: read.append(self.id) or np.zeros(self.samples, np.int16)
    )
    crops.Crop(found()["toy/ann"], 7, 10).waveform()
    assert read == ["toy/a2", "toy/a3"]


def test_a_draw_is_a_function_of_its_arguments():
    def ids(key):
        return [crop.id for crop in crops.draw((TOY,), "train", 4, 20, key)]

    assert ids((3, 17)) == ids((3, 17))
    assert len({tuple(ids((seed, step))) for seed in range(3) for step in range(3)}) == 9


def test_every_place_is_as_likely_as_any_other():
    """7 places of a voice with 12 samples and 4 of one with 9: a draw of the voice first would be wrong."""
    drawn = Counter(crop.id for crop in crops.draw((TOY,), "train", 6, 12_000, (0,)))
    places = [f"toy/{v}+{i}" for v, n in (("ann", 12), ("bob", 9), ("inn", 8)) for i in range(n - 5)]
    assert sorted(drawn) == sorted(places)
    expected = 12_000 / len(places)
    assert all(abs(drawn[place] - expected) < 5 * sqrt(expected) for place in places)


def test_every_place_of_every_source_is_as_likely():
    """A source none of whose voices is long enough stands in the row, too."""
    more = Lines((line("c", "cy", 5000, 20),), "more")
    sources = (Lines(LINES[1:2], "short"), Lines(LINES[2:3]), more)
    drawn = Counter(p.id for p in crops.draw(sources, "train", 8, 9_000, (0,)))
    places = [*(f"toy/bob+{i}" for i in range(2)), *(f"more/cy+{i}" for i in range(13))]
    assert sorted(drawn) == sorted(places)
    assert all(abs(drawn[place] - 600) < 5 * sqrt(600) for place in places)


def test_crops_cover_everything_once():
    for samples in (1, 2, 3, 4):  # a quarter of up to four is one sample: nothing is left over
        told = [int(s) for crop in crops.consecutive(TOY, "train", samples) for s in crop.waveform()]
        assert sorted(told) == sorted(int(s) for one in LINES for s in one.waveform())


def test_a_rest_below_a_quarter_of_a_crop_is_left_out():
    lengths = [(p.track.id, p.end - p.begin) for p in crops.consecutive(TOY, "train", 8)]
    assert lengths == [("toy/ann", 8), ("toy/ann", 4), ("toy/bob", 8), ("toy/inn", 8), ("toy/yard", 5)]


def test_a_join_never_mixes_voices():
    owner = {
        int(s): one.speaker + one.group * (one.speaker == "other") for one in LINES for s in one.waveform()
    }
    drawn = [*crops.draw((TOY,), "train", 5, 200, (1,)), *crops.consecutive(TOY, "train", 5)]
    assert all(len({owner[int(s)] for s in crop.waveform()}) == 1 for crop in drawn)
    assert {owner[int(crop.waveform()[0])] for crop in drawn} == {"ann", "bob", "otherinn", "otheryard"}


def test_where_no_speaker_is_long_enough_the_length_is_told():
    with pytest.raises(ValueError, match="crop of 13 samples needs a speaker with as much, none of toy has"):
        crops.draw((TOY,), "train", 13, 1, (0,))


def test_made_up_speech_has_tracks_too():
    (track,) = Tones().tracks("dev")
    assert track.samples == sum(utterance.samples for utterance in Tones().utterances("dev"))


def test_by_turns_every_group_has_its_first_crop_before_any_has_a_second():
    """What is cut off after some crops is then no longer all of the first dialogue."""
    found = list(crops.in_turns(TOY, "train", 3))
    told = [int(sample) for crop in found for sample in crop.waveform()]
    assert sorted(told) == sorted(int(s) for one in LINES for s in one.waveform())
    groups = [crop.track.group for crop in found]
    assert len(set(groups[:3])) == 3 == len(set(groups))
    turns = [groups[:place].count(group) for place, group in enumerate(groups)]
    assert turns == sorted(turns)
    of_one = [crop.begin for crop in found if crop.track.id == "toy/ann/dialogue"]
    assert of_one == sorted(of_one)


def test_by_turns_no_crop_holds_two_dialogues_of_a_voice_and_short_ones_are_kept():
    """Else a crop is counted as one dialogue's that is another's as well, and those of few words have none."""
    lines = (line("a1", "ann", 0, 9, "inn"), line("a2", "ann", 100, 1, "yard"), line("a3", "ann", 200, 4, "inn"),
             line("a4", "ann", 300, 2, "road"), line("b1", "bob", 1000, 3, "inn"))  # fmt: skip
    groups = {(one.start, one.samples): one.group for one in lines}
    found = list(crops.in_turns(Lines(lines), "train", 16))
    assert [crop.track.group for crop in found] == ["inn", "road", "inn"]  # one sample is under an eighth
    for crop in found:
        held = {group for (start, samples), group in groups.items()
                if set(range(start, start + samples)) & set(map(int, crop.waveform()))}  # fmt: skip
        assert held == {crop.track.group}
