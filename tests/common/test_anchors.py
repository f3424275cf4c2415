"""Figures of others have a form, a place that can be looked up, and a claim that is there; they decide nothing."""

import json

import pytest

from common.anchors import anchors
from common.papers import papers
from common.report.anchor_table import anchor_tables
from common.report.build import rows_of
from common.report.tables import markdown

ROW = {
    "claim": "english",
    "agrees": "yes",
    "figure": "WER 7.87 and 8.92",
    "place": "somebody, abstract",
    "url": "https://arxiv.org/abs/2105.11905",
    "read": "read",
}


def written(folder, **changes):
    (folder / "anchors.json").write_text(json.dumps([ROW | changes]))
    return anchors(folder, ["english", "french"])


def test_every_paper_has_figures_of_others_that_are_shown_beside_its_verdicts():
    for paper in papers().values():
        found = anchors(paper.folder, [claim.id for claim in paper.claims])
        readme = (paper.folder / "README.md").read_text()
        assert found
        assert all(f"]({anchor.url})" in readme for anchor in found)
        assert len({(anchor.claim, anchor.figure) for anchor in found}) == len(found)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"claim": "german"}, "no such claim: german"),
        ({"agrees": "perhaps"}, "agrees must be of yes, no, bears on it"),
        ({"read": "heard"}, "read of read, second-hand"),
        ({"url": "http://arxiv.org/abs/2105.11905"}, "plain https address"),
        ({"url": "https://arxiv.org/abs/1 2"}, "plain https address"),
        ({"weight": 1}, "unexpected keyword argument"),
    ],
)
def test_a_figure_of_another_form_is_named(tmp_path, changes, told):
    with pytest.raises(ValueError, match=told):
        written(tmp_path, **changes)


def test_second_hand_figures_say_so_and_places_are_linked(tmp_path):
    paper = papers()["asr-adapters"]
    (table,) = anchor_tables(written(tmp_path, read="second-hand"), rows_of(paper, with_yours=False))
    line = markdown(table).splitlines()[4]
    assert "[somebody, abstract](https://arxiv.org/abs/2105.11905)<br>second-hand" in line
    assert "(mini)" in line


def test_a_paper_without_figures_shows_no_table(tmp_path):
    assert anchors(tmp_path, ["english"]) == []
    assert anchor_tables([], []) == []
