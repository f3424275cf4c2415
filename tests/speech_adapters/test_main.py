"""The command line: whatever people throw at it, it answers with files, one line, and the right exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from patience import HANG_S, started
from speech_tool import ENGLISH, run, talkative, write

from speech_adapters.checkpoints import by_name, model_files
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.ctc.ngram import estimate
from speech_adapters.model.architecture import TINY

COMMANDS = ("transcribe", "encode", "params", "convert")


def bad_files(folder: Path) -> list[Path]:
    """Each broken in its own way."""
    folder.mkdir()
    (folder / "empty.wav").touch()
    whole = write(folder / "truncated.wav").read_bytes()
    (folder / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "header.wav").write_bytes(whole[:20])
    soundfile.write(folder / "nan.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    write(folder / "blink.wav", 0.01)
    (folder / "text.wav").write_text("This is a letter, not a recording.\n" * 50)
    (folder / "folder.wav").mkdir()
    return [*sorted(folder.iterdir()), folder / "missing.wav"]


def good_files(folder: Path) -> list[Path]:
    """Unusual, and sound all the same."""
    folder.mkdir()
    write(folder / "8-bit.wav", subtype="PCM_U8")
    write(folder / "stereo.wav", channels=2)
    for rate_hz in (8_000, 11_025, 44_100):
        write(folder / f"{rate_hz}.wav", rate_hz=rate_hz)
    write(folder / "a.flac")
    write(folder / "shortest.wav", 0.025)
    return sorted(folder.iterdir())


# ---- help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_a_sentence_and_three_lines_to_paste(command):
    shown = run(command, "--help").stdout
    assert shown.split("\n\n")[1].strip().endswith(".")
    assert shown.count("\n  python -") == 3
    assert shown.count(f"python -m speech_adapters {command}") >= 2


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from speech_adapters.__main__ import app; app(['transcribe', '--help'], standalone_mode=False);"
        "print({'torch', 'av', 'numpy', 'soundfile', 'torchaudio'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"


# ---- transcribe


def test_bad_files_are_named_in_a_line_each_and_the_others_written(tmp_path, models):
    bad, good = bad_files(tmp_path / "bad"), good_files(tmp_path / "good")
    assert len(bad) > len(good)
    out = tmp_path / "out"
    done = run("transcribe", *bad, *good, "--model", models / "recogniser.safetensors",
               "--txt", "--json", "--srt", "--vtt", "--out", out, "--device", "cpu")  # fmt: skip
    assert done.exit_code == 1, done.output
    *lines, last = done.stderr.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["error", str(path)] for path in bad]
    assert last == f"{len(bad)} of {len(bad) + len(good)} files failed"
    expected = {f"{path.stem}.{suffix}" for path in good for suffix in ("txt", "json", "srt", "vtt")}
    assert {path.name for path in out.iterdir()} == expected
    assert json.loads((out / "stereo.json").read_text())["text"]


def test_where_everything_fails_nothing_is_written(tmp_path, models):
    bad, out = bad_files(tmp_path / "bad"), tmp_path / "out"
    done = run(
        "transcribe", *bad, "--model", models / "recogniser.safetensors", "--out", out, "--device", "cpu"
    )
    assert (done.exit_code, done.stdout, out.exists()) == (1, "", False)


def test_without_a_format_text_goes_to_stdout(tmp_path, models):
    path = write(tmp_path / "a.wav")
    done = run("transcribe", path, "--model", models / "recogniser.safetensors", "--device", "cpu")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}, by recogniser:\n[00:00:0")
    assert list(tmp_path.iterdir()) == [path]


def test_each_adapter_writes_every_file_in_its_language(tmp_path, models):
    path = write(tmp_path / "a.wav")
    encoder, en, fr = (models / f"{name}.safetensors" for name in ("encoder", "en", "fr"))
    both = run(
        "transcribe", path, "--model", encoder, "--adapter", en, "--adapter", fr, "--json", "--device", "cpu"
    )
    assert both.exit_code == 0, both.output
    found = {lang: json.loads((tmp_path / f"a.{lang}.json").read_text()) for lang in ("en", "fr")}
    assert found["en"]["language"] == "en"
    assert found["fr"]["language"] == "fr"
    assert found["en"]["text"] != found["fr"]["text"]
    alone = run("transcribe", path, "--model", encoder, "--adapter", fr, "--json", "--device", "cpu")
    assert alone.exit_code == 0, alone.output
    assert json.loads((tmp_path / "a.json").read_text())["text"] == found["fr"]["text"]


def test_published_sets_go_by_their_names(tmp_path, models, monkeypatch):
    monkeypatch.setattr(by_name, "ADAPTERS", models)
    monkeypatch.setattr(by_name, "PUBLISHED", tmp_path / "none")
    path = write(tmp_path / "a.wav")
    done = run(
        "transcribe", path, "--model", models / "encoder.safetensors", "--adapter", "fr", "--device", "cpu"
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{path}, by fr:")


def test_a_file_alone_is_heard_by_the_published_english_set(tmp_path, models, monkeypatch):
    """The set names its encoder and says what it learned from."""
    monkeypatch.setattr(by_name, "PUBLISHED", tmp_path / "published")
    made = AdapterSet.load(models / "en.safetensors")
    told = {"model": str(models / "encoder.safetensors"), "quality": "learned from nothing"}
    replace(made, origin=told).save(tmp_path / "published" / "en.safetensors")
    path = write(tmp_path / "a.wav")
    done = run("transcribe", path, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert f"note: en, on {told['model']}, learned from nothing" in done.stderr
    assert done.stdout.startswith(f"{path}, by en:")
    done = run("transcribe", path, "--adapter", "en", "--adapter", models / "fr.safetensors")
    assert done.exit_code == 2
    assert "sets that share a run must be of one encoder" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "encoder", "--adapter", "de"], "no adapter set 'de'.*none here yet.*make reproduce-asr-adapters"),
        (["--model", "other", "--adapter", "en.safetensors"], "en.safetensors: .*[0-9a-f]{12}, not on [0-9a-f]{12}"),
        (["--model", "encoder"], "say which --adapter"),
        (["--model", "encoder", "--adapter", "en.safetensors", "--adapter", "en.safetensors"], "en twice"),
        (["--model", "encoder", "--adapter", "recogniser.safetensors"], "no adapter set but 'recogniser'"),
        (["--model", "recogniser", "--adapter", "en.safetensors"], "leave out --adapter"),
        (["--model", "nameless"], "convert --symbols"),
        (["--model", "nowhere"], "no encoder .*nowhere.*known are"),
        (["--model", "recogniser", "--lm", "x.arpa"], "no n-gram at x.arpa"),
        (["--model", "recogniser", "--words", "x.txt"], "needs --lm FILE.arpa as well"),
        (["--model", "recogniser", "--device", "tpu"], "auto, cpu or cuda, got 'tpu'"),
        (["--model", "recogniser", "--srt"], "a.srt is there already"),
        (["--model", "recogniser", "--nonsense"], "No such option"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_one_line_and_exit_code_2(tmp_path, models, monkeypatch, arguments, words):
    for folder in ("ADAPTERS", "PUBLISHED"):
        monkeypatch.setattr(by_name, folder, tmp_path / "none")
    path = write(tmp_path / "a.wav")
    (tmp_path / "a.srt").write_text("mine")
    where = [models / f"{a}.safetensors" if before == "--model" else models / a if a.endswith(".safetensors") else a
             for before, a in zip(["", *arguments], arguments, strict=False)]  # fmt: skip
    done = run("transcribe", path, *where)
    assert done.exit_code == 2, done.output
    assert re.search(words, " ".join(done.stderr.split())), done.stderr
    assert (tmp_path / "a.srt").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_an_output_is_replaced_when_asked(tmp_path, models):
    path = write(tmp_path / "a.wav")
    (tmp_path / "a.vtt").write_text("mine")
    done = run("transcribe", path, "--model", models / "recogniser.safetensors", "--vtt", "--overwrite")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT\n\n00:00")


def test_beam_search_writes_words_of_the_lexicon_alone(tmp_path, models):
    pytest.importorskip("flashlight.lib.text")
    path, words = write(tmp_path / "a.wav"), tmp_path / "words.txt"
    estimate(["a b", "b a"], order=2).write_arpa(tmp_path / "ab.arpa")
    words.write_text("a\nb\n")
    done = run("transcribe", path, "--model", models / "recogniser.safetensors", "--json", "--device", "cpu",
               "--lm", tmp_path / "ab.arpa", "--words", words, "--beam", 5)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert set(json.loads((tmp_path / "a.json").read_text())["text"].split()) <= {"a", "b"}


def test_a_signal_half_way_keeps_what_is_done(tmp_path, models):
    """With whole outputs only, and an exit code that says so."""
    paths = [write(tmp_path / f"{n}.wav", 30.0) for n in range(40)]
    model = str(models / "recogniser.safetensors")
    command = [
        sys.executable,
        "-m",
        "speech_adapters",
        "transcribe",
        *map(str, paths),
        "--model",
        model,
        "--json",
    ]
    command += ["--device", "cpu"]
    with started(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        while not list(tmp_path.glob("[!.]*.json")):  # what begins with a dot is being written
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=HANG_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert told.endswith("error: stopped by SIGTERM, what was finished before is kept\n")
    done = list(tmp_path.glob("*.json"))
    assert 0 < len(done) < 40
    assert all(json.loads(path.read_text())["file"] for path in done)
    assert {path.suffix for path in tmp_path.iterdir()} == {".wav", ".json"}


# The peak is noted inside the child: that of resource.getrusage is inherited from whoever starts it.
PEAK = """
import sys
from common.runtime import peak_memory_bytes
from speech_adapters.__main__ import app
app(sys.argv[1:], standalone_mode=False)
print(peak_memory_bytes() // 2**20, file=sys.stderr)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path, models):
    peaks_mib = []
    for minutes in (10, 60):
        path = write(tmp_path / f"{minutes}.wav", 60.0 * minutes, rate_hz=22_050)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, "transcribe", str(path), "--txt", "--device", "cpu",
             "--model", str(models / "recogniser.safetensors")],
            capture_output=True, text=True, check=True, env={**os.environ, "TYPE_CHECKS": "off"},
        )  # fmt: skip
        peaks_mib.append(int(done.stderr.split()[-1]))
        assert (tmp_path / f"{minutes}.txt").stat().st_size > 1000
    assert peaks_mib[1] < peaks_mib[0] + 100  # fifty minutes more are 190 MiB of samples alone


