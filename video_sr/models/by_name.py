"""Networks ready to use, by the name or the file that a person gives."""

from pathlib import Path

from torch import nn

from common import checkpoint
from video_sr.models.bicubic import Bicubic

PUBLISHED = Path(__file__).parents[1] / "weights"
BICUBIC = "bicubic"


def load(name_or_path: str) -> nn.Module:
    """A network in evaluation mode, on the CPU.

    Args:
        name_or_path: `bicubic` or the name of published weights, in any case, or a run's weights.safetensors
            with its JSON beside it, whose settings say which network to build.

    Raises:
        ValueError: an unknown name, with the known ones, or a file that does not hold a finished network.
    """
    name, published = name_or_path.lower(), _published()
    if name == BICUBIC:
        return Bicubic().eval()
    if name in published:
        return _read(published[name])
    if name.endswith(".safetensors"):
        return _read(Path(name_or_path))
    known = ", ".join([BICUBIC, *published])
    raise ValueError(
        f"unknown model {name_or_path!r}; known models: {known}; or give the path of a run's weights.safetensors"
    )


def _published() -> dict[str, Path]:
    return {path.stem.lower(): path for path in sorted(PUBLISHED.glob("*.safetensors"))}


def _read(path: Path) -> nn.Module:
    found = checkpoint.load(path)
    if "settings" not in found.state:
        raise ValueError(
            f"{path}: its JSON names no settings, so it is a state of a training under way; "
            "give the weights.safetensors that a finished run leaves"
        )
    from video_sr.recipes import build_network  # here, since recipes import the networks of this folder

    try:
        network = build_network(found.state["settings"])
        network.load_state_dict(found.tensors)
    except KeyError as error:
        raise ValueError(f"{path}: its settings lack {error}; it was made by another version") from error
    except RuntimeError as error:
        raise ValueError(f"{path}: does not fit the network that its settings name: {error}") from error
    return network.eval().requires_grad_(False)
