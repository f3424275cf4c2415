"""Trained models ready to search with, by the name or the file that a person gives, and the words they can be asked.

Word vectors that are frozen are not saved with weights. Any of GloVe's 400,000 words can be asked, once its package is
there; where it cannot be had, the captions' own words, which published weights bring along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common import checkpoint
from common.data.packages import FetchError
from common.progress import say
from common.settings import decode, encode, hashed
from multimodal_ssl.composed.plan import Composition
from multimodal_ssl.contrast import Contrast
from multimodal_ssl.model import networks
from multimodal_ssl.model.matcher import Matcher
from multimodal_ssl.model.matching import Matching
from multimodal_ssl.model.vocabulary import WIDTH, Vocabulary

PUBLISHED = Path(__file__).parents[1] / "weights"
OF_OWN = "model.safetensors"  # in a folder that `train` leaves
MOST_TOLD = 200  # letters of an error inside another
ORIGIN = {
    "films": "made of ImageNet's class names, without captions",
    "fine": "learned composed clips of a few hundred words",
}
REAL_FILMS = Path(__file__).parents[1] / "films" / "results"  # of `evaluate real-films --model NAME --json`
VOCABULARY = "vocabulary"  # tensor of vectors, and in the JSON the list of its words
FOR_FILMS, FOR_COMPOSED = "films", "fine"  # names of published models
MATCHING = "matching"  # in the JSON of models that were trained on a person's own clips


@dataclass(frozen=True, eq=False)
class Trained:
    """What a finished run left.

    Args:
        name: as it was asked for.
        words: of its captions, where the file brings them.
        composition: of the clips that it was trained on; None where these were not composed.
    """

    name: str
    matching: Matching
    tensors: Mapping[str, Tensor]
    words: Vocabulary | None
    composition: Composition | None = None

    @property
    def learned(self) -> str:
        """Where its score comes from, for people."""
        return "never trained" if self.matching.network == networks.FILMS else "as trained"

    @property
    def quality(self) -> str:
        """What can be expected of a published model, in one sentence."""
        return quality(self.name.lower()) if self.name.lower() in ORIGIN else ""

    @property
    def sha256(self) -> str:
        """Of the weights and of every setting that changes a unit or a score."""
        settings = hashed(self.matching)
        told = [settings[key] for key in ("network", "similarity", "size_px", "num_frames")]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def matcher(self, vocabulary: Vocabulary | None = None) -> Matcher:
        """The network in evaluation mode, on the CPU.

        Args:
            vocabulary: whose ids texts will hold; without one only clips can be encoded.

        Raises:
            ValueError: the weights are not of the network that their settings name.
        """
        vectors = torch.from_numpy(vocabulary.vectors) if vocabulary else torch.zeros(self._matrix_shape())
        matcher = Matcher(self.matching.network, vectors, self.matching.similarity)
        try:
            matcher.load_state_dict(dict(self.tensors))
        except RuntimeError as error:
            raise ValueError(
                f"{self.name}: does not fit the network that its settings name: {error}"
            ) from error
        return matcher.eval().requires_grad_(False)

    def _matrix_shape(self) -> tuple[int, ...]:
        trained = self.tensors.get("encoders.text.words.weight")
        return (1, WIDTH) if trained is None else tuple(trained.shape)

    def vocabulary(self) -> tuple[Vocabulary, str]:
        """Words that it can be asked, and a sentence where they are fewer than hoped for.

        Raises:
            ValueError: neither all words with a vector nor the captions' own can be had.
        """
        try:
            known = None if self.matching.made_up else self.matching.network.text.vectors.known()
        except FetchError as error:
            own = self._own(str(error))
            return own, f"only the {len(own)} words of its captions can be asked, since {error}"
        return known or self._own(f"{self.name} knows the words of its captions alone"), ""

    def _own(self, because: str) -> Vocabulary:
        if self.words is not None:
            return self.words
        if self.composition is None:
            raise ValueError(because)
        from multimodal_ssl.composed import clips

        try:
            return clips.compose(self.composition).words
        except ValueError as error:
            raise ValueError(f"{because}, and its captions are not here: {error}") from error


def quality(name: str) -> str:
    """Where a published model comes from, and its result on real films."""
    told = json.loads((REAL_FILMS / f"{name}.json").read_text(encoding="utf-8"))
    first = told["caption_to_clip"]["recall_at_1"]
    return (
        f"{ORIGIN[name]}; among {told['clips']} cut clips of real films the right one comes first for "
        f"{first['percent']:.0f} % of {told['captions']} questions ({first['low']:.0f} to {first['high']:.0f}; chance "
        f"{first['chance']:.0f})"
    )


def load_default() -> Trained:
    """The published model for real films, fetched at the first call; where it cannot be had the one for composed clips,
    and a line says so."""
    try:
        networks.FILMS.text.vectors.known()  # both packages or none
        return load(FOR_FILMS)
    except FetchError as error:
        say(f"note: {FOR_COMPOSED} instead of {FOR_FILMS}, since {error}")
        return load(FOR_COMPOSED)


def load(name_or_path: str | None) -> Trained:
    """Weights and settings, every byte checked.

    Args:
        name_or_path: the name of published weights, in any case, a folder that `train` has left, or weights with their
            JSON: such a folder's model.safetensors, or a run's weights.safetensors; None: see `load_default`.

    Raises:
        FetchError: what a package brings of it cannot be had.
        ValueError: an unknown name, with the known ones, or a file that is no finished run of this paper.
    """
    if name_or_path is None:
        return load_default()
    published = {path.stem.lower(): path for path in sorted(PUBLISHED.glob("*.safetensors"))}
    if found := published.get(name_or_path.lower()):
        return _read(name_or_path, found)
    if name_or_path.endswith(".safetensors"):
        return _read(name_or_path, Path(name_or_path))
    if (folder := Path(name_or_path)).is_dir():
        return _read(name_or_path, folder / OF_OWN)
    known = ", ".join(published) or "none here yet, train them with `make reproduce-fine-grained-ssl`"
    raise ValueError(
        f"unknown model {name_or_path!r}; known models: {known}; or give the path of a run's weights.safetensors, "
        "or a folder that train has left"
    )


def _read(name: str, path: Path) -> Trained:
    found = checkpoint.load(path)
    state, tensors, composition = found.state, dict(found.tensors), None
    vectors = tensors.pop(VOCABULARY, None)
    if MATCHING not in state and "settings" not in state:
        raise ValueError(
            f"{path}: its JSON names no settings, so it is a state of a training under way; "
            "give the weights.safetensors that a finished run leaves"
        )
    try:
        if MATCHING in state:
            matching = decode(Matching, state[MATCHING])
        else:
            recipe = decode(Contrast, state["settings"])
            matching, composition = recipe.matching, recipe.composition
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: was made by another version, or is no model of this paper ({str(error)[:MOST_TOLD]}); of what "
            f"train left, {OF_OWN} is the model"
        ) from error
    video = "encoders.video."  # which a file need not hold where a package does
    held = any(key.startswith(video) for key in tensors)
    fetched = (
        {} if held else {video + key: tensor for key, tensor in matching.network.video.fetched().items()}
    )
    own = None if vectors is None else Vocabulary(tuple(state[VOCABULARY]), vectors.numpy())
    return Trained(name, matching, tensors | fetched, own, composition)


def save(path: Path, trained: Trained, origin: Mapping[str, Any]) -> None:
    """Writes a model that `load` gives back, with its words; `origin` says where it comes from."""
    assert trained.words is not None
    told = {MATCHING: encode(trained.matching), "origin": dict(origin)}
    checkpoint.save(path, *with_vocabulary(trained.tensors, told, trained.words))


def with_vocabulary(
    tensors: Mapping[str, Tensor], state: Mapping[str, Any], own: Vocabulary
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What is published of a run: its weights and the words of its captions, so that it can be asked anywhere."""
    vectors = torch.from_numpy(np.array(own.vectors))
    return {**tensors, VOCABULARY: vectors}, {**state, VOCABULARY: list(own.words)}
