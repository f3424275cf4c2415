"""The recipe behind every recogniser: CTC on transcribed speech of one language, from what is frozen on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import provenance
from common.data.packages import data_root
from common.recipe import Recipe, Shard
from common.settings import later
from speech_adapters.data.source import PARTS, Source
from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture
from speech_adapters.model.arm import Arm

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from speech_adapters.ctc.frozen_activations import FrozenActivations
    from speech_adapters.data.batches import Batch
    from speech_adapters.data.source import Utterance
    from speech_adapters.model.ctc_model import CTCModel

LOSS = "ctc_nats_per_character"


@dataclass(frozen=True, kw_only=True)
class CTCTraining(Recipe):
    """Trains a CTC model in batches of similar lengths; layers below the first trained one are computed once."""

    source: Source
    arm: Arm = field(default_factory=Arm)
    batch_s: float = 16.0  # seconds in a batch, padding included
    cache_frozen: bool = True  # keep what the frozen layers make; the same numbers either way
    packed: bool = later(
        False
    )  # compute nothing on padding: faster on a CPU; losses differ by float32's rounding
    cpu_bf16: bool = later(False)  # sixteen bits on a CPU too, where it has AVX512-BF16, AMX or their like
    onednn: bool = later(
        False
    )  # linear layers by oneDNN's product, on a CPU; faster where that is not Intel's

    # ---- the network

    @property
    def language(self) -> str:
        return self.source.language

    @abstractmethod
    def encoder_architecture(self) -> Architecture: ...

    @abstractmethod
    def backbone_key(self) -> str:
        """Which weights the frozen layers have, in words that change with them."""

    def augmented(self) -> bool:
        """Whether something random touches activations above the conv features while training."""
        return False

    def activations_folder(self) -> Path:
        """Where frozen activations are kept."""
        return data_root() / "speech" / "prefix"

    def frozen_depth(self) -> int:
        """How deep nothing is trained and nothing random happens, see `adapters.frozen_depth`."""
        return _frozen_depth(replace(self, steps=0))

    def multiplying(self, model: CTCModel) -> CTCModel:
        """The model with the products that `onednn` asks for."""
        if not self.onednn:
            return model
        from speech_adapters.model.onednn import by_onednn

        by_onednn(model)
        return model

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        groups, ratio = super().parameter_groups(model), self.ratio_of_the_head()
        if ratio == 1:
            return groups
        head = list(model.head.parameters())  # type: ignore[union-attr]
        places = set(map(id, head))
        rest = [weight for weight in groups[0]["params"] if id(weight) not in places]
        apart = [{"params": head, "lr_ratio": ratio}]
        return [{"params": rest}, *apart] if rest else apart

    def ratio_of_the_head(self) -> float:
        """Of the output head's rate to that of all else: it may learn faster than what a pre-trained encoder holds."""
        return 1.0

    # ---- training items

    def utterances(self, part: str) -> tuple[Utterance, ...]:
        """Those whose frames can spell their text."""
        from speech_adapters.ctc.scoring import feasible

        return feasible(self.source, part, self.encoder_architecture())[0]

    def labels(self, utterance: Utterance) -> tuple[int, ...]:
        """Symbol numbers of its text, by the alphabet of its language."""
        from speech_adapters.ctc.scoring import labels

        return labels(utterance)

    def _places(self, seed: int, step: int, shard: Shard) -> tuple[int, ...]:
        from speech_adapters.data import batches

        lengths = tuple(utterance.samples for utterance in self.utterances("train"))
        return batches.at(lengths, round(self.batch_s * SAMPLE_RATE_HZ), seed, step, shard)

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        utterances = self.utterances("train")
        return [utterances[place].id for place in self._places(seed, step, shard)]

    def batch(self, seed: int, step: int, shard: Shard) -> Batch:
        utterances = self.utterances("train")
        return self.collate([utterances[place] for place in self._places(seed, step, shard)])

    def collate(self, utterances: Sequence[Utterance]) -> Batch:
        """A batch of utterances of the source, from the cache where there is one."""
        from speech_adapters.data.batches import collate

        rows: list[np.ndarray]
        if self.cache_frozen and self.frozen_depth() >= 0:
            kept = _frozen_activations(replace(self, steps=0))
            rows = [kept[utterance.id] for utterance in utterances]
        else:
            rows = [utterance.waveform() for utterance in utterances]
        return collate([one.id for one in utterances], rows, [self.labels(one) for one in utterances])

    # ---- learning

    def batch_in_words(self) -> str:
        return f"up to {self.batch_s:g} s of speech"

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        return self.ctc_losses(model, batch, {})

    def weight(self, batch: Batch) -> float:
        """Characters of its transcripts."""
        return float(sum(map(len, batch.labels)))

    def ctc_losses(
        self, model: nn.Module, batch: Batch, masks: dict[str, Tensor | None]
    ) -> dict[str, Tensor]:
        """CTC over the characters of the batch; masks are those of `CTCModel`."""
        import torch

        from speech_adapters.ctc.scoring import ctc_nats

        network: Any = getattr(model, "module", model)
        inputs, lengths, depth = self.inputs(network, batch)
        halved = self.cpu_bf16 and inputs.device.type == "cpu" and provenance.cpu_has_bf16()
        with torch.autocast("cpu", torch.bfloat16) if halved else nullcontext():
            log_probs, num_frames = model(inputs, lengths, depth, packed=self.packed, **masks)
        return {LOSS: ctc_nats(log_probs, num_frames, batch.labels).sum() / sum(map(len, batch.labels))}

    def inputs(self, network: CTCModel, batch: Batch) -> tuple[Tensor, Tensor, int]:
        """What the network starts from, and at which depth; without a cache the frozen layers are computed here."""
        depth = self.frozen_depth()
        if depth < 0 or self.cache_frozen:
            return batch.inputs, batch.lengths, depth
        from speech_adapters.model.wav2vec2 import pad

        rows = [
            network.frozen_activations(row[:n], depth)
            for row, n in zip(batch.inputs, batch.lengths.tolist(), strict=True)
        ]
        inputs, lengths = pad(rows)
        return inputs, lengths, depth

    def log_probs(self, model: CTCModel, utterance: Utterance) -> Tensor:
        """Of one utterance of the source, alone."""
        device = next(model.parameters()).device
        log_probs, _ = model(*self.inputs(model, self.collate([utterance]).to(device)))
        row: Tensor = log_probs[0]
        return row


