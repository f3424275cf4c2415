"""From a user's folder of captioned videos to a model that searches; interrupted and resumed on the way."""

import json
from dataclasses import replace

import numpy as np
import odd_videos
import own_films
import pytest
import torch
from interrupting import interrupted
from typer.testing import CliRunner

from common import checkpoint
from common.models import efficientnet_lite
from common.results import Item
from multimodal_ssl import __main__ as tool
from multimodal_ssl.measures import CLIPS, RANK, RIGHT
from multimodal_ssl.model import vocabulary
from multimodal_ssl.own import recipe
from multimodal_ssl.own.clips import _divide
from multimodal_ssl.own.evaluation import TO_CAPTION, TO_CLIP, Captioned, Scores, interval, items
from multimodal_ssl.own.recipe import OwnTraining
from multimodal_ssl.recipes import SCALES
from multimodal_ssl.search import weights
from multimodal_ssl.search.windows import Cut

# Threads that wait for each other on few cores would take most of the time.
QUICK = ("--device", "cpu", "--set", "threads=1", "--set", "log_every=5")


def run(*words: object):
    return CliRunner().invoke(tool.app, [*map(str, words)])


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Twelve films of different greys, a caption each."""
    return own_films.with_subtitles(tmp_path_factory.mktemp("own") / "films")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return odd_videos.weights(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def trained(films, start, tmp_path_factory):
    """The command's words and its folder, interrupted in step 5, then resumed to its end."""
    out = tmp_path_factory.mktemp("trained") / "mine"
    words = ["train", films, "--model", start, "--out", out, "--steps", 20, *QUICK, "--set", "peak_lr=0.01"]
    _, done = interrupted(run, words, OwnTraining, at_step=5, makes=out / "model.safetensors")
    return words, out, done.output


def test_a_resumed_training_is_the_uninterrupted_one(trained, tmp_path):
    words, out, _ = trained
    whole = run(*[tmp_path / "whole" if word == out else word for word in words])
    assert whole.exit_code == 0, whole.output
    one, other = (
        checkpoint.load(folder / "model.safetensors").tensors for folder in (out, tmp_path / "whole")
    )
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_training_says_what_it_has_and_leaves_a_card(trained):
    _, out, said = trained
    assert "train: 8 clips of 8 videos, 8 captions, 8 of them differ" in said
    assert "dev part: by video" in said
    page, scores = (out / "README.md").read_text(), json.loads((out / "scores-dev.json").read_text())
    assert f"| caption to clip | {scores['caption_to_clip']['recall_at_1']['percent']:.1f}" in page
    assert str(out) not in page
    assert str(out.parent) not in page


def test_it_learns_what_it_is_shown(trained):
    def losses(out):
        lines = [json.loads(line) for line in (out / "run" / "journal.jsonl").read_text().splitlines()]
        return [line["contrast"] for line in lines if "contrast" in line]

    found = losses(trained[1])
    assert found[-1] < np.log(8) < found[0]


def test_what_was_trained_is_searched_with(trained, films, tmp_path):
    model = trained[1] / "model.safetensors"
    done = run("index", films, "--model", model, "--out", tmp_path / "index")
    assert done.exit_code == 0, done.output
    found = run("search", "a red square", "--index", tmp_path / "index", "--json")
    assert found.exit_code == 0, found.output
    assert len(json.loads(found.stdout)["found"]) == 5
    assert set(weights.load(str(model)).words.words) == {"a", *own_films.COLOURS, *own_films.SHAPES}


def test_it_is_evaluated_in_both_directions(trained, films):
    model = trained[1] / "model.safetensors"
    told = json.loads(run("evaluate", films, "--model", model, "--json").stdout)
    assert (told["clips"], told["captions"], told["left_out"]) == (12, 12, 0)
    for direction in ("caption_to_clip", "clip_to_caption"):
        at_5 = told[direction]["recall_at_5"]
        assert at_5["low"] <= at_5["percent"] <= at_5["high"]
        assert at_5["chance"] == pytest.approx(100 * 5 / 12)
    table = run("evaluate", films, "--model", model).stdout.splitlines()
    assert table[0].split() == ["R@1", "%", "R@5", "%", "R@10", "%", "median", "rank", "of"]
    assert "8 windows of 4 frames at 4 Hz, mean of scores" in table[-1]


