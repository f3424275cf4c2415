"""Drawn hours: which ones depends on seed and ids alone, and a list says what it is."""

import json

import pytest

from speech_adapters.data.corpora.hours import Hours, draw_hours
from speech_adapters.data.corpora.libri import librispeech


def ids(corpus):
    return [utterance.id for utterance in corpus.utterances]


@pytest.fixture
def hundred(root, make):
    for speaker in range(10):
        texts = [f"{a}{b}".upper() for a in "ab" for b in "cdefg"]
        make.chapter(root / "LibriSpeech/train-clean-100", str(speaker + 1), "7", texts, seconds=0.1)
    return librispeech(root, "train-clean-100")


def audio_of(pick):
    _, speaker, number, _ = pick.id.split("-")
    return f"{speaker}/{number}/{pick.id.removeprefix('librispeech-')}.flac"


def test_drawn_hours_never_exceed_and_fall_short_by_less_than_an_utterance(hundred):
    drawn = draw_hours(hundred, 2.05 / 3600, seed=1)
    assert len(drawn.picks) == 20
    assert drawn.duration_s == pytest.approx(2.0)


def test_the_shorter_draw_lies_in_the_longer_and_another_seed_is_another_draw(hundred):
    short, long, other = (
        {pick.id for pick in draw_hours(hundred, s / 3600, seed).picks}
        for s, seed in ((1.05, 1), (4.05, 1), (4.05, 2))
    )
    assert short < long
    assert long != other


def test_a_list_comes_back_as_it_was_written(root, hundred):
    drawn = draw_hours(hundred, 2.05 / 3600, seed=1)
    drawn.write(root / "lists/two.tsv")
    again = Hours.read(root / "lists/two.tsv")
    assert again == drawn
    head = json.loads((root / "lists/two.tsv").read_text().splitlines()[0])
    assert head["speakers"] == list(drawn.speakers)
    assert set(ids(again.of(hundred))) == {pick.id for pick in drawn.picks}


def test_a_list_that_was_edited_is_refused(root, hundred):
    draw_hours(hundred, 2.05 / 3600, seed=1).write(root / "two.tsv")
    head, first, *rest = (root / "two.tsv").read_text().splitlines(keepends=True)
    (root / "two.tsv").write_text(head + "".join(rest))
    with pytest.raises(ValueError, match=r"must have sha256 .* over its lines"):
        Hours.read(root / "two.tsv")
    (root / "two.tsv").write_text(first)
    with pytest.raises(ValueError, match="no list of drawn hours"):
        Hours.read(root / "two.tsv")


def test_a_list_fits_its_own_corpus_only(root, hundred, make):
    drawn = draw_hours(hundred, 2.05 / 3600, seed=1)
    make.chapter(root / "LibriSpeech/dev-clean", "84", "1", ["YES"])
    with pytest.raises(
        ValueError, match="of librispeech-train-clean-100 SLR12, got librispeech-dev-clean SLR12"
    ):
        drawn.of(librispeech(root, "dev-clean"))
    (root / "LibriSpeech/train-clean-100" / audio_of(drawn.picks[0])).unlink()
    with pytest.raises(ValueError, match=f"lacks 1 of 20 listed: {drawn.picks[0].id}"):
        drawn.of(librispeech(root, "train-clean-100"))


def test_files_without_a_length_are_passed_over_and_listed(root, hundred):
    first = draw_hours(hundred, 0.15 / 3600, seed=1).picks[0]
    (root / "LibriSpeech/train-clean-100" / audio_of(first)).write_bytes(b"")
    drawn = draw_hours(hundred, 2.05 / 3600, seed=1)
    assert [bad.id for bad in drawn.bad] == [first.id]
    assert "is empty (0 bytes)" in drawn.bad[0].reason
    assert first.id not in {pick.id for pick in drawn.picks}


def test_more_hours_than_there_are_is_an_error(hundred):
    with pytest.raises(
        ValueError, match=r"librispeech-train-clean-100 has 0\.003 h, asked for 10 h; draw fewer"
    ):
        draw_hours(hundred, 10, seed=1)
    with pytest.raises(ValueError, match="must be above 0, got 0"):
        draw_hours(hundred, 0, seed=1)
    with pytest.raises(ValueError, match="must hold an utterance"):
        draw_hours(hundred, 1e-6, seed=1)
