"""Counts of errors are jiwer's, and adding them gives jiwer's rate of the corpus."""

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.metrics.error_rate import AlignedWord, ErrorCount, align, char_errors, word_errors

# Few words over few letters, so that hits, repeats and empty texts are all common.
TEXTS = st.lists(st.sampled_from(["a", "b", "ab", "bba", "a'b"]), max_size=6).map(" ".join)
CORPORA = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8).filter(
    lambda pairs: any(reference for reference, _ in pairs)
)


def test_words_of_a_sentence_counted_by_hand():
    assert word_errors("the cat sat on the mat", "a cat on the mat now") == ErrorCount(4, 1, 1, 1)


def test_letters_count_the_space_between_words():
    assert char_errors("ab c", "abc") == ErrorCount(hits=3, deletions=1)


@pytest.mark.parametrize("errors", [word_errors, char_errors])
def test_a_perfect_transcript_has_rate_0_and_silence_has_rate_1(errors):
    assert errors("yes no", "yes no").rate == 0
    assert errors("yes no", "").rate == 1


def test_insertions_push_the_rate_past_1():
    assert word_errors("yes", "oh yes my dear").rate == 3


def test_the_rate_of_a_corpus_is_no_average_of_rates():
    counts = [word_errors("yes", "no"), word_errors("a b c d e f g h i", "a b c d e f g h i")]
    assert sum(counts, ErrorCount()).rate == 0.1


@settings(max_examples=100, deadline=None)
@given(pairs=CORPORA)
def test_sums_of_words_give_the_rate_that_jiwer_gives_the_corpus(pairs):
    references, hypotheses = map(list, zip(*pairs, strict=True))
    total = sum((word_errors(*pair) for pair in pairs), ErrorCount())
    assert total.rate == jiwer.wer(references, hypotheses)


@settings(max_examples=100, deadline=None)
@given(pairs=CORPORA)
def test_sums_of_letters_give_the_rate_that_jiwer_gives_the_corpus(pairs):
    references, hypotheses = map(list, zip(*pairs, strict=True))
    total = sum((char_errors(*pair) for pair in pairs), ErrorCount())
    assert total.rate == jiwer.cer(references, hypotheses)


@settings(max_examples=100, deadline=None)
@given(reference=TEXTS, hypothesis=TEXTS)
def test_aligned_rows_are_both_texts_and_the_counts(reference, hypothesis):
    rows, count = align(reference, hypothesis), word_errors(reference, hypothesis)
    assert [row.reference for row in rows if row.reference] == reference.split()
    assert [row.hypothesis for row in rows if row.hypothesis] == hypothesis.split()
    operations = [row.operation for row in rows]
    assert [operations.count(name) for name in ("equal", "substitute", "delete", "insert")] == [
        *(count.hits, count.substitutions, count.deletions, count.insertions)
    ]


def test_an_alignment_by_hand():
    assert align("go to the shop", "so to a the") == [
        AlignedWord("substitute", "go", "so"),
        AlignedWord("equal", "to", "to"),
        AlignedWord("insert", None, "a"),
        AlignedWord("equal", "the", "the"),
        AlignedWord("delete", "shop", None),
    ]


@pytest.mark.parametrize("errors", [word_errors, char_errors])
def test_what_is_heard_in_an_empty_reference_is_inserted_and_adds_no_length(errors):
    count = errors("", "a") + errors("b", "b")
    assert count == ErrorCount(hits=1, insertions=1)
    assert count.rate == 1


def test_a_rate_over_empty_references_is_refused_with_the_insertions():
    with pytest.raises(ValueError, match=r"reference words, got 0 \(and 2 inserted\)"):
        _ = word_errors("", "two words").rate
