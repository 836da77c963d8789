"""How byte-level vocabularies spell their pieces, and which byte strings stand in Chinese text only.

A byte-level vocabulary (Radford et al. 2019, GPT-2) writes each byte as one letter: printable bytes as themselves, the others as
the letters from U+0100 on. A piece may end inside of a character: its bytes are then no UTF-8.

`only_han` is what the extension rests on (docs/adr/0025-byte-level-tokenizers.md). Chinese means Han characters here, no kana, no
hangul, no punctuation. A character of UTF-8 begins with a byte that stands nowhere else, so the first bytes of a character say in
which range it lies: E9 is Han whatever follows, E4 B8 too, E4 B7 may also be a hexagram, and BE 98 without a first byte says
nothing.
"""

from __future__ import annotations

import functools
import re

HAN = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""Han characters: 〇, extension A, the unified ideographs, the compatibility ideographs, planes 2 and 3. With code points that are
not given to a character yet."""

NEVER = frozenset((0xC0, 0xC1, *range(0xF5, 0x100)))
"""Bytes that stand in no text of UTF-8."""
RARE = frozenset((*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0xF1, 0xF2, 0xF3, 0xF4)) | NEVER
"""Bytes of control characters and of planes without characters, which a corpus may lack (SmolLM2's vocabulary has not all of
them)."""

_HAN_CHARACTERS = re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in HAN) + "]+")


@functools.cache
def byte_letters() -> tuple[str, ...]:
    """The letter of each byte, 256 of them."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return tuple(chr(b) if b in printable else chr(256 + others.index(b)) for b in range(256))


@functools.cache
def _bytes_by_letter() -> dict[str, int]:
    return {letter: byte for byte, letter in enumerate(byte_letters())}


def letters_of(data: bytes) -> str:
    """How a byte-level vocabulary spells these bytes."""
    letters = byte_letters()
    return "".join(letters[b] for b in data)


def bytes_of(letters: str) -> bytes | None:
    """The bytes that a piece stands for; None if it holds something else than letters of bytes."""
    table = _bytes_by_letter()
    if not all(letter in table for letter in letters):
        return None
    return bytes(table[letter] for letter in letters)


def is_han(char: str) -> bool:
    """Whether a character is Han, by `HAN`."""
    point = ord(char)
    return any(low <= point <= high for low, high in HAN)


def without_han(text: str) -> str:
    """The text without its Han characters."""
    return _HAN_CHARACTERS.sub("", text)


def only_han(data: bytes) -> bool:
    """Whether these bytes stand in no text of UTF-8 without a Han character."""
    return any(_begins_han(data[i : i + 4]) for i in range(len(data)))


@functools.lru_cache(1 << 16)
def _begins_han(data: bytes) -> bool:
    """Whether every character that begins with the first of these bytes, as far as they go, is Han."""
    first = data[0]
    width = 2 if 0xC2 <= first < 0xE0 else 3 if 0xE0 <= first < 0xF0 else 4 if 0xF0 <= first < 0xF5 else 0
    if not width:
        return False
    low = high = first & (0x7F >> width)
    for k in range(1, width):
        given = data[k] if k < len(data) else None
        if given is not None and given & 0xC0 != 0x80:
            return False
        low = low << 6 | (given & 0x3F if given is not None else 0)
        high = high << 6 | (given & 0x3F if given is not None else 0x3F)
    return any(start <= low and high <= end for start, end in HAN)
