"""What several papers use of the same packages: 37 natural photographs, and the stamps of a drawing program.

Each paper splits the photographs by its own rule, and keeps its own files of the stamps.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from common.data.packages import Package

STAMPS = "usr/share/tuxpaint/stamps"  # where the stamps lie in their package


def stamps(*globs: str) -> Package:
    """The package of stamps, of which the files are kept that the globs below `STAMPS` name."""
    return Package(
        manager="apt",
        name="tuxpaint-stamps-default",
        version="2022.06.04-1",
        sha256="6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
        size_bytes=160_880_444,
        licence="GPL-2.0-only",
        files=(*(f"{STAMPS}/{glob}" for glob in globs), "usr/share/doc/tuxpaint-stamps-default/copyright"),
    )


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One photograph: no vector art, no rendering, no texture."""

    id: str
    package: str  # "MANAGER:NAME"
    path: str  # inside the package
    sha256: str
    bytes: int
    width: int
    height: int
    licence: str
    keys: tuple[str, ...]  # "scene:...": what no split may cut


@cache
def _listed() -> tuple[tuple[Package, ...], tuple[Photograph, ...]]:
    listed = json.loads(Path(__file__).with_name("photographs.json").read_text(encoding="utf-8"))
    packages = (Package(**{**fields, "files": tuple(fields["files"])}) for fields in listed["packages"])
    found = (Photograph(**{**fields, "keys": tuple(fields["keys"])}) for fields in listed["photographs"])
    return tuple(packages), tuple(found)


def photograph_packages() -> tuple[Package, ...]:
    """The four packages that hold the photographs."""
    return _listed()[0]


def photographs() -> tuple[Photograph, ...]:
    """All photographs, in the order of packages."""
    return _listed()[1]
