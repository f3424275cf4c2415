"""What a new user does: a Hugging Face folder and twenty clips become a recogniser that other software runs."""

import json

import numpy as np
import pytest
import soundfile
import speech_peers as peers
import torch
from speech_tool import run

import speech_adapters
from speech_adapters.checkpoints.convert import convert

WORDS = ("uno", "due", "tre", "sì")
NUM_CLIPS, LENGTH = 20, 12_000


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Where there are clips of three quarters of a second with metadata.csv, and a random wav2vec 2.0."""
    monkeypatch.chdir(tmp_path)
    peers.small("encoder", peers.BASE_LIKE, tmp_path / "ours.safetensors")
    convert(tmp_path / "ours.safetensors", tmp_path / "wav2vec2", to="huggingface")
    (tmp_path / "clips").mkdir()
    time_s, rows = np.arange(LENGTH) / 16_000, ["file_name,text"]
    for i in range(NUM_CLIPS):
        soundfile.write(
            f"clips/{i}.wav", 0.3 * np.sin(2 * np.pi * (200 + 150 * (i % 4) + i) * time_s), 16_000
        )
        rows.append(f"{i}.wav,{WORDS[i % 4]} {'abcdefghij'[i // 2]}")
    (tmp_path / "clips/metadata.csv").write_text("\n".join(rows))
    return tmp_path


def test_from_a_folder_and_twenty_clips_to_onnx(here):
    def told(*words):
        done = run(*words)
        assert done.exit_code == 0, done.output
        return done.stdout

    told("finetune", "clips", "--model", "wav2vec2", "--out", "mine", "--language", "it", "--steps", 4)
    scores = json.loads(told("evaluate", "clips", "--adapter", "mine/set.safetensors", "--json"))
    assert scores["recordings"] == NUM_CLIPS
    assert told("transcribe", "clips/0.wav", "--model", "wav2vec2", "--adapter", "mine/set.safetensors")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is in the extras dev and onnx")
    told("convert", "mine/set.safetensors", "for-onnx", "--to", "onnx")
    recogniser = speech_adapters.load("mine/set.safetensors", model="wav2vec2", device="cpu").recogniser
    samples, _ = soundfile.read("clips/0.wav", dtype="float32")
    lengths = np.array([LENGTH, LENGTH - 3000])
    batch = np.stack([samples, np.where(np.arange(LENGTH) < lengths[1], samples, 0)])
    session = onnxruntime.InferenceSession("for-onnx/model.onnx", providers=["CPUExecutionProvider"])
    (got,) = session.run(["logprobs"], {"input_values": batch, "input_lengths": lengths})
    (decoder,) = recogniser.decoders
    expected = recogniser.acoustic_model.log_probs(
        torch.from_numpy(batch), torch.from_numpy(lengths), [decoder.name] * 2
    )
    for one, other in zip(torch.from_numpy(got), expected, strict=True):
        torch.testing.assert_close(one[: len(other)], other, atol=1e-3, rtol=0)
