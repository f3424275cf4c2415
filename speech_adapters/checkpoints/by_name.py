"""Encoders and adapter sets by name: those that are committed, and public checkpoints under `WEIGHTS_ROOT`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from speech_adapters.model.architecture import ARCHITECTURES, NO_DROPOUT, Architecture, Dropout

if TYPE_CHECKING:
    from speech_adapters.checkpoints.model_files import StoredModel
    from speech_adapters.model.contrastive import ContrastiveModel
    from speech_adapters.model.objective import QuantiserSizes
    from speech_adapters.model.wav2vec2 import Wav2Vec2

WEIGHTS = Path(__file__).parents[1] / "weights"
ADAPTERS = Path(__file__).parents[1] / "asr" / "weights"
# Public checkpoints that `paper` starts from, by the file name people download them under.
FOREIGN = {"wav2vec_small": "wav2vec_small.pt", "xlsr_53": "xlsr_53_56k.pt"}


def find(name: str) -> Path:
    """File of an encoder: a name, or a path to any checkpoint that `convert` reads.

    Raises:
        ValueError: neither, with the names there are and where public files are looked for.
    """
    known = WEIGHTS / f"{name}.safetensors"
    if known.exists():
        return known
    root = Path(os.environ.get("WEIGHTS_ROOT") or WEIGHTS).expanduser()
    for path in (root / FOREIGN.get(name, name), Path(name).expanduser()):
        if path.exists():
            return path
    names = ", ".join(sorted([*(p.stem for p in WEIGHTS.glob("*.safetensors")), *FOREIGN]))
    raise ValueError(
        f"no encoder {name!r}: known are {names}; public checkpoints are looked for in WEIGHTS_ROOT ({root})"
    )


def find_adapter_sets(names: Iterable[str]) -> dict[str, Path]:
    """Files of adapter sets by the label that outputs bear: the name of a published one, or the stem of a file's name.

    Raises:
        ValueError: no such set, with the names there are, or two of one label.
    """
    found: dict[str, Path] = {}
    for name in names:
        published, own = ADAPTERS / f"{name}.safetensors", Path(name).expanduser()
        if not published.exists() and not own.is_file():
            known = ", ".join(sorted(path.stem for path in ADAPTERS.glob("*.safetensors")))
            raise ValueError(
                f"no adapter set {name!r}: published ones are {known or 'none here yet'}; train them with "
                "`make reproduce-asr-adapters`, or give the path of a set's .safetensors"
            )
        label = name if published.exists() else own.stem
        if label in found:
            raise ValueError(f"adapter sets must differ by name, got {label} twice")
        found[label] = published if published.exists() else own
    return found


def load(name: str, dropout: Dropout = NO_DROPOUT) -> Wav2Vec2:
    """An encoder in float32, whatever its file holds; "random-tiny" and the like are made up, always the same."""
    import torch

    from speech_adapters.checkpoints import model_files
    from speech_adapters.model.wav2vec2 import Wav2Vec2

    if (made := _made_up(name)) is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Wav2Vec2(made, dropout)
    stored = _stored(name)
    encoder = Wav2Vec2(stored.architecture, dropout)
    encoder.load_state_dict(model_files.encoder_tensors(stored))
    return encoder


def load_pretraining(model: ContrastiveModel, name: str) -> None:
    """Puts a file's weights into a model that is to be trained on; its quantiser too where it has one."""
    if _made_up(name) is not None:
        model.encoder.load_state_dict(load(name).state_dict())
        return
    stored = _stored(name)
    if stored.kind == "pretraining":
        model.load_state_dict(dict(stored.tensors))
    else:
        from speech_adapters.checkpoints import model_files

        model.encoder.load_state_dict(model_files.encoder_tensors(stored))


def _stored(name: str) -> StoredModel:
    from speech_adapters.checkpoints import convert

    return convert.read(find(name)).stored


@cache
def sha256(name: str) -> str:
    """Hash over the encoder's tensors, see `model_files.backbone_sha256`; of a committed one without torch: results
    are judged by it.
    """
    path = WEIGHTS / f"{name}.safetensors"
    if not path.exists():
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


@cache
def architecture(name: str) -> Architecture:
    return _made_up(name) or _stored(name).architecture


def quantiser_sizes(name: str) -> QuantiserSizes | None:
    """Of a checkpoint of pre-training; None where it has no quantiser."""
    return None if _made_up(name) else _stored(name).quantiser_sizes


def _made_up(name: str) -> Architecture | None:
    return ARCHITECTURES.get(name.removeprefix("random-")) if name.startswith("random-") else None
