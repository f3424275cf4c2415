"""Adapter sets: what one language or task adds to a frozen encoder, saved alone, many over one encoder in one batch.

A set holds its adapters, its layer norms (each set trains its own), the hash of the encoder it was trained on, and
what its training needs above the encoder: head and vocabulary of recognition, quantiser and projections of
pre-training. With no set chosen the encoder is what it was, norms included.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from common import checkpoint
from speech_adapters.checkpoints import model_files
from speech_adapters.checkpoints.model_files import StoredModel, backbone_sha256, encoder_tensors
from speech_adapters.data import any_script
from speech_adapters.data.text import NORMALISER, Vocabulary
from speech_adapters.model.adapters import apply
from speech_adapters.model.arm import Arm
from speech_adapters.model.contrastive import ContrastiveModel
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.encoder import SpeechEncoder, TransformerLayer
from speech_adapters.model.encoders import build

NORMALISERS = (NORMALISER, any_script.NORMALISER)
SWITCHED = ("after_attention", "after_feed_forward", "after_layer", "attention_norm", "feed_forward_norm")


class WrongBackbone(ValueError):
    """A set that was trained on another encoder."""


@dataclass(frozen=True)
class AdapterSet:
    """Trained tensors by their names in a `CTCModel` or in `ContrastiveModel`, and what they need around them."""

    tensors: dict[str, Tensor]
    arm: Arm
    language: str
    vocabulary: Vocabulary | None  # None of pre-training
    backbone: str  # sha256 of the encoder's tensors
    origin: Mapping[str, Any]
    normaliser: str = NORMALISER  # of the texts that it writes

    @classmethod
    def of(
        cls,
        model: CTCModel | ContrastiveModel,
        arm: Arm,
        language: str,
        backbone: str,
        origin: Mapping[str, Any],
    ) -> AdapterSet:
        """What is trained in a model. Only arms that leave the encoder's own matrices alone make a set.

        Raises:
            ValueError: an arm that trains more than what can be switched.
        """
        if arm.kind not in ("adapters", "single-adapter", "head"):
            raise ValueError(f"an adapter set is of arm adapters, single-adapter or head, got {arm.kind}")
        if any(weight.requires_grad for weight in model.encoder.extractor.parameters()):
            raise ValueError("an adapter set leaves the extractor alone; this model trains it")
        tensors = {name: w.detach().clone() for name, w in model.named_parameters() if w.requires_grad}
        vocabulary = Vocabulary.of(language) if isinstance(model, CTCModel) else None
        return cls(tensors, arm, language, vocabulary, backbone, dict(origin))

    def state(self) -> dict[str, Any]:
        """All but the tensors, as JSON holds it."""
        return {
            "kind": "adapter set",
            "arm": dataclasses.asdict(self.arm),
            "language": self.language,
            "symbols": list(self.vocabulary.symbols) if self.vocabulary else None,
            "normaliser": self.normaliser if self.vocabulary else None,
            "backbone": self.backbone,
            "origin": dict(self.origin),
        }

    def save(self, path: Path) -> None:
        """Writes one safetensors file and its JSON."""
        checkpoint.save(path, self.tensors, self.state())

    @classmethod
    def load(cls, path: Path) -> AdapterSet:
        """
        Raises:
            CheckpointError: missing, altered, or no adapter set.
            ValueError: of another normaliser.
        """
        if not path.is_file():
            raise checkpoint.CheckpointError(
                f"{path}: no such file; a set is the .safetensors that finetune wrote"
            )
        if not path.with_suffix(".json").is_file():
            raise checkpoint.CheckpointError(
                f"{path} is no adapter set: that is a .safetensors with its .json beside it, as finetune writes both"
            )
        found = checkpoint.load(path)
        if found.state.get("kind") != "adapter set":
            raise checkpoint.CheckpointError(
                f"{path} is no adapter set but {found.state.get('kind', 'unknown')!r}"
            )
        state = found.state
        if state["symbols"] and state["normaliser"] not in NORMALISERS:
            raise ValueError(
                f"{path} was trained with normaliser {state['normaliser']}, this is {NORMALISER}"
            )
        vocabulary = Vocabulary(tuple(state["symbols"])) if state["symbols"] else None
        return cls(
            found.tensors,
            Arm(**state["arm"]),
            state["language"],
            vocabulary,
            state["backbone"],
            state["origin"],
            state["normaliser"] or NORMALISER,
        )

    def check_backbone(self, sha256: str) -> None:
        """
        Raises:
            WrongBackbone: with both hashes.
        """
        if self.backbone != sha256:
            raise WrongBackbone(
                f"this {self.language} adapter set was trained on the encoder {self.backbone[:12]}, not on "
                f"{sha256[:12]}; give --model the encoder it belongs to"
            )

    def recogniser(self, encoder: SpeechEncoder) -> CTCModel:
        """The encoder with this set put in for good; the encoder given is used up.

        Raises:
            WrongBackbone: the encoder is not the one it was trained on.
        """
        if self.vocabulary is None:
            raise ValueError(
                f"this {self.language} adapter set is of pre-training and has no head to recognise with"
            )
        self.check_backbone(backbone_sha256(encoder))
        model = CTCModel(encoder, len(self.vocabulary))
        apply(self.arm, encoder, model.head)
        _load_some(model, self.tensors)
        return model.eval()

    def merged(self, base: StoredModel) -> StoredModel:
        """A whole recogniser: the set in the encoder that it belongs to.

        Raises:
            WrongBackbone: it belongs to another.
            ValueError: a set of pre-training.
        """
        encoder = model_files.build(dataclasses.replace(base, kind="encoder", tensors=encoder_tensors(base)))
        assert isinstance(encoder, SpeechEncoder)
        model = self.recogniser(encoder)
        assert self.vocabulary is not None
        return StoredModel(kind="recogniser", architecture=base.architecture, tensors=model.state_dict(),
                           vocabulary=self.vocabulary.symbols, origin=self.origin)  # fmt: skip

    def begin(self, encoder: SpeechEncoder) -> None:
        """Puts its adapters and norms into the encoder it belongs to, where they can learn on; a head is left out.

        Raises:
            WrongBackbone: the encoder is not the one it was trained on.
        """
        self.check_backbone(backbone_sha256(encoder))
        apply(self.arm, encoder)
        prefix = "encoder."
        own = {key.removeprefix(prefix): t for key, t in self.tensors.items() if key.startswith(prefix)}
        _load_some(encoder, own)

    def put_into(self, model: ContrastiveModel) -> None:
        """Puts a set of pre-training, quantiser included, into a model of the encoder it belongs to, for good.

        Raises:
            WrongBackbone: the encoder is not the one it was trained on.
        """
        self.check_backbone(backbone_sha256(model.encoder))
        apply(self.arm, model.encoder)
        absent, unknown = model.load_state_dict(self.tensors, strict=False)
        if unknown or any(name in self.tensors for name in absent):
            raise ValueError(f"tensors do not fit: unknown {unknown}")


def _load_some(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    absent, unknown = module.load_state_dict(dict(tensors), strict=False)
    trained = {name for name, weight in module.named_parameters() if weight.requires_grad}
    if unknown or trained & set(absent):
        raise ValueError(f"tensors do not fit: unknown {unknown}, missing {sorted(trained & set(absent))}")


class _Chosen:
    """Which set each utterance of the batch in work uses; None is the bare encoder."""

    names: tuple[str | None, ...] = ()


class Switch(nn.Module):
    """One of several modules for each utterance of a batch; where none is named, the encoder's own."""

    def __init__(self, own: nn.Module, chosen: _Chosen):
        super().__init__()
        self.own, self.choices, self._chosen = own, nn.ModuleDict(), chosen

    def forward(self, x: Float[Tensor, "batch frame width"]) -> Float[Tensor, "batch frame width"]:
        names = self._chosen.names
        if len(set(names)) == 1:
            return self._of(names[0])(x)
        output = torch.empty_like(x)
        for name in dict.fromkeys(names):
            rows = torch.tensor([i for i, other in enumerate(names) if other == name], device=x.device)
            output[rows] = self._of(name)(x[rows])
        return output

    def _of(self, name: str | None) -> nn.Module:
        return self.choices[name] if name is not None and name in self.choices else self.own


