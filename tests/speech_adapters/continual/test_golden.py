"""The first losses of two smoke recipes are the golden ones."""

from dataclasses import replace
from pathlib import Path

import golden
import pytest

from speech_adapters.continual.recipes import SCALES

LOSSES = Path(__file__).with_name("golden_losses_cpu.txt")
# In full precision: sixteen bits come out differently on every kind of CPU.
RECIPES = {
    name: replace(SCALES["smoke"].recipes[name], cpu_bf16=False) for name in ("FULL_FR", "ADAPTERS_FR")
}


@pytest.mark.parametrize("name", RECIPES)
def test_first_losses_are_the_golden_ones(name):
    golden.assert_golden(LOSSES, name, RECIPES[name])


if __name__ == "__main__":
    golden.write(LOSSES, "tests/speech_adapters/continual/test_golden.py", RECIPES)
