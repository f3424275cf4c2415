"""What the reader says of odd and damaged films is so: times, shape, streams, and where something is missing."""

import re
from fractions import Fraction

import numpy as np
import odd_videos
import pytest
from odd_films import CHANGING, HEIGHT, WIDTH, cut, film, grey, matrix, noisy, regular, sound_of, struck

from common.data.container import Clock, Holes, left_out, open_container
from common.data.cut_off import missing_end
from common.data.media import MediaError
from common.data.soundtrack import Soundtrack
from common.data.video import check_whole, probe, read_frames, stream_frames
from common.data.video_writer import VideoWriter

av = pytest.importorskip("av")
OPUS, AAC = {"codec": "libopus"}, {"codec": "aac"}


def again(source, target, variable=True, holes=None):
    """A film written anew, frame by frame, with the times that it was read with."""
    info = probe(source)
    writer = VideoWriter(
        target,
        width=info.width,
        height=info.height,
        rate_hz=info.rate_hz,
        variable=variable,
        pixel_ratio=info.pixel_ratio,
        audio_from=source,
        holes=holes,
    )
    with writer:
        for frame in stream_frames(source):
            writer.write(frame.rgb(), frame.time_s, frame.length_s)
    return writer


def times(path):
    return [frame.time_s for frame in stream_frames(path)]


# ---- times


@pytest.mark.parametrize(("codec", "sound", "suffix"), [("libvpx", OPUS, ".webm"), ("libx264", AAC, ".mkv")])
@pytest.mark.parametrize("target", [".mp4", ".mkv", ".mov"])
def test_a_rate_that_changes_is_kept_and_pictures_end_with_the_sound(tmp_path, codec, sound, suffix, target):
    source = film(tmp_path / f"in{suffix}", CHANGING, codec, sounds=(sound,), seconds=8)
    again(source, tmp_path / f"out{target}")
    np.testing.assert_allclose(times(tmp_path / f"out{target}"), CHANGING, atol=1.1e-3)
    assert probe(tmp_path / f"out{target}").duration_s == pytest.approx(8, abs=0.05)
    assert sound_of(tmp_path / f"out{target}")["end_s"] == pytest.approx(8, abs=0.05)


def test_a_moving_gif_keeps_its_times(tmp_path):
    told = [0.0, 0.1, 0.5, 0.6, 2.0]
    again(film(tmp_path / "in.gif", told, "gif"), tmp_path / "out.mp4")
    np.testing.assert_allclose(times(tmp_path / "out.mp4"), told, atol=1e-3)
    assert probe(tmp_path / "out.mp4").duration_s > 2.0  # the last picture is shown too


def test_whether_a_film_has_one_rate_is_known_before_it_is_decoded(tmp_path):
    assert check_whole(film(tmp_path / "a.mp4", regular(30), sounds=(AAC,)))
    assert check_whole(film(tmp_path / "a.avi", regular(30), "mpeg4"))
    assert not check_whole(film(tmp_path / "b.mp4", CHANGING))
    assert not check_whole(film(tmp_path / "c.mkv", regular(10) + regular(10, first_s=2.0)))


def test_a_container_of_one_rate_takes_no_others(tmp_path):
    with pytest.raises(ValueError, match=r"one rate, and these come at times of their own"):
        VideoWriter(tmp_path / "a.avi", width=64, height=48, rate_hz=Fraction(25), variable=True)


def test_joined_recordings_go_on(tmp_path):
    """Each part's clock starts where the first one's did."""
    parts = [film(tmp_path / f"{i}.ts", regular(50), sounds=(AAC,)).read_bytes() for i in range(3)]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    holes = Holes()
    found = [frame.time_s for frame in stream_frames(tmp_path / "joined.ts", holes=holes)]
    assert len(found) >= 148
    assert np.diff(found).min() > 0.03
    assert found[-1] == pytest.approx(149 / 25, abs=0.2)
    assert [round(start / 2) for start, _, _ in holes.found] == [1, 2]


def test_a_clock_never_falls():
    clock = Clock()
    assert [clock.at(told, 0.5) for told in (3.0, None, 4.0, 3.9, 1.0, 1.5)] == [3.0, 3.5, 4.0, 4.0, 4.5, 5.0]


# ---- sound


@pytest.mark.parametrize(
    ("name", "codec", "sound", "kept", "channels"),
    [
        ("a.wmv", "msmpeg4v3", {"codec": "wmav2", "layout": "stereo"}, "aac", 2),
        ("a.mkv", "libx264", {"codec": "pcm_s16le", "layout": "5.1"}, "aac", 6),  # of no layout that is named
        ("a.mkv", "libx264", {"codec": "ac3", "layout": "5.1"}, "ac3", 6),
    ],
)
def test_sound_that_a_container_does_not_take_is_carried_over_all_the_same(
    tmp_path, name, codec, sound, kept, channels
):
    source = film(tmp_path / name, regular(50), codec, sounds=(sound,))
    again(source, tmp_path / "out.mp4")
    found = sound_of(tmp_path / "out.mp4")
    assert (found["codec"], found["channels"]) == (kept, channels)
    assert found["end_s"] == pytest.approx(2.0, abs=0.1)


