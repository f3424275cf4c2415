"""The one training loop: it knows no paper, offers no callbacks and fits a screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from common import resuming, runtime
from common.data.batching import load_batches
from common.errors import Diverged, Interrupted
from common.files import writer_in_turn
from common.journal import Mirror
from common.output import outlives_its_reader
from common.progress import say
from common.recipe import Batch, Recipe
from common.sending import sent
from common.stopping import names, stops_noted
from common.training_run import Trained, TrainingRun, identity, trained_weights


def train(
    recipe: Recipe,
    *,
    seed: int,
    folder: Path,
    device: str = "auto",
    resume: str = "auto",
    mirrors: Callable[[int], Sequence[Mirror]] | None = None,
    alone: bool = False,
) -> Trained:
    """Trains to the recipe's last step and leaves weights and a journal in the folder.

    A finished run is left alone. What is printed may find nobody who reads it.

    Args:
        resume: "auto" goes on from the newest intact checkpoint and refuses one of another run, "must" fails
            without one, "never" discards what is there, "replace" goes on but puts another run's aside.
        mirrors: makes the journal's mirrors, given the first step; called on the first rank alone.
        alone: this process trains by itself, such as a probe inside the scoring of a run of several ranks.

    Raises:
        Diverged: a loss or gradient that is no number, or a collapse the recipe knows; nothing bad is saved.
        Interrupted: after a signal; says what is saved.
        ValueError: what is in the folder is of another run, damaged, or cannot be read.
        Exception: as a step raised it, once the last whole step is saved and that is told.
    """
    with outlives_its_reader():
        fabric = runtime.start(device, bf16=recipe.bf16, threads=recipe.threads, alone=alone)
        with writer_in_turn(folder, say) if fabric.is_global_zero else nullcontext():
            fabric.barrier()  # nobody looks into the folder while somebody else writes there
            return _train(fabric, recipe, seed, folder, resume, mirrors)


def _train(
    fabric: Any, recipe: Recipe, seed: int, folder: Path, resume: str,
    mirrors: Callable[[int], Sequence[Mirror]] | None,
) -> Trained:  # fmt: skip
    tell = say if fabric.is_global_zero else lambda sentence: None
    shards = fabric.world_size * recipe.accumulate
    if shards > 1 and (reason := recipe.not_in_shards()):
        raise ValueError(f"{shards} shards of a batch do not train what one process does: {reason}")
    if shards > 1:
        tell(
            f"a batch of {recipe.batch_in_words()} as {shards} shards, {fabric.world_size} processes x "
            f"{recipe.accumulate} passes; the rate stays {recipe.peak_lr:g}"
        )
    standing = resuming.look(folder, identity(recipe, seed, fabric.world_size), resume, tell)
    fabric.barrier()  # all have looked before one of them makes room
    if standing.saved is not None and standing.finished:
        tell(f"finished: {standing.saved.path} is left as it is")
        state = standing.saved.state
        return Trained(standing.saved.path, state["steps"], state["wall_s"], state["peak_memory_bytes"])
    runtime.seed_all(seed, "init")
    network = recipe.model()
    optimizer: Optimizer = AdamW(
        recipe.parameter_groups(network),
        lr=recipe.peak_lr,
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
        fused=recipe.fused or None,
    )
    ema = (
        {name: weight.detach().clone() for name, weight in trained_weights(network)}
        if recipe.ema_decay
        else {}
    )
    run = TrainingRun(recipe, seed, folder, fabric, network, optimizer, ema)
    first_step = run.begin(standing, resume)
    run.journal.mirrors += mirrors(first_step) if mirrors and fabric.is_global_zero else []
    if recipe.compile:
        network.compile(mode=recipe.compile)  # in its place: weights keep their names
    model, optimizer = fabric.setup(network, optimizer)
    run.to_device(optimizer)
    with stops_noted() as caught, _telling_what_is_saved(run), run.journal, _saving_what_is_whole(run):
        _steps(run, model, first_step, caught)
        trained = run.finish()
    if caught:
        raise Interrupted(f"stopped by {names(caught)}; the training is finished and its weights are saved")
    return trained


def _steps(run: TrainingRun, model: nn.Module, first_step: int, caught: list[int]) -> None:
    recipe, fabric, optimizer = run.recipe, run.fabric, run.optimizer
    batches = load_batches(
        partial(recipe.batch, run.seed), first_step=first_step, last_step=recipe.steps, rank=fabric.global_rank,
        world=fabric.world_size, accumulate=recipe.accumulate, workers=recipe.workers,
    )  # fmt: skip
    for step in range(first_step, recipe.steps):
        runtime.seed_all(run.seed, step, fabric.global_rank)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr(step) * group.get("lr_ratio", 1.0)
        parts = [next(batches) for _ in range(recipe.accumulate)]
        terms: dict[str, Tensor] = {}
        norms: list[Tensor] = []
        with ExitStack() as changing:
            for turn in recipe.turns():
                with _moving_alone(optimizer, turn):
                    terms |= _gradients(run, model, parts, step, turn)
                    limit = recipe.clip_norm or math.inf
                    weights = (weight for _, weight in trained_weights(run.network))
                    norms.append(nn.utils.clip_grad_norm_(weights, limit))
                    if len(norms) == 1:
                        changing.enter_context(run.changing_to(step + 1))
                    optimizer.step()
                    optimizer.zero_grad()
            with torch.no_grad():
                for name, weight in trained_weights(run.network) if run.ema else ():
                    run.ema[name].lerp_(weight, 1 - recipe.ema_decay)
        run.after_step(step + 1, terms, torch.stack(norms).max(), caught)
        if run.last_step:
            return


def _gradients(
    run: TrainingRun, model: nn.Module, parts: Sequence[Batch], step: int, turn: str
) -> dict[str, Tensor]:
    """Leaves the gradients of a turn's losses over all shards of this rank; returns the losses."""
    recipe, fabric = run.recipe, run.fabric
    terms: dict[str, Tensor] = {}
    for part, (batch, share) in enumerate(zip(parts, _shares(run, parts), strict=True)):
        batch = batch.to(fabric.device)
        sync_later = fabric.world_size > 1 and part < recipe.accumulate - 1
        with fabric.no_backward_sync(model) if sync_later else nullcontext():
            losses = recipe.losses_in_turn(turn, model, batch, step)
            fabric.backward(torch.stack(list(losses.values())).sum() * share / recipe.accumulate)
        for name, loss in losses.items():
            terms[name] = terms.get(name, torch.zeros_like(loss)) + loss.detach() * share / recipe.accumulate
    return terms


