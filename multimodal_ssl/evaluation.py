"""What is scored of every arm on composed clips: retrieval both ways of scoring, a linear probe, weights of pairs.

PART                rank of each query's best right clip in its gallery, 1 is first: by the model's own similarity
                    (`rank`) and by one pooled vector a side (`rank/pooled`); never to be mixed
probe WHAT          whether a linear classifier on pooled clip vectors names it right
pairs               own score of training pairs, and which captions are wrong
size                parameters, multiply-adds of a clip and seconds of a pass
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from common.results import Item
from multimodal_ssl.clips import as_video, encode
from multimodal_ssl.retrieval import ranks
from multimodal_ssl.scenes import gallery_names
from multimodal_ssl.similarity import mean, mean_and_max_pooled
from multimodal_ssl.units import Units

if TYPE_CHECKING:
    from multimodal_ssl.data import Clip, Composed
    from multimodal_ssl.matcher import Matcher

AT_ONCE = 48  # clips
PROBED = ("object", "motion")


@torch.inference_mode()
def retrieval_items(model: Matcher, composed: Composed, split: str) -> Iterator[Item]:
    """Every query of every gallery. Of several right clips the best counts; what ties goes before it."""
    queries = composed.queries(split)
    for name in gallery_names(composed.composition):
        clips = composed.gallery(split, name)
        asked = [query for query in queries if query.gallery == name]
        places = {clip.id: place for place, clip in enumerate(clips)}
        right = [{places[id_] for id_ in query.right} for query in asked]
        seen = _units(model, clips)
        told = model.texts(encode(composed, [query.caption for query in asked]).to(_device(model)))
        own, pooled = (
            ranks(found.T.double().cpu().numpy(), right)
            for found in (model.scores(seen, told), mean_and_max_pooled(seen, told))
        )
        for query, by_own, by_pooled in zip(asked, own.tolist(), pooled.tolist(), strict=True):
            scores = {
                "rank": by_own,
                "rank/pooled": by_pooled,
                "clips": len(clips),
                "log_rank": round(math.log(by_own), 4),
            }
            yield Item(query.id, query.group, query.part, scores)


@torch.inference_mode()
def probe_items(model: Matcher, composed: Composed, split: str) -> Iterator[Item]:
    """A linear SVM on pooled clip vectors, C chosen on a hold-out of the training clips."""
    from multimodal_ssl.probes import MMV, Features, chosen, run_probe

    places = [i for i, scene in enumerate(composed.scenes("train")) if scene.target]
    train = [composed.train_clip(i) for i in places[:: max(1, len(places) // 800)]]
    tested = list(composed.gallery(split, "clean/0"))
    vectors = {id(clips): mean(_units(model, clips)).double().cpu().numpy() for clips in (train, tested)}
    for what in PROBED:
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
            part = f"probe {what}"
            yield Item(
                f"{part}/{clip.id}",
                _label(clip, "object"),
                part,
                {"right": float(said == _label(clip, what))},
            )


def _label(clip: Clip, what: str) -> str:
    target = clip.scene.target
    assert target is not None
    return f"object {target.object:03d}" if what == "object" else target.motion


@torch.inference_mode()
def pair_items(model: Matcher, composed: Composed, wrong: tuple[Any, Any], count: int) -> Iterator[Item]:
    """Own scores of training pairs with the captions they were trained with."""
    captioned_as, is_wrong = wrong
    scenes = composed.scenes("train")
    for first in range(0, min(count, composed.num_train), AT_ONCE):
        places = range(first, min(first + AT_ONCE, count, composed.num_train))
        seen = _units(model, [composed.train_clip(place) for place in places])
        captions = [scenes[int(captioned_as[place])].caption for place in places]
        told = model.texts(encode(composed, captions).to(_device(model)))
        for place, score in zip(places, model.scores(seen, told).diagonal().tolist(), strict=True):
            values = {"score": round(score, 5), "wrong": float(is_wrong[place])}
            yield Item(f"pairs/{scenes[place].id}", scenes[place].film, "pairs", values)


@torch.inference_mode()
def size_item(model: Matcher, composed: Composed) -> Item:
    """Weights, multiply-adds of one clip through the encoder, and seconds of a batch forward."""
    from torch.utils.flop_counter import FlopCounterMode

    clip = composed.train_clip(0)
    video = as_video(torch.from_numpy(np.array(clip.frames))[None]).to(_device(model))
    with FlopCounterMode(display=False) as counted:
        model.clips(video)
    batch = video.expand(AT_ONCE, -1, -1, -1, -1)
    begun = time.perf_counter()
    model.clips(batch)
    scores = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "multiply_adds": counted.get_total_flops() / 2,
        "seconds": round(time.perf_counter() - begun, 4),
    }
    return Item("size", "size", "size", scores)


def _units(model: Matcher, clips: Sequence[Clip]) -> Units:
    """Units of clips; stills are shown as long as any clip is."""
    device, found = _device(model), []
    most = max(len(clip.frames) for clip in clips)
    if most == 1:
        most = STILL_FRAMES
    for first in range(0, len(clips), AT_ONCE):
        frames = [_lasting(np.array(clip.frames), most) for clip in clips[first : first + AT_ONCE]]
        found.append(model.clips(as_video(torch.from_numpy(np.stack(frames)).to(device))))
    return Units(torch.cat([units.vectors for units in found]), torch.cat([units.own for units in found]))


STILL_FRAMES = 4  # a still is shown so many times, since encoders expect a clip


def _lasting(frames: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(frames, count, axis=0) if len(frames) == 1 else frames


def _device(model: Matcher) -> torch.device:
    weight: Tensor = next(model.parameters())
    return weight.device
