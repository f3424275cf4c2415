"""Whatever the file, windows are of the frames that a player shows, upright, small, and at times that are true."""

import tracemalloc

import numpy as np
import odd_films
import odd_videos
import pytest

from common.data.media import MediaError
from multimodal_ssl.search.windows import DETAIL, Cut, size_of, windows

CUT = Cut(num_frames=4, size_px=32, rate_hz=5)


def spans(found):
    return [(round(w.start_s, 3), round(w.stop_s, 3)) for w in found]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_windows_overlap_by_half_and_the_last_ends_with_the_file(tmp_path, suffix):
    found = list(windows(odd_videos.film(tmp_path / f"a{suffix}", num_frames=18, rate_hz=10), CUT))
    assert [odd_videos.numbers(w.frames) for w in found] == [
        [0, 2, 4, 6], [4, 6, 8, 10], [8, 10, 12, 14], [10, 12, 14, 16],
    ]  # fmt: skip
    assert spans(found) == [(0, 0.8), (0.4, 1.2), (0.8, 1.6), (1.0, 1.8)]


def test_a_higher_rate_than_the_files_shows_frames_again(tmp_path):
    found = list(
        windows(
            odd_videos.film(tmp_path / "a.mp4", num_frames=4, rate_hz=5),
            Cut(num_frames=8, size_px=32, rate_hz=10),
        )
    )
    assert [odd_videos.numbers(w.frames) for w in found] == [[0, 0, 1, 1, 2, 2, 3, 3]]


def test_a_file_shorter_than_a_window_lasts_on(tmp_path):
    (found,) = windows(odd_videos.film(tmp_path / "a.mp4", num_frames=3), CUT)
    assert odd_videos.numbers(found.frames) == [0, 2, 2, 2]
    assert (found.start_s, found.stop_s) == (0, 0.4)


def test_frames_of_a_variable_rate_are_found_by_their_times(tmp_path):
    """At 0, 0.2, 0.4, 0.6 s; counting frames would take 0, 1, 2, 3."""
    first, *_ = windows(odd_videos.timed(tmp_path / "a.mkv", [0.0, 0.05, 0.1, 0.5, 0.6, 0.8]), CUT)
    assert odd_videos.numbers(first.frames) == [0, 2, 2, 4]


def test_the_middle_of_a_long_still_is_left_out(tmp_path):
    """One picture for 1,000 s would else be 2,500 windows."""
    found = list(windows(odd_videos.timed(tmp_path / "a.mkv", [0.0, 1000.0, 1000.2, 1000.4]), CUT))
    assert len(found) < 8
    assert spans(found)[0] == (0, 0.8)
    assert spans(found)[-1][1] == pytest.approx(1000.6, abs=0.25)
    assert odd_videos.numbers(found[-1].frames)[-1] == 3


@pytest.mark.parametrize(("turns", "corner"), [(1, (0, -1)), (2, (-1, -1)), (3, (-1, 0))])
def test_pictures_are_turned_as_the_file_says(tmp_path, turns, corner):
    window = next(windows(odd_videos.turned(tmp_path / "a.mp4", turns), CUT))
    assert window.small.shape[1:3] == ((48, 32) if turns % 2 else (32, 48))
    assert (window.small[0][corner] > 240).all()
    assert (window.small[0] > 240).all(axis=2).mean() == pytest.approx(1 / 16, abs=0.03)


def test_8k_is_scaled_down_before_it_becomes_rgb(tmp_path):
    path = odd_videos.huge(tmp_path / "a.avi")
    tracemalloc.start()
    (window,) = windows(path, Cut(num_frames=2, size_px=32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert odd_videos.numbers(window.frames) == [0, 1]
    assert window.small.shape == (2, 32, 64, 3)
    assert peak < 10_000_000  # one frame as RGB has 99.5 MB


def test_memory_does_not_grow_with_the_length(tmp_path):
    peaks = []
    for num_frames in (20, 160):
        path = odd_videos.film(tmp_path / f"{num_frames}.mp4", num_frames)
        tracemalloc.start()
        for window in windows(path, CUT):
            del window
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_pixels_that_are_not_square_keep_their_shape(tmp_path):
    path = odd_videos.timed(tmp_path / "a.mkv", [0.0, 0.2], width=32, height=48, sample_aspect_ratio=3)
    assert next(windows(path, CUT)).small.shape[1:3] == (32, 64)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (640, 640, (64, 64)),
        (1920, 1080, (64, 112)),
        (1080, 1920, (112, 64)),
        (9000, 100, (64, 192)),
        (1, 1, (64, 64)),
    ],
)
def test_the_shorter_side_is_the_networks_and_the_longer_is_in_proportion_up_to_a_limit(
    width, height, expected
):
    assert size_of(width, height, 64) == expected


