"""Test clips that scoring runs kept stand in the report beside what each arm attends to in them."""

import pytest
import torch
from PIL import Image

from multimodal_ssl.composed import clips
from multimodal_ssl.evaluation import pictures
from multimodal_ssl.paper import PAPER
from multimodal_ssl.recipes import RECIPES


@pytest.fixture
def kept(tmp_path):
    """Pictures that scoring runs of two arms keep, at smoke."""
    recipes = RECIPES["smoke"]
    composed = clips.compose(recipes["FINE_0"].composition)
    for name in ("FINE_0", "ATTENTION_0"):
        folder = tmp_path / name / "seed0" / "pictures-test"
        folder.mkdir(parents=True)
        torch.manual_seed(0)
        pictures.save(recipes[name].model().eval(), composed, "test", folder)
    return tmp_path


def test_every_clip_stands_beside_what_each_arm_attends_to(kept):
    *ones, strips = PAPER.report.panels(kept)
    assert len(ones) == pictures.NUM_CLIPS
    for panel in ones:
        first, fine, attention = panel.pictures
        assert first.caption == "the clip; the box is the truth"
        assert fine.caption.startswith("fine, 0 % wrong: ")
        assert attention.caption.startswith("fine + attention, 0 % wrong: ")
        assert fine.data_uri.startswith("data:image/png")
    assert [picture.data_uri[:15] for picture in strips.pictures] == ["data:image/jpeg"] * 2


def test_animations_play_all_frames_and_are_small(kept):
    paths = list(kept.rglob("*.attention.png"))
    assert len(paths) == 2 * pictures.NUM_CLIPS
    for path in paths:
        with Image.open(path) as picture:
            assert (picture.is_animated, picture.n_frames) == (True, 4)
        assert path.stat().st_size < 200_000


def test_every_arm_shows_the_same_clips(kept):
    names = [{path.name for path in (kept / arm).rglob("*.png")} for arm in ("FINE_0", "ATTENTION_0")]
    assert names[0] == names[1]


def test_runs_of_no_recipe_and_empty_folders_show_nothing(kept, tmp_path):
    for name in ("FINE_0", "ATTENTION_0"):
        (kept / name).rename(kept / f"{name}-set-1234")
    assert list(PAPER.report.panels(kept)) == []


def test_an_arm_that_averages_before_it_matches_attends_nowhere(tmp_path):
    recipe = RECIPES["smoke"]["COARSE_0"]
    pictures.save(recipe.model().eval(), clips.compose(recipe.composition), "test", tmp_path)
    assert list(tmp_path.rglob("*.attention.png")) == []
