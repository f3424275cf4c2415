"""Tables as rows of cells, made once and shown twice: as Markdown in a README and as HTML in the report."""

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from common.claims import Claim
from common.digits import number, signed
from common.results import Run
from common.verdicts import Verdict

SCALE_ORDER = ("smoke", "mini", "night", "gpu", "paper")
Verdicts = Mapping[str, Sequence[Verdict]]  # scale -> verdicts


@dataclass(frozen=True)
class Cell:
    """Text with what HTML may add to it.

    Args:
        tone: a verdict's word, which the page sets as a badge; "code"; "number"; or "".
        note: a smaller second line.
        dots: positions in 0..1 of one dot per seed, drawn under the text.
        link: address that the text leads to.
    """

    text: str
    tone: str = ""
    note: str = ""
    dots: tuple[float | int, ...] = ()
    link: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under columns; every row has one cell per column."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: a row must have {len(self.columns)} cells, got {len(row)}")


@dataclass(frozen=True)
class ClaimRow:
    """A claim at one scale: what was published, what came out here, and whether the two disagree."""

    claim: Claim
    scale: str
    published: Verdict | None
    yours: Verdict | None
    command: str

    @property
    def disagrees(self) -> bool:
        """Yours and published differ by more than the interval of their difference.

        Half-widths facing each other are added in quadrature; a verdict without an interval adds nothing.
        """
        if self.published is None or self.yours is None:
            return False
        gap = self.yours.point - self.published.point
        if math.isnan(gap):
            return False
        lower, upper = (self.published, self.yours) if gap > 0 else (self.yours, self.published)
        halves = [lower.high - lower.point, upper.point - upper.low]
        return abs(gap) > math.hypot(*(half for half in halves if math.isfinite(half)))


def claim_rows(
    claims: Sequence[Claim],
    *,
    command: Callable[[str], str],
    published: Verdicts | None = None,
    yours: Verdicts | None = None,
) -> list[ClaimRow]:
    """One row per claim and scale with evidence that it is asked at; a claim without any has one row that says so.

    `command` gives, for a scale, the line that makes the evidence.
    """
    theirs, own = (
        {scale: {verdict.claim: verdict for verdict in found} for scale, found in (side or {}).items()}
        for side in (published, yours)
    )
    scales = sorted(set(theirs) | set(own), key=_scale_rank)
    rows = []
    for claim in claims:
        per_scale = [
            ClaimRow(
                claim,
                scale,
                theirs.get(scale, {}).get(claim.id),
                own.get(scale, {}).get(claim.id),
                command(scale),
            )
            for scale in scales
        ]
        asked = [row for row in per_scale if claim.asked_at(row.scale)]
        shown = [row for row in asked if any(v and v.word != "not run" for v in (row.published, row.yours))]
        first = (*claim.scales, "mini")[0]
        rows += shown or asked[:1] or [ClaimRow(claim, first, None, None, command(first))]
    return rows


def _scale_rank(scale: str) -> tuple[int, str]:
    return SCALE_ORDER.index(scale) if scale in SCALE_ORDER else len(SCALE_ORDER), scale


def _verdict_cell(row: ClaimRow, verdict: Verdict | None, note: str = "") -> Cell:
    if verdict is None:
        return Cell("not run", "not run")
    text = row.claim.kind.told(verdict, row.claim.unit)
    word = "by design, verified" if row.claim.by_design and verdict.word == "upheld" else verdict.word
    groups = f", {verdict.num_groups} groups" if verdict.num_groups else ""
    rests_on = f"{verdict.num_seeds} seeds{groups}" if verdict.num_groups != 1 and verdict.num_seeds else ""
    return Cell(word, verdict.word, "; ".join(filter(None, [text, rests_on, verdict.reason, note])))


def _sentence_cell(claim: Claim) -> Cell:
    labels = ["headline"] * claim.headline + [
        "consistent with our reading of the paper"
    ] * claim.consistent_with
    return Cell(claim.says, "", "; ".join(filter(None, [*labels, claim.kind.bound_words(claim.unit)])))


def verdict_table(rows: Sequence[ClaimRow], *, title: str, with_yours: bool = True) -> Table:
    """A row a claim: the sentence, the paper's number and its place, and a column of verdicts for every scale; your
    own runs have columns beside the published ones where there are any."""
    scales = sorted({row.scale for row in rows}, key=_scale_rank)
    yours = {row.scale for row in rows if with_yours and row.yours}
    columns = [(scale, own) for scale in scales for own in (False, True)[: 1 + (scale in yours)]]
    by_claim: dict[str, dict[str, ClaimRow]] = defaultdict(dict)
    for row in rows:
        by_claim[row.claim.id][row.scale] = row
    cells = [
        [
            _sentence_cell(claim := next(iter(found.values())).claim),
            Cell(claim.paper, "", claim.where),
            *(_scale_cell(found.get(scale), own) for scale, own in columns),
        ]
        for found in by_claim.values()
    ]
    heads = [f"{scale}, yours" if own else scale for scale, own in columns]
    commands = dict.fromkeys(row.command for row in sorted(rows, key=lambda row: _scale_rank(row.scale)))
    caption = f"A column a scale; made by: {'; '.join(commands)}."
    return Table(title, ("claim", "the paper's number", *heads), cells, caption)


