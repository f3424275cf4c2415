"""Channels of sound to one: their mean, but where they cancel each other the loudest one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

# Power of the mean as a share of the loudest channel's: below the first channels are in opposite phase, and not any
# more from the second on. Of two like channels it is 1, of strangers 1/2, of one and a silent one 1/4;
# where one of eight or more speaks alone, it is taken as it is.
OPPOSITE, AGREEING = 0.02, 0.2
LEAST_SAMPLES = (
    1 << 14
)  # judged at once: a few tenths of a second, so that the choice does not change inside a sound


class MonoMix:
    """One channel of blocks that come in order; a choice holds until a block speaks clearly against it."""

    def __init__(self) -> None:
        self._opposite = False

    def of(self, blocks: list[Float32[ndarray, "_ channel"]]) -> list[Float32[ndarray, " _"]]:
        """Blocks that are judged together, each mixed by itself."""
        means = [block.mean(1, dtype=np.float32) for block in blocks]
        if blocks[0].shape[1] == 1:
            return means
        powers = np.sum([np.square(block, dtype=np.float64).sum(0) for block in blocks], axis=0)
        loudest = int(powers.argmax())
        power = float(np.sum([np.square(mean, dtype=np.float64).sum() for mean in means]))
        if power < OPPOSITE * powers[loudest]:
            self._opposite = True
        elif power > AGREEING * powers[loudest]:
            self._opposite = False
        return [block[:, loudest] for block in blocks] if self._opposite else means

    def all_of(self, blocks: Iterable[Float32[ndarray, "_ channel"]]) -> Iterator[Float32[ndarray, " _"]]:
        """Every block mixed, `LEAST_SAMPLES` and more judged at once; blocks of one channel at once."""
        held: list[ndarray] = []
        for block in blocks:
            if held and block.shape[1] != held[0].shape[1]:
                yield from self.of(held)
                held = []
            held.append(block)
            if block.shape[1] == 1 or sum(map(len, held)) >= LEAST_SAMPLES:
                yield from self.of(held)
                held = []
        if held:
            yield from self.of(held)
