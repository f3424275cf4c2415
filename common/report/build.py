"""From result files to what people read: the terminal, the page, and the tables in the READMEs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common import journal, results
from common.claims import Claim, Verdict, judge
from common.files import write_atomically
from common.papers import ROOT, SCALES, Paper, runs_root
from common.recipe import Recipe
from common.report.figures import margin_figure, to_svg, training_figure, verdict_sentence
from common.report.page import Picture, Section, costs_table, departures, provenance_table, render
from common.report.tables import (
    ClaimRow,
    arithmetic_table,
    claim_rows,
    is_stale,
    markdown,
    replace_generated,
    results_table,
    verdict_table_markdown,
    verdict_tables,
)
from common.results import Run

README = ROOT / "README.md"
JUDGED_SCALES = tuple(scale for scale in SCALES if scale != "smoke")


def command(paper: Paper, scale: str) -> str:
    """The line that makes the evidence of a scale."""
    return f"make reproduce-{paper.slug}" + ("" if scale == "mini" else f" SCALE={scale}")


def _runs(folder: Path, recipes: Mapping[str, Recipe]) -> list[Run]:
    """Test runs of a folder that are of today's recipes on today's data; others are no evidence for them."""
    return [
        run
        for run in results.read(folder)
        if (recipe := recipes.get(run.result.recipe)) and run.result.split == "test"
        and run.result.settings_hash == recipe.settings_hash()
        and run.result.manifest_sha256 == recipe.manifest_sha256()
    ]  # fmt: skip


def _evidence(paper: Paper, own: bool, scale: str) -> list[Run]:
    return _runs(paper.own_results(scale) if own else paper.published(scale), paper.every_recipe(scale))


def current_names(paper: Paper, scale: str) -> list[str]:
    """Recipes all of whose own results are of today's settings and data: what may be published."""
    own = {run.result.name for run in _evidence(paper, True, scale)}
    found = [run.result for run in results.read(paper.own_results(scale)) if run.result.split == "test"]
    return sorted(
        {result.recipe for result in found} - {result.recipe for result in found if result.name not in own}
    )


def _verdicts(paper: Paper, own: bool, scales: Sequence[str]) -> dict[str, list[Verdict]]:
    claims: Sequence[Claim] = paper.room("claims").CLAIMS
    evidence = {scale: _evidence(paper, own, scale) for scale in scales}
    return {scale: judge(claims, runs, scale) for scale, runs in evidence.items() if runs}


def rows_of(paper: Paper, *, with_yours: bool, scales: Sequence[str] = JUDGED_SCALES) -> list[ClaimRow]:
    """Claims of a paper with the published verdicts and, where asked for, yours."""
    return claim_rows(
        paper.room("claims").CLAIMS,
        command=lambda scale: command(paper, scale),
        published=_verdicts(paper, False, scales),
        yours=_verdicts(paper, True, scales) if with_yours else None,
    )


