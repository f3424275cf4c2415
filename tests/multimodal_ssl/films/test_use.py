"""Every verb of the tool with the model for real films, its network made up; and what happens without its packages."""

import json

import numpy as np
import odd_videos
import own_films
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from common.data.packages import FetchError
from common.models.efficientnet_lite import LITE2, EfficientNetLite
from multimodal_ssl import __main__ as tool
from multimodal_ssl.model import vocabulary
from multimodal_ssl.model.networks import ImageNetClasses
from multimodal_ssl.search import weights


def run(*words: object):
    done = CliRunner().invoke(tool.app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def packages():
    """What stands for both: a network of small random weights, and vectors of a few words."""
    torch.manual_seed(0)
    network = EfficientNetLite(LITE2)
    network.classifier.weight.data *= 50
    tensors = {f"trunk.network.{name}": tensor for name, tensor in network.state_dict().items()}
    words = vocabulary.made_up_vectors(["a dog on the red square", *own_films.CAPTIONS])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageNetClasses, "fetched", lambda self: tensors)
        patch.setattr(vocabulary, "glove", lambda: words)
        yield


@pytest.fixture(scope="module")
def indexed(packages, tmp_path_factory):
    """Two films in an index of the default model, and what was said."""
    folder = tmp_path_factory.mktemp("films")
    for name in ("a.mp4", "b.mp4"):
        odd_videos.film(folder / "videos" / name, num_frames=20 if name == "a.mp4" else 5)
    done = run("index", folder / "videos", "--out", folder / "index", "--device", "cpu")
    return folder, done


def test_it_is_the_default_and_says_how_good_it_is(indexed):
    folder, done = indexed
    assert json.loads((folder / "index" / "index.json").read_text())["model"] == "films"
    assert done.stderr.startswith(f"films: {weights.quality('films')}")
    assert "4 frames at 2 Hz" in done.stdout


def test_it_is_asked_shown_and_explained(indexed):
    folder, _ = indexed
    page, why = folder / "found.html", folder / "why.png"
    asked = ("search", "a dog on the red square", "--index", folder / "index", "--json")
    found = run(*asked, "--html", page, "--explain", why)
    report = json.loads(found.stdout)
    assert {"a.mp4", "b.mp4"} == {hit["video"].rpartition("/")[2] for hit in report["found"]}
    assert report["pooled_is"] == "means of both sides"
    assert report["left_out"] == {"no vector": [], "too many": []}  # function words are no unknown words
    assert page.stat().st_size > 1000
    assert why.stat().st_size > 1000


def test_function_words_weigh_nothing(indexed):
    folder, _ = indexed
    hits = [
        json.loads(run("search", text, "--index", folder / "index", "--json").stdout)["found"]
        for text in ("the dog on a square", "dog square")
    ]
    assert [hit["score"] for hit in hits[0]] == [hit["score"] for hit in hits[1]]


def test_a_picture_finds_what_looks_like_it(indexed):
    folder, _ = indexed
    Image.fromarray(np.full((48, 64, 3), 200, np.uint8)).save(folder / "like.png")
    found = json.loads(
        run("search", "--like", folder / "like.png", "--index", folder / "index", "--json").stdout
    )
    assert len(found["found"]) == 2


def test_own_clips_are_scored_and_embedded(packages, tmp_path):
    videos = [
        odd_videos.film(tmp_path / f"{name}.mp4", num_frames=3, first=at) for at, name in enumerate("ab")
    ]
    rows = [(video, text, "", "") for video, text in zip(videos, own_films.CAPTIONS[:2], strict=True)]
    data = own_films.table(tmp_path / "clips.csv", rows)
    told = json.loads(run("evaluate", data, "--json", "--device", "cpu").stdout)
    assert (told["model"], told["clips"]) == ("films", 2)
    run("embed", data, "--out", tmp_path / "clips.npz", "--device", "cpu")
    with np.load(tmp_path / "clips.npz") as kept:
        assert kept["clip_vectors"].shape == (2, 1000)
        np.testing.assert_allclose(np.linalg.norm(kept["caption_vectors"], axis=1), 1, rtol=1e-5)


def test_it_cannot_be_trained(packages, tmp_path):
    odd_videos.film(tmp_path / "films" / "a.mp4")
    done = CliRunner().invoke(
        tool.app, ["train", str(tmp_path / "films"), "--out", str(tmp_path / "out"), "--model", "films"]
    )
    assert done.exit_code == 2
    assert "films is made of names and learns nothing from clips; start with pictures" in done.stderr


def test_without_its_packages_the_model_of_composed_clips_serves_and_says_so(monkeypatch, capsys):
    def unreachable():
        raise FetchError("there is no network")

    monkeypatch.setattr(vocabulary, "glove", unreachable)
    assert weights.load_default().name == "fine"
    assert "fine instead of films, since there is no network" in capsys.readouterr().err
