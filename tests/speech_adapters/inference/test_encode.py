"""Features of files are those of the network, whole or in windows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speech_adapters.checkpoints import model_files
from speech_adapters.inference import encode
from speech_adapters.model.architecture import TINY, WHISPER_TINY
from speech_adapters.model.wav2vec2 import Wav2Vec2
from speech_adapters.model.whisper import Whisper

POST_NORM = replace(TINY, pre_norm=False)
CPU = torch.device("cpu")


def saved(folder: Path, architecture=TINY, seed: int = 0) -> tuple[Wav2Vec2, str]:
    torch.manual_seed(seed)
    network = Wav2Vec2(architecture).eval()
    path = folder / f"encoder-{seed}.safetensors"
    model_files.save_encoder(path, network)
    return network, str(path)


def noise(path: Path, length_s: float, seed: int = 0) -> torch.Tensor:
    sound = np.random.default_rng(seed).uniform(-0.5, 0.5, round(length_s * 16_000)).astype(np.float32)
    soundfile.write(path, sound, 16_000, subtype="FLOAT")
    return torch.from_numpy(sound)


def made(files: list[Path], encoder: encode.Encoder, out: Path, **settings) -> list:
    return list(encode.encode(encode.targets(files, out), encoder, **settings))


@pytest.mark.parametrize("architecture", [TINY, POST_NORM], ids=["pre-norm", "post-norm"])
def test_every_layer_is_that_of_the_network(tmp_path, architecture):
    network, name = saved(tmp_path, architecture)
    waveform = noise(tmp_path / "a.wav", 0.5)
    with torch.no_grad():
        states = network.hidden_states(waveform[None])
        expected = [*states[:2], network(waveform[None])[0]]
    for layer in range(3):
        (done,) = made([tmp_path / "a.wav"], encode.load(name, layer, CPU), tmp_path / str(layer))
        features = np.load(done.target)
        assert features.dtype == np.float32
        assert features.shape == (done.frames, 24) == (TINY.num_frames(8000), 24)
        np.testing.assert_allclose(features, expected[layer][0].numpy(), atol=1e-6)


def test_the_last_layer_is_the_default(tmp_path):
    _, name = saved(tmp_path)
    assert encode.load(name, None, CPU).layer == encode.load(name, 2, CPU).layer


@pytest.mark.parametrize("layer", [-1, 3])
def test_a_layer_that_is_not_there_is_refused(tmp_path, layer):
    with pytest.raises(ValueError, match=rf"in 0\.\.2 .*got {layer}"):
        encode.load(saved(tmp_path)[1], layer, CPU)


def test_whisper_hears_30_seconds_at_once_and_longer_files_in_windows(tmp_path):
    with torch.random.fork_rng():
        model_files.save_encoder(tmp_path / "whisper.safetensors", Whisper(WHISPER_TINY))
    encoder = encode.load(str(tmp_path / "whisper.safetensors"), 0, CPU)
    long = noise(tmp_path / "long.wav", 40.0)
    soundfile.write(tmp_path / "short.wav", long[:480_000].numpy(), 16_000, subtype="FLOAT")
    found = [
        np.load(done.target)
        for done in made([tmp_path / f"{n}.wav" for n in ("short", "long")], encoder, tmp_path)
    ]
    assert [len(features) for features in found] == [1500, 2000]
    # Frames of the first window know no more than the whole does; its loudest band cuts their spectrum off.
    np.testing.assert_allclose(found[0][:1000], found[1][:1000], atol=0.05)


class Levels(Wav2Vec2):
    """Each frame is the sample in its middle, so that features can be told apart and cuts be seen."""

    longest = 0

    def extract(self, waveform, num_samples=None):
        Levels.longest = max(Levels.longest, waveform.shape[1])
        frames = self.architecture.num_frames(waveform.shape[1])
        return waveform[:, 200::320][:, :frames, None], torch.tensor([frames])

    def embed(self, features, num_frames, time_mask=None, channel_mask=None):
        return features

    def contextualise(self, x, num_frames, first=0, stop=None):
        return x


@pytest.mark.parametrize("length_s", [33.0, 34.01, 64.0, 100.0])
def test_windows_put_together_are_the_whole(tmp_path, length_s):
    waveform = noise(tmp_path / "a.wav", length_s)
    encoder = encode.Encoder(Levels(TINY), 2, "")
    (done,) = made([tmp_path / "a.wav"], encoder, tmp_path / "out", whole_s=1.0)
    frames = TINY.num_frames(len(waveform))
    assert np.array_equal(np.load(done.target), waveform[200::320][:frames, None].numpy())
    assert Levels.longest <= 34 * 16_000


def test_a_window_changes_a_frame_in_its_middle_hardly(tmp_path):
    """One pass against windows: of a network without group norm, frames far from a cut see almost the same."""
    _, name = saved(tmp_path, replace(TINY, conv_norm="layer"))
    noise(tmp_path / "a.wav", 40.0)
    encoder = encode.load(name, 0, CPU)
    (whole,) = made([tmp_path / "a.wav"], encoder, tmp_path / "whole")
    (cut,) = made([tmp_path / "a.wav"], encoder, tmp_path / "cut", whole_s=1.0)
    np.testing.assert_allclose(np.load(cut.target), np.load(whole.target), atol=1e-5)


def test_bad_files_are_named_and_the_others_made(tmp_path):
    noise(tmp_path / "good.wav", 0.2)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no sound")
    files = [tmp_path / name for name in ("empty.wav", "text.wav", "none.wav", "good.wav")]
    *failed, good = made(files, encode.load(saved(tmp_path)[1], None, CPU), tmp_path / "out")
    assert [failure.path for failure in failed] == files[:3]
    assert all(str(failure.path) in failure.reason for failure in failed)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["encode.json", "good.npy"]
    assert good.frames == 10 - 1


def test_what_is_there_is_kept_unless_asked(tmp_path):
    noise(tmp_path / "a.wav", 0.2)
    encoder = encode.load(saved(tmp_path)[1], None, CPU)
    files, out = [tmp_path / "a.wav"], tmp_path / "out"
    (first,) = made(files, encoder, out)
    before = first.target.stat().st_mtime_ns
    (again,) = made(files, encoder, out)
    assert (again.frames, again.target.stat().st_mtime_ns) == (None, before)
    (anew,) = made(files, encoder, out, overwrite=True)
    assert (anew.frames, anew.target.stat().st_mtime_ns > before) == (first.frames, True)


@pytest.fixture
def filled(tmp_path):
    """A folder with features of layer 1 for a.wav, and what made them."""
    noise(tmp_path / "a.wav", 0.2)
    encoder = encode.load(saved(tmp_path)[1], 1, CPU)
    made([tmp_path / "a.wav"], encoder, tmp_path / "out")
    return tmp_path / "out", encoder


@pytest.mark.parametrize("name", ["a.npy", "b.npy"])
def test_features_of_another_encoder_or_layer_are_never_mixed(filled, tmp_path, name):
    out, encoder = filled
    encode.prepare_folder(encoder, [out / name], out, overwrite=False)
    for other in (replace(encoder, layer=2), encode.load(saved(tmp_path, seed=1)[1], 1, CPU)):
        with pytest.raises(ValueError, match="made otherwise"):
            encode.prepare_folder(other, [out / name], out, overwrite=False)
    assert json.loads((out / "encode.json").read_text())["layer"] == 1


def test_features_of_another_kind_go_first_when_asked_to_overwrite(filled):
    """Else a stop half way would leave some of them, which the next call would keep."""
    out, encoder = filled
    with pytest.raises(ValueError, match=r"choose another folder$"):
        encode.prepare_folder(replace(encoder, layer=2), [out / "b.npy"], out, overwrite=True)
    assert (out / "a.npy").exists()
    encode.prepare_folder(replace(encoder, layer=2), [out / "a.npy"], out, overwrite=True)
    assert not (out / "a.npy").exists()


def test_features_that_nobody_vouches_for_are_not_kept(filled):
    out, encoder = filled
    (out / "encode.json").unlink()
    with pytest.raises(ValueError, match="layer None"):
        encode.prepare_folder(encoder, [out / "a.npy"], out, overwrite=False)


def test_two_files_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.npy would hold"):
        encode.targets([Path("x/a.wav"), Path("y/a.wav")], tmp_path)
