"""Published layouts, made tiny: the right sequences in the right split, frame by frame."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from common.data.media import MediaError
from common.data.video_writer import VideoWriter
from video_sr.layouts import REDS4, folder, frame_files, reds, vid3oc


def grey(value):
    return np.full((32, 48, 3), value, np.uint8)


def frames(path, values, pattern="{:08d}.png", first=0):
    path.mkdir(parents=True)
    for i, value in enumerate(values, start=first):
        Image.fromarray(grey(value)).save(path / pattern.format(i))


def video(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=48, height=32, rate_hz=Fraction(25)) as writer:
        for value in values:
            writer.write(grey(value))


def values(sequence, start=0, stop=None):
    return [round(float(frame.mean())) for frame in sequence.read(start, stop)]


@pytest.fixture
def reds_root(tmp_path):
    for name in ("000", "001", "011", "015", "020", "239"):
        frames(tmp_path / "reds/train_sharp" / name, [int(name) % 200, 1, 2])
    frames(tmp_path / "reds/val_sharp/000", [7, 8])
    return tmp_path


def test_reds_keeps_reds4_out_of_train(reds_root):
    ids = {split: {s.id for s in reds(reds_root, split)} for split in ("train", "dev", "test")}
    assert ids["test"] == {f"reds-train-{name}" for name in REDS4}
    assert ids["train"] == {"reds-train-001", "reds-train-239"}
    assert ids["dev"] == {"reds-val-000"}


def test_reds_frames_come_by_index(reds_root):
    test = reds(reds_root, "test")
    assert values(test[1]) == [11, 1, 2]
    assert values(test[1], 1, 2) == [1]
    assert test[1].num_frames == 3


def test_reds_without_one_of_reds4_is_an_error(tmp_path):
    frames(tmp_path / "reds/train_sharp/000", [1])
    with pytest.raises(ValueError, match=r"missing are reds-train-011, reds-train-015, reds-train-020"):
        reds(tmp_path, "test")


def test_vid3oc_trains_on_films_and_scores_frames(tmp_path):
    video(tmp_path / "vid3oc/train/000.mp4", [40, 80, 120])
    frames(tmp_path / "vid3oc/validation/000", [5, 6], "{:06d}.png", first=1)
    frames(tmp_path / "vid3oc/test/050", [9], "{:06d}.png")
    np.testing.assert_allclose(values(vid3oc(tmp_path, "train")[0]), [40, 80, 120], atol=3)
    assert vid3oc(tmp_path, "train")[0].num_frames == 3
    assert values(vid3oc(tmp_path, "dev")[0]) == [5, 6]
    assert vid3oc(tmp_path, "dev")[0].id == "vid3oc-dev-000"
    assert values(vid3oc(tmp_path, "test")[0]) == [9]


def test_splits_share_no_key(reds_root):
    keys = [{key for s in reds(reds_root, split) for key in s.keys} for split in ("train", "dev", "test")]
    assert not (keys[0] & keys[1])
    assert not (keys[0] & keys[2])
    assert not (keys[1] & keys[2])


def test_a_folder_takes_films_and_frames_and_leaves_the_rest(tmp_path):
    video(tmp_path / "b.mp4", [10])
    frames(tmp_path / "a", [1, 2], "frame{}.png")
    (tmp_path / "notes.txt").write_text("no film")
    (tmp_path / "empty").mkdir()
    assert [(s.id, s.num_frames) for s in folder(tmp_path)] == [("a", 2), ("b", 1)]


def test_numbers_sort_as_numbers(tmp_path):
    frames(tmp_path / "a", range(12), "{}.png")
    assert [file.stem for file in frame_files(tmp_path / "a")] == [str(i) for i in range(12)]


def test_a_gap_in_the_frames_is_named(tmp_path):
    frames(tmp_path / "a", [1, 2, 3])
    (tmp_path / "a/00000001.png").unlink()
    with pytest.raises(ValueError, match=r"00000002\.png follows 00000000\.png"):
        folder(tmp_path)


def test_one_name_for_two_sequences_is_refused(tmp_path):
    frames(tmp_path / "a", [1])
    video(tmp_path / "a.mp4", [1])
    with pytest.raises(ValueError, match=r"same name twice: \['a'\]"):
        folder(tmp_path)


def test_missing_empty_and_unknown_are_sentences(tmp_path):
    with pytest.raises(ValueError, match="is no folder"):
        vid3oc(tmp_path, "train")
    with pytest.raises(ValueError, match="holds no video"):
        folder(tmp_path)
    with pytest.raises(ValueError, match="train, dev, test, got 'val'"):
        reds(tmp_path, "val")


def test_frames_past_the_end_and_of_two_sizes_are_refused(tmp_path):
    frames(tmp_path / "a", [1, 2])
    sequence = folder(tmp_path)[0]
    with pytest.raises(MediaError, match=r"frames 0:2, asked for 1:3"):
        values(sequence, 1, 3)
    Image.fromarray(grey(0)[:16]).save(tmp_path / "a/00000001.png")
    with pytest.raises(MediaError, match=r"\(16, 48, 3\) after \(32, 48, 3\)"):
        values(sequence)
