"""Laws of many runs: what is finished is kept, what fails is named, and a stop lets each save."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace

import pytest
from patience import HANG_S, started

from common import dashboard, orchestrate, papers
from common.errors import CommandError
from common.executors import Local, RunCommand
from common.orchestrate import Job, Lanes, run_all
from common.papers import Search
from common.verdicts import Verdict

PAPER = papers.find("extreme-vsr")
SAVES = "import signal,sys,time\ndef save(*_):\n signal.signal(signal.SIGTERM, signal.SIG_IGN)\n "  # as a training does
SAVES += "print('saved', flush=True)\n sys.exit(130)\nsignal.signal(signal.SIGTERM, save)\n"
SAVES += f"print('ready', flush=True); time.sleep({HANG_S})"
STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
STUBBORN += f"print('ready', flush=True); time.sleep({HANG_S})"


@dataclass
class Stub(Job):
    """A job whose process is a line of Python instead of a training."""

    code: str = ""

    def start(self, device, executor):
        self.folder.mkdir(parents=True, exist_ok=True)
        command = RunCommand((sys.executable, "-c", self.code), str(self.folder / "log.txt"), threads=1)
        self.process = executor.start(command, self.label, device)


@pytest.fixture(autouse=True)
def _runs_here(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))


def _jobs(*codes):
    recipe = PAPER.recipe("WIDE", "smoke")
    return [Stub(PAPER, "WIDE", recipe, "smoke", seed, code=code) for seed, code in enumerate(codes)]


def _said(job):
    return (job.folder / "log.txt").read_text()


def test_every_job_runs_and_a_failed_one_is_named_with_its_last_words(capsys):
    jobs = _jobs("print('a')", "print('x'); raise ValueError('out of luck')", "print('c')")
    with pytest.raises(
        CommandError, match=r"1 of 3 runs failed:\n  WIDE seed 1: ValueError: out of luck \(.*log\.txt\)"
    ):
        run_all(jobs, Lanes("cpu", 2))
    assert [_said(job)[0] for job in jobs] == ["a", "x", "c"]
    assert capsys.readouterr().out.count("finished") == 2


def test_no_more_run_side_by_side_than_there_are_lanes():
    line = "import time; print(time.time(), flush=True); time.sleep(0.7); print(time.time())"
    jobs = _jobs(line, line, line)
    run_all(jobs, Lanes("cpu", 2))
    times = [tuple(map(float, _said(job).split())) for job in jobs]
    assert times[2][0] >= min(end for _, end in times[:2])


@pytest.fixture
def ctrl_c_works():
    """Under `make test &` the shell has it ignored, and Python leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class StoppedAtItsStart(Stub):
    """A job that runs already when the stop comes, and whose process is not yet known."""

    def start(self, device, executor):
        super().start(device, executor)
        process, self.process = self.process, None
        while "ready" not in _said(self):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        self.process = process


def test_a_stop_while_a_run_is_being_started_lets_it_save_too():
    jobs = _jobs(SAVES, SAVES)
    jobs[0].__class__ = StoppedAtItsStart
    with pytest.raises(KeyboardInterrupt):
        run_all(jobs, Lanes("cpu", 2))
    assert _said(jobs[0]).split() == ["ready", "saved"]
    assert jobs[1].process is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_lets_every_run_save_and_starts_no_other(number, ctrl_c_works):
    jobs = _jobs(SAVES, SAVES, SAVES)
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)]

    def stop_once_both_run():
        while not all((job.folder / "log.txt").exists() and "ready" in _said(job) for job in jobs[:2]):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=stop_once_both_run, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_all(jobs, Lanes("cpu", 2))
    assert [_said(job).split() for job in jobs[:2]] == [["ready", "saved"]] * 2
    assert [job.process.returncode for job in jobs[:2]] == [130, 130]
    assert jobs[2].process is None
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)] == before


def test_a_run_that_does_not_stop_is_killed_after_the_limit():
    (job, ended) = _jobs(STUBBORN, "")
    for one in (job, ended):
        one.start("cpu", Local())
    ended.process.wait()
    while "ready" not in _said(job):
        time.sleep(0.02)
    assert orchestrate._stop([ended.process, job.process], limit_s=0.3) == 1
    assert (job.process.returncode, ended.process.returncode) == (-signal.SIGKILL, 0)


