"""Ranks against brute force, ties and misses; windows where published code puts them; pooling that is what it says."""

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from multimodal_ssl.evaluation.retrieval import (
    MIL_NCE,
    VATT,
    VATT_SCORES,
    even_starts,
    median_rank,
    pool_windows,
    ranks,
    recall_at,
    score,
    summary,
)


def worst_rank(row, right):
    """Over every order of the clips that agrees with the scores, the latest place of the first right clip."""
    orders = (
        order
        for order in itertools.permutations(range(len(row)))
        if all(row[a] >= row[b] for a, b in itertools.pairwise(order))
    )
    return max(1 + min(order.index(clip) for clip in right) for order in orders)


def test_ranks_equal_brute_force_with_ties_and_several_right_clips():
    draw = np.random.default_rng(0)
    scores = draw.integers(0, 3, (60, 5)).astype(float)  # three values among five clips: ties everywhere
    right = [set(draw.permutation(5)[: draw.integers(1, 4)].tolist()) for _ in scores]
    expected = [worst_rank(row, clips) for row, clips in zip(scores, right, strict=True)]
    np.testing.assert_array_equal(ranks(scores, right), expected)


def test_a_collapsed_model_ranks_last():
    assert ranks(np.ones((3, 7)), [{0}, {3}, {6}]).tolist() == [7, 7, 7]


def test_an_infinite_score_of_a_right_clip_is_a_rank_like_any_other():
    assert ranks(np.array([[-np.inf, 0.0], [-np.inf, -np.inf]]), [{0}, {0}]).tolist() == [2, 2]


def test_what_cannot_be_scored_is_a_miss_behind_every_clip():
    scores = np.array([[3.0, 2.0, np.nan], [1.0, 2.0, np.nan], [1.0, 2.0, np.nan]])
    found = ranks(scores, [{0}, {2}, {0, 2}], missed={2})
    assert found.tolist() == [1, 4, 2]
    assert recall_at(found, 3) == pytest.approx(200 / 3)  # the miss stays in the denominator


def test_one_seed_of_chance_is_chance():
    scores = np.random.default_rng(1).standard_normal((4000, 20))
    found = ranks(scores, [{0}] * 4000)
    assert recall_at(found, 5) == pytest.approx(25, abs=2)
    assert median_rank(found) == pytest.approx(10.5, abs=1)


def test_the_median_of_an_even_number_lies_between():
    assert median_rank(np.array([1, 29, 30, 400])) == 29.5


@pytest.mark.parametrize(
    ("scores", "right", "reason"),
    [
        (np.zeros((1, 2)), [set()], r"query 0 needs right clips in 0\.\.1, got \[\]"),
        (np.zeros((1, 2)), [{2}], r"in 0\.\.1, got \[2\]"),
        (np.zeros((2, 2)), [{0}], "2 queries, 1 sets"),
        (np.array([[0.0, np.nan]]), [{0}], "NaN for query 0 and clip 1"),
    ],
)
def test_ranks_refuse_what_has_no_answer(scores, right, reason):
    with pytest.raises(ValueError, match=reason):
        ranks(scores, right)


def test_no_query_is_no_score():
    with pytest.raises(ValueError, match="0 ranks"):
        recall_at(np.zeros(0, dtype=int), 1)


def test_windows_lie_where_the_published_loader_puts_them():
    # np.linspace(start, max(start, end - 3.2 - 0.4), 10) of youcook_loader.py
    starts = MIL_NCE.starts_s(47, 60)
    np.testing.assert_allclose(starts, np.linspace(47, 56.4, 10))
    np.testing.assert_array_equal(MIL_NCE.starts_s(47, 49), np.full(10, 47))


def test_windows_of_frames_span_the_video():
    # 90 frames, windows of 16: np.linspace(0, 74, 10, dtype=int) of hmdb_loader.py
    frames = even_starts(0, 90, 16, 10).astype(int)
    assert frames.tolist() == [0, 8, 16, 24, 32, 41, 49, 57, 65, 74]


def test_windows_need_a_clip():
    with pytest.raises(ValueError, match="start < stop and window > 0, got 3, 3 and 1"):
        even_starts(3, 3, 1, 10)


def test_dot_products_pool_alike_before_and_after_and_cosines_do_not():
    draw = np.random.default_rng(2)
    texts, clips = draw.standard_normal((6, 8)), draw.standard_normal((5, 4, 8))
    before, after = (
        replace(VATT, pooling=p, score="dot product") for p in ("mean of vectors", "mean of scores")
    )
    np.testing.assert_allclose(score(texts, clips, before), score(texts, clips, after), atol=1e-12)
    assert not np.allclose(score(texts, clips, VATT), score(texts, clips, VATT_SCORES), atol=1e-2)


def test_a_cosine_is_one_for_equal_directions():
    clips = np.tile(np.eye(3)[:, None], (1, 4, 1))
    np.testing.assert_allclose(score(5 * np.eye(3), clips, VATT), np.eye(3), atol=1e-12)


def test_windows_pool_by_mean_or_max():
    scores = np.array([[[1.0, 5.0], [2.0, 2.0]]])
    assert pool_windows(scores, "mean of scores").tolist() == [[3, 2]]
    assert pool_windows(scores, "max of scores").tolist() == [[5, 2]]
    with pytest.raises(ValueError, match="got 'median'"):
        pool_windows(scores, "median")


def test_a_protocol_refuses_other_numbers_of_windows_and_unknown_poolings():
    with pytest.raises(ValueError, match="VATT takes 4 windows a clip, got 3"):
        score(np.zeros((1, 2)), np.zeros((1, 3, 2)), VATT)
    with pytest.raises(ValueError, match="pooling must be one of mean of vectors"):
        replace(VATT, pooling="sum")


def test_a_summary_carries_its_protocol():
    line = summary(np.array([1, 2, 7, 30]), 40, MIL_NCE)
    assert line == (
        "R@1/5/10 25.0 / 50.0 / 75.0 %, median rank 4.5 (4 queries, 40 clips; "
        "MIL-NCE: 10 windows of 16 frames at 5 Hz, mean of vectors, dot product, 30 words)"
    )


def test_ranks_are_judged_without_torch():
    code = "import sys, multimodal_ssl.evaluation.retrieval; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("missed", [[-1], [3], [0, 7]])
def test_a_missed_clip_that_is_not_there_is_refused(missed):
    with pytest.raises(ValueError, match=r"missed clips must be in 0\.\.2, got"):
        ranks(np.zeros((1, 3)), [{0}], missed)
