"""What named networks make of the same truth, by the same scorer: rows to stand beside a result that is scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import Any

from torch import nn

from common import runtime
from common.results import jsonable
from video_sr.further import Frame, Further
from video_sr.models.by_name import num_weights
from video_sr.protocol import crop_to_multiple, degrade, super_resolve_centre, windows
from video_sr.score_kit import FIDELITY, MEASURES, Pair, Scored, cells, columns, overall, score

OTHERS = ("bicubic", "lanczos", "span-twice", "realesrgan-twice")  # what people would use instead
ALL = "all"


def named(asked: Sequence[str]) -> tuple[str, ...]:
    """Peers that are asked for, each once; `all` stands for `OTHERS`."""
    every = [name for one in asked for name in (OTHERS if one.lower() == ALL else (one,))]
    return tuple(dict.fromkeys(every))


@dataclass(frozen=True)
class Peer:
    """A network's scores over all sequences, and what it costs."""

    name: str
    num_weights: int
    seconds_a_frame: float  # of the network alone, on this machine's CPU
    memory_bytes: int  # of the whole process, at its most while the network was at work
    means: Mapping[str, float]


def score_peer(
    name: str,
    network: nn.Module,
    pairs: Sequence[Pair],
    further: Further = FIDELITY,
    advance: Callable[[], object] = lambda: None,
) -> Peer:
    """Degrades each truth, enlarges it again and scores that; streams.

    Args:
        network: one of `video_sr.models`, in evaluation mode.
        further: measures beside the protocol's.
        advance: called after each frame.

    Raises:
        ValueError: every frame of a sequence is flat.
    """
    scored, spent = [], list[float]()
    runtime.forget_peak_memory()
    for pair in pairs:
        scored.append(score(pair, further, advance, frames=_made(network, pair, spent)))
    seconds = sum(spent) / len(spent)
    return Peer(name, num_weights(network), seconds, runtime.peak_memory_bytes(), overall(scored))


def _made(network: nn.Module, pair: Pair, spent: list[float]) -> Iterator[tuple[Frame, Frame]]:
    """What the network makes of each truth, degraded, and the truth; notes the seconds that it took."""
    # Two readings of one stream: the window runs ahead of the frame in its middle.
    ahead, truths = tee(crop_to_multiple(frame) for frame in pair.hr.frames())
    lows = (degrade(frame) for frame in ahead)
    for window, truth in zip(windows(lows, int(network.num_frames)), truths, strict=True):  # type: ignore[arg-type]
        started = time.perf_counter()
        made = super_resolve_centre(network, window)
        spent.append(time.perf_counter() - started)
        yield made, truth


NOTE = (
    "peers enlarge the truth degraded by the protocol; seconds are the network's alone, on this machine's CPU, "
    "gigabytes those of the whole process at its most, with the scoring; "
    "SR stands without, for nothing here made it"
)


def rows(scored: Sequence[Scored], peers: Sequence[Peer]) -> list[list[str]]:
    """Headings, what was scored, and one row per peer, as texts."""
    means = {name: value for name, value in overall(scored).items() if all(name in p.means for p in peers)}
    found = [["method", *(MEASURES[name].heading for name in means), "s a frame", "GB", "weights"]]
    found.append(["SR", *cells(means, means), "-", "-", "-"])
    for peer in peers:
        memory = f"{peer.memory_bytes / 1e9:.2f}"
        cost = [f"{peer.seconds_a_frame:.2f}", memory, f"{peer.num_weights:,}"]
        found.append([peer.name, *cells(peer.means, means), *cost])
    return found


def table(scored: Sequence[Scored], peers: Sequence[Peer]) -> str:
    """A line for what was scored, one per peer, and what their columns mean."""
    return "\n".join([*columns(rows(scored, peers)), "", NOTE])


def report(peers: Sequence[Peer]) -> dict[str, Any]:
    """The same as JSON holds it."""
    rows: dict[str, Any] = jsonable(
        {
            peer.name: {
                "means": peer.means,
                "seconds_a_frame": peer.seconds_a_frame,
                "memory_bytes": peer.memory_bytes,
                "weights": peer.num_weights,
            }
            for peer in peers
        }
    )
    return rows
