"""From result files to what people read: the terminal, the page, and the tables in the READMEs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common import former_verdicts, journal, openings, results
from common.anchors import anchors
from common.claims import judge
from common.files import write_atomically
from common.papers import ROOT, SCALES, Paper, runs_root
from common.power import Power, power
from common.progress import tracked
from common.report import run_page
from common.report.anchor_table import anchor_tables
from common.report.cards import card
from common.report.figures import margin_figure, to_svg, training_figure
from common.report.openings_table import openings_tables
from common.report.page import Panel, Picture, Section, costs_table, departures, provenance_table, render
from common.report.power_table import power_table
from common.report.search_table import search_tables
from common.report.tables import (
    ClaimRow,
    Table,
    arithmetic_table,
    claim_rows,
    headline_table,
    is_stale,
    markdown,
    replace_generated,
    results_table,
    verdict_table_markdown,
    verdict_tables,
)
from common.results import Run
from common.tuning import at_an_edge, choices
from common.verdicts import Verdict

README, EVIDENCE = ROOT / "README.md", ROOT / "docs" / "evidence.md"
TITLE = "Four papers in speech and video, judged claim by claim"
INTRO = (
    "Each paper's method was written anew and its claims were run on real data, with the bar of every claim set "
    "beforehand. Scale mini takes minutes on two cores, far below what the papers used: it says what holds there. "
    "make reproduce-PAPER runs a paper on your machine and sets your verdicts beside these."
)
JUDGED_SCALES = tuple(scale for scale in SCALES if scale != "smoke")


def command(paper: Paper, scale: str) -> str:
    """The line that makes the evidence of a scale."""
    return f"make reproduce-{paper.slug}" + ("" if scale == "mini" else f" SCALE={scale}")


def current_names(paper: Paper, scale: str) -> list[str]:
    """Recipes all of whose own results are of today's settings and data: what may be published."""
    own = {run.result.name for run in paper.evidence(scale, own=True)}
    found = [run.result for run in results.readable(paper.own_results(scale)) if run.result.split == "test"]
    return sorted(
        {result.recipe for result in found} - {result.recipe for result in found if result.name not in own}
    )


def verdicts_of(paper: Paper, own: bool, scales: Sequence[str]) -> dict[str, list[Verdict]]:
    """By scale, of the evidence there is: published, or your own."""
    evidence = {scale: paper.evidence(scale, own=own) for scale in scales}
    return {scale: _judged(paper, runs, scale) for scale, runs in evidence.items() if runs}


def _judged(paper: Paper, runs: Sequence[Run], scale: str) -> list[Verdict]:
    """Verdicts, with what stands beside them: arms at the edge of their search, and another word by the former rule."""
    found, former = choices(paper.tuning_log(scale), runs), former_verdicts.read(paper.folder)
    verdicts = judge(paper.claims, runs, scale)
    marked = []
    for claim, verdict in zip(paper.claims, verdicts, strict=True):
        notes = [
            verdict.reason,
            former_verdicts.difference(former, verdict, runs, claim.reads),
            at_an_edge(found, claim.reads) if verdict.per_seed else "",
        ]
        marked.append(replace(verdict, reason="; ".join(filter(None, notes))))
    return marked


def rows_of(paper: Paper, *, with_yours: bool, scales: Sequence[str] = JUDGED_SCALES) -> list[ClaimRow]:
    """Claims of a paper with the published verdicts and, where asked for, yours."""
    return claim_rows(
        [claim for claim in paper.claims if any(map(claim.asked_at, scales))],
        command=lambda scale: command(paper, scale),
        published=verdicts_of(paper, False, scales),
        yours=verdicts_of(paper, True, scales) if with_yours else None,
    )


def show_claims(papers: Sequence[Paper], scale: str) -> None:
    """Verdicts of a scale on the terminal."""
    from rich.console import Console
    from rich.table import Table

    console, waited_for = Console(), tracked(papers, "judging", len(papers), "paper")
    judged = [(paper, rows_of(paper, with_yours=True, scales=(scale,))) for paper in waited_for]
    for paper, rows in judged:
        for table in verdict_tables(rows):
            grid = Table(*table.columns, title=f"{paper.slug}: {table.title}", show_lines=True)
            grid.columns[0].ratio = 3  # the sentence; verdicts and their reasons share the rest
            for row in table.rows:
                grid.add_row(*("\n".join(filter(None, (cell.text, cell.note))) for cell in row))
            console.print(grid)


