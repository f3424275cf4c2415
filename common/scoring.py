"""From weights to raw scores and a result file; the only place that opens test data."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from common import checkpoint, results, runtime, starts
from common.data.packages import file_sha256
from common.files import write_atomically, writer_in_turn
from common.measures import mean_of, median_of
from common.output import outlives_its_reader
from common.papers import ROOT, Paper
from common.progress import progress, say
from common.provenance import provenance
from common.recipe import Experiment, Measurement, Recipe
from common.results import Item


def score(
    paper: Paper,
    name: str,
    recipe: Experiment,
    *,
    scale: str,
    seed: int,
    split: str = "test",
    device: str = "auto",
) -> Path:
    """Scores a finished run and writes its result; returns the result's path.

    What is printed may find nobody who reads it.

    Raises:
        ValueError: not trained yet, or trained with other settings.
    """
    folder = paper.run_folder(scale, name, seed)
    with outlives_its_reader(), writer_in_turn(folder, say):
        return _score(paper, name, recipe, scale, seed, split, device)


def score_once(
    paper: Paper,
    name: str,
    recipe: Experiment,
    *,
    scale: str,
    seed: int,
    split: str = "test",
    device: str = "auto",
) -> Path:
    """As `score`; a result of these very settings, data and weights that is there already is left alone."""
    folder = paper.run_folder(scale, name, seed)
    with outlives_its_reader(), writer_in_turn(folder, say):
        found = paper.finished(name, recipe, scale, seed, split)
        if found is not None and found.result.weights_sha256 == _weights_sha256(folder):
            path = paper.own_results(scale) / f"{found.result.name}.json"
            say(f"finished: {path} is left as it is")
            return path
        return _score(paper, name, recipe, scale, seed, split, device)


def _score(
    paper: Paper, name: str, recipe: Experiment, scale: str, seed: int, split: str, device: str
) -> Path:
    folder = paper.run_folder(scale, name, seed)
    found = runtime.find_device(device)
    torch.set_num_threads(recipe.threads)
    # TF32 would move a score by a tenth of an 8-bit level.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    scored, trained = _scored(recipe, folder, seed, split, found.kind)
    opened = _count_opening(folder, split)
    started = time.monotonic()
    items = []
    with progress(f"scoring {name} seed {seed}", None, "item") as bar:
        for item in scored:
            items.append(item)
            bar.advance(note=item.id)
    score_s = time.monotonic() - started
    here = provenance(ROOT, gpu=found.name if found.kind == "cuda" else None)
    # Where a run was trained is where it comes from; scoring may happen later and elsewhere.
    history = trained.get("starts") or (starts.of_former(trained) if trained else [])
    scored_at = starts.added(history, f"scoring {split}", here)
    origin = starts.last(history or scored_at) | {"dirty": starts.dirty(scored_at)}
    bad_items, bad_share = recipe.bad_items()
    result = results.Result(
        paper=paper.slug,
        recipe=name,
        scale=scale,
        seed=seed,
        split=split,
        settings=recipe.settings(),
        settings_hash=recipe.settings_hash(),
        settings_layout=results.SETTINGS_LAYOUT,
        totals=totals(items),
        wall_s={"train": trained.get("wall_s", 0.0), "score": round(score_s, 2)},
        peak_memory_bytes=trained.get("peak_memory_bytes") or runtime.peak_memory_bytes(),
        items_per_s=round(len(items) / score_s, 4),
        manifest_sha256=recipe.manifest_sha256(),
        weights_sha256=_weights_sha256(folder),
        threads=recipe.threads,
        test_opened=opened,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        departures=recipe.departures(),
        bad_items=bad_items,
        bad_items_share=bad_share,
        starts=tuple(scored_at),
        **origin,
    )
    return results.write(paper.own_results(scale), result, items)


def _weights_sha256(folder: Path) -> str | None:
    weights = folder / "weights.safetensors"
    return file_sha256(weights) if weights.exists() else None


def _scored(
    recipe: Experiment, folder: Path, seed: int, split: str, device: str
) -> tuple[Iterator[Item], dict[str, Any]]:
    """Items as they are scored, and what the training left beside its weights."""
    if isinstance(recipe, Measurement):
        return recipe.measure(seed=seed, split=split, device=device), {}
    assert isinstance(recipe, Recipe)
    network, trained = _load(recipe, folder, seed)
    network.to(device).eval()
    pictures = folder / f"pictures-{split}"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    return recipe.score(network, seed=seed, split=split, pictures=pictures), trained


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
    try:
        counts = json.loads(path.read_bytes()) if path.exists() else {}
        counts[split] = int(counts.get(split, 0)) + 1
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}), and with it the count of how often this run was scored; write "
            '{"test": NUMBER} into it, or remove it where the run was never scored'
        ) from error
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


def publish_weights(paper: Paper, scale: str) -> list[Path]:
    """Copies the weights that the paper's tool uses by name into its `weights/`, with where they came from.

    Raises:
        ValueError: weights of a run that is not the published one.
    """
    written = []
    for file, name in paper.at(scale).weights.items():
        run = results.find(paper.published(scale), name, 0)
        source = paper.run_folder(scale, name, 0) / "weights.safetensors"
        if run is None or not source.exists():
            continue
        if hashlib.sha256(source.read_bytes()).hexdigest() != run.result.weights_sha256:
            raise ValueError(
                f"{source} is not what the published result of {name} was scored with; publish again"
            )
        loaded = checkpoint.load(source)
        command = f"python -m common.run train {paper.slug} {name} --scale {scale} --seed 0"
        origin = {"paper": paper.slug, "recipe": name, "scale": scale, "commit": run.result.commit}
        known = loaded.state | {"origin": origin | {"command": command}}
        recipe = paper.recipe(name, scale)
        path, tensors, state = paper.weights_file(paper.folder, file, recipe, loaded.tensors, known)
        checkpoint.save(path, tensors, state)
        written.append(path)
    return written
