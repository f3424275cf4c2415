"""Settings as results and weights spelled them before networks and corpora were values, turned into today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.schedule import from_former

# Today's class, and which of the former flat settings are its own.
NETWORKS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "bicubic": ("BicubicSizes", ()),
    "evesrnet": (
        "EVESRNetSizes",
        (
            "num_frames", "channels", "groups", "front_blocks", "trunk_blocks", "trunk_channels", "squeeze",
            "tail_channels",
        ),
    ),
    "wide_activation": (
        "WideActivationSizes",
        ("channels", "blocks", "expansion", "linear_ratio", "squeeze", "stages"),
    ),
}  # fmt: skip
CORPORA: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "pool": ("PreparedClips", ("clips",)),
    "live": ("LiveClips", ("clips",)),
    "vid3oc": ("Vid3oC", ()),
    "reds": ("REDS", ()),
    "textures": ("Textures", ()),
}


def former_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Former settings of `Upscaling` in today's layout."""
    network, sizes = NETWORKS[settings["network"]]
    corpus, numbers = CORPORA[settings["corpus"]]
    nested = {key for _, keys in (*NETWORKS.values(), *CORPORA.values()) for key in keys}
    flat = {key: value for key, value in settings.items() if key not in nested}
    # A width of 0 meant that of the layers before the trunk.
    own = {key: settings[key] or None if key == "trunk_channels" else settings[key] for key in sizes}
    return {
        **from_former(flat),
        "network": {"kind": network, **own},
        "corpus": {"kind": corpus, **{key: settings[key] for key in numbers}},
    }
