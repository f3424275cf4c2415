"""What a run said, step by step: JSON lines are the truth; the progress bar and W&B only mirror them."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from common.files import write_atomically
from common.progress import progress, say


@runtime_checkable
class Mirror(Protocol):
    """Shows what the journal holds; may fail in any way without harm to the run."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def picture(self, step: int, name: str, path: Path) -> None: ...

    def close(self) -> None: ...


class Journal:
    """Appends rows to a JSON-lines file and hands them to mirrors.

    Args:
        path: the file; rows that it already holds are kept. None keeps nothing, for ranks other than the first.
        mirrors: told of each row after it is on disk.
    """

    def __init__(self, path: Path | None, mirrors: Sequence[Mirror] = ()):
        self.path = path
        self.mirrors = list(mirrors)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, event: str, step: int, **values: Any) -> None:
        """Appends one row. Non-finite numbers are written as text, since JSON has none."""
        if self.path is None:
            return
        row = {"event": event, "step": step, "time": round(time.time(), 3), **values}
        line = json.dumps({key: _plain(value) for key, value in row.items()})
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def log(self, step: int, values: Mapping[str, float], **more: Any) -> None:
        """One training row."""
        self.write("train", step, **values, **more)
        self._tell(lambda mirror: mirror.log(step, values))

    def picture(self, step: int, name: str, path: Path) -> None:
        """A picture that was written beside the journal."""
        self.write("picture", step, name=name, file=path.name)
        self._tell(lambda mirror: mirror.picture(step, name, path))

    def _tell(self, what: Callable[[Mirror], None]) -> None:
        """Tells every mirror; one that fails is named once and left out."""
        for mirror in list(self.mirrors):
            try:
                what(mirror)
            except Exception as error:
                self.mirrors.remove(mirror)
                name = type(mirror).__name__
                say(f"{name} is left out of this run, the journal has everything: {error}")

    def forget_after(self, step: int) -> None:
        """Drops rows later than a checkpoint's step, which the resumed run will write again."""
        if self.path is None:
            return
        kept = [row for row in read(self.path) if row["step"] <= step]
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in kept).encode())

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the mirrors, whatever happened; each has its own time limit."""
        self._tell(lambda mirror: mirror.close())


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a journal; a last line cut short by a crash is left out, and so is whatever else is no row."""
    lines = path.read_bytes().splitlines() if path.exists() else ()
    return [found for line in lines if (found := row(line)) is not None]


def row(line: bytes) -> dict[str, Any] | None:
    """A row of a journal, or None where the line is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_row = (
        isinstance(found, dict) and isinstance(found.get("event"), str) and isinstance(found.get("step"), int)
    )
    return found if is_row else None


class Progress:
    """Mirrors a run to the bar that all waits have, see `common.progress`."""

    def __init__(self, name: str, first_step: int, steps: int):
        self._shown = ExitStack()
        self._bar = self._shown.enter_context(progress(name, steps, "step", done=first_step))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._bar.reach(step, " ".join(f"{key} {value:.4g}" for key, value in values.items()))

    def picture(self, step: int, name: str, path: Path) -> None:
        pass

    def close(self) -> None:
        self._shown.close()


def wandb_mode() -> tuple[str, str]:
    """W&B's mode and a sentence about it: as WANDB_MODE says, else offline, whatever key lies around."""
    mode = os.environ.get("WANDB_MODE", "")
    if mode:
        return mode, ""
    return "offline", (
        "W&B: this run is kept offline beside its journal; WANDB_MODE=online sends runs, "
        "and `make dashboard` shows them without it"
    )


def _kept_private() -> dict[str, Any]:
    """W&B's settings under which neither paths nor the command line, the repository or the machine are told."""
    named = dict.fromkeys(("host", "program", "program_relpath", "program_abspath"), "")
    switched = (
        "disable_git",
        "disable_code",
        "disable_job_creation",
        "x_disable_meta",
        "x_disable_machine_info",
    )
    return {**named, **dict.fromkeys((*switched, "x_disable_stats"), True), "save_code": False}


class Wandb:
    """Mirrors a run to W&B from a thread of its own, so that no network can hold up or end the training.

    Projects, entities and modes are W&B's own WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE; `mode` goes before the
    last. The first failure costs one line on stderr and ends the mirror; the journal still holds everything
    (`make dashboard`).
    """

    def __init__(
        self,
        *,
        project: str,
        group: str,
        name: str,
        config: Mapping[str, Any],
        folder: Path,
        limit_s: float = 30.0,
        mode: str = "",
    ):
        import queue
        import threading

        self.limit_s = limit_s
        self.mode, notice = (mode, "") if mode else wandb_mode()
        self.queue: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
        self.alive = self.mode != "disabled"
        if notice:
            say(notice)
        options = {
            "project": os.environ.get("WANDB_PROJECT", project),
            "group": group,
            "name": name,
            "config": dict(config),
            "dir": str(folder),
            "mode": self.mode,
        }
        # A daemon, so that a hanging connection cannot keep a finished process alive.
        self.thread = threading.Thread(target=self._run, args=(options,), daemon=True)
        if self.alive:
            self.thread.start()

    def _run(self, options: dict[str, Any]) -> None:
        try:
            import wandb

            Path(options["dir"]).mkdir(parents=True, exist_ok=True)
            quiet = wandb.Settings(init_timeout=self.limit_s, silent=True, console="off", **_kept_private())
            run = wandb.init(**options, settings=quiet)
            run.define_metric("*", step_metric="step")  # our own axis: W&B's cannot go back after a resume
            while True:
                kind, values = self.queue.get()
                if kind == "log":
                    run.log({"step": values[0], **values[1]})
                elif kind == "picture":
                    step, name, path = values
                    run.log({"step": step, name: wandb.Image(str(path))})
                else:
                    run.finish()
                    return
        except BaseException as error:
            if self.alive:
                self.alive = False
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                say(f"W&B is left out of this run, the journal has everything: {first}")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if self.alive:
            self.queue.put(("log", (step, dict(values))))

    def picture(self, step: int, name: str, path: Path) -> None:
        if self.alive:
            self.queue.put(("picture", (step, name, path)))

    def close(self) -> None:
        if not self.alive:
            return
        self.queue.put(("close", ()))
        self.thread.join(self.limit_s)
        if self.thread.is_alive():
            self.alive = False
            say(f"W&B did not finish within {self.limit_s:.0f} s and is left behind")


def replay(path: Path, *, project: str, group: str, name: str) -> None:
    """Sends a finished journal to W&B, scalars and pictures: online, unless WANDB_MODE says otherwise."""
    mode = os.environ.get("WANDB_MODE") or "online"
    mirror = Wandb(project=project, group=group, name=name, config={}, folder=path.parent, mode=mode)
    for row in read(path):
        if row["event"] == "train":
            mirror.log(
                row["step"], {k: v for k, v in row.items() if isinstance(v, float | int) and k != "step"}
            )
        elif row["event"] == "picture":
            mirror.picture(row["step"], row["name"], path.parent / "previews" / row["file"])
    mirror.close()