def test_vectors_are_of_unit_length_and_their_products_are_the_pooled_score(trained, films, tmp_path):
    done = run("embed", films, "--model", trained[1] / "model.safetensors", "--out", tmp_path / "films.npz")
    assert done.exit_code == 0, done.output
    assert "12 clips and 12 captions as vectors of 8 channels" in done.stdout
    with np.load(tmp_path / "films.npz", allow_pickle=False) as held:
        found = dict(held)
    np.testing.assert_allclose(np.linalg.norm(found["clip_vectors"], axis=1), 1, rtol=1e-5)
    assert found["captions"][found["caption_clips"] == 0].tolist() == [own_films.CAPTIONS[0]]
    again = run("embed", films, "--model", trained[1] / "model.safetensors", "--out", tmp_path / "films.npz")
    assert again.exit_code == 2
    assert "is there already; choose another name, or --overwrite" in again.output


def test_films_without_captions_have_vectors_too(start, tmp_path):
    own_films.films(tmp_path / "films", 2)
    assert run("embed", tmp_path / "films", "--model", start, "--out", tmp_path / "a.npz").exit_code == 0
    with np.load(tmp_path / "a.npz", allow_pickle=False) as held:
        assert (held["clip_vectors"].shape, held["caption_vectors"].shape) == ((2, 8), (0, 8))


def test_other_settings_do_not_overwrite_a_training(trained):
    done = run(*trained[0], "--set", "peak_lr=0.5")
    assert done.exit_code != 0
    assert "another run" in done.output or "--resume" in done.output


def test_tables_and_shards_are_trained_on_and_a_model_from_nothing_too(films, start, tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary, "glove", lambda: vocabulary.made_up_vectors(own_films.CAPTIONS))
    smallest = replace(SCALES["smoke"].recipes["FINE_0"].matching, made_up=False)
    monkeypatch.setitem(recipe.FRESH, "small", smallest)
    videos = sorted(films.glob("*.mp4"))
    rows = [(path, text, "", "") for path, text in zip(videos, own_films.CAPTIONS, strict=True)]
    train = own_films.table(tmp_path / "clips.csv", rows[:6])
    dev = {f"{i}.mp4": path.read_bytes() for i, path in enumerate(videos[6:9])}
    dev |= {f"{i}.txt": own_films.CAPTIONS[6 + i].encode() for i in range(3)}
    dev["3.mp4"], dev["3.txt"] = videos[0].read_bytes(), b"a red ring"
    words = (
        "--dev",
        own_films.shard(tmp_path / "dev.tar", dev),
        "--model",
        "small",
        "--out",
        tmp_path / "out",
    )
    done = run("train", train, *words, "--steps", 1)
    assert done.exit_code == 0, done.output
    assert "left out of dev, is in the training data too: 1, such as dev.tar/3.mp4" in done.output
    assert "dev: 3 clips of 3 videos" in done.output


