"""Models in files of ours: weights as safetensors, beside them a JSON that says what they are weights of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from common import checkpoint
from common.checkpoint import CheckpointError
from speech_adapters.model.adapters import LoraLinear, insert_adapters
from speech_adapters.model.architecture import NO_DROPOUT, Architecture, Dropout, architecture_of
from speech_adapters.model.contrastive import ContrastiveModel
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.encoder import SpeechEncoder
from speech_adapters.model.encoders import build as build_encoder
from speech_adapters.model.objective import QuantiserSizes
from speech_adapters.model.wav2vec2 import Wav2Vec2

KINDS = ("encoder", "pretraining", "recogniser")
# Modules of a Transformer layer that adapters fill, as `Arm.places` has them.
INSERTED = {"after_attention": "attention", "after_feed_forward": "feed-forward", "after_layer": "output"}


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A model in our names, whatever file it came from."""

    kind: str  # one of KINDS
    architecture: Architecture
    tensors: Mapping[str, Tensor] = field(repr=False)  # as in the model's `state_dict`
    quantiser_sizes: QuantiserSizes | None = None  # of pre-training
    vocabulary: tuple[str, ...] | None = None  # of a recogniser's head, blank first; None where nobody knows
    origin: Mapping[str, Any] = field(default_factory=dict)  # where the weights come from

    @property
    def num_symbols(self) -> int:
        return len(self.tensors["head.bias"])


class without_weights(TorchFunctionMode):
    """Inside, new modules have shapes and unset weights: nothing is drawn, and no random number is used up.

    torch's meta device would do, but imports torch's compiler, for seconds, at the first product on it.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return (torch.empty if func == torch.randn else func)(*args, **kwargs)


def build(stored: StoredModel, dropout: Dropout = NO_DROPOUT, head_dropout: float = 0.0) -> nn.Module:
    """The model, adapters and LoRA terms included where the tensors' names show them.

    Raises:
        ValueError: tensors that do not fit the architecture, by name.
    """
    with without_weights():
        model = _empty(stored, dropout, head_dropout)
    try:
        model.load_state_dict(dict(stored.tensors))
    except RuntimeError as error:
        raise ValueError(f"tensors do not fit {stored.kind} of {stored.architecture}: {error}") from error
    return model


def _empty(stored: StoredModel, dropout: Dropout, head_dropout: float) -> nn.Module:
    encoder = build_encoder(stored.architecture, dropout)
    _insert(encoder, encoder_tensors(stored))
    if stored.kind == "recogniser":
        return CTCModel(encoder, stored.num_symbols, head_dropout)
    if stored.kind == "pretraining":
        assert stored.quantiser_sizes is not None
        assert isinstance(encoder, Wav2Vec2)
        return ContrastiveModel(encoder, stored.quantiser_sizes)
    return encoder


def shapes(stored: StoredModel) -> dict[str, torch.Size]:
    """Names and shapes of the tensors that a model of these settings has without adapters."""
    bare = replace(
        stored, tensors={name: t for name, t in stored.tensors.items() if name.startswith("head.")}
    )
    with without_weights():
        model = _empty(bare, NO_DROPOUT, 0.0)
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def encoder_tensors(stored: StoredModel) -> dict[str, Tensor]:
    """The encoder's own, named as in the encoder's class."""
    if stored.kind == "encoder":
        return dict(stored.tensors)
    return {
        name.removeprefix("encoder."): tensor
        for name, tensor in stored.tensors.items()
        if name.startswith("encoder.")
    }


def _insert(encoder: SpeechEncoder, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        owner, _, last = name.rpartition(".down.weight")
        if last or not owner:
            continue
        path = owner.split(".")
        layer = encoder.get_submodule(".".join(path[:2]))
        if path[-1] in INSERTED:
            bottleneck, width = tensor.shape
            normed = f"{owner}.norm.weight" in tensors
            insert_adapters(layer, width, bottleneck, normed, INSERTED[path[-1]])
        else:
            linear = encoder.get_submodule(owner)
            assert isinstance(linear, nn.Linear)
            setattr(encoder.get_submodule(".".join(path[:-1])), path[-1], LoraLinear(linear, tensor.shape[0]))


def inserted(encoder: nn.Module) -> list[str]:
    """Names of modules in the encoder that are adapters or LoRA terms."""
    lora = [
        f"{name}.{part}"
        for name, module in encoder.named_modules()
        if isinstance(module, LoraLinear)
        for part in ("down", "up")
    ]
    return lora + [
        name
        for name, module in encoder.named_modules()
        if name.rpartition(".")[2] in INSERTED and not isinstance(module, nn.Identity)
    ]


def base_tensors(encoder: SpeechEncoder) -> dict[str, Tensor]:
    """The encoder's tensors under the names that they have before anything is inserted, without what is."""
    added = tuple(f"{name}." for name in inserted(encoder))
    wrapped = [name for name, module in encoder.named_modules() if isinstance(module, LoraLinear)]
    plain = {f"{name}.linear.": f"{name}." for name in wrapped}
    tensors = {}
    for name, tensor in encoder.state_dict().items():
        if name.startswith(added):
            continue
        prefix = name.rpartition(".")[0] + "."
        tensors[name.replace(prefix, plain.get(prefix, prefix))] = tensor
    return tensors


