"""One odd file among results or runs is named and passed over by every view; what is published is never passed over."""

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from common import dashboard, journal, papers, results, run
from common.orchestrate import Job
from common.report import build

PAPER = papers.find("extreme-vsr")
ODD = {
    "a foreign file": lambda folder, sound: (folder / "package.json").write_text('{"name": "foreign"}'),
    "half a result": lambda folder, sound: (folder / "WIDE.seed7.json").write_bytes(sound.read_bytes()[:200]),
    "a copy": lambda folder, sound: shutil.copy(sound, folder / "WIDE.seed0 copy.json"),
    "no JSON": lambda folder, sound: (folder / "WIDE.seed8.json").write_bytes(b"\xff\xfe"),
    "a number": lambda folder, sound: (folder / "WIDE.seed9.json").write_text("5"),
    "a deep one": lambda folder, sound: (folder / "deep.json").write_text("[" * 100_000),
    "a folder": lambda folder, sound: (folder / "more.json").mkdir(),
}


def _call(*arguments):
    done = CliRunner().invoke(run.cli, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.fixture
def sound(tmp_path, monkeypatch):
    """A finished run of today's recipe, whose result is sound."""
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    arguments = ("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--device", "cpu", "--score")
    kept = _KEPT.setdefault("runs", tmp_path)
    if kept == tmp_path:
        code, said = _call(*arguments)
        assert code == 0, said
        shutil.copytree(tmp_path, tmp_path.parent / "kept-runs")
        _KEPT["runs"] = tmp_path.parent / "kept-runs"
    else:
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    (path,) = PAPER.own_results("smoke").glob("WIDE.seed0.json")
    return path


_KEPT = {}  # one training serves all


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_result_is_named_once_and_no_row_is_lost(sound, capfd, odd):
    ODD[odd](sound.parent, sound)
    for command in (("list", "--scale", "smoke"), ("claims", "extreme-vsr", "--scale", "smoke")):
        results.name_odd.cache_clear()
        code, said = _call(*command)
        assert (code, said.count("passed over: ")) == (0, 1), said
    assert [found.result.name for found in PAPER.evidence("smoke", own=True)] == ["WIDE.seed0"]
    assert Job(PAPER, "WIDE", PAPER.recipe("WIDE", "smoke"), "smoke", 0).finished()
    assert build.current_names(PAPER, "smoke") == ["WIDE"]


@pytest.mark.parametrize("damage", ["half a result", "half the raw scores"])
def test_a_damaged_result_is_named_and_scored_again(sound, capfd, damage):
    path = sound if damage == "half a result" else sound.with_name("WIDE.seed0.items.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-30])
    assert not Job(PAPER, "WIDE", PAPER.recipe("WIDE", "smoke"), "smoke", 0).finished()
    assert f"passed over: {path}" in capfd.readouterr().err
    code, said = _call("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--device", "cpu", "--score")
    assert (code, "is left as it is" in said) == (0, True), said  # the weights, not the result
    assert results.read_run(sound).result.test_opened == 2


@pytest.mark.parametrize("odd", ["half a result", "a copy", "a foreign file"])
def test_verify_and_publish_stop_at_a_damaged_published_file(sound, tmp_path, monkeypatch, odd):
    published = tmp_path / "paper" / "results" / "smoke"
    shutil.copytree(sound.parent, published)
    ODD[odd](published, published / sound.name)
    paper = replace(PAPER, folder=tmp_path / "paper")
    with pytest.raises(ValueError, match=r"not a result file|a copy of"):
        build.stale_tables([paper])
    with pytest.raises(ValueError, match=r"not a result file|a copy of"):
        results.publish(sound.parent, published)


def test_odd_folders_and_journals_of_runs_are_passed_over(sound, capfd):
    folder = PAPER.run_folder("smoke", "WIDE", 0)
    whole = journal.read(folder / "journal.jsonl")
    sound_rows = (folder / "journal.jsonl").read_bytes()
    with open(folder / "journal.jsonl", "wb") as file:
        file.write(
            b"[" * 99_999 + b"\n" + sound_rows + b'5\n[]\nnull\n"x"\n{"step": 1}\n{"event": "train"}\n'
        )
        file.write(b'{"event": "train", "step": "x"}\n\xff\xfe\n')
    assert journal.read(folder / "journal.jsonl") == whole
    for name in ("seed0 copy", "seed0.bak", "seed"):
        shutil.copytree(folder, folder.with_name(name))
    (folder / "former-1").mkdir()
    shutil.copy(folder / "journal.jsonl", folder / "former-1")
    assert [(name, seed) for name, seed, _ in PAPER.begun("smoke")] == [("WIDE", 0)]
    dashboard.show(upload=False)
    said = capfd.readouterr()
    assert said.out.count("finished") == 1
    assert said.err.count("is no run of ours, which would be named seedN") == 3
    build._training_figures(PAPER, build._Shown("smoke", [], own=True))
    job = Job(PAPER, "WIDE", PAPER.recipe("WIDE", "smoke"), "smoke", 0)
    assert job.steps_done() == whole[-1]["step"]


def test_a_damaged_count_of_openings_is_a_sentence(sound):
    path = PAPER.run_folder("smoke", "WIDE", 0) / "opened.json"
    for content in ("", "[]", '{"test": null}', "5"):
        path.write_text(content)
        code, said = _call("score", "extreme-vsr", "WIDE", "--scale", "smoke", "--device", "cpu")
        assert (code, f"{path} is damaged" in said) == (2, True), said


# ---- what there is, as a list


def test_a_list_fits_a_narrow_terminal_and_cuts_no_name(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    code, said = _call("list")
    assert code == 0
    assert max(map(len, said.splitlines())) <= 80
    for paper in papers.papers().values():
        for scale, preset in paper.scales.items():
            block = said.split(f"{paper.slug} at {scale}\n")[1].split("\n\n")[0].splitlines()
            assert [line.split()[0] for line in block] == list(preset.every_recipe)


def test_a_list_is_of_what_was_asked_for(sound):
    code, said = _call("list", "--paper", "extreme-vsr", "--scale", "smoke", "--json")
    rows = json.loads(said)
    assert (code, [row["recipe"] for row in rows]) == (0, list(PAPER.at("smoke").every_recipe))
    assert {row["recipe"]: row["yours"] for row in rows}["WIDE"] == [0]
    assert rows[0].keys() == {"paper", "scale", "recipe", "steps", "cost_s", "yours", "published"}
    assert _call("list", "--paper", "no-such")[0] == 2
    assert _call("list", "--scale", "big") == (
        2,
        "error: scale must be one of smoke, mini, night, gpu, paper, got 'big'\n",
    )
