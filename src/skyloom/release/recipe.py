"""The resolved recipe as TOML: plain values enter, text that `core.config` reads back leaves."""

from __future__ import annotations
