"""What a measured process leaves when it dies."""

import pytest

from benchmarks.harness import peak_memory


def test_a_process_that_dies_is_an_error_and_no_endless_wait():
    with pytest.raises(RuntimeError, match="nobody: the process that was to be measured died"):
        peak_memory("nobody", module="benchmarks.harness", maker="no_such_maker")
