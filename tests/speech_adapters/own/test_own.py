"""From a user's folder and a Hugging Face checkpoint to a set that transcribes; interrupted and resumed on the way."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile
import speech_peers as peers
import torch
from interrupting import interrupted
from speech_tool import run, talkative

from common import checkpoint as checkpoints
from common.results import Item
from speech_adapters.checkpoints import convert, model_files
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.ctc.measures import CER
from speech_adapters.model.architecture import TINY, WHISPER_TINY
from speech_adapters.model.encoders import build
from speech_adapters.own import training
from speech_adapters.own.evaluation import Scores, aligned, interval, item
from speech_adapters.own.training import OwnTraining

WORDS = ("été", "ça", "là", "où")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Twenty tones of three quarters of a second, a text each."""
    folder = tmp_path_factory.mktemp("recordings")
    time_s = np.arange(12_000) / 16_000
    for i in range(20):
        pitch_hz = 200 + 150 * (i % 4) + i
        soundfile.write(folder / f"{i:02d}.wav", 0.3 * np.sin(2 * np.pi * pitch_hz * time_s), 16_000)
        (folder / f"{i:02d}.txt").write_text(f"{WORDS[i % 4]} {'abcdefghij'[i // 2]}")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A Hugging Face folder with random weights."""
    folder = tmp_path_factory.mktemp("models")
    peers.small("encoder", TINY, folder / "ours.safetensors")
    convert.convert(folder / "ours.safetensors", folder / "hf", to="huggingface")
    return folder / "hf"


@pytest.fixture(scope="module")
def trained(recordings, checkpoint, tmp_path_factory):
    """The command's words and its folder, interrupted in step 5, then resumed to its end."""
    out = tmp_path_factory.mktemp("trained") / "mine"
    words = ["finetune", recordings, "--model", checkpoint, "--out", out, "--steps", 12, "--language", "fr",
             "--device", "cpu"]  # fmt: skip
    stopped, done = interrupted(run, words, OwnTraining, at_step=5, makes=out / "set.safetensors")
    return words, out, stopped.output + done.output


def test_a_resumed_training_is_the_uninterrupted_one(trained, tmp_path):
    words, out, _ = trained
    whole = run(*[tmp_path / "whole" if word == out else word for word in words])
    assert whole.exit_code == 0, whole.output
    one, other = AdapterSet.load(out / "set.safetensors"), AdapterSet.load(tmp_path / "whole/set.safetensors")
    peers.assert_same(one.tensors, other.tensors)


def test_training_says_what_it_has_and_leaves_a_card(trained):
    _, out, said = trained
    assert "train: 0.2 min in 18 recordings, speakers unknown" in said
    assert re.search(r"about \d+\.\d min \(\d+\.\d\d s a step\) and \d+\.\d GB, scores on dev aside", said)
    assert "dev part: by text" in said and "weights are trained" in said  # noqa: PT018
    page = (out / "README.md").read_text()
    scores = json.loads((out / "scores-dev.json").read_text())
    assert f"| CER | {scores['cer']['percent']:.1f} |" in page
    assert "--adapter set.safetensors" in page
    assert str(out) not in page


def test_the_alphabet_is_that_of_the_texts(trained):
    kept = AdapterSet.load(trained[1] / "set.safetensors")
    assert {"é", "ç", "ù", "t"} <= set(kept.vocabulary.symbols)
    assert (kept.language, kept.normaliser) == ("fr", "any-script-1")