def claims_json(papers: Sequence[Paper], scale: str) -> str:
    """Verdicts of a scale for other programs: {paper: {published: [...], yours: [...]}}."""
    told = {
        paper.slug: {
            name: [verdict.json() for verdict in verdicts_of(paper, own, (scale,)).get(scale, [])]
            for name, own in (("published", False), ("yours", True))
        }
        for paper in tracked(papers, "judging", len(papers), "paper")
    }
    return json.dumps(told, indent=1)


# ---- the page


def write_page(papers: Sequence[Paper]) -> Path:
    """One HTML file with a section for every paper, and beside it a page for every run with its files."""
    path = runs_root() / "report" / "index.html"
    shutil.rmtree(path.parent / "runs", ignore_errors=True)  # pages of runs that are gone
    sections, cards = [], []
    for paper in tracked(papers, "drawing", len(papers), "paper"):
        rows = rows_of(paper, with_yours=True)
        pages = [
            table for scale in JUDGED_SCALES for table in run_page.write_every(path.parent, paper, scale)
        ]
        sections.append(_section(paper, rows, pages))
        cards.append(card(paper.slug, paper.title, _headline(rows)))
    page = render(TITLE, sections, cards=cards, intro=INTRO)
    write_atomically(path, page.encode())
    return path


@dataclass(frozen=True)
class _Shown:
    """What is shown of a scale: yours, else the published runs."""

    scale: str
    runs: list[Run]
    own: bool


def _shown(paper: Paper) -> list[_Shown]:
    """Scales that have runs; one never stands in for another, nor are two of them drawn into one figure."""
    found = []
    for scale in JUDGED_SCALES:
        own = paper.evidence(scale, own=True)
        if runs := own or paper.evidence(scale, own=False):
            found.append(_Shown(scale, runs, bool(own)))
    return found


def _section(paper: Paper, rows: Sequence[ClaimRow], pages: Sequence[Table] = ()) -> Section:
    verdicts = [verdict for row in rows if (verdict := (row.yours or row.published))]
    report, shown = paper.report, _shown(paper)
    figures: list[Picture] = []
    details: list[Table] = []
    panels: list[Panel] = []
    for one in shown:
        ruled = [verdict for verdict in verdicts if verdict.scale == one.scale]
        title = f"How far from the bar each claim came out at {one.scale}"
        drawn = [Picture("Margins of the claims", to_svg(margin_figure(paper.claims, ruled, title)))]
        drawn += [Picture(caption, to_svg(figure)) for caption, figure in report.figures(one.runs)]
        drawn += _training_figures(paper, one.scale) if one.own else []
        tables = [*report.tables(one.runs), *report.details(one.runs), results_table(one.runs)]
        tables += search_tables(choices(paper.tuning_log(one.scale), one.runs))
        tables += [arithmetic_table(paper.claims, ruled), costs_table(one.runs), provenance_table(one.runs)]
        where = f" (at {one.scale})" * (len(shown) > 1)
        figures += [replace(picture, caption=picture.caption + where) for picture in drawn]
        details += [replace(table, title=table.title + where) for table in tables]
        found = report.panels(paper.own(one.scale) if one.own else paper.published(one.scale))
        panels += [replace(panel, title=panel.title + where) for panel in found]
    return Section(
        slug=paper.slug,
        title=paper.title,
        summary=_whose(shown) if shown else "Nothing has been run yet.",
        tables=[*verdict_tables(rows), *_others(paper, rows), *_openings(paper)],
        figures=figures,
        panels=panels,
        details=[*pages, *details],
        notes=departures([run for one in shown for run in one.runs]),
    )


def _others(paper: Paper, rows: Sequence[ClaimRow]) -> list[Table]:
    return anchor_tables(anchors(paper.folder, [claim.id for claim in paper.claims]), rows)


