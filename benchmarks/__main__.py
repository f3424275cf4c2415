"""Runs every benchmark of this folder and renews the table in its README: `python -m benchmarks`."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import RESULTS
from common.files import write_atomically
from common.report.tables import Cell, Table, markdown, replace_generated

HERE = Path(__file__).parent
BENCHMARKS = ("resize", "image_quality", "upscaling")


def table(name: str) -> Table:
    """The committed result of one benchmark."""
    found = json.loads((RESULTS / f"{name}.json").read_text())
    rows = []
    for race in found["races"]:
        ratios = [""] + [
            f"{ratio['of_medians']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
            for ratio in race["ratios"]
        ]
        for timing, ratio in zip(race["timings"], ratios, strict=True):
            milliseconds = [Cell(f"{1e3 * timing[key]:.1f}", "number") for key in ("min_s", "median_s")]
            rows.append([Cell(race["job"]), Cell(timing["name"]), *milliseconds, Cell(ratio, "number")])
    peaks = "; ".join(f"{peak['job']}: {peak['peak_bytes'] / 1e6:.0f} MB" for peak in found["peaks"])
    commit, date = found["commit"][:12], found["date"][:10]
    where = f"{found['hardware']['cpu']}, {found['threads']} thread, commit {commit}, {date}"
    caption = f"{where}, load average {found['load_average'][0]}." + (
        f" Peak memory: {peaks}." if peaks else ""
    )
    columns = ("job", "contender", "min (ms)", "median (ms)", "first is faster by (quartiles)")
    return Table(name, columns, rows, caption)


def generated() -> str:
    """All tables, as the README holds them."""
    return "\n\n".join(markdown(table(name)) for name in BENCHMARKS if (RESULTS / f"{name}.json").exists())


if __name__ == "__main__":
    for name in BENCHMARKS:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
    readme = HERE / "README.md"
    write_atomically(readme, replace_generated(readme.read_text(), "benchmarks", generated()).encode())
