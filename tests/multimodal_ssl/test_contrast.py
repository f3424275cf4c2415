"""The recipe behind every arm: what reaches a batch, that runs repeat and resume, and that it can learn."""

import signal
from dataclasses import dataclass, replace
from pathlib import Path

import golden
import numpy as np
import pytest
import torch

from common import trainer
from common.errors import Interrupted
from common.recipe import Shard
from common.settings import decode
from multimodal_ssl.composed import clips
from multimodal_ssl.composed.batches import encode
from multimodal_ssl.composed.wrong_captions import WrongCaptions
from multimodal_ssl.contrast import Contrast, PairWeights
from multimodal_ssl.model.similarities import Similarity
from multimodal_ssl.model.similarity import mean
from multimodal_ssl.recipes import SCALES

LOSSES = Path(__file__).with_name("golden_losses_cpu.txt")
NAMES = ("COARSE_0", "FINE_25", "ATTENTION_25")
SMOKE = SCALES["smoke"].recipes
FINE = SMOKE["FINE_0"]
COMPOSED = clips.compose(FINE.composition)


def places(recipe, seed=0, step=0):
    where = {scene.id: place for place, scene in enumerate(COMPOSED.scenes("train"))}
    return [where[id_] for id_ in recipe.item_ids(seed, step, Shard())]


# ---- what reaches a batch


@pytest.mark.parametrize("near", [False, True])
def test_wrong_captions_reach_the_batch_as_told(near):
    recipe = replace(FINE, wrong=WrongCaptions(rate=0.5, near=near))
    captioned_as, is_wrong = COMPOSED.given_captions(3, recipe.wrong)
    captions = [scene.caption for scene in COMPOSED.scenes("train")]
    seen = set()
    for step in range(4):
        batch, drawn = recipe.batch(3, step, Shard()), places(recipe, 3, step)
        own, given = (encode(COMPOSED, [captions[i] for i in some]) for some in (drawn, captioned_as[drawn]))
        assert torch.equal(batch.text, given)
        assert (own != given).any(1).tolist() == is_wrong[drawn].tolist()
        seen |= set(is_wrong[drawn].tolist())
    assert seen == {False, True}


def test_a_batch_holds_the_clips_it_names_whatever_their_captions():
    batch = replace(FINE, wrong=WrongCaptions(rate=0.5)).batch(0, 1, Shard())
    frames = np.stack([COMPOSED.train_clip(place).frames for place in places(FINE, step=1)])
    assert np.array_equal(batch.frames.numpy(), frames)


def test_every_arm_of_a_seed_gets_the_same_batches():
    for rate in (0, 25):
        batches = [SMOKE[f"{arm}_{rate}"].batch(1, 2, Shard()) for arm in ("COARSE", "FINE", "ATTENTION")]
        assert all(torch.equal(batch.frames, batches[0].frames) for batch in batches)
        assert all(torch.equal(batch.text, batches[0].text) for batch in batches)


def test_shards_of_a_batch_are_the_batch():
    recipe = SMOKE["FINE_25"]
    whole, halves = recipe.batch(0, 3, Shard()), [recipe.batch(0, 3, Shard(i, 2)) for i in range(2)]
    assert torch.equal(torch.cat([half.frames for half in halves]), whole.frames)
    assert torch.equal(torch.cat([half.text for half in halves]), whole.text)
    ids = [id_ for i in range(2) for id_ in recipe.item_ids(0, 3, Shard(i, 2))]
    assert ids == recipe.item_ids(0, 3, Shard())
    assert len(set(ids)) == recipe.batch_size


# ---- learning


def trained(recipe: Contrast, folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(trainer.train(recipe, seed=0, folder=folder, device="cpu").weights)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    recipe = SMOKE["ATTENTION_25"]
    whole, losses = trained(recipe, tmp_path / "whole"), Contrast.losses

    def interrupted(self, model, batch, step):
        if step == 1:
            signal.raise_signal(signal.SIGTERM)
        return losses(self, model, batch, step)

    with monkeypatch.context() as patch:
        patch.setattr(Contrast, "losses", interrupted)
        with pytest.raises(Interrupted, match="step 2 is saved"):
            trained(recipe, tmp_path / "parts")
    resumed = trained(recipe, tmp_path / "parts")
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())


@pytest.mark.parametrize("name", ["COARSE_0", "FINE_0", "ATTENTION_0"])
def test_one_batch_can_be_overfitted(name):
    recipe = replace(SMOKE[name], steps=80)
    torch.manual_seed(0)
    model, batch = recipe.model(), recipe.batch(0, 0, Shard())
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    before = float(recipe.losses(model, batch, 0)["contrast"].detach())
    for step in range(recipe.steps):
        optimizer.zero_grad()
        loss = sum(recipe.losses(model, batch, step).values())
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.3 < before


def test_weights_of_pairs_wait_until_scores_mean_something():
    recipe = replace(SMOKE["ATTENTION_0"], steps=100, pair_weights=PairWeights(warm_from=0.25))
    torch.manual_seed(0)
    model, batch = recipe.model(), recipe.batch(0, 0, Shard())
    effective = {}
    for step in (0, 25, 49, 99):
        recipe.losses(model, batch, step)
        effective[step] = float(recipe.monitor(model)["effective_pairs"])
    assert effective[0] == effective[25] == pytest.approx(recipe.batch_size)
    assert effective[99] <= effective[49] < recipe.batch_size


def test_a_share_of_the_loss_can_be_coarse():
    recipe = replace(FINE, coarse_share=0.5)
    torch.manual_seed(0)
    model, batch = recipe.model(), recipe.batch(0, 0, Shard())
    whole = {name: float(replace(recipe, coarse_share=share).losses(model, batch, 0)[name])
             for name, share in (("contrast", 0.0), ("coarse", 1.0))}  # fmt: skip
    halves = recipe.losses(model, batch, 0)
    assert {name: 2 * float(loss) for name, loss in halves.items()} == pytest.approx(whole)


def test_a_similarity_more_is_one_class_and_one_constant():
    @dataclass(frozen=True)
    class FirstPhrase(Similarity):
        """A similarity that this repository does not have: whole clips against the first phrase."""

        name = "first-phrase"

        def build(self, width):
            return lambda a, b: mean(a) @ b.vectors[:, 0].T

    recipe = replace(FINE, similarity=FirstPhrase())
    assert decode(Contrast, recipe.settings()).similarity == FirstPhrase()
    torch.manual_seed(0)
    loss = recipe.losses(recipe.model(), recipe.batch(0, 0, Shard()), 0)["contrast"]
    loss.backward()
    assert loss.isfinite()


# ---- golden losses


@pytest.mark.parametrize("name", NAMES)
def test_first_losses_are_the_golden_ones(name):
    golden.assert_golden(LOSSES, name, SMOKE[name])


if __name__ == "__main__":
    golden.write(LOSSES, "tests/multimodal_ssl/test_contrast.py", {name: SMOKE[name] for name in NAMES})


@pytest.mark.parametrize("name", SMOKE)
def test_a_batch_in_shards_would_lose_negatives_and_is_refused(name, tmp_path):
    recipe = SMOKE[name]
    if not recipe.steps:
        return
    with pytest.raises(
        ValueError, match=r"^2 shards of a batch do not train .*negatives.*use one process and"
    ):
        trainer.train(replace(recipe, accumulate=2), seed=0, folder=tmp_path, device="cpu")
    assert not (tmp_path / "journal.jsonl").exists()