# ---- encode


def test_encode_writes_features_and_goes_on_where_it_stopped(tmp_path, models):
    bad, good = bad_files(tmp_path / "bad"), good_files(tmp_path / "good")
    command = ["encode", *bad, *good, "--out", tmp_path / "out", "--model", models / "encoder.safetensors"]
    done = run(*command, "--layer", 1)
    assert done.exit_code == 1, done.output
    assert [line.split(": ")[1] for line in done.stderr.splitlines()[:-1]] == list(map(str, bad))
    assert len(list((tmp_path / "out").glob("*.npy"))) == len(good)
    again = run(*command, "--layer", 1)
    assert (again.exit_code, again.stdout.count("is there, kept")) == (1, len(good))
    other = run(*command)
    assert (other.exit_code, "made otherwise" in other.stderr) == (2, True)


def test_an_encoder_is_read_out_of_any_model(tmp_path, models):
    path = write(tmp_path / "a.wav")
    for name in ("encoder", "recogniser"):
        done = run("encode", path, "--out", tmp_path / name, "--model", models / f"{name}.safetensors")
        assert done.exit_code == 0, done.output
    assert np.array_equal(np.load(tmp_path / "encoder/a.npy"), np.load(tmp_path / "recogniser/a.npy"))


# ---- params


@pytest.mark.parametrize(
    ("arguments", "trained", "share"),
    [
        (["--arm", "adapters"], "9,560,096", "9.20%"),  # both shares are the paper's
        (["--arm", "adapters", "--layers", "6"], "4,810,784", "4.85%"),
        (["--arm", "head"], "24,608", "0.03%"),
        (["--arm", "head", "--symbols", "29"], "22,301", "0.02%"),
    ],
)
def test_params_knows_the_papers_shares(arguments, trained, share):
    shown = run("params", *arguments).stdout
    assert len(shown.splitlines()) == 2
    assert trained in shown
    assert shown.rstrip().endswith(share)


