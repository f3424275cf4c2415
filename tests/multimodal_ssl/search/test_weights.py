"""A name or a file becomes a model that can be searched with, or a sentence that says what is known."""

import json
from dataclasses import replace

import numpy as np
import odd_videos
import pytest
import torch

from common import checkpoint
from common.data.packages import FetchError
from multimodal_ssl.model import vocabulary
from multimodal_ssl.model.networks import SharedSpace
from multimodal_ssl.model.similarities import LogMeanExp
from multimodal_ssl.model.vocabulary import Vocabulary
from multimodal_ssl.recipes import SCALES
from multimodal_ssl.search import weights

FINE = SCALES["smoke"].recipes["FINE_0"]
OWN = Vocabulary(("a", "dog"), np.arange(150, dtype=np.float32).reshape(3, 50))


@pytest.fixture
def run(tmp_path):
    return odd_videos.weights(tmp_path)


def test_published_weights_are_of_the_recipe_that_they_name():
    state, trained = checkpoint.load(weights.PUBLISHED / "fine.safetensors").state, weights.load("fine")
    recipe = SCALES[state["origin"]["scale"]].recipes[state["origin"]["recipe"]]
    assert state["settings"] == recipe.settings()
    assert (trained.matching, trained.composition) == (recipe.matching, recipe.composition)
    assert trained.matcher()


def of_glove(path):
    """As weights of real clips, whose words are GloVe's."""
    found = checkpoint.load(path)
    settings = found.state["settings"]
    settings["composition"] |= {"made_up": False, "num_objects": 9999}
    checkpoint.save(path, found.tensors, {"settings": settings})
    return weights.load(str(path))


def test_a_runs_weights_come_back_ready_for_use(run):
    trained = weights.load(str(run))
    matcher = trained.matcher()
    torch.testing.assert_close(matcher.state_dict(), checkpoint.load(run).tensors, rtol=0, atol=0)
    assert not matcher.training
    assert not any(weight.requires_grad for weight in matcher.parameters())
    assert (trained.matching, trained.composition) == (FINE.matching, FINE.composition)


def test_units_are_those_of_the_recipes_model(run):
    torch.manual_seed(0)
    clips = torch.rand(2, 4, 3, 32, 32)
    ours = weights.load(str(run)).matcher().clips(clips).vectors
    network = FINE.model()
    network.load_state_dict(checkpoint.load(run).tensors)
    torch.testing.assert_close(ours, network.eval().clips(clips).vectors)


def test_published_weights_are_found_in_any_case(run, monkeypatch):
    for suffix in (".safetensors", ".json"):
        run.with_suffix(suffix).rename(run.parent / f"Fine{suffix}")
    monkeypatch.setattr(weights, "PUBLISHED", run.parent)
    assert weights.load("FINE").name == "FINE"
    with pytest.raises(ValueError, match="unknown model 'nope'; known models: fine"):
        weights.load("nope")


def test_the_hash_is_of_weights_and_settings_and_not_of_the_name(tmp_path, run):
    ours = weights.load(str(run)).sha256
    assert weights.load(str(odd_videos.weights(tmp_path, "copy"))).sha256 == ours
    assert weights.load(str(odd_videos.weights(tmp_path, "other", seed=1))).sha256 != ours
    trained = weights.load(str(run))
    sharper = replace(trained.matching, similarity=LogMeanExp(0.2))
    assert replace(trained, matching=sharper).sha256 != ours
    found = checkpoint.load(run)
    checkpoint.save(run, found.tensors, {"settings": replace(FINE, peak_lr=1.0).settings()})
    assert weights.load(str(run)).sha256 == ours


def test_published_weights_bring_their_words(run):
    found = checkpoint.load(run)
    checkpoint.save(run, *weights.with_vocabulary(found.tensors, found.state, OWN))
    trained = weights.load(str(run))
    assert trained.words is not None
    assert trained.words.words == OWN.words
    np.testing.assert_array_equal(trained.words.vectors, OWN.vectors)
    trained.matcher()  # the vocabulary is no weight


def test_made_up_clips_have_made_up_words(run):
    known, notice = weights.load(str(run)).vocabulary()
    assert "cross" in known
    assert not notice


def test_all_of_glove_can_be_asked(run, monkeypatch):
    monkeypatch.setattr(vocabulary, "glove", lambda: OWN)
    assert of_glove(run).vocabulary() == (OWN, "")


def no_network():
    raise FetchError("pip:words could not be fetched")


def test_without_a_network_the_captions_own_words_serve_and_that_is_said(run, monkeypatch):
    monkeypatch.setattr(vocabulary, "glove", no_network)
    known, notice = replace(of_glove(run), words=OWN).vocabulary()
    assert known is OWN
    assert notice == "only the 2 words of its captions can be asked, since pip:words could not be fetched"


def test_without_any_words_both_reasons_are_given(run, monkeypatch, tmp_path):
    monkeypatch.setattr(vocabulary, "glove", no_network)
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"could not be fetched, and its captions are not here: .*not prepared"
    ):
        of_glove(run).vocabulary()


def missing(path):
    path.unlink()


def altered(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def of_a_run_under_way(path):
    checkpoint.save(path, {}, {"step": 5})


def of_another_paper(path):
    checkpoint.save(path, {}, {"settings": {"width": 3}})


def of_another_version(path):
    settings = json.loads(json.dumps(FINE.settings()))
    settings["composition"]["colour"] = 1
    checkpoint.save(path, FINE.model().state_dict(), {"settings": settings})


def of_another_network(path):
    settings = replace(FINE, network=replace(FINE.network, heads=SharedSpace(width=9))).settings()
    checkpoint.save(path, FINE.model().state_dict(), {"settings": settings})


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (missing, "cannot be read"),
        (altered, "checksum does not match"),
        (of_a_run_under_way, "names no settings"),
        (of_another_paper, r"no model of this paper \(unknown setting 'width'"),
        (of_another_version, "made by another version, .*composition.colour"),
        (of_another_network, "does not fit the network"),
    ],
)
def test_a_file_that_is_no_finished_run_is_named(run, fault, told):
    fault(run)
    with pytest.raises(ValueError, match=told) as error:
        weights.load(str(run)).matcher()
    assert str(run.with_suffix("")) in str(error.value)
