"""Without jiwer as many errors are counted as with it, of references as long."""

import sys

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.metrics.edit_distance import Edit, edits
from common.metrics.error_rate import AlignedWord, align, char_errors, word_errors

TEXTS = st.text(alphabet="ab '", max_size=12)


def test_an_alignment_by_hand():
    assert edits(["the", "cat", "sat"], ["a", "cat", "sat", "down"]) == [
        Edit("substitute", "the", "a"),
        Edit("equal", "cat", "cat"),
        Edit("equal", "sat", "sat"),
        Edit("insert", None, "down"),
    ]
    assert edits(["yes"], []) == [Edit("delete", "yes", None)]


@settings(max_examples=200, deadline=None)
@given(reference=TEXTS, hypothesis=TEXTS)
def test_errors_and_lengths_are_jiwers(reference, hypothesis):
    by_jiwer = [count(reference, hypothesis) for count in (word_errors, char_errors)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "jiwer", None)
        by_us = [count(reference, hypothesis) for count in (word_errors, char_errors)]
    assert [(one.errors, one.length) for one in by_us] == [(one.errors, one.length) for one in by_jiwer]
    assert by_us[0].errors == round(jiwer.process_words(reference, hypothesis).wer * (by_us[0].length or 1))


def test_words_are_aligned_without_jiwer(monkeypatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)
    assert align("press one", "press won") == [
        AlignedWord("equal", "press", "press"),
        AlignedWord("substitute", "one", "won"),
    ]
