"""Frames and sound come from the asked time, at the asked rate and length, whatever the file's own are."""

import numpy as np
import odd_films
import pytest

from common.data.audio import AudioError
from common.data.media import MediaError
from multimodal_ssl.corpora.media import read_clip, read_sound


def levels(frames):
    return [round(float(frame.mean()) / 10) for frame in frames]


def test_frames_come_from_their_times(root, make):
    film = make.film(root / "a.mp4", num_frames=20, rate_hz=10)
    assert levels(read_clip(film, 0, 5, 10)) == [0, 1, 2, 3, 4]
    assert levels(read_clip(film, 0.4, 4, 5)) == [4, 6, 8, 10]
    assert levels(read_clip(film, 1.0, 4, 20)) == [10, 10, 11, 11]
    assert levels(read_clip(film, 0.7, 4, 5)) == [7, 9, 11, 13]  # in floating point the last is at 12.999...


def test_behind_the_end_it_is_black_or_begins_again(root, make):
    film = make.film(root / "a.mp4", num_frames=20, rate_hz=10)
    assert levels(read_clip(film, 1.7, 5, 10)) == [17, 18, 19, 0, 0]
    assert levels(read_clip(film, 1.7, 5, 10, beyond="repeat")) == [17, 18, 19, 17, 18]


def test_a_clip_that_begins_behind_the_end_is_an_error(root, make):
    film = make.film(root / "a.mp4", num_frames=20, rate_hz=10)
    with pytest.raises(MediaError, match=r"a.mp4: ends before 2.1 s, lasts 2.000 s"):
        read_clip(film, 2.1, 5, 10)
    with pytest.raises(ValueError, match="got -1, 5, 10"):
        read_clip(film, -1, 5, 10)
    with pytest.raises(ValueError, match="black, repeat, got 'mirror'"):
        read_clip(film, 0, 5, 10, beyond="mirror")


def test_sound_is_cut_where_asked_and_filled_with_silence(root, make):
    tone = make.tone(root / "a.wav", seconds=2.5)
    whole = np.arange(40_000) / 100_000
    np.testing.assert_allclose(read_sound(tone, 0.9, 1.2), whole[14_400:33_600], atol=1e-7)
    tail = read_sound(tone, 2.0, 1.0)
    np.testing.assert_allclose(tail[:8000], whole[32_000:], atol=1e-7)
    assert (len(tail), np.abs(tail[8000:]).max()) == (16_000, 0)


def test_sound_that_begins_behind_the_end_is_an_error(root, make):
    with pytest.raises(AudioError, match=r"ends before 2.5 s, lasts 2.500 s"):
        read_sound(make.tone(root / "a.wav", seconds=2.5), 2.5, 1)


def test_pictures_and_sound_of_one_moment_are_those_of_the_file(root):
    """Sound from 0 s, pictures from 1 s to 3 s, a level of grey for each tenth of a second."""
    film = odd_films.film(
        root / "late.mkv", odd_films.regular(20, 10, first_s=1.0), sounds=({},), seconds=3.0
    )
    found = read_clip(film, 0.5, 4, 2).mean(axis=(1, 2, 3)) / odd_films.GREY_A_FRAME
    np.testing.assert_allclose(found, [0, 0, 5, 10], atol=0.5)
    assert len(read_sound(film, 2.5, 0.4)) == 6400
    with pytest.raises(MediaError, match=r"ends before 3.1 s, lasts 2.940 s"):  # at the stream's 25 a second
        read_clip(film, 3.1, 1, 10)
