"""Laws of executors: a run ends, fails, saves and goes on alike wherever it is executed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import HANG_S

from common import executors
from common.errors import CommandError
from common.executors import ClusterJob, Local, RunCommand, executor

# Ready, it waits; asked to save it says so; started again it finishes.
RESUMES = """
import os, signal, sys, time
from common import stopping
def save(*_):
    print("saved", flush=True)
    os._exit(130)
if "saved" in open({log!r}).read():
    print("went on")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
stopping.stop_with_the_owner()
print("ready", flush=True)
time.sleep({hang})
"""


AT_ONCE_S = 0.1


@pytest.fixture(autouse=True)
def _runs_here(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))


@pytest.fixture
def command(tmp_path):
    """Of a line of Python, or of the run that waits until it is asked to save."""
    log = tmp_path / "log.txt"
    log.touch()

    def make(code=None):
        code = code if code is not None else RESUMES.format(log=str(log), hang=HANG_S)
        return RunCommand((sys.executable, "-c", code), str(log), threads=1), log

    return make


def _wait_for(log, word):
    while word not in log.read_text():
        time.sleep(0.02)


@pytest.fixture(params=["local", "submitit-local"])
def anywhere(request):
    return executor(request.param)


def test_a_run_ends_and_its_words_are_in_its_log(anywhere, command):
    given, log = command("import os; print('threads', os.environ['OMP_NUM_THREADS'])")
    assert anywhere.start(given, "a run", "cpu").wait(HANG_S) == 0
    assert log.read_text() == "threads 1\n"


def test_a_failed_run_is_told_from_one_that_ended(anywhere, command):
    given, log = command("raise SystemExit('out of luck')")
    assert anywhere.start(given, "a run", "cpu").wait(HANG_S) != 0
    assert log.read_text() == "out of luck\n"


def test_a_run_that_is_asked_to_stop_saves(anywhere, command):
    given, log = command()
    started = anywhere.start(given, "a run", "cpu")
    _wait_for(log, "ready")
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(timeout=AT_ONCE_S)
    started.stop()
    _wait_for(log, "saved")
    assert started.wait(HANG_S) != 0


def test_a_job_whose_time_is_up_saves_and_is_queued_again(command):
    given, log = command()
    started = executor("submitit-local").start(given, "a run", "cpu")
    _wait_for(log, "ready")
    controller = started.job.job_id
    (task,) = Path(f"/proc/{controller}/task/{controller}/children").read_text().split()
    os.kill(int(task), signal.SIGUSR2)  # as a cluster does before it takes the machine away
    assert started.wait(HANG_S) == 0
    assert log.read_text().split("\n") == ["ready", "saved", "went on", ""]


def test_on_a_cluster_many_wait_in_the_queue_unless_told():
    assert executor("submitit-local").lanes(0, fitting=2) == executors.CLUSTER_LANES
    assert executor("submitit-local").lanes(3, fitting=2) == 3
    assert [Local().lanes(jobs, fitting=2) for jobs in (0, 3)] == [2, 3]


def test_options_reach_the_cluster_as_what_they_are(monkeypatch):
    updates = {}
    monkeypatch.setattr(
        "submitit.AutoExecutor.update_parameters", lambda self, **given: updates.update(given)
    )
    executor("submitit-local", ["timeout_min=30", "slurm_partition=gpu", 'slurm_setup=["module load cuda"]'])
    assert updates == {"timeout_min": 30, "slurm_partition": "gpu", "slurm_setup": ["module load cuda"]}


def test_a_gpu_and_the_threads_of_the_run_are_asked_for(monkeypatch, command):
    updates, jobs = {}, []
    cluster = executor("submitit-local")
    monkeypatch.setattr(cluster.executor, "update_parameters", lambda **given: updates.update(given))
    monkeypatch.setattr(cluster.executor, "submit", jobs.append)
    given, _ = command("")
    assert isinstance(cluster.start(given, "asr-adapters FULL seed 0", "cuda"), ClusterJob)
    assert updates == {"name": "asr-adapters-FULL-seed-0", "cpus_per_task": 1, "gpus_per_node": 1}
    assert jobs == [given]


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("pbs", [], "--executor must be one of local, slurm, submitit-local, got 'pbs'"),
        (
            "local",
            ["timeout_min=3"],
            "--cluster timeout_min=3 says something to a cluster; add --executor slurm",
        ),
        ("submitit-local", ["fast"], "--cluster must be KEY=VALUE, as slurm_partition=gpu, got 'fast'"),
        ("submitit-local", ["speed=9"], "speed"),
    ],
)
def test_what_no_executor_understands_is_refused(name, options, told):
    with pytest.raises(CommandError, match=told):
        executor(name, options)


@pytest.mark.skipif(
    any(os.access(os.path.join(p, "srun"), os.X_OK) for p in os.get_exec_path()), reason="SLURM"
)
def test_without_slurm_the_way_out_is_said():
    with pytest.raises(CommandError, match=r"--executor slurm: .*slurm"):
        executor("slurm")


def test_without_submitit_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(CommandError, match="needs submitit: pip install submitit"):
        executor("slurm")
