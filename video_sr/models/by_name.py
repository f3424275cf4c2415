"""Networks ready to use, by the name or the file that a person gives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from common import checkpoint
from common.settings import decode
from video_sr.former import former_settings
from video_sr.networks import BicubicSizes, Network, SPANSizes, SPANx16Sizes
from video_sr.span_weights import PACKAGE, is_here

PUBLISHED = Path(__file__).parents[1] / "weights"
WEIGHTS = "weights.safetensors"  # of a run, and of a folder that `train` leaves
# Networks that need no run of ours, by the names that people give.
READY: Mapping[str, Network] = {
    "bicubic": BicubicSizes(), "span-twice": SPANSizes(), "span-x16": SPANx16Sizes()
}  # fmt: skip
BEST, BEST_COMMITTED = "span-x16", "wide"  # on dev; the second of those trained here, which need no package


def usual() -> tuple[str, str]:
    """The model that serves who asks for none: the best on dev whose weights are here; and a sentence where that is not
    the best of all."""
    if is_here():
        return BEST, ""
    size = f"{PACKAGE.size_bytes / 1e6:.0f} MB"
    return BEST_COMMITTED, (
        f"enlarging by {BEST_COMMITTED}; --model {BEST} is better at x16 (video_sr/weights/README.md), and "
        f"fetches {size}, once"
    )


def num_weights(network: nn.Module) -> int:
    """Of what enlarges; a critic that it was trained against does not."""
    return sum(weight.numel() for weight in getattr(network, "generator", network).parameters())


def load(name_or_path: str) -> nn.Module:
    """A network in evaluation mode, on the CPU.

    Args:
        name_or_path: `bicubic`, `span-twice`, `span-x16` or the name of published weights, in any case, or a run's
            weights.safetensors with its JSON beside it, whose settings say which network to build, or a folder that
            holds these two.

    Raises:
        ValueError: an unknown name, with the known ones, or a file that does not hold a finished network.
        FetchError: SPAN's package is neither there nor to be had.
    """
    name, published = name_or_path.lower(), _published()
    if name in READY:
        return READY[name].build().eval().requires_grad_(False)
    if name in published:
        return _read(published[name])
    if name.endswith(".safetensors"):
        return _read(Path(name_or_path))
    if (folder := Path(name_or_path)).is_dir():
        return _read(folder / WEIGHTS)
    known = ", ".join([*READY, *published])
    raise ValueError(
        f"unknown model {name_or_path!r}; known models: {known}; or give a folder that train has left, "
        "or a run's weights.safetensors"
    )


def load_peer(name_or_path: str) -> nn.Module:
    """As `load`, and what stands beside results without being a model of `upscale`: `lanczos`, `realesrgan-twice`."""
    if name_or_path.lower() == "lanczos":
        from video_sr.models.lanczos import Lanczos

        return Lanczos().eval()
    if name_or_path.lower() == "realesrgan-twice":
        from video_sr.models.realesrgan import published

        return published().eval().requires_grad_(False)
    return load(name_or_path)


def _published() -> dict[str, Path]:
    return {path.stem.lower(): path for path in sorted(PUBLISHED.glob("*.safetensors"))}


def _read(path: Path) -> nn.Module:
    found = checkpoint.load(path)
    if "settings" not in found.state:
        raise ValueError(
            f"{path}: its JSON names no settings, so it is a state of a training under way; "
            "give the weights.safetensors that a finished run leaves"
        )
    try:
        network = sizes_of(found.state["settings"]).empty()
        network.load_state_dict(found.tensors)
    except ValueError as error:
        raise ValueError(f"{path}: was made by another version: {error}") from error
    except RuntimeError as error:
        raise ValueError(f"{path}: does not fit the network that its settings name: {error}") from error
    return network.eval().requires_grad_(False)


def sizes_of(settings: Mapping[str, Any]) -> Network:
    """The network that a run's settings name, whichever layout they have.

    Raises:
        ValueError: they name none that is known, or lack some of its sizes.
    """
    if isinstance(settings.get("network"), str):
        try:
            settings = former_settings(settings)
        except KeyError as error:
            raise ValueError(f"its settings lack or do not know {error}") from error
    return decode(Network, settings.get("network"), "network")  # type: ignore[type-abstract]
