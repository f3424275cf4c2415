"""Linear probes: what a frozen encoder's features tell a linear SVM about actions and sounds.

Published "linear" protocols differ in scaling, in how windows are pooled and by five orders of magnitude in C, and
that C was chosen by nobody knows what. So each stands here as published, and once with C chosen on a hold-out of
training (`chosen`), never on test.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

COSTS = tuple(
    10.0**power for power in range(-5, 3)
)  # covers 6e-5 (VATT, commented out), 1e-3 (MMV), 100 (MIL-NCE)
HOLDOUT_FOLDS = 5  # one of them is held out


@dataclass(frozen=True)
class ProbeProtocol:
    """How a linear SVM is trained on windows and asked about items.

    Attributes:
        scaled: features are brought to mean 0 and variance 1, as training has them.
        cost: C of the squared hinge loss; None: chosen from `COSTS` on a hold-out of training.
        pooling: "mean" or "sum" of the decision values over the windows of an item.
    """

    name: str
    scaled: bool
    cost: float | None
    pooling: str

    def __post_init__(self) -> None:
        if self.pooling not in ("mean", "sum"):
            raise ValueError(f"decision values are pooled by mean or sum, got {self.pooling!r}")


# [Alayrac20, public code: eval_ucf101.py]: UCF101, split 1; training windows are 10 augmented passes, test windows 10
# evenly spaced ones of 32 frames, every second frame.
MMV = ProbeProtocol("MMV", scaled=True, cost=1e-3, pooling="mean")
# [Miech20, public code: eval_hmdb.py]: HMDB51, its three splits; 10 evenly spaced windows of 16 or 32 frames at the
# native rate, in training too.
MIL_NCE = ProbeProtocol("MIL-NCE", scaled=False, cost=100.0, pooling="sum")


def chosen(probe: ProbeProtocol) -> ProbeProtocol:
    """The same protocol with C chosen on a hold-out of training."""
    return replace(probe, name=f"{probe.name}, C chosen on a training hold-out", cost=None)


@dataclass(frozen=True)
class Features:
    """Frozen features of labelled items.

    Attributes:
        groups: of items that a hold-out must not part (one recording, one film); each its own where not known.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    vectors: Float[ndarray, "item window width"]

    def __post_init__(self) -> None:
        lengths = (len(self.ids), len(self.labels), len(self.groups), len(self.vectors))
        if len(set(lengths)) > 1 or not self.ids:
            raise ValueError(f"ids, labels, groups and vectors must be of one length above 0, got {lengths}")
        if not np.isfinite(self.vectors).all():
            raise ValueError(f"features must be finite; those of {self.ids[self._first_broken()]} are not")

    def _first_broken(self) -> int:
        return int(np.argwhere(~np.isfinite(self.vectors))[0, 0])

    def of(self, ids: Sequence[str]) -> Features:
        """Those items, in that order."""
        place = {id: i for i, id in enumerate(self.ids)}
        if missing := [id for id in ids if id not in place]:
            raise ValueError(f"{len(missing)} of {len(ids)} items have no features: {', '.join(missing[:5])}")
        return self._rows([place[id] for id in ids])

    def _rows(self, rows: Sequence[int]) -> Features:
        ids, labels, groups = (tuple(of[i] for i in rows) for of in (self.ids, self.labels, self.groups))
        return Features(ids, labels, groups, self.vectors[list(rows)])


@dataclass(frozen=True)
class ProbeResult:
    """What a probe said of every test item."""

    probe: ProbeProtocol
    cost: float
    converged: bool  # of the last fit; C = 100 without scaling often does not
    ids: tuple[str, ...]
    truth: tuple[str, ...]
    predicted: tuple[str, ...]
    classes: tuple[str, ...]  # of training, sorted
    values: Float[ndarray, "item class"]  # decision values, pooled over windows

    @property
    def num_right(self) -> int:
        return sum(said == true for said, true in zip(self.predicted, self.truth, strict=True))

    @property
    def percent(self) -> float:
        """Top-1 accuracy, 0 to 100."""
        return 100 * self.num_right / len(self.truth)


