"""`wav2vec_ctc_adapters`: fairseq's `wav2vec_ctc` with our adapters, and a gradient to nothing but what they need.

This module is imported by fairseq, so fairseq is there; no module of ours imports it.
"""

# No `from __future__ import annotations`: fairseq reads the types of a config's fields as types.
from argparse import Namespace
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.data.dictionary import Dictionary
from fairseq.models import register_model
from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig, Wav2VecCtc
from torch import nn

from speech_adapters.model.adapters import Adapter
from speech_adapters.model.arm import Arm

# torch refuses to read classes that it does not know: old pre-training checkpoints hold the first, what fairseq saves
# while fine-tuning, and reads to go on, holds the second.
torch.serialization.add_safe_globals([Namespace, Dictionary])


@dataclass
class AdapterCtcConfig(Wav2Vec2CtcConfig):
    """Settings of `wav2vec_ctc`, and what `Arm` calls `bottleneck`, `layers` and `norms`."""

    adapter_bottleneck: int = field(default=256, metadata={"help": "channels inside each adapter"})
    adapter_layers: int = field(
        default=0, metadata={"help": "how many layers from the top get adapters; 0 for all"}
    )
    adapter_norms: str = field(
        default="all",
        metadata={"help": "layer norms that are trained: of 'all' layers or of those 'adapted'"},
    )


@register_model("wav2vec_ctc_adapters", dataclass=AdapterCtcConfig)
class AdapterCtc(Wav2VecCtc):
    """A frozen wav2vec 2.0 of fairseq with two trained adapters a layer, trained layer norms and CTC head."""

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "AdapterCtc":
        """
        Raises:
            ValueError: settings that `Arm` refuses, or that leave no plain Transformer layers to put adapters in.
        """
        if cfg.layer_type != "transformer":
            raise ValueError(f"model.layer_type must be transformer, got {cfg.layer_type}")
        if cfg.ddp_backend == "fully_sharded":
            raise ValueError(
                "distributed_training.ddp_backend must not be fully_sharded, which flattens frozen and trained "
                "weights into one; take legacy_ddp"
            )
        arm = Arm(
            kind="adapters",
            layers=cfg.adapter_layers,
            bottleneck=cfg.adapter_bottleneck,
            norms=cfg.adapter_norms,
        )
        model = super().build_model(cfg, task)
        insert(arm, model)
        return model


def insert(arm: Arm, model: Wav2VecCtc) -> None:
    """New adapters between each sub-layer's dropout and its residual sum; a gradient to them, norms and head.

    `dropout1` and `dropout3` are the last modules before the two sums, pre-norm and post-norm alike.
    """
    layers = model.w2v_encoder.w2v_model.encoder.layers
    chosen = arm.chosen(len(layers))
    model.requires_grad_(False)
    model.w2v_encoder.proj.requires_grad_(True)
    for place in chosen:
        layer = layers[place]
        for name in ("dropout1", "dropout3"):
            adapter = Adapter(layer.embedding_dim, arm.bottleneck)
            setattr(layer, name, nn.Sequential(OrderedDict(dropout=getattr(layer, name), adapter=adapter)))
    for place in chosen if arm.norms == "adapted" else range(len(layers)):
        layers[place].self_attn_layer_norm.requires_grad_(True)
        layers[place].final_layer_norm.requires_grad_(True)
