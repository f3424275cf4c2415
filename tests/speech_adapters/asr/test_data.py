"""Corpora of a person's own become clips; a recording that cannot be read is named and never ends a run."""

import json
import lzma
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from common.recipe import Shard
from speech_adapters.asr import data, evaluation, recipes
from speech_adapters.data import prepared

SPOKEN = {"train": "HE SAID YES", "dev": "SHE SAID NO", "test": "WE SAY SO"}


def _chapter(folder, speaker, texts, broken=()):
    chapter = folder / str(speaker) / "1"
    chapter.mkdir(parents=True)
    lines = []
    for number, text in enumerate(texts):
        name = f"{speaker}-1-{number:04d}"
        lines.append(f"{name} {text}\n")
        path = chapter / f"{name}.flac"
        soundfile.write(path, np.random.default_rng(number).normal(size=16_000) * 0.1, 16_000)
        if number in broken:
            path.write_bytes(path.read_bytes()[:200])
    (chapter / f"{speaker}-1.trans.txt").write_text("".join(lines))


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    """Libri-Light with 40 recordings, one of them cut short, and LibriSpeech's dev and test sets."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    light = tmp_path / "librispeech_finetuning"
    for fold in ("9h", *(f"1h/{number}" for number in range(6))):
        for sound in ("clean", "other"):
            (light / fold / sound).mkdir(parents=True)
    _chapter(light / "1h" / "0" / "clean", 11, [SPOKEN["train"]] * 20)
    _chapter(light / "9h" / "clean", 12, [SPOKEN["train"]] * 20, broken=(3,))
    for part, speaker in (("dev-other", 21), ("test-clean", 31), ("test-other", 32)):
        split = "dev" if part.startswith("dev") else "test"
        _chapter(tmp_path / "LibriSpeech" / part, speaker, [SPOKEN[split]] * 2)
    for cached in (data._recordings, data._corpora, data.manifest_sha256, evaluation.feasible):
        cached.cache_clear()
    yield tmp_path
    for cached in (data._recordings, data._corpora, data.manifest_sha256, evaluation.feasible):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("packed", "scorable"),
    [
        ((), True),
        (data.PACKED, False),
        ((*data.PACKED, "drascula-en"), False),
        ((*data.PACKED, *data.SCORED), True),
    ],
)
def test_a_packed_machine_scores_once_it_has_the_second_archive_too(tmp_path, monkeypatch, packed, scorable):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    (tmp_path / "speech" / "packed").mkdir(parents=True)
    for source in packed:
        listed = lzma.compress(json.dumps({"utterances": [], "left_out": [], "bad": []}).encode())
        (tmp_path / "speech" / "packed" / f"{source}.json.xz").write_bytes(listed)
    fetched = []
    monkeypatch.setattr(prepared, "prepare", lambda *names: fetched.extend(names))
    data.prepare(data.PROMPTS["fr"], (data.OTHER_VOICES["fr"],))
    assert data.scorable() is scorable
    assert fetched == ["asterisk-fr", "tuxpaint-fr"] if scorable else ["asterisk-fr"]


def test_packing_writes_what_is_scored_into_an_archive_of_its_own(tmp_path, monkeypatch):
    written = {}
    monkeypatch.setattr(
        prepared, "pack", lambda path, *names: written.update({path.name: names}) or path.name
    )
    assert data.pack(tmp_path / "pack.tar", "gpu") == "pack.tar"
    assert written == {"pack.tar": data.PACKED, "pack-voices.tar": data.SCORED}


def test_a_published_corpus_becomes_clips_with_their_test_sets_told_apart(corpora):
    source = data.CORPORA["en"]
    assert {clip.source for clip in data.clips(source, "test")} == {
        "librispeech-test-clean",
        "librispeech-test-other",
    }
    assert {clip.text for clip in data.clips(source, "dev")} == {"she said no"}
    clip = data.clips(source, "train")[0]
    assert clip.samples == len(clip.waveform()) == 16_000


def test_a_recording_that_cannot_be_read_is_left_out_and_named(corpora):
    source = data.CORPORA["en"]
    assert len(data.clips(source, "train")) == 39
    (told,) = data.bad(source)
    assert "12-1-0003" in told


def test_too_many_broken_recordings_stop_with_the_list(corpora):
    for path in sorted((corpora / "librispeech_finetuning" / "1h").rglob("*.flac"))[:3]:
        path.write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"at most 5 % .* got 4 of 40(.|\n)*11-1-0002"):
        data.clips(data.CORPORA["en"], "train")


def test_the_recipe_of_the_paper_trains_on_them(corpora):
    recipe = replace(
        recipes.SCALES["smoke"].recipes["ADAPTERS_EN"],
        source=data.CORPORA["en"],
        batch_s=4.0,
        time_masking=recipes.FULL.time_masking,
    )
    batch = recipe.batch(0, 0, Shard())
    assert batch.inputs.shape[1] == 16_000
    losses = recipe.losses(recipe.model(), batch, 0)
    assert float(losses["ctc_nats_per_character"].detach()) > 0
