"""The benchmark of self-supervised steps at a size of no interest: equal work is checked there, and no speed."""

import pytest
import torch

from benchmarks import pretraining_steps
from benchmarks.harness import Rounds
from benchmarks.pretraining_steps import FULL, Learner, Sizes
from benchmarks.speech_steps import refuse_unequal
from speech_adapters.model.architecture import BASE_CONV, Architecture
from speech_adapters.model.arm import Arm

TINY = Sizes(
    architecture=Architecture(
        conv=tuple((8, kernel, stride) for _, kernel, stride in BASE_CONV), width=24, layers=2, heads=2, inner=48,
        positional_kernel=16, positional_groups=4,
    ),
    utterance_s=1.0,
)  # fmt: skip
ADAPTERS = Arm(kind="adapters", bottleneck=4)


@pytest.fixture(autouse=True)
def _threads_stay():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_every_step_is_run_by_ours_and_by_others_on_equal_work():
    races = pretraining_steps.races(TINY, Rounds(1, warmup=0))  # refuses unequal losses and trained weights
    assert [len(race.timings) for race in races] == [3, 3, 4]
    assert all(race.timings[0].name.startswith("ours") for race in races)
    assert {race.work for race in races} == {2.0}


def test_everybody_hides_the_same_frames_of_the_same_noise():
    one, two = pretraining_steps.work(TINY), pretraining_steps.work(TINY)
    assert torch.equal(one.waveform, two.waveform)
    assert torch.equal(one.mask, two.mask)
    assert len(set(one.mask.sum(dim=1).tolist())) == 1
    assert 2 < int(one.mask[0].sum()) < one.mask.shape[1]


def test_negatives_for_transformers_are_other_hidden_frames_of_the_same_utterance():
    mask = pretraining_steps.work(TINY).mask
    places = pretraining_steps._places_in_batch(mask)
    rows, frames = mask.nonzero().T
    chosen = places[mask]
    assert torch.equal(chosen // mask.shape[1], rows[:, None].expand_as(chosen))
    assert mask.flatten()[chosen].all()
    assert (chosen % mask.shape[1] != frames[:, None]).all()


@pytest.mark.parametrize(
    ("arm", "extractor"), [(FULL, True), (FULL, False), (ADAPTERS, True), (ADAPTERS, False)]
)
def test_a_step_trains_what_its_name_says(arm, extractor):
    step = pretraining_steps.step(Learner("ours", arm, extractor=extractor), TINY)
    trained = {name for name, weight in step.module.named_parameters() if weight.requires_grad}
    assert any("extractor" in name for name in trained) == extractor
    assert any("query" in name for name in trained) == (arm == FULL)
    step.first()
    assert step.trained == sum(w.numel() for w in step.module.parameters() if w.requires_grad)


def test_unequal_work_is_refused():
    mine, theirs = Learner("ours", FULL), Learner("fairseq", FULL)
    one, two = (pretraining_steps.step(mine, TINY) for _ in range(2))
    for step in (one, two):
        step.first()
    contest = {"ours": (mine, one), "other": (theirs, two)}
    refuse_unequal("job", contest, pretraining_steps.AGREE)
    two.trained -= 1
    with pytest.raises(AssertionError, match="job: ours trains"):
        refuse_unequal("job", contest, pretraining_steps.AGREE)
    two.first_loss *= 1.1
    with pytest.raises(AssertionError, match="job: ours has a loss"):
        refuse_unequal("job", contest, pretraining_steps.AGREE)


def test_who_is_in_two_contests_runs_once():
    everybody = [learner for one in pretraining_steps.contests(TINY).values() for learner in one.values()]
    assert len(everybody) == 10
    assert len(set(everybody)) == 8
