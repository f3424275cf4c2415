"""Vectors of somebody's clips and captions in one file, for whatever they want to do with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from common.data import own_files
from common.data.own_files import LeftOut
from common.files import replacing
from multimodal_ssl.model.similarity import maximum, mean
from multimodal_ssl.own import checking
from multimodal_ssl.own.checking import Checked
from multimodal_ssl.own.evaluation import texts_of, windows_of
from multimodal_ssl.own.reading import read
from multimodal_ssl.search.weights import Trained
from multimodal_ssl.search.windows import Cut


def embed(data: Path, out: Path, trained: Trained, device: str, cut: Cut) -> str:
    """Writes an .npz; returns a sentence on what it holds.

        clips, videos        names, a row for each clip
        start_s, stop_s      of each clip in its video; NaN where it goes to the end
        clip_vectors         float32, of unit length: mean over windows of their mean places
        captions             texts as they were written; of those without a word that has a vector none
        caption_clips        the row of each caption's clip
        caption_vectors      float32, of unit length: maximum of phrases (mean by `films`), so that products with the
                             former are cosines

    Raises:
        ValueError: no clip is left.
    """
    clips, faults = read(data)
    words = trained.vocabulary()[0] if any(one.captions for one in clips) else None
    matcher = trained.matcher(words).to(device)
    left, found, vectors = list(faults), list[Checked](), list[torch.Tensor]()
    for one in checking.checked(clips, cut):
        if isinstance(one, LeftOut):
            left.append(one)
        else:
            found.append(one)
            vectors.append(mean(windows_of(matcher, one.windows)).mean(dim=0))
    own_files.tell(left, len(clips) + len(faults), what="clips")
    if not found:
        raise ValueError(f"{data}: no clips are left")
    told = [
        (text, row)
        for row, one in enumerate(found)
        for text in one.clip.captions
        if words and words.encode(text).any()
    ]
    pooled = mean if matcher.encoders.text.averaged else maximum
    of_texts = (
        [pooled(units) for units in texts_of(matcher, words, [text for text, _ in told])] if words else []
    )
    width = trained.matching.network.heads.text_space
    nan = float("nan")
    with replacing(out) as beside, beside.open("wb") as file:
        np.savez(
            file,
            clips=np.array([one.clip.id for one in found], dtype=np.str_),
            videos=np.array([one.clip.video for one in found], dtype=np.str_),
            start_s=np.array([one.clip.start_s for one in found]),
            stop_s=np.array([nan if one.clip.stop_s is None else one.clip.stop_s for one in found]),
            clip_vectors=F.normalize(torch.stack(vectors), dim=1).cpu().numpy(),
            captions=np.array([text for text, _ in told], dtype=np.str_),
            caption_clips=np.array([row for _, row in told], dtype=np.int64),
            caption_vectors=F.normalize(torch.cat(of_texts), dim=1).cpu().numpy()
            if of_texts
            else np.zeros((0, width), np.float32),
        )
    return f"{out}: {len(found)} clips and {len(told)} captions as vectors of {width} channels"
