"""The resolved recipe as TOML: plain values enter, text that `core.config` reads back leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w


def to_toml(recipe: Mapping[str, Any]) -> str:
    """TOML of a recipe. TOML has no null: what is None is left out, and reads back as the setting's default."""
    return tomli_w.dumps(_without_none(recipe))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value if v is not None]
    return value
