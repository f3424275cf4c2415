"""An arm at an edge of what was tried on dev is marked, and so is one that has its sibling's settings."""

import json

import pytest
from made_runs import made_run

from common.report.search_table import search_tables
from common.tuning import at_an_edge, choices

TRIED = [{"arm": "FINE_0", "peak_lr": rate, "optimiser.beta": 0.9} for rate in (0.001, 0.004, 0.002)]
OTHERS = {"dev": 1.0, "train_s": 1.0, "steps": 400, "settings": "c0ffee", "commit": "c0ffee"}


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "tuning-mini.json"
    path.write_text(json.dumps({"tried": [row | OTHERS for row in TRIED]}))
    return path


def run(recipe, rate, steps=400):
    return made_run(recipe, [], settings={"peak_lr": rate, "optimiser": {"beta": 0.9}, "steps": steps})


@pytest.mark.parametrize(
    ("rate", "edge"), [(0.001, "lowest"), (0.002, ""), (0.004, "highest"), (0.01, "highest")]
)
def test_the_chosen_value_lies_at_an_edge_or_inside(log, rate, edge):
    beta, peak = choices(log, [run("FINE_0", rate)])
    assert (peak.setting, peak.edge, peak.tried) == ("peak_lr", edge, (0.001, 0.002, 0.004))
    assert (beta.setting, beta.edge) == ("optimiser.beta", "")  # one value is no choice


def test_siblings_are_marked_together_and_strangers_not_at_all(log):
    found = choices(
        log, [run("FINE_0", 0.004), run("FINE_25", 0.004), run("COARSE_0", 0.004), run("WIDE", 0.004)]
    )
    expected = "at the edge of the search: FINE_0, FINE_25 (peak_lr 0.004, the highest of 3 tried)"
    assert at_an_edge(found, ("FINE_25", "FINE_0", "WIDE")) == expected
    assert at_an_edge(found, ("COARSE_0", "WIDE")) == ""


def test_other_steps_than_those_of_the_search_are_told(log):
    (table,) = search_tables(choices(log, [run("FINE_25", 0.002, steps=300)]))
    assert [cell.text for cell in table.rows[1]] == [
        "FINE_25",
        "FINE_0",
        "peak_lr",
        "0.002",
        "0.001, 0.002, 0.004",
        "400",
    ]
    assert table.rows[1][-1].note == "run at 300"


def test_no_search_no_table(tmp_path):
    assert choices(tmp_path / "tuning-mini.json", [run("FINE_0", 0.001)]) == []
    assert search_tables([]) == []
