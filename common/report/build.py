"""From result files to what people read: the terminal, the page, and the tables in the READMEs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common import former_verdicts, journal, kept, openings, results
from common.anchors import anchors
from common.claims import judge
from common.files import write_atomically
from common.papers import ROOT, SCALES, Paper, runs_root
from common.power import Power, power
from common.progress import tracked
from common.report import first_picture, run_page
from common.report.anchor_table import anchor_tables
from common.report.cards import card
from common.report.figures import margin_figure, to_svg, training_figure
from common.report.first_picture import Headline
from common.report.openings_table import openings_tables
from common.report.page import (
    Fold,
    Panel,
    Picture,
    Section,
    costs_table,
    departures,
    provenance_table,
    render,
)
from common.report.power_table import power_table
from common.report.search_table import search_tables
from common.report.tables import (
    Cell,
    ClaimRow,
    Table,
    arithmetic_table,
    below_headlines,
    claim_rows,
    headline_table,
    headlines_elsewhere,
    is_stale,
    markdown,
    markdown_grid,
    replace_generated,
    results_table,
    tally,
    verdict_table_markdown,
    verdict_tables,
)
from common.results import Run
from common.tuning import at_an_edge, choices
from common.verdicts import Verdict

README, EVIDENCE = ROOT / "README.md", ROOT / "docs" / "evidence.md"
FIRST_PICTURE = "docs/what-came-out.png"  # beside that README
TITLE = "Four papers in speech and video, judged claim by claim"
INTRO = (
    "Four papers of one group, rebuilt in Python and run on real data. Each card is a headline: whether it "
    "holds, how sure that is (a 95 % interval beside a bar written down with its date), and at which scale. Scale "
    "mini takes minutes on two cores, far below what the papers used, and says what holds there. A card leads to every "
    "claim of its paper; `make reproduce-extreme-vsr` and the like run them on your machine and set your verdicts "
    "beside these; `make try` tries the tools."
)
UNPUBLISHED = (
    "Published results hold scores, texts, some pictures and, since 2026-11-28, training curves, but no sounds: those "
    "are played where the data are prepared, with the words that committed adapters hear in them."
)
FIGURES_AT_ONCE = 2  # of a scale
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
    """Of each scale the margins and the paper's first figure, and one panel, at once; all else is folded."""
    verdicts = [verdict for row in rows if (verdict := (row.yours or row.published))]
    report, shown = paper.report, _shown(paper)
    first, further = list[Picture](), list[Picture]()
    details, panels = list[Table](), list[Panel]()
    for one in shown:
        ruled = [verdict for verdict in verdicts if verdict.scale == one.scale]
        title = f"How far from the bar each claim came out at {one.scale}"
        drawn = [Picture("Margins of the claims", to_svg(margin_figure(paper.claims, ruled, title)))]
        drawn += [Picture(caption, to_svg(figure)) for caption, figure in report.figures(one.runs)]
        drawn += _training_figures(paper, one)
        tables = [*report.tables(one.runs), *report.details(one.runs), results_table(one.runs)]
        tables += search_tables(choices(paper.tuning_log(one.scale), one.runs))
        tables += [arithmetic_table(paper.claims, ruled), costs_table(one.runs), provenance_table(one.runs)]
        where = f" (at {one.scale})" * (len(shown) > 1)
        drawn = [replace(picture, caption=picture.caption + where) for picture in drawn]
        first, further = [*first, *drawn[:FIGURES_AT_ONCE]], [*further, *drawn[FIGURES_AT_ONCE:]]
        details += [replace(table, title=table.title + where) for table in tables]
        found = report.panels(paper.own(one.scale) if one.own else paper.published(one.scale))
        panels += [replace(panel, title=panel.title + where) for panel in found]
    return Section(
        slug=paper.slug,
        title=paper.title,
        summary=_whose(shown) if shown else "Nothing has been run yet.",
        figures=first,
        panels=panels[:1],
        details=[*verdict_tables(rows), *_others(paper, rows), *_openings(paper)],
        folds=[
            Fold(title="Further figures", figures=further),
            Fold(title="Further pictures and sounds", panels=panels[1:]),
            Fold(title="To know when reading these numbers",
                 notes=departures([run for one in shown for run in one.runs])),
            Fold(title="A page for every run, with its raw scores", tables=pages),
            Fold(title="Scores, costs and where the runs came from", tables=details),
        ],
    )  # fmt: skip


def _others(paper: Paper, rows: Sequence[ClaimRow]) -> list[Table]:
    return anchor_tables(anchors(paper.folder, [claim.id for claim in paper.claims]), rows)


def _openings(paper: Paper) -> list[Table]:
    """Of the test sets that some claim rests on; what holds by construction has none."""
    parts = [part for claim in paper.claims if not claim.by_design for part in claim.parts]
    return openings_tables(openings.opened(openings.read(paper.folder), parts))


def _whose(shown: Sequence[_Shown]) -> str:
    """Whose runs a section shows, and what published ones cannot show."""
    yours = [one.scale for one in shown if one.own]
    if not yours:
        return f"These are the published runs; you have none yet. {UNPUBLISHED}"
    published = [one.scale for one in shown if not one.own]
    if not published:
        return "These are your runs."
    return f"These are your runs at {', '.join(yours)} and the published ones at {', '.join(published)}. {UNPUBLISHED}"


