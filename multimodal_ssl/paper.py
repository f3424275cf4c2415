"""Fine-grained self-supervision as `common/` sees it: what is run, claimed and shown."""

from pathlib import Path

from common.papers import Data, Paper, Report
from multimodal_ssl import data, figures, recipes
from multimodal_ssl.claims import CLAIMS, TITLE
from multimodal_ssl.former import former_settings
from multimodal_ssl.report.styles import STYLES

PAPER = Paper(
    slug="fine-grained-ssl",
    title=TITLE,
    folder=Path(__file__).parent,
    scales=recipes.SCALES,
    data=Data(verify=data.verify, pack=data.pack, scorable=data.scorable),
    claims=CLAIMS,
    report=Report(
        styles=STYLES,
        figures=figures.figures,
        tables=figures.tables,
        details=figures.details,
        panels=figures.panels,
    ),
    weights_file=recipes.weights_file,
    former_settings=former_settings,
)
