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
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import journal, mirrors, results
from common.claims import Claim, judge
from common.errors import CommandError
from common.executors import Executor, Local, RunCommand, Started
from common.files import write_atomically
from common.papers import Paper, Search
from common.progress import Bar, progress
from common.recipe import Experiment, Recipe, name_of
from common.settings import override


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
    process: Started | None = None
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

    def start(self, device: str, executor: Executor) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [
            sys.executable, "-m", "common.run", "train", self.paper.slug, self.recipe_name, "--scale", self.scale,
            "--seed", str(self.seed), "--device", device, "--score", "--split", self.split, "--resume", "replace",
        ]  # fmt: skip
        for assignment in self.arguments:
            words += ["--set", assignment]
        command = RunCommand(tuple(words), str(self.folder / "log.txt"), self.recipe.threads)
        self.process = executor.start(command, f"{self.paper.slug} {self.label}", device)

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


def fitting(recipe: Experiment, device: str) -> int:
    """How many runs fit on this machine: one a GPU, or as many as the cores carry."""
    from common.runtime import find_device

    if find_device(device).kind == "cuda":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // recipe.threads) if hasattr(os, "sched_getaffinity") else 2


@dataclass(frozen=True)
class Lanes:
    """Where runs are executed and how many at once.

    Args:
        jobs: 0 means as many as suit the executor.
    """

    device: str
    jobs: int = 0
    executor: Executor = field(default_factory=Local)

    def count(self, recipe: Experiment) -> int:
        """At once, of runs like this recipe's."""
        return self.executor.lanes(self.jobs, fitting(recipe, self.device))


def reproduce(paper: Paper, *, scale: str, seeds: int | None, lanes: Lanes) -> None:
    """Every recipe of a scale with every seed; finished ones are kept, interrupted ones go on.

    What trains nothing goes first, so that some claims are judged within minutes; the others follow seed by seed.

    Args:
        seeds: how many of each recipe; None means as many as the scale asks for.

    Raises:
        CommandError: some runs failed; the others are done, and each failure is named with its last words.
    """
    mirrors.asked()  # an unknown dashboard is refused before anything is fetched
    preset = paper.at(scale)
    started = time.monotonic()
    paper.prepare(scale)
    wanted = [Job(paper, name, recipe, scale, seed) for name, recipe, seed in preset.runs(seeds)]
    wanted.sort(key=lambda job: 2 if job.recipe_name in preset.once else int(job.steps > 0))
    left = [job for job in wanted if not job.finished()]
    say(f"{paper.slug} at {scale}: {len(wanted) - len(left)} of {len(wanted)} runs are finished and kept")
    if left:
        run_all(left, lanes, FirstVerdicts(paper, scale, left))
        say(f"{paper.slug} at {scale}: runs took {(time.monotonic() - started) / 60:.1f} min")


class FirstVerdicts:
    """Says what came out of a claim as soon as the last run that it reads has ended.

    Args:
        left: the runs that are still to be made; claims that read none of them were judged before.
    """

    def __init__(self, paper: Paper, scale: str, left: Sequence[Job]) -> None:
        self.paper, self.scale = paper, scale
        self.missing = Counter(job.recipe_name for job in left)
        self.open = [
            claim
            for claim in paper.claims
            if scale in claim.scales and scale not in claim.not_testable and self.missing.keys() & claim.reads
        ]

    def __call__(self, job: Job) -> None:
        """After a run has ended well."""
        self.missing[job.recipe_name] -= 1
        if self.missing[job.recipe_name] or not (ready := [one for one in self.open if self._complete(one)]):
            return
        self.open = [claim for claim in self.open if claim not in ready]
        verdicts = judge(self.paper.claims, self.paper.evidence(self.scale, own=True), self.scale)
        for claim, verdict in zip(self.paper.claims, verdicts, strict=True):
            if claim in ready:
                told = claim.kind.told(verdict, claim.unit) or verdict.reason
                say(f"first verdict, uncorrected for claims to come: {claim.id} {verdict.word}, {told}")

    def _complete(self, claim: Claim) -> bool:
        return not any(self.missing[recipe] for recipe in claim.reads)


def run_all(left: list[Job], lanes: Lanes, ended: Callable[[Job], None] = lambda job: None) -> None:
    """Runs the jobs, a lane's number at a time, says how they go, and stops them all in good order on a signal.

    Args:
        ended: called with each job that ended well.

    Raises:
        CommandError: some failed; the others are done, and each failure is named with its last words.
    """
    # A kill or a closed terminal saves like Ctrl-C; the runs are sessions of their own and would go on alone.
    stops = (signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, signal.default_int_handler) for number in stops}
    try:
        with progress("running", len(left), "run", done=0.0) as bar:
            failed = _run_all(left, lanes, bar, ended)
    except BaseException:  # a signal, or a full disk: runs are not to go on without anybody watching
        say("stopping: every run is asked to save; the same command does what is left")
        if killed := _stop([job.process for job in left if job.process]):
            say(f"{killed} did not stop in time and were killed; they go on from their last checkpoints")
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if failed:
        raise CommandError("\n  ".join([f"{len(failed)} of {len(left)} runs failed:", *failed]))


