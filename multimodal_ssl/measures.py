"""What models are scored by and on what: names that scores, claims, tables, figures and the search share."""

from __future__ import annotations

from common.measures import Measure, Part

# ---- retrieval: a query's best right clip in its gallery

RANK = Measure(name="rank", unit="places", heading="rank", words="by each model's own similarity")
RANK_POOLED = Measure(
    name="rank/pooled", unit="places", heading="rank", words="by one pooled vector a side"
)  # never to be mixed with the other
RANK_FINE = Measure(
    name="rank/fine",
    unit="places",
    heading="rank",
    words="by log-mean-exp over places, whatever the model was trained with",
)
SCORINGS = (RANK, RANK_POOLED)
LOG_RANK = Measure(name="log_rank", unit="nats", words="logarithm of the rank by the model's own similarity")
CLIPS = Measure(name="clips", unit="clips", words="of the gallery")
RIGHT = Measure(
    name="right", unit="clips", words="of the gallery, that answer the query; chance depends on them"
)

CLEAN = Part(name="clean", words="one thing that moves over a photograph never trained on")
DISTRACTORS = Part(name="distractors", words="the same, with another thing that moves behind it")
CLEAN_NEW = Part(
    name="clean, new pair", words="as clean, with pairs of thing and motion that training never shows"
)
DISTRACTORS_NEW = Part(name="distractors, new pair", words="as distractors, with such pairs")
STILL = Part(name="still", words="one frame of a thing, asked for by its name")
GLOBAL = Part(name="global", words="whole scenes that are tinted and move: the cue is everywhere")
GLOBAL_MOTION = Part(
    name="global, motion",
    words="the same, looked for among scenes of its tint: the motion of the whole has to be read",
)
SHOWN = (CLEAN, DISTRACTORS)  # pairs that training showed
NEW = (CLEAN_NEW, DISTRACTORS_NEW)
RETRIEVED = (*SHOWN, *NEW, STILL, GLOBAL, GLOBAL_MOTION)

# ---- what else is looked at

PAIRS = Part(name="pairs", words="training pairs with the captions that they were trained with")
SCORE = Measure(name="score", unit="similarity", words="of a pair, by the model's own similarity")
WRONG = Measure(name="wrong", unit="pairs", words="1 where the caption is that of another clip")

PROBE_OBJECT = Part(name="probe object", words="clean test clips, whose thing a linear probe names")
PROBE_MOTION = Part(name="probe motion", words="clean test clips, whose motion a linear probe names")
PROBED = {"object": PROBE_OBJECT, "motion": PROBE_MOTION}
NAMED_RIGHT = Measure(name="right", unit="clips", words="1 where the probe names it right")

SIZE = Part(name="size", words="the model itself")
PARAMETERS = Measure(name="parameters", unit="weights", words="of the whole model")
MULTIPLY_ADDS = Measure(
    name="multiply_adds", unit="multiply-adds", words="of one clip, through encoder and head"
)
SECONDS = Measure(name="seconds", unit="s", words="that some clips take")


def names(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """As result files have them."""
    return tuple(part.name for part in parts)
