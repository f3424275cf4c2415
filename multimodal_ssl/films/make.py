"""The part of the model for real films that is published: `python -m multimodal_ssl.films.make` writes it again.

Nothing is trained: it is where the names of ImageNet's classes lie among GloVe's vectors. The network that looks at the
frames stays in its package.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from common import checkpoint
from common.settings import encode
from multimodal_ssl.model import networks
from multimodal_ssl.model.class_names import names_of_classes
from multimodal_ssl.model.encoders.imagenet import ClassNamesEncoder
from multimodal_ssl.model.matching import Matching
from multimodal_ssl.model.similarities import LogMeanExp
from multimodal_ssl.model.vocabulary import FUNCTION_WORDS, PACKAGE, Vocabulary, glove

NAME = "films"
# On dev g, decay and sharpness changed little over wide ranges; see the model's card.
MATCHING = Matching(
    network=networks.FILMS, similarity=LogMeanExp(0.01), size_px=224, num_frames=4, rate_hz=2.0
)
COMMON_WORDS = 20_000  # the first of GloVe's list, which is in the order of how often they are used


def centre(words: Vocabulary) -> Float[Tensor, " channel"]:
    """Mean of common words' vectors, which all words share and which says nothing."""
    return torch.from_numpy(words.vectors[1 : COMMON_WORDS + 1]).mean(dim=0)


def of_names(words: Vocabulary, middle: Float[Tensor, " channel"]) -> Float[Tensor, "name channel"]:
    """Of unit length: the mean of a name's words, function words left out; zero where none has a vector."""
    rows = []
    for name in names_of_classes().names:
        read = [word for word in words.read(name)[0] if word not in FUNCTION_WORDS]
        vectors = torch.from_numpy(words.of(read).vectors[1:]) if read else middle[None]
        rows.append(F.normalize(vectors - middle, dim=1).sum(dim=0))
    return F.normalize(torch.stack(rows), dim=1)


@torch.no_grad()
def tensors(words: Vocabulary) -> dict[str, Tensor]:
    """What the file keeps, by names in the matcher."""
    text = networks.FILMS.text.build(torch.from_numpy(words.vectors))
    assert isinstance(text, ClassNamesEncoder)
    text.center.copy_(centre(words))
    text.names.copy_(of_names(words, text.center).half().float())
    kept = {"names": text.names.half(), "center": text.center}
    return {f"encoders.text.{name}": tensor for name, tensor in kept.items()}


def make(path: Path) -> None:
    """Writes the file and its JSON."""
    origin = {"names": "ImageNet's classes and what is above them in WordNet 3.0", "vectors": PACKAGE.label}
    checkpoint.save(path, tensors(glove()), {"matching": encode(MATCHING), "origin": origin})


if __name__ == "__main__":
    make(Path(__file__).parents[1] / "weights" / f"{NAME}.safetensors")
