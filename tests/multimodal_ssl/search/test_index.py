"""An index holds what a model sees of a folder, whatever lies in it and whenever it was stopped."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import odd_videos
import pytest
import torch
from PIL import Image

from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.search import index, weights
from multimodal_ssl.search.index import Index, encoder, video_files
from multimodal_ssl.search.windows import Cut, windows

CUT = Cut(num_frames=4, size_px=32, rate_hz=5)


@pytest.fixture(scope="module")
def matcher(tmp_path_factory):
    return weights.load(str(odd_videos.weights(tmp_path_factory.mktemp("model")))).matcher()


@pytest.fixture
def films(tmp_path):
    """Three short ones."""
    for number, name in enumerate(("a.mp4", "sub/b.mp4", "sub/c.mkv")):
        odd_videos.film(tmp_path / "videos" / name, first=5 * number)
    return tmp_path / "videos"


def wanted(folder, videos, **changes):
    return replace(Index(folder, videos, "tiny", "0" * 64, CUT), **changes)


def update(folder, videos, encode, *, prune=False):
    made = Index.begin(wanted(folder, videos))
    done = list(made.update(video_files(videos), encode, prune=prune))
    return made, [(one.what, one.video.path) for one in done]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Encodings:
    """Counts windows, and can stop as Ctrl-C does."""

    def __init__(self, matcher, stop_after=None):
        self.encode, self.stop_after, self.count = encoder(matcher), stop_after, 0

    def __call__(self, frames):
        if self.count == self.stop_after:
            raise KeyboardInterrupt
        self.count += 1
        return self.encode(frames)


def test_units_are_the_models_own_in_16_bits(tmp_path, films, matcher):
    made, _ = update(tmp_path / "index", films, encoder(matcher))
    for video, folder in made.videos():
        cut = list(windows(films / video.path, CUT))
        seen = matcher.clips(as_video(torch.from_numpy(np.stack([window.small for window in cut]))))
        np.testing.assert_allclose(made.units(video, folder), seen.vectors.numpy(), atol=1e-3)
        assert video.times_s == tuple((round(w.start_s, 3), round(w.stop_s, 3)) for w in cut)
        assert video.units[0] == np.prod(matcher.encoders.video.grid(4, *video.frame_size))
        np.testing.assert_array_equal(made.units(video, folder, 1, 3), made.units(video, folder)[1:3])


def test_every_window_has_a_picture_of_its_frames(tmp_path, films, matcher):
    made, _ = update(tmp_path / "index", films, encoder(matcher))
    video, folder = next(made.videos())
    assert len([*folder.glob("*.jpg")]) == len(video.times_s)
    with Image.open(folder / index.picture_name(1)) as opened:
        strip = np.asarray(opened)
    assert odd_videos.numbers(np.stack(np.split(strip, 4, axis=1))) == [4, 6, 8, 10]


def test_a_picture_shows_at_most_four_frames_evenly():
    assert index.shown_frames(16) == [0, 5, 10, 15]
    assert index.shown_frames(2) == [0, 1]
    assert index.shown_frames(1) == [0]


def test_a_folder_of_everything_is_indexed_to_the_end_and_failures_are_listed(tmp_path, matcher):
    good, bad = odd_videos.fill(tmp_path / "videos")
    made, done = update(tmp_path / "index", tmp_path / "videos", encoder(matcher))
    assert sorted(path for what, path in done if what == "indexed") == good
    assert sorted(path for what, path in done if what == "failed") == bad
    kept = {video.path: video for video, _ in made.videos()}
    faults = {
        "cut.mkv": "breaks off", "cut.mp4": "cannot be read as a video", "empty.mp4": "is empty (0 bytes)",
        "letter.webm": "cannot be read as a video", "sound.mp4": "has no video stream, only audio",
    }  # fmt: skip
    assert all(kept[path].fault.startswith(words) for path, words in faults.items())
    assert kept["cut.mkv"].times_s  # up to where it breaks off
    assert all(kept[path].times_s and not kept[path].fault for path in good)
    assert kept["turned.mp4"].frame_size == (48, 32)


def test_what_is_there_and_unchanged_is_kept_and_failures_are_listed_again(tmp_path, films, matcher):
    (films / "empty.mp4").touch()
    update(tmp_path / "index", films, encoder(matcher))
    before, counted = contents(tmp_path / "index"), Encodings(matcher)
    _, done = update(tmp_path / "index", films, counted)
    assert [what for what, _ in done] == ["kept", "failed", "kept", "kept"]
    assert counted.count == 0
    assert contents(tmp_path / "index") == before


def test_changed_new_and_removed_files_are_noticed(tmp_path, films, matcher):
    update(tmp_path / "index", films, encoder(matcher))
    odd_videos.film(films / "a.mp4", num_frames=8, first=3)
    (films / "sub" / "b.mp4").unlink()
    odd_videos.film(films / "sub" / "d.mp4")
    made, done = update(tmp_path / "index", films, encoder(matcher), prune=True)
    assert done == [
        ("removed", "sub/b.mp4"), ("indexed", "a.mp4"), ("kept", "sub/c.mkv"), ("indexed", "sub/d.mp4"),
    ]  # fmt: skip
    kept = {video.path: len(video.times_s) for video, _ in made.videos()}
    assert set(kept) == {"a.mp4", "sub/c.mkv", "sub/d.mp4"}
    assert kept["a.mp4"] == 1


def test_what_was_made_of_videos_that_are_gone_is_kept_until_it_is_pruned(tmp_path, films, matcher):
    """A drive may only not be mounted."""
    update(tmp_path / "index", films, encoder(matcher))
    (films / "sub").rename(tmp_path / "elsewhere")
    made, done = update(tmp_path / "index", films, encoder(matcher))
    assert done == [("missing", "sub/b.mp4"), ("missing", "sub/c.mkv"), ("kept", "a.mp4")]
    assert made.num_videos == 3
    (tmp_path / "elsewhere").rename(films / "sub")
    _, done = update(tmp_path / "index", films, encoder(matcher))
    assert {what for what, _ in done} == {"kept"}


def test_a_pipe_is_named_and_not_waited_on(tmp_path, films, matcher):
    os.mkfifo(films / "pipe.mp4")
    made, done = update(tmp_path / "index", films, encoder(matcher))
    assert ("failed", "pipe.mp4") in done
    assert [video.fault for video, _ in made.videos() if video.fault] == ["is no regular file"]


@pytest.mark.parametrize("stop_after", [0, 1, 6])
def test_a_stopped_index_goes_on_and_ends_as_an_uninterrupted_one(tmp_path, films, matcher, stop_after):
    whole, _ = update(tmp_path / "whole", films, encoder(matcher))
    stopped = Encodings(matcher, stop_after)
    with pytest.raises(KeyboardInterrupt):
        update(tmp_path / "index", films, stopped)
    assert not [*(tmp_path / "index" / "videos").glob(".*")]
    done_before = len([*Index.read(tmp_path / "index").videos()])
    made, done = update(tmp_path / "index", films, encoder(matcher))
    assert [what for what, _ in done].count("kept") == done_before == stop_after // 4
    found = contents(made.folder)
    assert {path for path in found if path.name != ".writer"} == {
        p for p in contents(whole.folder) if p.name != ".writer"
    }
    assert all(
        found[path] == content for path, content in contents(whole.folder).items() if path.suffix == ".f16"
    )


def test_what_a_kill_left_is_swept_up(tmp_path, films, matcher):
    made, _ = update(tmp_path / "index", films, encoder(matcher))
    video, folder = next(made.videos())
    shutil.copytree(folder, folder.with_name(f".{folder.name}.0123abcd.partial"))
    shutil.rmtree(folder)
    made, done = update(tmp_path / "index", films, encoder(matcher))
    assert ("indexed", video.path) in done
    assert not [*(tmp_path / "index" / "videos").glob(".*")]


def test_a_full_disk_is_no_fault_of_the_video(tmp_path, films, matcher, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index, "_write_picture", full)
    with pytest.raises(OSError, match="No space left"):
        update(tmp_path / "index", films, encoder(matcher))
    assert not [*Index.read(tmp_path / "index").videos()]


def test_two_at_once_are_refused(tmp_path, films, matcher):
    made = Index.begin(wanted(tmp_path / "index", films))
    running = made.update(video_files(films), encoder(matcher))
    next(running)
    with pytest.raises(ValueError, match=f"is being written by process {os.getpid()}"):
        next(made.update(video_files(films), encoder(matcher)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model": "other", "model_sha256": "1" * 64},
            r"made by model tiny \(000000000000\), not by other \(111111111111\)",
        ),
        (
            {"cut": replace(CUT, rate_hz=2)},
            r"holds windows of 4 frames at 5 Hz .*asked for are 4 frames at 2 Hz",
        ),
        ({"videos_folder": "elsewhere"}, "is an index of .*videos, not of .*elsewhere; choose another --out"),
    ],
)
def test_an_index_made_otherwise_is_refused(tmp_path, films, changes, words):
    Index.begin(wanted(tmp_path / "index", films))
    if "videos_folder" in changes:
        changes = {"videos_folder": tmp_path / changes["videos_folder"]}
    with pytest.raises(ValueError, match=words):
        Index.begin(wanted(tmp_path / "index", films, **changes))


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    with pytest.raises(ValueError, match="is there and holds no index"):
        Index.begin(wanted(tmp_path.parent, tmp_path))


def no_index(folder):
    (folder / "index.json").unlink()


def damaged(folder):
    (folder / "index.json").write_text("{")


def of_another_version(folder):
    found = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(found | {"version": 99}))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (no_index, "holds no index; make one with"),
        (damaged, "is damaged"),
        (of_another_version, "version 99"),
    ],
)
def test_an_index_that_cannot_be_read_says_the_way_out(tmp_path, films, fault, words):
    Index.begin(wanted(tmp_path / "index", films))
    fault(tmp_path / "index")
    with pytest.raises(ValueError, match=words):
        Index.read(tmp_path / "index")


def test_units_that_were_cut_off_are_refused(tmp_path, films, matcher):
    made, _ = update(tmp_path / "index", films, encoder(matcher))
    video, folder = next(made.videos())
    (folder / "units.f16").write_bytes((folder / "units.f16").read_bytes()[:-2])
    with pytest.raises(ValueError, match=r"is shorter than its video\.json says"):
        made.units(video, folder)


def test_two_videos_of_like_names_stay_apart(tmp_path, matcher):
    for name in ("ä b.mp4", "a-b.mp4", "a b.mp4", "x/a b.mp4", "日本.mp4", "x" * 200 + ".mp4"):
        odd_videos.film(tmp_path / "videos" / name, num_frames=3)
    made, done = update(tmp_path / "index", tmp_path / "videos", encoder(matcher))
    assert [what for what, _ in done] == ["indexed"] * 6
    assert {video.path for video, _ in made.videos()} == {path for _, path in done}


def test_only_videos_count_and_none_is_a_sentence(tmp_path):
    (tmp_path / "a.txt").write_text("no video")
    (tmp_path / ".b.mp4").write_text("hidden")
    with pytest.raises(ValueError, match="holds no video"):
        video_files(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        video_files(tmp_path / "a.txt")
    (tmp_path / "C.MP4").write_text("a video by its name")
    assert list(video_files(tmp_path)) == ["C.MP4"]