def silenced(monkeypatch):
    """Sound that no way carries over."""

    def refuse(self, container):
        raise TypeError("no")

    monkeypatch.setattr(Soundtrack, "add_to", refuse)


def test_sound_that_cannot_be_carried_over_is_known_before_the_first_frame(tmp_path, monkeypatch):
    source = film(tmp_path / "in.mp4", regular(5), sounds=(AAC,), seconds=1)
    silenced(monkeypatch)
    with pytest.raises(MediaError, match=r"in.mp4: the sound cannot be carried over into .mp4: no"):
        VideoWriter(
            tmp_path / "out.mp4", width=64, height=48, rate_hz=Fraction(25), audio_from=source
        ).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    holes = Holes()
    again(source, tmp_path / "out.mp4", holes=holes)
    assert len(times(tmp_path / "out.mp4")) == 5
    assert "no sound" in str(holes)


def test_pictures_stay_where_the_sound_fails_late(tmp_path, monkeypatch):
    source = film(tmp_path / "in.mp4", regular(50), sounds=(AAC,))
    copy = Soundtrack.copy_until

    def failing(self, container, end_s):
        if 1.0 < end_s < 100:
            raise ValueError("gone")
        copy(self, container, end_s)

    monkeypatch.setattr(Soundtrack, "copy_until", failing)
    writer = again(source, tmp_path / "out.mp4", variable=False)
    assert len(times(tmp_path / "out.mp4")) == 50
    assert writer.told == ["the sound ends at 1.00 s: gone"]
    assert sound_of(tmp_path / "out.mp4")["end_s"] == pytest.approx(1.0, abs=0.1)


def test_the_sound_marked_as_default_is_taken_with_its_language_and_the_rest_is_named(tmp_path):
    sounds = ({"language": "ger", "default": False}, {"codec": "ac3", "language": "fre"})
    source = film(tmp_path / "in.mkv", regular(25), sounds=sounds)
    assert probe(source).left_out == "1 x sound (ger)"
    again(source, tmp_path / "out.mp4")
    found = sound_of(tmp_path / "out.mp4")
    assert (found["codec"], found["language"], found["tracks"]) == ("ac3", "fre", 1)


def test_a_cover_that_is_left_out_is_no_video(tmp_path):
    with open_container(odd_videos.audio_only(tmp_path / "a.mp4", cover=True), "sound") as container:
        assert left_out(container) == "1 x cover (no language)"


# ---- pictures


def test_the_shape_of_pixels_is_kept(tmp_path):
    source = film(tmp_path / "in.mp4", regular(5), sample_aspect_ratio=Fraction(16, 11))
    again(source, tmp_path / "out.mkv", variable=False)
    assert probe(tmp_path / "out.mkv").pixel_ratio == Fraction(16, 11)
    odd_videos.turn(source, 1)
    assert probe(source).pixel_ratio == Fraction(11, 16)


def test_the_video_marked_as_default_is_taken(tmp_path):
    source = film(tmp_path / "a.mkv", regular(5), videos=2, default_video=1)
    assert next(read_frames(source)).mean() > 250
    assert probe(source).left_out == "1 x video (no language)"


def corner(number):
    frame = grey(number)
    frame[: HEIGHT // 2, : WIDTH // 2] = (250, 20, 20)
    frame[HEIGHT // 2 :, : WIDTH // 2] = (20, 20, 250)
    return frame


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((-1, 0, 0, 1), lambda stored: stored[:, ::-1]),
        ((1, 0, 0, -1), lambda stored: stored[::-1]),
        ((0, 1, 1, 0), lambda stored: stored.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda stored: stored[::-1, ::-1].swapaxes(0, 1)),
    ],
    ids=["left to right", "upside down", "transposed", "transversed"],
)
def test_a_mirrored_film_is_shown_mirrored(tmp_path, values, shown):
    path = film(tmp_path / "a.mp4", regular(3), pixels=corner)
    stored = next(read_frames(path))
    matrix(path, values)
    np.testing.assert_array_equal(next(read_frames(path)), shown(stored))
    assert (probe(path).height, probe(path).width) == shown(stored).shape[:2]


def test_a_slanted_film_is_turned_by_the_nearest_quarter_and_says_so(tmp_path):
    path = film(tmp_path / "a.mp4", regular(3))
    matrix(path, (0.7071, 0.7071, -0.7071, 0.7071))
    info = probe(path)
    assert next(read_frames(path)).shape[:2] == (info.height, info.width)
    assert any("315 degrees" in line for line in info.odd)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"color_trc": 16, "color_primaries": 9}, "PQ"), ({"color_trc": 18}, "HLG")],
)
def test_high_dynamic_range_is_told(tmp_path, fields, words):
    (line,) = probe(film(tmp_path / "a.mp4", regular(3), **fields)).odd
    assert words in line


