"""Frames and sound survive the way to a file and back; every fault is one sentence with the path."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import odd_videos
import pytest
from odd_videos import turn

from common.data.media import MediaError
from common.data.video import check_whole, frames_at, probe, read_frames, stream_frames
from common.data.video_writer import VideoWriter

av = pytest.importorskip("av")
RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 200, 40), (40, 50, 210), (128, 128, 128)


def quadrants(height=48, width=64):
    """Red and green above, blue and grey below: shows colour, order of channels and turning."""
    frame = np.empty((height, width, 3), np.uint8)
    top, left = slice(height // 2), slice(width // 2)
    frame[:] = GREY
    frame[top], frame[top, left] = GREEN, RED
    frame[height // 2 :, left] = BLUE
    return frame


def write_video(path, num_frames=10, **settings):
    settings = {"width": 64, "height": 48, "rate_hz": Fraction(25), **settings}
    with VideoWriter(path, **settings) as writer:
        for i in range(num_frames):
            frame = quadrants()
            frame[20:28, 4 * i : 4 * i + 4] = 255  # tells frames apart
            writer.write(frame)
    return path


def write_sound(path, codec="aac", duration_s=0.4, rate_hz=16_000, with_picture=False):
    with av.open(str(path), "w") as container:
        track = container.add_stream("libmp3lame" if codec == "mp3" else codec, rate=rate_hz, layout="mono")
        picture = container.add_stream("libx264", rate=25) if with_picture else None
        samples = (8000 * np.sin(np.arange(int(duration_s * rate_hz)) * 0.2)).astype(np.int16)
        sound = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = rate_hz, 0
        if picture:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            for _ in range(int(25 * duration_s)):
                container.mux(picture.encode(av.VideoFrame.from_ndarray(quadrants(), format="rgb24")))
            container.mux(picture.encode(None))
        container.mux(track.encode(sound))
        container.mux(track.encode(None))
    return path


def corners(frame):
    height, width = frame.shape[:2]
    return [frame[y, x] for y in (4, height - 5) for x in (4, width - 5)]


def test_frames_come_back_in_number_order_and_colour(tmp_path):
    frames = list(read_frames(write_video(tmp_path / "a.mp4")))
    assert len(frames) == 10
    for corner, colour in zip(corners(frames[0]), (RED, GREEN, BLUE, GREY), strict=True):
        np.testing.assert_allclose(corner, colour, atol=6)
    assert [int(frame[24, :40].mean(1).argmax()) // 4 for frame in frames] == list(range(10))


def test_a_range_equals_a_slice_of_everything(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    np.testing.assert_array_equal(list(read_frames(path, 3, 6)), list(read_frames(path))[3:6])


def test_a_range_past_the_end_names_it(tmp_path):
    with pytest.raises(MediaError, match=r"10 frames or fewer, asked for 8:12"):
        list(read_frames(write_video(tmp_path / "a.mp4"), 8, 12))


def test_probe_says_what_was_written(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4", rate_hz=Fraction(30_000, 1001)))
    assert (info.width, info.height, info.num_frames, info.has_audio) == (64, 48, 10, False)
    assert (info.rate_hz, info.rotation_deg) == (Fraction(30_000, 1001), 0)
    assert info.duration_s == pytest.approx(10 * 1001 / 30_000, abs=1e-3)


@pytest.mark.parametrize("clockwise", [1, 2, 3])
def test_the_display_matrix_is_applied(tmp_path, clockwise):
    path = write_video(tmp_path / "a.mp4")
    stored = next(read_frames(path))
    turn(path, clockwise)
    np.testing.assert_array_equal(next(read_frames(path)), np.rot90(stored, -clockwise))
    info = probe(path)
    assert (info.height, info.width) == np.rot90(stored, -clockwise).shape[:2]
    assert info.rotation_deg == (-90 * clockwise) % 360


def test_the_streams_own_colour_matrix_is_used(tmp_path):
    """The same bytes said to be BT.601 and BT.709 are different colours."""
    greens = []
    for space in (1, 5):
        with av.open(str(tmp_path / f"{space}.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.colorspace = space
            planes = np.full((72, 64), 128, np.uint8)
            planes[60:] = 200  # Cr
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.colorspace = space
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        greens.append(int(next(read_frames(tmp_path / f"{space}.mkv"))[0, 0, 1]))
    # G = 1.164 (128 - 16) - k (200 - 128), with k 0.533 (BT.709) and 0.813 (BT.601)
    np.testing.assert_allclose(greens, [130.4 - 38.4, 130.4 - 58.5], atol=2)


def test_odd_sizes_can_be_read(tmp_path):
    with av.open(str(tmp_path / "odd.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 33, 17, "bgr0"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(quadrants(17, 33), format="rgb24")))
        container.mux(stream.encode(None))
    assert next(read_frames(tmp_path / "odd.mkv")).shape == (17, 33, 3)


@pytest.mark.parametrize(("codec", "suffix", "kept"), [("mp3", ".mkv", "mp3"), ("pcm_alaw", ".avi", "aac")])
def test_sound_is_kept(tmp_path, codec, suffix, kept):
    """As it is where mp4 takes the codec, else as AAC."""
    source = tmp_path / f"sound{suffix}"
    write_sound(source, codec, rate_hz=16_000 if codec == "mp3" else 8_000, with_picture=True)
    out = write_video(tmp_path / "out.mp4", audio_from=source)
    with av.open(str(out)) as container:
        track = container.streams.audio[0]
        assert track.codec_context.name.startswith(kept)
        samples = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(track)])
    assert len(samples) / track.rate == pytest.approx(0.4, abs=0.15)
    assert np.abs(samples[len(samples) // 2 :]).max() > 0.1
    assert len(list(read_frames(out))) == 10


def test_a_source_without_sound_gives_a_video_without_sound(tmp_path):
    silent = write_video(tmp_path / "silent.mp4")
    assert not probe(write_video(tmp_path / "out.mp4", audio_from=silent)).has_audio


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_failed_writer_leaves_nothing_and_keeps_what_was_there(tmp_path, fault):
    path = tmp_path / "a.mp4"
    path.write_text("before")

    def fail_half_way():
        with VideoWriter(path, width=64, height=48, rate_hz=Fraction(25)) as writer:
            writer.write(quadrants())
            raise fault

    with pytest.raises(fault):
        fail_half_way()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_text() == "before"


def test_a_writer_without_frames_leaves_nothing(tmp_path):
    with pytest.raises(MediaError, match="no frame"):
        write_video(tmp_path / "a.mp4", num_frames=0)
    assert not list(tmp_path.iterdir())


def test_odd_sizes_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="even sizes, got 65x48"):
        VideoWriter(tmp_path / "a.mp4", width=65, height=48, rate_hz=Fraction(25))


def test_a_frame_of_another_size_names_both(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", width=64, height=48, rate_hz=Fraction(25)) as writer:
        writer.write(quadrants())
        with pytest.raises(ValueError, match=r"\(48, 64, 3\), got \(46, 64, 3\)"):
            writer.write(quadrants(46, 64))


def test_an_unknown_container_is_a_sentence(tmp_path):
    with pytest.raises(MediaError, match=r"a\.xyz: cannot be written"):
        write_video(tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())


def broken(tmp_path, fault):
    path = tmp_path / "clip.mp4"
    if fault == "empty":
        path.touch()
    elif fault == "text":
        path.write_text("this is no film\n" * 50)
    elif fault == "folder":
        path.mkdir()
    elif fault == "truncated":
        content = write_video(path).read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif fault == "sound only":
        path = write_sound(tmp_path / "clip.m4a")
    return path


@pytest.mark.parametrize("read", [probe, lambda path: list(read_frames(path))], ids=["probe", "read_frames"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", "no such file"),
        ("empty", "0 bytes"),
        ("text", "Invalid data"),
        ("folder", "folder"),
        ("truncated", "Invalid data found when processing input"),
        ("sound only", "no video stream, only audio"),
    ],
)
def test_every_fault_is_one_sentence_with_the_path(tmp_path, read, fault, words):
    path = broken(tmp_path, fault)
    with pytest.raises(MediaError, match=words) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_file_that_breaks_off_in_the_middle_is_not_a_shorter_film(tmp_path):
    with av.open(str(tmp_path / "front.mp4"), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(20):
            frame = noise.integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    content = (tmp_path / "front.mp4").read_bytes()
    path = tmp_path / "short.mp4"
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(MediaError, match=r"after frame \d+"):
        list(read_frames(path))


def test_a_backward_range_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got 5:5"):
        list(read_frames(tmp_path / "a.mp4", 5, 5))


def test_frames_bear_the_times_that_the_file_says(tmp_path):
    told = [0.0, 0.04, 0.5, 0.52, 2.0]
    found = list(stream_frames(odd_videos.timed(tmp_path / "a.mkv", told)))
    assert [round(frame.time_s, 3) for frame in found] == told


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_times_rise_from_zero_in_every_container(tmp_path, suffix):
    times = [frame.time_s for frame in stream_frames(odd_videos.film(tmp_path / f"a{suffix}", rate_hz=10))]
    np.testing.assert_allclose(times, np.arange(20) / 10, atol=1e-3)


def test_the_frame_on_screen_is_the_last_one_that_came(tmp_path):
    path = odd_videos.timed(tmp_path / "a.mkv", [0.0, 0.1, 0.8, 0.85])
    shown = [frame.rgb() for frame in frames_at(path, [0.0, 0.05, 0.1, 0.79, 0.8, 0.87])]
    assert odd_videos.numbers(np.stack(shown)) == [0, 0, 1, 1, 2, 3]


def test_frames_end_with_the_file_and_begin_in_it(tmp_path):
    path = odd_videos.film(tmp_path / "a.mp4", num_frames=5, rate_hz=10)
    assert len(list(frames_at(path, [0.3, 0.4, 0.5]))) == 2
    with pytest.raises(MediaError, match=r"ends before 0.5 s, lasts 0.500 s"):
        list(frames_at(path, [0.5]))


@pytest.mark.parametrize("clockwise", [0, 1, 2, 3])
def test_a_scaled_frame_is_upright_and_of_the_size_asked_for(tmp_path, clockwise):
    path = odd_videos.film(tmp_path / "a.mp4")
    if clockwise:
        turn(path, clockwise)
    frame = next(stream_frames(path))
    small = frame.rgb((24, 32))
    assert small.shape == (24, 32, 3)
    corner = {0: (0, 0), 1: (0, -1), 2: (-1, -1), 3: (-1, 0)}[clockwise]
    assert small[corner].min() > 240
    assert frame.shown_size == ((64, 48) if clockwise % 2 == 0 else (48, 64))


def test_the_cover_of_a_record_is_no_video(tmp_path):
    with pytest.raises(MediaError, match="no video stream, only audio"):
        probe(odd_videos.audio_only(tmp_path / "a.mp4", cover=True))


def test_a_name_that_looks_like_a_protocol_is_a_file(tmp_path, monkeypatch):
    odd_videos.film(tmp_path / "http:a.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(list(read_frames(Path("http:a.mp4")))) == 20


@pytest.mark.parametrize(("suffix", "share"), [(".mkv", 0.5), (".avi", 0.8)])
def test_where_a_file_breaks_off_is_known_before_anything_is_decoded(tmp_path, suffix, share):
    check_whole(odd_videos.film(tmp_path / f"whole{suffix}"))
    path = odd_videos.cut_off(tmp_path / f"a{suffix}", share)
    for read in (check_whole, lambda path: list(read_frames(path))):
        with pytest.raises(MediaError, match=r"breaks off .*after frame \d+, at \d\.\d\d s"):
            read(path)
