"""Pools of processes: no inherited locks, the asking process' environment, one thread each."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import HANG_S

from common.data.workers import workers

ROOT = Path(__file__).parents[3]


def test_a_pool_sees_the_environment_of_now(monkeypatch):
    with workers(1) as pool:
        assert pool.submit(os.getenv, "A_WORD_OF_THIS_TEST").result() is None
    monkeypatch.setenv("A_WORD_OF_THIS_TEST", "new")
    with workers(1) as pool:
        assert pool.submit(os.getenv, "A_WORD_OF_THIS_TEST").result() == "new"


def test_a_pool_begun_while_a_thread_holds_a_lock_does_not_wait_for_it():
    """A forked copy would inherit the held lock without the thread that lets it go."""
    program = (
        "import threading, logging, time\n"
        "from common.data.workers import workers\n"
        "from locked import under_the_lock\n"
        "import locked\n"
        "def hold():\n"
        "    with locked.LOCK: held.set(); done.wait()\n"
        "if __name__ == '__main__':\n"
        "    held, done = threading.Event(), threading.Event()\n"
        "    threading.Thread(target=hold, daemon=True).start(); held.wait()\n"
        "    with workers(1) as pool: print(pool.submit(under_the_lock).result())\n"
        "    done.set()\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=HANG_S
    )
    assert told.stdout == "free\n", told.stderr


@pytest.mark.parametrize("folder", ["common", "speech_adapters", "multimodal_ssl", "video_sr", "benchmarks"])
def test_nothing_else_makes_pools_by_forking(folder):
    made = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "workers.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"ProcessPoolExecutor\(|multiprocessing\.Pool|get_context\(.fork.\)|os\.fork\(", line)
    ]
    assert not made
