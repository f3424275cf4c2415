"""Fine-grained self-supervision as `common/` sees it: what is run, claimed and shown."""

from functools import partial
from pathlib import Path

from common.papers import Data, Paper, Report
from multimodal_ssl import data, recipes
from multimodal_ssl.arms import condition
from multimodal_ssl.claims import CLAIMS, TITLE
from multimodal_ssl.report import figures, panels
from multimodal_ssl.report.styles import style

# A name is of one condition at every scale that has it.
CONDITIONS = {
    name: condition(recipe, scale)
    for scale, of_scale in recipes.RECIPES.items()
    for name, recipe in of_scale.items()
}
PAPER = Paper(
    slug="fine-grained-ssl",
    title=TITLE,
    folder=Path(__file__).parent,
    scales=recipes.SCALES,
    data=Data(verify=data.verify, pack=data.pack, scorable=data.scorable),
    claims=CLAIMS,
    report=Report(
        topic="video and text",
        styles={name: style(of) for name, of in CONDITIONS.items()},
        figures=figures.figures,
        tables=figures.tables,
        details=figures.details,
        panels=partial(panels.panels, conditions=CONDITIONS),
    ),
    weights_file=recipes.weights_file,
)
