"""What the report shows of fine-grained matching: ranks, scores of pairs, probes, and what each arm attends to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from common.report.page import per_group_table
from common.report.tables import Table
from common.results import Run
from multimodal_ssl.measures import RANK, SCORINGS, SHOWN
from multimodal_ssl.report.evidence import SIDE_BY_SIDE, at_rate, compared, queries
from multimodal_ssl.report.pair_figures import pair_figures, probe_figures
from multimodal_ssl.report.rank_figures import rank_figures
from multimodal_ssl.report.tables import costs, retrieval, told_apart

if TYPE_CHECKING:
    import matplotlib.figure


def figures(runs: Sequence[Run]) -> Iterator[tuple[str, matplotlib.figure.Figure]]:
    """(caption, figure) of what the runs can show."""
    yield from rank_figures(runs)
    yield from pair_figures(runs)
    yield from probe_figures(runs)


def tables(runs: Sequence[Run]) -> list[Table]:
    """Retrieval by each way of scoring, apart; what tells pairs, things and motions apart; what it took."""
    usual, _ = _split(runs)
    made = [*(retrieval(usual, scoring) for scoring in SCORINGS), told_apart(runs), costs(runs)]
    return [table for table in made if table.rows]


def details(runs: Sequence[Run]) -> list[Table]:
    """Retrieval of all other arms, rates and batches; ranks thing by thing, of the pairs that training showed."""
    usual, others = _split(runs)
    made = [retrieval(others, scoring, ", other arms, rates and batches") for scoring in SCORINGS]
    if scored := [Run(run.result, found) for run in usual if (found := queries(run, SHOWN))]:
        made.append(per_group_table(scored, RANK.name, "clips"))
    return [table for table in made if table.rows]


def _split(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The arms of every scale at the rates of every scale, and all the rest: READMEs hold no 500 rows."""
    main, others = compared(runs)
    usual = [run for rate in SIDE_BY_SIDE for run in at_rate(main, rate)] or main
    return usual, [run for run in [*main, *others] if run not in usual]
