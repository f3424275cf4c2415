"""Probes on sets whose answer is known: separable, mislabelled, badly scaled, told apart by the majority of windows."""

from dataclasses import replace

import numpy as np
import pytest

from multimodal_ssl.evaluation import probes
from multimodal_ssl.evaluation.probes import (
    COSTS,
    MIL_NCE,
    MMV,
    Features,
    choose_cost,
    chosen,
    confusion,
    mean_percent,
    run_probe,
    run_splits,
)


def blobs(num=20, classes="abc", noise=0.05, windows=2, seed=0, prefix="x", scale=(1.0, 1.0, 1.0)):
    """Items of a class lie about its corner of the simplex."""
    draw = np.random.default_rng(seed)
    labels = tuple(classes[i % len(classes)] for i in range(num))
    centres = np.eye(3)[[classes.index(label) for label in labels]]
    vectors = centres[:, None] + noise * draw.standard_normal((num, windows, 3))
    ids = tuple(f"{prefix}{i}" for i in range(num))
    return Features(ids, labels, ids, vectors * np.array(scale))


def relabelled(features, labels):
    return replace(features, labels=tuple(labels))


@pytest.mark.parametrize("protocol", [MMV, MIL_NCE, chosen(MMV), chosen(MIL_NCE)])
def test_what_a_plane_can_part_is_parted(protocol):
    outcome = run_probe(blobs(60), blobs(30, seed=1, prefix="y"), protocol)
    assert outcome.predicted == outcome.truth
    assert (outcome.num_right, outcome.percent) == (30, 100)


def test_labels_without_a_relation_are_at_chance():
    labels = np.random.default_rng(3).permutation(list("abc") * 100)
    train = relabelled(blobs(300, noise=1), labels)
    outcome = run_probe(train, blobs(300, noise=1, seed=4, prefix="y"), MMV)
    assert outcome.percent == pytest.approx(100 / 3, abs=9)


def test_wrong_training_labels_are_learned_as_they_are():
    train = blobs(60)
    turned = relabelled(train, ({"a": "b", "b": "c", "c": "a"}[label] for label in train.labels))
    test = blobs(30, seed=1, prefix="y")
    assert run_probe(turned, test, MMV).num_right == 0


def test_only_scaled_protocols_are_blind_to_units():
    """1,000 times larger features of one channel: MMV's decision values stay, MIL-NCE's do not."""
    sets = [(blobs(60, scale=s), blobs(30, seed=1, prefix="y", scale=s)) for s in [(1, 1, 1), (1000, 1, 1)]]
    mmv, mil_nce = ([run_probe(*pair, p).values for pair in sets] for p in (MMV, replace(MIL_NCE, cost=1e-3)))
    np.testing.assert_allclose(mmv[0], mmv[1], atol=1e-4)
    assert np.abs(mil_nce[0] - mil_nce[1]).max() > 0.1


def test_windows_vote_with_their_decision_values():
    """Two windows a little on one side lose against one that is far on the other."""
    train = blobs(60, classes="ab")
    test = Features(("y",), ("a",), ("y",), np.array([[[0.4, 0.6, 0], [0.4, 0.6, 0], [1.5, -0.5, 0]]]))
    outcome = run_probe(train, test, replace(MMV, scaled=False, cost=1.0))
    assert outcome.predicted == ("a",)


def test_sum_and_mean_say_the_same_of_equally_many_windows():
    train, test = blobs(60, noise=0.6), blobs(30, noise=0.6, windows=3, seed=1, prefix="y")
    by_mean, by_sum = (run_probe(train, test, replace(MMV, pooling=pooling)) for pooling in ("mean", "sum"))
    assert by_mean.predicted == by_sum.predicted
    np.testing.assert_allclose(3 * by_mean.values, by_sum.values)


def test_two_classes_have_a_decision_value_each():
    outcome = run_probe(blobs(40, classes="ab"), blobs(10, classes="ab", seed=1, prefix="y"), MMV)
    np.testing.assert_array_equal(outcome.values[:, 0], -outcome.values[:, 1])
    assert outcome.num_right == 10


def test_c_is_chosen_without_a_look_at_test():
    train, test = blobs(60, noise=0.6), blobs(30, noise=0.6, seed=1, prefix="y")
    given = run_probe(train, test, chosen(MMV)).cost
    assert given == run_probe(train, relabelled(test, "a" * 30), chosen(MMV)).cost == choose_cost(train, MMV)
    assert given in COSTS


def test_the_hold_out_is_a_fifth_and_parts_no_group(monkeypatch):
    train = replace(blobs(60), groups=tuple(f"film {i // 4}" for i in range(60)))
    seen = []

    def watched(within, holdout, probe, seed):
        seen.append((set(within.groups), set(holdout.groups), len(holdout.ids)))
        return run_probe(within, holdout, probe, seed)

    monkeypatch.setattr(probes, "run_probe", watched)
    choose_cost(train, MMV)
    within, holdout, size = seen[0]
    assert not within & holdout
    assert within | holdout == set(train.groups)
    assert size == 12
    assert len(seen) == len(COSTS)


def test_of_equal_costs_the_smallest_is_taken():
    assert choose_cost(blobs(60, noise=0.001), MMV) == COSTS[0]


def test_few_groups_cannot_be_held_out():
    train = replace(blobs(20), groups=("one",) * 20)
    with pytest.raises(ValueError, match="at least 5 groups, got 1; name C instead"):
        choose_cost(train, MMV)


def test_splits_are_averaged_as_published():
    everything = blobs(40)
    ids = everything.ids
    spoilt = relabelled(everything, (*everything.labels[:35], *"abcab"[::-1]))
    outcomes = run_splits(spoilt, [(ids[10:30], ids[:10]), (ids[10:30], ids[30:])], MMV)
    first, second = (outcome.percent for outcome in outcomes)
    assert first == 100 > second
    assert mean_percent(outcomes) == (first + second) / 2


def test_a_fit_that_did_not_come_to_an_end_says_so():
    """Features that share a large offset: what scaling takes away is what keeps the solver from its end."""
    draw = np.random.default_rng(6)
    ids = tuple(f"w{i}" for i in range(60))
    wide = Features(ids, tuple("ab" * 30), ids, 100 + draw.standard_normal((60, 1, 62)))
    test = Features(("y",), ("a",), ("y",), draw.standard_normal((1, 1, 62)))
    assert not run_probe(wide, test, MIL_NCE).converged
    assert run_probe(wide, test, MMV).converged


def test_confusion_counts_truth_by_row_and_adds():
    counts = confusion("aab", "abb", "abc")
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(counts + counts, confusion("aab" * 2, "abb" * 2, "abc"))
    with pytest.raises(ValueError, match="classes lack d"):
        confusion("d", "a", "abc")


def test_probes_refuse_what_would_mislead():
    train = blobs(20)
    with pytest.raises(ValueError, match="share 20 items: x0, x1"):
        run_probe(train, train, MMV)
    with pytest.raises(ValueError, match="two classes in training, got 1"):
        run_probe(relabelled(train, "a" * 20), blobs(6, prefix="y"), MMV)
    broken = train.vectors.copy()
    broken[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="those of x3 are not"):
        replace(train, vectors=broken)
    with pytest.raises(ValueError, match="1 of 2 items have no features: z"):
        train.of(["x1", "z"])
    with pytest.raises(ValueError, match="one length above 0"):
        replace(train, labels=("a",))
