"""From a folder of films and pictures to a model that enlarges; interrupted and resumed on the way."""

import json

import numpy as np
import odd_videos
import pytest
import torch
from interrupting import interrupted
from PIL import Image
from typer.testing import CliRunner

from common import checkpoint
from common.data.packages import FetchError
from common.data.resize import to_8bit, upscale
from video_sr import ncnn_files
from video_sr.__main__ import app
from video_sr.measures import PSNR
from video_sr.own import clips
from video_sr.upscaling import Upscaling

SMALL = ("--network", "wide", "--steps", 6, "--set", "batch_size=2", "--set", "patch=3", "--set", "corpus.clips=24",
         "--set", "network.channels=8", "--set", "network.blocks=1", "--set", "network.squeeze=2",
         "--device", "cpu")  # fmt: skip


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def texture(seed, height, width):
    coarse = torch.rand(1, 3, height // 8 + 1, width // 8 + 1, generator=torch.Generator().manual_seed(seed))
    return to_8bit(upscale(coarse, 8)[0, :, :height, :width]).movedim(0, -1).numpy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pictures, a video, a folder of frames, the same picture again, and three files that are none."""
    root = tmp_path_factory.mktemp("films")
    for name, seed in (("one.png", 1), ("below/two.png", 2), ("again.png", 1)):
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(texture(seed, 144, 160)).save(root / name)
    long = texture(3, 96, 160)
    (root / "walk").mkdir()
    for i in range(10):
        Image.fromarray(long[:, 3 * i : 3 * i + 112]).save(root / "walk" / f"frame-{i:03d}.png")
    odd_videos.film(root / "film.mp4", num_frames=12, width=112, height=96)
    (root / "broken.mp4").write_bytes((root / "film.mp4").read_bytes()[:900])
    (root / "notes.png").write_text("no picture")
    Image.fromarray(texture(4, 40, 200)).save(root / "narrow.png")
    (root / "readme.txt").write_text("is no film by its name")
    return root


@pytest.fixture(scope="module")
def offline():
    """No network, as far as SPAN's package goes."""

    def no_network(package):
        raise FetchError("no network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ncnn_files, "fetch", no_network)
        yield


@pytest.fixture(scope="module")
def trained(folder, offline, tmp_path_factory):
    """The command's words, its folder and what it said: interrupted in step 3, then resumed to its end."""
    out = tmp_path_factory.mktemp("trained") / "mine"
    words = ["train", folder, "--out", out, *SMALL]
    stopped, done = interrupted(run, words, Upscaling, at_step=3, makes=out / "weights.safetensors")
    return words, out, stopped.output + done.output


def test_a_resumed_training_is_the_uninterrupted_one(trained, tmp_path):
    words, out, _ = trained
    whole = run(*[tmp_path / "whole" if word == out else word for word in words])
    assert whole.exit_code == 0, whole.output
    one, other = (checkpoint.load(each / "weights.safetensors").tensors for each in (out, tmp_path / "whole"))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_bad_files_are_named_and_skipped(trained):
    _, out, said = trained
    listed = dict(line.split(": ", 1) for line in (out / "left-out.txt").read_text().splitlines())
    assert set(listed) == {"broken.mp4", "notes.png", "narrow.png", "one.png"} or set(listed) == {
        "broken.mp4", "notes.png", "narrow.png", "again.png"}  # fmt: skip
    assert "cannot be read as a picture" in listed["notes.png"]
    assert listed["narrow.png"].startswith("needs ")
    assert "has the same content as" in listed.get("one.png", listed.get("again.png"))
    assert "4 of 8 files are left out" in said
    assert str(out) not in (out / "left-out.txt").read_text()


def test_files_are_divided_by_file_and_frames_in_a_folder_are_one_film(trained):
    found = clips.index(trained[1] / "films")["files"]
    parts = {part: {line["name"] for line in found if line["part"] == part} for part in ("train", "dev")}
    assert len(parts["dev"]) == 1
    assert len(parts["train"]) == 3
    assert "walk" in parts["dev"] | parts["train"]
    assert {line["clips"] for line in found if line["part"] == "train"} == {
        4
    }  # 24 of six files, three of them bad


def test_the_card_says_how_good_it_is_beside_bicubic(trained):
    _, out, said = trained
    page, scores = (out / "README.md").read_text(), json.loads((out / "scores-dev.json").read_text())
    assert f"| bicubic | {scores['bicubic']['psnr_db']:.2f} |" in page
    assert f"| this model | {scores['this model']['psnr_db']:.2f} |" in page
    assert "span-twice is not scored: no network" in said
    assert str(out) not in page
    assert list((out / "run" / "previews").glob("*.png"))


def test_what_was_trained_enlarges_and_is_scored(trained, tmp_path):
    _, out, _ = trained
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    for i in range(2):
        Image.fromarray(texture(5, 8, 8)).save(small / f"{i}.png")
    done = run("upscale", small, large, "--model", out, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert np.asarray(Image.open(large / "0.png")).shape == (128, 128, 3)
    done = run("score", "--sr", large, "--hr", large, "--peer", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["peers"][str(out)]["means"][PSNR.name] > 0


def test_other_settings_do_not_overwrite_a_training(trained):
    done = run(*trained[0], "--set", "peak_lr=0.5")
    assert done.exit_code != 0
    assert "--resume" in done.output


def test_settings_are_printed_and_nothing_is_trained(folder, tmp_path):
    done = run("train", folder, "--out", tmp_path / "out", *SMALL, "--print-settings")
    assert done.exit_code == 0, done.output
    assert {"steps=6", "patch=3", "corpus.clips=24"} <= set(done.stdout.splitlines())
    assert not (tmp_path / "out" / "run").exists()


@pytest.mark.parametrize(
    ("make", "words", "sentence"),
    [
        (lambda root: None, ("--network", "nope"), "network must be one of "),
        (lambda root: root.rmdir(), (), "films: is no folder; give one that holds videos"),
        (lambda root: None, (), "holds no videos and no pictures (.mp4"),
        (lambda root: Image.fromarray(texture(0, 144, 144)).save(root / "a.png"), SMALL, "no file is left for train"),
        (lambda root: [(root / name).write_text("x") for name in ("a.png", "b.png")], SMALL,
         "no file is left for train; it takes two or more"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_one_sentence(make, words, sentence, tmp_path):
    (tmp_path / "films").mkdir()
    make(tmp_path / "films")
    done = run("train", tmp_path / "films", "--out", tmp_path / "out", *words)
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
        (lambda path: Image.new("RGB", (160, 160), (9, 9, 9)).save(path), "shows nothing"),
        (lambda path: Image.new("I;16", (160, 160)).save(path), "pictures must have 8 bits a channel"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(make, reason, folder, tmp_path):
    for name in ("one.png", "second.png"):
        Image.fromarray(texture(len(name) + ord(name[0]), 160, 160)).save(tmp_path / name)
    make(tmp_path / "bad.png")
    clips.prepare(tmp_path, None, tmp_path / "out" / "films", clips=2, num_frames=1, patch=3)
    assert reason in (tmp_path / "out" / "left-out.txt").read_text()
