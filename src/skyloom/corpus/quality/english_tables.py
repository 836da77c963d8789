"""Tables for `english.py`: what each code point is, which chunks stay whole or are cut at given places, units of measure.

Output: numpy tables that the compiled splitter looks things up in; they are built once in each process (0.5 s, 2 MB). The
conventions are those of spaCy's English tokenizer, written down anew: marks, quotes and currencies, American states and months,
titles, contractions with and without their apostrophe.
"""

from __future__ import annotations

import functools
import sys
import unicodedata

import numpy as np
import numpy.typing as npt

from skyloom.core.code_points import made_once
from skyloom.core.kernels import FNV_START, Hashes, Int, fnv, kernel, mix

SPACE, ALPHA, LOWER, UPPER, DIGIT, PREFIX, SUFFIX, QUOTE = (1 << k for k in range(8))
LETTERS, WORDY = 1, 2  # flags of words: has a letter; is not symbols alone
BEFORE_DOT, ICON, CURRENCY, SYMBOL, STOP, PUNCTUATION, BREAK, HOST = (1 << k for k in range(8, 16))

_MARKS = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
_QUOTES = "'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉⟦⟧"
_CURRENCIES = "$£€¥฿₽﷼₴" + "".join(map(chr, range(0x20A0, 0x20C0)))
_STOPS = ".!?。？！．｡‼‽⁇⁈⁉؟۔।॥։።፧፨။﹒﹖﹗⸮܀܁܂"
_SYMBOLS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~—”：％１〈━【「」，】；“„’∶´．（–？！～«〉、》）。…《►»" + _STOPS
_UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh mph hPa Pa mbar mb MB "
    "kb KB gb GB tb TB T G M K %"
)
_ABBREVIATIONS = (
    "Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun. Kan. Kans. Ky. La. "
    "Mar. Mass. Mich. Minn. Miss. Mt. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. S.C. Sep. Sept. Tenn. "
    "Va. Wash. Wis. a.m. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G. Gen. Gov. i.e. I.e. I.E. Inc. Jr. Ltd. Md. Messrs. Mo. "
    "Mont. Mr. Mrs. Ms. p.m. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s. C++ and/or w/o ma'am Ma'am o'clock O'clock 'em 'nuff 'cause "
    "'Cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout 's 'S 'd 're 'll ' '' :) :-) :)) :( :-( ;) ;-) :D :-D :P :-P :p :/ :o :O :| :* =) "
    '=( =D 8) 8-) xD XD <3 ^_^ -_- o.O O.O T_T :3 :0 :1 :x :X </3 (: (; ): \\t \\n \\") <space>'
)
_CLIPPED = "doin goin nothin nuthin ol somethin lovin havin".split()
_PRONOUNS = "i you he she it we they".split()
_QUESTIONS = "who what when where why how there that this these those".split()
_MODALS = "could might must should would not".split()
_NEGATED = "ca could do does did had may might must need ought sha should wo would ai are is was were have has dare".split()
_WHOLE = "ill its hell shell shed were well whore".split()  # contractions without an apostrophe that are words


