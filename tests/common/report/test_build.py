"""The page shows every scale by itself, yours before the published runs."""

import shutil
from dataclasses import replace

import pytest

from common import kept, papers
from common.journal import Journal
from common.report import build

PAPER = papers.find("continual-pretraining")  # published at two scales


@pytest.fixture(autouse=True)
def _no_runs_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))


def test_scales_are_shown_apart_and_their_runs_are_not_mixed(monkeypatch):
    # Judging and drawing have tests of their own.
    monkeypatch.setattr(build, "to_svg", lambda figure: b"<svg/>")
    paper = replace(PAPER, report=replace(PAPER.report, figures=lambda runs: [("Bars", None)]))
    shown = build._shown(paper)
    assert [(one.scale, one.own) for one in shown] == [("mini", False), ("gpu", False)]
    assert all({run.result.scale for run in one.runs} == {one.scale} for one in shown)
    section = build._section(paper, [])
    assert "published runs; you have none yet" in section.summary
    expected = [
        f"{figure} (at {scale})" for scale in ("mini", "gpu") for figure in ("Margins of the claims", "Bars")
    ]
    assert [picture.caption for picture in section.figures] == expected
    last = section.folds[-1]
    assert all(table.title.endswith(("(at mini)", "(at gpu)")) for table in last.tables)


def test_a_page_says_what_published_runs_cannot_show_and_leaves_no_empty_place(monkeypatch):
    monkeypatch.setattr(build, "to_svg", lambda figure: b"<svg/>")
    figures = [(f"figure {i}", None) for i in range(4)]
    paper = replace(PAPER, report=replace(PAPER.report, figures=lambda runs: figures))
    section = build._section(paper, [])
    assert "but no sounds" in section.summary
    assert len(section.figures) == 2 * build.FIGURES_AT_ONCE
    folds = {fold.title: fold for fold in section.folds}
    further = [picture.caption for picture in folds["Further figures"].figures]
    assert further == [f"figure {i} (at {scale})" for scale in ("mini", "gpu") for i in (1, 2, 3)]
    assert not any(
        picture.caption.startswith("Training loss")
        for picture in [*section.figures, *folds["Further figures"].figures]
    )


def test_curves_of_published_runs_are_drawn_where_their_journals_were_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "to_svg", lambda figure: b"<svg/>")
    paper = replace(PAPER, folder=tmp_path / "paper")
    shutil.copytree(PAPER.published("mini"), paper.published("mini"))
    (shown,) = build._shown(paper)
    assert build._training_figures(paper, shown) == []
    run = next(run.result for run in shown.runs if run.result.recipe in paper.report.styles)
    with Journal(kept.journal_of(paper.published("mini"), run.recipe, run.seed)) as log:
        for step in (1, 2):
            log.log(step, {"loss": 2.0 / step})
    (drawn,) = build._training_figures(paper, shown)
    assert drawn.caption.startswith("Training loss")


def test_yours_take_the_place_of_the_published_runs_of_their_scale_alone():
    shutil.copytree(PAPER.published("gpu"), PAPER.own_results("gpu"))
    assert [(one.scale, one.own) for one in build._shown(PAPER)] == [("mini", False), ("gpu", True)]
    told = build._whose(build._shown(PAPER))
    assert told == f"These are your runs at gpu and the published ones at mini. {build.UNPUBLISHED}"