def _scale_cell(row: ClaimRow | None, own: bool) -> Cell:
    if row is None:
        return Cell("not run", "not run")
    gap = "differs from published by more than the interval" if own and row.disagrees else ""
    return _verdict_cell(row, row.yours if own else row.published, gap)


def verdict_tables(rows: Sequence[ClaimRow], *, with_yours: bool = True) -> list[Table]:
    """The paper's claims and, apart from them, our own questions, by heading; an empty one is left out."""
    parts: dict[str, list[ClaimRow]] = {"What the paper says": [], "Our questions": []}
    for row in rows:
        heading = "Our questions" if row.claim.question else "What the paper says"
        parts.setdefault(f"{heading}: {row.claim.about}" if row.claim.about else heading, []).append(row)
    return [verdict_table(part, title=title, with_yours=with_yours) for title, part in parts.items() if part]


def headline_table(rows: Sequence[tuple[Cell, ClaimRow]]) -> Table:
    """A row a paper: (its name, its headline at the scale that is shown), as a person would tell it."""
    cells = [
        [
            replace(name, note="our question" if row.claim.question else ""),
            Cell(row.claim.says),
            _outcome_cell(row),
            _word_cell(row),
        ]
        for name, row in rows
    ]
    return Table("What came out", ("paper", "headline", "what came out here", "verdict"), cells)


def tally(rows: Sequence[ClaimRow]) -> str:
    """How often each word was ruled of the headlines, the papers' and ours apart, as a sentence."""

    def told(of: Sequence[ClaimRow]) -> str:
        words = Counter(row.published.word if row.published else "not run" for row in of)
        return ", ".join(f"{count} {word}" for word, count in words.items())

    papers = [row for row in rows if not row.claim.question]
    ours = [row for row in rows if row.claim.question]
    parts = (("Headlines of the papers", papers), ("questions of ours", ours))
    counted = "; ".join(f"{kind}: {told(of)}" for kind, of in parts if of)
    return f"{counted}. Too small to settle the papers' own numbers."


def headlines_elsewhere(shown: Sequence[tuple[Cell, ClaimRow]], rows: Sequence[ClaimRow]) -> str:
    """A sentence in Markdown for each headline that got another word at another scale than the one that is shown."""
    told = []
    for name, first in shown:
        for row in rows:
            here, there = first.published, row.published
            if row.claim is not first.claim or not here or not there or here.word == there.word:
                continue
            if not math.isnan(there.point):
                said = _markdown_text(row.claim.outcome(there))
                told.append(f"At `{row.scale}` the headline of {name.text} is {there.word}. {said}")
    return "\n\n".join(told)


def below_headlines(rows: Sequence[ClaimRow]) -> str:
    """Sentences in Markdown of what else the first page tells: claims that are no headline and have such sentences."""
    told = [
        _markdown_text(row.claim.outcome(row.published))
        for row in rows
        if row.claim.outcomes and not row.claim.headline and row.published and row.published.word != "not run"
    ]
    return "\n\n".join(told)


def _outcome_cell(row: ClaimRow) -> Cell:
    return Cell("–" if row.published is None else row.claim.outcome(row.published))


def _word_cell(row: ClaimRow) -> Cell:
    word = "not run" if row.published is None else row.published.word
    return Cell(word, word, f"at {row.scale}")


def arithmetic_table(claims: Sequence[Claim], verdicts: Sequence[Verdict]) -> Table:
    """How each interval came about: margins per seed, the variances, df, p before and after correction."""
    columns = (
        "claim",
        "unit",
        "per seed",
        "variance between seeds",
        "variance over groups",
        "held by both",
        "df",
        "p",
        "p corrected",
    )
    by_id = {claim.id: claim for claim in claims}
    rows = []
    for verdict in verdicts:
        if not verdict.per_seed:
            continue
        seeds = ", ".join(f"{seed}: {signed(margin)}" for seed, margin in verdict.per_seed.items())
        parts = (
            verdict.between_seed_variance,
            verdict.group_variance,
            verdict.shared_variance,
            verdict.df,
            verdict.p,
            verdict.adjusted_p,
        )
        numbers = [Cell("–" if math.isnan(part) else f"{part:.3g}", "number") for part in parts]
        rows.append([Cell(verdict.claim), Cell(by_id[verdict.claim].unit), Cell(seeds), *numbers])
    caption = (
        "The interval's variance is the variance between seeds / number of seeds + the variance over groups, "
        "less what both hold."
    )
    return Table("How sure", columns, rows, caption)