# A training needs its own alone; a few stay for tests and for scores of several recognisers in turn.


@lru_cache(maxsize=64)
def _frozen_depth(recipe: CTCTraining) -> int:
    from speech_adapters.model.adapters import FEATURES, frozen_depth

    model: Any = _apart(recipe)
    depth = frozen_depth(model.encoder)
    return min(depth, FEATURES) if recipe.augmented() else depth


@lru_cache(maxsize=4)
def _frozen_activations(recipe: CTCTraining) -> FrozenActivations:
    """Filled for the train, dev and test utterances of a recipe's source."""
    from speech_adapters.ctc.frozen_activations import FrozenActivations
    from speech_adapters.data.prepared import manifest_sha256

    utterances = [utterance for part in PARTS for utterance in recipe.utterances(part)]
    kept = FrozenActivations(
        recipe.activations_folder(), utterances, recipe.backbone_key(), recipe.frozen_depth(),
        manifest_sha256([recipe.source]),
    )  # fmt: skip
    # By the usual products: what is kept serves runs with and without `onednn`.
    kept.fill(_apart(replace(recipe, onednn=False)))  # type: ignore[arg-type]
    return kept


def _apart(recipe: CTCTraining) -> nn.Module:
    """A model of its own, made without touching the random numbers of the step that asks for it."""
    import torch

    with torch.random.fork_rng(devices=[]):
        return recipe.model()
