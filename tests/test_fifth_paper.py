"""The worked example of a further paper: a hundred lines, every verb, and the verdict that its own paper has."""

import json

import pytest
from typer.testing import CliRunner

from common import papers, run
from common.papers import ROOT
from examples.fifth_paper import ARMS, PAPER


@pytest.fixture(autouse=True)
def listed(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    every = {**papers.papers(), PAPER.slug: PAPER}
    monkeypatch.setattr(papers, "papers", lambda: every)


def invoke(*words):
    done = CliRunner().invoke(run.cli, list(words))
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    return done.output


def test_it_has_a_hundred_lines():
    lines = (ROOT / "examples" / "fifth_paper.py").read_text(encoding="utf-8").splitlines()
    assert sum(1 for line in lines if line.strip()) <= 100


def test_it_is_judged_like_the_others():
    """Training, scoring and judging in this process; `reproduce` does the same in processes of its own."""
    for name in ARMS:
        for seed in range(3):
            invoke("train", PAPER.slug, name, "--seed", str(seed), "--score")
    (verdict,) = json.loads(invoke("claims", PAPER.slug, "--json"))[PAPER.slug]["yours"]
    assert (verdict["word"], verdict["num_seeds"], verdict["num_groups"]) == ("upheld", 3, 10)
    assert "PLAIN" in invoke("list", "--paper", PAPER.slug)


def test_a_setting_is_overridden_and_told_apart():
    told = invoke(
        "train", PAPER.slug, "DEEP", "--scale", "smoke", "--set", "depth=60", "--score", "--split", "dev"
    )
    assert "DEEP-set-" in told
