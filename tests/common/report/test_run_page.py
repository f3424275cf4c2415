"""Laws of a run's page: everything that the result knows is on it, its files are the very ones, and text is text."""

import shutil

import pytest

from common import papers, results
from common.journal import Journal
from common.report import run_page
from common.results import Result

PAPER = papers.find("continual-pretraining")
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(autouse=True)
def _no_runs_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "own"))


@pytest.fixture
def published():
    return next(run for run in results.readable(PAPER.published("gpu")) if run.result.versions)


def test_settings_environment_and_hashes_are_on_the_page(tmp_path, published):
    link = run_page.write(tmp_path, PAPER, "gpu", published, own=False)
    text, result = (tmp_path / link).read_text(), published.result
    for wanted in (
        *(key for key, _ in run_page.flat(result.settings)),
        *result.versions,
        result.hardware["cpu"],
        *(
            result.commit,
            result.settings_hash,
            result.manifest_sha256,
            result.lock_sha256,
            result.items_sha256,
        ),
    ):
        assert wanted in text
    assert f"--scale gpu --seed {result.seed} --score" in text


def test_files_beside_the_page_are_the_published_ones(tmp_path, published):
    page = tmp_path / run_page.write(tmp_path, PAPER, "gpu", published, own=False)
    for name in (f"{published.result.name}.json", published.result.items_file):
        assert page.with_name(name).read_bytes() == (PAPER.published("gpu") / name).read_bytes()
        assert f'href="{name}"' in page.read_text()


def test_an_own_run_shows_its_log_and_its_curves(tmp_path, published):
    shutil.copytree(PAPER.published("gpu"), PAPER.own_results("gpu"))
    journal = PAPER.run_folder("gpu", published.result.recipe, published.result.seed) / "journal.jsonl"
    with Journal(journal) as log:
        for step in range(3):
            log.log(step, {"loss": 3.0 - step}, note=HOSTILE)
    page = tmp_path / run_page.write(tmp_path, PAPER, "gpu", published, own=True)
    text = page.read_text()
    assert '<polyline points="0.0,0.0 50.0,20.0 100.0,40.0"' in text
    assert "loss: 3.00 at step 0, 1.00 at step 2" in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert page.with_name(f"{published.result.name}.journal.jsonl").read_bytes() == journal.read_bytes()


def test_a_long_curve_keeps_its_ends():
    rows = [{"event": "train", "step": step, "time": 1.0, "loss": float(step)} for step in range(1001)]
    (curve,) = run_page.curves(rows)
    points = curve.points.split()
    assert (points[0], points[-1]) == ("0.0,40.0", "100.0,0.0")
    assert len(points) <= run_page.MOST_POINTS + 1


def test_a_persons_own_settings_are_made_by_no_line_of_ours(published):
    result: Result = published.result
    assert run_page.command(PAPER, "gpu", result)
    assert run_page.command(PAPER, "nowhere", result) == ""


def test_every_run_has_a_page_that_a_table_leads_to(tmp_path):
    (table,) = run_page.write_every(tmp_path, PAPER, "gpu")
    links = {cell.link for row in table.rows for cell in row if cell.link}
    assert len(links) == len(results.readable(PAPER.published("gpu")))
    assert all((tmp_path / link).is_file() for link in links)
