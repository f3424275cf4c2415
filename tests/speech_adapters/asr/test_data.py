"""What a machine that got its data from a pack can do, and a corpus of a person's own in the recipe of the paper."""

import json
import lzma
from dataclasses import dataclass, replace

import numpy as np
import pytest
import soundfile

from common.recipe import Shard
from speech_adapters.asr import data, recipes
from speech_adapters.data import prepared
from speech_adapters.data.corpora.corpus import Corpus, Reading
from speech_adapters.data.corpora.public import PublicCorpus
from speech_adapters.data.prepared import PackagedSpeech


@pytest.mark.parametrize(
    ("packed", "scorable"),
    [
        ((), True),
        (data.PACKED, False),
        ((*data.PACKED, data.SCORED[0]), False),
        ((*data.PACKED, *data.SCORED), True),
    ],
)
def test_a_packed_machine_scores_once_it_has_the_second_archive_too(tmp_path, monkeypatch, packed, scorable):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    (tmp_path / "speech" / "packed").mkdir(parents=True)
    for source in packed:
        listed = lzma.compress(json.dumps({"utterances": [], "left_out": [], "bad": []}).encode())
        (tmp_path / "speech" / "packed" / f"{source.name}.json.xz").write_bytes(listed)
    fetched = []
    monkeypatch.setattr(PackagedSpeech, "prepare", lambda source: fetched.append(source))
    recipes.SCALES["mini"].recipes["FULL_EN"].prepare()
    assert data.scorable() is scorable
    other = data.OTHER_VOICES["en"]
    assert set(fetched) == {data.PROMPTS["en"], *([other] if not packed or other in packed else [])}


def test_packing_writes_what_is_scored_into_an_archive_of_its_own(tmp_path, monkeypatch):
    written = {}
    monkeypatch.setattr(
        prepared, "pack", lambda path, sources: written.update({path.name: sources}) or path.name
    )
    assert data.pack(tmp_path / "pack.tar", "mini") == "pack.tar"
    assert written == {"pack.tar": data.PACKED, "pack-voices.tar": data.SCORED}
    with pytest.raises(ValueError, match="at scale paper trains on nothing that a pack could hold"):
        data.pack(tmp_path / "pack.tar", "paper")


# ---- a corpus of a person's own


@dataclass(frozen=True)
class ToyCorpus(PublicCorpus):
    """A corpus that nothing else knows of."""

    language = "en"
    name = "toy-corpus"

    def read(self, part: str) -> tuple[Corpus, ...]:
        reading = Reading(f"toy-{part}", "en")
        folder = prepared.data_root() / "toy" / part
        for file in sorted(folder.glob("*.wav")):
            reading.add(file.stem, file.name, "he said yes", file, "ann")
        return (reading.corpus("1"),)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    for part in ("train", "dev", "test"):
        (tmp_path / "toy" / part).mkdir(parents=True)
        for number in range(3):
            sound = np.random.default_rng(number).normal(size=16_000) * 0.1
            soundfile.write(tmp_path / "toy" / part / f"{part}{number}.wav", sound, 16_000)
    return ToyCorpus()


def test_a_recipe_trains_on_a_corpus_that_nothing_else_knows_of(toy):
    adapters = recipes.SCALES["smoke"].recipes["ADAPTERS_EN"]
    recipe = replace(adapters, source=toy, time_masking=recipes.FULL.time_masking)
    recipe.prepare()
    batch = recipe.batch(0, 0, Shard())
    assert batch.inputs.shape[1] == 16_000
    losses = recipe.losses(recipe.model(), batch, 0)
    assert float(losses["ctc_nats_per_character"].detach()) > 0
    assert recipe.settings()["source"] == {"kind": "ToyCorpus"}
    assert recipe.bad_items() == ((), 0.0)
    assert recipe.manifest_sha256() != adapters.manifest_sha256()
