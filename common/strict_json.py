"""JSON of people's files: whatever is wrong with it is a ValueError, nesting that exhausts Python's stack as well."""

from __future__ import annotations

import json
from typing import Any


def parsed(text: str | bytes) -> Any:
    """
    Raises:
        ValueError: no JSON, not in a Unicode encoding, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise json.JSONDecodeError("is nested too deeply", "", 0) from None