def test_what_was_trained_transcribes_and_is_evaluated(trained, recordings, checkpoint):
    set_ = trained[1] / "set.safetensors"
    done = run("transcribe", recordings / "00.wav", "--model", checkpoint, "--adapter", set_)
    assert done.exit_code == 0, done.output
    told = run("evaluate", recordings, "--adapter", set_, "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["recordings"], found["trained_on"]) == (20, 18)
    assert "warning: 18 of 20 recordings were trained on: errors flatter" in told.stderr
    assert found["cer"]["low"] <= found["cer"]["percent"] <= found["cer"]["high"]
    table = run("evaluate", recordings, "--adapter", set_).stdout
    assert table.splitlines()[0].split() == ["WER", "%", "CER", "%", "recordings"]


def test_other_settings_do_not_overwrite_a_training(trained):
    words, *_ = trained
    done = run(*words, "--set", "peak_lr=0.5")
    assert done.exit_code != 0
    assert "another run" in done.output or "--resume" in done.output


def test_a_part_without_recordings_says_the_way_out(recordings, checkpoint, tmp_path):
    """Dev that is the training data; ten clips of one letter; texts of pictures alone. Nothing is written."""
    for name, texts in (("letter", "a" * 10), ("pictures", "😀🎉" * 5)):
        for number, text in enumerate(texts):
            (tmp_path / name).mkdir(exist_ok=True)
            shutil.copy(recordings / f"{number:02d}.wav", tmp_path / name / f"{number}.wav")
            (tmp_path / name / f"{number}.txt").write_text(text, encoding="utf-8")
    given = ("finetune", "--model", checkpoint, "--steps", 2, "--out", tmp_path / "out")
    for words, told in (
        ((recordings, "--dev", recordings), "left for dev; all of --dev is in the training data"),
        ((tmp_path / "letter",), "left for dev; all that can be used has one text"),
        ((tmp_path / "pictures",), "left for train; see what was left out above"),
    ):
        done = run(*given, *words)
        assert (done.exit_code, told in done.stderr) == (2, True), done.output
        assert not list((tmp_path / "out").rglob("*.safetensors"))


@pytest.mark.parametrize("arm", ["full", "lora"])
def test_arms_that_change_matrices_make_a_whole_recogniser(arm, recordings, checkpoint, tmp_path):
    done = run("finetune", recordings, "--model", checkpoint, "--arm", arm, "--out", tmp_path, "--steps", 2)
    assert done.exit_code == 0, done.output
    model = tmp_path / "recogniser.safetensors"
    assert run("transcribe", recordings / "00.wav", "--model", model).exit_code == 0
    dev = json.loads((tmp_path / "scores-dev.json").read_text())["recordings"]
    assert (
        json.loads(run("evaluate", recordings, "--model", model, "--json").stdout)["recordings"] == 20 > dev
    )


def test_an_encoder_is_taken_out_of_a_recogniser(recordings, tmp_path):
    model_files.save_recogniser(tmp_path / "whole.safetensors", talkative(), None)
    words = ("--model", tmp_path / "whole.safetensors", "--arm", "head", "--out", tmp_path / "out")
    done = run("finetune", recordings, *words, "--steps", 2)
    assert done.exit_code == 0, done.output
    set_ = tmp_path / "out/set.safetensors"
    done = run(
        "transcribe",
        recordings / "00.wav",
        "--model",
        tmp_path / "out/encoder.safetensors",
        "--adapter",
        set_,
    )
    assert done.exit_code == 0, done.output


def test_training_ends_when_dev_gets_no_better(recordings, checkpoint, tmp_path):
    """Rates that destroy what was learned: the best dev score comes early, and its weights are taken."""
    often = [word for key in ("dev_every", "log_every", "keep_every") for word in ("--set", f"{key}=2")]
    words = ["finetune", recordings, "--model", checkpoint, "--out", tmp_path, "--steps", 60, "--patience", 1, *often,
             "--set", "peak_lr=3.0"]  # fmt: skip
    done = run(*words)
    assert done.exit_code == 0, done.output
    scores = training.dev_scores(tmp_path / "run/journal.jsonl")
    best = training.best_step(scores)
    assert list(scores)[-1] == best + 2 < 60
    assert f"of {best + 2} steps those up to {best} are taken" in done.output
    snapshot = checkpoints.load(tmp_path / f"run/snapshots/step-{best:08d}.safetensors").tensors
    made = AdapterSet.load(tmp_path / "set.safetensors").tensors
    peers.assert_same(made, {name: snapshot[name] for name in made})
    assert "finished" in run(*words).output


def test_whisper_is_trained_head_first_and_named_as_supervised(recordings, tmp_path):
    words = ("--model", tmp_path / "whisper.safetensors", "--out", tmp_path / "out")
    with torch.random.fork_rng():
        model_files.save_encoder(tmp_path / "whisper.safetensors", build(WHISPER_TINY))
    printed = run("finetune", recordings, *words, "--print-settings").stdout.splitlines()
    assert {"steps=300", "batch_s=8.0", "head_only_steps=75", "peak_lr=0.001", "head_lr_ratio=10.0"} <= set(
        printed
    )
    done = run("finetune", recordings, *words, "--steps", 4)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out/README.md").read_text()
    assert "Whisper's encoder, supervised and multilingual (whisper.safetensors), arm `adapters`" in page
    set_ = tmp_path / "out/set.safetensors"
    assert run("evaluate", recordings, "--adapter", set_).exit_code == 0
    done = run("transcribe", recordings / "00.wav", *words[:2], "--adapter", set_)
    assert done.exit_code == 0, done.output


def test_settings_are_printed_and_nothing_is_trained(recordings, checkpoint, tmp_path):
    done = run("finetune", recordings, "--model", checkpoint, "--out", tmp_path, "--print-settings")
    assert done.exit_code == 0, done.output
    assert "steps=300" in done.stdout.splitlines()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(("--arm", "bitfit"), "arm must be one of adapters"), (("--model", "no-such"), "no encoder 'no-such'")],
)
def test_what_cannot_be_trained_is_one_sentence(words, sentence, recordings, checkpoint, tmp_path):
    done = run("finetune", recordings, "--model", checkpoint, "--out", tmp_path, *words)
    assert done.exit_code == 2
    assert sentence in done.output


# ---- scores


def test_an_interval_draws_speakers_whole():
    items = [
        item(f"{speaker}{i}", speaker, "ab", heard)
        for speaker, heard in (("x", "ab"), ("y", "cd"))
        for i in range(50)
    ]
    assert CER.of(items) == 50
    assert interval(items, CER) == (0, 100)  # two speakers, one always right, one never
    low, high = interval([Item(one.id, one.id, "", one.scores) for one in items], CER)
    assert 35 < low < 50 < high < 65
    assert interval(items[:1], CER) is None


def test_words_stand_under_words():
    assert aligned("the cat sat", "the bat sat down") == [
        "  said   the CAT sat ****",
        "  heard  the BAT sat DOWN",
    ]


def test_speakers_are_listed_worst_first():
    scores = Scores((item("1", "good", "ab", "ab"), item("2", "bad", "ab", "a"), item("3", "", "ab", "ab")))
    assert [row["speaker"] for row in scores.by_speaker()] == ["bad", "good", "unknown"]
    assert [one.id for one in scores.worst()] == ["2"]
    assert scores.table().splitlines()[2].split() == ["bad", "100.0", "50.0", "1"]
