"""What is scored of every arm on composed clips, as items of a result; `measures.py` says what each number is.

Of each query the rank of its best right clip, 1 is first: by the model's own similarity, by one pooled vector a side,
and by a fine similarity of all places, whatever it was trained with. Whole scenes are looked for among all, and among
those of their tint. Then what a linear probe says of pooled clip vectors, own scores of training pairs, and the size of
the model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from common.results import Item
from multimodal_ssl.composed.plan import gallery_names
from multimodal_ssl.evaluation.encoding import (
    AT_ONCE,
    clip_units,
    device_of,
    fine_scores_of,
    place_units,
    scores_of,
    text_units,
)
from multimodal_ssl.evaluation.retrieval import ranks
from multimodal_ssl.measures import (
    CLIPS,
    GLOBAL,
    GLOBAL_MOTION,
    LOG_RANK,
    MULTIPLY_ADDS,
    NAMED_RIGHT,
    PAIRS,
    PARAMETERS,
    PROBED,
    RANK,
    RANK_FINE,
    RANK_POOLED,
    RIGHT,
    SCORE,
    SECONDS,
    SIZE,
    WRONG,
)  # fmt: skip
from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.similarity import mean, mean_and_max_pooled

if TYPE_CHECKING:
    from multimodal_ssl.composed.clips import ComposedClip, ComposedClips
    from multimodal_ssl.composed.plan import Query
    from multimodal_ssl.model.matcher import Matcher


def retrieval_items(model: Matcher, composed: ComposedClips, split: str) -> Iterator[Item]:
    """Every query of every gallery. Of several right clips the best counts; what ties goes before it."""
    queries = composed.queries(split)
    for name in gallery_names(composed.composition):
        clips = composed.gallery(split, name)
        asked = [query for query in queries if query.gallery == name]
        places = {clip.id: place for place, clip in enumerate(clips)}
        right = [{places[id_] for id_ in query.right} for query in asked]
        found = _scores_in_every_way(model, composed, clips, asked)
        yield from _ranked(asked, found, right)
        if asked[0].part == GLOBAL:
            yield from _ranked_within_a_tint(clips, asked, found, right)


def _scores_in_every_way(
    model: Matcher, composed: ComposedClips, clips: Sequence[ComposedClip], asked: Sequence[Query]
) -> dict[str, Float[ndarray, "query clip"]]:
    """By name of the rank that they give."""
    frames = composed.composition.num_frames
    seen, told = clip_units(model, clips, frames), text_units(model, composed, [q.caption for q in asked])
    found = {
        RANK: scores_of(model, seen, told),
        RANK_POOLED: mean_and_max_pooled(seen, told),
        RANK_FINE: fine_scores_of(model, place_units(model, clips, frames), told),
    }
    return {rank.name: scores.T.double().cpu().numpy() for rank, scores in found.items()}


def _ranked(
    asked: Sequence[Query], found: Mapping[str, Float[ndarray, "query clip"]], right: Sequence[set[int]]
) -> Iterator[Item]:
    by_way = {name: ranks(scores, right).tolist() for name, scores in found.items()}
    num_clips = next(iter(found.values())).shape[1]
    for place, query in enumerate(asked):
        scores = {name: of_queries[place] for name, of_queries in by_way.items()}
        scores |= {
            CLIPS.name: num_clips,
            RIGHT.name: len(right[place]),
            LOG_RANK.name: round(math.log(scores[RANK.name]), 4),
        }
        yield Item(query.id, query.group, query.part.name, scores)


def _ranked_within_a_tint(
    clips: Sequence[ComposedClip],
    asked: Sequence[Query],
    found: Mapping[str, Float[ndarray, "query clip"]],
    right: Sequence[set[int]],
) -> Iterator[Item]:
    """Whole scenes once more, each among those of its tint: what is left to tell them apart is the motion."""
    for tint in dict.fromkeys(clip.scene.tint for clip in clips):
        kept = [place for place, clip in enumerate(clips) if clip.scene.tint == tint]
        new = {place: number for number, place in enumerate(kept)}
        some = [place for place, answers in enumerate(right) if answers <= new.keys()]
        queries = [replace(asked[q], id=f"{asked[q].id}/motion", part=GLOBAL_MOTION) for q in some]
        scores = {name: of_all[np.ix_(some, kept)] for name, of_all in found.items()}
        yield from _ranked(queries, scores, [{new[place] for place in right[q]} for q in some])


def probe_items(model: Matcher, composed: ComposedClips, split: str) -> Iterator[Item]:
    """A linear SVM on pooled clip vectors, C chosen on a hold-out of the training clips."""
    from multimodal_ssl.evaluation.probes import MMV, Features, chosen, run_probe

    places = [i for i, scene in enumerate(composed.scenes("train")) if scene.target]
    train = [composed.train_clip(i) for i in places[:: max(1, len(places) // 800)]]
    tested = list(composed.gallery(split, "clean/0"))
    frames = composed.composition.num_frames
    vectors = {
        id(clips): mean(clip_units(model, clips, frames)).double().cpu().numpy() for clips in (train, tested)
    }
    for what, part in PROBED.items():
        held = [
            Features(
                ids=tuple(clip.id for clip in clips),
                labels=tuple(_label(clip, what) for clip in clips),
                groups=tuple(clip.scene.film for clip in clips),
                vectors=vectors[id(clips)][:, None],
            )
            for clips in (train, tested)
        ]
        outcome = run_probe(held[0], held[1], chosen(MMV))
        for clip, said in zip(tested, outcome.predicted, strict=True):
            true, group = _label(clip, what), _label(clip, "object")
            scores, texts = {NAMED_RIGHT.name: float(said == true)}, {"true": true, "said": said}
            yield Item(f"{part.name}/{clip.id}", group, part.name, scores, texts)


def _label(clip: ComposedClip, what: str) -> str:
    target = clip.scene.target
    assert target is not None
    return f"object {target.object:03d}" if what == "object" else target.motion


def pair_items(model: Matcher, composed: ComposedClips, wrong: tuple[Any, Any], count: int) -> Iterator[Item]:
    """Own scores of training pairs with the captions they were trained with."""
    captioned_as, is_wrong = wrong
    scenes = composed.scenes("train")
    for first in range(0, min(count, composed.num_train), AT_ONCE):
        places = range(first, min(first + AT_ONCE, count, composed.num_train))
        clips = [composed.train_clip(place) for place in places]
        seen = clip_units(model, clips, composed.composition.num_frames)
        captions = [scenes[int(captioned_as[place])].caption for place in places]
        own = scores_of(model, seen, text_units(model, composed, captions)).diagonal()
        for place, score in zip(places, own.tolist(), strict=True):
            values = {SCORE.name: round(score, 5), WRONG.name: float(is_wrong[place])}
            yield Item(f"{PAIRS.name}/{scenes[place].id}", scenes[place].film, PAIRS.name, values)


@torch.inference_mode()
def size_item(model: Matcher, composed: ComposedClips) -> Item:
    """Weights, multiply-adds of one clip through encoder and head, and seconds that AT_ONCE clips take."""
    clip = composed.train_clip(0)
    video = as_video(torch.from_numpy(np.array(clip.frames))[None]).to(device_of(model))
    multiply_adds = _multiply_adds(model, video)
    batch = video.expand(AT_ONCE, -1, -1, -1, -1)
    model.clips(batch).valid.cpu()  # waits for a GPU, and warms up
    begun = time.perf_counter()
    model.clips(batch).vectors.cpu()
    seconds = time.perf_counter() - begun
    scores = {
        PARAMETERS.name: sum(weight.numel() for weight in model.parameters()),
        MULTIPLY_ADDS.name: multiply_adds,
        SECONDS.name: round(seconds, 4),
    }
    return Item(SIZE.name, SIZE.name, SIZE.name, scores, timed=(SECONDS.name,))


def _multiply_adds(model: Matcher, video: Float[Tensor, "clip time 3 height width"]) -> int:
    """Of convolutions and linear layers, which are nearly all. torch's own counter takes 4 s to import."""
    counts = []

    def count(layer: nn.Module, _: Any, made: Tensor) -> None:
        weight: Tensor = layer.weight  # type: ignore[assignment]
        counts.append(made.numel() * weight[0].numel())  # what one number of the output sums

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    model.clips(video)
    for hook in hooks:
        hook.remove()
    return sum(counts)
