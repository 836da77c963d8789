"""Settings of redaction: which kinds of personal data become placeholders."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting

KINDS = ("email", "id_card", "bank_card", "ip", "phone")


@dataclass(frozen=True)
class RedactConfig:
    """What is redacted."""

    kinds: tuple[str, ...] = setting(KINDS, doc="kinds of personal data that become placeholders", choices=KINDS)
