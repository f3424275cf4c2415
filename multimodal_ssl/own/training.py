"""From a folder of captioned videos to a model that `search` takes, with a card of its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common import checkpoint, trainer
from common.files import check_folder, write_atomically
from common.own_training import CARD, mirrors
from common.progress import say
from common.runtime import find_device
from common.settings import encode, override
from multimodal_ssl.model import networks
from multimodal_ssl.own import recipe as recipes
from multimodal_ssl.own.card import card
from multimodal_ssl.own.clips import OwnClips, summary
from multimodal_ssl.own.evaluation import Scores
from multimodal_ssl.own.reading import look
from multimodal_ssl.own.recipe import OwnTraining
from multimodal_ssl.search import weights
from multimodal_ssl.search.weights import Trained
from multimodal_ssl.search.windows import cut_of

SEED = 0
MODEL, SCORES = weights.OF_OWN, "scores-dev.json"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command line asks for."""

    data: Path
    model: str  # to start from
    out: Path
    dev: Path | None = None
    rate_hz: float = 4.0
    steps: int | None = None
    settings: Sequence[str] = ()  # as --set takes them

    def recipe(self) -> OwnTraining:
        """The training, its clips read and checked.

        Raises:
            ValueError: clips, a model or settings that cannot be used.
        """
        check_folder(self.out)
        look(self.data)  # before any work
        held = recipes.started(self.model)
        if held.matching.network == networks.FILMS:  # nothing of it learns from clips
            raise ValueError(
                f"{self.model} is made of names and learns nothing from clips; start with {recipes.PICTURES}"
            )
        words = recipes.vocabulary_of(self.model)
        source = OwnClips(
            cut_of(held.matching, self.rate_hz), words.sha256, folder=str(self.data),
            dev_folder=str(self.dev or ""), kept=str(self.out / "clips"),
        )  # fmt: skip
        source.prepare(words)
        return override(recipes.planned(source, self.model, self.steps), self.settings)


def train(wanted: Wanted, *, device: str, resume: str) -> Path:
    """Trains, or goes on training, and leaves the file and its card in the folder; returns the file.

    Raises:
        Interrupted: after a signal; the same call goes on.
        ValueError: as `Wanted.recipe`, or what is in the folder is of another training.
    """
    recipe = wanted.recipe()
    for sentence in summary(recipe.source):
        say(sentence)
    say(f"{recipe.steps} steps of {recipe.batch_size} clips, from {wanted.model}")

    run = wanted.out / "run"
    shown = mirrors(recipe, run, label="train", group=recipe.source.name)
    done = trainer.train(recipe, seed=SEED, folder=run, device=device, resume=resume, mirrors=shown)
    made = checkpoint.load(done.weights)
    path = wanted.out / MODEL
    origin = {"data": recipe.source.name, "settings": encode(recipe), "provenance": made.state["provenance"]}
    weights.save(path, Trained(path.name, recipe.matching, made.tensors, recipe.words()), origin)
    scores = _dev_scores(recipe, path, find_device(device).kind)
    write_atomically(wanted.out / SCORES, scores.json().encode())
    _describe(wanted, recipe, sum(tensor.numel() for tensor in made.tensors.values()), scores)
    return path


def _dev_scores(recipe: OwnTraining, path: Path, device: str) -> Scores:
    """Of what was written, loaded as `search` loads it."""
    trained = weights.load(str(path))
    matcher = trained.matcher(trained.words).to(device)
    items = recipe.score(matcher, seed=SEED, split="dev", pictures=Path())
    return Scores(tuple(items), recipe.source.cut, recipe.source.index()["left_out"])


def _describe(wanted: Wanted, recipe: OwnTraining, num_weights: int, scores: Scores) -> None:
    rate = "" if wanted.rate_hz == 4.0 else f" --rate {wanted.rate_hz:g}"
    use = (
        f"python -m multimodal_ssl index videos --model {MODEL} --out index{rate}\n"
        'python -m multimodal_ssl search "what is to be seen" --index index'
    )
    text = card(
        name=wanted.out.resolve().name, start=Path(wanted.model).name, data=summary(recipe.source),
        left_out=recipe.source.index()["left_out"], weights=num_weights, steps=recipe.steps,
        peak_lr=recipe.peak_lr, scores=scores, use=use,
    )  # fmt: skip
    write_atomically(wanted.out / CARD, text.encode())
