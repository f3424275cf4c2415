"""The pages on own recordings and own films are executed as printed, from a folder to what is made of it.

Models are random and small under the names that the page uses, and two steps are trained: what comes out is noise.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import odd_videos
import pytest
import soundfile
import speech_peers as peers
import torch
from documents import commands_in, split
from PIL import Image
from safetensors.torch import save_file
from speech_tool import run
from typer.testing import CliRunner

from speech_adapters.checkpoints import model_files, whisper_base
from speech_adapters.checkpoints.convert import convert
from speech_adapters.model.architecture import WHISPER_TINY
from speech_adapters.model.encoders import build
from speech_adapters.own import training
from video_sr import span_weights
from video_sr.__main__ import app as video
from video_sr.models.span import SPAN
from video_sr.study import server

WORDS = ("uno", "due", "tre", "sì")
NUM_CLIPS = 20


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder that holds what the page names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "LEAST_STEPS", 2)
    monkeypatch.setattr(training, "EPOCHS", 0)
    monkeypatch.setattr(training, "WHISPER_EPOCHS", 0)
    monkeypatch.setattr(training, "MOST_THREADS", 1)
    _recordings()
    _models(monkeypatch)
    return tmp_path


def _recordings():
    time_s = np.arange(16_000) / 16_000
    for folder in ("recordings", "cv/clips", "radio"):
        Path(folder).mkdir(parents=True)
    rows = []
    for i in range(NUM_CLIPS):
        wave = 0.3 * np.sin(2 * np.pi * (200 + 150 * (i % 4) + i) * time_s)
        text = f"{WORDS[i % 4]} {'abcdefghij'[i // 2]}"
        for name in (f"recordings/{i}.wav", f"cv/clips/{i}.wav"):
            soundfile.write(name, wave, 16_000)
        Path(f"recordings/{i}.txt").write_text(text)
        rows.append(f"{i}.wav\t{text}")
    for i in range(3):
        noise = np.random.default_rng(i).normal(0, 0.1, 5 * 16_000)
        soundfile.write(f"radio/{i}.wav", noise, 16_000)
    shutil.copy("recordings/0.wav", "talk.wav")
    for name, part in (("train", rows[:16]), ("dev", rows[16:])):
        Path(f"cv/{name}.tsv").write_text("\n".join(["path\tsentence", *part]) + "\n")
    sentences = "\n".join(Path(f"recordings/{i}.txt").read_text() for i in range(NUM_CLIPS))
    for name in ("sentences.txt", "others.txt"):
        Path(name).write_text(sentences)


def _models(monkeypatch):
    peers.small("encoder", peers.BASE_LIKE, Path("encoder.safetensors"))
    convert(Path("encoder.safetensors"), Path("wav2vec2-base"), to="huggingface")
    peers.small("pretraining", peers.BASE_LIKE, Path("pretraining.safetensors"))
    convert(Path("pretraining.safetensors"), Path("wav2vec_small.pt"), to="fairseq")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model_files.save_encoder(Path("whisper.safetensors"), build(WHISPER_TINY))
    monkeypatch.setattr(whisper_base, "place", lambda: Path("whisper.safetensors").absolute())
    transformers = pytest.importorskip("transformers")
    config = peers.huggingface_model(peers.XLSR_LIKE, "recogniser").config
    config.adapter_attn_dim = 4
    mms = transformers.Wav2Vec2ForCTC(config)
    mms.save_pretrained("mms-1b-all")
    save_file(mms._get_adapters(), "mms-1b-all/adapter.fra.safetensors")
    rows = {name: row for row, name in enumerate(peers.SYMBOLS)}
    Path("mms-1b-all/vocab.json").write_text(json.dumps({"fra": rows}))
    Path("mms-1b-all/preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))


def test_the_page_on_own_recordings_runs_as_printed(here):
    for line in commands_in("docs/own-recordings.md"):
        _, words = split(line)
        if len(words) < 2:  # a verb alone is named, not run
            continue
        if "--steps" in words or words[0] == "pretrain":  # as printed, but for the number of steps
            words = [*words, "--steps", "2"]
        done = run(*words)
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
    made = {path.name for path in here.iterdir()}
    assert {"mine", "small", "it", "lora", "it-sound", "it-on", "words.arpa", "for-onnx", "for-peft"} <= made


@pytest.fixture
def films(tmp_path, monkeypatch):
    """A folder that holds what the page on films names; SPAN's weights are random, since nothing is fetched."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("films/one", "films/two", "films/three", "more/four"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (144, 160, 3), dtype=np.uint8)).save(f"{name}.png")
    odd_videos.film(Path("small.mp4"), num_frames=3)
    for name in ("made", "truth"):
        odd_videos.film(Path(name) / "walk.mp4", num_frames=3)
        for method in ("made-by-mine", "made-by-span"):
            Path(method).mkdir(exist_ok=True)
            shutil.copy("films/one.png", f"{method}/{name}.png")
    weights = SPAN(channels=48, blocks=6).state_dict()
    monkeypatch.setattr(span_weights, "fetch_span", lambda: weights)
    monkeypatch.setattr(server, "serve", lambda study, port: _Voter(study))
    return tmp_path


class _Voter:
    """In place of the page and of who looks at it: the left picture is always the better one."""

    server_address = ("", 0)

    def __init__(self, study):
        self.study = study

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def serve_forever(self):
        for number in range(len(self.study.questions)):
            self.study.vote(number, "left")


def test_the_page_on_own_films_runs_as_printed(films):
    """As printed, but for the number of steps and the size of what a step sees."""
    small = "--steps 2 --set corpus.clips=8 --set patch=3 --set batch_size=2"
    for line in commands_in("docs/own-films.md"):
        _, words = split(line)
        if len(words) < 2:
            continue
        words = [*words, *small.split()] if words[0] == "train" else words
        done = CliRunner().invoke(video, words)
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
    assert {"mine", "other", "large.mp4", "votes.jsonl"} <= {path.name for path in films.iterdir()}
