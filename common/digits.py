"""Numbers as tables and verdicts show them."""

import math


def number(value: float | int) -> str:
    """Three significant digits with a true minus sign; thousands stay whole."""
    if not math.isfinite(value):
        return {"inf": "∞", "-inf": "−∞"}.get(str(float(value)), "–")
    digits = 0 if abs(value) >= 100 else max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(digits, 6)}f}".replace("-", "−")


def signed(value: float | int) -> str:
    """The same with a plus before what is above 0."""
    return ("+" if value > 0 else "") + number(value)
