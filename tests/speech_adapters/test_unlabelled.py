"""Folders of anybody's audio: crops are exact, faults are named and end nothing, no voice crosses a split."""

import json
import os
import shutil
import time
import tracemalloc
import zlib
from collections import Counter
from multiprocessing import get_context

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from common.data.audio import read_audio
from speech_adapters import folder_index, pretraining_recipe, sound_files, speech_data, stretches, unlabelled
from speech_adapters.architecture import TINY

RATE = 16_000
SOURCE = "folder:radio"


@pytest.fixture(autouse=True)
def radio(tmp_path, monkeypatch):
    """A folder of a temporary data root."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    forget()
    yield tmp_path / "radio"
    forget()


def forget():
    """As a new process begins."""
    for cached in (stretches.stretches, stretches._long_enough, unlabelled._index):
        cached.cache_clear()


def noise(seconds, rate_hz=RATE, channels=1, loud=0.1, seed=0):
    """Of speech's band, so that lossy formats keep it."""
    rng = np.random.default_rng((seed, round(1e6 * seconds)))
    rough = rng.normal(0, loud, (round(seconds * rate_hz) + 7, channels))
    return sum(rough[i : len(rough) - 7 + i] for i in range(8)) / 3


def record(path, seconds=0.5, rate_hz=RATE, channels=1):
    """Another noise for every path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(
        path, noise(seconds, rate_hz, channels, seed=zlib.crc32("/".join(path.parts[-3:]).encode())), rate_hz
    )
    return path


def as_m4a(path, seconds, rate_hz):
    """AAC in MP4, which soundfile does not read."""
    import av

    samples = noise(seconds, rate_hz)[:, 0].astype(np.float32)
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=rate_hz, layout="mono")
        for begin in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = rate_hz, begin
            container.mux(track.encode(frame))
        container.mux(track.encode(None))


def everything(source=SOURCE):
    return {r.name: r for split in speech_data.PARTS for r in unlabelled.recordings(source, split)}


def faults():
    """First words of what is said of files left out."""
    return {bad.id.removeprefix(f"{SOURCE}/"): bad.reason.partition(":")[0] for bad in unlabelled.bad(SOURCE)}


def examined(monkeypatch):
    """Names of files that are examined from now on; in this process, so that they can be listed."""
    seen = []

    def look(folder, names):
        for name in names:
            seen.append(name)
            yield folder_index._look(folder, name)

    monkeypatch.setattr(folder_index, "_examined", look)
    return seen


# ---- crops


def at_once(path):
    """All of a file. `read_audio` reads in blocks, after each of which soundfile jumps: an mp3 then has a click."""
    if path.suffix == ".m4a":
        return read_audio(path)
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return torchaudio.functional.resample(torch.from_numpy(samples.mean(1)), rate_hz, RATE).numpy()


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels"),
    [
        ("a.wav", 16_000, 1), ("a.wav", 8_000, 1), ("a.flac", 44_100, 2), ("a.ogg", 22_050, 1), ("a.mp3", 22_050, 1),
        ("a.mp3", 44_100, 2), ("a.aiff", 48_000, 1), ("a.m4a", 44_100, 1), ("a.m4a", 16_000, 1),
    ],
)  # fmt: skip
def test_a_crop_is_that_slice_of_the_whole_recording(radio, name, rate_hz, channels):
    radio.mkdir()
    if name.endswith("m4a"):
        as_m4a(radio / name, 24.0, rate_hz)
    else:
        record(radio / name, 24.0, rate_hz, channels)
    unlabelled.prepare(SOURCE)
    recording, whole = everything()[name], at_once(radio / name)
    assert 0 <= len(whole) - recording.samples <= 1
    level = 0.9 * 32767 / recording.peak
    rng = np.random.default_rng(0)
    begins = [
        0,
        1,
        159,
        160,
        recording.samples - 4000,
        *rng.integers(0, recording.samples - 4000, 12).tolist(),
    ]
    for begin in begins:
        got, expected = recording.waveform(begin, begin + 4000), whole[begin : begin + 4000] * level
        assert np.abs(got - expected).max() <= 1.5  # rounded, of 32767


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_the_end_of_an_ogg_is_where_it_is(radio, rate_hz):
    """Its last page, here of seconds, is one that libsndfile jumps past or short of."""
    radio.mkdir()
    soundfile.write(radio / "a.ogg", 0.3 * np.sin(0.001 * np.arange(11 * rate_hz) ** 1.2), rate_hz)
    whole = at_once(radio / "a.ogg")
    for begin in range(len(whole) - 40_000, len(whole) - 4_000, 3_000):
        crop = sound_files.crop(radio / "a.ogg", rate_hz, begin, begin + 4_000)
        np.testing.assert_allclose(crop, whole[begin : begin + 4_000], atol=1e-5)


def test_a_crop_of_an_mp3_has_what_earlier_frames_keep_for_it(radio):
    """White noise fills them to the last bit."""
    radio.mkdir()
    soundfile.write(radio / "a.mp3", np.random.default_rng(0).normal(0, 0.1, 24 * 22_050), 22_050)
    whole = at_once(radio / "a.mp3")
    for begin in range(20_000, 200_000, 3_001):
        crop = sound_files.crop(radio / "a.mp3", 22_050, begin, begin + 4_000)
        np.testing.assert_allclose(crop, whole[begin : begin + 4_000], atol=1e-5)


def test_weights_computed_where_needed_are_those_of_the_table(radio, monkeypatch):
    for rate_hz in (8_000, 22_050, 44_100):
        record(radio / "a.wav", 1.0, rate_hz)
        for begin, end in ((0, 900), (5_000, 9_000), (15_000, 16_000)):
            table = sound_files.crop(radio / "a.wav", rate_hz, begin, end)
            with monkeypatch.context() as patch:
                patch.setattr(sound_files, "MOST_WEIGHTS", 0)
                computed = sound_files.crop(radio / "a.wav", rate_hz, begin, end)
            np.testing.assert_allclose(computed, table, atol=2e-5)


def test_a_tone_of_an_odd_rate_stays_that_tone(radio):
    """A table of weights from 11127 Hz to 16 kHz would hold 180 million."""
    radio.mkdir()
    soundfile.write(radio / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * 11_127) / 11_127), 11_127)
    crop = sound_files.crop(radio / "a.wav", 11_127, 20_000, 40_000)
    np.testing.assert_allclose(
        crop, 0.5 * np.sin(2 * np.pi * 440 * np.arange(20_000, 40_000) / RATE), atol=2e-3
    )


def test_a_recording_is_brought_to_the_peak_of_all_sources(radio):
    radio.mkdir()
    for name, loud in (("quiet.wav", 0.005), ("loud.wav", 0.2)):
        soundfile.write(radio / name, noise(0.5, loud=loud), RATE, subtype="FLOAT")
    unlabelled.prepare(SOURCE)
    for recording in everything().values():
        assert np.abs(recording.waveform(0, recording.samples)).max() == pytest.approx(0.9 * 32767, abs=1)


def test_an_hour_is_never_in_memory(radio):
    """As floats at 16 kHz it takes 230 MB."""
    radio.mkdir()
    with soundfile.SoundFile(radio / "long.wav", "w", 8000, 1, "PCM_U8") as file:
        for minute in range(61):
            file.write(noise(60, 8000, seed=minute))
    tracemalloc.start()
    found = sound_files.examine(radio / "long.wav")
    crop = sound_files.crop(radio / "long.wav", 8000, 50_000_000, 50_000_000 + 8 * RATE)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found["samples"], found["fault"]) == (61 * 60 * RATE, "")
    assert found["told"] == ["long: lasts 1.02 h"]
    assert len(crop) == 8 * RATE
    assert peak_bytes < 16e6


def test_a_long_recording_is_cut_in_pieces_that_cover_it_once(radio):
    record(radio / "a.flac", 10.0, 44_100)
    unlabelled.prepare(SOURCE)
    (recording,) = everything().values()
    pieces = list(stretches.pieces(SOURCE, recording.part, 3 * RATE))
    assert [piece.end - piece.begin for piece in pieces] == [3 * RATE] * 3 + [RATE]
    joined = np.concatenate([piece.waveform() for piece in pieces])
    np.testing.assert_array_equal(joined, recording.waveform(0, 10 * RATE))


# ---- faults


def test_every_fault_is_named_and_counted(radio, capsys):
    for i in range(60):
        record(radio / f"good/{i:02d}.wav")
    (radio / "bad").mkdir()
    (radio / "bad/noise.mp3").write_bytes(os.urandom(4096))
    (radio / "bad/empty.ogg").write_bytes(b"")
    whole = record(radio / "bad/torn.wav", 1.0).read_bytes()
    (radio / "bad/torn.wav").write_bytes(whole[:9000])
    record(radio / "bad/blink.wav", 0.004)
    soundfile.write(radio / "bad/still.wav", noise(0.5, loud=1e-4), RATE, subtype="FLOAT")
    soundfile.write(radio / "bad/square.wav", np.clip(9 * noise(0.5), -1, 1), RATE)
    soundfile.write(radio / "good/loud.wav", np.clip(4.5 * noise(0.5), -1, 1), RATE)
    unlabelled.prepare(SOURCE)
    assert faults() == {
        "bad/blink.wav": "short", "bad/empty.ogg": "corrupt", "bad/noise.mp3": "corrupt", "bad/square.wav": "clipped",
        "bad/still.wav": "silent", "bad/torn.wav": "corrupt",
    }  # fmt: skip
    assert sorted(everything()) == sorted([*(f"good/{i:02d}.wav" for i in range(60)), "good/loud.wav"])
    told = capsys.readouterr().err
    assert "left out, 3 corrupt, 1 short, 1 clipped, 1 silent" in told
    assert "torn.wav: corrupt: breaks off: promises 32000 bytes of samples, has 8956" in told
    assert "blink.wav: short: lasts 0.0040 s, under 0.3 s" in told
    assert "kept, 1 clipped" in told


def test_too_many_faults_stop_with_the_list_and_what_was_examined_stays_known(radio, monkeypatch):
    for i in range(17):
        record(radio / f"{i:02d}.wav")
    for name in ("x.wav", "y.wav"):
        (radio / name).write_bytes(b"no sound at all")
    with pytest.raises(
        ValueError, match=r"(?s)at most 10 % of items may be bad, got 2 of 19:.*x\.wav.*y\.wav"
    ):
        unlabelled.prepare(SOURCE)
    with pytest.raises(ValueError, match="must be the index of a folder and is not there"):
        unlabelled.bad(SOURCE)
    (radio / "x.wav").unlink()
    seen = examined(monkeypatch)
    unlabelled.prepare(SOURCE)
    assert (seen, len(everything()), faults()) == ([], 17, {"y.wav": "corrupt"})


def test_a_file_that_crashes_its_decoder_is_named(radio, monkeypatch):
    for i in range(24):
        record(radio / f"{i:02d}.wav")
    examine = sound_files.examine
    monkeypatch.setattr(
        sound_files, "examine", lambda path: os._exit(9) if path.stem == "07" else examine(path)
    )
    unlabelled.prepare(SOURCE)
    assert [str(bad) for bad in unlabelled.bad(SOURCE)] == [
        "folder:radio/07.wav (radio/07.wav): corrupt: crashes its decoder"
    ]
    assert len(everything()) == 23


def test_twins_are_used_once(radio):
    for i in range(12):
        record(radio / f"{i:02d}.wav")
    shutil.copy(radio / "03.wav", radio / "zz.wav")
    unlabelled.prepare(SOURCE)
    unlabelled.prepare(SOURCE)
    assert [str(bad) for bad in unlabelled.bad(SOURCE)] == [
        "folder:radio/zz.wav (radio/zz.wav): twin: has the bytes of 03.wav"
    ]
    (radio / "03.wav").unlink()
    unlabelled.prepare(SOURCE)
    assert (faults(), "zz.wav" in everything()) == ({}, True)


# ---- the index


def test_what_did_not_change_is_not_examined_again(radio, monkeypatch):
    for i in range(8):
        record(radio / f"{i}.wav")
    unlabelled.prepare(SOURCE)
    (index,) = (radio.parent / "speech/unlabelled").glob("*.jsonl")
    before, seen = index.read_bytes(), examined(monkeypatch)
    unlabelled.prepare(SOURCE)
    assert (seen, index.read_bytes() == before) == ([], True)
    record(radio / "3.wav", 0.7)
    record(radio / "new.wav")
    (radio / "5.wav").unlink()
    unlabelled.prepare(SOURCE)
    assert seen == ["3.wav", "new.wav"]
    assert sorted(everything()) == ["0.wav", "1.wav", "2.wav", "3.wav", "4.wav", "6.wav", "7.wav", "new.wav"]
    assert everything()["3.wav"].samples == round(0.7 * RATE)


def test_a_stopped_preparation_goes_on(radio, monkeypatch):
    for i in range(8):
        record(radio / f"{i}.wav")
    seen = examined(monkeypatch)
    look = folder_index._look
    monkeypatch.setattr(
        folder_index, "_look", lambda folder, name: 1 / 0 if name == "5.wav" else look(folder, name)
    )
    with pytest.raises(ZeroDivisionError):
        unlabelled.prepare(SOURCE)
    monkeypatch.setattr(folder_index, "_look", look)
    (progress,) = (radio.parent / "speech/unlabelled").glob("*.progress")
    progress.write_bytes(progress.read_bytes()[:-20])  # the last line torn
    seen.clear()
    unlabelled.prepare(SOURCE)
    assert seen == ["4.wav", "5.wav", "6.wav", "7.wav"]
    assert len(everything()) == 8
    assert not progress.exists()


def test_ranks_that_start_at_once_examine_once(radio):
    for i in range(6):
        record(radio / f"{i}.wav")
    log = radio.parent / "log"
    processes = [get_context("fork").Process(target=prepare_and_log, args=(log,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sorted(log.read_text().split()) == [f"{i}.wav" for i in range(6)]
    assert len(everything()) == 6


def prepare_and_log(log):
    examine = sound_files.examine

    def told(path):
        with log.open("a") as file:
            file.write(f"{path.name}\n")
        return examine(path)

    sound_files.examine = told
    unlabelled.prepare(SOURCE)


def test_an_open_index_is_the_one_it_was(radio):
    for i in range(40):
        record(radio / f"{i:02d}.wav")
    unlabelled.prepare(SOURCE)
    held = unlabelled.recordings(SOURCE, "train")
    names = [recording.name for recording in held]
    shutil.rmtree(radio)
    record(radio / "quite/another.wav")
    unlabelled.prepare(SOURCE)
    assert [recording.name for recording in held] == names
    assert list(everything()) == ["quite/another.wav"]


def test_a_thousand_recordings_are_held_as_numbers(radio):
    """Lines of a big index are parsed when a recording is asked for."""
    record(radio / "a.wav")
    unlabelled.prepare(SOURCE)
    (path,) = (radio.parent / "speech/unlabelled").glob("*.jsonl")
    first, last = path.read_bytes().splitlines()
    line = json.loads(first) | {"part": "train"}
    many = [json.dumps(line | {"name": f"{i:06d}.wav", "samples": 4800 + i}) for i in range(20_000)]
    path.write_text("\n".join([*many, last.decode(), ""]))
    forget()
    tracemalloc.start()
    found = unlabelled.recordings(SOURCE, "train", 6000)
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(found), found[0].name, found[-1].name) == (18_800, "001200.wav", "019999.wav")
    assert held_bytes < 60 * 20_000


# ---- splits


def spoken(names):
    return {name: folder_index._group(name, folder_index._depth(names)) for name in names}


def test_a_speaker_with_several_books_is_one_group():
    names = [f"{speaker}/{book}/{i}.flac" for speaker in range(60) for book in "ab" for i in range(2)]
    assert all(group == name.split("/")[0] for name, group in spoken(names).items())
    assert all(
        g == "/".join(n.split("/")[:2]) for n, g in spoken([f"audio/{name}" for name in names]).items()
    )


def test_few_folders_are_groups_and_one_is_none():
    assert spoken(["a/1.wav", "a/2.wav", "b/c/1.wav", "3.wav"]) == {
        "a/1.wav": "a", "a/2.wav": "a", "b/c/1.wav": "b/c", "3.wav": "3.wav",
    }  # fmt: skip
    assert set(spoken([f"clips/{i}.mp3" for i in range(9)]).values()) == {f"clips/{i}.mp3" for i in range(9)}


def test_no_folder_is_in_two_parts_and_a_new_one_moves_none(radio):
    for speaker in range(60):
        for book in "ab":
            record(radio / f"s{speaker}/{book}/1.wav", 0.3)
    unlabelled.prepare(SOURCE)
    before = {name: recording.part for name, recording in everything().items()}
    parts = {}
    for name, part in before.items():
        assert parts.setdefault(name.split("/")[0], part) == part
    assert set(parts.values()) == {"train", "dev", "test"}
    assert Counter(parts.values())["train"] > 40
    record(radio / "new/a/1.wav", 0.3)
    unlabelled.prepare(SOURCE)
    assert {name: everything()[name].part for name in before} == before


def test_an_empty_part_is_told(radio, capsys):
    record(radio / "a.wav")
    unlabelled.prepare(SOURCE)
    assert capsys.readouterr().err.count("no recording fell to") == 2


# ---- what breaks later


@pytest.fixture
def recorded(radio):
    """Twenty recordings of a second, all for training, one of which is three times as long as the others."""
    for i in range(20):
        record(radio / f"all/{i:02d}.wav", 3.0 if i == 4 else 1.0)
    (radio / "none").mkdir()
    unlabelled.prepare(SOURCE)
    return radio


def drawn(step, count=12):
    return stretches.draw((SOURCE,), "train", RATE // 2, count, (0, step))


def of(name, split="train"):
    """The first draw that is of a recording."""
    return next(p for step in range(500) for p in drawn(step) if p.stretch.name == name)


def a_train_name():
    return unlabelled.recordings(SOURCE, "train")[2].name


@pytest.mark.parametrize("how", ["gone", "garbage", "changed"])
def test_a_broken_recording_is_replaced_alike_in_every_process_and_told_once(recorded, capsys, how):
    name = a_train_name()
    piece, path = of(name), recorded / name
    intact = {p.id: p.waveform() for step in range(30) for p in drawn(step) if p.stretch.name != name}
    capsys.readouterr()
    if how == "gone":
        path.unlink()
    elif how == "changed":
        record(path, 2.0)
    else:  # not even its size and date tell
        stat = path.stat()
        path.write_bytes(os.urandom(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    instead = piece.waveform()
    assert len(instead) == RATE // 2
    forget()  # another process
    np.testing.assert_array_equal(of(name).waveform(), instead)
    assert instead.any()
    for step in range(30):
        for p in drawn(step):
            if p.stretch.name != name:
                np.testing.assert_array_equal(p.waveform(), intact[p.id])
    told = capsys.readouterr().err
    assert told.count("bad from now on") == 1
    assert f"folder:radio/{name}: broken: " in told
    assert faults() == {name: "broken"}


def test_a_mended_recording_is_taken_back(recorded, monkeypatch):
    name = a_train_name()
    piece, path = of(name), recorded / name
    before, away = piece.waveform(), recorded.parent / "away.wav"
    path.rename(away)
    assert not np.array_equal(piece.waveform(), before)
    away.rename(path)  # size and date are the old ones
    seen = examined(monkeypatch)
    unlabelled.prepare(SOURCE)
    forget()
    assert (seen, faults()) == ([name], {})
    np.testing.assert_array_equal(of(name).waveform(), before)


def test_a_disk_that_is_gone_does_end_a_run(recorded):
    piece = drawn(0)[0]
    shutil.rmtree(recorded)
    with pytest.raises(unlabelled.Unreadable, match=r"nor could .* other recordings be read in its place"):
        piece.waveform()


# ---- as a source


def test_a_folder_is_a_source_as_any_other(recorded):
    speech_data.prepare(SOURCE, "tones")
    kept = [clip for split in speech_data.PARTS for clip in speech_data.clips(SOURCE, split)]
    assert len(kept) == 20
    assert speech_data.bad(SOURCE, "tones") == ()
    assert sum(speech_data.hours(SOURCE, split) for split in speech_data.PARTS) == pytest.approx(22 / 3600)


def test_the_hash_is_of_contents_not_of_dates_or_places(recorded, monkeypatch):
    before = speech_data.manifest_sha256(SOURCE)
    os.utime(recorded / "all/03.wav", (time.time(), 1e9))
    unlabelled.prepare(SOURCE)
    assert speech_data.manifest_sha256(SOURCE) == before
    record(recorded / "all/03.wav", 1.1)
    unlabelled.prepare(SOURCE)
    assert speech_data.manifest_sha256(SOURCE) != before


def test_a_recipe_trains_on_a_folder_and_shards_change_nothing(recorded):
    recipe = pretraining_recipe.FirstStage(
        steps=2, sources=(SOURCE,), probed=(SOURCE,), architecture=TINY, batch_s=4.0, crop_s=0.5
    )
    whole = recipe.batch(0, 1, pretraining_recipe.Shard())
    halves = [recipe.batch(0, 1, pretraining_recipe.Shard(i, 2)) for i in range(2)]
    assert whole.inputs.shape == (8, RATE // 2)
    assert whole.ids[::2] == halves[0].ids
    assert all((half.inputs == whole.inputs[i::2]).all() for i, half in enumerate(halves))
    (recorded.parent / whole.ids[0].removeprefix("folder:").partition("+")[0]).unlink()
    assert recipe.batch(0, 1, pretraining_recipe.Shard()).inputs.shape == (8, RATE // 2)
    bad, share = recipe.bad_items()
    assert len(bad) == 1
    assert share == pytest.approx(1 / 21)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: unlabelled.prepare("folder:nowhere"), "nowhere is no folder"),
        (lambda: unlabelled.prepare("folder:"), "must be named, as in folder:unlabelled/fr, got 'folder:'"),
        (
            lambda: unlabelled.recordings("folder:radio", "valid"),
            "split must be train, dev, test, got 'valid'",
        ),
        (
            lambda: speech_data.clips("folder:radio", "train"),
            "must be the index of a folder and is not there",
        ),
    ],
)
def test_what_is_wrong_is_told(call, words):
    with pytest.raises(ValueError, match=words):
        call()
