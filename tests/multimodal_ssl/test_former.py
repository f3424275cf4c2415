"""Results and weights of the former layout of settings are of today's recipes, to the last number."""

import pytest

from common import checkpoint, results
from common.settings import decode
from multimodal_ssl.former import SIMILARITIES, former_settings, is_former
from multimodal_ssl.model.networks import Audio, BagOfWords, FineAndCoarse, Network, R2Plus1D, ResNet18
from multimodal_ssl.model.similarities import Similarity, SoftAttention
from multimodal_ssl.model.vocabulary import Word2vec300
from multimodal_ssl.paper import PAPER
from multimodal_ssl.search import weights

NETWORK = {
    "video": {"net": "r2plus1d", "widths": [24, 40, 80], "time_strides": [2, 2]},
    "audio": {"net": "resnet18", "widths": [24, 48, 96], "window_s": 0.05, "hop_s": 0.02, "mels": 64},
    "text": {
        "units": "words", "vectors": "word2vec-300", "hidden": 2048, "width": 128, "phrase_words": [1, 2, 3],
        "padding_takes_part": True,
    },
    "heads": {"graph": "fac", "text_width": 256, "audio_width": 512, "pool_video": True, "unit_norm": False},
}  # fmt: skip


@pytest.mark.parametrize("run", results.read(PAPER.published("mini")), ids=lambda run: run.result.name)
def test_published_settings_are_those_of_todays_recipe(run):
    recipe, told = PAPER.recipe(run.result.recipe, "mini"), run.result.settings
    assert is_former(told) == (not run.result.recipe.startswith("COARSE"))  # those were made anew since
    assert (former_settings(told) if is_former(told) else told) == recipe.settings()
    assert decode(type(recipe), recipe.settings()).settings() == recipe.settings()


def test_published_weights_are_of_the_recipe_that_they_name():
    file = weights.PUBLISHED / "fine.safetensors"
    state, trained = checkpoint.load(file).state, weights.load("fine")
    recipe = PAPER.recipe(state["origin"]["recipe"], state["origin"]["scale"])
    told = state["settings"]
    assert (former_settings(told) if is_former(told) else told) == recipe.settings()
    assert (trained.matching, trained.composition) == (recipe.matching, recipe.composition)
    assert trained.matcher()


@pytest.fixture
def former():
    (run, *_) = results.read(PAPER.published("mini"))
    return dict(run.result.settings)


def test_networks_that_no_result_has_are_read_too(former):
    read = decode(Network, former_settings(former | {"network": NETWORK})["network"])
    assert read == Network(
        video=R2Plus1D(),
        audio=Audio(net=ResNet18(), window_s=0.05, hop_s=0.02, mels=64),
        text=BagOfWords(vectors=Word2vec300(), width=2048, padding_takes_part=True),
        heads=FineAndCoarse(audio_width=512, text_width=256, unit_norm=False),
        pool_video=True,
    )


@pytest.mark.parametrize("name", SIMILARITIES)
def test_every_former_similarity_is_one_of_today(former, name):
    told = former_settings(former | {"similarity": name, "g": 0.2})["similarity"]
    similarity = decode(Similarity, told)
    assert similarity.name == name.removesuffix("-stopped")
    assert getattr(similarity, "g", 0.2) == 0.2
    assert isinstance(similarity, SoftAttention) is name.startswith("soft")


def test_settings_of_wrong_captions_weights_and_chunks_are_read(former):
    told = former_settings(
        former | {"wrong_rate": 0.5, "wrong_kind": "near", "weighted": True, "weight_cap": 2.0, "chunk": 32}
    )
    assert told["wrong"] == {"rate": 0.5, "near": True}
    assert told["pair_weights"] == {"h": 0.1, "cap": 2.0, "warm_from": 0.25}
    assert told["chunk"] == 32
