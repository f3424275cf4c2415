"""Wrong captions are wrong, all others their own, and more of them keep those of fewer."""

import numpy as np
import pytest

from multimodal_ssl.composed import plan
from multimodal_ssl.composed.plan import Cast, Composition
from multimodal_ssl.composed.wrong_captions import WrongCaptions, given_captions

MINI = Composition()
CAST = Cast(
    tuple(f"a thing{i}" for i in range(24)),
    {"train": ("t0", "t1", "t2"), "dev": ("d0", "d1"), "test": ("e0", "e1")},
    {split: tuple(() if i % 5 == 0 else (f"{split}{i}",) for i in range(24)) for split in plan.SPLITS},
)
TRAIN = plan.train_scenes(MINI, CAST)


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_wrong_captions_are_wrong_and_all_others_their_own(near, rate):
    source, wrong = given_captions(TRAIN, 0, WrongCaptions(rate=rate, near=near))
    assert wrong.sum() == round(rate * len(TRAIN))
    assert (source[~wrong] == np.flatnonzero(~wrong)).all()
    for i in np.flatnonzero(wrong):
        told, seen = TRAIN[source[i]], TRAIN[i]
        assert (
            told.target not in seen.shown
            if told.target
            else (told.tint, told.motion) != (seen.tint, seen.motion)
        )
        if near:
            assert told.film == seen.film


def test_a_higher_rate_keeps_the_wrong_captions_of_a_lower_one():
    quarter, half = WrongCaptions(rate=0.25), WrongCaptions(rate=0.5)
    low, high = (given_captions(TRAIN, 3, wrong) for wrong in (quarter, half))
    assert high[1][low[1]].all()
    assert (high[0][low[1]] == low[0][low[1]]).all()
    assert (given_captions(TRAIN, 4, quarter)[1] != low[1]).any()


def test_a_rate_that_is_no_share_is_named():
    with pytest.raises(ValueError, match=r"rate must be in 0\.\.1, got 1\.1"):
        WrongCaptions(rate=1.1)
