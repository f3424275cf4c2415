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
from typer.testing import CliRunner

from multimodal_ssl import __main__ as tool
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


def update(folder, videos, encode, *, prune=False, moved=False, **changes):
    made = Index.begin(wanted(folder, videos, **changes), moved=moved)
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


def test_a_moved_folder_is_not_indexed_anew(tmp_path, films, matcher):
    update(tmp_path / "index", films, encoder(matcher))
    films.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"is an index of .*videos, not of .*moved; .* add --moved"):
        update(tmp_path / "index", tmp_path / "moved", encoder(matcher))
    counted = Encodings(matcher)
    made, done = update(tmp_path / "index", tmp_path / "moved", counted, moved=True)
    assert ({what for what, _ in done}, counted.count) == ({"kept"}, 0)
    assert Index.read(made.folder).videos_folder == tmp_path / "moved"


def test_another_video_of_equal_size_and_date_is_noticed(tmp_path, films, matcher):
    update(tmp_path / "index", films, encoder(matcher))
    file = films / "a.mp4"
    found, content = file.stat(), bytearray(file.read_bytes())
    at = content.index(b"mdat") + 4
    content[at:] = bytes(reversed(content[at:]))
    file.write_bytes(content)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (found.st_size, found.st_mtime_ns)
    _, done = update(tmp_path / "index", films, encoder(matcher))
    assert ("kept", "a.mp4") not in done


def test_a_video_that_was_only_touched_is_kept(tmp_path, films, matcher):
    update(tmp_path / "index", films, encoder(matcher))
    os.utime(films / "a.mp4")
    _, done = update(tmp_path / "index", films, encoder(matcher))
    assert {what for what, _ in done} == {"kept"}


@pytest.mark.parametrize("size", [100, index.WHOLE_BYTES + 1, 3 * index.WHOLE_BYTES])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_a_fingerprint_depends_on_beginning_middle_end_and_size(tmp_path, size, where):
    content = bytearray(size)
    (tmp_path / "one").write_bytes(content)
    parts = index.PARTS - 1
    at = (
        round(where * parts) * (size - index.PART_BYTES) // parts
        if size > index.WHOLE_BYTES
        else round(where * (size - 1))
    )
    content[at] = 1
    (tmp_path / "other").write_bytes(content)
    (tmp_path / "longer").write_bytes(bytes(size + 1))
    assert len({index.fingerprint(tmp_path / name) for name in ("one", "other", "longer")}) == 3


def test_a_damaged_record_costs_its_video_another_look(tmp_path, films, matcher):
    made, _ = update(tmp_path / "index", films, encoder(matcher))
    video, folder = next(made.videos())
    for damage in ("", "[" * 100_000, '{"path": 3}'):
        (folder / "video.json").write_text(damage)
        with pytest.raises(ValueError, match=r"video\.json is damaged"):
            list(made.videos())
        _, done = update(tmp_path / "index", films, encoder(matcher))
        assert sorted(done) == sorted(
            ("indexed" if path == video.path else "kept", path)
            for path in ("a.mp4", "sub/b.mp4", "sub/c.mkv")
        )


def test_joined_streams_are_indexed_past_their_seams(tmp_path, matcher):
    """Five recordings made one by `cat`: their clocks begin anew, and packets at the seams are damaged."""
    (tmp_path / "videos").mkdir()
    parts = [odd_videos.film(tmp_path / f"{n}.ts", num_frames=20, first=n).read_bytes() for n in range(5)]
    (tmp_path / "videos" / "joined.ts").write_bytes(b"".join(parts))
    made, done = update(tmp_path / "index", tmp_path / "videos", encoder(matcher))
    video, _ = next(made.videos())
    assert done == [("indexed", "joined.ts")]
    assert video.times_s[-1][1] == pytest.approx(5 * 20 / 10, abs=0.5)
    starts = [start for start, _ in video.times_s]
    assert starts == sorted(starts)


