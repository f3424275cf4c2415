"""Golden losses: the first steps of two smoke recipes, as they were when somebody last meant to change numbers.

A change that should not alter numbers reproduces the file exactly; one that should writes it anew and says why:

python tests/video_sr/test_golden.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

GOLDEN = Path(__file__).with_name("golden_losses_cpu.txt")
NAMES = ("EVESRNET", "WIDE")
SAME_CPU, OTHER_CPU = (
    1e-6,
    1e-3,
)  # relative; other vector instructions add in another order, and Adam magnifies it


def _capability() -> str:
    return torch.backends.cpu.get_cpu_capability()


def _losses(name: str) -> list[float]:
    from common import journal, papers, trainer

    recipe = papers.find("extreme-vsr").recipe(name, "smoke")
    with TemporaryDirectory() as folder:
        trainer.train(recipe, seed=0, folder=Path(folder), device="cpu")
        rows = journal.read(Path(folder) / "journal.jsonl")
    return [row["loss"] for row in rows if row["event"] == "train"]


def _read() -> tuple[str, dict[str, list[float]]]:
    """(vector instructions of the CPU that made it, losses by recipe)."""
    lines = [line.split() for line in GOLDEN.read_text().splitlines() if line and not line.startswith("#")]
    return lines[0][1], {name: list(map(float, losses)) for name, *losses in lines[1:]}


@pytest.mark.parametrize("name", NAMES)
def test_first_losses_are_the_golden_ones(name):
    made_on, golden = _read()
    tolerance = SAME_CPU if made_on == _capability() else OTHER_CPU
    assert len(golden[name]) == 4
    assert _losses(name) == pytest.approx(golden[name], rel=tolerance)


if __name__ == "__main__":
    torch.set_num_threads(1)
    rows = [" ".join([name, *map(repr, _losses(name))]) for name in NAMES]
    head = "# First losses of the smoke recipes, one thread. By: PYTHONPATH=. python tests/video_sr/test_golden.py"
    GOLDEN.write_text("\n".join([head, f"CPU {_capability()}", *rows]) + "\n")