@made_once
def classes() -> npt.NDArray[np.uint16]:
    """What each code point is, as bits; uint16[0x110000]."""
    table = np.zeros(0x110000, np.uint16)
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        category = unicodedata.category(character)
        bits = SPACE if character.isspace() else 0
        if category[0] == "L":
            bits |= ALPHA | (UPPER if category != "Ll" else 0) | (LOWER if category not in ("Lu", "Lt") else 0)
        if category == "So":
            bits |= ICON | PREFIX | SUFFIX
        if category[0] == "P":
            bits |= PUNCTUATION
        if category == "Cc" and point not in (9, 10, 32):
            bits |= SYMBOL
        if 0xA1 <= point <= 0xFFFF:
            bits |= HOST
        table[point] = bits
    _set(table, "0123456789", DIGIT | BEFORE_DOT)
    _set(table, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", HOST)
    _set(table, _MARKS, PREFIX | SUFFIX | BEFORE_DOT)
    _set(table, _QUOTES, PREFIX | SUFFIX | QUOTE | BEFORE_DOT)
    _set(table, "§%=—–", PREFIX)
    _set(table, "—–", SUFFIX)
    _set(table, "%²-+", BEFORE_DOT)
    _set(table, _CURRENCIES, PREFIX | CURRENCY)
    _set(table, _SYMBOLS, SYMBOL)
    _set(table, _STOPS, STOP)
    _set(table, "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", BREAK)
    table[(table & LOWER) > 0] |= BEFORE_DOT
    return table


Book = tuple[npt.NDArray[np.uint16], Hashes, Hashes, Hashes]
"""Classes, exceptions, their sieve, units of measure; see `book`."""


@functools.cache
def book() -> Book:
    """What `split_words` looks up: classes, exceptions, a sieve of 2^15 bits for these, units of measure."""
    special = exceptions()
    sieve = np.zeros(512, np.uint64)
    for key in special[special[:, 0] != 0, 0].tolist():
        sieve[(key >> 6) & 511] |= np.uint64(1 << (key & 63))
    return classes(), special, sieve, unit_names()


@functools.cache
def exceptions() -> npt.NDArray[np.uint64]:
    """Chunks that stay whole or are cut at given places: an open hash table, uint64[4096, 2] of hash and cuts (4 bits each)."""
    table = np.zeros((4096, 2), np.uint64)
    for text, cuts in _exceptions().items():
        _enter(table, text, sum(cut << (4 * k) for k, cut in enumerate(cuts)))
    return table


@functools.cache
def unit_names() -> npt.NDArray[np.uint64]:
    """Units of measure that are cut off a number: an open hash table like that of `exceptions`."""
    table = np.zeros((256, 2), np.uint64)
    for text in _UNITS.split():
        _enter(table, text, 0)
    return table


def _set(table: npt.NDArray[np.uint16], characters: str, bits: int) -> None:
    for character in characters:
        table[ord(character)] |= bits


def _enter(table: npt.NDArray[np.uint64], text: str, value: int) -> None:
    key = np.uint64(hash_points(np.array([ord(c) for c in text], np.uint32), 0, len(text)))
    slot = int(key) & (len(table) - 1)
    while table[slot, 0] not in (0, key):
        slot = (slot + 1) & (len(table) - 1)
    table[slot] = key, value


def _exceptions() -> dict[str, tuple[int, ...]]:
    """Each exception with the places where it is cut."""
    found: dict[str, tuple[int, ...]] = dict.fromkeys(_ABBREVIATIONS.split(), ())
    found |= {letter + ".": () for letter in "abcdefghijklmnopqrstuvwxyzäöü"}
    found |= {word + end: () for word in _CLIPPED for end in ("", "'")}
    found |= {"y'all": (2,), "yall": (1,), "cannot": (3,), "gonna": (3,), "gotta": (3,), "let's": (3,), "c'mon": (3,)}
    plural = [q for q in _QUESTIONS if q not in ("that", "this")]
    endings = {
        "ll": [*_PRONOUNS, *_QUESTIONS],
        "d": [*_PRONOUNS, *_QUESTIONS],
        "ve": ["i", "you", "we", "they", *plural, *_MODALS],
        "m": ["i"],
        "re": ["you", "we", "they", *plural],
        "s": ["he", "she", "it", *(q for q in _QUESTIONS if q not in ("these", "those"))],
    }
    for ending, words in endings.items():
        for word in words:
            found |= {word + "'" + ending: (len(word),), word + ending: (len(word),)}
            if ending in ("ll", "d"):
                found[f"{word}'{ending}'ve"] = (len(word), len(word) + len(ending) + 1)
    for word in _NEGATED:
        found |= {word + "n't": (len(word),), word + "nt": (len(word),), word + "n't've": (len(word), len(word) + 3)}
    found |= {text.capitalize(): cuts for text, cuts in found.items() if cuts}
    found |= {f"{hour}{half}": (len(str(hour)),) for hour in range(1, 13) for half in ("am", "pm", "a.m.", "p.m.")}
    for text in _WHOLE:
        found.pop(text, None)
        found.pop(text.capitalize(), None)
    return found | {text.replace("'", "’"): cuts for text, cuts in found.items()}


@kernel
def hash_points(points: npt.NDArray[np.uint32], start: Int, stop: Int) -> np.uint64:
    """64-bit hash of points[start:stop]."""
    state = FNV_START
    for k in range(start, stop):
        state = fnv(state, points[k])
    return mix(state)
