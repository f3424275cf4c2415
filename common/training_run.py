"""What surrounds the training loop: going on, logging, guarding, saving and telling what is saved."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from common import checkpoint, resuming, runtime, starts
from common.errors import Diverged, Interrupted
from common.journal import Journal
from common.papers import ROOT
from common.progress import say
from common.provenance import provenance
from common.recipe import Recipe, Shard
from common.resuming import Standing
from common.starts import Start
from common.stopping import names


@dataclass(frozen=True)
class Trained:
    """What a finished training leaves."""

    weights: Path
    steps: int
    wall_s: float  # over all starts of this run
    peak_memory_bytes: int


def identity(recipe: Recipe, seed: int, world_size: int) -> dict[str, Any]:
    """What must be equal for a resumed run to be the same run."""
    return {
        "settings": recipe.settings_hash(),
        "seed": seed,
        "data": recipe.manifest_sha256(),
        "world_size": world_size,
    }


def trained_weights(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Those that the optimiser moves, by name."""
    return ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)


@dataclass
class TrainingRun:
    """One start of a run, from where it stands to a stop or its end."""

    recipe: Recipe
    seed: int
    folder: Path
    fabric: Any
    network: nn.Module
    optimizer: Optimizer
    ema: dict[str, Tensor]
    earlier_s: float = 0.0  # trained before this start
    begun_s: float = field(default_factory=time.monotonic)
    pending: list[tuple[int, dict[str, Tensor], Tensor]] = field(default_factory=list)
    history: list[Start] = field(default_factory=list)  # every start up to this one
    again: str = "the same command"  # what goes on from what is saved

    def __post_init__(self) -> None:
        self.saved_at = time.monotonic()
        self.last_step = 0  # where the recipe had enough before its last
        self.good_step = 0  # the last that this start knows to be saved
        self.whole_step: int | None = (
            0  # weights, averages and optimiser are those after it; None in a step's midst
        )
        # What a step changes before it changes weights, such as running means; as it was after the last whole step.
        self.buffers: dict[str, Tensor] = {}
        self.journal = Journal(self.folder / "journal.jsonl" if self.fabric.is_global_zero else None)

    def identity(self) -> dict[str, Any]:
        """See `identity`."""
        return identity(self.recipe, self.seed, self.fabric.world_size)

    # ---- going on

    def begin(self, standing: Standing, wanted: str) -> int:
        """Goes on from where the run stands, says what it did, returns the step to go on from."""
        tell = say if self.fabric.is_global_zero else lambda sentence: None
        # Taken at the start: what is committed while a run goes on did not make it.
        gpu = torch.cuda.get_device_name() if self.fabric.device.type == "cuda" else None
        origin = provenance(ROOT, gpu=gpu)
        if wanted == "never":
            self.again = "the same command without --resume never"
        if standing.saved is None:
            if self.fabric.is_global_zero:
                if standing.moved:
                    resuming.move_away(self.folder, tell)
                resuming.discard(self.folder)
            self.fabric.barrier()
            self.history = starts.added([], "step 0", origin)
            tell(f"fresh run of {self.recipe.steps} steps in {self.folder}")
            self.journal.write("start", 0, **self.identity())
            return 0
        state, path = standing.saved.state, standing.saved.path
        checkpoint.unpack_training(standing.saved.tensors, self.network, self.optimizer, self.ema)
        self.good_step = self.whole_step = step = int(state["step"])
        self.earlier_s = state["wall_s"]
        before = state.get("starts") or starts.of_former(state)
        self.history = starts.added(before, f"step {step}", origin)
        if self.fabric.is_global_zero:
            checkpoint.forget_after(path.parent, path)
            checkpoint.forget_after(self.folder / "snapshots", path)
        self.journal.forget_after(step)
        tell(f"resumed step {step} from {path}")
        self.journal.write("resume", step)
        return step

    def to_device(self, optimizer: Optimizer) -> None:
        """Follows the model to its device, and keeps the optimiser that fabric wrapped."""
        self.optimizer = optimizer
        optimizer.load_state_dict(optimizer.state_dict())  # moves what a resumed run read on the CPU
        self.ema = {name: tensor.to(self.fabric.device) for name, tensor in self.ema.items()}
        weights = dict(self.network.named_parameters())
        state = self.network.state_dict()
        self.buffers = {name: tensor.clone() for name, tensor in state.items() if name not in weights}

    # ---- in and after a step

    @contextmanager
    def changing_to(self, step: int) -> Iterator[None]:
        """While weights are changed to those of a step, nothing is fit to be saved."""
        self.whole_step = None
        yield
        self.whole_step = step
        self._keep_buffers()

    def _keep_buffers(self) -> None:
        for name, buffer in self.network.named_buffers() if self.buffers else ():
            if name in self.buffers:  # others are no state
                self.buffers[name].copy_(buffer)

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
            kept = {"step": step, "wall_s": self._wall_s(), "starts": self.history}
            checkpoint.save(path, self.network.state_dict(), kept)
        if stop or save_due:
            self._save(step)
        if stop:
            raise Interrupted(
                f"stopped by {names(caught)}; step {step} is saved, {self.again} goes on from there"
            )

    def _log_and_guard(self, step: int) -> None:
        _, terms, norm = self.pending[-1]
        self._guard()
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
            items = hashlib.sha256(" ".join(self._items(step - 1)).encode()).hexdigest()[:8]
            self.journal.log(step, values, wall_s=self._wall_s(), items=items)
            path = self.journal.path
            enough = torch.tensor(float(path is not None and self.recipe.enough(path)))
            if self.fabric.world_size > 1:
                enough = self.fabric.all_reduce(enough.to(self.fabric.device), reduce_op="sum")
            self.last_step = step if enough else 0

    def _guard(self) -> None:
        """Looks at what nobody has looked at yet."""
        pending, self.pending = self.pending, []
        for step, terms, norm in pending:
            if not all(torch.isfinite(value).all() for value in (*terms.values(), norm)):
                told = f"loss or gradient is no number ({_show(terms)}, gradient norm {norm.item()})"
                self._diverged(step, told)

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

    # ---- saving

    def _save(self, step: int) -> None:
        if self.fabric.is_global_zero:
            self._write(step, checkpoint.pack_training(self.network, self.optimizer, self.ema))
        self.good_step, self.saved_at = step, time.monotonic()
        self.fabric.barrier()

    def _write(self, step: int, tensors: dict[str, Tensor]) -> None:
        path = self.folder / "checkpoints" / f"step-{step:08d}.safetensors"
        state = {
            "step": step, "wall_s": self._wall_s(), "identity": self.identity(), "starts": self.history
        }  # fmt: skip
        try:
            checkpoint.save(path, tensors, state)
        except checkpoint.CheckpointError as error:  # finite loss and gradient, but not what they left
            self._diverged(step, str(error))
        checkpoint.prune(path.parent)

    def rescue(self, error: Exception) -> None:
        """Saves the last whole step after a step that failed, and says what is saved; never raises.

        The step that failed changed no weight, and the buffers that it changed are put back. Other ranks may be gone,
        so that none is waited for: all hold the same.
        """
        if not self.fabric.is_global_zero:
            return
        told = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {told[0] if told else 'no word'}"
        try:
            if self.whole_step is not None and self.whole_step > self.good_step:
                traceback.clear_frames(error.__traceback__)  # activations that fill the memory
                gc.collect()
                self._guard()
                tensors = checkpoint.pack_training(self.network, self.optimizer, self.ema)
                kept = {f"model.{name}": tensor for name, tensor in self.buffers.items()}
                self._write(
                    self.whole_step, {name: tensor.cpu() for name, tensor in (tensors | kept).items()}
                )
            self.journal.write("stopped", self.whole_step or self.good_step, reason=reason)
        except Exception as worse:  # a device or disk that fails for this too, or numbers that are none
            say(f"the last whole step could not be saved: {worse}")
        say(f"stopped by {reason}; {self.saved()}")

    def saved(self) -> str:
        """What the folder holds to go on from, in words."""
        found = [
            path
            for path in checkpoint.steps_saved(self.folder / "checkpoints")
            if checkpoint.is_finished(path)
        ]
        if checkpoint.is_finished(self.folder / "weights.safetensors"):
            return "the training is finished and its weights are saved"
        if not found:
            return "nothing is saved, the same command starts anew"
        return f"step {int(found[0].stem.removeprefix('step-'))} is saved, {self.again} goes on from there"

    def _wall_s(self) -> float:
        return round(self.earlier_s + time.monotonic() - self.begun_s, 2)

    def finish(self) -> Trained:
        """Weights that are scored: the averaged ones where the recipe averages."""
        steps, path = self.last_step or self.recipe.steps, self.folder / "weights.safetensors"
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
                "starts": self.history,
                "provenance": starts.last(self.history),
            }
            checkpoint.save(path, self.network.state_dict(), state)
            self.journal.write("end", steps, wall_s=self._wall_s())
        self.fabric.barrier()
        return Trained(path, steps, self._wall_s(), runtime.peak_memory_bytes())


def _show(terms: dict[str, Tensor]) -> str:
    return json.dumps({name: str(value.item()) for name, value in terms.items()})
