"""W&B workspaces as code: a view a paper, its runs grouped by paper, scale and recipe, losses and scores over steps.

    python -m common.run dashboard --workspaces ENTITY      saves them; needs the extra `dashboards` and an account

They are built without a network; saving is the only thing that asks W&B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from common.dashboard import PROJECT
from common.papers import Paper

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

GROUPED_BY = ("paper", "scale", "recipe")  # of a run's config


def workspace(paper: Paper, entity: str, *, measures: Sequence[str] = ("loss",)) -> Workspace:
    """The view of one paper.

    Args:
        measures: that journals log while a run trains; a panel each.
    """
    import wandb_workspaces.reports.v2 as reports
    import wandb_workspaces.workspaces as workspaces

    curves = [
        reports.LinePlot(
            title=measure, x="step", y=[measure], groupby_aggfunc="mean", groupby_rangefunc="minmax"
        )
        for measure in measures
    ]
    sections = [
        workspaces.Section(name="While it trains", panels=curves, is_open=True),
        workspaces.Section(name="What it makes", panels=[reports.MediaBrowser(num_columns=2)], is_open=True),
    ]
    return workspaces.Workspace(
        entity=entity,
        project=PROJECT,
        name=paper.title,
        sections=sections,
        settings=workspaces.WorkspaceSettings(x_axis="step"),
        runset_settings=workspaces.RunsetSettings(
            groupby=[workspaces.Config(key) for key in GROUPED_BY],
            filters=[workspaces.Config("paper") == paper.slug],
        ),
    )


def save(papers: Sequence[Paper], entity: str) -> list[str]:
    """Saves a view for each paper; returns their addresses.

    Raises:
        ValueError: the extra is not installed.
    """
    try:
        import wandb_workspaces  # noqa: F401
    except ImportError as error:
        raise ValueError('workspaces need the extra: pip install -e ".[dashboards]"') from error
    addresses = []
    for paper in papers:
        view: Any = workspace(paper, entity)
        addresses.append(str(view.save().url))
    return addresses