@pytest.mark.parametrize("backbone", ["base", "large", "xlsr", "small", "tiny"])
def test_params_without_an_arm_lists_every_kind(backbone):
    found = json.loads(run("params", "--backbone", backbone, "--json").stdout)
    assert {row["arm"] for row in found["arms"]} >= {"full", "finetune", "adapters", "lora", "bitfit", "head"}
    assert all(0 < row["trained"] < row["total"] for row in found["arms"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backbone", "huge"], "small, deep, tiny, whisper-base, whisper-tiny, got 'huge'"),
        (["--arm", "prefix"], "full, adapters.*got 'prefix'"),
        (["--arm", "adapters", "--layers", "13"], "in 0..12.*got 13"),
        (["--arm", "single-adapter"], "in 1..12.*got 0"),
        (["--arm", "adapters", "--bottleneck", "768"], "in 1..767, got 768"),
        (["--layers", "3"], "--layers is of one arm"),
    ],
)
def test_params_refuses_what_is_not_there(arguments, words):
    done = run("params", *arguments)
    assert done.exit_code == 2
    assert re.fullmatch(f"error: .*{words}.*\n", done.stderr), done.stderr


# ---- convert


def test_convert_goes_there_and_back_and_tells_of_every_tensor(tmp_path, models):
    source = models / "recogniser.safetensors"
    there = run("convert", source, tmp_path / "hf", "--to", "huggingface")
    assert there.exit_code == 0, there.output
    back = run("convert", tmp_path / "hf", tmp_path / "back.safetensors")
    assert back.exit_code == 0, back.output
    before, after = model_files.read(source), model_files.read(tmp_path / "back.safetensors")
    assert f"{len(before.tensors)} tensors mapped, 0 missing, 0 unused" in back.stdout
    assert before.tensors.keys() == after.tensors.keys()
    assert all(torch.equal(before.tensors[name], after.tensors[name]) for name in before.tensors)


