"""What fairseq's pickles name beyond tensors: let through by name, with inert stand-ins for classes of theirs."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from typing import Any


class Inert:
    """Stands in for a class that a checkpoint names: keeps what was pickled, has no behaviour."""

    values: tuple[Any, ...] = ()  # unpickling need not call __init__

    def __init__(self, *values: Any):
        self.values = values

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})


def allowed() -> list[Any]:
    """What fairseq's files may name beyond tensors: settings, dictionaries, numpy's scalars in counters."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    omegaconf = (
        "dictconfig.DictConfig", "listconfig.ListConfig", "base.Metadata", "base.ContainerMetadata", "nodes.AnyNode",
        "nodes.StringNode", "nodes.IntegerNode", "nodes.FloatNode", "nodes.BooleanNode", "nodes.EnumNode",
    )  # fmt: skip
    return [
        argparse.Namespace,
        defaultdict,
        dict,
        list,
        int,
        (Inert, "typing.Any"),
        (Inert, "fairseq.data.dictionary.Dictionary"),
        *((Inert, f"omegaconf.{name}") for name in omegaconf),
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)),
    ]


def plain(value: Any) -> Any:
    """Namespaces, omegaconf's containers and nodes as dicts, lists and values."""
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, Inert):
        value = value.__dict__.get("_content", value.__dict__.get("_val", value.values))
        return plain(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value
