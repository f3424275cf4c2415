"""Laws of the command line: exit codes, errors that list what is known, and the path from files to verdicts."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
import toy_recipe
from patience import HANG_S
from typer.testing import CliRunner

from common import checkpoint, papers, results, run
from common.errors import Diverged, Interrupted
from common.report import build

PAPER = papers.find("extreme-vsr")


@pytest.fixture(autouse=True)
def _runs_here(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")


def _call(*arguments):
    """(exit code, everything said)."""
    done = CliRunner().invoke(run.cli, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def _train(*more):
    return _call("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--device", "cpu", *more)


def test_list_shows_every_paper_recipe_and_scale():
    code, said = _call("list")
    assert code == 0
    for paper in papers.papers().values():
        assert paper.slug in said
    for scale in papers.SCALES:
        assert all(name in said for name in PAPER.at(scale).recipes)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--set", "leaning_rate=1"), 2, "peak_lr"),
        (("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--set", "steps=many"), 2, "got 'many'"),
        (("train", "extreme-vsr", "WIDER", "--scale", "smoke"), 2, "EVESRNET"),
        (
            ("train", "extreme-vsr", "WIDE", "--scale", "huge"),
            2,
            "smoke, mini, night, gpu, paper, got 'huge'",
        ),
        (("train", "no-such-paper", "WIDE"), 2, "unknown paper 'no-such-paper'; known: asr-adapters"),
        (("score", "extreme-vsr", "WIDE", "--scale", "smoke"), 2, "holds no finished weights; train first"),
        (("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--resume", "must"), 2, "--resume auto"),
        (("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--resume", "yes"), 2, "got 'yes'"),
        (("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--device", "gpu"), 2, "got 'gpu'"),
    ],
)
def test_an_error_of_the_user_is_one_sentence_with_the_way_out(arguments, code, told):
    found, said = _call(*arguments)
    assert (found, told in said) == (code, True), said
    assert "Traceback" not in said


def test_an_exploding_run_exits_with_a_code_of_its_own():
    code, said = _train("--set", "peak_lr=1e30")
    assert code == Diverged.exit_code == 4
    assert "items: texture-" in said
    assert not list(PAPER.own("smoke").rglob("weights.safetensors"))


def test_train_and_score_lead_from_files_to_a_result_and_claims(tmp_path):
    code, said = _train("--score")
    assert (code, "fresh run of 4 steps" in said) == (0, True), said
    (found,) = results.read(PAPER.own_results("smoke"))
    assert (found.result.recipe, found.result.seed, len(found.items)) == ("WIDE", 0, 2)
    assert str(tmp_path) in said
    code, said = _call("claims", "extreme-vsr", "--scale", "smoke", "--json")
    told = json.loads(said)
    assert (code, list(told), told["extreme-vsr"]["published"]) == (0, ["extreme-vsr"], [])
    rulings = json.dumps(told).lower()
    assert "upheld" not in rulings
    assert "refuted" not in rulings


def test_a_run_with_other_settings_has_a_name_of_its_own():
    assert _train("--set", "steps=1", "--score")[0] == 0
    (found,) = results.read(PAPER.own_results("smoke"))
    assert found.result.recipe == f"WIDE-set-{found.result.settings_hash}"
    assert found.result.settings["steps"] == 1


def test_stale_tables_fail_verify_with_code_one_and_nothing_else_is_said(monkeypatch):
    monkeypatch.setattr(build, "stale_tables", lambda papers: ["README.md: table 'x' is stale"])
    assert _call("verify") == (1, "README.md: table 'x' is stale\n")
    monkeypatch.setattr(build, "stale_tables", lambda papers: [])
    assert _call("verify")[0] == 0


def test_our_own_faults_keep_their_traceback(monkeypatch):
    def broken(*arguments, **more):
        raise AssertionError("ours")

    monkeypatch.setattr(build, "claims_json", broken)
    done = CliRunner().invoke(run.cli, ["claims", "--json", "--scale", "smoke"])
    assert isinstance(done.exception, AssertionError)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_training_exits_with_130_and_the_same_line_goes_on(tmp_path, number):
    line = ("train", "extreme-vsr", "WIDE", "--scale", "smoke", "--device", "cpu", "--set", "steps=100000")
    process = toy_recipe.start_command(tmp_path, *line)
    try:
        (folder,) = _appears(lambda: list(PAPER.own("smoke").glob("WIDE-set-*/seed0")), process.is_alive)
        toy_recipe.wait_for(folder, 2, process.is_alive)
        os.kill(process.pid, number)
        process.join(HANG_S)
        assert process.exitcode == Interrupted.exit_code == 130, (tmp_path / "said.txt").read_text()
    finally:
        process.kill()
    step = checkpoint.newest(folder / "checkpoints").state["step"]
    again = toy_recipe.start_command(tmp_path, *line)
    try:
        toy_recipe.wait_for(folder, step + 1, again.is_alive)
        assert f"resumed step {step} from" in (tmp_path / "said.txt").read_text()
    finally:
        again.kill()


def _appears(look, alive):
    while not (found := look()):
        assert alive()
        time.sleep(0.05)
    return found


def _reproduce(tmp_path, *more):
    command = [
        sys.executable,
        "-m",
        "common.run",
        "reproduce",
        "extreme-vsr",
        "--scale",
        "smoke",
        "--device",
        "cpu",
    ]
    return subprocess.Popen(
        [*command, *more], cwd=papers.ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow  # every recipe in a process of its own
def test_reproduce_runs_all_once_and_keeps_all_the_second_time(tmp_path):
    first = _reproduce(tmp_path)
    said, _ = first.communicate(timeout=HANG_S)
    assert first.returncode == 0, said
    number = len(PAPER.at("smoke").reproduced)
    assert {run.result.recipe for run in results.read(PAPER.own_results("smoke"))} == set(
        PAPER.at("smoke").reproduced
    )
    written = {path: path.stat().st_mtime_ns for path in PAPER.own_results("smoke").iterdir()}
    assert (tmp_path / "report" / "index.html").stat().st_size > 1000
    before = _seconds_of_children()
    second = _reproduce(tmp_path)
    said, _ = second.communicate(timeout=HANG_S)
    assert _seconds_of_children() - before < 60  # of a core; the clock of a busy machine says nothing
    assert f"{number} of {number} runs are finished and kept" in said
    assert {path: path.stat().st_mtime_ns for path in PAPER.own_results("smoke").iterdir()} == written


@pytest.mark.slow
def test_ctrl_c_during_reproduce_leaves_no_process_and_the_same_line_goes_on(tmp_path):
    process = _reproduce(tmp_path, "--jobs", "2")
    _appears(lambda: list(PAPER.own("smoke").rglob("log.txt")), lambda: process.poll() is None)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=HANG_S)
    assert process.returncode == Interrupted.exit_code, said
    assert "stopping: every run is asked to save" in said
    assert "RUNS_ROOT=" + str(tmp_path) not in _environments()
    again = _reproduce(tmp_path)
    assert again.wait(HANG_S) == 0
    assert len(results.read(PAPER.own_results("smoke"))) == len(PAPER.at("smoke").reproduced)


@pytest.mark.slow
def test_a_killed_reproduce_leaves_no_process_and_the_same_line_ends_as_an_unbroken_one(
    tmp_path, monkeypatch
):
    process = _reproduce(tmp_path, "--jobs", "2")
    _appears(lambda: list(PAPER.own("smoke").rglob("journal.jsonl")), lambda: process.poll() is None)
    process.kill()
    again = _reproduce(tmp_path, "--jobs", "2")  # at once
    said, _ = again.communicate(timeout=HANG_S)
    assert again.returncode == 0, said
    assert "RUNS_ROOT=" + str(tmp_path) not in _environments()
    killed = _raw_scores()
    assert len(killed) == len(PAPER.at("smoke").reproduced)
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "unbroken"))
    assert _reproduce(tmp_path, "--jobs", "2").wait(HANG_S) == 0
    assert _raw_scores() == killed


def _raw_scores():
    """{run: hash of the raw scores of every test item}."""
    return {run.result.name: run.result.items_sha256 for run in results.read(PAPER.own_results("smoke"))}


def _seconds_of_children():
    """That every process which ended took of the cores so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environments():
    """Environments of every other process that runs this project."""
    texts = []
    for folder in os.scandir("/proc"):
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                with (
                    open(f"/proc/{folder.name}/cmdline", "rb") as line,
                    open(f"/proc/{folder.name}/environ", "rb") as env,
                ):
                    texts += [env.read().decode(errors="replace")] if b"common.run" in line.read() else []
            except OSError:  # ended, or somebody else's
                continue
    return "\n".join(texts)
