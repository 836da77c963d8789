"""Redaction of personal data: e-mail addresses, phone numbers, identity and bank card numbers, IP addresses (report 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.redact.config import KINDS, RedactConfig

if TYPE_CHECKING:
    from skyloom.corpus.redact.replace import redact
else:
    __getattr__ = lazy(__name__, {
        "replace": ("redact",),
    })  # fmt: skip

__all__ = ["KINDS", "RedactConfig", "redact"]
