"""Video, audio and text in one space, matched part by part [Wang21, arXiv 2112.12182].

import multimodal_ssl

multimodal_ssl.load("fine").search("a dog moving left", "clip-index")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multimodal_ssl.python_api import Finder, Hit, Index, load

__all__ = ["Finder", "Hit", "Index", "load"]


def __getattr__(name: str) -> Any:
    """What is asked for is imported then, and torch with it: a bare import of the package is cheap."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from multimodal_ssl import python_api

    return getattr(python_api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
