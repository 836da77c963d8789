"""Damaged characters: text that was decoded with the wrong charset and encoded again, and entities that were escaped twice.

Input: a column of blocks, and which of them are listings. Output: the column. A compiled search finds the few blocks that hold a
sequence which such damage leaves ("â€™", "Ã©", "&amp;nbsp;"); these go to ftfy, which changes only what can be told with certainty,
and to Python's table of entities. Listings stay as they are. Memory: the blocks that change.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_FIRST = "\u00c2-\u00f4\u0412\u0413\u0420\u0421"  # what the first byte of a character becomes in Latin-1 and Windows-1251
_REST = (
    "\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014"
    "\u02dc\u2122\u0161\u203a\u0153\u017e\u0178"
)
_DAMAGE = f"[{_FIRST}][{_REST}]|\u00c2 |&(?:[a-z]{{2,8}}|#[0-9]{{2,5}}|#x[0-9a-f]{{2,4}});"
_TWICE = re.compile(
    r"&(?:amp;)?(nbsp|quot|apos|ldquo|rdquo|lsquo|rsquo|mdash|ndash|hellip|middot|bull|copy|reg|trade|times|deg|eacute|amp|"
    r"#[1-9]\d{1,4}|#x[0-9a-fA-F]{2,4});"
)
_ABOUT_MARKUP = re.compile(r"(?i)&(?:amp;)?(?:lt|gt);|entit|实体|實體|html|escap|转义|轉義")


def mended(blocks: pa.Array, listing: npt.NDArray[np.bool_]) -> pa.Array:
    """The blocks (string[n]) with what is damaged for certain put right; not where `listing`, bool[n]."""
    doubtful = pc.match_substring_regex(blocks, _DAMAGE).to_numpy(zero_copy_only=False) & ~listing
    rows = np.flatnonzero(doubtful)
    if not len(rows):
        return blocks
    new = [mended_text(text) for text in blocks.take(pa.array(rows)).to_pylist()]
    return pc.replace_with_mask(blocks, pa.array(doubtful), pa.array(new, blocks.type))


def mended_text(text: str) -> str:
    """One text."""
    found = _fix()(text)
    if _TWICE.search(found) and not _ABOUT_MARKUP.search(found):
        found = _TWICE.sub(lambda m: html.unescape(f"&{m[1]};"), found).replace("\u00a0", " ")
    return found


@functools.cache
def _fix() -> Callable[[str], str]:
    import ftfy

    return ftfy.fix_encoding