def results_table(runs: Sequence[Run], measures: Collection[str] | None = None) -> Table:
    """Per recipe, part and measure: mean and median over all items, and every seed's mean as a dot.

    Non-finite scores (identical pictures) are left out of mean and median, and counted.
    """
    scores: dict[tuple[str, str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for item in run.items:
            for measure, score in item.scores.items():
                if measures is None or measure in measures:
                    scores[item.part, measure, run.result.recipe][run.result.seed].append(float(score))
    finite = {
        key: {s: [x for x in v if math.isfinite(x)] for s, v in seeds.items()}
        for key, seeds in scores.items()
    }
    spans: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (part, measure, _), seeds in finite.items():
        spans[part, measure] += [statistics.fmean(values) for values in seeds.values() if values]
    rows = []
    for key, seeds in sorted(finite.items()):
        values = [value for seed in seeds.values() for value in seed]
        lost = sum(map(len, scores[key].values())) - len(values)
        means = [statistics.fmean(seed) for seed in seeds.values() if seed]
        low, high = min(spans[key[:2]], default=0.0), max(spans[key[:2]], default=0.0)
        dots = tuple((mean - low) / (high - low) if high > low else 0.5 for mean in means)
        centre = (statistics.fmean(values), statistics.median(values)) if values else (math.nan, math.nan)
        rows.append(
            [
                *(Cell(name) for name in (key[0], key[1])),
                Cell(key[2], "code"),
                Cell(number(centre[0]), "number"),
                Cell(number(centre[1]), "number"),
                Cell(", ".join(map(number, means)), "number", dots=dots),
                Cell(f"{len(values):,}", "number", f"{lost} not finite, left out" if lost else ""),
            ]
        )
    columns = ("part", "measure", "recipe", "mean", "median", "mean of each seed", "scores")
    return Table("Scores", columns, rows)


def _markdown_text(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no tags, no new cell or line."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", " ".join(escaped.split()))


def _markdown_cell(cell: Cell) -> str:
    if cell.tone == "code" and "`" not in cell.text:
        text = f"`{' '.join(cell.text.split())}`".replace("|", "\\|") if cell.text else ""
    else:
        text = _markdown_text(cell.text)
    if cell.tone in ("upheld", "refuted", "not seen here"):
        text = f"**{text}**"
    if cell.link:
        text = f"[{text}]({cell.link})"
    return text + (f"<br>{_markdown_text(cell.note)}" if cell.note else "")


def markdown_grid(table: Table) -> str:
    """The rows under their columns in GitHub's Markdown, where what stands before them is title enough."""
    rule = [
        "--:" if table.rows and table.rows[0][i].tone == "number" else "---"
        for i in range(len(table.columns))
    ]
    lines = [
        list(map(_markdown_text, table.columns)),
        rule,
        *(list(map(_markdown_cell, row)) for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, title first."""
    parts = [f"**{_markdown_text(table.title)}**", markdown_grid(table), _markdown_text(table.caption)]
    return "\n\n".join(filter(None, parts))


def verdict_table_markdown(rows: Sequence[ClaimRow], *, with_yours: bool = False) -> str:
    """Verdict tables for a README, which is committed and so leaves out a person's own runs."""
    return "\n\n".join(map(markdown, verdict_tables(rows, with_yours=with_yours)))


def replace_generated(readme_text: str, name: str, table: str) -> str:
    """The README with new text between `<!-- generated: NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: the README has no such pair of markers, or several.
    """
    marker = f"<!-- generated: {name} -->"
    found = re.findall(re.escape(marker) + r".*?<!-- end -->", readme_text, flags=re.DOTALL)
    if (
        len(found) != 1
        or readme_text.count(marker) != 1
        or "<!-- generated: " in found[0].removeprefix(marker)
    ):
        raise ValueError(
            f"a README must have one {marker} closed by <!-- end -->, got {readme_text.count(marker)} "
            f"and {len(found)} closed"
        )
    return readme_text.replace(found[0], f"{marker}\n\n{table}\n\n<!-- end -->")


def is_stale(readme_text: str, name: str, table: str) -> bool:
    """Whether the committed text between the markers is not what the results say now."""
    return replace_generated(readme_text, name, table) != readme_text