def _run_all(left: list[Job], lanes: Lanes, bar: Bar, ended: Callable[[Job], None]) -> list[str]:
    """Those that failed, with their last words."""
    at_once = lanes.count(left[0].recipe)
    waiting, running, failed = list(left), list[Job](), list[str]()
    work = sum(job.work for job in left)
    while waiting or running:
        while waiting and len(running) < at_once:
            running.append(waiting.pop(0))
            with _undisturbed():
                running[-1].start(lanes.device, lanes.executor)
        time.sleep(0.5)
        for job in [job for job in running if job.process and job.process.poll() is not None]:
            running.remove(job)
            code = job.process.returncode if job.process else 0
            say(f"{job.label}: " + ("finished" if code == 0 else f"FAILED, exit code {code}"))
            if code:
                failed.append(f"{job.label}: {_last_words(job)}")
            else:
                ended(job)
        work_left = sum(job.work_left() for job in waiting + running)
        steps = ", ".join(f"{job.label} {job.steps_done()}/{job.steps}" for job in running)
        bar.reach(len(left) * (1 - work_left / work), steps)
    return failed


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Interrupts come at the end instead: a run that has begun and is not yet known could not be asked to save."""
    came = list[int]()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _stop(processes: Sequence[Started], limit_s: float = 60.0) -> int:
    """Asks all to save, then waits; what has not ended by the limit is killed, and keeps its last checkpoint.

    Returns:
        How many were killed.
    """
    killed = 0
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # ended by itself
            process.stop()
    deadline = time.monotonic() + limit_s
    for process in processes:
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    return killed


def _last_words(job: Job) -> str:
    path = job.folder / "log.txt"
    lines = path.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} ({path})"


def tune(paper: Paper, *, scale: str, lanes: Lanes, arms: Sequence[str] = ()) -> None:
    """Arms with combinations of the search's settings, scored on dev; the table is the log to commit.

    Dev items are the same for every seed and never tested, so seed 0 serves.

    Args:
        arms: that are searched; none named means all. Of the others the log has the rows that are committed.

    Raises:
        ValueError: nothing is searched at this scale, or no such arm.
    """
    mirrors.asked()
    search = paper.at(scale).search
    if search is None:
        raise ValueError(f"{paper.slug} searches nothing at scale {scale}")
    if unknown := sorted(set(arms) - set(search.arms)):
        raise ValueError(f"arms must be of {', '.join(search.arms)}, got {', '.join(unknown)}")
    chosen = tuple(arms) or search.arms
    for arm in chosen:
        paper.recipe(arm, scale).prepare()
    if search.start is None:
        every = [
            (arm, values) for arm in chosen for values in itertools.product(*search.of(arm).settings.values())
        ]
        found = _run_tried(
            [_to_try(paper, scale, arm, values, search) for arm, values in every], search, lanes
        )
    else:
        found = _climbed(paper, scale, chosen, search, lanes)
    rows = [*_committed(paper, scale, set(search.arms) - set(chosen)), *found]
    log = paper.own(scale) / f"tuning-{scale}.json"
    table = {"measure": search.measure, "scale": scale, "seed": 0, "tried": rows}
    write_atomically(log, (json.dumps(table, indent=1) + "\n").encode())
    for row in rows:
        say(json.dumps(row))
    say(f"log: {log}; to commit it, copy it to {paper.tuning_log(scale)}")


def _climbed(
    paper: Paper, scale: str, arms: Sequence[str], search: Search, lanes: Lanes
) -> list[dict[str, Any]]:
    """Rows of all arms; each goes from the start to where no neighbour is better, all arms a round at a time."""
    of_arm = {arm: search.of(arm) for arm in arms}
    found: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {arm: {} for arm in arms}
    wanted = [
        (arm, one)
        for arm, its in of_arm.items()
        if its.start is not None
        for one in (its.start, *its.beside(its.start))
    ]
    while wanted:
        rows = _run_tried(
            [_to_try(paper, scale, arm, values, search) for arm, values in wanted], search, lanes
        )
        for (arm, combination), row in zip(wanted, rows, strict=True):
            found[arm][combination] = row
        best = {arm: _best(tried, search) for arm, tried in found.items()}
        wanted = [
            (arm, one) for arm in arms for one in of_arm[arm].beside(best[arm]) if one not in found[arm]
        ]
    return [row for tried in found.values() for row in tried.values()]


def _best(tried: Mapping[tuple[Any, ...], Mapping[str, Any]], search: Search) -> tuple[Any, ...]:
    choose = max if search.more_is_better else min
    return choose(tried, key=lambda one: tried[one]["dev"])


def _run_tried(jobs: list[Job], search: Search, lanes: Lanes) -> list[dict[str, Any]]:
    if unfinished := [job for job in jobs if not job.finished()]:
        run_all(unfinished, lanes)
    return [_tried(job, search) for job in jobs]


def _to_try(paper: Paper, scale: str, arm: str, values: Sequence[Any], search: Search) -> Job:
    """An arm with some values of the search's settings, scored on dev."""
    tried = zip(search.of(arm).settings, values, strict=True)
    assignments = tuple(f"{key}={json.dumps(value)}" for key, value in tried)
    registered = paper.recipe(arm, scale)
    recipe = override(registered, assignments)
    name = name_of(arm, recipe, registered)
    return Job(paper, arm, recipe, scale, 0, () if name == arm else assignments, "dev", folder_name=name)


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
            for key in search.of(job.recipe_name).settings
        },
        "dev": totals[search.measure],
        "train_s": run.result.wall_s["train"],
        "steps": job.steps,
        "settings": run.result.settings_hash,
        "commit": run.result.commit[:12],
    }


def say(text: str) -> None:
    """A line with the time of day, at once."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
