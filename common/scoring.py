"""From weights to raw scores and a result file; the only place that opens test data."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from common import checkpoint, results, runtime
from common.files import write_atomically
from common.measures import mean_of, median_of
from common.papers import ROOT, Paper
from common.recipe import Recipe
from common.results import Item


def score(
    paper: Paper,
    name: str,
    recipe: Recipe,
    *,
    scale: str,
    seed: int,
    split: str = "test",
    device: str = "auto",
) -> Path:
    """Scores a finished run and writes its result; returns the result's path.

    Raises:
        ValueError: not trained yet, or trained with other settings.
    """
    folder = paper.run_folder(scale, name, seed)
    found = runtime.find_device(device)
    torch.set_num_threads(recipe.threads)
    # TF32 would move a score by a tenth of an 8-bit level.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    network, trained = _load(recipe, folder, seed)
    network.to(found.kind).eval()
    opened = _count_opening(folder, split)
    pictures = folder / f"pictures-{split}"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    started = time.monotonic()
    items = []
    for item in recipe.score(network, seed=seed, split=split, pictures=pictures):
        items.append(item)
        print(f"{name} seed {seed}: scored {item.id} ({len(items)})", file=sys.stderr, flush=True)
    score_s = time.monotonic() - started
    weights = folder / "weights.safetensors"
    here = results.provenance(ROOT, gpu=found.name if found.kind == "cuda" else None)
    # Where a run was trained is where it comes from; scoring may happen later and elsewhere.
    origin = trained.get("provenance", here)
    origin |= {"dirty": origin["dirty"] or here["dirty"]}
    bad_items, bad_share = recipe.bad_items()
    result = results.Result(
        paper=paper.slug,
        recipe=name,
        scale=scale,
        seed=seed,
        split=split,
        settings=recipe.settings(),
        settings_hash=recipe.settings_hash(),
        totals=totals(items),
        wall_s={"train": trained.get("wall_s", 0.0), "score": round(score_s, 2)},
        peak_memory_bytes=trained.get("peak_memory_bytes") or runtime.peak_memory_bytes(),
        items_per_s=round(len(items) / score_s, 4),
        manifest_sha256=recipe.manifest_sha256(),
        weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else None,
        threads=recipe.threads,
        test_opened=opened,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        departures=recipe.departures(),
        bad_items=bad_items,
        bad_items_share=bad_share,
        **origin,
    )
    return results.write(paper.own_results(scale), result, items)


def _load(recipe: Recipe, folder: Path, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    runtime.seed_all(seed, "init")
    network = recipe.model()
    if recipe.steps == 0:
        return network, {}
    weights = folder / "weights.safetensors"
    if not weights.exists():
        raise ValueError(f"{folder} holds no finished weights; train first")
    loaded = checkpoint.load(weights)
    identity = {"settings": recipe.settings_hash(), "seed": seed, "data": recipe.manifest_sha256()}
    for key, ours in identity.items():  # another seed may have trained on what this one tests
        if (theirs := loaded.state["identity"][key]) != ours:
            raise ValueError(
                f"{weights} was trained with {key} {theirs}, this recipe has {ours}; "
                "train again with --resume never"
            )
    network.load_state_dict(loaded.tensors)
    return network, loaded.state


def _count_opening(folder: Path, split: str) -> int:
    """How many times this run was scored on the split, this time included."""
    path = folder / "opened.json"
    counts = json.loads(path.read_text()) if path.exists() else {}
    counts[split] = counts.get(split, 0) + 1
    write_atomically(path, json.dumps(counts).encode())
    return int(counts[split])


def totals(items: list[Item]) -> dict[str, float]:
    """Mean and median over items of each measure, per part: `photographs/psnr[...]/mean`."""
    columns: dict[tuple[str, str], list[float]] = {}
    for item in items:
        for measure, value in item.scores.items():
            columns.setdefault((item.part, measure), []).append(value)
    summary: dict[str, float] = {}
    for place, column in columns.items():
        ordered = sorted(column)
        middle = len(ordered) // 2
        median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
        summary |= {mean_of(*place): math.fsum(column) / len(column), median_of(*place): median}
    return summary


def name_of(name: str, recipe: Recipe, registered: Recipe) -> str:
    """A recipe's own name, or one with its settings' hash when `--set` changed anything; claims read only the first."""
    found = recipe.settings_hash()
    return name if found == registered.settings_hash() else f"{name}-set-{found}"


def publish_weights(paper: Paper, scale: str) -> list[Path]:
    """Copies the weights that the paper's tool uses by name into its `weights/`, with where they came from.

    Which are published is `PUBLISHED_WEIGHTS` of its recipes: at each scale, name of the file to name of the recipe,
    seed 0. A paper whose files are more than a run's weights has a function `weights_file` that makes them of those.
    """
    written = []
    weights_file = getattr(paper.room("recipes"), "weights_file", None)
    for file, name in paper.room("recipes").PUBLISHED_WEIGHTS.get(scale, {}).items():
        run = results.find(paper.published(scale), name, 0)
        source = paper.run_folder(scale, name, 0) / "weights.safetensors"
        if run is None or not source.exists():
            continue
        if hashlib.sha256(source.read_bytes()).hexdigest() != run.result.weights_sha256:
            raise ValueError(
                f"{source} is not what the published result of {name} was scored with; publish again"
            )
        loaded = checkpoint.load(source)
        origin = {"paper": paper.slug, "recipe": name, "scale": scale, "commit": run.result.commit}
        command = f"python -m common.run train {paper.slug} {name} --scale {scale} --seed 0"
        origin |= {"command": command}
        path, tensors = paper.folder / "weights" / f"{file}.safetensors", loaded.tensors
        state = loaded.state | {"origin": origin}
        if weights_file:
            path, tensors, state = weights_file(file, paper.recipe(name, scale), tensors, state)
        checkpoint.save(path, tensors, state)
        written.append(path)
    return written
