"""Real films that come inside packages, with questions: how well a search finds in them what a person asks for.

23 stretches of 18 recordings, without a cut in them, chosen by eye: a wave, streets, towers, people before a camera, a
cat, a clock, things held in hands, the globe. 39 questions were written from looking at them, before any model saw
them, and are in `real_films.json` as they were written. They are for scoring alone.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from common.data.packages import FetchError, Package, data_root, fetch
from common.files import write_atomically
from common.progress import say

NAME = "real-films"  # given in place of a folder
FILE = Path(__file__).with_name("real_films.json")
TABLE = "clips.csv"


def listed() -> dict[str, Any]:
    """`packages`, `films` (file, package, path in it, sha256) and `clips` (film, start_s, stop_s, questions)."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def place() -> Path:
    """The folder of the films and their table, fetched and made where it is not there.

    Raises:
        FetchError: a package cannot be had, or holds another film.
    """
    folder, told = data_root() / "multimodal" / NAME, listed()
    packages = [Package(**fields | {"files": tuple(fields["files"])}) for fields in told["packages"]]
    if not (folder / TABLE).exists():
        size = sum(package.size_bytes for package in packages) / 1e6
        say(f"real films: {size:.0f} MB of packages, once, into {data_root()}")
        by_label = {f"{package.manager}:{package.name}": package for package in packages}
        for film in told["films"]:
            write_atomically(folder / film["file"], _film(by_label[film["package"]], film))
    write_atomically(folder / TABLE, _table(told["clips"]))  # last; and always, since questions may be mended
    return folder


def _film(package: Package, film: dict[str, str]) -> bytes:
    path = fetch(package) / film["path"]
    found = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if hashlib.sha256(found).hexdigest() != film["sha256"]:
        raise FetchError(f"{path}: is another film than the one that the questions are about")
    return found


def _table(clips: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["path", "caption", "start", "end"])
    for clip in clips:
        times = ["" if clip[key] is None else clip[key] for key in ("start_s", "stop_s")]
        rows.writerows([clip["film"], question, *times] for question in clip["questions"])
    return out.getvalue().encode()
