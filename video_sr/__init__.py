"""x16 video super-resolution: the AIM 2020 challenge on video extreme super-resolution [Fuoli20].

import video_sr

video_sr.load("evesrnet").upscale("small.mp4", "large.mp4")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from video_sr.python_api import Upscaler, load

__all__ = ["Upscaler", "load"]


def __getattr__(name: str) -> Any:
    """What is asked for is imported then, and torch with it: a bare import of the package is cheap."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from video_sr import python_api

    return getattr(python_api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