def test_convert_names_symbols_so_that_transcribe_can_write_them(tmp_path, models):
    (tmp_path / "symbols.txt").write_text("\n".join(ENGLISH.symbols))
    named = tmp_path / "named.safetensors"
    done = run("convert", models / "nameless.safetensors", named, "--symbols", tmp_path / "symbols.txt")
    assert done.exit_code == 0, done.output
    assert run("transcribe", write(tmp_path / "a.wav"), "--model", named).exit_code == 0


@pytest.mark.parametrize(
    ("source", "target", "extra", "words"),
    [
        ("encoder.safetensors", "old.safetensors", [], "is there already"),
        ("encoder.safetensors", "new.pt", [], "must end in .safetensors"),
        ("encoder.safetensors", "new", ["--to", "jax"], "ours, fairseq, huggingface, peft, onnx, got 'jax'"),
        ("none.pt", "new.safetensors", [], "no such file"),
        ("text.pt", "new.safetensors", [], "damaged or could run code"),
    ],
)
def test_convert_refuses_in_one_line(tmp_path, models, source, target, extra, words):
    shutil.copytree(models, tmp_path / "m")
    (tmp_path / "m" / "text.pt").write_text("not a checkpoint")
    (tmp_path / "old.safetensors").write_text("mine")
    done = run("convert", tmp_path / "m" / source, tmp_path / target, *extra)
    assert (done.exit_code, done.stderr.count("\n"), words in done.stderr) == (2, 1, True), done.stderr
    assert (tmp_path / "old.safetensors").read_text() == "mine"


def test_a_tiny_post_norm_model_is_welcome_too(tmp_path):
    model = talkative(replace(TINY, pre_norm=False))
    model_files.save_recogniser(tmp_path / "m.safetensors", model, ENGLISH.symbols)
    assert run("transcribe", write(tmp_path / "a.wav"), "--model", tmp_path / "m.safetensors").exit_code == 0
