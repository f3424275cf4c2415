"""What turns waveforms into letters: one encoder with any number of adapter sets, or a whole CTC model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from common.progress import say
from speech_adapters.checkpoints import by_name, convert, model_files
from speech_adapters.checkpoints.adapter_sets import AdapterBank, AdapterSet, WrongBackbone
from speech_adapters.checkpoints.model_files import StoredModel
from speech_adapters.ctc import decoding, ngram
from speech_adapters.data.text import NO_LETTERS, Vocabulary
from speech_adapters.model.architecture import Architecture
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.encoder import SpeechEncoder
from speech_adapters.model.onednn import by_onednn

ONE_VOICE_SOURCES = ("asterisk-en", "asterisk-fr")
ONE_VOICE = "learned from one voice alone ({}): of other voices most letters come out wrong"


@runtime_checkable
class AcousticModel(Protocol):
    """Waveforms to log-probabilities, each by the name of its adapter set; an `AdapterBank` is one."""

    def log_probs(
        self,
        waveform: Float[Tensor, "batch sample"],
        num_samples: Int[Tensor, " batch"],
        names: Sequence[str],
    ) -> list[Float[Tensor, "frame symbol"]]: ...


@dataclass(frozen=True)
class Decoder:
    """What an acoustic model's log-probabilities mean under one of its names."""

    name: str  # for the acoustic model
    label: str  # for people
    language: str  # empty where nobody knows
    vocabulary: Vocabulary
    beam_search: Callable[[Tensor], str] | None = (
        None  # log-probabilities to text; None is the likeliest path
    )

    caution: str = ""  # what whoever reads its text should know

    def words(self, log_probs: Float[Tensor, "frame symbol"]) -> list[list[int]]:
        """What they say, each word by its symbols."""
        if self.beam_search is None:
            return decoding.greedy_words(log_probs, self.vocabulary)
        return [self.vocabulary.encode(word) for word in self.beam_search(log_probs).split()]


@dataclass(frozen=True, kw_only=True)
class WordSearch:
    """A beam search with an n-gram of words, before it is known which letters spell them."""

    arpa: Path
    words: Sequence[str] | None = None  # the only ones that can come out; None: those of the n-gram
    lm_weight: float = 2.0  # of log10 probabilities
    word_score: float = -1.0  # nats for each word
    beam: int = 50

    def over(self, vocabulary: Vocabulary) -> decoding.BeamSearch:
        """
        Raises:
            ValueError, FileNotFoundError: as `decoding.BeamSearch`.
        """
        words = self.words
        if words is None:
            if not self.arpa.is_file():
                raise FileNotFoundError(f"no n-gram at {self.arpa}; `lm TEXTS --out x.arpa` makes one")
            every = ngram.words_of(self.arpa)
            words = [word for word in every if decoding.can_spell(word, vocabulary)]
            if len(words) < len(every):
                say(f"note: {len(every) - len(words)} of {len(every)} words of {self.arpa} have letters that the "
                    "recogniser cannot write, and never come out")  # fmt: skip
        return decoding.BeamSearch(vocabulary, self.arpa, words, lm_weight=self.lm_weight,
                                   word_score=self.word_score, beam=self.beam)  # fmt: skip


@dataclass(frozen=True)
class Recogniser:
    """An acoustic model and all that it can write."""

    acoustic_model: AcousticModel
    architecture: Architecture
    decoders: tuple[Decoder, ...]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def with_beam_search(self, search: WordSearch) -> Recogniser:
        """The same, spelling by `decoding.BeamSearch`; each segment between pauses is a sentence to the n-gram."""
        decoders = (
            replace(decoder, beam_search=search.over(decoder.vocabulary)) for decoder in self.decoders
        )
        return replace(self, decoders=tuple(decoders))


# ---- one recogniser of any family as an acoustic model


class SingleModel(nn.Module):
    """A CTC model with its own output head. Symbols that are no letters, such as <unk> or [PAD], are never written."""

    NAME = "own"

    def __init__(self, recogniser: nn.Module, symbols: Sequence[str]):
        super().__init__()
        self.recogniser = recogniser.eval()
        self.kept = [i for i, symbol in enumerate(symbols) if i == 0 or not NO_LETTERS.fullmatch(symbol)]
        self.vocabulary = Vocabulary(tuple(symbols[i] for i in self.kept))

    @torch.no_grad()
    def log_probs(
        self,
        waveform: Float[Tensor, "batch sample"],
        num_samples: Int[Tensor, " batch"],
        names: Sequence[str],
    ) -> list[Float[Tensor, "frame symbol"]]:
        packing = {"packed": True} if isinstance(self.recogniser, CTCModel) else {}
        log_probs, num_frames = self.recogniser(waveform, num_samples, **packing)
        return [
            row[:n, self.kept].log_softmax(dim=1)
            for row, n in zip(log_probs, num_frames.tolist(), strict=True)
        ]


def load(model: str, adapters: Mapping[str, Path], device: torch.device) -> Recogniser:
    """A recogniser of an encoder with adapter sets, or of a whole recogniser without any.

    Args:
        model: a name or path of `by_name.find`.
        adapters: files of sets by their labels.

    Raises:
        ValueError: no such model; a set of another encoder, with both hashes; adapters beside a whole recogniser or
            none beside an encoder.
    """
    stored = convert.read(by_name.find(model)).stored
    if stored.kind == "recogniser":
        if adapters:
            raise ValueError(
                f"{model} is a whole recogniser with an output head of its own; leave out --adapter"
            )
        if stored.vocabulary is None:
            raise ValueError(
                f"{model} does not say which letters its {stored.num_symbols} symbols are; "
                "name them with `convert --symbols`"
            )
        whole = SingleModel(by_onednn(model_files.build(stored)), stored.vocabulary).to(device)
        decoder = Decoder(SingleModel.NAME, Path(model).stem, "", whole.vocabulary)
        return Recogniser(whole, stored.architecture, (decoder,), device)
    if not adapters:
        raise ValueError(f"{model} is an encoder, which writes no letters by itself; say which --adapter")
    encoder = replace(stored, kind="encoder", tensors=model_files.encoder_tensors(stored))
    return _banked(encoder, adapters, device)


def _banked(stored: StoredModel, adapters: Mapping[str, Path], device: torch.device) -> Recogniser:
    encoder = model_files.build(stored)
    assert isinstance(encoder, SpeechEncoder)
    bank, decoders = AdapterBank(encoder), []
    for number, (label, path) in enumerate(adapters.items()):
        adapter_set, name = AdapterSet.load(path), f"set{number}"
        if adapter_set.vocabulary is None:
            raise ValueError(
                f"{path} is a {adapter_set.language} set of pre-training, which writes no letters"
            )
        try:
            bank.add(name, adapter_set)
        except WrongBackbone as error:
            raise WrongBackbone(f"{path}: {error}") from error
        source = adapter_set.origin.get("source", "")
        caution = f"{label} {ONE_VOICE.format(source)}" if source in ONE_VOICE_SOURCES else ""
        if quality := adapter_set.origin.get(
            "quality"
        ):  # of a published set: learned from what, how good on what
            caution = f"{label}, on {adapter_set.origin['model']}, {quality}"
        language, vocabulary = adapter_set.language, adapter_set.vocabulary
        decoders.append(Decoder(name, label, language, vocabulary, caution=caution))
    return Recogniser(bank.to(device), stored.architecture, tuple(decoders), device)
