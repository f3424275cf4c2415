"""Measures beside the protocol's: FFmpeg's filters frame by frame, changes along motion, and where a clip jumps."""

import json
import math
import stat

import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures
from typer.testing import CliRunner

from common.data.packages import data_root
from video_sr import by_ffmpeg
from video_sr.__main__ import app
from video_sr.further import Further
from video_sr.measures import TEMPORAL, VIF, VMAF, WARPED, WARPED_TRUTH, XPSNR
from video_sr.over_time import flow, warped_errors

# Reads frames of 2 x 48 rows of 64 grey pixels; the "n"-th of them has the scores 30 + n, 0.n and 10 n.
FAKE = """#!/usr/bin/env python3
import json, sys
assert "64x96" in sys.argv, sys.argv
frames = range(len(sys.stdin.buffer.read()) // (64 * 96))
if len(frames) == 1:
    sys.exit("a line before\\nno filter named xpsnr")
with open("xpsnr", "w") as file:
    file.writelines(f"n: {n + 1:4d}  XPSNR y: {30 + n}.5000\\n" for n in frames)
    file.write("\\nXPSNR average, y: 1.0\\n")
with open("vif", "w") as file:
    file.writelines(f"frame:{n}\\nlavfi.vif.scale.2=0.9\\nlavfi.vif.scale.3=0.{n}\\n" for n in frames)
json.dump({"frames": [{"metrics": {"vmaf": 10.0 * n}} for n in frames]}, open("vmaf.json", "w"))
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "ffmpeg"
    path.write_text(FAKE)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 240, (*shape, 3), np.uint8)


def test_filters_score_frame_by_frame_and_flat_frames_are_left_out(fake):
    hr = noise(4, 48, 64)
    hr[1] = 0
    sequence, means = Further(ffmpeg=fake).score(zip(hr + np.uint8(2), hr, strict=True))
    assert [frame.get(XPSNR.name) for frame in sequence.frames] == [30.5, None, 32.5, 33.5]
    assert means[VIF.name] == pytest.approx((0 + 0.2 + 0.3) / 3)
    assert means[VMAF.name] == pytest.approx(50 / 3)


def test_a_program_that_fails_is_told_by_its_last_line(fake):
    hr = noise(1, 48, 64)
    with pytest.raises(ValueError, match="ffmpeg could not score: no filter named xpsnr"):
        Further(ffmpeg=fake).score(zip(hr, hr, strict=True))


def test_another_machine_is_told_before_anything_is_fetched(monkeypatch):
    monkeypatch.setattr(by_ffmpeg.platform, "machine", lambda: "arm64")
    with pytest.raises(ValueError, match="--ffmpeg needs Linux on x86_64, whose FFmpeg is pinned; this is"):
        by_ffmpeg.program()


@pytest.mark.corpus
def test_known_values_of_the_real_program():
    """By ffmpeg itself, called by hand on the same luma; a frame that is the truth has XPSNR without end and VIF 1."""
    if not (data_root() / by_ffmpeg.PACKAGE.folder).is_dir():
        pytest.skip(f"{by_ffmpeg.PACKAGE.label} is not in the data root")
    hr = pictures.astronaut()
    error = np.random.default_rng(0).normal(0, 8, hr.shape)
    sr = np.clip(hr + error, 0, 255).astype(np.uint8)
    sequence, _ = Further(ffmpeg=by_ffmpeg.program()).score([(sr, hr), (hr, hr)])
    first, second = sequence.frames
    assert (first[XPSNR.name], first[VIF.name]) == pytest.approx((38.8382, 0.986362), abs=1e-4)
    assert (first[VMAF.name], second[VMAF.name]) == pytest.approx((92.866220, 97.428268), abs=1e-4)
    assert (second[XPSNR.name], second[VIF.name]) == (math.inf, 1.0)


# ---- along motion


@pytest.fixture(scope="module")
def moving():
    """A photograph that moves 4 pixels to the left a frame."""
    return np.stack([pictures.astronaut()[100:300, 60 + 4 * t : 360 + 4 * t] for t in range(2)])


def test_flow_points_to_where_a_pixel_was(moving):
    inner = flow(*moving)[0, :, 40:-40, 40:-40]
    assert inner.mean((1, 2)).tolist() == pytest.approx([4, 0], abs=0.2)


def test_motion_is_no_error_and_flicker_is_its_height(moving):
    of_sr, of_truth = warped_errors(moving, moving)
    assert of_sr == of_truth < 4
    still = np.stack([moving[0], moving[0]])
    assert warped_errors(still, still) == pytest.approx((0, 0), abs=0.5)
    flicker = np.stack([moving[0] // 2, moving[0] // 2 + np.uint8(10)])
    assert warped_errors(flicker, still)[0] == pytest.approx(10, abs=0.3)
    assert warped_errors(still, moving)[0] > 2 * of_truth  # a clip that stands where the truth moves


def test_what_cannot_be_followed_is_left_out():
    a, b = noise(64, 64), noise(64, 64, seed=1)
    flash = np.stack([a // 4, b // 4 + np.uint8(190)])
    assert all(map(math.isnan, warped_errors(flash, flash)))
    _, means = Further(warped=True).score(zip(flash, flash, strict=True))
    assert WARPED.name not in means


def test_score_shows_them_and_marks_the_jump(tmp_path, moving, fake):
    for side, jump in (("sr", 30), ("hr", 0)):
        (tmp_path / side).mkdir()
        for index in range(6):
            lift = 3 * (index % 2) if side == "sr" else 0  # a little restless throughout
            frame = np.clip(moving[0].astype(int) + lift + (jump if index >= 4 else 0), 0, 255)
            Image.fromarray(frame.astype(np.uint8)).save(tmp_path / side / f"{index}.png")
    sides = ["score", "--sr", str(tmp_path / "sr"), "--hr", str(tmp_path / "hr"), "--warped"]
    done = CliRunner().invoke(app, sides)
    assert done.exit_code == 0, done.output
    assert {WARPED.heading, "tdiff"} <= set(done.stdout.splitlines()[0].split())
    assert "hr changes most, against the truth, from frame 3 to 4: by " in done.stdout
    found = json.loads(CliRunner().invoke(app, [*sides, "--json"]).stdout)["means"]
    assert found[WARPED.name] == pytest.approx(found[TEMPORAL.name], rel=0.2)
    assert found[WARPED_TRUTH.name] == pytest.approx(0, abs=0.5)
