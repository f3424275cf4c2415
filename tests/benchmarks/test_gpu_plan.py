"""The plan for a GPU keeps what was finished, and names what was not."""

import json

from benchmarks.gpu_plan import LIMIT_S, PLAN, Part, run


def test_each_part_leaves_a_file_and_what_failed_or_had_no_time_is_named(tmp_path):
    plan = [
        Part("good", ("json.tool", "--help"), 30.0),
        Part("bad", ("json.tool", "no-such-file"), 30.0),
        Part("late", ("json.tool",), 900.0),
    ]
    assert run(tmp_path, plan, limit_s=100.0) == ["bad", "late"]
    found = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert found.keys() == {"good.run.json", "bad.run.json"}
    assert found["good.run.json"]["exit_code"] == 0
    assert "no-such-file" in found["bad.run.json"]["said"]


def test_the_whole_plan_fits_ten_minutes():
    assert sum(part.limit_s for part in PLAN) <= LIMIT_S < 600
