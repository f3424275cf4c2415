"""Adapter transfer to recognition as `common/` sees it: what is run, claimed and shown."""

from pathlib import Path

from common.papers import Data, Paper, Report
from speech_adapters.asr import claims, data, figures, hubert_claims, night_claims, recipes
from speech_adapters.asr.claims import TITLE
from speech_adapters.asr.former import former_settings

PAPER = Paper(
    slug="asr-adapters",
    title=TITLE,
    folder=Path(__file__).parent,
    scales=recipes.SCALES,
    data=Data(verify=data.verify, pack=data.pack, scorable=data.scorable),
    claims=(*claims.CLAIMS, *hubert_claims.CLAIMS, *night_claims.CLAIMS),
    report=Report(
        topic="speech recognition",
        styles=figures.STYLES,
        figures=figures.figures,
        tables=figures.tables,
        details=figures.details,
        panels=figures.panels,
    ),
    weights_file=recipes.weights_file,
    former_settings=former_settings,
)