def test_a_stretch_that_cannot_be_decoded_is_told_and_what_follows_is_indexed(tmp_path, matcher):
    file = odd_videos.film(tmp_path / "videos" / "a.ts", num_frames=100)
    content = bytearray(file.read_bytes())
    third = len(content) // 3 // 188 * 188
    content[third : third + 20 * 188] = bytes(20 * 188)
    file.write_bytes(content)
    made, done = update(tmp_path / "index", tmp_path / "videos", encoder(matcher))
    video, _ = next(made.videos())
    assert done == [("indexed", "a.ts")]
    assert video.gaps
    assert video.times_s[-1][1] > 0.9 * 100 / 10


def test_what_is_no_video_by_its_name_is_counted(tmp_path):
    for name in ("a.gif", "b.GIF", "c.swf", "a.srt", "a.jpg", "noname", ".hidden.gif", "v.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "clip-index" / "videos").mkdir(parents=True)
    for name in ("index.json", "videos/units.f16", "videos/000000.jpg"):  # an index among the videos
        (tmp_path / "clip-index" / name).touch()
    assert index.left_out(tmp_path) == {".gif": 2, ".swf": 1, "without a suffix": 1}


def test_units_that_are_mostly_zeros_are_kept_small_and_come_back_as_they_were(tmp_path, films):
    made_up = np.random.default_rng(0).random((12, 500), dtype=np.float32)
    made_up[made_up < 0.99] = 0
    shown = []

    def encode(frames):
        shown.append(made_up * (1 + len(shown)))
        return shown[-1]

    made, _ = update(tmp_path / "index", films, encode)
    read = []
    for video, folder in made.videos():
        assert (
            (folder / index.UNITS[16]).stat().st_size == sum(video.taken) < len(video.times_s) * made_up.size
        )
        whole = made.units(video, folder)
        np.testing.assert_array_equal(made.units(video, folder, 1, 3), whole[1:3])
        read += list(whole)
    kept = [units.astype(np.float16).astype(np.float32) for units in shown]
    assert {units.tobytes() for units in read} == {units.tobytes() for units in kept}


def test_units_that_were_altered_are_refused(tmp_path, films):
    made, _ = update(tmp_path / "index", films, lambda frames: np.zeros((12, 500), np.float32))
    video, folder = next(made.videos())
    (folder / "units.f16").write_bytes(b"\1" * (folder / "units.f16").stat().st_size)
    with pytest.raises(ValueError, match=r"units\.f16 is damaged .* index again"):
        made.units(video, folder)


def test_an_index_in_eight_bits_is_smaller_near_and_goes_on_as_it_began(tmp_path, films, matcher):
    full, _ = update(tmp_path / "full", films, encoder(matcher))
    small, _ = update(tmp_path / "small", films, encoder(matcher), bits=8)
    for (video, folder), (same, other) in zip(full.videos(), small.videos(), strict=True):
        sizes = [
            (place / name).stat().st_size for place, name in ((folder, "units.f16"), (other, "units.i8"))
        ]
        positions, channels = video.units
        assert sizes == [len(video.times_s) * positions * size for size in (2 * channels, channels + 2)]
        np.testing.assert_allclose(small.units(same, other, 1), full.units(video, folder, 1), atol=0.01)
    assert Index.begin(wanted(tmp_path / "small", films)).bits == Index.read(tmp_path / "small").bits == 8
    assert Index.begin(wanted(tmp_path / "small", films), bits=8).bits == 8
    with pytest.raises(ValueError, match="is kept in 8 bits, asked for are 16; choose another --out or no"):
        Index.begin(wanted(tmp_path / "small", films), bits=16)
    assert Index.begin(wanted(tmp_path / "new", films), bits=8).bits == 8
    with pytest.raises(ValueError, match="bits must be one of 8, 16, got 4"):
        wanted(tmp_path, films, bits=4)


def test_bits_are_looked_at_before_a_model_is(films, monkeypatch):
    monkeypatch.setattr("multimodal_ssl.python_api.load", lambda *_, **__: pytest.fail("a model was loaded"))
    done = CliRunner().invoke(tool.app, ["index", str(films), "--bits", "7"])
    assert done.exit_code == 2
    assert "bits must be one of 8, 16, got 7" in done.output
