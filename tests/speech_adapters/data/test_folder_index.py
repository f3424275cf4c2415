"""The index of a folder: faults are named and end nothing, nothing is examined twice, no voice crosses a split."""

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections import Counter

import numpy as np
import odd_looks
import pytest
import soundfile
from patience import HANG_S
from radio_files import RATE, SOURCE, everything, examined, faults, forget, noise, record

from speech_adapters.data import folder_index

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
    SOURCE.prepare()
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
        SOURCE.prepare()
    with pytest.raises(ValueError, match="must be the index of a folder and is not there"):
        SOURCE.bad()
    (radio / "x.wav").unlink()
    seen = examined(monkeypatch)
    SOURCE.prepare()
    assert (seen, len(everything()), faults()) == ([], 17, {"y.wav": "corrupt"})


def test_a_file_that_crashes_its_decoder_is_named(radio, monkeypatch):
    for i in range(24):
        record(radio / f"{i:02d}.wav")
    monkeypatch.setattr(folder_index, "_look", odd_looks.crashes_at_07)
    SOURCE.prepare()
    assert [str(bad) for bad in SOURCE.bad()] == [
        "folder:radio/07.wav (radio/07.wav): corrupt: crashes its decoder"
    ]
    assert len(everything()) == 23


def test_exact_duplicates_are_used_once(radio):
    for i in range(12):
        record(radio / f"{i:02d}.wav")
    shutil.copy(radio / "03.wav", radio / "zz.wav")
    SOURCE.prepare()
    SOURCE.prepare()
    assert [str(bad) for bad in SOURCE.bad()] == [
        "folder:radio/zz.wav (radio/zz.wav): exact duplicate: has the bytes of 03.wav"
    ]
    (radio / "03.wav").unlink()
    SOURCE.prepare()
    assert (faults(), "zz.wav" in everything()) == ({}, True)


# ---- the index


def test_what_did_not_change_is_not_examined_again(radio, monkeypatch):
    for i in range(8):
        record(radio / f"{i}.wav")
    SOURCE.prepare()
    (index,) = (radio.parent / "speech/unlabelled").glob("*.jsonl")
    before, seen = index.read_bytes(), examined(monkeypatch)
    SOURCE.prepare()
    assert (seen, index.read_bytes() == before) == ([], True)
    record(radio / "3.wav", 0.7)
    record(radio / "new.wav")
    (radio / "5.wav").unlink()
    SOURCE.prepare()
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
        SOURCE.prepare()
    monkeypatch.setattr(folder_index, "_look", look)
    (progress,) = (radio.parent / "speech/unlabelled").glob("*.progress")
    progress.write_bytes(progress.read_bytes()[:-20])  # the last line torn
    seen.clear()
    SOURCE.prepare()
    assert seen == ["4.wav", "5.wav", "6.wav", "7.wav"]
    assert len(everything()) == 8
    assert not progress.exists()


def test_ranks_that_start_at_once_examine_once(radio):
    for i in range(6):
        record(radio / f"{i}.wav")
    log = radio.parent / "log"
    program = (
        "import odd_looks; from radio_files import SOURCE; from speech_adapters.data import folder_index\n"
        "folder_index._look = odd_looks.logs\n"
        "if __name__ == '__main__': SOURCE.prepare()\n"
    )
    environment = os.environ | {"LOOKED_AT": str(log)}
    ranks = [subprocess.Popen([sys.executable, "-c", program], env=environment) for _ in range(3)]
    assert [rank.wait(HANG_S) for rank in ranks] == [0, 0, 0]
    assert sorted(log.read_text().split()) == [f"{i}.wav" for i in range(6)]
    assert len(everything()) == 6


def test_an_open_index_is_the_one_it_was(radio):
    for i in range(40):
        record(radio / f"{i:02d}.wav")
    SOURCE.prepare()
    held = SOURCE.tracks("train")
    names = [recording.name for recording in held]
    shutil.rmtree(radio)
    record(radio / "quite/another.wav")
    SOURCE.prepare()
    assert [recording.name for recording in held] == names
    assert list(everything()) == ["quite/another.wav"]


def test_a_thousand_recordings_are_held_as_numbers(radio):
    """Lines of a big index are parsed when a recording is asked for."""
    record(radio / "a.wav")
    SOURCE.prepare()
    (path,) = (radio.parent / "speech/unlabelled").glob("*.jsonl")
    first, last = path.read_bytes().splitlines()
    line = json.loads(first) | {"part": "train"}
    many = [json.dumps(line | {"name": f"{i:06d}.wav", "samples": 4800 + i}) for i in range(20_000)]
    path.write_text("\n".join([*many, last.decode(), ""]))
    forget()
    tracemalloc.start()
    found = SOURCE.tracks("train", 6000)
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
    SOURCE.prepare()
    before = {name: recording.part for name, recording in everything().items()}
    parts = {}
    for name, part in before.items():
        assert parts.setdefault(name.split("/")[0], part) == part
    assert set(parts.values()) == {"train", "dev", "test"}
    assert Counter(parts.values())["train"] > 40
    record(radio / "new/a/1.wav", 0.3)
    SOURCE.prepare()
    assert {name: everything()[name].part for name in before} == before


def test_an_empty_part_is_told(radio, capsys):
    record(radio / "a.wav")
    SOURCE.prepare()
    assert capsys.readouterr().err.count("no recording fell to") == 2
