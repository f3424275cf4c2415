"""From a folder of films to a model folder that `upscale --model` takes, with a card of its scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common import checkpoint, trainer
from common.data.packages import FetchError
from common.files import check_folder, write_atomically
from common.own_training import CARD, mirrors
from common.progress import say, tracked
from common.runtime import find_device
from common.settings import override
from video_sr.models import by_name
from video_sr.networks import Network
from video_sr.own import card
from video_sr.own.card import OWN, Scores
from video_sr.own.corpus import OwnFilms
from video_sr.recipes import SCALES
from video_sr.upscaling import Upscaling

SEED = 0
SCORES = "scores-dev.json"
PREVIEWS = 10  # in a training
PEERS = ("bicubic", "span-twice", by_name.BEST)  # that stand beside a model on its card


def trainable() -> dict[str, Upscaling]:
    """Recipes for two cores by the names that `--network` takes."""
    return {
        name.removesuffix("_TRAINED")
        .lower()
        .replace("_", "-"): recipe  # of SPAN x16, which works untrained too
        for name, recipe in SCALES["mini"].every_recipe.items()
        if isinstance(recipe, Upscaling) and recipe.steps and not recipe.copies
    }


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command line asks for."""

    data: Path
    network: str
    out: Path
    dev: Path | None = None
    steps: int | None = None
    settings: Sequence[str] = ()  # as --set takes them

    def recipe(self) -> Upscaling:
        """The training, its files read and cut.

        Raises:
            ValueError: an unknown network, files or settings that cannot be used.
        """
        known = trainable()
        if self.network.lower() not in known:
            raise ValueError(f"network must be one of {', '.join(known)}, got {self.network!r}")
        check_folder(self.out)
        recipe = known[self.network.lower()]
        corpus = OwnFilms(folder=str(self.data), dev_folder=str(self.dev or ""), kept=str(self.out / "films"))
        steps = self.steps or recipe.steps
        chosen = override(
            replace(recipe, corpus=corpus, steps=steps, preview_every=max(1, steps // PREVIEWS)),
            self.settings,
        )
        if not isinstance(chosen.corpus, OwnFilms):
            raise ValueError("corpus cannot be changed here: it is the folder that was given")
        chosen.corpus.cut(num_frames=chosen.network.num_frames, patch=chosen.patch)
        chosen.network.prepare()
        return chosen


def train(wanted: Wanted, *, device: str, resume: str) -> Path:
    """Trains, or goes on training, and leaves weights and their card in the folder; returns the weights.

    Raises:
        Interrupted: after a signal; the same call goes on.
        ValueError: as `Wanted.recipe`, or what is in the folder is of another training.
    """
    recipe = wanted.recipe()
    for sentence in summary(recipe):
        say(sentence)
    run, path = wanted.out / "run", wanted.out / by_name.WEIGHTS
    shown = mirrors(recipe, run, label="train", group=wanted.network)
    made = trainer.train(recipe, seed=SEED, folder=run, device=device, resume=resume, mirrors=shown)
    found = checkpoint.load(made.weights)
    checkpoint.save(path, found.tensors, found.state)
    scores = dev_scores(recipe, path, wanted.out / "pictures", find_device(device).kind)
    told = {name: one.record() for name, one in scores.items()}
    write_atomically(wanted.out / SCORES, json.dumps(told, indent=1).encode())
    own = by_name.load(str(path))
    text = card.card(
        name=wanted.out.resolve().name, network=wanted.network.lower(), recipe=recipe, data=summary(recipe),
        scores=scores, weights=by_name.num_weights(own), wall_s=made.wall_s, told=getattr(own, "told", ""),
    )  # fmt: skip
    write_atomically(wanted.out / CARD, text.encode())
    return path


def summary(recipe: Upscaling) -> list[str]:
    """Sentences on what is trained and scored on."""
    corpus = recipe.corpus
    assert isinstance(corpus, OwnFilms)
    train, dev = corpus.files("train"), corpus.files("dev")
    left, _ = corpus.bad_items()
    seen = recipe.steps * recipe.batch_size / max(1, corpus.num_items(SEED))
    return [
        f"train: {len(train)} files, {corpus.num_items(SEED)} clips of {recipe.network.num_frames} frames, "
        f"each seen {seen:.1f} times",
        f"dev: {len(dev)} files"
        + (" of a folder of their own" if corpus.dev_folder else ", held out of the same folder"),
        f"{len(left)} files were left out",
    ]


def dev_scores(recipe: Upscaling, path: Path, pictures: Path, device: str) -> dict[str, Scores]:
    """Means on the dev part of what was written, loaded as `upscale` loads it, and of its peers."""
    sizes: Mapping[str, Network] = {OWN: recipe.network} | {name: by_name.READY[name] for name in PEERS}
    found = {}
    for name, network in sizes.items():
        try:
            model = by_name.load(str(path) if name == OWN else name).to(device)
        except FetchError as error:
            say(f"{name} is not scored: {error}")
            continue
        shown = pictures / name.replace(" ", "-")
        shown.mkdir(parents=True, exist_ok=True)
        scorer = replace(recipe, network=network, copies=False)
        items = scorer.score(model, seed=SEED, split="dev", pictures=shown)
        found[name] = Scores.of(list(tracked(items, f"scoring {name}", None, "file")))
    return found
