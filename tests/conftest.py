"""What holds for every test: annotations are executed, nothing is sent anywhere, one thread, no run in `runs/`."""

import os
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

FIXTURES = Path(__file__).parent / "fixtures"
# Modules there (`toy_recipe`) are imported by tests and by the processes that tests start.
sys.path.insert(0, str(FIXTURES))
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(FIXTURES), str(FIXTURES.parents[1]), os.environ.get("PYTHONPATH")))
)

# Must precede the first import of either package. TYPE_CHECKS=off skips it, for a debugger or a profile.
if os.environ.get("TYPE_CHECKS") != "off":
    from jaxtyping import install_import_hook

    install_import_hook(["common", "speech_adapters", "video_sr", "multimodal_ssl"], "type_checks.check")

torch.set_num_threads(1)
# A shell starts what runs in its background with Ctrl-C ignored, and nohup ignores hang-ups; tests send both.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
os.environ.setdefault("WANDB_MODE", "disabled")


@pytest.fixture(scope="session", autouse=True)
def _own_runs_go_to_a_temporary_folder():
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNS_ROOT"] = folder
        yield


@pytest.fixture
def pools_of_threads(monkeypatch):
    """Pools work in this process, so that what a test patches holds inside them too."""

    def pool(number, mp_context, initializer, initargs):
        return ThreadPoolExecutor(number)

    monkeypatch.setattr("common.data.workers.ProcessPoolExecutor", pool)
