"""An explanation shows the numbers that made the score, in their places."""

from dataclasses import replace

import numpy as np
import odd_videos
import pytest

from multimodal_ssl.search import query, weights
from multimodal_ssl.search.explain import Explained, draw, explain
from multimodal_ssl.search.index import Index, encoder, video_files
from multimodal_ssl.search.windows import Cut

TEXT = "a red square moving left"


@pytest.fixture
def found(tmp_path):
    """An index, a model, what was asked and the best result."""
    trained = weights.load(str(odd_videos.weights(tmp_path)))
    odd_videos.film(tmp_path / "videos" / "a.mp4", num_frames=40)
    cut = Cut(num_frames=4, size_px=32, rate_hz=5)
    made = Index.begin(Index(tmp_path / "index", tmp_path / "videos", "tiny", trained.sha256, cut))
    list(made.update(video_files(tmp_path / "videos"), encoder(trained.matcher())))
    matcher, question = query.ask(trained, TEXT, trained.vocabulary()[0])
    return made, matcher, question, query.search(made, matcher, question, 1)[0][0]


def test_the_score_is_the_mean_of_its_phrases(found):
    """As the similarity of this model says."""
    explained = explain(*found)
    assert np.mean([one.score for one in explained]) == pytest.approx(found[3].score, abs=1e-5)
    assert [one.score for one in explained] == sorted((one.score for one in explained), reverse=True)
    assert {one.phrase for one in explained} == set(found[2].phrases)


def test_a_phrases_score_follows_from_its_map(found):
    _, matcher, _, _ = found
    g = matcher.similarity.keywords["g"]
    for one in explain(*found):
        assert one.score == pytest.approx(g * np.log(np.mean(np.exp(one.map / g))), abs=2e-3)


def test_maps_have_the_places_of_the_encoder(found):
    made, matcher, question, hit = found
    units = made.units(hit.video, hit.folder)[hit.window]
    for one in explain(*found):
        assert one.map.shape == matcher.encoders.video.grid(4, *hit.video.frame_size)
        number = question.phrases.index(one.phrase)
        expected = units @ question.units.vectors[0, number].numpy()
        np.testing.assert_allclose(one.map.ravel(), expected, atol=2e-3)
        assert len(one.along) == len(hit.video.times_s)
        assert one.along[hit.window] == pytest.approx(one.score)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((0, 0, 0), "upper left"),
        ((1, 4, 7), "lower right"),
        ((0, 2, 4), "centre"),
        ((1, 2, 0), "middle left"),
    ],
)
def test_the_best_place_is_told_in_words(place, words):
    heat = np.zeros((2, 5, 8), np.float32)
    heat[place] = 1
    one = Explained("a", 0.5, heat, np.zeros(1, np.float32))
    assert (one.best, one.where) == (place, words)


def test_a_picture_is_drawn_with_a_row_a_phrase_and_the_finding_above(found, tmp_path):
    made, _, question, hit = found
    explained = explain(*found)
    figure = draw(made, question, hit, explained)
    shown = min(10, len(explained))
    assert len(figure.axes) == shown * 5 + 1  # four frames, the curve; and the scale
    title = " ".join(figure.get_suptitle().split())
    assert TEXT in title
    assert "a.mp4" in title
    assert f"“{explained[0].phrase}” fits best" in title
    assert ("left out" in title) == (len(explained) > shown)
    figure.savefig(tmp_path / "why.png")
    assert (tmp_path / "why.png").stat().st_size > 10_000


def test_phrases_that_are_weaker_than_the_rest_are_counted(found):
    made, _, question, hit = found
    one = explain(*found)[0]
    many = [replace(one, phrase=str(number)) for number in range(13)]
    title = " ".join(draw(made, question, hit, many).get_suptitle().split())
    assert title.endswith("3 weaker phrases left out")


def test_the_video_itself_is_not_needed(found, tmp_path):
    (tmp_path / "videos" / "a.mp4").unlink()
    made, _, question, hit = found
    draw(made, question, hit, explain(*found))


def test_a_model_of_one_vector_a_clip_has_nothing_to_show(found):
    made, matcher, question, hit = found
    pooled = replace(hit, video=replace(hit.video, units=(1, hit.video.units[1])))
    with pytest.raises(ValueError, match="makes one vector of a clip"):
        explain(made, matcher, question, pooled)
