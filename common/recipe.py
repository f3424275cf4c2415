"""What a paper runs: frozen dataclasses whose fields are settings and whose methods are wiring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from common.schedule import COSINE, Schedule
from common.settings import free, hashed, later, settings_hash

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item

COMPILE_MODES = ("default", "reduce-overhead")  # the second records CUDA graphs


@runtime_checkable
class Batch(Protocol):
    """Tensors of some items; what they are is between a recipe and its model."""

    def to(self, device: Any) -> Batch: ...


@dataclass(frozen=True)
class Shard:
    """One of `count` equal parts of a step's global batch: a rank's, or one accumulation's."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard index must be in 0..{self.count - 1}, got {self.index}")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One row of a paper's tables: frozen settings, and how raw scores come of them.

    Fields are settings; each is hashed into the result and can be overridden with `--set`. An experiment is a
    `Recipe`, which makes and trains a model that is then scored, or a `Measurement`, which has none.
    """

    threads: int = 1  # of the CPU; two runs of one thread use two cores better than one of two
    cost_s: float = free(0.0)  # what a run takes on the hardware its scale is made for

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads must be 1 or more, got {self.threads}")

    def prepare(self) -> None:
        """Fetches and prepares the data that it reads; at once where that was done."""

    def departures(self) -> tuple[str, ...]:
        """What is done otherwise than in the paper, one sentence each."""
        return ()

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        """ "id: reason" of every item that was left out because it could not be read, and their share in 0..1."""
        return (), 0.0

    def manifest_sha256(self) -> str:
        """Hash of the data that it reads; empty for made-up data."""
        return ""

    def settings(self) -> dict[str, Any]:
        """Every field that can change a number, as JSON holds it."""
        fields: dict[str, Any] = hashed(self)
        return fields

    def settings_hash(self) -> str:
        """Twelve hex digits that name this exact set of settings (and the class that reads them)."""
        return settings_hash(self)


@dataclass(frozen=True, kw_only=True)
class Measurement(Experiment, ABC):
    """What is measured without a model that is trained or loaded, such as the seconds of an update."""

    @abstractmethod
    def measure(self, *, seed: int, split: str, device: str) -> Iterator[Item]:
        """Raw scores, made on the device ("cpu" or "cuda")."""


@dataclass(frozen=True, kw_only=True)
class Recipe(Experiment, ABC):
    """How to make, train and score one model.

    The trainer calls the methods and offers no callbacks. `steps=0` is a model that is scored as it is made, such as
    a bicubic baseline.
    """

    steps: int
    batch_size: int = 1  # items in a global batch, over all ranks and accumulations
    peak_lr: float = 0.0
    schedule: Schedule = COSINE
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 0.0  # largest gradient norm; 0 never clips
    ema_decay: float = 0.0  # of the averaged weights that are scored; 0 scores the last ones
    accumulate: int = 1  # passes that make one global batch
    bf16: bool = False  # mixed precision, only where an accelerator has it
    fused: bool = later(False)  # AdamW in one pass over each weight; equal but for rounding, faster
    compile: str = later("")  # one of COMPILE_MODES; empty does not compile
    workers: int = free(0)  # loader processes
    log_every: int = free(10)  # steps
    save_every_s: float = free(60.0)
    preview_every: int = free(0)  # steps; 0 previews only at the end
    keep_every: int = free(
        0
    )  # steps; weights on the way that `score` may look at, see `snapshots`; 0 keeps none

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 0:
            raise ValueError(f"steps must be 0 or more, got {self.steps}")
        for key in ("batch_size", "accumulate", "log_every"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} must be 1 or more, got {getattr(self, key)}")
        if self.compile and self.compile not in COMPILE_MODES:
            raise ValueError(f"compile must be one of {', '.join(COMPILE_MODES)}, got {self.compile!r}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate must divide batch_size, got {self.accumulate} for {self.batch_size} items"
            )

    # ---- wiring, supplied by a paper

    @abstractmethod
    def model(self) -> nn.Module:
        """A new network; the trainer has seeded torch."""

    @abstractmethod
    def batch(self, seed: int, step: int, shard: Shard) -> Batch:
        """One shard of a step's batch, a pure function of its arguments: resuming is asking for a later step."""

    @abstractmethod
    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        """Names of the items in that shard, so that a broken step can be looked into; nothing is loaded."""

    @abstractmethod
    def losses(self, model: nn.Module, batch: Any, step: int) -> dict[str, Tensor]:
        """Named, weighted terms; their sum is minimised. Means over what `weight` counts, so that shards average."""

    @abstractmethod
    def score(self, model: nn.Module, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        """Raw scores of every item of `split` ("dev" or "test"); example pictures go to the folder."""

    # ---- wiring with a default

    def turns(self) -> tuple[str, ...]:
        """Names of the optimisers that move their weights one after another in every step; by default one, of all.

        Where there are several, each group of `parameter_groups` names its own under "turn", and may name its own
        "betas" and "weight_decay".
        """
        return ("",)

    def losses_in_turn(self, turn: str, model: nn.Module, batch: Any, step: int) -> dict[str, Tensor]:
        """What the optimiser of that name minimises, as `losses`; the weights of the others stand still."""
        return self.losses(model, batch, step)

    def weight(self, batch: Any) -> float:
        """How many of what the losses are a mean over (characters, masked frames) a shard holds.

        Shards are averaged by it, so that many train what one would. 1 where all shards of a batch hold as many.
        """
        return 1.0

    def batch_in_words(self) -> str:
        """What a global batch holds, for people."""
        return f"{self.batch_size} items"

    def not_in_shards(self) -> str:
        """Why no average over shards is the loss of their whole batch; empty where the one by `weight` is."""
        return "optimisers that take turns are for one process" if len(self.turns()) > 1 else ""

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Optimiser groups; a group's `lr_ratio` multiplies the schedule."""
        return [{"params": [weight for weight in model.parameters() if weight.requires_grad]}]

    def monitor(self, model: nn.Module) -> dict[str, Tensor]:
        """Values to log that are no loss, read off the model after a step."""
        return {}

    def enough(self, journal: Path) -> bool:
        """Whether what was logged so far shows that further steps serve nothing; the run then ends as at its last."""
        return False

    def check(self, values: Mapping[str, float], step: int) -> str | None:
        """A sentence when logged values show a collapse; the run then stops."""
        return None

    def preview(self, model: nn.Module, seed: int) -> dict[str, Any]:
        """Named pictures (uint8 height x width x 3) of what the model does now, never of test data."""
        return {}

    # ---- what the trainer asks

    def lr(self, step: int) -> float:
        """Rate at a step, counted from 0."""
        return self.schedule.rate(self.peak_lr, step, self.steps)


def name_of(name: str, recipe: Experiment, registered: Experiment) -> str:
    """A recipe's own name, or one with its settings' hash when `--set` changed a number; claims read only the first."""
    digest = recipe.settings_hash()
    return name if digest == registered.settings_hash() else f"{name}-set-{digest}"
