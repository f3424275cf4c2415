"""Laws of hypotheses beside their references: errors are shown where they are."""

import pytest

from speech_adapters.asr.panels import marked


@pytest.mark.parametrize(
    ("reference", "hypothesis", "shown"),
    [
        ("press one now", "press one now", "press one now"),
        ("press one now", "press won now", "press [one→won] now"),
        ("press one now", "press now", "press [one→–] now"),
        ("press now", "press one now", "press [–→one] now"),
        ("press one now", "", "[press one now→–]"),
        ("press one now please", "dress won now", "[press one→dress won] now [please→–]"),
    ],
)
def test_errors_are_marked_where_they_are(reference, hypothesis, shown):
    assert marked(reference, hypothesis) == shown
