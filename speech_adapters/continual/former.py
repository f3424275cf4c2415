"""Settings as results spelled them before schedules were values, turned into today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.schedule import from_former


def former_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Former settings in today's layout; two languages in a row had a schedule each, which nothing said."""
    today = from_former(settings)
    if settings.get("then"):
        in_turn = {"kind": "InTurn", "first_steps": settings["switch_step"], "schedule": today["schedule"]}
        return {**today, "schedule": in_turn}
    return today
