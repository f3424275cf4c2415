"""What is scored of recognisers and on which speech: names that scores, claims, tables and figures share.

Counts of single utterances are those of `speech_adapters.ctc.measures`.
"""

from __future__ import annotations

from common.measures import Measure, Part, mean_of
from speech_adapters.ctc.training import LOSS
from speech_adapters.data.source import Source
from speech_adapters.data.sources import ASTERISK, DRASCULA

# ---- parts


def part_of(source: Source) -> Part:
    """The test part of a source."""
    return Part(name=source.name, words=f"test part of {source.name}")


# At `paper` Libri-Light is tested on LibriSpeech's sets, and Common Voice on its own.
ENGLISH = (
    part_of(ASTERISK["en"]),
    Part(name="librispeech-test-clean", words="LibriSpeech test-clean"),
    Part(name="librispeech-test-other", words="LibriSpeech test-other"),
)
FRENCH = (
    part_of(ASTERISK["fr"]),
    Part(name="common-voice-fr-test", words="test part of Common Voice, French"),
)
OTHER_ENGLISH = (part_of(DRASCULA["en"]),)
PARAMETERS = Part(name="parameters", words="numbers of weights")
DEV_CURVE = Part(name="dev curve", words="the dev part while training")

# ---- measures

DEV_NATS = Measure(
    name=f"dev_{LOSS}", unit="nats a character", words="CTC loss on the dev part, lower is better"
)
DEV_CER = Measure(name="dev_cer", unit="share", words="character errors on the dev part, greedy")
TRAINED = Measure(name="trained", unit="weights", words="trained weights, inserted ones included")
TOTAL = Measure(name="total", unit="weights", words="all weights, inserted ones included")
# Of the same arm in BASE, with fairseq's 32 symbols and adapters of 256.
TRAINED_AT_BASE = Measure(name="trained_at_base", unit="weights", words="as `trained`, in BASE")
TOTAL_AT_BASE = Measure(name="total_at_base", unit="weights", words="as `total`, in BASE")
# Of a stage of the backbone; the first one was published under the name that masked frames had then.
MASKED_NATS = Measure(name="hidden", unit="nats", words="cross-entropy at masked frames")
CONTRASTIVE = Measure(name="contrastive", unit="nats", words="contrastive loss at masked frames")
ACCURACY = Measure(
    name="accuracy", unit="share", words="masked frames whose codebook indices, or positive, come first"
)
CHOSEN_BY = mean_of(DEV_CURVE.name, DEV_NATS.name)  # the whole dev part, at the last step