OWNED_RUN = "import os, signal, time; from common import stopping; "
OWNED_RUN += "signal.signal(signal.SIGTERM, lambda *_: (open(FILE, 'w').write('saved'), os._exit(130))); "
OWNED_RUN += f"stopping.stop_with_the_owner(); print('ready', flush=True); time.sleep({HANG_S})"


def test_a_run_ends_with_the_process_that_started_it_even_if_that_is_killed(tmp_path, monkeypatch):
    """The owner starts a run as `reproduce` does, and is killed without a word."""
    python = tmp_path / "python"
    code = OWNED_RUN.replace("FILE", repr(str(tmp_path / "saved")))
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c {shlex.quote(code)}\n")
    python.chmod(0o755)
    owner = "import sys, time; from common import papers; from common.orchestrate import Job; "
    owner += "from common.executors import Local; "
    owner += f"sys.executable = {str(python)!r}; paper = papers.find('extreme-vsr'); "
    owner += (
        "job = Job(paper, 'WIDE', paper.recipe('WIDE', 'smoke'), 'smoke', 0); job.start('cpu', Local()); "
    )
    owner += f"print(job.process.pid, flush=True); time.sleep({HANG_S})"
    with started([sys.executable, "-c", owner], stdout=subprocess.PIPE, cwd=papers.ROOT) as process:
        process.stdout.readline()
        (job,) = _jobs("")
        while not (job.folder / "log.txt").exists() or "ready" not in _said(job):
            time.sleep(0.02)
        process.kill()
    while not (tmp_path / "saved").exists():
        time.sleep(0.02)


