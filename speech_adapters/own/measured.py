"""What was measured of the published sets, as tables of their cards and of the speech page: `python -m
speech_adapters.own.measured` renews the page.

    results/whisper/LANGUAGE.json        our set beside Whisper itself, by `python -m benchmarks.whisper_itself`
    results/whisper_parity.json          both encoders beside double precision, by the same module
    results/label_minutes/NAME.json      scores by minutes of labels, by `python -m speech_adapters.own.label_minutes`
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from common.files import write_atomically
from common.report.tables import Cell, Table, markdown, replace_generated

RESULTS = Path(__file__).with_name("results")
WHISPER, LABEL_MINUTES = RESULTS / "whisper", RESULTS / "label_minutes"
PARITY = "whisper_parity"
CAPTION = (
    "Whisper-base as faster-whisper 1.2.1 runs it, with its own decoder and five beams, and the published sets over "
    "its encoder without a language model, on the same recordings: up to 40 of each test part, drawn by their ids. "
    "Texts are compared after the set's normaliser; Whisper writes numbers as digits and spells as it likes, which "
    "counts as errors. Seconds of computing are the processor's, on one thread in float32; Whisper pads each recording "
    "to 30 s."
)
MINUTES_CAPTION = (
    "Adapters over whisper-base, trained with parts of the English training speech, each inside the next: of one voice "
    "up to 14 min, then with the actors of a game; {steps} steps for all, one seed. "
    "Made by: python -m speech_adapters.own.label_minutes."
)
PAGE, PLACE = Path(__file__).parents[1] / "README.md", "measured"


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Results of a folder by their names."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def shown(rate: Mapping[str, Any]) -> str:
    """An error rate in percent, with its interval where there is one."""
    bounds = "" if rate["low"] is None else f" ({rate['low']:.1f} to {rate['high']:.1f})"
    return f"{rate['percent']:.1f}{bounds}"


def beside_whisper(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Our sets and Whisper itself on the same recordings, by language."""
    columns = ("part", "recordings", "WER %, ours", "Whisper's", "CER %, ours", "Whisper's",
               "computing a s of sound, ours", "Whisper's")  # fmt: skip
    rows = []
    for result in found.values():
        for name, part in result["parts"].items():
            both = [part[whose] for whose in ("ours", "whisper")]
            cells = [shown(one[key]) for key in ("wer", "cer") for one in both]
            cells += [f"{one['compute_s'] / part['sound_s']:.2f} s" for one in both]
            rows.append([Cell(name), *(Cell(text, "number") for text in (str(part["recordings"]), *cells))])
    return Table("Error rates and computing", columns, rows, CAPTION)


def against_whisper(result: Mapping[str, Any]) -> str:
    """A set and Whisper itself on the same recordings, in two sentences."""
    told, times = list[str](), list[int]()
    for name, part in result["parts"].items():
        ours, theirs = part["ours"], part["whisper"]
        told.append(
            f"{theirs['cer']['percent']:.0f} % where this has {ours['cer']['percent']:.0f} % ({name})"
        )
        times.append(round(theirs["compute_s"] / ours["compute_s"]))
    span = " to ".join(map(str, sorted({min(times), max(times)})))
    return (
        f"Whisper itself, on up to 40 recordings of each test part: character errors {', '.join(told)}. "
        f"It takes {span} times as much computing."
    )


def by_minutes(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Error rates of sets that learned from nested parts of one speech, least first."""
    results: Sequence[Mapping[str, Any]] = sorted(found.values(), key=lambda one: float(one["minutes"]))
    parts = list(results[0]["scores"]) if results else []
    columns = ("minutes of labels", "recordings", *(f"CER %, {part}" for part in parts))
    rows = [
        [
            Cell(f"{one['minutes']:.1f}", "number"),
            Cell(str(one["recordings"]), "number"),
            *(Cell(shown(one["scores"][part]["cer"]), "number") for part in parts),
        ]
        for one in results
    ]
    steps = " or ".join(sorted({str(one["settings"]["steps"]) for one in results}))
    return Table("Minutes of labels", columns, rows, MINUTES_CAPTION.format(steps=steps))


def generated() -> str:
    """Both tables, as the speech page holds them."""
    tables = beside_whisper(read(WHISPER)), by_minutes(read(LABEL_MINUTES))
    return "\n\n".join(markdown(table) for table in tables if table.rows)


def main() -> None:
    """Renews the tables of speech_adapters/README.md."""
    text = replace_generated(PAGE.read_text(encoding="utf-8"), PLACE, generated())
    write_atomically(PAGE, text.encode())


if __name__ == "__main__":
    typer.run(main)
