"""A compiled search for pages that hold formulas, readings, listings, adverts or boxes about the author.

Input: the bytes of a column of pages. Output: a byte for each page with a bit for each kind. One pass: the name of each tag and
the words of its attributes, in lower case and without hyphens, are hashed and looked up. It finds more than what is rewritten
in the end (a word may stand in another attribute than the class), and nothing less.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import FNV_PRIME, FNV_START, Bytes, Hashes, Ints, find_byte, kernel, read_only

MATH, RUBY, LISTING, BOX, BACKLINK = 1, 2, 4, 8, 16
"""Bits of a page: <math>, <ruby>, <pre>, something that is cut out, and the way back from a note of MediaWiki."""

_TAGS = {"math": MATH, "ruby": RUBY, "pre": LISTING, "ampad": BOX, "ampembed": BOX, "ampstickyad": BOX}
_BOXES = (
    "files authorbox authorbio aboutauthor abouttheauthor postauthorbox postauthorbio postauthorinfo entryauthor authorcard "
    "authordescription authorabout relatedpost relatedposts relatedarticle relatedarticles relateditem relateditems relatedstories "
    "relatedcontent relatedlink relatedlinks jprelatedposts yarpprelated postsignature signature forumsignature usersignature "
    "signoffsig postsig post_sig usersig user_sig signatures forumsign forum_sign bbssign bbs_sign sig sign"
)
_WORDS = {**dict.fromkeys(_BOXES.split(), BOX), "mwcitebacklink": BACKLINK}

_SKIPPED = 1
_FOLDED = np.zeros(256, np.uint8)
"""Each byte of a word in lower case; hyphens are skipped; a byte of 0 ends a word."""
for _byte in b"abcdefghijklmnopqrstuvwxyz0123456789_":
    _FOLDED[_byte] = _byte
_FOLDED[ord("A") : ord("Z") + 1], _FOLDED[ord("-")] = _FOLDED[ord("a") : ord("z") + 1], _SKIPPED


@kernel
def _find(data: Bytes, offsets: Ints, hashes: Hashes, bits: Bytes, tags: int, out: Bytes) -> None:
    """Write the bits of each page to `out`; the first `tags` hashes are names of tags, the others are words of attributes."""
    likely = np.zeros(1024, np.bool_)
    for n in range(len(hashes)):
        likely[np.int64(hashes[n] & np.uint64(1023))] = True
    for row in range(len(offsets) - 1):
        i, stop, found = offsets[row], offsets[row + 1], np.uint8(0)
        while i < stop:
            i = find_byte(data, i, stop, 60) + 1
            if i >= stop or not 97 <= (data[i] | 32) <= 122:
                continue
            first, word = True, FNV_START
            while i < stop:
                byte = _FOLDED[data[i]]
                if byte > _SKIPPED:
                    word = (word ^ np.uint64(byte)) * FNV_PRIME
                elif byte != _SKIPPED:
                    if likely[np.int64(word & np.uint64(1023))]:
                        for n in range(0 if first else tags, tags if first else len(hashes)):
                            if hashes[n] == word:
                                found |= bits[n]
                    first, word = False, FNV_START
                    if data[i] == 62 or data[i] == 60:
                        break
                i += 1
        out[row] = found


@functools.cache
def _table() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """(hashes, bits) of the names of tags and then of the words."""
    hashes = []
    for word in (*_TAGS, *_WORDS):
        value = int(FNV_START)
        for byte in word.encode():
            value = (value ^ byte) * int(FNV_PRIME) % (1 << 64)
        hashes.append(value)
    return np.array(hashes, np.uint64), np.array([*_TAGS.values(), *_WORDS.values()], np.uint8)


def find_marks(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The bits of each page, uint8[pages]; page i is data[offsets[i]:offsets[i + 1]], in any charset in which ASCII is ASCII."""
    out = np.zeros(len(offsets) - 1, np.uint8)
    hashes, bits = _table()
    _find(data, offsets, hashes, bits, len(_TAGS), out)
    return out


def box_tags(page: bytes) -> npt.NDArray[np.int64]:
    """Where the tags of a page that may be boxes begin and end, int64[tags, 2], rising, each with the text before it."""
    data = np.frombuffer(page, np.uint8)
    bounds = read_only(np.concatenate([[0], np.flatnonzero(data == 62) + 1, [len(data)]]).astype(np.int64))  # behind each `>`
    rows = np.flatnonzero(find_marks(data, bounds) & BOX)
    return np.stack([bounds[rows], bounds[rows + 1]], axis=1)
