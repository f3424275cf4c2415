"""The scoring kit pairs what belongs together, scores it by the protocol and says by which conventions."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from common.data.video import read_frames
from common.data.video_writer import VideoWriter
from common.metrics.image_quality import LPIPS, PSNR, SSIM, TEMPORAL, psnr, ssim
from video_sr import score_kit, score_shown
from video_sr.__main__ import app
from video_sr.further import Further


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 240, (*shape, 3), np.uint8)


def write_folder(path, frames):
    path.mkdir(parents=True)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{index + 8}.png")  # 8, 9, 10: in order only when natural
    return path


def write_video(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    with VideoWriter(path, width=width, height=height, rate_hz=Fraction(10)) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def score(*arguments):
    return CliRunner().invoke(app, ["score", *map(str, arguments)])


@pytest.fixture
def sides(tmp_path):
    """Two sequences of three frames, off by 2 and by 10 levels."""
    hr = noise(3, 64, 80)
    for name, error in (("a", 2), ("b", 10)):
        write_folder(tmp_path / "sr" / name, hr + np.uint8(error))
        write_folder(tmp_path / "hr" / name, hr)
    return tmp_path / "sr", tmp_path / "hr"


def test_scores_are_those_of_the_metrics_frame_by_frame(tmp_path):
    hr = noise(3, 64, 80)
    sr = np.clip(hr + np.random.default_rng(1).normal(0, 20, hr.shape), 0, 255).astype(np.uint8)
    (pair,) = score_kit.find_pairs(write_folder(tmp_path / "sr", sr), write_folder(tmp_path / "hr", hr))
    scored = score_kit.score(pair)
    for measure, name in ((psnr, PSNR), (ssim, SSIM)):
        each = [measure(a, b) for a, b in zip(sr, hr, strict=True)]
        assert [frame[name] for frame in scored.frames] == each
        assert scored.means[name] == pytest.approx(np.mean(each))


def test_sequences_count_alike_and_pair_by_name(sides):
    scored = [score_kit.score(pair) for pair in score_kit.find_pairs(*sides)]
    assert [s.pair.name for s in scored] == ["a", "b"]
    expected = np.mean([20 * np.log10(255 / error) for error in (2, 10)])
    assert score_kit.overall(scored)[PSNR] == pytest.approx(expected)


def test_the_truth_is_cut_as_the_protocol_cuts_it(tmp_path):
    hr = noise(2, 70, 80)
    cut = score(
        "--sr",
        write_folder(tmp_path / "sr", hr[:, :64] + np.uint8(1)),
        "--hr",
        write_folder(tmp_path / "hr", hr),
    )
    assert "HR of hr was cut from 80x70 to 80x64" in cut.stdout
    assert "48.13" in cut.stdout  # 20 log10 255: nothing is shifted


def test_videos_are_scored_as_their_frames(tmp_path):
    ramp = np.linspace(0, 200, 64)[:, None, None] + np.linspace(0, 50, 80)[:, None] + np.zeros(3)
    hr = np.stack([ramp, ramp + 4, ramp + 8]).astype(np.uint8)
    video = write_video(tmp_path / "sr.mp4", list(hr))
    (pair,) = score_kit.find_pairs(video, write_folder(tmp_path / "hr", hr))
    decoded = [psnr(a, b) for a, b in zip(read_frames(video), hr, strict=True)]
    assert [frame[PSNR] for frame in score_kit.score(pair).frames] == decoded


def test_the_table_names_every_convention_and_every_sequence(sides):
    done = score("--sr", sides[0], "--hr", sides[1])
    assert done.exit_code == 0, done.output
    for words in (PSNR, SSIM, TEMPORAL, "mean over its frames", "flat frames", "multiples of 16"):
        assert words in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()[:4]]
    assert [row[:4] for row in rows] == [
        ["sequence", "frames", "flat", "PSNR"],
        ["a", "3", "0", "42.11"],
        ["b", "3", "0", "28.13"],
        ["mean", "6", "0", "35.12"],
    ]


def test_json_holds_every_frame_and_stays_strict(tmp_path):
    hr = noise(2, 64, 80)
    sr, truth = write_folder(tmp_path / "sr", hr), write_folder(tmp_path / "hr", hr)
    content = json.loads(
        score("--sr", sr, "--hr", truth, "--json").stdout, parse_constant=lambda name: pytest.fail(name)
    )
    assert [frame[PSNR] for frame in content["sequences"]["hr"]["frames"]] == ["inf", "inf"]
    assert content["means"][TEMPORAL] == 0


def test_flat_frames_are_left_out_and_counted(tmp_path):
    hr = noise(3, 64, 80)
    hr[0] = 0
    sr = hr + np.uint8(2)
    sr[0] = 99
    done = score("--sr", write_folder(tmp_path / "sr", sr), "--hr", write_folder(tmp_path / "hr", hr))
    assert done.stdout.splitlines()[1].split()[:4] == ["hr", "3", "1", "42.11"]


def test_the_plot_names_the_worst_frame(sides, tmp_path):
    (sides[0] / "a" / "9.png").unlink()
    Image.fromarray(noise(64, 80, seed=3)).save(sides[0] / "a" / "9.png")
    figure = score_shown.plot([score_kit.score(pair) for pair in score_kit.find_pairs(*sides)])
    (axes,) = figure.axes
    assert axes.get_title().startswith("Worst is frame 1 of a with ")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("frame", f"{PSNR} (dB)")
    assert score("--sr", sides[0], "--hr", sides[1], "--plot", tmp_path / "p.png").exit_code == 0
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width > 400


def test_the_plot_of_identical_clips_says_so(tmp_path):
    sr, hr = (write_folder(tmp_path / side, noise(2, 64, 80)) for side in ("sr", "hr"))
    figure = score_shown.plot([score_kit.score(pair) for pair in score_kit.find_pairs(sr, hr)])
    assert figure.axes[0].get_title() == "Every frame is identical to the truth"


def test_the_learned_distance_is_averaged_over_frames_that_are_not_flat(tmp_path):
    hr = noise(3, 64, 80)
    hr[1] = 0
    (pair,) = score_kit.find_pairs(write_folder(tmp_path / "sr", hr), write_folder(tmp_path / "hr", hr))
    seen = []

    def distance(a, b):
        assert (a.shape, float(a.max()) <= 1) == ((1, 3, 64, 80), True)
        seen.append(a)
        return a.new_tensor([0.5 * len(seen)])

    assert score_kit.score(pair, Further({LPIPS: distance})).means[LPIPS] == 0.75


def test_every_container_is_a_sequence_and_what_is_not_read_is_named(sides):
    for side in sides:
        for name in ("c.mp4", "d.mkv"):
            write_video(side / name, list(noise(3, 64, 80)))
        (side / "d.mkv").rename(side / "d.mpg")  # whatever its name says
    (sides[1] / "e.y4m").write_text("a video of a kind that is not read")
    done = score("--sr", sides[0], "--hr", sides[1])
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()[1:6]] == ["a", "b", "c", "d", "mean"]
    assert "hr: not read are e.y4m" in done.stdout
    assert "4 sequence(s) of 12 frames; frames were paired by name in 2, in their order in 2" in done.stdout


def test_pictures_pair_by_number_whatever_its_zeros(sides):
    for path in (sides[0] / "a").iterdir():
        path.rename(path.with_name(f"{int(path.stem):06d}.png"))
    assert "42.11" in score("--sr", sides[0], "--hr", sides[1]).stdout


def test_an_identical_frame_is_told_and_kept_out_of_the_mean(sides):
    (sides[0] / "a" / "9.png").write_bytes((sides[1] / "a" / "9.png").read_bytes())
    done = score("--sr", sides[0], "--hr", sides[1])
    rows = [line.split() for line in done.stdout.splitlines()[1:4]]
    assert [row[3] for row in rows] == ["42.11", "28.13", "35.12"]
    assert (
        "1 of 3 frames of a are the truth itself (1): their infinite PSNR is left out of means" in done.stdout
    )
    content = json.loads(score("--sr", sides[0], "--hr", sides[1], "--json").stdout)
    assert content["sequences"]["a"]["identical_frames"] == [1]


def test_small_frames_are_scored_by_what_fits_them(tmp_path):
    hr = noise(2, 16, 16)
    done = score(
        "--sr", write_folder(tmp_path / "sr", hr + np.uint8(2)), "--hr", write_folder(tmp_path / "hr", hr)
    )
    assert done.exit_code == 0, done.output
    assert "42.11" in done.stdout
    assert "which needs 44 pixels a side" in done.stdout


# ---- faults: one sentence, exit code 2


def missing_in_sr(sr, hr):
    (hr / "b").rename(hr / "c")
    return r"only in \S+sr: b; only in \S+hr: c"


def fewer_frames(sr, hr):
    (sr / "b" / "10.png").unlink()
    return r"b: SR has 2 frames, HR has 3; pictures pair by name, only in \S+hr/b: 10"


def other_size(sr, hr):
    write_folder(sr / "c", noise(3, 64, 64))
    write_folder(hr / "c", noise(3, 70, 80))
    return "c: SR frames must be 80x70, or 80x64 after the protocol's cut, as HR's, got 64x64"


def other_size_within(sr, hr):
    Image.fromarray(noise(32, 32)).save(sr / "a" / "10.png")
    return "frame 2 is 32x32, the first is 80x64"


def shorter_video(sr, hr):
    write_video(sr / "c.mp4", list(noise(3, 64, 80)))
    write_video(hr / "c.mp4", list(noise(5, 64, 80)))
    return "c: SR has 3 frames, HR has 5"


def numbered_otherwise(sr, hr):
    """As many pictures, one later: pairing by place would score each against its neighbour."""
    for folder, first in ((sr / "a", 1), (hr / "a", 0)):
        for i, path in enumerate(sorted(folder.iterdir(), key=lambda path: int(path.stem))):
            path.rename(folder / f"{first + i:03d}.png")
    return r"a: pictures pair by name, only in \S+sr/a: 003; only in \S+hr/a: 000"


def pictures_beside_videos(sr, hr):
    for side in (sr, hr):
        write_video(side / "c.mp4", list(noise(3, 64, 80)))
    Image.fromarray(noise(64, 80)).save(hr / "thumbnail.png")
    return r"hr: holds pictures \(thumbnail.png\) beside videos \(c.mp4\)"


def too_small(sr, hr):
    for side in (sr, hr):
        write_folder(side / "c", noise(2, 15, 40))
    return "c: frames need at least 16 pixels a side, SR has 40x15, HR 40x15"


def all_flat(sr, hr):
    for side in (sr, hr):
        write_folder(side / "c", np.zeros((2, 64, 80, 3), np.uint8))
    return "c: none of 2 frames could be scored, 2 are flat"


def broken_picture(sr, hr):
    (sr / "a" / "8.png").write_text("no picture")
    return "8.png: cannot be read as a picture"


def nothing_there(sr, hr):
    sr.rename(sr.parent / "elsewhere")
    return "sr: no such file or folder"


def empty(sr, hr):
    sr.rename(sr.parent / "elsewhere")
    sr.mkdir()
    return "sr: holds neither frames nor sequences"


def twice(sr, hr):
    (sr / "a.mp4").touch()
    return "sequence a is there twice, a and a.mp4"


@pytest.mark.parametrize(
    "fault",
    [missing_in_sr, fewer_frames, other_size, other_size_within, shorter_video, all_flat,
     numbered_otherwise, pictures_beside_videos, too_small, broken_picture,
     nothing_there, empty, twice],
)  # fmt: skip
def test_every_fault_is_one_sentence(sides, fault):
    words = fault(*sides)
    done = score("--sr", sides[0], "--hr", sides[1])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert re.search(words, done.stderr), done.stderr


def test_a_clip_is_not_scored_against_a_folder_of_clips(sides):
    done = score("--sr", sides[0] / "a", "--hr", sides[1])
    assert done.exit_code == 2
    assert "is one sequence and" in done.stderr


@pytest.mark.parametrize(("root", "words"), [(None, "it is not set"), ("", "not found at")])
def test_the_learned_distance_without_its_file_says_where_it_belongs(
    sides, monkeypatch, tmp_path, root, words
):
    monkeypatch.delenv("WEIGHTS_ROOT", raising=False)
    if root is not None:
        monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    done = score("--sr", sides[0], "--hr", sides[1], "--lpips")
    assert (done.exit_code, words in done.stderr, "WEIGHTS_ROOT" in done.stderr) == (2, True, True)


@pytest.mark.parametrize("name", ["p.pdf", "nowhere/p.png"])
def test_a_plot_that_cannot_be_written_is_refused_before_scoring(sides, tmp_path, name):
    done = score("--sr", sides[0], "--hr", sides[1], "--plot", tmp_path / name)
    assert done.exit_code == 2
    assert "must be a .png in a folder that is there" in done.stderr
