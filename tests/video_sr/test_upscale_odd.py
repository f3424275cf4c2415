"""`upscale` keeps what an odd clip is, or says in one line what it does not keep."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import odd_videos
import pytest
from odd_films import CHANGING, cut, film, noisy, regular, sound_of, struck
from PIL import Image
from typer.testing import CliRunner

import video_sr
from common.data.pictures import read_image
from common.data.video import probe, stream_frames
from video_sr import protocol
from video_sr.__main__ import app
from video_sr.models.bicubic import Bicubic

av = pytest.importorskip("av")
AAC = {"codec": "aac"}


def upscale(*arguments):
    return CliRunner().invoke(app, ["upscale", *map(str, arguments), "--model", "bicubic"])


def notes(done):
    assert done.exit_code == 0, done.output
    return [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def picture(path, height=4, width=6, mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def test_every_frame_keeps_its_time_and_ends_with_the_sound(tmp_path):
    source = film(tmp_path / "in.webm", CHANGING, "libvpx", sounds=({"codec": "libopus"},), seconds=8)
    assert notes(upscale(source, tmp_path / "out.mp4")) == []
    times = [frame.time_s for frame in stream_frames(tmp_path / "out.mp4")]
    np.testing.assert_allclose(times, CHANGING, atol=1.1e-3)
    assert sound_of(tmp_path / "out.mp4")["end_s"] == pytest.approx(8, abs=0.05)
    refused = upscale(source, tmp_path / "out.avi")
    assert refused.exit_code == 2
    assert "times of their own; write .mp4" in refused.stderr


def test_what_does_not_come_through_is_a_line_each(tmp_path):
    sounds = ({"language": "ger"}, {"language": "fre", "default": False})
    source = film(
        tmp_path / "in.mkv", regular(5), sounds=sounds, color_trc=16, sample_aspect_ratio=Fraction(2, 1)
    )
    found = notes(upscale(source, tmp_path / "out.mp4"))
    assert len(found) == 2
    assert "PQ" in found[0]
    assert found[1].endswith("left out: 1 x sound (fre)")
    assert probe(tmp_path / "out.mp4").pixel_ratio == 2
    assert "2 times as wide as high" in notes(upscale(source, tmp_path / "out"))[-1]


def test_in_python_it_is_a_warning(tmp_path):
    source = film(tmp_path / "in.mp4", regular(3), color_trc=18)
    with pytest.warns(UserWarning, match="HLG"):
        video_sr.load("bicubic").upscale(source, tmp_path / "out.mp4")


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264")])
def test_what_is_left_of_a_cut_film_is_kept_when_asked(tmp_path, name, codec):
    source = cut(film(tmp_path / name, regular(50), codec, pixels=noisy), 0.6)
    refused = upscale(source, tmp_path / "out.mp4")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "breaks off" in refused.stderr
    assert "--salvage keeps what can be decoded" in refused.stderr
    assert list(tmp_path.iterdir()) == [source]
    assert any("breaks off" in line for line in notes(upscale(source, tmp_path / "out.mp4", "--salvage")))
    assert 20 <= len(list(stream_frames(tmp_path / "out.mp4"))) < 50


def test_a_bad_packet_is_one_sentence_or_a_hole(tmp_path):
    source = struck(film(tmp_path / "in.mkv", regular(50), "mpeg4", pixels=noisy, sounds=(AAC,)), 20)
    refused = upscale(source, tmp_path / "out.mp4")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert f"{source}: " in refused.stderr
    found = notes(upscale(source, tmp_path / "out.mp4", "--salvage"))
    assert any("0.80 to " in line for line in found), found
    frames = list(stream_frames(tmp_path / "out.mp4"))
    assert frames[-1].time_s == pytest.approx(49 / 25, abs=1e-2)
    assert sound_of(tmp_path / "out.mp4")["end_s"] == pytest.approx(2, abs=0.1)


def test_a_picture_becomes_a_picture(tmp_path):
    source = picture(tmp_path / "photo.jpg")
    assert notes(upscale(source, tmp_path / "photo.png")) == []
    made = next(iter(protocol.super_resolve(Bicubic(), [read_image(source)])))
    np.testing.assert_array_equal(read_image(tmp_path / "photo.png"), made)
    refused = upscale(film(tmp_path / "in.mp4", regular(3)), tmp_path / "film.png")
    assert (refused.exit_code, "must end in .mp4" in refused.stderr) == (2, True)


def test_transparency_is_told(tmp_path):
    (line,) = notes(upscale(picture(tmp_path / "a.png", mode="RGBA"), tmp_path / "b.png"))
    assert "transparency is dropped" in line


@pytest.mark.parametrize("name", ["v1.5 results", "v2.0", "plain"])
def test_a_folder_may_have_a_dot(tmp_path, name):
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in" / "007.png")
    assert upscale(tmp_path / "in", tmp_path / name).exit_code == 0
    assert [path.name for path in (tmp_path / name).iterdir()] == ["007.png"]


def test_two_pictures_of_one_name_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in" / "1.png")
    picture(tmp_path / "in" / "1.bmp")
    assert "picture 1 is there twice" in upscale(tmp_path / "in", tmp_path / "out").stderr


def test_small_frames_to_be_degraded_are_named(tmp_path):
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in" / "1.png", 15, 40)
    done = CliRunner().invoke(app, ["degrade", str(tmp_path / "in"), str(tmp_path / "out")])
    assert done.exit_code == 2
    assert f"{tmp_path / 'in'}: frames need at least 16 pixels a side, got 40x15" in done.stderr


def test_sound_with_a_cover_is_no_film(tmp_path):
    done = upscale(odd_videos.audio_only(tmp_path / "a.mp4", cover=True), tmp_path / "out.mp4")
    assert "no video stream, only audio" in done.stderr


def test_a_clock_time_is_a_name_of_input_and_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "2024-01-01T12:30:00.mp4", regular(3), sounds=(AAC,), seconds=1)
    assert notes(upscale("2024-01-01T12:30:00.mp4", "12:30.mp4")) == []
    assert probe(Path("12:30.mp4")).has_audio
