"""The one training loop: it knows no paper, offers no callbacks and fits a screen."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from common import checkpoint, runtime
from common.data.batching import load_batches
from common.errors import Diverged, Interrupted
from common.files import only_writer
from common.journal import Journal, Mirror
from common.papers import ROOT
from common.recipe import Recipe, Shard
from common.results import provenance


@dataclass(frozen=True)
class Trained:
    """What a finished training leaves."""

    weights: Path
    steps: int
    wall_s: float  # over all starts of this run
    peak_memory_bytes: int


def train(
    recipe: Recipe,
    *,
    seed: int,
    folder: Path,
    device: str = "auto",
    resume: str = "auto",
    mirrors: Callable[[int], Sequence[Mirror]] | None = None,
) -> Trained:
    """Trains to the recipe's last step and leaves weights and a journal in the folder.

    Args:
        resume: "auto" goes on from the newest intact checkpoint and refuses one of another run, "must" fails
            without one, "never" starts anew, "replace" goes on but starts anew over another run's.
        mirrors: makes the journal's mirrors, given the first step; called on the first rank alone.

    Raises:
        Diverged: a loss or gradient that is no number, or a collapse the recipe knows; nothing bad is saved.
        Interrupted: after a signal, once the run is saved.
        ValueError: another process writes to the folder, or the checkpoints there are of another run.
    """
    fabric = runtime.start(device, bf16=recipe.bf16, threads=recipe.threads)
    with only_writer(folder) if fabric.is_global_zero else nullcontext():
        return _train(fabric, recipe, seed, folder, resume, mirrors)


def _train(
    fabric: Any, recipe: Recipe, seed: int, folder: Path, resume: str,
    mirrors: Callable[[int], Sequence[Mirror]] | None,
) -> Trained:  # fmt: skip
    runtime.seed_all(seed, "init")
    network = recipe.model()
    optimizer: Optimizer = AdamW(
        recipe.parameter_groups(network),
        lr=recipe.peak_lr,
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
    )
    ema = {name: weight.detach().clone() for name, weight in _trained(network)} if recipe.ema_decay else {}
    run = _Run(recipe, seed, folder, fabric, network, optimizer, ema)
    first_step = run.resume(resume)
    run.journal.mirrors += mirrors(first_step) if mirrors and fabric.is_global_zero else []
    model, optimizer = fabric.setup(network, optimizer)
    run.to_device(optimizer)
    batches = load_batches(
        partial(recipe.batch, seed), first_step=first_step, last_step=recipe.steps, rank=fabric.global_rank,
        world=fabric.world_size, accumulate=recipe.accumulate, workers=recipe.workers,
    )  # fmt: skip
    with _signals() as caught, run.journal:
        for step in range(first_step, recipe.steps):
            runtime.seed_all(seed, step, fabric.global_rank)
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr(step) * group.get("lr_ratio", 1.0)
            terms: dict[str, Tensor] = {}
            for part in range(recipe.accumulate):
                batch = next(batches).to(fabric.device)
                sync_later = fabric.world_size > 1 and part < recipe.accumulate - 1
                with fabric.no_backward_sync(model) if sync_later else nullcontext():
                    losses = recipe.losses(model, batch, step)
                    fabric.backward(torch.stack(list(losses.values())).sum() / recipe.accumulate)
                for name, loss in losses.items():
                    terms[name] = terms.get(name, torch.zeros_like(loss)) + loss.detach() / recipe.accumulate
            limit = recipe.clip_norm or math.inf
            norm = nn.utils.clip_grad_norm_((weight for _, weight in _trained(network)), limit)
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                for name, weight in _trained(network) if ema else ():
                    run.ema[name].lerp_(weight, 1 - recipe.ema_decay)
            run.after_step(step + 1, terms, norm, caught)
        trained = run.finish()
    if caught:
        raise Interrupted("stopped by a signal; the training is finished and its weights are saved")
    return trained


def _trained(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)


@dataclass
class _Run:
    """What surrounds the loop: resuming, logging, guarding, saving."""

    recipe: Recipe
    seed: int
    folder: Path
    fabric: Any
    network: nn.Module
    optimizer: Optimizer
    ema: dict[str, Tensor]
    earlier_s: float = 0.0  # trained before this start
    started: float = field(default_factory=time.monotonic)
    pending: list[tuple[int, dict[str, Tensor], Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.saved_at = time.monotonic()
        self.good_step = 0
        # Taken at the start: what is committed while a run goes on did not make it.
        gpu = torch.cuda.get_device_name() if self.fabric.device.type == "cuda" else None
        self.origin = provenance(ROOT, gpu=gpu)
        self.journal = Journal(self.folder / "journal.jsonl" if self.fabric.is_global_zero else None)

    # ---- resuming

    def identity(self) -> dict[str, Any]:
        """What must be equal for a resumed run to be the same run."""
        return {
            "settings": self.recipe.settings_hash(),
            "seed": self.seed,
            "data": self.recipe.manifest_sha256(),
            "world_size": self.fabric.world_size,
        }

    def resume(self, wanted: str) -> int:
        """Goes back to the newest intact checkpoint, says what it did, returns the step to go on from."""
        if wanted not in ("auto", "must", "never", "replace"):
            raise ValueError(f"resume must be auto, must, never or replace, got {wanted!r}")
        say = self._say if self.fabric.is_global_zero else lambda text: None
        found = None if wanted == "never" else checkpoint.newest(self.folder / "checkpoints", say)
        if found is not None and wanted == "replace" and found.state["identity"] != self.identity():
            say(f"{found.path} is of other settings or data, so this run starts anew")
            found = None
        if found is None:
            if wanted == "must":
                raise ValueError(
                    f"no intact checkpoint in {self.folder / 'checkpoints'}; start with --resume auto"
                )
            self._forget_all()
            say(f"fresh run of {self.recipe.steps} steps in {self.folder}")
            self.journal.write("start", 0, **self.identity())
            return 0
        for key, ours in self.identity().items():
            if found.state["identity"][key] != ours:
                raise ValueError(
                    f"{found.path} was made with {key} {found.state['identity'][key]}, this run has {ours}; "
                    "use the same, or --resume never to start anew"
                )
        checkpoint.unpack_training(found.tensors, self.network, self.optimizer, self.ema)
        self.good_step, self.earlier_s = found.state["step"], found.state["wall_s"]
        if self.fabric.is_global_zero:
            checkpoint.forget_after(found.path.parent, found.path)
            checkpoint.forget_after(self.folder / "snapshots", found.path)
        self.journal.forget_after(self.good_step)
        say(f"resumed step {self.good_step} from {found.path}")
        self.journal.write("resume", self.good_step)
        return self.good_step

    def _forget_all(self) -> None:
        if self.journal.path is not None:
            self.journal.path.unlink(missing_ok=True)
            checkpoint.prune(self.folder / "checkpoints", keep=0)
            checkpoint.prune(self.folder / "snapshots", keep=0)
            for suffix in (".safetensors", ".json"):
                (self.folder / "weights").with_suffix(suffix).unlink(missing_ok=True)
        self.fabric.barrier()

    def to_device(self, optimizer: Optimizer) -> None:
        """Follows the model to its device, and keeps the optimiser that fabric wrapped."""
        self.optimizer = optimizer
        optimizer.load_state_dict(optimizer.state_dict())  # moves what a resumed run read on the CPU
        self.ema = {name: tensor.to(self.fabric.device) for name, tensor in self.ema.items()}

    # ---- after a step

    def after_step(self, step: int, terms: dict[str, Tensor], norm: Tensor, caught: list[int]) -> None:
        """Logs, guards, saves and stops; reads values off the device only when it logs or saves."""
        self.pending.append((step, terms, norm))
        save_due = time.monotonic() - self.saved_at > self.recipe.save_every_s
        stop = bool(caught)
        if self.fabric.world_size > 1:  # clocks and signals differ between ranks, decisions must not
            flags = torch.tensor([save_due, stop], dtype=torch.float32, device=self.fabric.device)
            save_due, stop = (self.fabric.all_reduce(flags, reduce_op="sum") > 0).tolist()
        if stop or save_due or step % self.recipe.log_every == 0 or step == self.recipe.steps:
            self._log_and_guard(step)
        if self.recipe.preview_every and step % self.recipe.preview_every == 0:
            self._preview(step)
        if self.recipe.keep_every and step % self.recipe.keep_every == 0 and self.fabric.is_global_zero:
            path = self.folder / "snapshots" / f"step-{step:08d}.safetensors"
            checkpoint.save(path, self.network.state_dict(), {"step": step, "wall_s": self._wall_s()})
        if stop or save_due:
            self._save(step)
        if stop:
            raise Interrupted(
                f"stopped by a signal; step {step} is saved, the same command goes on from there"
            )

    def _log_and_guard(self, step: int) -> None:
        pending, self.pending = self.pending, []
        for earlier, terms, norm in pending:
            if not all(torch.isfinite(value).all() for value in (*terms.values(), norm)):
                self._diverged(
                    earlier, f"loss or gradient is no number ({_show(terms)}, gradient norm {norm.item()})"
                )
        _, terms, norm = pending[-1]
        values = {name: self.fabric.all_reduce(loss, reduce_op="mean").item() for name, loss in terms.items()}
        values["loss"] = math.fsum(values.values())
        # Equal on all ranks, or one would stop and leave the others waiting.
        watched = self.recipe.monitor(self.network)
        values |= {
            name: self.fabric.all_reduce(value.to(self.fabric.device), reduce_op="mean").item()
            for name, value in watched.items()
        }
        if sentence := self.recipe.check(values, step):
            self._diverged(step, sentence)
        values |= {"gradient_norm": norm.item(), "lr": self.recipe.lr(step - 1)}
        if step % self.recipe.log_every == 0 or step == self.recipe.steps:
            elapsed_s = self.earlier_s + time.monotonic() - self.started
            items = hashlib.sha256(" ".join(self._items(step - 1)).encode()).hexdigest()[:8]
            self.journal.log(step, values, wall_s=round(elapsed_s, 2), items=items)

    def _items(self, step: int) -> list[str]:
        """Ids of one step's whole batch, made again since batches are functions of the step."""
        count = self.fabric.world_size * self.recipe.accumulate
        shards = (Shard(index, count) for index in range(count))
        return [id_ for shard in shards for id_ in self.recipe.item_ids(self.seed, step, shard)]

    def _diverged(self, step: int, sentence: str) -> None:
        good = (
            f"step {self.good_step} is the last good checkpoint"
            if self.good_step
            else "no checkpoint was saved"
        )
        items = ", ".join(self._items(step - 1))
        self.journal.write("diverged", step, reason=sentence, items=items)
        raise Diverged(f"step {step}: {sentence}; items: {items}; {good} in {self.folder / 'checkpoints'}")

    def _preview(self, step: int) -> None:
        if not self.fabric.is_global_zero:
            return
        from PIL import Image

        self.network.eval()
        for name, picture in self.recipe.preview(self.network, self.seed).items():
            path = self.folder / "previews" / f"{name}-{step:06d}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(picture).save(path)
            self.journal.picture(step, name, path)
        self.network.train()

    def _save(self, step: int) -> None:
        if self.fabric.is_global_zero:
            state = {"step": step, "wall_s": self._wall_s(), "identity": self.identity()}
            path = self.folder / "checkpoints" / f"step-{step:08d}.safetensors"
            tensors = checkpoint.pack_training(self.network, self.optimizer, self.ema)
            try:
                checkpoint.save(path, tensors, state)
            except checkpoint.CheckpointError as error:  # finite loss and gradient, but not what they left
                self._diverged(step, str(error))
            checkpoint.prune(path.parent)
        self.good_step, self.saved_at = step, time.monotonic()
        self.fabric.barrier()

    def _wall_s(self) -> float:
        return round(self.earlier_s + time.monotonic() - self.started, 2)

    def finish(self) -> Trained:
        """Weights that are scored: the averaged ones where the recipe averages."""
        steps, path = self.recipe.steps, self.folder / "weights.safetensors"
        self._save(steps)
        if self.fabric.is_global_zero:
            with torch.no_grad():
                for name, weight in self.network.named_parameters():
                    if name in self.ema:
                        weight.copy_(self.ema[name])
            self._preview(steps)
            state = {
                "identity": self.identity(),
                "settings": self.recipe.settings(),
                "steps": steps,
                "wall_s": self._wall_s(),
                "peak_memory_bytes": runtime.peak_memory_bytes(),
                "provenance": self.origin,
            }
            checkpoint.save(path, self.network.state_dict(), state)
            self.journal.write("end", steps, wall_s=self._wall_s())
        self.fabric.barrier()
        return Trained(path, steps, self._wall_s(), runtime.peak_memory_bytes())

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _show(terms: dict[str, Tensor]) -> str:
    return json.dumps({name: str(value.item()) for name, value in terms.items()})


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGTERM and Ctrl-C, so that the loop stops between two steps; a second Ctrl-C stops at once."""
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        caught.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever runs us there handles its own signals
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
