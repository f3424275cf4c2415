"""What of a recogniser is trained, as settings."""

from __future__ import annotations

from dataclasses import dataclass

from speech_adapters.model.architecture import Architecture

ARMS = ("full", "adapters", "finetune", "single-adapter", "single-finetune", "head", "lora", "bitfit")
NORMS = ("all", "adapted", "none")
PLACES = ("both", "attention", "feed-forward", "output")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What of a recogniser is trained."""

    kind: str = "full"  # one of ARMS
    layers: int = (
        0  # of "adapters" and "finetune" how many from the top, 0 is all; of "single-..." which, from 1 below
    )
    bottleneck: int = 256  # of adapters; LoRA takes the rank that comes nearest to the same number of weights
    inner_norm: bool = True
    norms: str = "all"  # layer norms trained beside adapters: of all layers, or of those with an adapter
    places: str = (
        "both"  # where in a layer adapters sit: after attention, after the feed-forward; after all, as in MMS
    )
    strict: bool = False  # fine-tune layers and head alone, not the modules below the Transformer as well

    def __post_init__(self) -> None:
        for key, known in (("kind", ARMS), ("norms", NORMS), ("places", PLACES)):
            value = getattr(self, key)
            if value not in known:
                raise ValueError(f"{key} must be one of {', '.join(known)}, got {value!r}")

    def chosen(self, num_layers: int) -> list[int]:
        """Places of the layers that the arm works on.

        Raises:
            ValueError: more layers than there are, or a single layer that does not exist.
        """
        single = self.kind.startswith("single")
        if not (1 if single else 0) <= self.layers <= num_layers:
            wanted = f"in 1..{num_layers}" if single else f"in 0..{num_layers}, 0 for all"
            raise ValueError(f"layers must be {wanted} for {self.kind}, got {self.layers}")
        if single:
            return [self.layers - 1]
        return list(range(num_layers - (self.layers or num_layers), num_layers))


def usual_bottleneck(architecture: Architecture) -> int:
    """The paper's 256; a third of the width, as that is of BASE, where the network is not as wide."""
    return 256 if architecture.width > 256 else architecture.width // 3
