"""Odd files, names, pipes and folders on the command line: one line each, and the others go on."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import soundfile
from patience import HANG_S
from speech_tool import run, write

from speech_adapters.checkpoints.adapter_sets import AdapterSet


def test_odd_files_and_names_are_one_line_each_and_the_others_go_on(tmp_path, models):
    soundfile.write(
        tmp_path / "gsm.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 16_000), 8_000, subtype="GSM610"
    )
    (tmp_path / "x.raw").write_bytes(bytes(range(256)) * 100)
    good, odd = write(tmp_path / "a.wav"), tmp_path / os.fsdecode(b"caf\xe9.wav")
    odd.write_bytes(good.read_bytes())
    broken = tmp_path / os.fsdecode(b"d\xe9j\xe0.wav")
    broken.write_bytes(b"no sound")
    files = [good, tmp_path / "gsm.wav", tmp_path / "x.raw", odd, broken]
    done = run(
        "transcribe", *files, "--model", models / "recogniser.safetensors", "--json", "--device", "cpu"
    )
    assert done.exit_code == 1, done.output
    assert [line.split(": ")[1] for line in done.stderr.splitlines()[:-1]] == [
        str(tmp_path / "x.raw"), str(tmp_path / r"d\xe9j\xe0.wav")
    ]  # fmt: skip
    assert {path.name for path in tmp_path.glob("*.json")} == {
        "a.json",
        "gsm.json",
        os.fsdecode(b"caf\xe9.json"),
    }
    assert json.loads((tmp_path / os.fsdecode(b"caf\xe9.json")).read_text())["file"].endswith(r"caf\xe9.wav")


def piped(*arguments: object, given: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "speech_adapters", *map(str, arguments), "--device", "cpu"]
    return subprocess.run(command, input=given, capture_output=True, timeout=HANG_S, check=False)


def test_sound_comes_through_pipes(tmp_path, models):
    content = write(tmp_path / "a.wav").read_bytes()
    os.mkfifo(tmp_path / "fifo.wav")
    writer = subprocess.Popen(["cp", tmp_path / "a.wav", tmp_path / "fifo.wav"])
    done = piped(
        "transcribe", "-", tmp_path / "fifo.wav", tmp_path / "a.wav",
        "--model", models / "recogniser.safetensors", given=content,
    )  # fmt: skip
    assert writer.wait(HANG_S) == done.returncode == 0, done.stderr
    texts = re.findall(r"^(.*), by recogniser:\n((?:\[.*\n)+)", done.stdout.decode(), re.MULTILINE)
    assert [name for name, _ in texts] == ["stdin", str(tmp_path / "fifo.wav"), str(tmp_path / "a.wav")]
    assert len({text for _, text in texts}) == 1


def test_what_is_no_sound_or_no_folder_is_told_before_the_work(tmp_path, models):
    path = write(tmp_path / "a.wav")
    (tmp_path / "file").touch()
    for command, model in (("transcribe", "recogniser"), ("encode", "encoder")):
        for out in (tmp_path / "file", tmp_path / "file" / "inner"):
            done = run(command, path, "--model", models / f"{model}.safetensors", "--out", out)
            assert (done.exit_code, done.stdout) == (2, "")
            assert re.search(r"file is a file, and .* must be a folder", done.stderr)
    done = run("transcribe", "/dev/zero", "--model", models / "recogniser.safetensors")
    assert done.exit_code == 2
    assert "/dev/zero must be a pipe with sound in it" in done.stderr


def test_a_set_of_one_voice_says_so(tmp_path, models):
    stored = AdapterSet.load(models / "en.safetensors")
    replace(stored, origin={"source": "asterisk-en"}).save(tmp_path / "voice.safetensors")
    arguments = (
        "transcribe",
        write(tmp_path / "a.wav"),
        "--model",
        models / "encoder.safetensors",
        "--device",
        "cpu",
    )
    done = run(*arguments, "--adapter", tmp_path / "voice.safetensors")
    assert done.stderr.splitlines()[0].startswith("note: voice learned from one voice alone (asterisk-en)")
    assert run(*arguments, "--adapter", models / "en.safetensors").stderr == ""


def test_a_file_that_is_cut_off_is_used_and_named_once(tmp_path, models):
    soundfile.write(
        tmp_path / "a.rf64", np.random.default_rng(0).uniform(-0.5, 0.5, 64_000), 16_000, format="RF64"
    )
    content = (tmp_path / "a.rf64").read_bytes()
    (tmp_path / "a.rf64").write_bytes(content[:80_000])
    for command, model in (("transcribe", "recogniser"), ("encode", "encoder")):
        done = run(
            command,
            tmp_path / "a.rf64",
            "--model",
            models / f"{model}.safetensors",
            "--out",
            tmp_path,
            "--device",
            "cpu",
        )
        assert done.exit_code == 0, done.output
        assert re.fullmatch(
            r"note: .*a\.rf64: is cut off, promises \d+ bytes, has 80000; what is there is used\n",
            done.stderr,
        )
    assert {path.name for path in tmp_path.iterdir()} >= {"a.txt", "a.npy"}
