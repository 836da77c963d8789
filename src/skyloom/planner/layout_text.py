"""Layouts as text, as the command line and the report's Table 10 write them ("DP256+PP2", "dp=256,pp=2"), parsed and written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from skyloom.core.errors import ConfigError
from skyloom.planner.layout import RECOMPUTE, SCHEDULES, Layout

KEYS = {
    "dp": "data",
    "tp": "tensor",
    "pp": "pipeline",
    "micro": "micro_batch",
    "schedule": "schedule",
    "chunks": "chunks",
    "recompute": "recompute",
    "zero": "zero",
}
"""What a layout is called on the command line, and in `Layout`."""


def layout_text(layout: Layout) -> str:
    """A layout as `parse_layout` reads it; what has its default is left out, but for dp."""
    usual = Layout()
    parts = []
    for key, name in KEYS.items():
        value = getattr(layout, name)
        if key == "chunks" and (layout.schedule == "1f1b" or layout.pipeline == 1):
            continue
        if key == "dp" or value != getattr(usual, name) or (key == "chunks"):
            parts.append(f"{key}={str(value).lower()}")
    return ",".join(parts)


def parse_layout(text: str, world: int = 0, micro_batch: int = 0) -> Layout:
    """`dp=256,pp=2,schedule=interleaved` or, as in Table 10, `DP256+PP2`. ConfigError for what it does not know.

    Without dp it is what is left of `world` processes; without micro it is `micro_batch`.
    """
    given: dict[str, Any] = {}
    for part in filter(None, re.split(r"[,+\s]+", text.strip().lower())):
        match = re.fullmatch(r"([a-z]+)=([\w-]+)|(dp|tp|pp)(\d+)", part)
        key, value = (match[1] or match[3], match[2] or match[4]) if match else ("", "")
        if key not in KEYS:
            raise ConfigError(f"layout '{text}': '{part}' is none of {', '.join(f'{k}=…' for k in KEYS)}; write dp=256,pp=2")
        if KEYS[key] in given:
            raise ConfigError(f"layout '{text}': {key} is there twice")
        given[KEYS[key]] = _value(text, key, value)
    if micro_batch:
        given.setdefault("micro_batch", micro_batch)
    if "data" not in given and world:
        given["data"] = max(1, world // (given.get("tensor", 1) * given.get("pipeline", 1)))
    return Layout(**given)


def _value(text: str, key: str, value: str) -> Any:
    allowed: Sequence[str] = {"schedule": SCHEDULES, "recompute": RECOMPUTE, "zero": ("true", "false")}.get(key, ())
    if allowed:
        if value not in allowed:
            raise ConfigError(f"layout '{text}': {key} is one of {', '.join(allowed)}, not '{value}'")
        return value == "true" if key == "zero" else value
    whole = value.isascii() and value.isdigit() and len(value) <= 9  # Python reads no number of thousands of digits
    if not whole or int(value) < (0 if key == "micro" else 1):
        shown = value if len(value) < 80 else f"{value[:80]}…"
        raise ConfigError(f"layout '{text[:200]}': {key} is a positive whole number of at most 9 digits, not '{shown}'")
    return int(value)