def test_interlaced_and_transparent_films_are_told(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgra"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(1), format="rgb24")))
        container.mux(stream.encode(None))
    assert probe(tmp_path / "a.mkv").odd == ("transparency is dropped",)
    source = film(tmp_path / "b.mpg", regular(5), "mpeg2video", flags=1 << 29 | 1 << 18)
    assert "is interlaced" in probe(source).odd[0]


# ---- damage


@pytest.mark.parametrize("share", [0.6, 0.97])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.ts", "libx264", {}),
        ("a.avi", "mpeg4", {}),
        ("a.mkv", "libx264", {}),
        ("a.webm", "libvpx", {}),
        ("a.flv", "flv1", {}),
    ],
)
def test_a_cut_film_is_named_before_anything_is_decoded(tmp_path, name, codec, options, share):
    path = film(tmp_path / name, regular(50), codec, pixels=noisy, options=options)
    check_whole(path)
    assert missing_end(path) == ""
    cut(path, share)
    for read in (check_whole, lambda path: list(read_frames(path))):
        with pytest.raises(MediaError, match=r"breaks off .*after frame \d+, at \d\.\d\d s"):
            read(path)
    holes = Holes()
    found = list(stream_frames(path, holes=holes))
    assert share * 50 - 9 < len(found) < 50
    assert holes.found
    assert holes.found[-1][0] == pytest.approx(len(found) / 25, abs=0.15)


@pytest.mark.parametrize(
    ("name", "codec", "told"),
    [
        ("a.mpg", "mpeg1video", r"ends inside a packet, \d+ bytes of which are missing"),
        ("a.mpg", "mpeg2video", r"ends inside a packet, \d+ bytes of which are missing"),
        ("a.wmv", "wmv2", r"promises \d+ bytes, has \d+"),
    ],
)
def test_a_film_cut_inside_a_packet_of_its_container_is_named(tmp_path, name, codec, told):
    """Packs of 2,048 bytes; between two of them a program stream may end for good."""
    path = film(tmp_path / name, regular(100), codec, pixels=noisy)
    check_whole(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5 // 2048 * 2048 + 1000])
    assert re.fullmatch(told, missing_end(path))
    for read in (check_whole, lambda path: list(read_frames(path))):
        with pytest.raises(MediaError, match=r"breaks off .*after frame \d+, at \d\.\d\d s"):
            read(path)


def test_an_ogg_film_without_its_last_page_is_named(tmp_path):
    """Pages as of Theora: 27 bytes, of which the sixth marks first and last."""
    pages = [b"OggS\0" + bytes([kind]) + bytes(21) for kind in (2, 0, 4)]
    (tmp_path / "a.ogv").write_bytes(b"".join(pages))
    assert missing_end(tmp_path / "a.ogv") == ""
    (tmp_path / "a.ogv").write_bytes(b"".join(pages[:2]))
    assert missing_end(tmp_path / "a.ogv") == "its last page is not marked as the end"


def test_a_live_recording_that_names_no_size_is_whole(tmp_path):
    path = film(tmp_path / "a.mkv", regular(5), options={"live": "1"})
    check_whole(path)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mkv", "mpeg4"), ("a.mkv", "libx264")])
def test_a_bad_packet_is_a_hole_with_its_time(tmp_path, name, codec):
    picture = {"gop_size": 1} if codec == "libx264" else {}
    path = struck(film(tmp_path / name, regular(50), codec, pixels=noisy, **picture), 20)
    holes = Holes()
    found = []
    for frame in stream_frames(path, holes=holes):
        found.append(frame.time_s)
        if frame.damaged:
            holes.add(frame.time_s, frame.time_s + frame.length_s, "is damaged")
    assert len(found) >= 45
    assert found[-1] == pytest.approx(49 / 25, abs=1e-2)  # what follows keeps its times
    assert holes.found[0][0] == pytest.approx(0.8, abs=0.1)
    assert len(holes.found) <= 3


def test_holes_that_touch_are_one():
    holes = Holes()
    for start in (1.0, 1.04, 1.08, 3.0):
        holes.add(start, start + 0.04, "is damaged")
    assert str(holes) == "1.00 to 1.12 s: is damaged; 3.00 to 3.04 s: is damaged"


# ---- names


@pytest.mark.parametrize("name", ["2024-01-01T12:30:00.mp4", "http:a.mp4"])
def test_a_clock_time_in_a_name_is_no_protocol(tmp_path, monkeypatch, name):
    from pathlib import Path

    film(tmp_path / name, regular(5), sounds=(AAC,), seconds=1)
    monkeypatch.chdir(tmp_path)
    again(Path(name), Path(f"out-{name}"))
    assert sound_of(tmp_path / f"out-{name}")["tracks"] == 1
    assert len(times(Path(f"out-{name}"))) == 5
