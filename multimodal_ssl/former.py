"""Settings as results and weights spelled them before encoders and similarities were values, turned into today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.schedule import from_former

SIMILARITIES: Mapping[str, str] = {  # to today's class
    "mean": "Mean",
    "max": "Max",
    "mean-and-max": "MeanAndMax",
    "attention-pool": "AttentionPool",
    "log-mean-exp": "LogMeanExp",
    "log-sum-exp": "LogSumExp",
    "max-mean": "MaxMean",
    "soft-attention": "SoftAttention",
    "soft-attention-stopped": "SoftAttention",
    "parametric-attention": "ParametricAttention",
}
SOFT = ("LogMeanExp", "LogSumExp", "SoftAttention")  # have the sharpness g
VECTORS: Mapping[str, str] = {
    "glove-50": "Glove50",
    "word2vec-300": "Word2vec300",
    "trained": "TrainedVectors",
}
NO_LONGER = {
    *("similarity", "g", "weighted", "weight_h", "weight_cap", "weighted_from", "wrong_rate", "wrong_kind"),
    *("network", "chunk"),
}


def is_former(settings: Mapping[str, Any]) -> bool:
    """Whether settings of `Contrast` are spelled in the former way."""
    return isinstance(settings.get("similarity"), str)


def former_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Former settings of `Contrast` in today's layout.

    Raises:
        KeyError: a setting that is not there, or names something that never was.
    """
    weights = {
        "h": settings["weight_h"],
        "cap": settings["weight_cap"],
        "warm_from": settings["weighted_from"],
    }
    return {
        **{key: value for key, value in from_former(settings).items() if key not in NO_LONGER},
        "network": _network(settings["network"]),
        "similarity": _similarity(settings["similarity"], settings["g"]),
        "pair_weights": weights if settings["weighted"] else None,
        "wrong": {"rate": settings["wrong_rate"], "near": settings["wrong_kind"] == "near"},
        "chunk": settings["chunk"] or None,
    }


def _similarity(name: str, g: float) -> dict[str, Any]:
    kind = SIMILARITIES[name]
    stopped = {"stop_gradient": name.endswith("-stopped")} if kind == "SoftAttention" else {}
    return {"kind": kind, **({"g": g} if kind in SOFT else {}), **stopped}


def _network(network: Mapping[str, Any]) -> dict[str, Any]:
    video, text, audio, heads = (network[key] for key in ("video", "text", "audio", "heads"))
    return {
        "video": _of("SmallVideo", video, "widths", "time_strides")
        if video["net"] == "small"
        else {"kind": {"s3d": "S3D", "r2plus1d": "R2Plus1D"}[video["net"]]},
        "text": _text(text),
        "audio": None if audio is None else _audio(audio),
        "heads": {"kind": "SharedSpace", "width": heads["text_width"], "unit_norm": heads["unit_norm"]}
        if heads["graph"] == "shared"
        else _of("FineAndCoarse", heads, "audio_width", "text_width", "unit_norm"),
        "pool_video": heads["pool_video"],
    }


def _text(text: Mapping[str, Any]) -> dict[str, Any]:
    vectors = {"vectors": {"kind": VECTORS[text["vectors"]]}}
    if text["units"] == "phrases":
        return {**_of("Phrases", text, "hidden", "width", "phrase_words"), **vectors}
    return {**_of("BagOfWords", text, "padding_takes_part"), "width": text["hidden"], **vectors}


def _audio(audio: Mapping[str, Any]) -> dict[str, Any]:
    net = _of("SmallAudio", audio, "widths") if audio["net"] == "small" else {"kind": "ResNet18"}
    return {"net": net, **{key: audio[key] for key in ("window_s", "hop_s", "mels")}}


def _of(kind: str, fields: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {"kind": kind, **{key: fields[key] for key in keys}}
