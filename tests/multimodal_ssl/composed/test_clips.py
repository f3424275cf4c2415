"""From packages to clips: what is broken is named, splits share nothing, and a pack gives the same clips elsewhere."""

import json
import subprocess
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from PIL import Image

from common.data import packages, sealed
from common.data.packages import data_root
from common.data.pinned import STAMPS
from common.data.splits import check_disjoint
from multimodal_ssl import data
from multimodal_ssl.composed import backgrounds, clips, gather, material, sprites, store
from multimodal_ssl.composed.plan import SPLITS, Composition
from multimodal_ssl.model import vocabulary
from multimodal_ssl.model.vocabulary import Vocabulary

NAMES = ("dog", "fox", "owl", "saw", "key", "bus")
SMALL = Composition(num_objects=4, size_px=16, num_frames=2, views=2, scene_views=1, renditions=1)
SMOKE = data.COMPOSITIONS["smoke"]


def tone(path, number, seconds=0.2):
    time_s = np.arange(round(seconds * 16_000)) / 16_000
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * (200 + 37 * number) * time_s), 16_000, format="OGG")


@pytest.fixture
def root(tmp_path, monkeypatch, pools_of_threads):
    """A data root with six stamps, four recordings each, and three photographs, in their packages' layouts."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    folder = tmp_path / sprites.PACKAGE.folder / STAMPS
    for i, name in enumerate(NAMES):
        (folder / f"kind{i}").mkdir(parents=True)
        Image.new("RGBA", (40, 30), (40 * i, 99, 99, 255)).save(folder / f"kind{i}/{name}.png")
        (folder / f"kind{i}/{name}.txt").write_text(f"A {name}.\nfr.utf8=Un {name}.\n")
        for k, ending in enumerate(("", "_desc", "_desc_fr", "_desc_es")):
            tone(folder / f"kind{i}/{name}{ending}.ogg", 4 * i + k)
    stamp = {"files": sprites.PACKAGE.files}
    (tmp_path / sprites.PACKAGE.folder / packages.STAMP).write_text(json.dumps(stamp))
    chosen = [
        next(p for p in backgrounds.photographs() if backgrounds.part_of(p) == split) for split in SPLITS
    ]
    entries = [entry for entry in backgrounds.entries() if entry.id in {p.id for p in chosen}]
    waves = np.random.default_rng(0).integers(0, 255, (320, 330, 3), np.uint8)
    monkeypatch.setattr(backgrounds, "photographs", lambda: tuple(sorted(chosen, key=lambda p: p.id)))
    monkeypatch.setattr(backgrounds, "entries", lambda: entries)
    monkeypatch.setattr(backgrounds, "fetch_photographs", lambda root: None)
    monkeypatch.setattr(backgrounds, "load", lambda picture, root: waves)
    known = vocabulary.made_up_vectors([*material.texts(NAMES), "a"])
    monkeypatch.setattr(vocabulary, "glove", lambda root: known)
    yield tmp_path
    for cached in (material.index, material.load, clips._compose, clips._mapped, clips._index):
        cached.cache_clear()


def sound_of(root, name):
    return next((root / sprites.PACKAGE.folder).rglob(name))


# ---- made up


def test_made_up_clips_need_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    clips.prepare(data.COMPOSITIONS["smoke"])
    made = clips.compose(SMOKE)
    assert made.num_train == 48 + 42
    clip = made.train_clip(0)
    assert clip.frames.shape == (4, 32, 32, 3)
    assert made.words.unknown(clip.caption) == []
    assert {len(made.gallery("test", query.gallery)) for query in made.queries("test")} == {28, 4, 42}
    assert clips.manifest_sha256(SMOKE) == ""
    assert not clips.bad(SMOKE)
    assert not list(tmp_path.iterdir())


def test_made_up_objects_differ_in_their_looks_and_sounds():
    made = clips.compose(SMOKE)
    assert len({sprite.tobytes() for sprite in made.material.sprites}) == 4
    heard = {clip.sound.tobytes() for clip in map(made.train_clip, range(48))}
    tested = {clip.sound.tobytes() for clip in made.gallery("test", "clean/0")}
    assert len(heard) == len(tested) == 4
    assert not heard & tested


# ---- of packages


def test_prepared_clips_are_those_that_are_rendered(root):
    clips.prepare(SMALL)
    held = clips.compose(SMALL)
    for split in SPLITS:
        frames, boxes = store.render(SMALL, held.material, held.scenes(split))
        assert np.array_equal(frames, held._arrays(split)[0])
        assert np.array_equal(boxes, held._arrays(split)[1])
    assert isinstance(held._arrays("train")[0], np.memmap)
    (still, *_) = held.gallery("dev", "still/3")
    assert still.frames.shape == (1, 16, 16, 3)
    assert still.caption == still.scene.caption == held.material.cast.phrases[0]


def test_a_clips_sound_is_one_of_its_targets_in_its_split(root):
    clips.prepare(SMALL)
    held = clips.compose(SMALL)
    lines = material.index(root)["objects"]
    ones = {"train": held.train_clip(3), "dev": held.gallery("dev", "clean/0")[5]}
    for split, clip in ones.items():
        line = lines[clip.scene.target.object]
        (path,) = [
            r["path"] for r in line["recordings"] if r["path"] == clip.scene.recording and r["part"] == split
        ]
        (file,) = (root / sprites.PACKAGE.folder).rglob(path.rpartition("/")[2])
        assert np.array_equal(clip.sound, material.waveform(file.read_bytes(), file))


def test_preparing_again_changes_nothing_and_leaves_no_partial_file(root):
    clips.prepare(SMALL)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*.npy")}
    clips.prepare(SMALL)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.npy")} == before
    assert len(before) == 7
    assert not list(root.rglob("*.partial"))


def test_an_interrupted_preparation_is_done_again(root, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_atomically", interrupted)
        with pytest.raises(KeyboardInterrupt):
            clips.prepare(SMALL)
    with pytest.raises(ValueError, match="is not prepared"):
        clips.compose(SMALL)
    (clips._folder(SMALL, root) / ".train.npy.0123abcd.partial").write_bytes(b"of a run that was killed")
    clips.prepare(SMALL)
    assert clips.compose(SMALL).train_clip(0).frames.any()
    assert not list(root.rglob("*.partial"))


def test_no_picture_recording_or_file_stands_in_two_splits(root):
    gather.gather(root)
    cast = material.load(root, 0).cast
    for parts in (cast.pictures, {split: sum(cast.recordings[split], ()) for split in SPLITS}):
        assert all(parts.values())
        assert len(set(sum(parts.values(), ()))) == sum(map(len, parts.values()))


@pytest.mark.parametrize(("num", "held"), [(0, 0), (2, 0), (3, 2), (6, 2)])
def test_one_recording_each_is_kept_for_dev_and_test_where_there_are_three(num, held):
    parts = [one["part"] for one in gather.dealt([{"path": f"{i}.ogg"} for i in range(num)])]
    assert len(parts) == num
    assert parts.count("test") == parts.count("dev") == held // 2


def test_a_recording_that_two_stamps_share_is_used_by_neither(root):
    first, second = sound_of(root, "dog_desc.ogg"), sound_of(root, "owl_desc_fr.ogg")
    second.write_bytes(first.read_bytes())
    gather.gather(root)
    paths = {one["path"] for line in material.index(root)["objects"] for one in line["recordings"]}
    assert len(paths) == 22
    assert not paths & {"kind0/dog_desc.ogg", "kind2/owl_desc_fr.ogg"}


@pytest.mark.parametrize("content", [b"", b"OggS, they said", None])
def test_a_broken_sound_is_named_left_out_and_counted(root, monkeypatch, capsys, content):
    monkeypatch.setattr(gather, "MOST_BAD", 0.1)
    path = sound_of(root, "fox_desc.ogg")
    if content is None:
        soundfile.write(path, np.zeros(4000), 16_000, format="OGG")
    else:
        path.write_bytes(content)
    clips.prepare(SMALL)
    (told,) = clips.bad(SMALL)
    assert told.startswith("kind1/fox_desc.ogg: ")
    assert str(root) not in told
    assert "bad, left out: kind1/fox_desc.ogg" in capsys.readouterr().err
    paths = {one["path"] for line in material.index(root)["objects"] for one in line["recordings"]}
    assert len(paths) == 23


def test_a_broken_picture_is_named_and_its_object_is_left_out(root, monkeypatch):
    monkeypatch.setattr(gather, "MOST_BAD", 0.1)
    path = sound_of(root, "fox.png")
    path.write_bytes(path.read_bytes()[:60])
    gather.gather(root)
    assert [line["phrase"] for line in material.index(root)["objects"] if "fox" in line["phrase"]] == []
    assert material.index(root)["bad"][0][0] == "kind1/fox.png"


def test_too_many_broken_files_stop_with_the_list(root):
    for name in ("fox_desc.ogg", "owl_desc.ogg"):
        sound_of(root, name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"at most 5 % .* got 2 of 33:(.|\n)*fox_desc(.|\n)*owl_desc"):
        clips.prepare(SMALL)
    assert not (material.folder_of(root) / "index.json").exists()


def test_more_objects_than_there_are_is_an_error_with_both_numbers(root):
    with pytest.raises(ValueError, match="there are 6 objects, got num_objects = 7"):
        clips.prepare(replace(SMALL, num_objects=7))


def test_verify_names_what_changed_since(root):
    clips.prepare(SMALL)
    assert data.verify("mini") == []
    folder = material.folder_of(root)
    next((folder / "sounds").iterdir()).write_bytes(b"other")
    next((folder / "pictures").iterdir()).write_bytes(b"other")
    assert sorted(fault.path.rpartition(".")[2] for fault in data.verify("mini")) == ["ogg", "png"]


def test_a_changed_clip_is_found_once_a_run_and_by_verify(root):
    clips.prepare(SMALL)
    frames = clips.compose(SMALL).folder / "train.npy"
    content = bytearray(frames.read_bytes())
    content[-500:] = bytes(500)
    frames.write_bytes(content)
    clips._mapped.cache_clear()
    sealed.check_once.cache_clear()  # as the next process begins
    assert [fault.id for fault in clips.verify(SMALL)] == ["train.npy"]
    with pytest.raises(ValueError, match=r"train\.npy: sha256 must be .* and start again"):
        clips.prepare(SMALL)


def test_a_pack_gives_the_same_clips_and_hash_without_any_package(root, tmp_path, monkeypatch):
    digest = data.pack(tmp_path / "pack.tar", "mini")
    assert digest == data.pack(tmp_path / "again.tar", "gpu")
    clips.prepare(SMALL)
    here, sha256 = clips.compose(SMALL), clips.manifest_sha256(SMALL)
    elsewhere = tmp_path / "elsewhere"
    with tarfile.open(tmp_path / "pack.tar") as tar:
        tar.extractall(elsewhere, filter="data")
    monkeypatch.setenv("DATA_ROOT", str(elsewhere))
    clips.prepare(SMALL)
    there = clips.compose(SMALL)
    assert there.folder != here.folder
    assert clips.manifest_sha256(SMALL) == sha256
    assert np.array_equal(there.train_clip(5).frames, here.train_clip(5).frames)
    assert np.array_equal(there.train_clip(5).sound, here.train_clip(5).sound)


# ---- hashes


def test_the_hash_is_known_without_data_and_moves_with_the_composition(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    mini = data.COMPOSITIONS["mini"]
    assert len(clips.manifest_sha256(mini)) == 64
    assert clips.manifest_sha256(mini) == clips.manifest_sha256(Composition())
    assert clips.manifest_sha256(mini) != clips.manifest_sha256(replace(mini, views=17))
    before = clips.manifest_sha256(mini)
    monkeypatch.setattr(clips.render, "VERSION", 99)
    assert clips.manifest_sha256(mini) != before


def test_other_packages_than_the_published_ones_are_told(root, capsys):
    gather.gather(root)
    assert "packages hold other files than published results" in capsys.readouterr().err


def test_settings_load_without_torch():
    code = "import sys, multimodal_ssl.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- the real packages


@pytest.mark.corpus
def test_the_real_material_is_the_published_one_and_its_splits_share_nothing():
    if not (material.folder_of(data_root()) / "index.json").exists():
        pytest.skip("composed clips are not there; run make data-fine-grained-ssl")
    held = material.index(data_root())
    assert held["manifest_sha256"] == material.expected()
    assert len(held["objects"]) == 195
    here = {split: set(ids) for split, ids in held["pictures"].items()}
    check_disjoint(**{split: [e for e in backgrounds.entries() if e.id in here[split]] for split in SPLITS})
    known: Vocabulary = material.load(data_root(), 0).words
    assert not [line["phrase"] for line in held["objects"] if known.unknown(line["phrase"])]
