"""The `lm` verb: from texts to an n-gram of the words that a recogniser may write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from speech_adapters.checkpoints import by_name
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.ctc import ngram
from speech_adapters.own.evaluation import normaliser_of
from speech_adapters.own.reading import read

TABLES = (".csv", ".tsv", ".json", ".jsonl")


def texts_of(place: Path, normalise: Callable[[str], str]) -> list[str]:
    """Normalised texts of recordings, or lines of a file; empty ones are left out.

    Raises:
        ValueError: no such file, no UTF-8, or no words in it.
    """
    place = place.expanduser()
    if place.is_dir() or place.suffix in TABLES or not place.exists():
        written = [recording.text for recording in read(place)]
    else:
        try:
            written = place.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{place} must be UTF-8, got other bytes at {error.start}") from error
    found = [text for line in written if (text := normalise(line))]
    if not found:
        raise ValueError(f"{place}: no words in it")
    return found


def make(texts: Path, out: Path, *, order: int, adapter: str | None, dev: Path | None) -> str:
    """Writes the n-gram; what was counted, in a sentence, and of `dev` its perplexity in another.

    Args:
        adapter: a published set or a set's file, whose spelling words get.

    Raises:
        ValueError: as `texts_of` and `ngram.estimate`, or no such set.
    """
    (path,) = by_name.find_adapter_sets([adapter]).values() if adapter else (None,)
    normalise = normaliser_of(AdapterSet.load(path) if path else None)
    found = texts_of(texts, normalise)
    others = texts_of(dev, normalise) if dev else []
    model = ngram.estimate(found, order)
    model.write_arpa(out)
    words = sum(len(text.split()) for text in found)
    known = model.vocabulary - {ngram.END, ngram.UNKNOWN}
    told = f"{out}: {order}-gram of {len(found)} sentences, {words} words, {len(known)} different"
    if not others:
        return told
    spoken = [word for text in others for word in text.split()]
    unknown = sum(word not in known for word in spoken) / len(spoken)
    return (
        f"{told}\n{dev}: perplexity {model.perplexity(others):.1f} over {len(spoken)} words, "
        f"{100 * unknown:.1f} % of them unknown"
    )
