"""Without wandb, fairseq, soundfile, av and jiwer training and judging still run: what is hidden is not importable."""

import json
import os
import subprocess
import sys

import pytest
from patience import HANG_S
from repository import PAPERS, ROOT
from typer.testing import CliRunner

from common import papers, results, run

HIDDEN = ("wandb", "fairseq", "soundfile", "av", "jiwer")


def call(folder, hidden, *words):
    """A command of `reproduce` in a process of its own, and in all that it starts, without some packages."""
    path = (str(ROOT / "tests" / "fixtures" / "hidden"), str(ROOT))
    places = {"PYTHONPATH": os.pathsep.join(path), "RUNS_ROOT": str(folder / "runs")}
    places |= {
        "DATA_ROOT": str(folder / "data"),
        "HIDDEN_PACKAGES": ",".join(hidden),
        "WANDB_MODE": "offline",
    }
    done = subprocess.run(
        [sys.executable, "-m", "common.run", *words],
        cwd=ROOT, env=os.environ | places, capture_output=True, text=True, timeout=HANG_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_hidden_cannot_be_imported(name, monkeypatch):
    monkeypatch.setenv("HIDDEN_PACKAGES", name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "fixtures" / "hidden"))
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], capture_output=True, text=True, check=False
    )
    assert "it is hidden" in done.stderr


def test_a_recogniser_is_trained_watched_on_dev_and_scored_without_any_of_them(tmp_path, monkeypatch):
    for name in HIDDEN:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    name = next(iter(papers.find("asr-adapters").at("smoke").recipes))
    words = ["train", "asr-adapters", name, "--scale", "smoke", "--device", "cpu", "--score"]
    done = CliRunner().invoke(run.cli, [*words, "--set", "dev_every=1"])
    assert done.exit_code == 0, done.output
    assert "W&B is left out of this run, the journal has everything" in done.output
    (result,) = (tmp_path / "runs").rglob("results/*.json")
    journal = [json.loads(row) for row in next((tmp_path / "runs").rglob("journal.jsonl")).open()]
    assert any("dev" in key for row in journal for key in row if row["event"] == "train")
    assert any("word_errors" in item.scores for item in results.read_run(result).items)


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [HIDDEN, *((name,) for name in HIDDEN)], ids=",".join)
@pytest.mark.parametrize("slug", PAPERS)
def test_every_paper_is_reproduced_and_judged_without_them(tmp_path, slug, hidden):
    call(tmp_path, hidden, "reproduce", slug, "--scale", "smoke", "--device", "cpu")
    told = json.loads(call(tmp_path, hidden, "claims", slug, "--scale", "smoke", "--json").stdout)
    assert len(told[slug]["yours"]) == len(papers.find(slug).claims)
    call(tmp_path, hidden, "report")