class AdapterBank(nn.Module):
    """One frozen encoder and any number of sets over it, chosen utterance by utterance inside one batch."""

    def __init__(self, encoder: SpeechEncoder):
        super().__init__()
        self.backbone = backbone_sha256(encoder)
        self.encoder = encoder.eval().requires_grad_(False)
        self.heads = nn.ModuleDict()
        self.sets: dict[str, AdapterSet] = {}
        self._chosen = _Chosen()
        for layer in self.encoder.layers:
            for place in SWITCHED:
                setattr(layer, place, Switch(getattr(layer, place), self._chosen))

    def add(self, name: str, adapters: AdapterSet) -> None:
        """Adds a set; what is there already is not touched.

        Raises:
            WrongBackbone: trained on another encoder.
            ValueError: the name is taken.
        """
        adapters.check_backbone(self.backbone)
        if (
            name in self.sets or hasattr(self.heads, name) or not name.isidentifier()
        ):  # "keys" is a method of what holds them
            raise ValueError(
                f"a set needs a new name of letters, digits and _, got {name!r} beside {list(self.sets)}"
            )
        architecture = self.encoder.architecture
        symbols = adapters.vocabulary
        with torch.random.fork_rng(devices=[]):  # new modules draw numbers that are replaced at once
            bare = CTCModel(build(architecture), len(symbols) if symbols else 1).requires_grad_(False)
            apply(adapters.arm, bare.encoder, bare.head if symbols else None)
        own = ("encoder.", "head.")
        _load_some(bare, {key: t for key, t in adapters.tensors.items() if key.startswith(own)})
        trained = {key.rpartition(".")[0] for key in adapters.tensors}
        for number, (mine, theirs) in enumerate(zip(self.encoder.layers, bare.encoder.layers, strict=True)):
            assert isinstance(theirs, TransformerLayer)
            for place in SWITCHED:
                if any(key.startswith(f"encoder.layers.{number}.{place}") for key in trained):
                    getattr(mine, place).choices[name] = getattr(theirs, place).eval().requires_grad_(False)
        if symbols:
            self.heads[name] = bare.head.eval().requires_grad_(False)
        self.sets[name] = adapters
        self.to(next(self.encoder.parameters()).device)

    @torch.no_grad()
    def encode(
        self,
        waveform: Float[Tensor, "batch sample"],
        num_samples: Int[Tensor, " batch"],
        names: Sequence[str | None],
    ) -> tuple[Float[Tensor, "batch frame width"], Int[Tensor, " batch"]]:
        """Context vectors with each utterance's set switched on; None is the bare encoder.

        Raises:
            ValueError: a name that was not added, or not one for each utterance.
        """
        unknown = sorted({name for name in names if name is not None} - set(self.sets))
        if unknown or len(names) != len(waveform):
            raise ValueError(
                f"name one of {', '.join(self.sets) or 'no set yet'} for each of {len(waveform)} utterances, "
                f"got {list(names)}"
            )
        self._chosen.names = tuple(names)
        try:
            x, num_frames = self.encoder(waveform, num_samples)
        finally:
            self._chosen.names = ()
        return x, num_frames

    @torch.no_grad()
    def log_probs(
        self,
        waveform: Float[Tensor, "batch sample"],
        num_samples: Int[Tensor, " batch"],
        names: Sequence[str],
    ) -> list[Float[Tensor, "frame symbol"]]:
        """Log-probabilities of each utterance's own frames, over the symbols of its own set."""
        x, num_frames = self.encode(waveform, num_samples, names)
        return [
            self.heads[name](row[:n]).float().log_softmax(dim=1)
            for row, n, name in zip(x, num_frames.tolist(), names, strict=True)
        ]
