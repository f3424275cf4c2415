"""Memory does not grow with the length of what is worked on: short stand-ins for hours."""

import pytest

from benchmarks import memory
from benchmarks.harness import Rounds

# Both of a pair are longer than what is read ahead of them.
STAND_INS = memory.Lengths(speech=(300.0, 1200.0), clip=(3.0, 12.0), film=(60.0, 480.0))


@pytest.mark.slow  # two processes each
@pytest.mark.parametrize("job", memory.JOBS)
def test_what_is_four_times_as_long_takes_no_more_memory(tmp_path, job):
    short, long = memory.part(job, tmp_path, STAND_INS, Rounds(1))
    assert long.peak_bytes < memory.WITHIN * short.peak_bytes