def _training_figures(paper: Paper, shown: _Shown) -> list[Picture]:
    journals: dict[str, dict[int, list[dict[str, object]]]] = {}
    for name, seed, path in _journals(paper, shown):
        rows = [row for row in journal.read(path) if row["event"] == "train"]
        if rows:
            journals.setdefault(name, {})[seed] = rows
    if not journals:
        return []
    figure = training_figure(
        journals, title="How the runs learned", measures=("loss",), styles=paper.report.styles
    )
    return [Picture("Training loss over steps, a line per seed", to_svg(figure))]


def _journals(paper: Paper, shown: _Shown) -> Iterator[tuple[str, int, Path]]:
    """(recipe, seed, file) of the runs that `reproduce` makes."""
    for name in paper.at(shown.scale).reproduced:
        if shown.own:
            for _, seed, folder in paper.begun(shown.scale, name):
                yield name, seed, folder / kept.JOURNAL
        else:
            for seed in sorted(run.result.seed for run in shown.runs if run.result.recipe == name):
                yield name, seed, kept.journal_of(paper.published(shown.scale), name, seed)


# ---- tables in the READMEs


Judged = Sequence[tuple[Paper, Sequence[ClaimRow]]]


def _published(papers: Sequence[Paper]) -> Judged:
    """Rows of the published evidence alone.

    Raises:
        ValueError: a published file is damaged: here none is passed over.
    """
    judged = []
    for paper in tracked(papers, "judging", len(papers), "paper"):
        for scale in SCALES:
            results.read(paper.published(scale))
        judged.append((paper, rows_of(paper, with_yours=False)))
    return judged


def _generated(judged: Judged) -> Iterator[tuple[Path, str, str]]:
    """(README, name of the marker, text) of every generated part."""
    further = list[tuple[str, Power]]()
    for paper, rows in judged:
        beside = [*_others(paper, rows), *_openings(paper)]
        table = "\n\n".join([verdict_table_markdown(rows), *map(markdown, beside)])
        found = (power(row.claim, row.published) for row in rows if row.published)
        further += [(paper.slug, one) for one in found if one]
        yield paper.folder / "README.md", "verdicts", table
        scales = [scale for scale in JUDGED_SCALES if paper.published(scale).is_dir()]
        scores = [
            f"At `{scale}`:\n\n{markdown(table)}" for scale in scales for table in _tables(paper, scale)
        ]
        yield paper.folder / "README.md", "scores", "\n\n".join(scores) or "Nothing is published yet."
    shown = [(_named(one), _headline(rows)) for one, rows in judged]
    every = [row for _, rows in judged for row in rows]
    parts = (markdown_grid(headline_table(shown)), headlines_elsewhere(shown, every), below_headlines(every))
    yield README, "verdicts", "\n\n".join(filter(None, parts))
    picture = first_picture.markup(*_pictured(judged), FIRST_PICTURE)
    yield README, "picture", f"{tally([_headline(rows) for _, rows in judged])}\n\n{picture}"
    yield EVIDENCE, "power", markdown(power_table(further))


def _named(paper: Paper) -> Cell:
    """What the paper is about, leading to its page."""
    page = Path(os.path.relpath(paper.folder / "README.md", README.parent)).as_posix()
    return Cell(paper.report.topic, link=page)


def _pictured(judged: Judged) -> tuple[list[Headline], list[Picture]]:
    """What the first page's picture shows."""
    headlines = [first_picture.headline_of(paper.report.topic, _headline(rows)) for paper, rows in judged]
    return headlines, [one for paper, _ in judged for one in paper.report.frames(paper.published("mini"))]


def _tables(paper: Paper, scale: str) -> list[Table]:
    runs = paper.evidence(scale, own=False)
    return [*paper.report.tables(runs), *search_tables(choices(paper.tuning_log(scale), runs))]


def headlines(papers: Sequence[Paper]) -> Table:
    """A row a paper: what its headline says and what came out, of the published runs."""
    waited_for = tracked(papers, "judging", len(papers), "paper")
    return headline_table(
        [(Cell(paper.title), _headline(rows_of(paper, with_yours=False))) for paper in waited_for]
    )


def _headline(rows: Sequence[ClaimRow]) -> ClaimRow:
    """The headline at the smallest scale that is judged: what the command in the same README makes."""
    return min((row for row in rows if row.claim.headline), key=lambda row: SCALES.index(row.scale))


def stale_tables(papers: Sequence[Paper]) -> list[str]:
    """A sentence for every committed table, and the picture, that is not what the raw scores say now."""
    judged, told = (
        _published(papers),
        "`make publish-PAPER` or `python -m common.run verify --renew` renews it",
    )
    found = [
        f"{path}: table {name!r} is stale; {told}"
        for path, name, text in _generated(judged)
        if is_stale(path.read_text(), name, text)
    ]
    picture = README.parent / FIRST_PICTURE
    if first_picture.digest_in(picture) != first_picture.digest(*_pictured(judged)):
        found.append(f"{picture}: the picture is stale; {told}")
    return found


def renew_tables(papers: Sequence[Paper]) -> list[Path]:
    """Writes the stale ones anew, the picture too."""
    renewed, judged = [], _published(papers)
    for path, name, text in _generated(judged):
        before = path.read_text()
        if is_stale(before, name, text):
            write_atomically(path, replace_generated(before, name, text).encode())
            renewed.append(path)
    shown, picture = _pictured(judged), README.parent / FIRST_PICTURE
    if first_picture.digest_in(picture) != first_picture.digest(*shown):
        picture.parent.mkdir(exist_ok=True)
        write_atomically(picture, first_picture.draw(*shown))
        renewed.append(picture)
    return renewed
