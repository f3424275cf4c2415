"""Track 2: a critic and a generator learn in turn, resume bit for bit, and say what they are."""

import math
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from common import checkpoint, trainer
from common.errors import Interrupted
from common.recipe import Shard
from video_sr.__main__ import app
from video_sr.models import by_name
from video_sr.models.perceptual import Critic
from video_sr.networks import PerceptualSizes, WideActivationSizes
from video_sr.networks.perceptual import CRITIC, GENERATOR
from video_sr.objective import feature_matching, relativistic
from video_sr.recipes import SCALES
from video_sr.upscaling import Upscaling

RECIPES = {
    name: recipe for name, recipe in SCALES["smoke"].on_request.items() if name.startswith("PERCEPTUAL")
}


def test_a_critic_that_cannot_tell_has_a_loss_of_log_2_and_both_sides_pull_apart():
    of_truth, of_made = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    assert relativistic(of_truth, of_made).item() == pytest.approx(math.log(2))
    assert relativistic(of_truth + 3, of_made) < math.log(2) < relativistic(of_made, of_truth + 3)


def test_features_of_equal_pictures_match_and_the_truth_is_held_still():
    made, truth = torch.ones(1, 2, 2, 2, requires_grad=True), torch.zeros(1, 2, 2, 2, requires_grad=True)
    assert feature_matching([made], [made]) == 0
    loss = feature_matching([made, made], [truth, made])
    assert loss.item() == pytest.approx(0.5)
    loss.backward()
    assert truth.grad is None


def test_a_critic_judges_every_pixel_and_its_layers_have_norm_one():
    torch.manual_seed(0)
    critic = Critic(4)
    for _ in range(30):
        opinion, features = critic(torch.rand(2, 3, 32, 48))
    assert opinion.shape == (2, 1, 32, 48)
    assert [each.shape[1] for each in features] == [4, 8, 16, 32]
    for layer in (*critic.down, *critic.up):
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert norm.item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", list(RECIPES))
def test_each_turn_has_losses_and_weights_of_its_own(name):
    recipe = RECIPES[name]
    torch.manual_seed(0)
    model, batch = recipe.model(), recipe.batch(0, 0, Shard())
    groups = {group["turn"]: group["params"] for group in recipe.parameter_groups(model)}
    assert sum(len(weights) for weights in groups.values()) == len(list(model.parameters()))
    assert {id(weight) for weight in groups[CRITIC]} == {id(weight) for weight in model.critic.parameters()}
    assert set(recipe.losses_in_turn(GENERATOR, model, batch, 0)) == {
        "charbonnier",
        "adversarial",
        "matching",
    }
    sum(recipe.losses_in_turn(CRITIC, model, batch, 0).values()).backward()
    assert all(weight.grad is None for weight in groups[GENERATOR])
    assert any(weight.grad.any() for weight in groups[CRITIC])


def test_resumed_it_is_the_uninterrupted_training_bit_for_bit(tmp_path, monkeypatch):
    recipe = replace(RECIPES["PERCEPTUAL"], steps=5)
    trainer.train(recipe, seed=0, folder=tmp_path / "whole", device="cpu")
    losses = Upscaling.losses_in_turn

    def stopping(self, turn, model, batch, step):
        if (step, turn) == (2, CRITIC):
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)
        return losses(self, turn, model, batch, step)

    with monkeypatch.context() as patch:
        patch.setattr(Upscaling, "losses_in_turn", stopping)
        with pytest.raises(Interrupted, match="step 3 is saved"):
            trainer.train(recipe, seed=0, folder=tmp_path / "two", device="cpu")
    trainer.train(recipe, seed=0, folder=tmp_path / "two", device="cpu")
    one, two = (checkpoint.load(tmp_path / each / "weights.safetensors").tensors for each in ("whole", "two"))
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert any(name.startswith("critic.") for name in one)


def test_what_it_makes_says_what_it_is_and_it_is_never_the_default(tmp_path):
    trainer.train(RECIPES["PERCEPTUAL"], seed=0, folder=tmp_path / "run", device="cpu")
    from PIL import Image

    Image.new("RGB", (4, 4), (9, 90, 200)).save(tmp_path / "in.png")
    weights = tmp_path / "run" / "weights.safetensors"
    words = ["upscale", tmp_path / "in.png", tmp_path / "out.png", "--model", weights, "--device", "cpu"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "it invents detail" in done.stderr
    assert not any(isinstance(network, PerceptualSizes) for network in by_name.READY.values())


def test_a_critic_of_a_critic_is_refused():
    inner = PerceptualSizes(generator=WideActivationSizes())
    with pytest.raises(ValueError, match="generator must be a network without a critic of its own"):
        PerceptualSizes(generator=inner)
