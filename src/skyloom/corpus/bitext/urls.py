"""Page pairs across languages, by a key that the source gives or by URL patterns.

Input: columns of extracted pages. Output: a key for each page, equal for the versions of one page, or null. A source that knows
says so (`pair` in `meta`). Otherwise a language in the address is taken out: a folder (/zh-cn/, /en/), an ending of the file
(.zh-cn.html, _en.htm), a part of the host (zh.example.org) or a parameter (?lang=zh). The key of an address that names no
language is the address itself: /guide/a.html is the English version of /zh/guide/a.html, if both are there.

Memory: a few copies of the URL column of one shard.
"""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

_LANGUAGE = r"(?:en|eng|english|zh|chs|cht|cn|chinese|zho|chi)(?:[-_](?:us|gb|uk|cn|tw|hk|sg|hans|hant))?"
_PATTERNS = (
    (rf"(?i)([?&])(?:lang|language|locale|hl|l|lc)={_LANGUAGE}(&|$)", r"\1\2"),
    (rf"(?i)^((?:[a-z][a-z0-9+.-]*:)?//){_LANGUAGE}\.", r"\1"),
    (rf"(?i)/{_LANGUAGE}/", "/"),
    (rf"(?i)[._-]{_LANGUAGE}(\.(?:x?html?|xml|md|txt|php|aspx?|page))", r"\1"),
    (rf"(?i)(\.(?:x?html?))\.{_LANGUAGE}$", r"\1"),
    (r"[?&]+$", ""),
)


def pair_keys(urls: pa.ChunkedArray, metas: pa.ChunkedArray) -> pa.Array:
    """The key of each page, string[rows]: "pair:..." of its source, or "url:..." of its address, never null."""
    keys = pc.fill_null(pc.cast(urls, pa.string()), "")
    for pattern, replacement in _PATTERNS:
        keys = pc.replace_substring_regex(keys, pattern, replacement)
    keys = pc.binary_join_element_wise("url:", keys, "")
    keys = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
    given = pc.match_substring(metas, '"pair"')
    rows = pc.indices_nonzero(given)
    if not len(rows):
        return keys
    mask = pc.fill_null(given, False)
    mask = mask.combine_chunks() if isinstance(mask, pa.ChunkedArray) else mask
    said = [json.loads(meta).get("pair") for meta in metas.take(rows).to_pylist()]
    found = keys.take(rows).to_pylist()
    named = pa.array([f"pair:{pair}" if pair else key for pair, key in zip(said, found, strict=True)], pa.string())
    return pc.replace_with_mask(keys, mask, named)
