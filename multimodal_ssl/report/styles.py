"""How arms look in every figure: an arm keeps its colour, however many of its captions were wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.report.styles import FAINT, Style, legend, style_at
from multimodal_ssl.arms import ARMS, Arm, Condition


def style(of: Condition) -> Style:
    """Rates and batches of an arm differ in the marker."""
    turned = 3 * (of.rate_percent // 25) + 5 * of.near + (of.other_batch or 0).bit_length()
    return style_at(ARMS.index(of.arm), turned)


def style_of(arm: Arm) -> Style:
    """Of an arm whose captions are right."""
    return style_at(ARMS.index(arm))


def look(arm: Arm, size: float = 8, *, hollow: bool = False) -> dict[str, Any]:
    """As `axes.plot` takes it."""
    return style_of(arm).look(size, hollow=hollow)


def legend_of(axes: Any, arms: Sequence[Arm]) -> None:
    """Arms with their words, and the grey of chance."""
    chance = {"linewidth": 2.5, "color": FAINT}
    legend(axes, [*((arm.words, look(arm)) for arm in arms), ("chance", chance)])
