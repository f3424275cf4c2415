"""What is found is what the model itself would rank first, told with its times, and nothing is found twice."""

from bisect import bisect
from dataclasses import replace
from itertools import islice

import numpy as np
import odd_videos
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.similarity import mean_and_max_pooled
from multimodal_ssl.model.vocabulary import MOST_WORDS, Vocabulary
from multimodal_ssl.search import query, weights
from multimodal_ssl.search.index import Index, encoder, video_files
from multimodal_ssl.search.windows import Cut, windows

CUT = Cut(num_frames=4, size_px=32, rate_hz=5)
TEXT = "a red square moving left"


@pytest.fixture(scope="module", params=["FINE_0", "COARSE_0", "ATTENTION_0"])
def trained(request, tmp_path_factory):
    return weights.load(str(odd_videos.weights(tmp_path_factory.mktemp("model"), recipe=request.param)))


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    return weights.load(str(odd_videos.weights(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    odd_videos.film(folder / "a.mp4", num_frames=40)
    odd_videos.film(folder / "b.mkv", first=20, width=48, height=64)
    (folder / "empty.mp4").touch()
    return folder


@pytest.fixture
def made(tmp_path, films, trained):
    return indexed(tmp_path / "index", films, trained)


def indexed(folder, films, trained):
    made = Index.begin(Index(folder, films, trained.name, trained.sha256, CUT))
    list(made.update(video_files(films), encoder(trained.matcher())))
    return made


def asked(trained, text=TEXT):
    return query.ask(trained, text, trained.vocabulary()[0])


def test_scores_are_those_of_the_model_on_the_frames(made, films, trained):
    matcher, question = asked(trained)
    for video, folder in made.videos():
        own, pooled = query.score_windows(made, video, folder, matcher, question.units)
        if video.fault:
            assert own.shape == pooled.shape == (0, 1)
            continue
        frames = np.stack([window.small for window in windows(films / video.path, CUT)])
        seen = matcher.clips(as_video(torch.from_numpy(frames)))
        np.testing.assert_allclose(own, matcher.scores(seen, question.units).numpy(), atol=2e-3)
        np.testing.assert_allclose(pooled, mean_and_max_pooled(seen, question.units).numpy(), atol=2e-3)


def test_parts_of_a_video_score_as_the_whole(made, trained, monkeypatch):
    matcher, question = asked(trained)
    whole = [query.score_windows(made, *each, matcher, question.units) for each in made.videos()]
    monkeypatch.setattr(query, "AT_ONCE", 3)
    parts = [query.score_windows(made, *each, matcher, question.units) for each in made.videos()]
    for before, after in zip(whole, parts, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_the_best_windows_come_first_and_none_shares_a_moment_with_a_better_one(made, trained):
    matcher, question = asked(trained)
    hits, num = query.search(made, matcher, question, top=100)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    every = {
        (video.path, window): score
        for video, folder in made.videos()
        for window, score in enumerate(
            query.score_windows(made, video, folder, matcher, question.units)[0][:, 0]
        )
    }
    assert num == len(every)
    assert hits[0].score == pytest.approx(max(every.values()))
    for place, hit in enumerate(hits):
        same = [other for other in hits[:place] if other.video == hit.video]
        assert all(hit.stop_s <= other.start_s or hit.start_s >= other.stop_s for other in same)
        assert hit.score == pytest.approx(every[hit.video.path, hit.window])
        assert hit.picture.is_file()


def test_fewer_results_are_the_first_of_more(made, trained):
    matcher, question = asked(trained)
    assert query.search(made, matcher, question, 2)[0] == query.search(made, matcher, question, 9)[0][:2]


def test_what_ties_comes_in_the_order_of_paths_and_times(tmp_path, films, fine):
    made = indexed(tmp_path / "index", films, fine)
    for _, folder in made.videos():
        (folder / "units.f16").write_bytes(b"\0" * (folder / "units.f16").stat().st_size)
    found = [(hit.video.path, hit.start_s) for hit in query.search(made, *asked(fine), top=9)[0]]
    assert found == sorted(found)
    assert len(found) > 3


def test_no_result_is_asked_for_in_vain(made, trained):
    with pytest.raises(ValueError, match="top must be at least 1, got 0"):
        query.search(made, *asked(trained), top=0)


def test_phrases_name_the_units_in_their_order(fine):
    _, question = asked(fine, "A red square")
    assert question.phrases == ("a", "red", "square", "a red", "red square", "a red square")
    assert len(question.phrases) == int(question.units.valid.sum()) == question.units.valid.shape[1]


def test_each_unit_is_that_of_its_phrase_alone(fine):
    _, question = asked(fine, "red square moving left")
    for number, phrase in enumerate(question.phrases):
        _, alone = asked(fine, phrase)
        torch.testing.assert_close(alone.units.vectors[0, -1], question.units.vectors[0, number])


def test_frozen_vectors_of_other_words_change_nothing(fine):
    """The vectors of the sentence's words alone are loaded, not all 400,000."""
    vocabulary, _ = fine.vocabulary()
    matcher = fine.matcher(vocabulary)
    whole = matcher.texts(torch.from_numpy(vocabulary.encode(TEXT))[None])
    torch.testing.assert_close(asked(fine)[1].units.vectors, whole.vectors)


def test_words_that_are_not_read_or_were_not_seen_are_named(fine):
    vocabulary = Vocabulary(("a", "cat", "red"), np.ones((4, 50), np.float32))
    known = Vocabulary(("a", "red"), np.ones((3, 50), np.float32))
    _, question = query.ask(replace(fine, words=known), "a xyzzy red cat xyzzy" + " a" * 30, vocabulary)
    assert question.unknown == ("xyzzy",)
    assert question.unseen == ("cat",)
    assert len(question.words) == MOST_WORDS
    assert len(question.cut) == 33 - MOST_WORDS
    assert [note.partition(":")[0] for note in question.notes] == [
        "words that have no vector and are left out",
        "words that come after the 20 words that are read",
        "words that stood in no caption of the training, so only their vectors are known",
    ]


def test_a_sentence_without_a_known_word_is_refused(fine):
    with pytest.raises(ValueError, match=r"none of the words of '!\? xyzzy' has a vector"):
        asked(fine, "!? xyzzy")


def test_a_video_that_cannot_be_decoded_is_never_found(made, trained):
    hits, _ = query.search(made, *asked(trained), top=100)
    assert {hit.video.path for hit in hits} == {"a.mp4", "b.mkv"}


def _apart_plainly(times_s, scores):
    kept = []
    for window in np.argsort(-scores, kind="stable").tolist():
        start_s, stop_s = times_s[window]
        if all(stop_s <= times_s[other][0] or start_s >= times_s[other][1] for other in kept):
            kept.append(window)
    return kept


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 12), st.integers(0, 3)), max_size=40),
    st.integers(1, 9),
)
def test_windows_apart_are_those_of_the_plain_rule(steps, top):
    """Windows in the order of time, of any length and overlap; scores that tie."""
    times_s, start_s = [], 0.0
    for step, length, _ in steps:
        start_s += step / 2
        times_s.append((start_s, start_s + length / 2))
    scores = np.array([score for *_, score in steps], np.float32)
    assert list(islice(query._apart(times_s, scores), top)) == _apart_plainly(times_s, scores)[:top]


def test_a_long_film_is_looked_through_no_further_than_is_asked(monkeypatch):
    """The work is a sort and a place found for each window that is met, not a comparison with all that are kept."""
    num = 40_000
    times_s = [(2.0 * i, 2.0 * i + 4) for i in range(num)]
    scores = np.random.default_rng(0).random(num).astype(np.float32)
    looked = []
    monkeypatch.setattr(query, "bisect", lambda kept, item: looked.append(item) or bisect(kept, item))
    assert len(list(islice(query._apart(times_s, scores), 5))) == 5
    assert len(looked) < 20


@pytest.mark.parametrize("text", ["the of and to", "a", "It's the", "what is this"])
def test_a_sentence_of_function_words_alone_is_refused(fine, text):
    every = Vocabulary(
        tuple(sorted(query.FUNCTION_WORDS)), np.ones((len(query.FUNCTION_WORDS) + 1, 50), np.float32)
    )
    with pytest.raises(ValueError, match="names nothing that can be seen; add what is there"):
        query.ask(fine, text, every)


def test_directions_can_be_seen():
    assert not query.FUNCTION_WORDS & {"left", "right", "up", "down", "over", "into", "toward", "away"}
