"""Many runs as one job: which are left, two side by side, how long it will still take."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from common import journal, papers, results, stopping
from common.errors import CommandError
from common.files import write_atomically
from common.papers import Paper, Search
from common.progress import Bar, progress
from common.recipe import Experiment, Recipe, name_of
from common.settings import override

# glibc gives large blocks back to the system after every step and pays page faults to get them again; a training
# step on a CPU is faster when it keeps them.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


@dataclass
class Job:
    """One recipe with one seed, in a process of its own."""

    paper: Paper
    recipe_name: str
    recipe: Experiment
    scale: str
    seed: int
    arguments: tuple[str, ...] = ()
    split: str = "test"
    process: subprocess.Popen[bytes] | None = None
    log: TextIO | None = None
    folder_name: str = field(default="")

    def __post_init__(self) -> None:
        self.folder_name = self.folder_name or self.recipe_name

    @property
    def label(self) -> str:
        return f"{self.folder_name} seed {self.seed}"

    @property
    def folder(self) -> Path:
        return self.paper.run_folder(self.scale, self.folder_name, self.seed)

    def finished(self) -> bool:
        """There is a result of these settings, on these data."""
        found = self.paper.finished(self.folder_name, self.recipe, self.scale, self.seed, self.split)
        return found is not None

    @property
    def steps(self) -> int:
        """Training steps; 0 where nothing is trained."""
        return self.recipe.steps if isinstance(self.recipe, Recipe) else 0

    def start(self, device: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = open(self.folder / "log.txt", "a", encoding="utf-8")  # noqa: SIM115
        command = [
            sys.executable, "-m", "common.run", "train", self.paper.slug, self.recipe_name, "--scale", self.scale,
            "--seed", str(self.seed), "--device", device, "--score", "--split", self.split, "--resume", "replace",
        ]  # fmt: skip
        for assignment in self.arguments:
            command += ["--set", assignment]
        threads = str(self.recipe.threads)
        # Libraries read these before torch does, and two runs would otherwise fight for the same cores.
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads} | KEEP_MEMORY
        # Nothing is ever written to its stdin: the pipe ends with this process, and the run then stops.
        environment[stopping.OWNED] = "1"
        self.process = subprocess.Popen(
            command, cwd=papers.ROOT, stdout=self.log, stderr=subprocess.STDOUT, env=environment,
            stdin=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def steps_done(self) -> int:
        path = self.folder / "journal.jsonl"
        if not path.exists():
            return 0
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 2000))
            lines = file.read().splitlines()
        steps = (int(row["step"]) for line in reversed(lines) if (row := journal.row(line)) is not None)
        return next(steps, 0)

    @property
    def work(self) -> float:
        """Seconds, as its recipe says; 1 where it does not."""
        return self.recipe.cost_s or 1.0

    def work_left(self) -> float:
        done = self.steps_done() / self.steps if self.process and self.steps else 0.0
        return self.work * (1 - 0.8 * done)  # scoring is about a fifth of a run


def side_by_side(jobs: int, recipe: Experiment, device: str) -> int:
    """How many runs fit: as asked, else one a GPU or as many as the cores carry."""
    if jobs:
        return jobs
    from common.runtime import find_device

    if find_device(device).kind == "cuda":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // recipe.threads) if hasattr(os, "sched_getaffinity") else 2


def reproduce(paper: Paper, *, scale: str, seeds: int, device: str, jobs: int) -> None:
    """Every recipe of a scale with every seed; finished ones are kept, interrupted ones go on.

    Raises:
        CommandError: some runs failed; the others are done, and each failure is named with its last words.
    """
    preset = paper.at(scale)
    started = time.monotonic()
    paper.prepare(scale)
    wanted = [
        Job(paper, name, recipe, scale, seed)
        for seed in range(seeds)
        for name, recipe in preset.recipes.items()
    ]
    wanted += [Job(paper, name, recipe, scale, 0) for name, recipe in preset.once.items()]
    left = [job for job in wanted if not job.finished()]
    say(f"{paper.slug} at {scale}: {len(wanted) - len(left)} of {len(wanted)} runs are finished and kept")
    if left:
        run_all(left, side_by_side(jobs, left[0].recipe, device), device)
        say(f"{paper.slug} at {scale}: runs took {(time.monotonic() - started) / 60:.1f} min")


def run_all(left: list[Job], lanes: int, device: str) -> None:
    """Runs the jobs, `lanes` at a time, says how they go, and stops them all in good order on a signal.

    Raises:
        CommandError: some failed; the others are done, and each failure is named with its last words.
    """
    # A kill or a closed terminal saves like Ctrl-C; the runs are sessions of their own and would go on alone.
    stops = (signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, signal.default_int_handler) for number in stops}
    try:
        with progress("running", len(left), "run", done=0.0) as bar:
            failed = _run_all(left, lanes, device, bar)
    except BaseException:  # a signal, or a full disk: runs are not to go on without anybody watching
        say("stopping: every run is asked to save; the same command does what is left")
        if killed := _stop([job.process for job in left if job.process]):
            say(f"{killed} did not stop in time and were killed; they go on from their last checkpoints")
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for job in left:
            if job.log:
                job.log.close()
    if failed:
        raise CommandError("\n  ".join([f"{len(failed)} of {len(left)} runs failed:", *failed]))


def _run_all(left: list[Job], lanes: int, device: str, bar: Bar) -> list[str]:
    """Those that failed, with their last words."""
    waiting, running, failed = list(left), list[Job](), list[str]()
    work = sum(job.work for job in left)
    while waiting or running:
        while waiting and len(running) < lanes:
            running.append(waiting.pop(0))
            running[-1].start(device)
        time.sleep(0.5)
        for job in [job for job in running if job.process and job.process.poll() is not None]:
            running.remove(job)
            code = job.process.returncode if job.process else 0
            say(f"{job.label}: " + ("finished" if code == 0 else f"FAILED, exit code {code}"))
            if code:
                failed.append(f"{job.label}: {_last_words(job)}")
        work_left = sum(job.work_left() for job in waiting + running)
        steps = ", ".join(f"{job.label} {job.steps_done()}/{job.steps}" for job in running)
        bar.reach(len(left) * (1 - work_left / work), steps)
    return failed


def _stop(processes: list[subprocess.Popen[bytes]], limit_s: float = 60.0) -> int:
    """Asks all to save, then waits; what has not ended by the limit is killed, and keeps its last checkpoint.

    Returns:
        How many were killed.
    """
    killed = 0
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # ended by itself
            os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + limit_s
    for process in processes:
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    return killed


def _last_words(job: Job) -> str:
    path = job.folder / "log.txt"
    lines = path.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} ({path})"


def tune(paper: Paper, *, scale: str, device: str, jobs: int, arms: Sequence[str] = ()) -> None:
    """Arms with every combination of the search's settings, scored on dev; the table is the log to commit.

    Dev items are the same for every seed and never tested, so seed 0 serves.

    Args:
        arms: that are searched; none named means all. Of the others the log has the rows that are committed.

    Raises:
        ValueError: nothing is searched at this scale, or no such arm.
    """
    search = paper.at(scale).search
    if search is None:
        raise ValueError(f"{paper.slug} searches nothing at scale {scale}")
    if unknown := sorted(set(arms) - set(search.arms)):
        raise ValueError(f"arms must be of {', '.join(search.arms)}, got {', '.join(unknown)}")
    chosen = tuple(arms) or search.arms
    left: list[Job] = []
    for arm, values in itertools.product(chosen, itertools.product(*search.settings.values())):
        assignments = [
            f"{key}={json.dumps(value)}" for key, value in zip(search.settings, values, strict=True)
        ]
        registered = paper.recipe(arm, scale)
        recipe = override(registered, assignments)
        name = name_of(arm, recipe, registered)
        told = () if name == arm else tuple(assignments)
        left.append(Job(paper, arm, recipe, scale, 0, told, "dev", folder_name=name))
    for job in left:
        job.recipe.prepare()
    unfinished = [job for job in left if not job.finished()]
    if unfinished:
        run_all(unfinished, side_by_side(jobs, unfinished[0].recipe, device), device)
    rows = [*_committed(paper, scale, set(search.arms) - set(chosen)), *(_tried(job, search) for job in left)]
    log = paper.own(scale) / f"tuning-{scale}.json"
    table = {"measure": search.measure, "scale": scale, "seed": 0, "tried": rows}
    write_atomically(log, (json.dumps(table, indent=1) + "\n").encode())
    for row in rows:
        say(json.dumps(row))
    say(f"log: {log}; to commit it, copy it to {paper.tuning_log(scale)}")


def _committed(paper: Paper, scale: str, arms: Collection[str]) -> list[dict[str, Any]]:
    """Rows of the published log that are of some arms."""
    log = paper.tuning_log(scale)
    if not arms or not log.exists():
        return []
    return [row for row in json.loads(log.read_bytes())["tried"] if row["arm"] in arms]


def _tried(job: Job, search: Search) -> dict[str, Any]:
    """A row of a search's log."""
    run = results.find(job.paper.own_results(job.scale), job.folder_name, job.seed, "dev")
    if run is None:
        raise CommandError(f"{job.label} has no dev result")
    settings, totals = run.result.settings, run.result.totals
    if search.measure not in totals:
        raise ValueError(f"{job.label} has no total {search.measure!r}; it has {', '.join(totals)}")
    return {
        "arm": job.recipe_name,
        **{
            key: functools.reduce(lambda part, name: part[name], key.split("."), settings)
            for key in search.settings
        },
        "dev": totals[search.measure],
        "train_s": run.result.wall_s["train"],
        "steps": job.steps,
        "settings": run.result.settings_hash,
        "commit": run.result.commit[:12],
    }


def dashboard(*, upload: bool) -> None:
    """A table of every journal under runs/; with `upload` each is replayed to W&B."""
    from rich.console import Console
    from rich.table import Table

    table = Table("paper", "scale", "run", "seed", "step", "loss", "state")
    begun = (
        (paper.slug, scale, *run)
        for paper in papers.papers().values()
        for scale in papers.SCALES
        for run in paper.begun(scale)
    )
    for slug, scale, name, seed, folder in begun:
        path = folder / "journal.jsonl"
        rows = journal.read(path)
        logged = [row for row in rows if row["event"] == "train"]
        last: dict[str, Any] = logged[-1] if logged else {}
        loss = f"{last['loss']:.5g}" if isinstance(last.get("loss"), float) else ""
        words = {"end": "finished", "diverged": "diverged", "stopped": "stopped"}
        state = words.get(rows[-1]["event"], "open") if rows else "empty"
        table.add_row(slug, scale, name, str(seed), str(last.get("step", 0)), loss, state)
        if upload:
            journal.replay(
                path, project="speech-video-reproductions", group=f"{slug}-{scale}", name=f"{name}-seed{seed}"
            )
    Console().print(table)


def say(text: str) -> None:
    """A line with the time of day, at once."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
