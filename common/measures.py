"""What is measured and on what, as values: scores, claims, tables, figures and the search name them from one place.

Each paper lists its own in its `measures.py`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number that items have, under a name that carries its convention.

    Args:
        name: of the score in result files, e.g. "psnr[rgb,crop0,u8]".
        unit: of values and of differences, e.g. "dB".
        heading: above a column, e.g. "PSNR".
        words: what it is and which way is better, for people.
    """

    name: str
    unit: str
    heading: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Items that belong together, such as one test set.

    Args:
        name: in result files, e.g. "photographs".
        words: what these items are, for people.
    """

    name: str
    words: str


def mean_of(part: str, measure: str) -> str:
    """Key of a measure's mean over the items of a part, among the totals of a result."""
    return f"{part}/{measure}/mean"


def median_of(part: str, measure: str) -> str:
    """As `mean_of`, of the median."""
    return f"{part}/{measure}/median"