def _openings(paper: Paper) -> list[Table]:
    """Of the test sets that some claim rests on; what holds by construction has none."""
    parts = [part for claim in paper.claims if not claim.by_design for part in claim.parts]
    return openings_tables(openings.opened(openings.read(paper.folder), parts))


def _whose(shown: Sequence[_Shown]) -> str:
    yours = [one.scale for one in shown if one.own]
    if not yours:
        return "These are the published runs; you have none yet."
    published = [one.scale for one in shown if not one.own]
    if not published:
        return "These are your runs."
    return f"These are your runs at {', '.join(yours)} and the published ones at {', '.join(published)}."


def _training_figures(paper: Paper, scale: str) -> list[Picture]:
    journals: dict[str, dict[int, list[dict[str, object]]]] = {}
    for name in paper.at(scale).reproduced:
        for _, seed, folder in paper.begun(scale, name):
            rows = [row for row in journal.read(folder / "journal.jsonl") if row["event"] == "train"]
            journals.setdefault(name, {})[seed] = rows
    if not journals:
        return []
    figure = training_figure(
        journals, title="How the runs learned", measures=("loss",), styles=paper.report.styles
    )
    return [Picture("Training loss over steps, a line per seed", to_svg(figure))]


# ---- tables in the READMEs


def _generated(papers: Sequence[Paper]) -> Iterator[tuple[Path, str, str]]:
    """(README, name of the marker, text) of every generated table; published evidence alone.

    Raises:
        ValueError: a published file is damaged: here none is passed over.
    """
    front, further = list[tuple[str, ClaimRow]](), list[tuple[str, Power]]()
    for paper in tracked(papers, "judging", len(papers), "paper"):
        for scale in SCALES:
            results.read(paper.published(scale))
        rows = rows_of(paper, with_yours=False)
        beside = [*_others(paper, rows), *_openings(paper)]
        table = "\n\n".join([verdict_table_markdown(rows), *map(markdown, beside)])
        front.append((paper.title, _headline(rows)))
        found = (power(row.claim, row.published) for row in rows if row.published)
        further += [(paper.slug, one) for one in found if one]
        yield paper.folder / "README.md", "verdicts", table
        scales = [scale for scale in JUDGED_SCALES if paper.published(scale).is_dir()]
        scores = [
            f"At `{scale}`:\n\n{markdown(table)}" for scale in scales for table in _tables(paper, scale)
        ]
        yield paper.folder / "README.md", "scores", "\n\n".join(scores) or "Nothing is published yet."
    yield README, "verdicts", markdown(headline_table(front))
    yield EVIDENCE, "power", markdown(power_table(further))


def _tables(paper: Paper, scale: str) -> list[Table]:
    runs = paper.evidence(scale, own=False)
    return [*paper.report.tables(runs), *search_tables(choices(paper.tuning_log(scale), runs))]


def headlines(papers: Sequence[Paper]) -> Table:
    """A row a paper: what its headline says and what came out, of the published runs."""
    waited_for = tracked(papers, "judging", len(papers), "paper")
    return headline_table(
        [(paper.title, _headline(rows_of(paper, with_yours=False))) for paper in waited_for]
    )


def _headline(rows: Sequence[ClaimRow]) -> ClaimRow:
    """The headline at the smallest scale that is judged: what the command in the same README makes."""
    return min((row for row in rows if row.claim.headline), key=lambda row: SCALES.index(row.scale))


def stale_tables(papers: Sequence[Paper]) -> list[str]:
    """A sentence for every committed table that is not what the raw scores say now."""
    return [
        f"{path}: table {name!r} is stale; `make publish-PAPER` or "
        "`python -m common.run verify --renew` renews it"
        for path, name, text in _generated(papers)
        if is_stale(path.read_text(), name, text)
    ]


def renew_tables(papers: Sequence[Paper]) -> list[Path]:
    """Writes the stale ones anew."""
    renewed = []
    for path, name, text in _generated(papers):
        before = path.read_text()
        if is_stale(before, name, text):
            write_atomically(path, replace_generated(before, name, text).encode())
            renewed.append(path)
    return renewed