def backbone_sha256(encoder: SpeechEncoder) -> str:
    """sha256 over sorted names and float32 bytes of `base_tensors`: which encoder a set of adapters belongs to.

    It is the same before and after adapters or LoRA terms are inserted. Weights of the encoder that were trained
    beside them (layer norms of the adapter arms, biases of BitFit) are part of it and change it, so take it
    before training.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(base_tensors(encoder).items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().astype("<f4", copy=False).data)
    return digest.hexdigest()


# ---- files


def write(path: Path, stored: StoredModel) -> None:
    """Writes `path` (.safetensors) and the JSON beside it."""
    state = {
        "kind": stored.kind,
        "architecture": asdict(stored.architecture),
        "targets": asdict(stored.quantiser_sizes) if stored.quantiser_sizes else None,
        "vocabulary": list(stored.vocabulary) if stored.vocabulary else None,
        "origin": dict(stored.origin),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(path, stored.tensors, state)


def read(path: Path) -> StoredModel:
    """What a file of ours holds.

    Raises:
        CheckpointError: missing or damaged, or no model, such as a checkpoint of a run.
    """
    loaded = checkpoint.load(path)
    state = loaded.state
    if state.get("kind") not in KINDS:
        raise CheckpointError(f"{path}: its kind must be among {', '.join(KINDS)}, got {state.get('kind')!r}")
    return StoredModel(
        kind=state["kind"],
        architecture=architecture_of(state["architecture"]),
        tensors=loaded.tensors,
        quantiser_sizes=QuantiserSizes(**state["targets"]) if state["targets"] else None,
        vocabulary=tuple(state["vocabulary"]) if state["vocabulary"] else None,
        origin=state["origin"],
    )


def load_encoder(path: Path, dropout: Dropout = NO_DROPOUT) -> SpeechEncoder:
    """The encoder of a file of any kind."""
    stored = read(path)
    model = build(replace(stored, kind="encoder", tensors=encoder_tensors(stored)), dropout)
    assert isinstance(model, SpeechEncoder)
    return model


def load_pretraining(path: Path, dropout: Dropout = NO_DROPOUT) -> ContrastiveModel:
    """An encoder with its quantiser.

    Raises:
        CheckpointError: a file of another kind.
    """
    model = build(_of_kind(path, "pretraining"), dropout)
    assert isinstance(model, ContrastiveModel)
    return model


def load_recogniser(path: Path, dropout: Dropout = NO_DROPOUT, head_dropout: float = 0.0) -> CTCModel:
    """An encoder with its head; what the head's symbols are, `read(path).vocabulary` says.

    Raises:
        CheckpointError: a file of another kind.
    """
    model = build(_of_kind(path, "recogniser"), dropout, head_dropout)
    assert isinstance(model, CTCModel)
    return model


def _of_kind(path: Path, kind: str) -> StoredModel:
    stored = read(path)
    if stored.kind != kind:
        raise CheckpointError(f"{path}: it must hold a {kind} model, got {stored.kind!r}")
    return stored


def save_encoder(path: Path, encoder: SpeechEncoder, origin: Mapping[str, Any] | None = None) -> None:
    """Writes an encoder, with what is inserted in it."""
    write(path, StoredModel(kind="encoder", architecture=encoder.architecture, tensors=encoder.state_dict(),
                       origin=origin or {}))  # fmt: skip


def save_pretraining(path: Path, model: ContrastiveModel, origin: Mapping[str, Any] | None = None) -> None:
    """Writes an encoder with its quantiser."""
    write(path, StoredModel(kind="pretraining", architecture=model.encoder.architecture,
                            quantiser_sizes=model.quantiser_sizes, tensors=model.state_dict(),
                            origin=origin or {}))  # fmt: skip


def save_recogniser(
    path: Path, model: CTCModel, vocabulary: Sequence[str] | None, origin: Mapping[str, Any] | None = None
) -> None:
    """Writes an encoder with its head.

    Raises:
        ValueError: another number of symbols than the head has.
    """
    if vocabulary is not None and len(vocabulary) != model.head.out_features:
        raise ValueError(f"vocabulary must have {model.head.out_features} symbols, got {len(vocabulary)}")
    write(path, StoredModel(kind="recogniser", architecture=model.encoder.architecture, tensors=model.state_dict(),
                       vocabulary=tuple(vocabulary) if vocabulary else None, origin=origin or {}))  # fmt: skip