def show_claims(papers: Sequence[Paper], scale: str) -> None:
    """Verdicts of a scale on the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for paper in papers:
        for table in verdict_tables(rows_of(paper, with_yours=True, scales=(scale,))):
            shown = [name for name in table.columns if name not in ("where", "command", "scale")]
            grid = Table(*shown, title=f"{paper.slug}: {table.title}", show_lines=True)
            grid.columns[0].ratio = 3  # the sentence; verdicts and their reasons share the rest
            for row in table.rows:
                cells = dict(zip(table.columns, row, strict=True))
                grid.add_row(*("\n".join(filter(None, (cells[n].text, cells[n].note))) for n in shown))
            console.print(grid)


def claims_json(papers: Sequence[Paper], scale: str) -> str:
    """Verdicts of a scale for other programs: {paper: {published: [...], yours: [...]}}."""
    told = {
        paper.slug: {
            name: [verdict.json() for verdict in _verdicts(paper, own, (scale,)).get(scale, [])]
            for name, own in (("published", False), ("yours", True))
        }
        for paper in papers
    }
    return json.dumps(told, indent=1)


# ---- the page


def write_page(papers: Sequence[Paper]) -> Path:
    """One HTML file with a section for every paper."""
    page = render("Four papers, claim by claim", [_section(paper) for paper in papers])
    path = runs_root() / "report" / "index.html"
    write_atomically(path, page.encode())
    return path


def _section(paper: Paper) -> Section:
    rows = rows_of(paper, with_yours=True)
    runs, own = _best_evidence(paper)
    verdicts = [verdict for row in rows if (verdict := (row.yours or row.published))]
    claims: Sequence[Claim] = paper.room("claims").CLAIMS
    figures, panels, details = [], [], []
    if runs:
        room = paper.room("figures")
        figures.append(Picture("Margins of the claims", to_svg(margin_figure(claims, verdicts))))
        figures += [Picture(caption, to_svg(figure)) for caption, figure in room.figures(runs)]
        details = [*room.tables(runs), *room.details(runs), results_table(runs)]
        details += [arithmetic_table(claims, verdicts), costs_table(runs), provenance_table(runs)]
        if own:
            figures += _training_figures(paper, runs[0].result.scale)
            panels = list(room.panels(paper.own(runs[0].result.scale)))
    told = verdict_sentence(verdicts) if verdicts else "Nothing has been run yet"
    whose = "These are your runs." if own else "These are the published runs; you have none yet."
    return Section(
        slug=paper.slug,
        title=paper.room("claims").TITLE,
        summary=f"{told}. {whose}" if runs else told,
        tables=verdict_tables(rows),
        figures=figures,
        panels=panels,
        details=details,
        notes=departures(runs),
    )


def _best_evidence(paper: Paper) -> tuple[list[Run], bool]:
    """Runs of the largest scale that has any: yours, else the published ones; and whether they are yours."""
    for own in (True, False):
        for scale in reversed(JUDGED_SCALES):
            if runs := _evidence(paper, own, scale):
                return runs, own
    return [], False


def _training_figures(paper: Paper, scale: str) -> list[Picture]:
    journals: dict[str, dict[int, list[dict[str, object]]]] = {}
    for name in paper.recipes(scale):
        for path in sorted((paper.own(scale) / name).glob("seed*/journal.jsonl")):
            rows = [row for row in journal.read(path) if row["event"] == "train"]
            journals.setdefault(name, {})[int(path.parent.name.removeprefix("seed"))] = rows
    if not journals:
        return []
    figure = training_figure(
        journals, title="How the runs learned", measures=("loss",), styles=paper.room("figures").STYLES
    )
    return [Picture("Training loss over steps, a line per seed", to_svg(figure))]


# ---- tables in the READMEs


def _generated(papers: Sequence[Paper]) -> Iterator[tuple[Path, str, str]]:
    """(README, name of the marker, text) of every generated table; published evidence alone."""
    everything = []
    for paper in papers:
        rows = rows_of(paper, with_yours=False)
        table = verdict_table_markdown(rows)
        everything.append(f"`{paper.slug}` — {paper.room('claims').TITLE}\n\n{table}")
        yield paper.folder / "README.md", "verdicts", table
        scales = [scale for scale in JUDGED_SCALES if paper.published(scale).is_dir()]
        scores = [
            f"At `{scale}`:\n\n{markdown(table)}"
            for scale in scales
            for table in paper.room("figures").tables(_evidence(paper, False, scale))
        ]
        yield paper.folder / "README.md", "scores", "\n\n".join(scores) or "Nothing is published yet."
    yield README, "verdicts", "\n\n".join(everything)


def stale_tables(papers: Sequence[Paper]) -> list[str]:
    """A sentence for every committed table that is not what the raw scores say now."""
    return [
        f"{path.relative_to(ROOT)}: table {name!r} is stale; `make publish-PAPER` or "
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
