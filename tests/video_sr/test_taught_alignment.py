"""Teaching an alignment: no error at the true motion, no reach beyond what aligns, and gone when it should be."""

from dataclasses import replace

import pytest
import torch

from common.data.order import Draw
from common.recipe import Shard
from video_sr.corpora import REDS
from video_sr.measures import PSNR, of_apart, of_copies, of_reversed
from video_sr.objective import offset_error, pooled_motion
from video_sr.recipes import SCALES
from video_sr.samples import MovedBatch
from video_sr.taught_alignment import offset_loss

TAUGHT, UNTAUGHT, REGISTERED = (
    SCALES["smoke"].every_recipe[name] for name in ("TAUGHT", "UNTAUGHT", "REGISTERED")
)


def batch_that_moves(offset, known=1.0):
    """Two windows of three frames, 8 x 8 pixels, all of whose places move by (down, right) in the last frame."""
    motion = torch.zeros(2, 3, 2, 8, 8)
    motion[:, 2] = torch.tensor(offset)[:, None, None]
    shares = torch.zeros(2, 3, 8, 8, dtype=torch.bool)
    shares[:, :, : round(8 * known)] = True
    pictures = torch.rand(2, 3, 3, 8, 8), torch.rand(2, 3, 128, 128)
    return MovedBatch(*pictures, motion * shares[:, :, None], shares)


def steered(batch, level, times=1.0):
    """What a layer of that level uses, for 2 groups of 9 taps, when it knows the truth."""
    exact, _ = pooled_motion(batch.offset_px, batch.known.float(), 2**level)
    return level, times * exact.repeat(1, 1, 18, 1, 1).flatten(0, 1)


def test_the_error_is_zero_at_the_true_motion_and_half_of_it_at_half():
    batch = batch_that_moves((1.5, -2.0))
    nothing = (0, torch.zeros(6, 36, 8, 8))
    right = [steered(batch, level) for level in (2, 1, 0)]
    assert offset_loss([*right, nothing], batch) == 0
    half = [steered(batch, level, 0.5) for level in (2, 1, 0)]
    # One frame of three moves; |down| and |right| average 1.75, the cascade has nothing left to do.
    assert offset_loss([*half, nothing], batch).item() == pytest.approx(0.5 * 1.75 / 3 * 3 / 4)


def test_places_of_which_nothing_is_known_count_as_no_error():
    batch = batch_that_moves((1.5, -2.0), known=0.5)
    wrong = torch.zeros(2, 3, 36, 8, 8)
    error = offset_error(wrong, batch.offset_px, batch.known.float())
    assert error.item() == pytest.approx(0.5 * 1.75 / 3)
    pooled, share = pooled_motion(batch.offset_px, batch.known.float(), 8)
    assert pooled[0, 2, :, 0, 0].tolist() == pytest.approx([1.5 / 8, -2 / 8])
    assert share.unique().item() == 0.5


@pytest.fixture
def lesson():
    """A network a little away from its start, and the losses of a batch."""
    torch.manual_seed(0)
    model = TAUGHT.model()
    for weight in model.parameters():
        weight.data += 0.02 * torch.randn_like(weight)
    return model, TAUGHT.losses(model, TAUGHT.batch(0, 0, Shard()), 0)


def test_the_lesson_reaches_what_aligns_and_nothing_behind_it(lesson):
    model, losses = lesson
    assert set(losses) == {"charbonnier", "offsets"}
    losses["offsets"].backward()
    reached = {name.split(".")[0] for name, w in model.named_parameters() if w.grad is not None}
    assert reached == {"enter", "front", "align"}
    steers = [w.grad.norm().item() for name, w in model.named_parameters() if ".steer." in name]
    assert len(steers) == 8
    assert min(steers) > 0


def test_no_hook_stays_and_the_lesson_changes_no_picture(lesson):
    model, _ = lesson
    assert not any(module._forward_hooks for module in model.modules())
    batch = TAUGHT.batch(0, 0, Shard())
    silent = replace(TAUGHT, offset_weight=0.0)
    assert TAUGHT.losses(model, batch, 0)["charbonnier"] == silent.losses(model, batch, 0)["charbonnier"]


def test_the_weight_falls_to_nothing_over_its_share_of_the_steps():
    recipe = replace(TAUGHT, steps=100, offset_weight=0.4, taught_share=0.5)
    assert [recipe.weight_at(step) for step in (0, 25, 50, 99)] == pytest.approx([0.4, 0.2, 0, 0])
    assert isinstance(recipe.batch(0, 49, Shard()), MovedBatch)
    assert not isinstance(recipe.batch(0, 50, Shard()), MovedBatch)
    assert set(recipe.losses(recipe.model(), recipe.batch(0, 50, Shard()), 50)) == {"charbonnier"}


def test_both_arms_see_the_same_batches_and_differ_in_the_weight_alone():
    assert replace(TAUGHT, offset_weight=0.0) == UNTAUGHT
    taught, untaught = (recipe.batch(0, 1, Shard()) for recipe in (TAUGHT, UNTAUGHT))
    assert torch.equal(taught.low, untaught.low)
    assert torch.equal(taught.high, untaught.high)


def test_registered_features_lie_where_the_centre_has_them():
    """Frames that are the centre moved by a pixel: away from edges their features become the centre's again."""
    model = REGISTERED.model().eval()
    scene = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    scene = torch.nn.functional.interpolate(scene, size=(28, 36), mode="bicubic").clamp(0, 1)
    frames = torch.stack([scene[..., 2 + t : 26 + t, 2 - t : 34 - t] for t in (-1, 0, 1)], 1)
    with torch.no_grad():
        registered = model.registered(frames, frames)[..., 5:-5, 5:-5]
    before, after = (
        each[:, [0, 2]].sub(each[:, 1:2]).abs().mean() for each in (frames[..., 5:-5, 5:-5], registered)
    )
    assert after < 0.1 * before
    torch.testing.assert_close(registered[:, 1], frames[:, 1, :, 5:-5, 5:-5])


def test_registration_has_no_weights_and_none_of_it_is_none():
    state = UNTAUGHT.model().state_dict()
    assert state.keys() == REGISTERED.model().state_dict().keys()
    frames = torch.rand(1, 3, 8, 8, 8)
    assert UNTAUGHT.model().registered(frames, torch.rand(1, 3, 3, 8, 8)) is frames


def test_both_are_scored_with_copies_reversed_and_apart(tmp_path):
    torch.manual_seed(0)
    items = list(UNTAUGHT.score(UNTAUGHT.model().eval(), seed=0, split="test", pictures=tmp_path))
    for item in items:  # a new network is bicubic, whatever stands beside the middle frame
        others = [item.scores[named(PSNR).name] for named in (of_copies, of_reversed, of_apart)]
        assert others == [item.scores[PSNR.name]] * 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"offset_weight": -1.0}, "offset_weight must be 0 or more, got -1.0"),
        ({"taught_share": 0.0}, "taught_share must be above 0 and at most 1, got 0.0"),
        ({"copies": True}, "copies do not move"),
        ({"network": SCALES["smoke"].every_recipe["EDVR"].network}, "network must be EVESRNetSizes"),
        (
            {"network": SCALES["smoke"].every_recipe["WIDE"].network},
            "needs a network of several frames, got one of 1",
        ),
    ],
)
def test_settings_that_teach_nothing_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        replace(TAUGHT, **changes)


def test_real_footage_has_no_known_motion():
    with pytest.raises(ValueError, match="how clips of REDS move is not known"):
        REDS().motion(0, Draw(0, 0, 0), num_frames=3, patch=8)
