"""Bottleneck adapters in a frozen encoder [Thomas22, arXiv 2202.03218], what each arm trains, and sets of them.

Two adapters a layer, after attention and after the feed-forward, before the residual sum [Houlsby19 Fig. 2]. Beside
them all Transformer layer norms and the head are trained: with an inner layer norm this gives the paper's 9.2 % and
4.85 % of BASE to the digit, so it is our reading of what the paper trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from speech_adapters.model.arm import Arm
from speech_adapters.model.encoder import SpeechEncoder, TransformerLayer

INIT_STD = 1e-3  # so near to zero that an adapter starts as the identity [Houlsby19 §2.1]


class Adapter(nn.Module):
    """`x + up(gelu(down(norm(x))))`, the identity to 1e-3 or better at the start."""

    def __init__(self, width: int, bottleneck: int, inner_norm: bool = True):
        super().__init__()
        if not 1 <= bottleneck < width:
            raise ValueError(f"bottleneck must be in 1..{width - 1}, got {bottleneck}")
        self.norm = nn.LayerNorm(width) if inner_norm else nn.Identity()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        for linear in (self.down, self.up):
            nn.init.trunc_normal_(linear.weight, std=INIT_STD, a=-2 * INIT_STD, b=2 * INIT_STD)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Float[Tensor, "batch frame width"]) -> Float[Tensor, "batch frame width"]:
        return x + self.up(F.gelu(self.down(self.norm(x))))


class OutputAdapter(Adapter):
    """`x + up(relu(down(norm(x))))` on what a layer puts out: the adapters of MMS [Pratap23 §5.2]."""

    def forward(self, x: Float[Tensor, "batch frame width"]) -> Float[Tensor, "batch frame width"]:
        return x + self.up(F.relu(self.down(self.norm(x))))


class LoraLinear(nn.Module):
    """A frozen linear layer with a trained low-rank term, `W x + up(down(x))`, zero at the start [Hu21 §4.1]."""

    def __init__(self, linear: nn.Linear, rank: int):
        super().__init__()
        self.linear = linear
        self.down = nn.Linear(linear.in_features, rank, bias=False)
        self.up = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Float[Tensor, "batch frame width"]) -> Float[Tensor, "batch frame out"]:
        return self.linear(x) + self.up(self.down(x))


def apply(arm: Arm, encoder: SpeechEncoder, head: nn.Module | None = None) -> None:
    """Puts the arm's modules into the encoder and leaves a gradient to what it trains, head included."""
    chosen = [encoder.layers[place] for place in arm.chosen(len(encoder.layers))]
    everything = list(encoder.layers)
    encoder.requires_grad_(False)
    if head is not None:
        head.requires_grad_(True)
    if arm.kind == "full":
        _train_all_but_extractor(encoder)
    elif arm.kind in ("finetune", "single-finetune"):
        if not arm.strict:
            _train_all_but_extractor(encoder)
            encoder.layers.requires_grad_(False)
        for layer in chosen:
            layer.requires_grad_(True)
    elif arm.kind in ("adapters", "single-adapter"):
        for layer in chosen:
            insert_adapters(layer, encoder.architecture.width, arm.bottleneck, arm.inner_norm, arm.places)
        normed = {"all": everything, "adapted": chosen, "none": []}[arm.norms]
        for layer in normed:
            layer.attention_norm.requires_grad_(True)
            layer.feed_forward_norm.requires_grad_(True)
    elif arm.kind == "lora":
        rank = lora_rank(encoder, arm)
        for layer in chosen:
            for owner, name in _linears(layer):
                setattr(owner, name, LoraLinear(getattr(owner, name), rank))
    elif arm.kind == "bitfit":
        for layer in chosen:
            for name, weight in layer.named_parameters():
                weight.requires_grad_(name.endswith("bias"))


def _train_all_but_extractor(encoder: SpeechEncoder) -> None:
    encoder.requires_grad_(True)
    encoder.extractor.requires_grad_(False)  # as in fairseq's recipes, which the paper starts from


def insert_adapters(
    layer: nn.Module, width: int, bottleneck: int, inner_norm: bool = True, places: str = "both"
) -> None:
    """New adapters in one Transformer layer, two unless `places` names one, on top of those that are there."""
    assert isinstance(layer, TransformerLayer)
    if places == "output":
        layer.after_layer = _on_top(layer.after_layer, OutputAdapter(width, bottleneck, inner_norm))
        return
    if places != "feed-forward":
        layer.after_attention = _on_top(layer.after_attention, Adapter(width, bottleneck, inner_norm))
    if places != "attention":
        layer.after_feed_forward = _on_top(layer.after_feed_forward, Adapter(width, bottleneck, inner_norm))


def _on_top(lower: nn.Module, adapter: Adapter) -> nn.Module:
    return adapter if isinstance(lower, nn.Identity) else nn.Sequential(lower, adapter)


def _linears(layer: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    assert isinstance(layer, TransformerLayer)
    for name in ("query", "key", "value", "output"):
        yield layer.attention, name
    yield layer, "expand"
    yield layer, "contract"


def lora_rank(encoder: SpeechEncoder, arm: Arm) -> int:
    """Rank at which LoRA on all linear layers of a Transformer layer has as many weights as its adapters."""
    width, inner = encoder.architecture.width, encoder.architecture.inner
    a_rank = 4 * 2 * width + 2 * (width + inner)
    an_adapter = 2 * width * arm.bottleneck + arm.bottleneck + width + (2 * width if arm.inner_norm else 0)
    return max(1, round((2 if arm.places == "both" else 1) * an_adapter / a_rank))


@dataclass(frozen=True)
class Share:
    """How much of a model is trained."""

    trained: int
    total: int

    @property
    def percent(self) -> float:
        return 100 * self.trained / self.total


def share(*modules: nn.Module) -> Share:
    """Counts of trained and of all parameters, inserted ones included."""
    weights = [weight for module in modules for weight in module.parameters()]
    return Share(sum(w.numel() for w in weights if w.requires_grad), sum(w.numel() for w in weights))


# ---- how much of the encoder is frozen

WAVEFORM, FEATURES, EMBEDDED = -1, 0, 1  # depth d above 1: what layer d - 1 (from 0) reads


def frozen_depth(encoder: SpeechEncoder) -> int:
    """Depth up to which nothing is trained, so that its activations can be computed once and kept.

    `WAVEFORM` (the extractor is trained), `FEATURES` (something before the first layer is), `EMBEDDED + n` (the first n
    layers are frozen too).
    """
    if any(weight.requires_grad for weight in encoder.extractor.parameters()):
        return WAVEFORM
    layers = set(encoder.layers.parameters())
    last_norm = set(encoder.norm.parameters()) if encoder.architecture.pre_norm else set()
    if any(w.requires_grad for w in encoder.parameters() if w not in layers and w not in last_norm):
        return FEATURES
    depth = EMBEDDED
    for layer in encoder.layers:
        if any(weight.requires_grad for weight in layer.parameters()):
            break
        depth += 1
    if depth == EMBEDDED + len(encoder.layers) and any(weight.requires_grad for weight in last_norm):
        depth -= 1  # the final norm is part of what the last layer's outputs go through
    return depth
