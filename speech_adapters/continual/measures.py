"""What arms are scored by and on which speech: names that scores, claims, tables, figures and the search share.

Counts of single utterances are those of `speech_adapters.ctc.measures`.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.measures import Measure, Part
from speech_adapters.data.source import Source

# ---- parts


@dataclass(frozen=True)
class Family:
    """Parts of one kind: "letters asterisk-fr" is letters of asterisk-fr."""

    kind: str
    words: str

    def of(self, what: str) -> Part:
        return Part(name=f"{self.kind} {what}", words=f"{self.words}, {what}")

    def on(self, source: Source) -> Part:
        """The part of a source of speech."""
        return self.of(source.name)

    def what(self, part: str) -> str:
        """What a part of this kind is of; "" for one of another kind."""
        kind, _, what = part.partition(" ")
        return what if kind == self.kind else ""


CONTRAST = Family("contrast", "held-out crops against the source model's codebook indices")
LETTERS = Family("letters", "linear probes of letters on frozen outputs")
RECOGNITION = Family("recognition", "recognition after a short training")
ALL, ADAPTERS = RECOGNITION.of("all"), RECOGNITION.of("adapters")  # what of the encoder is trained
SWITCHED_OFF = Part(name="switched off", words="outputs with the new set switched off, against the source's")
TRAINING = Part(name="training", words="tenths of the training")
FULL_CELL, FULL_FROZEN, ADAPTED_TRAINED, ADAPTED = (
    Part(name=f"{trained}, extractor {extractor}", words=f"updates of {trained}, the extractor {extractor}")
    for trained in ("full", "adapters")
    for extractor in ("trained", "frozen")
)
CELLS = {  # whether adapters are what is trained of the Transformer; whether the extractor is trained
    FULL_CELL: (False, True),
    FULL_FROZEN: (False, False),
    ADAPTED_TRAINED: (True, True),
    ADAPTED: (True, False),
}

# ---- measures

CONTRASTIVE = Measure(
    name="contrastive", unit="nats", words="contrastive loss at masked frames, lower is better"
)
ACCURACY = Measure(name="accuracy", unit="share", words="masked frames whose positive comes first")
OFF = Measure(name="off", unit="", words="largest difference to the source's outputs with the set off")
ON = Measure(name="on", unit="", words="the same with the set on")
SECONDS = Measure(name="seconds", unit="s", words="of a tenth of the training")
UPDATE_S = Measure(name="update_s", unit="s", words="of an update, the optimiser's step included")
BACKWARD_S = Measure(name="backward_s", unit="s", words="of an update without the optimiser's step")
TRAIN_S = Measure(name="train_s", unit="s", words="seconds of training until a snapshot")


def at(measure: Measure, step: int) -> str:
    """Name of a measure of a snapshot on the way."""
    return f"{measure.name}@{step}"


def steps_of(measure: Measure, names: set[str]) -> list[int]:
    """Steps whose snapshots have the measure, among names of scores."""
    return sorted(
        int(step)
        for name in names
        if (step := name.removeprefix(f"{measure.name}@")) != name and step.isdigit()
    )
