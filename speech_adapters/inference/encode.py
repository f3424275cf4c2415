"""Features of any audio, from any layer of an encoder, as .npy files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from common.data.arrays import save_array
from common.data.audio import SAMPLE_RATE_HZ, AudioError, probe_audio, read_audio
from common.files import check_folder, write_atomically
from common.strict_json import parsed
from speech_adapters.checkpoints import by_name, convert, model_files
from speech_adapters.inference.windows import Failure, Stitch, Windows, cut_off_note
from speech_adapters.model.architecture import WhisperArchitecture
from speech_adapters.model.encoder import SpeechEncoder

WHOLE_S = 600.0  # longer files are encoded in windows
WINDOW_S, CONTEXT_S = 30.0, 2.0  # of a window that is kept, and more on each side that is context alone
RECORD = "encode.json"  # in the folder: what its features are


@dataclass(frozen=True)
class Encoder:
    """An encoder and the layer to read."""

    network: SpeechEncoder
    layer: int
    sha256: str  # of its tensors, inserted ones included

    @property
    def record(self) -> dict[str, object]:
        """What a folder of features must have in common."""
        return {
            "encoder_sha256": self.sha256,
            "layer": self.layer,
            "width": self.network.architecture.width,
            "frame_s": self.network.architecture.frame_s,
        }

    @torch.no_grad()
    def features(self, waveform: Float32[ndarray, " sample"]) -> Float[Tensor, "frame width"]:
        """0 is the embedding, n what layer n makes; the last one after the final norm of nets that have one."""
        network = self.network
        device = next(network.parameters()).device
        x, num_frames = network.extract(torch.from_numpy(waveform)[None].to(device))
        x = network.contextualise(network.embed(x, num_frames), num_frames, stop=self.layer)
        return x[0].cpu()

    def encode(self, path: str | Path, *, whole_s: float = WHOLE_S) -> Float[Tensor, "frame width"]:
        """Features of a file, 50 frames a second.

        Args:
            whole_s: longest file that is encoded in one pass; a longer one is cut into windows that overlap.

        Raises:
            AudioError: it cannot be read, or is too short for one frame.
        """
        path, architecture = Path(path), self.network.architecture
        keep_s = WINDOW_S
        if isinstance(architecture, WhisperArchitecture):  # it hears so much at once
            whole_s = min(whole_s, architecture.most_frames * architecture.frame_s)
            keep_s = min(keep_s, architecture.most_frames * architecture.frame_s - 2 * CONTEXT_S)
        length_s = probe_audio(path).duration_s  # of a header, if any: spares reading what is too long
        if length_s is None or length_s <= whole_s:
            samples = read_audio(path)
            if len(samples) < (fewest := architecture.receptive_field):
                raise AudioError(path, f"must have {fewest} samples for one frame, got {len(samples)}")
            if len(samples) <= whole_s * SAMPLE_RATE_HZ:
                return self.features(samples)
        windows = Windows(architecture, keep_s + 2 * CONTEXT_S, 2 * CONTEXT_S)
        stitch = Stitch(windows)
        pieces = [stitch.add(first, self.features(samples)) for first, samples in windows.cut(path)]
        return torch.cat([*pieces, stitch.rest()])


@dataclass(frozen=True)
class Encoded:
    """A file whose features are there."""

    path: Path
    target: Path
    frames: int | None  # None: it was there before and is kept
    note: str = ""  # what is odd about the file, which was read all the same


def load(model: str, layer: int | None, device: torch.device) -> Encoder:
    """The encoder of any model, of a recogniser with its adapters too.

    Args:
        layer: None is the last.

    Raises:
        ValueError: no such model or layer.
    """
    stored = convert.read(by_name.find(model)).stored
    layers = stored.architecture.layers
    if layer is not None and not 0 <= layer <= layers:
        raise ValueError(f"layer must be in 0..{layers} for {model}, 0 is the embedding, got {layer}")
    tensors = model_files.encoder_tensors(stored)
    network = model_files.build(replace(stored, kind="encoder", tensors=tensors))
    assert isinstance(network, SpeechEncoder)
    return Encoder(network.eval().to(device), layers if layer is None else layer, _sha256(tensors))


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.float().contiguous().numpy().data)
    return digest.hexdigest()


def targets(paths: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Where each file's features go.

    Raises:
        ValueError: two files of one name, or `out` is a file.
    """
    check_folder(out)
    found: dict[Path, Path] = {}
    for path in paths:
        target = out / f"{path.stem}.npy"
        if target in found.values():
            raise ValueError(f"{target} would hold the features of two files, {path} is one; rename it")
        found[path] = target
    return found


def prepare_folder(encoder: Encoder, wanted: Sequence[Path], out: Path, *, overwrite: bool) -> None:
    """Sees to it that one folder holds features of one kind.

    Args:
        overwrite: deletes those of `wanted` that are of another kind.

    Raises:
        ValueError: what is there is of another encoder or layer, or of nobody knows what.
    """
    try:
        found = dict(parsed((out / RECORD).read_bytes()))
    except (OSError, ValueError, TypeError):
        found = {}
    record = encoder.record
    present = [target for target in wanted if target.exists()]
    others = set(out.glob("*.npy")) - set(wanted) if found else set()
    if found == record or not (present or others):
        return
    if others or not overwrite:
        keys = [key for key, value in record.items() if found.get(key) != value]
        says = ", ".join(f"{key} {found.get(key)}" for key in keys)
        asked = ", ".join(f"{key} {record[key]}" for key in keys)
        raise ValueError(
            f"{out} holds features made otherwise: its {RECORD} says {says}, asked for is {asked}; choose another "
            + ("folder" if others else "folder, or --overwrite")
        )
    for target in present:
        target.unlink()


def encode(
    files: dict[Path, Path], encoder: Encoder, *, overwrite: bool = False, whole_s: float = WHOLE_S
) -> Iterator[Encoded | Failure]:
    """Writes features (frames x width, float32) file by file; those that are there are kept.

    Args:
        files: what to write for what, see `targets`.
        overwrite: make anew what is there.
        whole_s: longest file that is encoded in one pass.
    """
    for path, target in files.items():
        if target.exists() and not overwrite:
            yield Encoded(path, target, None)
            continue
        try:
            features = encoder.encode(path, whole_s=whole_s)
        except (AudioError, OSError) as error:
            yield Failure.of(path, error)
            continue
        record = target.parent / RECORD
        write_atomically(record, (json.dumps(encoder.record, indent=1) + "\n").encode())
        save_array(target, features.numpy())
        yield Encoded(path, target, len(features), cut_off_note(path))
