"""Laws of results for other programs: strict JSON, every claim, every run, the verdicts of the tables, equal bytes."""

import json

from typer.testing import CliRunner

from common import papers, results
from common.report import build, export
from common.run import cli

PAPER = papers.find("continual-pretraining")


def test_a_papers_file_holds_every_claim_verdict_and_run(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "none"))
    path = export.write(PAPER, tmp_path)
    first = path.read_bytes()
    assert export.write(PAPER, tmp_path).read_bytes() == first
    told = json.loads(first, parse_constant=lambda word: 1 / 0)  # NaN and Infinity are no JSON
    assert (told["format"], told["paper"], told["arxiv"]) == (1, PAPER.slug, "2107.13530")
    assert [claim["id"] for claim in told["claims"]] == [claim.id for claim in PAPER.claims]
    assert told["verdicts"]["published"] == json.loads(
        json.dumps(
            {s: [v.json() for v in vs] for s, vs in build.verdicts_of(PAPER, False, ("mini", "gpu")).items()}
        )
    )
    assert told["verdicts"]["yours"] == {}
    found = {(run["scale"], run["recipe"], run["seed"]): run for run in told["runs"]["published"]}
    for scale in ("mini", "gpu"):
        for run in results.read(PAPER.published(scale)):
            row = found.pop((scale, run.result.recipe, run.result.seed))
            assert (row["commit"], row["items_sha256"]) == (run.result.commit, run.result.items_sha256)
    assert found == {}


def test_a_file_where_the_folder_should_be_is_refused_before_any_work(tmp_path):
    (tmp_path / "taken").write_text("")
    done = CliRunner().invoke(cli, ["export", "--out", str(tmp_path / "taken")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{tmp_path / 'taken'} is a file" in done.stderr
