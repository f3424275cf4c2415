"""How many words or letters a transcript gets wrong, as counts that add; jiwer defines them.

Without jiwer they are counted by `edit_distance`: as many errors, so that every rate is the same.

The rate of a corpus divides the errors of all its utterances by the length of all its references, once; an average
of the utterances' rates is another number, pulled up by short utterances. Texts are compared as they come, so
both sides must have gone through one normaliser, whose name belongs beside the number.

Empty references: a reference without words adds nothing to the length, and every word heard there is an insertion,
as in jiwer. A rate over no reference words at all is refused; jiwer returns the number of insertions there, which
is no rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from common.metrics.edit_distance import Edit, edits, letters, words

if TYPE_CHECKING:
    from jiwer import CharacterOutput, WordOutput


@dataclass(frozen=True)
class ErrorCount:
    """What aligning hypotheses with references found. Pool utterances with `sum(counts, ErrorCount())`."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0  # in the reference, not heard
    insertions: int = 0  # heard, not in the reference

    def __add__(self, other: ErrorCount) -> ErrorCount:
        return ErrorCount(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def length(self) -> int:
        """Words or letters in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """errors / length, 0 at best; insertions can push it past 1.

        Raises:
            ValueError: the references are empty.
        """
        if self.length == 0:
            raise ValueError(
                f"error rate needs reference words, got 0 (and {self.insertions} inserted); pool with other "
                "utterances or leave out empty transcripts"
            )
        return self.errors / self.length


class AlignedWord(NamedTuple):
    """A word of the reference beside what was heard; None where the other side has no counterpart."""

    operation: str  # "equal", "substitute", "delete" or "insert"
    reference: str | None
    hypothesis: str | None


def word_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Fewest word edits that turn the hypothesis into the reference (`jiwer.process_words`).

    Words are what spaces separate. Of several alignments with equally few edits, jiwer's is counted.
    """
    jiwer = _jiwer()
    if jiwer is None:
        return _count(edits(words(reference), words(hypothesis)))
    return _counted(jiwer.process_words(reference, hypothesis))


def char_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Fewest letter edits (`jiwer.process_characters`).

    A space between words counts as a letter; spaces around the text do not.
    """
    jiwer = _jiwer()
    if jiwer is None:
        return _count(edits(letters(reference), letters(hypothesis)))
    return _counted(jiwer.process_characters(reference, hypothesis))


def align(reference: str, hypothesis: str) -> list[AlignedWord]:
    """The alignment behind `word_errors`, for a report: its rows hold as many of each operation as were counted."""
    jiwer = _jiwer()
    if jiwer is None:
        return [AlignedWord(*edit) for edit in edits(words(reference), words(hypothesis))]
    output = jiwer.process_words(reference, hypothesis)
    (spoken,), (heard,), (chunks,) = output.references, output.hypotheses, output.alignments
    rows = []
    for chunk in chunks:
        left = spoken[chunk.ref_start_idx : chunk.ref_end_idx]
        right = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        # An insertion or a deletion has one side only; elsewhere both have equally many words.
        rows += [AlignedWord(chunk.type, *pair) for pair in zip_longest(left, right)]
    return rows


def _counted(output: WordOutput | CharacterOutput) -> ErrorCount:
    return ErrorCount(output.hits, output.substitutions, output.deletions, output.insertions)


def _jiwer() -> ModuleType | None:
    try:
        import jiwer
    except ImportError:
        return None
    found: ModuleType = jiwer
    return found


def _count(aligned: Iterable[Edit]) -> ErrorCount:
    found = Counter(edit.operation for edit in aligned)
    return ErrorCount(*(found[name] for name in ("equal", "substitute", "delete", "insert")))
