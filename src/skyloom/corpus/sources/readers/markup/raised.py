"""Raised and lowered text: how powers, indices and footnote marks are written where the source raises or lowers them.

Input: the text of a superscript or subscript. Output: what stands for it in the text. Powers are written 10^6 and indices H_2O, so
that they can be told from the digits beside them; endings of ordinals (1st, 1er) and trade marks go with their word; footnote
marks are dropped.
"""

from __future__ import annotations

import re

_NOTE = re.compile(
    r"[\[【〔(（]?\s*(?:note|notes|n\.?|注|註|参|來源|来源|编|原文)?\s*\d{0,3}[a-z]?\s*[\]】〕)）]|[*†‡§¶‖※#]+|\[[^\[\]]{0,20}\]|↑+|\^+"
    r"|(?:注|註|来源请求|citation needed|clarification needed|note)\s*\d*",
    re.IGNORECASE,
)
_WITH_WORD = re.compile(r"st|nd|rd|th|er|re|ère|e|ème|o|a|º|ª|TM|SM|™|®|℠|©|M[cC]?|me|lle", re.ASCII)


def raised(text: str) -> str:
    """What stands for a superscript: `^` and the text, the text alone where it belongs to the word before, "" for a mark."""
    text = " ".join(text.split())
    if not text or _NOTE.fullmatch(text):
        return ""
    if _WITH_WORD.fullmatch(text) or text.startswith(("^", "$")):
        return text
    return f"^{text}"


def lowered(text: str) -> str:
    """What stands for a subscript: `_` and the text."""
    text = " ".join(text.split())
    return text if not text or text.startswith(("_", "$")) else f"_{text}"
