"""Processes that share a piece of work, started so that they cannot inherit a lock that nobody will ever let go."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor

MOST = 8


def workers(count: int = MOST) -> Executor:
    """A pool of at most that many processes, of one thread each, and of no more than the cores.

    They come from a server process and not by forking this one: a copy of a process whose threads hold locks at that
    moment (a decoder's, a progress bar's, a numerical library's) may wait for ever.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])  # once, rather than two seconds in each of them
    number = max(1, min(count, MOST, cores))
    return ProcessPoolExecutor(number, mp_context=context, initializer=_begin, initargs=(dict(os.environ),))


def _begin(environment: dict[str, str]) -> None:
    """Takes the environment of the asking process, which may have changed since the server began; one thread."""
    os.environ.update(environment)
    import torch

    torch.set_num_threads(1)
