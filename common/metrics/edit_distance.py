"""The fewest edits between two sequences, for machines that have no jiwer: as many errors, of the same reference.

Of several alignments with equally few edits jiwer may show another one, so that substitutions there can be a deletion
and an insertion elsewhere here; the number of errors and the length of the reference never differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """One unit of the reference beside one of the hypothesis; None where a side has none."""

    operation: str  # "equal", "substitute", "delete" or "insert"
    reference: str | None
    hypothesis: str | None


def words(text: str) -> list[str]:
    """What spaces separate."""
    return [word for word in re.sub(r"\s\s+", " ", text).strip().split(" ") if word]


def letters(text: str) -> list[str]:
    """Spaces between words included, those around the text not."""
    return list(text.strip())


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Edit]:
    """An alignment with the fewest edits [Levenshtein], from the first unit to the last."""
    table = [list(range(len(hypothesis) + 1))]  # of the first rows and columns: fewest edits
    for row, expected in enumerate(reference, 1):
        above, here = table[-1], [row]
        for column, heard in enumerate(hypothesis, 1):
            here.append(min(above[column] + 1, here[-1] + 1, above[column - 1] + (expected != heard)))
        table.append(here)
    return _read_back(table, reference, hypothesis)


def _read_back(
    table: Sequence[Sequence[int]], reference: Sequence[str], hypothesis: Sequence[str]
) -> list[Edit]:
    row, column, found = len(reference), len(hypothesis), list[Edit]()
    while row or column:
        expected, heard = (reference[row - 1] if row else None), (hypothesis[column - 1] if column else None)
        differs = expected != heard
        if row and column and table[row][column] == table[row - 1][column - 1] + differs:
            found.append(Edit("substitute" if differs else "equal", expected, heard))
            row, column = row - 1, column - 1
        elif row and table[row][column] == table[row - 1][column] + 1:
            found.append(Edit("delete", expected, None))
            row -= 1
        else:
            found.append(Edit("insert", None, heard))
            column -= 1
    return found[::-1]
