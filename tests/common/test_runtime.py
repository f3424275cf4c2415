"""Laws of where a run happens: what was asked for is what is used, or an error says why not."""

import subprocess
import sys

import pytest
import torch

from common import runtime


def test_cpu_is_cpu_and_says_nothing():
    assert runtime.find_device("cpu") == runtime.Device("cpu", "CPU")


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda, got 'gpu'"):
        runtime.find_device("gpu")


@pytest.mark.parametrize(
    ("driver", "begins", "told"),
    [
        (True, "NO GPU IN USE: ", "update the driver"),
        (False, "on the CPU: ", "no NVIDIA driver is loaded"),  # what most people have: no reason to shout
    ],
)
def test_no_gpu_is_said_with_the_way_out_and_loudly_where_one_seems_to_be_there(
    monkeypatch, driver, begins, told
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(runtime.os.path, "exists", lambda path: driver)
    found = runtime.find_device("auto")
    assert found.kind == "cpu"
    assert found.notice.startswith(begins)
    assert told in found.notice
    with pytest.raises(ValueError, match=f"{told}.*or use --device cpu"):
        runtime.find_device("cuda")


def test_seeding_depends_on_every_part_and_on_nothing_else():
    def drawn(*parts):
        runtime.seed_all(*parts)
        return torch.rand(1).item()

    assert drawn(1, 2, 0) == drawn(1, 2, 0)
    assert (
        len({drawn(*parts) for parts in ((1, 2, 0), (1, 2, 1), (1, 3, 0), (2, 2, 0), (12, 0), (1, 20))}) == 6
    )


def test_threads_are_what_the_recipe_says():
    try:
        fabric = runtime.start("cpu", bf16=True, threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert (fabric.device.type, fabric.world_size) == ("cpu", 1)
    # Mixed precision is for accelerators: a CPU stays exact.
    assert fabric.strategy.precision.precision == "32-true"


def test_peak_memory_grows_with_what_is_held():
    before = runtime.peak_memory_bytes()
    held = torch.ones(64 * 2**20)
    assert 10**6 < before <= runtime.peak_memory_bytes()
    assert runtime.peak_memory_bytes() >= held.nbytes


PAGE_BYTES = 4096
FAULTS = """
import resource, sys
import torch
from common import runtime

if sys.argv[1] == "kept" and not runtime.keep_freed_memory():
    sys.exit("no glibc")
for _ in range(9):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(4 << 20) for _ in range(20)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_kept_memory_is_not_cleared_again_at_every_step():
    def faults(how):
        line = [sys.executable, "-c", FAULTS, how]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("kept") < 20 * (16 << 20) / PAGE_BYTES / 10  # else most of the blocks' pages, every time
