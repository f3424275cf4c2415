"""The benchmark of training steps at a size of no interest: equal work is checked there, and no speed."""

from importlib.util import find_spec

import pytest
import torch

from benchmarks import speech_steps, transcription
from benchmarks.harness import Race, Ratio, Rounds, Timing, best_peer, in_words
from benchmarks.speech_peers import Contender, Sizes, full, present
from speech_adapters.model.architecture import BASE_CONV, Architecture
from speech_adapters.model.arm import Arm

TINY = Sizes(
    architecture=Architecture(
        conv=tuple((8, kernel, stride) for _, kernel, stride in BASE_CONV), width=24, layers=4, heads=2, inner=48,
        positional_kernel=16, positional_groups=4,
    ),
    utterances=2, utterance_s=0.52, long_s=1.0, mixed_s=(0.5, 0.3), ragged_s=(0.6, 0.3),
)  # fmt: skip
ONCE = Rounds(1, warmup=0)


@pytest.fixture(autouse=True)
def _threads_stay():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_every_step_is_run_by_ours_and_by_others_on_equal_work():
    parts = speech_steps.contests(TINY)
    found = [
        speech_steps.step_races(part, TINY, ONCE) for part in parts
    ]  # refuses unequal losses and weights
    races = [race for part in found for race in part]
    assert all(race.timings[0].name.startswith("ours") for race in races)
    # peft is of the `peers` extra alone: without it two races lack a contender, and one has none but ours.
    with_peft, without = [5, 4, 4, 3, 3, 3, 4, 3, 2, 2, 5], [5, 4, 4, 2, 2, 2, 4, 3, 2, 5]
    assert [len(race.timings) for race in races] == (with_peft if find_spec("peft") else without)
    assert [race.work for race in races] == pytest.approx([0.9, *[2 * 0.52] * (len(races) - 1)])


def test_every_transcription_is_run_by_ours_and_by_others():
    # refuses other log-probabilities
    races = [race for part in ("ragged", "long") for race in transcription.races(part, TINY, ONCE)]
    assert [[timing.name for timing in race.timings] for race in races] == [list(full())] * 2
    assert [race.work for race in races] == [0.8, 1.0]


def test_unequal_losses_are_refused():
    mine, theirs = (speech_steps.step(Contender("ours", Arm()), TINY) for _ in range(2))
    for one in (mine, theirs):
        one.first()
    contenders = {"ours": (Contender("ours", Arm()), mine), "other": (Contender("fairseq", Arm()), theirs)}
    speech_steps.refuse_unequal("job", contenders, speech_steps.AGREE)
    theirs.trained -= 1
    with pytest.raises(AssertionError, match="job: ours trains"):
        speech_steps.refuse_unequal("job", contenders, speech_steps.AGREE)
    theirs.first_loss *= 1.01
    with pytest.raises(AssertionError, match="job: ours has a loss"):
        speech_steps.refuse_unequal("job", contenders, speech_steps.AGREE)


def test_a_peer_that_is_not_installed_is_left_out_by_name(monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.speech_peers.find_spec", lambda name: None if name == "peft" else name)
    found = present(speech_steps.contests(TINY)["lora"]["LoRA in all 4 layers"])
    assert list(found) == ["ours"]
    assert "needs peft" in capsys.readouterr().out


def test_memory_is_measured_of_each_contender_once():
    contender = Contender("ours", Arm(kind="head"))
    [peak] = speech_steps.peaks(TINY, {"one": {"ours": contender}, "again": {"ours": contender}}, threads=1)
    assert peak.job == "one: ours"
    assert peak.peak_bytes >= peak.before_bytes > 0


def test_where_ours_is_slower_the_table_says_so():
    assert in_words(Ratio("torchaudio", 0.9, 0.8, 1.0), "ours") == "0.90 (0.80 to 1.00), ours is slower"
    assert in_words(Ratio("torchaudio", 1.1, 1.0, 1.2), "ours") == "1.10 (1.00 to 1.20)"
    assert "slower" not in in_words(Ratio("ours, head alone", 0.5, 0.4, 0.6), "ours, full")


def test_the_best_peer_is_the_fastest_that_is_not_ours():
    names = {"ours": 2.0, "torchaudio": 1.0, "fairseq": 3.0, "ours, head alone": 0.1}
    timings = tuple(Timing(name, (seconds,) * 3) for name, seconds in names.items())
    assert best_peer(Race("step", timings)) == Ratio("torchaudio", 0.5, 0.5, 0.5)
    assert best_peer(Race("step", timings[::3])) is None
