"""Times of a video as players show them."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """As 0:01:02.50."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}:{rest:05.2f}"
