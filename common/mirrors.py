"""Which dashboards a run is shown on, by one setting: DASHBOARD=wandb (unless told otherwise), tensorboard, none.

    DASHBOARD=tensorboard           needs no account and no network: `tensorboard --logdir runs`
    DASHBOARD=wandb,tensorboard     both
    DASHBOARD=none                  the journal and the progress bar alone

How W&B behaves where it is asked for, WANDB_MODE says as everywhere. The journal holds everything in any case.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common.journal import Mirror, Wandb

SETTING = "DASHBOARD"
KNOWN = ("wandb", "tensorboard", "none")


def asked(default: str = "wandb") -> tuple[str, ...]:
    """Names of dashboards, as the environment has them.

    Raises:
        ValueError: an unknown one.
    """
    names = tuple(name.strip() for name in (os.environ.get(SETTING) or default).split(",") if name.strip())
    if unknown := sorted(set(names) - set(KNOWN)):
        raise ValueError(f"{SETTING} must be of {', '.join(KNOWN)}, got {', '.join(unknown)}")
    return tuple(name for name in names if name != "none")


def dashboards(
    names: tuple[str, ...],
    *,
    project: str,
    group: str,
    name: str,
    config: Mapping[str, Any],
    folder: Path,
    first_step: int,
) -> list[Mirror]:
    """The mirrors by name, for a run whose journal lies in a folder."""
    made: dict[str, Callable[[], Mirror]] = {
        "wandb": lambda: Wandb(project=project, group=group, name=name, config=config, folder=folder),
        "tensorboard": lambda: TensorBoard(folder / "tensorboard", first_step),
    }
    return [made[one]() for one in names]


class TensorBoard:
    """Mirrors a run to event files beside its journal; the package is looked for at the first row.

    Args:
        first_step: rows from there on that a former start wrote are not shown.
    """

    def __init__(self, folder: Path, first_step: int):
        self.folder, self.first_step = folder, first_step
        self._writer: Any = None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self._opened().add_scalar(key, value, step)

    def picture(self, step: int, name: str, path: Path) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as picture:
            self._opened().add_image(name, np.asarray(picture.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _opened(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=self.first_step)
        return self._writer
