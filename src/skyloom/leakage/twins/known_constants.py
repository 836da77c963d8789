"""Numbers that a solution may hold although the question does not write them in digits: 2 of "half", 7 of "a week", 100 of "%".

Input: a question. Output: which values its words explain. A number of the question that equals one of them cannot be told from it
in the solution, and therefore stays as it is. English and Chinese.
"""

from __future__ import annotations

import re
from fractions import Fraction

_F = Fraction
_COUNT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty"
).split()
_TENS = {w: 10 * n for n, w in enumerate("thirty forty fifty sixty seventy eighty ninety".split(), 3)}
_ORDINALS = {w: n for n, w in enumerate("third fourth fifth sixth seventh eighth ninth tenth".split(), 3)}
_HAN = {c: n for n, c in enumerate("零一二三四五六七八九十")} | {"两": 2, "双": 2, "俩": 2, "百": 100, "千": 1000, "半": 2}

WRITTEN: dict[str, tuple[Fraction, ...]] = (
    {w: (_F(n),) for n, w in enumerate(_COUNT)}
    | {w: (_F(n),) for w, n in _TENS.items()}
    | {w: (_F(n), _F(1, n), _F(2, n), _F(n - 1, n), _F(n - 1)) for w, n in _ORDINALS.items()}
    | {
        "half": (_F(2), _F(1, 2), _F(3, 2)),
        "halves": (_F(2), _F(1, 2)),
        "halved": (_F(2), _F(1, 2)),
        "twice": (_F(2),),
        "double": (_F(2),),
        "doubles": (_F(2),),
        "doubled": (_F(2),),
        "both": (_F(2),),
        "pair": (_F(2),),
        "pairs": (_F(2),),
        "couple": (_F(2),),
        "second": (_F(2),),
        "thrice": (_F(3),),
        "triple": (_F(3),),
        "triples": (_F(3),),
        "tripled": (_F(3),),
        "thirds": (_F(3), _F(1, 3), _F(2, 3)),
        "quarter": (_F(4), _F(1, 4), _F(3, 4), _F(25)),
        "quarters": (_F(4), _F(1, 4), _F(3, 4), _F(25)),
        "quadruple": (_F(4),),
        "dozen": (_F(12), _F(6)),
        "dozens": (_F(12),),
        "hundred": (_F(100),),
        "thousand": (_F(1000),),
        "million": (_F(10**6),),
        "round trip": (_F(2),),
    }
)
"""What a word says by itself."""

IMPLIED: dict[str, tuple[int | Fraction, ...]] = {
    r"weeks?|weekly": (7, 52, 4),
    r"weekends?": (2,),
    r"weekdays?": (5,),
    r"days?|daily": (7, 24, 30, 31, 365),
    r"hours?|hourly|hrs?": (60, 24, 3600),
    r"minutes?|mins?": (60,),
    r"seconds?": (60, 3600),
    r"years?|yearly|annual(?:ly)?|ages?|aged": (12, 52, 365),
    r"months?|monthly": (12, 30, 4),
    r"feet|foot|inch|inches": (12,),
    r"yards?": (3, 36),
    r"miles?": (5280,),
    r"pounds?|ounces?": (16,),
    r"gallons?|quarts?|pints?": (4, 8, 2, 128, 16),
    r"cents?|penny|pennies|dollars?|\$": (100, _F(1, 100)),
    r"dimes?": (10, _F(1, 10)),
    r"nickels?": (5, _F(1, 20)),
    r"quarters?": (25, _F(1, 4)),
    r"meters?|metres?|centimeters?|cm|km|kilometers?|grams?|kg|kilograms?|lit(?:er|re)s?|ml|milliliters?": (100, 1000),
    r"percent(?:age)?|per cent|%": (100, _F(1, 100)),
    r"decades?": (10,),
    r"century|centuries": (100,),
    r"squares?|rectangles?|rectangular|perimeter": (4, 2),
    r"triang\w*": (3,),
    r"bicycles?|bikes?": (2,),
    r"tricycles?": (3,),
    r"cars?|dogs?|cats?|cows?|horses?|legs?|tires?|wheels?": (4, 2),
}
"""What a word may bring into a solution."""

IMPLIED_HAN: dict[str, tuple[int | Fraction, ...]] = {
    "周|星期|礼拜": (7, 52, 5), "天|日": (7, 24, 30, 31, 365), "小时|时": (60, 24, 3600), "分": (60, 100, 10), "秒": (60, 3600),
    "年|岁": (12, 365, 52), "月": (12, 30, 4), "百分|%|％|折": (100, _F(1, 100), 10), "打": (12,), "元|角": (10, 100),
    "米|克|升|吨": (10, 100, 1000, 10000), "正方|长方|周长|方": (4, 2), "三角": (3, 2), "倍|来回|往返|相遇|两": (2,),
    "公顷|亩": (10000,),
}  # fmt: skip

_ENGLISH_WRITTEN = re.compile(rf"\b({'|'.join(sorted(WRITTEN, key=len, reverse=True))})\b", re.IGNORECASE)


def written_constants(question: str) -> frozenset[Fraction]:
    """What the question says in words: 3 of "three", 2 and 1/2 of "half"."""
    found = {value for match in _ENGLISH_WRITTEN.finditer(question) for value in WRITTEN[match.group().lower()]}
    found |= {_F(number) for sign, number in _HAN.items() if sign in question}
    if "半" in question:
        found.add(_F(1, 2))
    return frozenset(found | {_F(1)})


def counts_in_words(solution: str) -> frozenset[Fraction]:
    """The numbers that a text counts in words, from two on: 15 of "fifteen" and "Fifteen", 2 of 两."""
    names = {w: n for n, w in enumerate(_COUNT)} | _TENS
    found = {names[w] for w in re.findall(r"[a-z]+", solution.lower()) if w in names}
    found |= {number for sign, number in _HAN.items() if re.search(rf"{sign}(?=[个只条本支张块件人名位天次倍元年])", solution)}
    return frozenset(_F(n) for n in found if n > 1)


def implied_constants(question: str) -> frozenset[Fraction]:
    """What its units and things may bring in: 60 of "minutes", 7 of "a week"."""
    found: set[Fraction] = set()
    for pattern, values in IMPLIED.items():
        if re.search(rf"(?<![A-Za-z])(?:{pattern})(?![A-Za-z])", question, re.IGNORECASE):
            found |= {_F(v) for v in values}
    for pattern, values in IMPLIED_HAN.items():
        if re.search(pattern, question):
            found |= {_F(v) for v in values}
    return frozenset(found)
