"""Frequent words that tell English from the languages that share its script.

Output: a hash table of words for the compiled count in language.py. The lists are closed classes: articles, prepositions,
pronouns, conjunctions, auxiliary verbs; written down from any grammar, not from a corpus. A word that two sides share ("in",
"die", "a", "no") is in neither list. Words of program text ("return", "class") are English words too.

Memory: 16 KB.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import FNV_PRIME, FNV_START

ENGLISH = (
    "the and that with for this from are have which you not by be it they their would there will when what been has were "
    "can its your his she her but these than other into about should any how also if then each only such may must could do "
    "does did we our because before after between through where while some more most very being both those here using used "
    "use see of to is at who he him them said up out over under again all one two first new return class function import "
    "string value file else true false null name type public static void int const default list click page example "
    "following"
)
OTHERS = {
    "de": (
        "der das und ist nicht mit von für auf ein eine einen einem einer dem den des zu sich wird werden oder auch bei nach "
        "wenn kann sind durch über wie als im zum zur aus es sie ich nur noch diese dieser dieses können haben hat wurde"
    ),
    "fr": (
        "le les la des une est et dans pour que qui sur pas avec du au aux ce cette vous par plus sont être il elle nous leur "
        "ou où sans ses son sa votre ces fait peut comme si mais cela dont"
    ),
    "es": (
        "el los las del una con se es como su más pero esta este para por lo al que sus puede cuando muy también entre desde "
        "hasta todo ser han hay fue sobre o y"
    ),
    "it": ("il di che della delle dei del una sono con gli più anche questo questa nella alla dalla essere può si è le ed ma lo"),
    "pt": ("não uma para com os dos das que em por como mais ao seu sua você são foi também pode ser está um na nos pelo pela"),
    "nl": (
        "het een van de en dat niet met voor zijn op te aan ook wordt worden naar bij uit deze maar kan om je als of door heeft"
    ),
    "scandinavian": (
        "och att det som för är på av inte till med den ett jag eller kan ikke og på af til der ikke med fra har vil skal være "
        "blir blev ble"
    ),
    "slavic": (
        "się nie jest na że do od przez oraz dla jako by które která který jsou není je to se v ve za po při sa som nije su za "
        "kako koji ili što od do su kao bir ve bu için ile olarak"
    ),
    "other": (
        "ja on ei että se oli ovat hän mutta kun myös egy és az hogy nem van ez meg yang dan untuk dengan dari ini itu tidak "
        "adalah pada dalam akan và của các là có không được cho trong și este în cu pe nu sunt din la care pentru o ir tai "
        "kad yra par kas ka ei ning mis kuid ng mga sa ang kwa ni et cum est non sed per"
    ),
}
TABLE_BITS = 12
ENGLISH_WORD, OTHER_WORD = 1, 2
_START, _PRIME, _MASK = int(FNV_START), int(FNV_PRIME), 2**64 - 1


def word_hash(word: str) -> int:
    """FNV-1a over the UTF-8 bytes, as the compiled count computes it; never 0, which marks an empty slot."""
    state = _START
    for byte in word.encode("utf-8"):
        state = (state ^ byte) * _PRIME & _MASK
    return state | 1


@functools.cache
def word_table() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """An open hash table: keys uint64[4096], 0 where empty, and the side of each key uint8[4096]."""
    english, others = set(ENGLISH.split()), {w for words in OTHERS.values() for w in words.split()}
    keys, sides = np.zeros(1 << TABLE_BITS, np.uint64), np.zeros(1 << TABLE_BITS, np.uint8)
    for side, words in ((ENGLISH_WORD, english - others), (OTHER_WORD, others - english)):
        for word in sorted(words):
            slot = word_hash(word) >> (64 - TABLE_BITS)
            while keys[slot]:
                slot = (slot + 1) % len(keys)
            keys[slot], sides[slot] = word_hash(word), side
    return keys, sides
