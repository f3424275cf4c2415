"""Adapters in continued pre-training as `common/` sees them: what is run, claimed and shown."""

from pathlib import Path

from common.papers import Data, Paper, Report
from speech_adapters.continual import data, figures
from speech_adapters.continual.claims import CLAIMS, TITLE
from speech_adapters.continual.former import former_settings
from speech_adapters.continual.recipes import SCALES

PAPER = Paper(
    slug="continual-pretraining",
    title=TITLE,
    folder=Path(__file__).parent,
    scales=SCALES,
    data=Data(verify=data.verify, pack=data.pack, scorable=data.scorable),
    claims=CLAIMS,
    report=Report(
        topic="continual pre-training",
        styles=figures.STYLES,
        figures=figures.figures,
        tables=figures.tables,
        details=figures.details,
        panels=figures.panels,
    ),
    former_settings=former_settings,
)
