"""The first losses of two smoke recipes are the golden ones."""

from pathlib import Path

import golden
import pytest

from common import papers

LOSSES = Path(__file__).with_name("golden_losses_cpu.txt")
RECIPES = {name: papers.find("extreme-vsr").recipe(name, "smoke") for name in ("EVESRNET", "WIDE")}


@pytest.mark.parametrize("name", RECIPES)
def test_first_losses_are_the_golden_ones(name):
    golden.assert_golden(LOSSES, name, RECIPES[name])


if __name__ == "__main__":
    golden.write(LOSSES, "tests/video_sr/test_golden.py", RECIPES)