def test_finished_runs_are_kept_and_the_others_run_seed_by_seed(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(Job, "finished", lambda self: self.recipe_name == "WIDE" and self.seed == 0)
    monkeypatch.setattr(orchestrate, "run_all", lambda left, lanes, ended: started.extend(left))
    orchestrate.reproduce(PAPER, scale="smoke", seeds=2, lanes=Lanes("cpu", 1))
    names, once = list(PAPER.at("smoke").recipes), list(PAPER.at("smoke").once)
    at_once = [name for name in names if PAPER.recipe(name, "smoke").steps == 0]
    assert {"BICUBIC", "LEAST_SQUARES", "SPAN_TWICE"} <= {*at_once} < {*names}
    trained = [name for name in names if name not in at_once]
    expected = [(name, seed) for part in (at_once, trained) for seed in (0, 1) for name in part]
    expected.remove(("WIDE", 0))
    expected += [(name, 0) for name in once]  # after all that claims read
    assert [(job.recipe_name, job.seed) for job in started] == expected
    assert f"1 of {2 * len(names) + len(once)} runs are finished and kept" in capsys.readouterr().out


def test_what_only_measures_goes_with_what_trains_nothing(monkeypatch):
    started = []
    monkeypatch.setattr(orchestrate, "run_all", lambda left, lanes, ended: started.extend(left))
    paper = papers.find("continual-pretraining")
    monkeypatch.setattr(Job, "finished", lambda self: False)
    monkeypatch.setattr(type(paper), "prepare", lambda self, scale: None)
    orchestrate.reproduce(paper, scale="mini", seeds=1, lanes=Lanes("cpu", 1))
    assert {job.recipe_name for job in started[:2]} == {"SOURCE", "COST"}


def test_a_claim_is_judged_when_the_last_run_that_it_reads_has_ended(monkeypatch, capsys):
    claims = {claim.id: claim for claim in PAPER.claims}
    both, alone = claims["trade-off"], claims["structure-x4"]
    paper = replace(PAPER, claims=(both, alone))
    made = [
        Job(paper, name, paper.recipe(name, "smoke"), "smoke", seed) for seed in (0, 1) for name in both.reads
    ]
    left = [*made, *(Job(paper, "BICUBIC", paper.recipe("BICUBIC", "smoke"), "smoke", s) for s in (0, 1))]
    found = [Verdict(claim=one.id, scale="mini", word="upheld", point=0.5) for one in paper.claims]
    monkeypatch.setattr(orchestrate, "judge", lambda claims, runs, scale: found)
    told = orchestrate.FirstVerdicts(paper, "mini", left)
    for job in made[:-1]:
        told(job)
    assert not capsys.readouterr().out
    told(made[-1])
    assert f"{both.id} upheld" in (lines := capsys.readouterr().out)
    assert alone.id not in lines.split()
    for job in left[len(made) :]:
        told(job)
    assert "structure-x4 upheld" in capsys.readouterr().out


def test_claims_that_read_no_run_to_come_are_not_told_again():
    recipe = PAPER.recipe("BICUBIC", "mini")
    told = orchestrate.FirstVerdicts(PAPER, "mini", [Job(PAPER, "BICUBIC", recipe, "mini", 0)])
    assert told.open
    assert all("BICUBIC" in claim.reads for claim in told.open)


def test_a_search_tries_every_combination_and_the_frozen_one_under_the_arms_name(monkeypatch):
    started = []
    frozen = PAPER.recipe("WIDE", "smoke")
    tried = {"peak_lr": (frozen.peak_lr, 0.5), "weight_decay": (frozen.weight_decay, 0.5)}
    search = Search(arms=("WIDE",), settings=tried, measure="textures/psnr/mean")
    paper = replace(PAPER, scales={"smoke": replace(PAPER.at("smoke"), search=search)})
    monkeypatch.setattr(orchestrate, "run_all", lambda left, lanes: started.extend(left))
    with pytest.raises(CommandError, match="WIDE seed 0 has no dev result"):
        orchestrate.tune(paper, scale="smoke", lanes=Lanes("cpu", 1))
    rates, decays = (
        (f"peak_lr={frozen.peak_lr}", "peak_lr=0.5"),
        (f"weight_decay={frozen.weight_decay}", "weight_decay=0.5"),
    )
    assert [job.arguments for job in started] == [
        (),
        (rates[0], decays[1]),
        (rates[1], decays[0]),
        (rates[1], decays[1]),
    ]
    assert started[0].folder_name == "WIDE"


@pytest.mark.parametrize("more_is_better", [False, True])
def test_a_search_that_climbs_ends_where_no_neighbour_is_better_and_tries_nothing_twice(
    monkeypatch, tmp_path, more_is_better
):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    ladders = {"peak_lr": (0.1, 0.2, 0.4, 0.8), "weight_decay": (0.0, 0.1, 0.2)}
    search = Search(
        arms=("WIDE", "EVESRNET"),
        settings=ladders,
        measure="m",
        start=(0.2, 0.0),
        more_is_better=more_is_better,
    )
    paper = replace(PAPER, scales={"smoke": replace(PAPER.at("smoke"), search=search)})
    best = {"WIDE": (0.8, 0.1), "EVESRNET": (0.2, 0.0)}
    started = []

    def tried(job, search):
        values = (job.recipe.peak_lr, job.recipe.weight_decay)
        aim = best[job.recipe_name]
        off = sum(
            abs(ladder.index(v) - ladder.index(a))
            for ladder, v, a in zip(ladders.values(), values, aim, strict=True)
        )
        return {"arm": job.recipe_name, "at": values, "dev": float(-off if more_is_better else off)}

    monkeypatch.setattr(orchestrate, "run_all", lambda left, lanes: started.extend(left))
    monkeypatch.setattr(orchestrate, "_tried", tried)
    orchestrate.tune(paper, scale="smoke", lanes=Lanes("cpu", 1))
    rows = json.loads((paper.own("smoke") / "tuning-smoke.json").read_text())["tried"]
    assert len(started) == len(rows) == len({(row["arm"], *row["at"]) for row in rows})
    at = {arm: {tuple(row["at"]) for row in rows if row["arm"] == arm} for arm in best}
    assert at["EVESRNET"] == {
        (0.2, 0.0),
        (0.1, 0.0),
        (0.4, 0.0),
        (0.2, 0.1),
    }  # all sides of its best, no more
    assert {(0.8, 0.1), (0.4, 0.1), (0.8, 0.0), (0.8, 0.2)} <= at["WIDE"]
    with pytest.raises(ValueError, match=r"start must be a combination of what is tried, got \(0.3, 0.0\)"):
        replace(search, start=(0.3, 0.0))


def test_a_search_leaves_out_what_says_nothing_of_an_arm(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    tried = {"peak_lr": (0.1, 0.2, 0.4), "weight_decay": (0.0, 0.1)}
    search = Search(
        arms=("WIDE", "EVESRNET"),
        settings=tried,
        measure="m",
        start=(0.2, 0.1),
        without={"EVESRNET": ("weight_decay",)},
    )
    assert search.of("WIDE") == replace(search, arms=("WIDE",))
    assert (search.of("EVESRNET").start, search.of("EVESRNET").beside((0.2,))) == ((0.2,), [(0.1,), (0.4,)])
    started = []
    monkeypatch.setattr(orchestrate, "run_all", lambda left, lanes: started.extend(left))
    monkeypatch.setattr(orchestrate, "_tried", lambda job, search: {"arm": job.recipe_name, "dev": 1.0})
    for one in (search, replace(search, start=None)):
        started.clear()
        paper = replace(PAPER, scales={"smoke": replace(PAPER.at("smoke"), search=one)})
        orchestrate.tune(paper, scale="smoke", lanes=Lanes("cpu", 1))
        frozen = PAPER.recipe("EVESRNET", "smoke").weight_decay
        assert {job.recipe.weight_decay for job in started if job.recipe_name == "EVESRNET"} == {frozen}
        assert {job.recipe.weight_decay for job in started if job.recipe_name == "WIDE"} == {0.0, 0.1}
        assert sorted(job.recipe.peak_lr for job in started if job.recipe_name == "EVESRNET") == [
            0.1,
            0.2,
            0.4,
        ]


def test_a_search_of_one_arm_keeps_the_committed_rows_of_the_others(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    search = Search(arms=("WIDE", "EVESRNET"), settings={"peak_lr": (0.5,)}, measure="m")
    paper = replace(PAPER, folder=tmp_path, scales={"smoke": replace(PAPER.at("smoke"), search=search)})
    (tmp_path / "results").mkdir()
    rows = [{"arm": "WIDE", "dev": 1.0}, {"arm": "EVESRNET", "dev": 2.0}]
    (tmp_path / "results" / "tuning-smoke.json").write_text(json.dumps({"tried": rows}))
    monkeypatch.setattr(orchestrate, "run_all", lambda left, lanes: None)
    monkeypatch.setattr(orchestrate, "_tried", lambda job, search: {"arm": job.recipe_name, "dev": 3.0})
    orchestrate.tune(paper, scale="smoke", lanes=Lanes("cpu", 1), arms=["WIDE"])
    log = json.loads((paper.own("smoke") / "tuning-smoke.json").read_text())
    assert log["tried"] == [{"arm": "EVESRNET", "dev": 2.0}, {"arm": "WIDE", "dev": 3.0}]
    with pytest.raises(ValueError, match="arms must be of WIDE, EVESRNET, got NARROW"):
        orchestrate.tune(paper, scale="smoke", lanes=Lanes("cpu", 1), arms=["NARROW"])


def test_a_scale_without_a_search_says_so():
    with pytest.raises(ValueError, match="extreme-vsr searches nothing at scale paper"):
        orchestrate.tune(PAPER, scale="paper", lanes=Lanes("cpu"))


def test_lanes_are_as_asked_else_what_the_cores_carry(monkeypatch):
    recipe = PAPER.recipe("WIDE", "smoke")
    assert Lanes("cpu", 3).count(recipe) == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    assert Lanes("cpu").count(recipe) == 4 // recipe.threads


def test_steps_done_are_read_past_a_cut_line():
    (job,) = _jobs("")
    assert job.steps_done() == 0
    job.folder.mkdir(parents=True)
    (job.folder / "journal.jsonl").write_text('{"event": "train", "step": 3}\n{"event": "tra')
    assert job.steps_done() == 3


def test_the_dashboard_shows_every_journal(capsys, tmp_path):
    for job, event in zip(_jobs("", ""), ("end", "diverged"), strict=True):
        job.folder.mkdir(parents=True)
        (job.folder / "journal.jsonl").write_text(
            '{"event": "train", "step": 3, "loss": 0.25}\n' + f'{{"event": "{event}", "step": 4}}\n'
        )
    dashboard.show(upload=False)
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("WIDE", "0.25", "finished", "diverged"))


def test_one_papers_failure_does_not_stop_the_others(monkeypatch, capsys):
    from typer.testing import CliRunner

    from common import run
    from common.report import build

    tried = []

    def fails_once(paper, **others):
        tried.append(paper.slug)
        if len(tried) == 1:
            raise CommandError("1 of 3 runs failed")

    monkeypatch.setattr(orchestrate, "reproduce", fails_once)
    monkeypatch.setattr(build, "show_claims", lambda chosen, scale: None)
    monkeypatch.setattr(build, "write_page", lambda chosen: "page")
    told = CliRunner().invoke(run.cli, ["reproduce", "--scale", "smoke"])
    assert tried == list(papers.papers())
    assert (told.exit_code != 0, "report: page" in told.output) == (True, True)
    assert f"{tried[0]}: 1 of 3 runs failed" in told.output
