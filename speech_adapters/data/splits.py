"""Which part each utterance of a package falls to; the only place that splits speech.

Splits are salted hashes over groups. Prompts that share a text in any language are a group, so that asterisk's
languages stay parallel. Of the game, a group is a dialogue. Everywhere else a group is what shares a text. Where a
text, or the very recording, still occurs in two parts, its lines are left out of every part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from common.data.splits import Component, named_part
from speech_adapters.data.raw import RawUtterance

Split = tuple[str, dict[str, float]]  # salt, and the share of each part
# Of speech to pre-train on, little is held out. Each salt is the first of speech-0, speech-1, ... whose parts come near
# the shares: dialogues are few and of very different length. Nothing but their sizes was looked at.
SPLIT: Split = ("speech-0", {"train": 0.74, "dev": 0.08, "test": 0.18})
PRETRAINING_SPLIT: Split = ("speech-15", {"train": 0.88, "dev": 0.04, "test": 0.08})


def split_parts(split: Split, items: Sequence[tuple[RawUtterance, str]]) -> dict[str, str]:
    """Utterance to part, for (utterance, hash of its recording); those that would stand in two parts are missing."""
    salt, shares = split
    part = {u.group: named_part(Component((u.group,), u.keys), salt, shares) for u, _ in items}
    seen = defaultdict(set)
    for u, digest in items:
        for key in (*u.keys, digest):
            seen[key].add(part[u.group])
    return {
        u.id: part[u.group] for u, digest in items if all(len(seen[key]) == 1 for key in (*u.keys, digest))
    }
