"""Splits never cut what belongs together, and nobody chooses them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.manifest import Entry
from common.data.splits import Component, SplitLeak, check_disjoint, components, even_folds, fold, named_part


def entry(id, *keys, sha256=None):
    return Entry(id, id, sha256 or f"hash of {id}", 1, keys, "")


def single(name):
    return Component((name,), ())


def test_items_connect_through_others():
    """a-b by speaker, b-c by text: a and c share nothing and still belong together."""
    entries = [
        entry("a", "speaker:1"),
        entry("c", "text:x"),
        entry("d", "speaker:2"),
        entry("b", "speaker:1", "text:x"),
    ]
    assert components(entries) == [
        Component(("a", "b", "c"), ("speaker:1", "text:x")),
        Component(("d",), ("speaker:2",)),
    ]


def test_equal_content_connects():
    assert [c.ids for c in components([entry("a", "k:1", sha256="s"), entry("b", "k:2", sha256="s")])] == [
        ("a", "b")
    ]


@given(st.lists(st.sets(st.integers(0, 12), max_size=3), max_size=25), st.randoms())
def test_components_are_a_partition_that_no_key_crosses(keys, random):
    entries = [entry(f"{i:02}", *(f"k:{k}" for k in sorted(of_item))) for i, of_item in enumerate(keys)]
    groups = components(entries)
    assert sorted(id for group in groups for id in group.ids) == [e.id for e in entries]
    assert all(not set(a.keys) & set(b.keys) for a in groups for b in groups if a is not b)
    random.shuffle(entries)
    assert components(entries) == groups


def test_known_assignments():
    """Frozen: another hash would silently redo every split."""
    names = ["ocean", "city", "bikes", "park"]
    assert [fold(single(n), "salt", 4) for n in names] == [1, 1, 3, 3]
    assert [named_part(single(n), "salt", {"train": 0.5, "test": 0.5}) for n in names] == [
        "train",
        "train",
        "test",
        "test",
    ]
    assert even_folds([single(n) for n in names], "salt", 2) == {"city": 0, "ocean": 1, "park": 0, "bikes": 1}


def test_the_salt_matters_and_other_groups_do_not():
    names = [f"item {i}" for i in range(64)]
    assert [fold(single(n), "a", 8) for n in names] != [fold(single(n), "b", 8) for n in names]
    group = components([entry("a", "k:1"), entry("z", "k:2")])[0]
    assert fold(group, "a", 8) == fold(single("a"), "a", 8)


def test_shares_are_met():
    parts = [
        named_part(single(f"item {i}"), "salt", {"train": 0.8, "dev": 0.1, "test": 0.1}) for i in range(4000)
    ]
    assert parts.count("train") / 4000 == pytest.approx(0.8, abs=0.02)
    assert parts.count("dev") / 4000 == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("num_folds", [2, 3, 5])
def test_even_folds_differ_by_at_most_one_group(num_folds):
    folds = even_folds([single(f"item {i}") for i in range(11)], "salt", num_folds)
    sizes = [list(folds.values()).count(i) for i in range(num_folds)]
    assert sum(sizes) == 11
    assert max(sizes) - min(sizes) <= 1


def test_even_folds_keep_a_group_together():
    folds = even_folds([Component(("a", "b"), ()), single("c"), single("d")], "salt", 2)
    assert folds["a"] == folds["b"]


def test_impossible_folds_and_shares_are_named():
    with pytest.raises(ValueError, match="at least 2, got 1"):
        fold(single("a"), "salt", 1)
    with pytest.raises(ValueError, match=r"2\.\.1 .*got 2"):
        even_folds([single("a")], "salt", 2)
    with pytest.raises(ValueError, match=r"sum to 1, got \{'train': 0.5\}"):
        named_part(single("a"), "salt", {"train": 0.5})


def test_a_shared_key_is_a_leak_that_names_both():
    with pytest.raises(SplitLeak, match=r"a \(train\) and b \(test\) share 'speaker:1'"):
        check_disjoint(
            train=[entry("a", "speaker:1")], dev=[entry("c", "speaker:2")], test=[entry("b", "speaker:1")]
        )


def test_the_same_file_under_another_name_is_a_leak():
    a = entry("a", "k:1")
    with pytest.raises(SplitLeak, match="share 'sha256:hash of a'"):
        check_disjoint(train=[a], test=[replace(entry("b", "k:2"), sha256=a.sha256)])


def test_sharing_within_a_part_is_no_leak():
    check_disjoint(train=[entry("a", "k:1"), entry("b", "k:1")], test=[entry("c", "k:2")])
