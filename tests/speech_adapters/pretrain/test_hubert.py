"""Clusters are those of the teacher's features and stand where its frames do; an iteration learns to name them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from common import trainer
from common.recipe import Shard
from speech_adapters.checkpoints import by_name
from speech_adapters.data import crops
from speech_adapters.data.sources import TONES
from speech_adapters.data.unlabelled import AudioFolder
from speech_adapters.model.architecture import TINY, Masking
from speech_adapters.pretrain import clusters
from speech_adapters.pretrain.clusters import Clusters
from speech_adapters.pretrain.hubert import Iteration
from speech_adapters.pretrain.teacher import Teacher

TEACHER = Teacher(encoder="random-tiny", layer=1, clusters=8)
RECIPE = Iteration(
    teacher=TEACHER, start_from="random-tiny", architecture=TINY, sources=(TONES,), scored_on=(TONES,), steps=4,
    batch_s=4.0, crop_s=1.0, masking=Masking(start=0.1, span=4), peak_lr=1e-3, log_every=1,
)  # fmt: skip
STRIDE = TINY.stride


@pytest.fixture(autouse=True)
def _data_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    clusters.of.cache_clear()


@pytest.fixture
def filled():
    return RECIPE.clusters()


def test_kept_clusters_are_the_nearest_centres_of_what_the_teacher_hears(filled):
    """Of a whole window with as much beyond its end as the last frame reaches."""
    (track, *_) = filled.tracks
    centres = np.load(filled.folder / "centres.npy")
    window = clusters.WINDOW_S * 16_000
    end = min(window, track.samples)
    whole = crops.Crop(track, 0, end)
    spare = TINY.receptive_field - STRIDE
    sound = torch.from_numpy(track.waveform(0, min(end + spare, track.samples)) / np.float32(32768))
    features = by_name.load("random-tiny").eval().hidden_states(sound[None])[1][0]
    distances = torch.cdist(features.detach(), torch.from_numpy(centres))
    kept = filled.of_crop(whole)
    assert len(kept) == TINY.num_frames(end)
    assert torch.equal(kept, distances.argmin(1)[: len(kept)])
    assert len(kept.unique()) > 2


@pytest.mark.parametrize("begin", [0, STRIDE, 5 * STRIDE + 100, 5 * STRIDE + STRIDE - 100])
def test_a_crop_has_the_clusters_of_the_nearest_place(filled, begin):
    (track, *_) = filled.tracks
    whole = filled.of_crop(crops.Crop(track, 0, track.samples))
    crop = crops.Crop(track, begin, begin + 8000)
    place = round(begin / STRIDE)
    assert torch.equal(filled.of_crop(crop), whole[place : place + TINY.num_frames(8000)])


def test_every_crop_of_every_track_has_as_many_clusters_as_frames(filled):
    for track in filled.tracks:
        for end in (track.samples, track.samples - 1, track.samples - STRIDE + 1):
            assert len(filled.of_crop(crops.Crop(track, end - 4000, end))) == TINY.num_frames(4000)


def test_windows_leave_no_place_out(filled, monkeypatch):
    monkeypatch.setattr(clusters, "WINDOW_S", 1)
    held = np.zeros(filled.num_frames, dtype=int)
    for place, features in filled._features("counted"):
        held[place : place + len(features)] += 1
    assert (held == 1).all()


def test_what_is_kept_is_used_again_and_another_teacher_has_its_own(filled, monkeypatch):
    again = Clusters(filled.folder.parent, TEACHER, (TONES,))
    monkeypatch.setattr(Clusters, "_clustered", lambda self: pytest.fail("clustered twice"))
    again.fill()
    assert again.folder == filled.folder
    others = (replace(TEACHER, clusters=9), replace(TEACHER, encoder="random-whisper-tiny"))
    assert Clusters(filled.folder.parent, others[0], (TONES,)).folder != filled.folder
    with pytest.raises(ValueError, match=r"wav2vec 2\.0 alone"):
        Clusters(filled.folder.parent, others[1], (TONES,))


def test_a_damaged_file_is_told(filled):
    path = filled.folder / "labels.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(ValueError, match=r"labels.npy: sha256.*prepared anew"):
        Clusters(filled.folder.parent, TEACHER, (TONES,)).fill()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Teacher(layer=0), "layer must be 1 or more and clusters 2 to 65536, got 0 and 256"),
        (lambda: Teacher(clusters=1), "got 3 and 1"),
        (lambda: replace(TEACHER, layer=9).load_encoder(), "layer must be 1 to .* of random-tiny, got 9"),
        (lambda: replace(RECIPE, sources=(AudioFolder("mine"),)).prepare(), "not of folders: folder:mine"),
        (
            lambda: replace(RECIPE, teacher=replace(TEACHER, clusters=60_000)).clusters(),
            "60000 clusters need as many frames",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_targets_are_those_of_the_batchs_crops_and_shards_average_to_the_whole(filled):
    batch = RECIPE.batch(0, 1, Shard())
    drawn = RECIPE._crops(0, 1)
    assert torch.equal(batch.targets, torch.stack([filled.of_crop(crop) for crop in drawn]))
    assert batch.targets.shape == batch.mask.shape
    model = RECIPE.model().eval()
    whole = RECIPE.losses(model, batch, 0)
    assert set(whole) == {"masked"}  # HuBERT's loss is at masked frames alone
    parts = [RECIPE.batch(0, 1, Shard(i, 2)) for i in range(2)]
    mean = sum(RECIPE.losses(model, part, 0)["masked"].item() for part in parts) / 2
    assert mean == pytest.approx(whole["masked"].item(), rel=1e-5)


def test_it_learns_to_name_clusters(filled):
    torch.manual_seed(0)
    recipe = replace(RECIPE, peak_lr=3e-3)
    model, batch = recipe.model(), recipe.batch(0, 0, Shard())
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.peak_lr)
    seen = []
    for _ in range(60):
        loss = recipe.losses(model, batch, 0)["masked"]
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        seen.append(loss.item())
    assert min(seen[-5:]) < 0.5 * seen[0]


def test_a_run_trains_and_scores_held_out_clusters(tmp_path):
    trainer.train(RECIPE, seed=0, folder=tmp_path / "run", device="cpu")
    model = RECIPE.model().eval()
    items = list(RECIPE.held_out(model, "test"))
    assert items
    for item in items:
        assert 0 <= item.scores["accuracy"] <= 1
        assert item.scores["hidden"] > 0


def test_clusters_of_sound_are_those_that_are_kept_of_it(filled):
    (track, *_) = filled.tracks
    sound = torch.from_numpy(track.waveform(0, min(track.samples, 16_000 * 16)) / np.float32(32768))
    heard = filled.of_sound(sound)
    kept = filled.of_crop(crops.Crop(track, 0, len(sound)))
    assert (heard == kept).float().mean() > 0.9  # a window reads a little further than a crop's end
