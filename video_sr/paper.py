"""The challenge on x16 video super-resolution as `common/` sees it: what is run, claimed and shown."""

from pathlib import Path

from common.papers import Data, Paper, Report
from video_sr import data, figures
from video_sr.claims import CLAIMS, TITLE
from video_sr.former import former_settings
from video_sr.measures import PSNR
from video_sr.recipes import SCALES

PAPER = Paper(
    slug="extreme-vsr",
    title=TITLE,
    folder=Path(__file__).parent,
    scales=SCALES,
    data=Data(verify=data.verify, pack=data.pack, scorable=data.scorable),
    claims=CLAIMS,
    report=Report(
        topic="x16 video",
        styles=figures.STYLES,
        figures=figures.figures,
        tables=figures.tables,
        details=figures.details,
        panels=figures.panels,
        frames=figures.frames,
    ),
    closeness={
        PSNR.name: 0.03
    },  # .011 on photographs and .027 on recordings, between two sets of instructions
    former_settings=former_settings,
)
