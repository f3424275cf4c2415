"""All that is to be done when a GPU is at hand, in under ten minutes: `python -m benchmarks.gpu_plan --out DIR`.

One result file a part, so that what was finished before a machine is taken away stays: tests that need a GPU, training
steps with their profile, pair similarities, what an update costs. Parts that no longer fit are named.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from common.files import write_atomically
from common.papers import ROOT
from common.provenance import provenance

LIMIT_S = 570.0
PYTHON = (sys.executable, "-m")


@dataclass(frozen=True)
class Part:
    """A command, and the longest it may take."""

    name: str
    words: tuple[str, ...]  # {out} is the folder of results
    limit_s: float

    def line(self, out: Path) -> list[str]:
        return [*PYTHON, *(word.format(out=out) for word in self.words)]


PLAN = (
    Part("parity", ("pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"), 120.0),
    Part("pretraining_steps", ("benchmarks.pretraining_steps", "--parts", "steps", "--folder", "{out}"), 150.0),
    Part("pair_similarity", ("benchmarks.pair_similarity", "--parts", "steps", "alone", "--folder", "{out}"), 120.0),
    Part("waiting", ("benchmarks.gpu_plan", "--waiting", "--out", "{out}"), 60.0),
    Part("cost", ("common.run", "score", "continual-pretraining", "COST", "--scale", "gpu", "--device", "cuda"), 120.0),
)  # fmt: skip


def run(out: Path, plan: Sequence[Part] = PLAN, limit_s: float = LIMIT_S) -> list[str]:
    """Writes out/PART.run.json of each part: its command, exit code, seconds and the end of what it said.

    Returns:
        Parts that failed or that there was no time for.
    """
    out.mkdir(parents=True, exist_ok=True)
    began, left = time.monotonic(), []
    for part in plan:
        rest_s = limit_s - (time.monotonic() - began)
        if rest_s < part.limit_s / 2:
            left.append(part.name)
            print(f"{part.name}: no time, {rest_s:.0f} s are left", flush=True)
            continue
        done = _done(part, out, min(rest_s, part.limit_s))
        write_atomically(out / f"{part.name}.run.json", (json.dumps(done, indent=1) + "\n").encode())
        print(f"{part.name}: exit code {done['exit_code']} after {done['seconds']} s", flush=True)
        if done["exit_code"]:
            left.append(part.name)
    return left


def _done(part: Part, out: Path, limit_s: float) -> dict[str, object]:
    line, started = part.line(out), time.monotonic()
    try:
        found = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False)
        code, said = found.returncode, found.stdout + found.stderr
    except subprocess.TimeoutExpired as error:
        code, said = 124, f"{error}"
    seconds = round(time.monotonic() - started, 1)
    return {
        "part": part.name,
        "command": line[1:],
        "exit_code": code,
        "seconds": seconds,
        "said": said[-4000:],
        **provenance(ROOT, gpu=_gpu()),
    }


def _gpu() -> str | None:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def waits(out: Path) -> Path:
    """What a self-supervised step copies to the host, and which of torch's warnings of a wait it raises."""
    import warnings

    from benchmarks.pretraining_steps import FULL, ON_A_GPU, Learner, step

    one = step(Learner("ours", FULL), ON_A_GPU)
    one.first()
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        one()
    torch.cuda.set_sync_debug_mode("default")
    places = sorted({f"{each.filename}:{each.lineno}" for each in caught})
    path = out / "waits.json"
    write_atomically(path, (json.dumps({"waits": len(caught), "places": places}, indent=1) + "\n").encode())
    print(f"{len(caught)} waits a step: {', '.join(places) or 'none'}")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Does all that a GPU is needed for, in under ten minutes.")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--waiting", action="store_true", help="only tell where a step waits for the GPU")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("error: torch sees no GPU")
    if asked.waiting:
        waits(asked.out)
    elif left := run(asked.out):
        raise SystemExit(f"error: not done: {', '.join(left)}; see the files in {asked.out}")
