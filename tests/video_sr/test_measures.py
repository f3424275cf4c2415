"""Names of measures are those of the conventions that compute them, and stay as published results have them."""

from common import papers, results
from common.measures import mean_of
from common.metrics import image_quality
from video_sr import measures, shots


def test_names_are_those_of_the_conventions():
    names = {
        measure.name: getattr(image_quality, key)
        for key, measure in vars(measures).items()
        if isinstance(measure, measures.Measure) and hasattr(image_quality, key)
    }
    assert len(names) == 6
    assert list(names) == list(names.values())


def test_every_published_score_and_part_is_one_of_them():
    listed = {m.name for m in vars(measures).values() if isinstance(m, measures.Measure)}
    known = listed | {measures.of_copies(m).name for m in (measures.PSNR, measures.SSIM)}
    parts = {part.name for part in measures.PARTS}
    for run in results.read(papers.find("extreme-vsr").published("mini")):
        assert {item.part for item in run.items} <= parts
        assert {name for item in run.items for name in item.scores} <= known
        assert mean_of(measures.PHOTOGRAPHS.name, measures.PSNR.name) in run.result.totals


def test_every_shot_is_of_a_part():
    assert {shot.part for shot in shots.listed()} <= {part.name for part in measures.PARTS}