def test_the_network_sees_means_of_what_people_see(tmp_path):
    window = next(windows(odd_videos.film(tmp_path / "a.mp4"), CUT))
    assert window.frames.shape[1:3] == tuple(DETAIL * side for side in window.small.shape[1:3])
    np.testing.assert_allclose(
        window.small[0, 20, 20], window.frames[0, 40:42, 40:42].mean((0, 1)), atol=0.51
    )


def missing(folder):
    return folder / "missing.mp4"


def empty(folder):
    (folder / "a.mp4").touch()
    return folder / "a.mp4"


def letter(folder):
    (folder / "a.mp4").write_text("This is a letter.\n" * 50)
    return folder / "a.mp4"


def sound(folder):
    return odd_videos.audio_only(folder / "a.mp4")


def sound_with_cover(folder):
    return odd_videos.audio_only(folder / "a.mp4", cover=True)


def without_its_index(folder):
    return odd_videos.cut_off(folder / "a.mp4")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (missing, "no such file"),
        (empty, "is empty (0 bytes)"),
        (letter, "cannot be read as a video: Invalid data"),
        (sound, "has no video stream, only audio"),
        (sound_with_cover, "has no video stream, only audio"),
        (without_its_index, "cannot be read as a video: Invalid data"),
    ],
)
def test_what_is_no_video_is_one_sentence_with_its_path(tmp_path, make, words):
    path = make(tmp_path)
    with pytest.raises(MediaError) as error:
        next(windows(path, CUT))
    assert str(error.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize(("suffix", "share"), [(".mkv", 0.5), (".avi", 0.8), (".avi", 0.7)])
def test_a_file_that_breaks_off_gives_what_was_before_and_then_says_so(tmp_path, suffix, share):
    path, found = odd_videos.cut_off(tmp_path / f"a{suffix}", share), []
    with pytest.raises(MediaError, match=r"breaks off .*at \d\.\d\d s"):
        found.extend(windows(path, CUT))
    assert len(found) > 3
    assert odd_videos.numbers(found[0].frames) == [0, 2, 4, 6]


@pytest.mark.parametrize(
    "changes", [{"num_frames": 0}, {"size_px": 8}, {"rate_hz": 0}, {"rate_hz": float("nan")}]
)
def test_windows_that_cannot_be_are_refused(changes):
    with pytest.raises(ValueError, match="windows need 1 frame or more"):
        Cut(**{"num_frames": 4, "size_px": 32, **changes})


def test_windows_of_a_changing_rate_end_with_the_film(tmp_path):
    """5 frames a second for 6 s, then 30 for 2 s: 11.25 a second on average, which is no frame's own rate."""
    path = odd_films.film(tmp_path / "a.mp4", odd_films.CHANGING)
    found = list(windows(path, CUT))
    assert spans(found)[-1][1] == pytest.approx(8.0, abs=1e-6)
    assert odd_videos.numbers(found[0].frames) == [0, 1, 2, 3]


def test_a_mirrored_film_is_seen_mirrored(tmp_path):
    path = odd_videos.film(tmp_path / "a.mp4")
    odd_films.matrix(path, (-1, 0, 0, 1))
    window = next(windows(path, CUT))
    assert (window.small[0][0, -1] > 240).all()
    assert (window.small[0][0, 0] < 100).all()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_pictures_that_begin_after_the_sound_keep_the_times_of_the_file(tmp_path, suffix):
    """Sound from 0 s, pictures from 1 s to 3 s: what a player shows at 1.4 s is in the window from there."""
    file = odd_films.film(
        tmp_path / f"late{suffix}", odd_films.regular(50, first_s=1.0), sounds=({},), seconds=3.0
    )
    found = list(windows(file, CUT))
    assert found[0].start_s == pytest.approx(1.0, abs=0.06)
    assert found[-1].stop_s == pytest.approx(3.0, abs=0.25)
