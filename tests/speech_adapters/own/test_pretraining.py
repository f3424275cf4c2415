"""From a folder of sound to a set that fine-tuning begins from; interrupted and resumed on the way."""

import numpy as np
import pytest
import soundfile
import speech_peers as peers
import torch
from interrupting import interrupted
from speech_tool import run

from common.errors import Diverged
from speech_adapters.checkpoints import by_name
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.model.architecture import TINY
from speech_adapters.own.pretraining import OwnPretraining, crop_s_for, planned
from speech_adapters.own.sound import OwnSound
from speech_adapters.own.training import OwnTraining

SMALL = (
    "--set",
    "batch_s=4",
    "--set",
    "objective.num_negatives=5",
    "--set",
    "quantiser.codes=8",
    "--device",
    "cpu",
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Thirty noises of two seconds in two folders, and a file that is none."""
    folder = tmp_path_factory.mktemp("sound")
    draw = np.random.default_rng(0)
    for i in range(30):
        place = folder / "ab"[i % 2]
        place.mkdir(exist_ok=True)
        soundfile.write(place / f"{i:02d}.flac", 0.1 * draw.standard_normal(32_000), 16_000)
    (folder / "b" / "notes.mp3").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "encoder.safetensors"
    peers.small("encoder", TINY, path)
    return path


@pytest.fixture(scope="module")
def trained(sound, encoder, tmp_path_factory):
    """The command's words, its folder and what it said, interrupted in step 3, then resumed to its end."""
    out = tmp_path_factory.mktemp("trained") / "it"
    words = ["pretrain", sound, "--model", encoder, "--out", out, "--steps", 6, "--language", "it", *SMALL]
    stopped, done = interrupted(run, words, OwnPretraining, at_step=3, makes=out / "pretrained.safetensors")
    return words, out, stopped.output + done.output


def test_a_resumed_training_is_the_uninterrupted_one(trained, tmp_path):
    words, out, _ = trained
    whole = run(*[tmp_path / "whole" if word == out else word for word in words])
    assert whole.exit_code == 0, whole.output
    one, other = (AdapterSet.load(folder / "pretrained.safetensors") for folder in (out, tmp_path / "whole"))
    peers.assert_same(one.tensors, other.tensors)


def test_it_says_what_it_hears_and_names_what_it_cannot(trained):
    _, out, said = trained
    assert "notes.mp3" in said
    assert "crops of 2 s, for which 100 % of the sound is long enough" in said
    page = (out / "README.md").read_text()
    assert "held-out crops" in page and "--on pretrained.safetensors" in page  # noqa: PT018
    assert str(out) not in page


def test_the_set_is_of_the_encoder_and_has_no_letters(trained, encoder):
    found = AdapterSet.load(trained[1] / "pretrained.safetensors")
    assert (found.language, found.vocabulary, found.backbone) == ("it", None, by_name.sha256(str(encoder)))
    assert any(name.startswith("quantiser.") for name in found.tensors)
    assert any("after_attention" in name for name in found.tensors)


# ---- fine-tuning on it


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    time_s = np.arange(12_000) / 16_000
    for i in range(10):
        soundfile.write(folder / f"{i}.wav", 0.3 * np.sin(2 * np.pi * (200 + 90 * i) * time_s), 16_000)
        (folder / f"{i}.txt").write_text("abcdefghij"[i] + " no")
    return folder


@pytest.mark.parametrize("arm", ["adapters", "head"])
def test_a_set_stacks_on_what_pretraining_wrote(arm, trained, encoder, recordings, tmp_path):
    below = AdapterSet.load(trained[1] / "pretrained.safetensors")
    done = run("finetune", recordings, "--model", encoder, "--on", trained[1] / "pretrained.safetensors",
               "--arm", arm, "--steps", 2, "--out", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    made = AdapterSet.load(tmp_path / "set.safetensors")
    own = {name for name in below.tensors if name.startswith("encoder.")}
    assert set(made.tensors) == own | {"head.weight", "head.bias"}
    moved = [name for name in own if not torch.equal(made.tensors[name], below.tensors[name])]
    assert bool(moved) == (arm == "adapters")
    heard = run(
        "transcribe", recordings / "0.wav", "--model", encoder, "--adapter", tmp_path / "set.safetensors"
    )
    assert heard.exit_code == 0, heard.output


def test_what_is_trained_begins_as_the_set_and_its_hash_knows_it(trained, encoder, recordings, tmp_path):
    from speech_adapters.own.finetuning import Wanted

    on = trained[1] / "pretrained.safetensors"
    given = {"data": recordings, "model": str(encoder), "out": tmp_path}
    plain = Wanted(**given, arm="adapters").recipe()
    for arm in ("adapters", "head", "lora", "full"):
        recipe = Wanted(**given, arm=arm, on=on).recipe()
        assert isinstance(recipe, OwnTraining)
        state = recipe.model().state_dict()
        names = [name for name in AdapterSet.load(on).tensors if name.startswith("encoder.")]
        assert all(torch.equal(state[name], AdapterSet.load(on).tensors[name]) for name in names)
        assert recipe.manifest_sha256() != plain.manifest_sha256()


def test_a_set_of_another_encoder_is_refused(trained, recordings, tmp_path):
    peers.small("encoder", peers.BASE_LIKE, tmp_path / "other.safetensors")
    done = run("finetune", recordings, "--model", tmp_path / "other.safetensors", "--on",
               trained[1] / "pretrained.safetensors", "--out", tmp_path / "out", "--steps", 2)  # fmt: skip
    assert done.exit_code == 2
    assert "was trained on the encoder" in done.stderr


# ---- planning and guarding


@pytest.mark.parametrize(
    ("seconds", "crop_s"), [([20, 20], 15), ([20, 3], 15), ([20, 6, 6, 6], 4), ([1.5] * 9 + [9], 1)]
)
def test_crops_are_as_long_as_most_of_the_sound_allows(seconds, crop_s):
    assert crop_s_for(seconds, 15.0) == crop_s


def test_sound_that_is_too_short_is_told():
    with pytest.raises(ValueError, match=r"must last 1 s or more, got 3 of 1.5 s together"):
        crop_s_for([0.5] * 3, 15.0)


def test_held_out_crops_too_short_for_a_contrast_are_passed_over(encoder, tmp_path):
    draw, folder = np.random.default_rng(1), tmp_path / "prompts"
    folder.mkdir()
    for i in range(40):  # of those held out, numbers 10 and 30, one has a rest that gets no mask
        length = 20_200 if i == 10 else 17_000
        soundfile.write(folder / f"{i:02d}.wav", 0.1 * draw.standard_normal(length), 16_000)
    done = run("pretrain", folder, "--model", encoder, "--out", tmp_path / "out", "--steps", 1, *SMALL)
    assert done.exit_code == 0, done.output
    assert "crops of 1 s" in done.output and "teaches little" in done.output  # noqa: PT018
    assert "contrast on 2 held-out crops" in (tmp_path / "out/README.md").read_text()


def test_a_quantiser_that_is_there_goes_on(trained, sound, tmp_path):
    model = peers.small("pretraining", TINY, tmp_path / "whole.safetensors")
    source = OwnSound(str(sound), kept=str(trained[1] / "recordings"))
    recipe = planned(source, str(tmp_path / "whole.safetensors"), 3)
    assert torch.equal(recipe.model().quantiser.codebook, model.quantiser.codebook)
    assert torch.equal(recipe.model().context_projection.weight, model.context_projection.weight)


def test_a_collapse_ends_the_command(sound, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        OwnPretraining, "check", lambda self, values, step: "the codebook collapsed: for a test"
    )
    done = run("pretrain", sound, "--model", encoder, "--out", tmp_path, "--steps", 3, *SMALL)
    assert done.exit_code == Diverged.exit_code
    assert "the codebook collapsed" in done.stderr


@pytest.mark.parametrize(
    ("folder", "words", "sentence"),
    [
        ("nowhere", (), "is no folder"),
        ("empty", (), "holds no audio"),
        (".", ("--model", "no-such"), "no encoder"),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(folder, words, sentence, encoder, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run("pretrain", tmp_path / folder, "--model", encoder, "--out", tmp_path / "out", *words)
    assert done.exit_code == 2
    assert sentence in done.stderr
