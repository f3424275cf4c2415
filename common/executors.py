"""Where runs are executed: as processes of this machine, or as jobs of a cluster through submitit.

Whoever watches the runs sees no difference: each can be asked whether it has ended, asked to save, and killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from common import papers, stopping
from common.errors import CommandError
from common.strict_json import parsed

LOCAL, SLURM, TRIAL = "local", "slurm", "submitit-local"
NAMES = (LOCAL, SLURM, TRIAL)
CLUSTER_LANES = 32  # jobs of one `reproduce` that a queue holds at once, unless `--jobs` says otherwise
# Of a job, a run goes on from its last checkpoint in the next one, so a limit costs a few steps and no run.
CLUSTER_DEFAULTS: Mapping[str, Any] = {"timeout_min": 240}
# glibc gives large blocks back to the system after every step and pays page faults to get them again; a training
# step on a CPU is faster when it keeps them.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


@runtime_checkable
class Started(Protocol):
    """A run under way."""

    @property
    def returncode(self) -> int | None:
        """Exit code; None until `poll` or `wait` saw the end."""

    def poll(self) -> int | None:
        """Exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Exit code once it has ended; `subprocess.TimeoutExpired` where that takes longer."""

    def stop(self) -> None:
        """Asks it to save and end."""

    def kill(self) -> None:
        """Ends it at once; it keeps its last checkpoint."""


@dataclass(frozen=True)
class RunCommand:
    """A run's command line, as a process of its own wherever this is called.

    Args:
        words: the command.
        log: file that its output is added to.
        threads: of the libraries that read their number before torch does.
    """

    words: tuple[str, ...]
    log: str
    threads: int
    running: list[subprocess.Popen[bytes]] = field(default_factory=list, compare=False, repr=False)

    def start(self) -> OwnProcess:
        threads = str(self.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads} | KEEP_MEMORY
        # Nothing is ever written to its stdin: the pipe ends with this process, and the run then stops.
        environment[stopping.OWNED] = "1"
        with open(self.log, "ab") as log:
            return OwnProcess(
                self.words, cwd=papers.ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment,
                stdin=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip

    def __call__(self) -> None:
        """Starts it and waits for its end, in a job of a cluster.

        Raises:
            CommandError: it ended with another code than 0.
        """
        process = self.start()
        self.running.append(process)
        # No blocking `wait`: it would hold the lock that a `wait` in a signal's handler asks for.
        while process.poll() is None:
            time.sleep(0.2)
        if code := process.returncode:
            raise CommandError(f"exit code {code}")

    def checkpoint(self) -> Any:
        """For submitit, before a job's time is up or when it must make room: the run saves, and is queued again."""
        from submitit.helpers import DelayedSubmission

        for process in self.running:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it has ended and was seen to
                os.killpg(process.pid, signal.SIGTERM)
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(replace(self, running=[]))


class OwnProcess(subprocess.Popen[bytes]):
    """A process that leads a group of its own; a stop reaches the whole group."""

    def stop(self) -> None:
        self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        if self.poll() is None:
            os.killpg(self.pid, number)


@dataclass
class ClusterJob:
    """A run as a job of a cluster; `job` is submitit's."""

    job: Any
    returncode: int | None = None
    stopped: bool = False

    def poll(self) -> int | None:
        if self.returncode is None and self.job.done():
            # One that was cancelled leaves no result, for which submitit would wait.
            self.returncode = 130 if self.stopped else int(self.job.exception() is not None)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"job {self.job.job_id}", timeout or 0.0)
            time.sleep(0.2)
        return cast(int, self.returncode)

    def stop(self) -> None:
        self.stopped = True
        self.job.cancel()

    def kill(self) -> None:
        self.stop()
        self.returncode = 130  # the cluster sees to the rest


@runtime_checkable
class Executor(Protocol):
    """Starts runs."""

    def lanes(self, jobs: int, fitting: int) -> int:
        """How many at once: as asked (`jobs` above 0), else as many as suit it; `fitting` fit on this machine."""

    def start(self, command: RunCommand, label: str, device: str) -> Started: ...


class Local:
    """Processes of this machine."""

    def lanes(self, jobs: int, fitting: int) -> int:
        return jobs or fitting

    def start(self, command: RunCommand, label: str, device: str) -> Started:
        return command.start()


class Cluster:
    """Jobs through submitit; `RUNS_ROOT` and `DATA_ROOT` must lie where every node sees them.

    Args:
        name: `slurm`, or `submitit-local`, which takes the same path with processes of this machine, to try it.
        folder: where submitit keeps its files.
        options: for submitit's `update_parameters`, as slurm_partition, slurm_account, timeout_min.

    Raises:
        CommandError: submitit is missing, there is no SLURM here, or an option is unknown.
    """

    def __init__(self, name: str, folder: Path, options: Mapping[str, Any]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise CommandError(
                f"--executor {name} needs submitit: pip install submitit, or the extra `cluster`"
            ) from error
        try:
            self.executor = submitit.AutoExecutor(folder, cluster="local" if name == TRIAL else name)
            self.executor.update_parameters(**{**CLUSTER_DEFAULTS, **options})
        except (RuntimeError, NameError, TypeError, ValueError) as error:
            raise CommandError(f"--executor {name}: {error}") from error

    def lanes(self, jobs: int, fitting: int) -> int:
        return jobs or CLUSTER_LANES

    def start(self, command: RunCommand, label: str, device: str) -> Started:
        self.executor.update_parameters(
            name=label.replace(" ", "-"),
            cpus_per_task=command.threads,
            gpus_per_node=int(device == "cuda"),
        )
        return ClusterJob(self.executor.submit(command))


def executor(name: str, options: Sequence[str] = ()) -> Executor:
    """By name.

    Args:
        options: KEY=VALUE for a cluster; values are JSON, or text where they are none.

    Raises:
        CommandError: unknown name, options without a cluster, an option that is no KEY=VALUE.
    """
    if name not in NAMES:
        raise CommandError(f"--executor must be one of {', '.join(NAMES)}, got {name!r}")
    if name == LOCAL:
        if options:
            raise CommandError(f"--cluster {options[0]} says something to a cluster; add --executor {SLURM}")
        return Local()
    pairs = [option.partition("=") for option in options]
    if wrong := [
        option for option, (key, _, value) in zip(options, pairs, strict=True) if not (key and value)
    ]:
        raise CommandError(f"--cluster must be KEY=VALUE, as slurm_partition=gpu, got {wrong[0]!r}")
    folder = papers.runs_root() / "jobs"
    return Cluster(name, folder, {key: _value(text) for key, _, text in pairs})


def _value(text: str) -> Any:
    try:
        return parsed(text)
    except ValueError:
        return text
