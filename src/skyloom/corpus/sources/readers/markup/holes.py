"""Sentences with a hole: what becomes of a text whose source has a template in it that nobody can write out.

Input: a text in which `HOLE` stands where something is missing. Output: the text without the sentences that are not whole, and how
many these are. A hole between other things costs nothing: alone on its line, in a cell of a table, behind the end of a sentence (a
footnote), or in parentheses, which go as a whole. Each character is looked at a fixed number of times.
"""

from __future__ import annotations

import re

HOLE = "\ufdd0"
"""A code point that is no character."""

_ALONE = re.compile(  # the rest of a line or a cell; a mark behind a sentence
    rf"(?m)(?:(?<=^)|(?<=^- )|(?<=\| )|(?<=[.。!?！？…:：;；”\")）]))(?:[ \t]*{HOLE})+(?=[ \t]*(?:$| \|))"
    rf"|(?<=[.。!?！？…”])(?:{HOLE})+(?=\s)"
)
_BRACKETS = re.compile(rf"(?<![ \t])[ \t]*+[(（][^()（）\n{HOLE}]*+{HOLE}[^()（）\n]*+[)）]")
_SENTENCE = re.compile(  # what is read is never read again: each part goes on from where the one before ended
    r"[^\n。！？!?.…]*+(?:[.](?=[^\s”\"’』」)）\n])[^\n。！？!?.…]*+)*+(?:[。！？!?.…]++[”\"’』」)）]*+)?+[ \t]*+|\n"
)


def without_holes(text: str) -> tuple[str, int]:
    """The text without the sentences that have a hole, and their number."""
    if HOLE not in text:
        return text, 0
    lost, lines = 0, []
    for line in text.split("\n"):
        if HOLE in line:
            line = _ALONE.sub("", line)
        if HOLE in line:
            line = _BRACKETS.sub("", line)
        if HOLE in line:
            parts = [match[0] for match in _SENTENCE.finditer(line)]
            lost += sum(HOLE in part for part in parts)
            line = "".join(part for part in parts if HOLE not in part).rstrip()
        if line.strip() != "-":
            lines.append(line)
    return "\n".join(lines), lost
