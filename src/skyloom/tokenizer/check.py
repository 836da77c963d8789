"""Is this folder a sound tokenizer? The folder that `train` wrote in, findings out (report 3.3).

Whoever loads a tokenizer relies on facts that nobody sees until a model trained on it misbehaves: the layout of the ids,
that every added piece can be produced at all, that digits stay apart, that text comes back, and that the SentencePiece
model, `tokenizer.json` and `transformers` agree on every id. Each is proved here on this very folder.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import tokenizers

from skyloom.core.errors import SkyloomError
from skyloom.core.store import Store
from skyloom.tokenizer.extend import unreachable
from skyloom.tokenizer.pieces import BYTES, RESERVED, SPECIAL
from skyloom.tokenizer.tokenizer import Tokenizer

PROBES = 2000
"""Texts that the two formats are compared on."""


@dataclass(frozen=True)
class Finding:
    """One fact about the tokenizer: whether it holds, and the figures or the first counterexample."""

    name: str
    ok: bool
    detail: str


def check(store: Store) -> list[Finding]:
    """All findings, in a fixed order; `ok` is False where a fact does not hold. StorageError if files are missing."""
    tokenizer = Tokenizer.load(store)
    twin = tokenizers.Tokenizer.from_str(store.read_text("tokenizer.json"))
    checks: list[tuple[str, Callable[[], str]]] = [
        ("layout", lambda: _layout(tokenizer)),
        ("reachable", lambda: _reachable(tokenizer)),
        ("digits", lambda: _digits(tokenizer)),
        ("formats agree", lambda: _formats_agree(tokenizer, twin)),
        ("round trip", lambda: _round_trip(tokenizer)),
    ]
    findings = []
    for name, run in checks:
        try:
            findings.append(Finding(name, True, run()))
        except _BrokenError as problem:
            findings.append(Finding(name, False, str(problem)))
    return findings


class _BrokenError(SkyloomError):
    """A fact that does not hold, with its counterexample."""


def _layout(tokenizer: Tokenizer) -> str:
    pieces, parts = tokenizer.pieces, tokenizer.parts
    if parts.total != len(pieces):
        raise _BrokenError(f"parts.json counts {parts.total} pieces, the model has {len(pieces)}")
    for name, expected in (("special", SPECIAL), ("bytes", BYTES), ("reserved", RESERVED)):
        found = tuple(pieces[i] for i in parts.range(name))
        if found != expected:
            raise _BrokenError(f"part {name} is {found[:3]}…, expected {expected[:3]}…")
    if len(set(pieces)) != len(pieces):
        raise _BrokenError("a piece occurs twice")
    return ", ".join(f"{name} {size:,}" for name, size in parts.sizes)


def _reachable(tokenizer: Tokenizer) -> str:
    ids = [*tokenizer.parts.range("characters"), *tokenizer.parts.range("words")]
    pieces = tokenizer.pieces
    lost = unreachable(tokenizer.model, [pieces[i] for i in ids])
    if lost:
        raise _BrokenError(f"{len(lost)} added pieces are never produced, for example {lost[:5]}")
    return f"{len(ids):,} added pieces encode to their one id"


def _digits(tokenizer: Tokenizer) -> str:
    joined = [p for p in tokenizer.pieces if len(p) > 1 and p not in BYTES and p not in RESERVED and any(c.isdigit() for c in p)]
    if joined:
        raise _BrokenError(f"pieces join digits with something: {joined[:5]}")
    return "every digit is its own token"


def _formats_agree(tokenizer: Tokenizer, twin: tokenizers.Tokenizer) -> str:
    for text in _probes(tokenizer):
        ours, theirs = tokenizer.encode(text), twin.encode(text, add_special_tokens=False).ids
        if ours != theirs:
            raise _BrokenError(f"tokenizer.json encodes {text!r} as {theirs}, tokenizer.model as {ours}")
    return f"tokenizer.json gives the same ids on {PROBES:,} texts"


def _round_trip(tokenizer: Tokenizer) -> str:
    for text in _probes(tokenizer):
        back = tokenizer.decode(tokenizer.encode(text))
        if back != text:
            raise _BrokenError(f"{text!r} comes back as {back!r}")
    return f"{PROBES:,} texts come back as they were"


def _probes(tokenizer: Tokenizer) -> list[str]:
    """Texts made of the tokenizer's own pieces, spaces, line ends, digits and rare characters; the same on every call."""
    draw = random.Random(1)
    first, last = tokenizer.parts.range("latin").start, tokenizer.parts.range("words").stop
    pieces = [p.replace("\u2581", " ") for p in tokenizer.pieces[first:last]]
    extras = [
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        "　",
        "2023",
        "，",
        "。",
        "“",
        "🙂",
        "é",
        "e\u0301",
        "\u200b",
        "龘",
        "ﷺ",
        "\x00",
        "\r\n",
    ]
    return [
        "".join(draw.choice(pieces if draw.random() < 0.7 else extras) for _ in range(draw.randint(0, 24))) for _ in range(PROBES)
    ]