@contextmanager
def _moving_alone(optimizer: Optimizer, turn: str) -> Iterator[None]:
    """Inside, only a turn's weights get gradients, and so only they move; groups that name no turn are of every one."""
    standing = [
        weight
        for group in optimizer.param_groups
        if group.get("turn", turn) != turn
        for weight in group["params"]
    ]
    for weight in standing:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in standing:
            weight.requires_grad_(True)


def _shares(run: TrainingRun, parts: Sequence[Batch]) -> Sequence[float | Tensor]:
    """What this rank's shards of a step hold, against the mean over all shards of all ranks."""
    world, weights = run.fabric.world_size, [run.recipe.weight(batch) for batch in parts]
    if world == 1:
        return [1.0] if len(parts) == 1 else [weight * len(parts) / math.fsum(weights) for weight in weights]
    # Stays on the device, which need not be waited for.
    held = sent(torch.tensor(math.fsum(weights), dtype=torch.float32), run.fabric.device)
    total = run.fabric.all_reduce(held, reduce_op="sum").double()
    return [(weight * world * len(parts) / total).float() for weight in weights]


@contextmanager
def _saving_what_is_whole(run: TrainingRun) -> Iterator[None]:
    """A step that fails, as where memory runs out or a loader's worker dies, costs that step alone."""
    try:
        yield
    except (Diverged, Interrupted):
        raise
    except Exception as error:
        run.rescue(error)
        raise


@contextmanager
def _telling_what_is_saved(run: TrainingRun) -> Iterator[None]:
    """A second Ctrl-C ends everything at once."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped at once; {run.saved()}") from error
