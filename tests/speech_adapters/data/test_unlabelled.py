"""A folder of anybody's audio as a source: what breaks later is replaced, and recipes train on it."""

import os
import shutil
import time

import numpy as np
import pytest
from radio_files import RATE, SOURCE, examined, faults, forget, record

from common.recipe import Shard
from speech_adapters.data import crops, unlabelled
from speech_adapters.data.source import PARTS
from speech_adapters.data.unlabelled import AudioFolder
from speech_adapters.model.architecture import TINY
from speech_adapters.pretrain.recipe import FirstStage

# ---- what breaks later


def drawn(step, count=12):
    return crops.draw((SOURCE,), "train", RATE // 2, count, (0, step))


def of(name, split="train"):
    """The first draw that is of a recording."""
    return next(p for step in range(500) for p in drawn(step) if p.track.name == name)


def a_train_name():
    return SOURCE.tracks("train")[2].name


@pytest.mark.parametrize("how", ["gone", "garbage", "changed"])
def test_a_broken_recording_is_replaced_alike_in_every_process_and_told_once(recorded, capsys, how):
    name = a_train_name()
    crop, path = of(name), recorded / name
    intact = {p.id: p.waveform() for step in range(30) for p in drawn(step) if p.track.name != name}
    capsys.readouterr()
    if how == "gone":
        path.unlink()
    elif how == "changed":
        record(path, 2.0)
    else:  # not even its size and date tell
        stat = path.stat()
        path.write_bytes(os.urandom(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    instead = crop.waveform()
    assert len(instead) == RATE // 2
    forget()  # another process
    np.testing.assert_array_equal(of(name).waveform(), instead)
    assert instead.any()
    for step in range(30):
        for p in drawn(step):
            if p.track.name != name:
                np.testing.assert_array_equal(p.waveform(), intact[p.id])
    told = capsys.readouterr().err
    assert told.count("bad from now on") == 1
    assert f"folder:radio/{name}: broken: " in told
    assert faults() == {name: "broken"}


def test_a_mended_recording_is_taken_back(recorded, monkeypatch):
    name = a_train_name()
    crop, path = of(name), recorded / name
    before, away = crop.waveform(), recorded.parent / "away.wav"
    path.rename(away)
    assert not np.array_equal(crop.waveform(), before)
    away.rename(path)  # size and date are the old ones
    seen = examined(monkeypatch)
    SOURCE.prepare()
    forget()
    assert (seen, faults()) == ([name], {})
    np.testing.assert_array_equal(of(name).waveform(), before)


def test_a_disk_that_is_gone_does_end_a_run(recorded):
    crop = drawn(0)[0]
    shutil.rmtree(recorded)
    with pytest.raises(unlabelled.Unreadable, match=r"nor could .* other recordings be read in its place"):
        crop.waveform()


# ---- as a source


def test_a_folder_is_a_source_as_any_other(recorded):
    SOURCE.prepare()
    kept = [recording for part in PARTS for recording in SOURCE.tracks(part)]
    assert len(kept) == 20
    assert SOURCE.bad() == ()
    assert SOURCE.verify() == []
    assert sum(recording.samples for recording in kept) == 22 * RATE


def test_the_hash_is_of_contents_not_of_dates_or_places(recorded, monkeypatch):
    before = SOURCE.content_sha256()
    os.utime(recorded / "all/03.wav", (time.time(), 1e9))
    SOURCE.prepare()
    assert SOURCE.content_sha256() == before
    record(recorded / "all/03.wav", 1.1)
    SOURCE.prepare()
    assert SOURCE.content_sha256() != before


def test_a_recipe_trains_on_a_folder_and_shards_change_nothing(recorded):
    recipe = FirstStage(
        steps=2, sources=(SOURCE,), scored_on=(SOURCE,), architecture=TINY, batch_s=4.0, crop_s=0.5
    )
    whole = recipe.batch(0, 1, Shard())
    halves = [recipe.batch(0, 1, Shard(i, 2)) for i in range(2)]
    assert whole.inputs.shape == (8, RATE // 2)
    assert whole.ids[::2] == halves[0].ids
    assert all((half.inputs == whole.inputs[i::2]).all() for i, half in enumerate(halves))
    (recorded.parent / whole.ids[0].removeprefix("folder:").partition("+")[0]).unlink()
    assert recipe.batch(0, 1, Shard()).inputs.shape == (8, RATE // 2)
    bad, share = recipe.bad_items()
    assert len(bad) == 1
    assert share == pytest.approx(1 / 21)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: AudioFolder("nowhere").prepare(), "nowhere is no folder"),
        (lambda: AudioFolder("."), "must name a folder below DATA_ROOT, such as unlabelled/fr, got '.'"),
        (lambda: SOURCE.tracks("valid"), "part must be train, dev or test, got 'valid'"),
        (lambda: SOURCE.tracks("train"), "must be the index of a folder and is not there"),
        (lambda: SOURCE.utterances("train"), "folder:radio has no texts"),
    ],
)
def test_what_is_wrong_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