def test_behind_known_pictures_a_head_is_trained_and_a_model_needs_no_package_again(
    films, tmp_path, monkeypatch
):
    torch.manual_seed(0)
    known = efficientnet_lite.EfficientNetLite(efficientnet_lite.LITE0)
    monkeypatch.setattr(efficientnet_lite, "pretrained", lambda variant: known)
    monkeypatch.setattr(vocabulary, "glove", lambda: vocabulary.made_up_vectors(own_films.CAPTIONS))
    monkeypatch.setitem(recipe.FRESH, "pictures", replace(recipe.FRESH["pictures"], size_px=64))
    for kept in (recipe.started, recipe.vocabulary_of):
        kept.cache_clear()
    done = run("train", films, "--model", "pictures", "--out", tmp_path, "--steps", 3, *QUICK)
    assert done.exit_code == 0, done.output
    monkeypatch.delattr(efficientnet_lite, "pretrained")
    model = tmp_path / "model.safetensors"
    found = run("evaluate", films, "--model", model, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["clips"] == 12
    tensors = checkpoint.load(model).tensors
    for name, tensor in known.state_dict().items():
        assert torch.equal(tensors[f"encoders.video.trunk.0.network.{name}"], tensor), name
    for kept in (recipe.started, recipe.vocabulary_of):
        kept.cache_clear()


def test_settings_are_printed_and_nothing_is_trained(films, start, tmp_path):
    done = run("train", films, "--model", start, "--out", tmp_path, "--print-settings")
    assert done.exit_code == 0, done.output
    assert {"steps=200", "batch_size=8"} <= set(done.stdout.splitlines())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("train", "FILMS", "--out", "OUT", "--model", "nope"),
            "known models: films, fine; or give the path",
        ),
        (
            ("train", "FILMS", "--out", "OUT", "--model", "nope"),
            "or start with small, pictures, s3d, r2plus1d, s3d-kinetics, r2plus1d-kinetics",
        ),
        (("train", "FILMS/00.vtt", "--out", "OUT"), "must be a folder or a file of"),
        (
            ("train", "FILMS", "--out", "OUT", "--model", "s3d-kinetics"),
            "put s3d-d76dad2f.pth from https://download",
        ),
        (("evaluate", "FILMS/nothing"), "no such file or folder"),
        (("embed", "FILMS", "--out", "OUT.npy"), "vectors are written as .npz"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, films, tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    done = run(*[word.replace("FILMS", str(films)).replace("OUT", str(tmp_path / "out")) for word in words])
    assert done.exit_code == 2
    assert sentence in " ".join(done.output.split())


def test_a_caption_whose_clip_is_left_out_is_no_rival(films, trained, tmp_path):
    videos = sorted(films.glob("*.mp4"))
    rows = [(videos[i], own_films.CAPTIONS[i], "", "") for i in range(11)]
    rows.append((videos[0], own_films.CAPTIONS[11], 50, 51))  # after the film's end
    data, model = own_films.table(tmp_path / "a.csv", rows), trained[1] / "model.safetensors"
    found = json.loads(run("evaluate", data, "--model", model, "--json").stdout)
    assert (found["clips"], found["captions"], found["left_out"]) == (11, 11, 1)


# ---- parts


def divided(*videos):
    lines = [{"video": name, "part": "", "at_s": i} for name, num in videos for i in range(num)]
    by = _divide(lines)
    return by, [(line["video"], line["at_s"]) for line in lines if line["part"] == "dev"]


def test_dev_is_of_whole_videos_and_never_most_of_the_clips():
    by, dev = divided(("long", 95), ("a", 1), ("b", 2), ("c", 2))
    assert by == "by video"
    assert {name for name, _ in dev} == {"a", "b", "c"}


def test_of_few_videos_dev_is_the_end_of_each():
    assert divided(("a", 30), ("b", 30)) == (
        "by time",
        [*(("a", i) for i in (27, 28, 29)), *(("b", i) for i in (27, 28, 29))],
    )


# ---- scores


def test_ranks_are_told_in_both_directions_and_any_caption_of_a_clip_is_right():
    rows = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.8]])
    clips = [Captioned("x", "v", ("a", "b"), rows[0]), Captioned("y", "w", ("c",), rows[1])]
    found = {one.id: one.scores[RANK.name] for one in items(clips, ["a", "b", "c"])}
    assert found == {
        "caption to clip/a": 1, "caption to clip/b": 2, "caption to clip/c": 1,
        "clip to caption/x": 1, "clip to caption/y": 1,
    }  # fmt: skip


def of_ranks(*ranks, right=1, num=20):
    scores, said = {CLIPS.name: num, RIGHT.name: right}, ("caption", "right", "found")
    return tuple(
        Item(f"{part.name}/{i}", f"v{i}", part.name, {RANK.name: rank, **scores}, dict.fromkeys(said, str(i)))
        for part in (TO_CLIP, TO_CAPTION)
        for i, rank in enumerate(ranks)
    )  # fmt: skip


def test_recalls_stand_beside_those_of_a_random_order():
    scores = Scores(of_ranks(1, 2, 7, 20), Cut(num_frames=4, size_px=32))
    assert [scores.recall(TO_CLIP, k)["percent"] for k in (1, 5, 10)] == [25, 50, 75]
    assert [scores.recall(TO_CLIP, k)["chance"] for k in (1, 5, 10)] == pytest.approx([5, 25, 50])
    assert scores.median_rank(TO_CAPTION) == 4.5
    assert [one.texts["caption"] for one in scores.worst()] == ["3", "2", "1"]
    several = Scores(of_ranks(1, right=2), Cut(num_frames=4, size_px=32))
    assert several.recall(TO_CLIP, 5)["chance"] == pytest.approx(100 * (1 - 15 * 14 / (20 * 19)))


def test_an_interval_draws_videos_whole():
    rows = [Item(f"{v}{i}", v, "", {RANK.name: rank}) for v, rank in (("v", 1), ("w", 9)) for i in range(50)]
    assert interval(rows, 1) == (0, 100)  # two videos, one always right, one never
    assert interval(rows[:1], 1) is None
