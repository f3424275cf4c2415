"""Results for other programs: one JSON file a paper, with claims, verdicts and where every number comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.anchors import anchors
from common.claims import Claim
from common.files import write_atomically
from common.papers import SCALES, Paper
from common.report.build import verdicts_of
from common.results import Result, jsonable

FORMAT = 1  # raised when a key changes its meaning
OF_A_RUN = (
    *("recipe", "scale", "seed", "split", "totals", "settings", "settings_hash", "commit", "dirty"),
    *("manifest_sha256", "lock_sha256", "weights_sha256", "items_file", "items_sha256"),
    *(
        "hardware",
        "threads",
        "versions",
        "wall_s",
        "peak_memory_bytes",
        "test_opened",
        "finished_at",
        "departures",
    ),
)


def exported(paper: Paper) -> dict[str, Any]:
    """Everything that is judged of a paper, published and yours, as strict JSON takes it."""
    scales = [scale for scale in SCALES if scale in paper.scales]
    sides = {"published": False, "yours": True}
    told = {
        "format": FORMAT,
        "paper": paper.slug,
        "title": paper.title,
        "arxiv": paper.arxiv,
        "claims": [_claim(claim) for claim in paper.claims],
        "verdicts": {
            side: {
                scale: [verdict.json() for verdict in found]
                for scale, found in verdicts_of(paper, own, scales).items()
            }
            for side, own in sides.items()
        },
        "runs": {
            side: [_run(run.result) for scale in scales for run in paper.evidence(scale, own=own)]
            for side, own in sides.items()
        },
        "anchors": [asdict(one) for one in anchors(paper.folder, [claim.id for claim in paper.claims])],
    }
    encoded: dict[str, Any] = jsonable(told)
    return encoded


def _claim(claim: Claim) -> dict[str, Any]:
    plain = ("id", "says", "where", "paper", "unit", "reads", "scales", "headline", "question", "by_design")
    return {key: getattr(claim, key) for key in plain} | {
        "kind": type(claim.kind).__name__,
        "bar": claim.kind.bound_words(claim.unit),
    }


def _run(result: Result) -> dict[str, Any]:
    return {key: getattr(result, key) for key in OF_A_RUN}


def write(paper: Paper, folder: Path) -> Path:
    """Writes `PAPER.json`; equal evidence gives equal bytes."""
    path = folder / f"{paper.slug}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(exported(paper), indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_atomically(path, text.encode())
    return path
