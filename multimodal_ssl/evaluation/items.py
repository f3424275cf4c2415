"""What is scored of every arm on composed clips: retrieval both ways of scoring, a linear probe, weights of pairs.

PART                rank of each query's best right clip in its gallery, 1 is first: by the model's own similarity
                    (`rank`) and by one pooled vector a side (`rank/pooled`); never to be mixed. Of how many `clips`
                    how many are `right`, which is what chance depends on
probe WHAT          whether a linear classifier on pooled clip vectors names it right, and what it said
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
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from common.results import Item
from multimodal_ssl.composed.batches import encode
from multimodal_ssl.composed.plan import gallery_names
from multimodal_ssl.evaluation.retrieval import ranks
from multimodal_ssl.model.encoders.text import Phrases
from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.similarity import mean, mean_and_max_pooled
from multimodal_ssl.model.units import Units
from multimodal_ssl.model.vocabulary import tokenise

if TYPE_CHECKING:
    from multimodal_ssl.composed.clips import Clip, Composed
    from multimodal_ssl.model.matcher import Matcher

AT_ONCE = 48  # clips
PROBED = ("object", "motion")
ATTENTION_G = 0.1  # of what is drawn


def retrieval_items(model: Matcher, composed: Composed, split: str) -> Iterator[Item]:
    """Every query of every gallery. Of several right clips the best counts; what ties goes before it."""
    queries = composed.queries(split)
    for name in gallery_names(composed.composition):
        clips = composed.gallery(split, name)
        asked = [query for query in queries if query.gallery == name]
        places = {clip.id: place for place, clip in enumerate(clips)}
        right = [{places[id_] for id_ in query.right} for query in asked]
        seen = _units(model, clips, composed.composition.num_frames)
        told = _told(model, composed, [query.caption for query in asked])
        own, pooled = (
            ranks(found.T.double().cpu().numpy(), right)
            for found in (_scores(model, seen, told), mean_and_max_pooled(seen, told))
        )
        for query, by_own, by_pooled in zip(asked, own.tolist(), pooled.tolist(), strict=True):
            scores = {
                "rank": by_own,
                "rank/pooled": by_pooled,
                "clips": len(clips),
                "right": len(query.right),
                "log_rank": round(math.log(by_own), 4),
            }
            yield Item(query.id, query.group, query.part, scores)


def probe_items(model: Matcher, composed: Composed, split: str) -> Iterator[Item]:
    """A linear SVM on pooled clip vectors, C chosen on a hold-out of the training clips."""
    from multimodal_ssl.evaluation.probes import MMV, Features, chosen, run_probe

    places = [i for i, scene in enumerate(composed.scenes("train")) if scene.target]
    train = [composed.train_clip(i) for i in places[:: max(1, len(places) // 800)]]
    tested = list(composed.gallery(split, "clean/0"))
    frames = composed.composition.num_frames
    vectors = {
        id(clips): mean(_units(model, clips, frames)).double().cpu().numpy() for clips in (train, tested)
    }
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
            part, true = f"probe {what}", _label(clip, what)
            texts = {"true": true, "said": said}
            yield Item(
                f"{part}/{clip.id}", _label(clip, "object"), part, {"right": float(said == true)}, texts
            )


def _label(clip: Clip, what: str) -> str:
    target = clip.scene.target
    assert target is not None
    return f"object {target.object:03d}" if what == "object" else target.motion


def pair_items(model: Matcher, composed: Composed, wrong: tuple[Any, Any], count: int) -> Iterator[Item]:
    """Own scores of training pairs with the captions they were trained with."""
    captioned_as, is_wrong = wrong
    scenes = composed.scenes("train")
    for first in range(0, min(count, composed.num_train), AT_ONCE):
        places = range(first, min(first + AT_ONCE, count, composed.num_train))
        clips = [composed.train_clip(place) for place in places]
        seen = _units(model, clips, composed.composition.num_frames)
        captions = [scenes[int(captioned_as[place])].caption for place in places]
        own = _scores(model, seen, _told(model, composed, captions)).diagonal()
        for place, score in zip(places, own.tolist(), strict=True):
            values = {"score": round(score, 5), "wrong": float(is_wrong[place])}
            yield Item(f"pairs/{scenes[place].id}", scenes[place].film, "pairs", values)


@torch.inference_mode()
def size_item(model: Matcher, composed: Composed) -> Item:
    """Weights, multiply-adds of one clip through encoder and head, and seconds that AT_ONCE clips take."""
    clip = composed.train_clip(0)
    video = as_video(torch.from_numpy(np.array(clip.frames))[None]).to(_device(model))
    multiply_adds = _multiply_adds(model, video)
    batch = video.expand(AT_ONCE, -1, -1, -1, -1)
    model.clips(batch).own.cpu()  # waits for a GPU, and warms up
    begun = time.perf_counter()
    model.clips(batch).vectors.cpu()
    seconds = time.perf_counter() - begun
    scores = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "multiply_adds": multiply_adds,
        "seconds": round(seconds, 4),
    }
    return Item("size", "size", "size", scores)


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


@torch.inference_mode()
def attention(
    model: Matcher, composed: Composed, clip: Clip
) -> list[tuple[str, Float[ndarray, "time height width"]]]:
    """Where each phrase of a clip's caption looks, by places of the feature map: `softmax_k(a_k · b_l / 0.1)`.

    The same for every arm, whatever its own similarity makes of a_k · b_l, so that arms can be looked at side by side.
    Each sums to 1. Empty where the network has no places (one vector a clip) or no phrases (one a sentence).
    """
    frames = as_video(torch.from_numpy(np.array(clip.frames))[None]).to(_device(model))
    seen, told = model.clips(frames), model.texts(encode(composed, [clip.caption]).to(frames.device))
    video, text = model.encoders.video, model.encoders.text
    grid = video.grid(*(frames.shape[axis] for axis in (1, 3, 4)))
    if math.prod(grid) != seen.own.shape[1] or not isinstance(text, Phrases):
        return []
    shares = (seen.vectors[0] @ told.vectors[0].T / ATTENTION_G).softmax(dim=0)
    words = [word for word in tokenise(clip.caption) if word in composed.words]
    looks = shares.T.double().cpu().numpy().reshape(-1, *grid)
    spans = text.spans(len(words))
    return [(" ".join(words[first:stop]), look) for (first, stop), look in zip(spans, looks, strict=True)]


# Not on the generators: what runs between two of their items is none of it.
@torch.inference_mode()
def _units(model: Matcher, clips: Sequence[Clip], num_frames: int) -> Units:
    """Units of clips; a still is shown for as many frames as a clip has, since encoders expect one."""
    device, found = _device(model), []
    for first in range(0, len(clips), AT_ONCE):
        frames = [_lasting(np.array(clip.frames), num_frames) for clip in clips[first : first + AT_ONCE]]
        found.append(model.clips(as_video(torch.from_numpy(np.stack(frames)).to(device))))
    return Units(torch.cat([units.vectors for units in found]), torch.cat([units.own for units in found]))


@torch.inference_mode()
def _told(model: Matcher, composed: Composed, captions: Sequence[str]) -> Units:
    return model.texts(encode(composed, captions).to(_device(model)))


@torch.inference_mode()
def _scores(model: Matcher, clips: Units, texts: Units) -> Float[Tensor, "clip text"]:
    return model.scores(clips, texts)


def _lasting(frames: ndarray, count: int) -> ndarray:
    return np.repeat(frames, count, axis=0) if len(frames) == 1 else frames


def _device(model: Matcher) -> torch.device:
    weight: Tensor = next(model.parameters())
    return weight.device