def run_probe(train: Features, test: Features, probe: ProbeProtocol, seed: int = 0) -> ProbeResult:
    """Trains on every window of `train`, and pools decision values over the windows of each item of `test`.

    Args:
        seed: of the hold-out and of the solver's order.

    Raises:
        ValueError: fewer than two classes in training, or items in both sets.
    """
    if shared := sorted(set(train.ids) & set(test.ids)):
        raise ValueError(f"training and test share {len(shared)} items: {', '.join(shared[:5])}")
    cost = choose_cost(train, probe, seed) if probe.cost is None else probe.cost
    svm, converged = _fitted(train, probe, cost, seed)
    values = _decisions(svm, test.vectors, probe)
    classes = tuple(str(name) for name in svm.classes_)
    predicted = tuple(classes[i] for i in values.argmax(axis=1))
    return ProbeResult(probe, cost, converged, test.ids, test.labels, predicted, classes, values)


def choose_cost(train: Features, probe: ProbeProtocol, seed: int = 0) -> float:
    """The C of `COSTS` that is right most often on a fifth of training; of equals the smallest.

    The fifth keeps shares of classes and parts no group.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if len(set(train.groups)) < HOLDOUT_FOLDS:
        raise ValueError(
            f"a hold-out needs at least {HOLDOUT_FOLDS} groups, got {len(set(train.groups))}; name C instead"
        )
    folds = StratifiedGroupKFold(HOLDOUT_FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Classes with fewer members than folds are allowed: they stay on one side.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        kept, held = next(folds.split(np.zeros(len(train.ids)), train.labels, train.groups))
    within, holdout = train._rows(kept.tolist()), train._rows(held.tolist())
    given = (run_probe(within, holdout, replace(probe, cost=cost), seed) for cost in COSTS)
    return max(given, key=lambda outcome: outcome.num_right).cost  # the first of equals


def run_splits(
    features: Features,
    splits: Iterable[tuple[Sequence[str], Sequence[str]]],
    probe: ProbeProtocol,
    seed: int = 0,
) -> list[ProbeResult]:
    """An outcome for each (training ids, test ids): the splits of UCF101 and HMDB51, the folds of ESC-50."""
    return [run_probe(features.of(train), features.of(test), probe, seed) for train, test in splits]


def mean_percent(outcomes: Sequence[ProbeResult]) -> float:
    """Top-1 accuracy as published: the mean over splits, which test different numbers of items."""
    if not outcomes:
        raise ValueError("a mean over splits needs outcomes, got none")
    return sum(outcome.percent for outcome in outcomes) / len(outcomes)


def confusion(
    truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str]
) -> Int[ndarray, "class said"]:
    """How often an item of each class (row) was said to be of each (column); matrices of splits add.

    Raises:
        ValueError: a label that `classes` lacks.
    """
    place = {name: i for i, name in enumerate(classes)}
    if unknown := sorted({*truth, *predicted} - place.keys()):
        raise ValueError(f"classes lack {', '.join(unknown)}")
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for true, said in zip(truth, predicted, strict=True):
        counts[place[true], place[said]] += 1
    return counts


def _fitted(train: Features, probe: ProbeProtocol, cost: float, seed: int) -> tuple[Any, bool]:
    """A pipeline, and whether its solver came to an end."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    if len(set(train.labels)) < 2:
        raise ValueError(f"a probe needs two classes in training, got {len(set(train.labels))}")
    num_windows = train.vectors.shape[1]
    svm = make_pipeline(*([StandardScaler()] if probe.scaled else []), LinearSVC(C=cost, random_state=seed))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        svm.fit(_windows(train.vectors), np.repeat(train.labels, num_windows))
    return svm, not any(issubclass(warning.category, ConvergenceWarning) for warning in told)


def _decisions(
    svm: Any, vectors: Float[ndarray, "item window width"], probe: ProbeProtocol
) -> Float[ndarray, "item class"]:
    values = svm.decision_function(_windows(vectors))
    if values.ndim == 1:  # two classes share one plane
        values = np.stack([-values, values], axis=1)
    values = values.reshape(*vectors.shape[:2], -1)
    pooled: ndarray = values.mean(axis=1) if probe.pooling == "mean" else values.sum(axis=1)
    return pooled


def _windows(vectors: Float[ndarray, "item window width"]) -> Float[ndarray, "row width"]:
    return vectors.reshape(-1, vectors.shape[-1])
