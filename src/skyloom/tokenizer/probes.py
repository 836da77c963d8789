"""Fuzz texts for comparing tokenizers: any number of strings from a tokenizer's pieces and a seed, the same on every call.

Formats are compared and round trips are proved on these: pieces of the vocabulary side by side (which is where merges
compete), Chinese and English prose, leading and double spaces, line ends, full-width and half-width forms, emoji with
joiners and flags, combining marks, control characters, bytes that only look like special tokens, characters of other
scripts and lone surrogates. A lone surrogate is no character and no library takes it: it is U+FFFD here as everywhere in
this package.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from skyloom.tokenizer.pieces import SPACE, without_surrogates

ENGLISH = (
    "The engine of a small ship needs no more care than this: clean fuel, clean oil, and someone who listens. "
    'If it knocks, stop. "Why?" asked the boy -- it\'s simple: (a) heat, (b) wear; e.g. 12.5% in 1998, or $3,400.75.'
)
CHINESE = (
    "小船的发动机并不需要太多照料：干净的燃油、干净的机油，再加上一个愿意听它说话的人。如果听到敲击声，就停下来。"
    "“为什么？”孩子问——“很简单：①发热，②磨损；例如１９９８年的12.5％，或者￥3,400.75元。”人民代表大会制度，因地制宜。"
)
CODE = 'def f(x, *, n=10):\n    """Doc."""\n\tif x != n and a[0] >= -1e-9:  # 注释\n        return {"key": f"{x:>8}"}\n\n\n'
HARD = (
    " ", "  ", "   ", " " * 17, "\n", "\n\n", "\n\n\n", "\t", "\t\t", "\r\n", "\u3000", "\u00a0", "\u2028", "\ufeff", "\u200b",
    "\u200d", "\x00", "\x07", "\x1b[0m", "\x7f", "\u0085", "\u2581", "0", "42", "３", "１２", "²", "½", "Ⅳ", "٣",
    "，", "。", "“", "”", "（", "！", "……", "——", "《》", "「", "」", "Ａｂ", "ｶﾞ", "é", "e\u0301", "ñ", "ạ̈", "n\u0303\u0323",
    "🙂", "👩\u200d👩\u200d👧", "🇨🇳", "🏳️\u200d🌈", "1️⃣", "ﷺ", "龘", "𠮷", "〇", "한국", "ひらがな", "Привет", "مرحبا", "ไทย",
    "हिन्दी", "<0x0A>", "< s >", "|>", "---", "====", "aaaa", "aaaaa", "ㅋㅋㅋ", "哈哈哈哈", "http://例子.cn/?q=测试&p=1",
    "\ufffd", "\U0010ffff", "\ue000", "\ud800", "\udc00x", "中\ud83d",
)  # fmt: skip


def probes(pieces: Sequence[str], number: int, seed: int = 1) -> list[str]:
    """`number` strings of up to 24 parts. `pieces`: of the vocabulary, as the model writes them."""
    draw = random.Random(seed)
    own = [p.replace(SPACE, " ") for p in pieces]
    prose = (ENGLISH, CHINESE, CODE)

    def part() -> str:
        kind = draw.random()
        if kind < 0.45 and own:
            return draw.choice(own)
        if kind < 0.65:
            line = draw.choice(prose)
            start = draw.randrange(len(line))
            return line[start : start + draw.randint(1, 30)]
        if kind < 0.97:
            return without_surrogates(draw.choice(HARD))
        return without_surrogates(chr(draw.randrange(0x110000)))

    return ["".join(part() for _ in range(draw.randint(0, 24))) for _ in range(number)]


_NEIGHBOURS = (
    (0x3000, 0x30FF), (0x3100, 0x33FF), (0x4DC0, 0x4DFF), (0xA000, 0xA4CF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF8F0, 0xF8FF),
    (0xFB00, 0xFB06), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF), (0x1F300, 0x1FAFF), (0x1FF00, 0x1FFFF), (0x40000, 0x400FF),
    (0x2E80, 0x2FDF),
)  # fmt: skip
"""Code points whose bytes begin as those of Han characters do: kana, CJK punctuation, hexagrams, Yi, hangul, full-width forms, …"""


def neighbours(number: int, seed: int = 1) -> list[str]:
    """`number` strings of up to 40 characters whose bytes begin as Han characters' do, some Han, some words between them."""
    draw = random.Random(seed)

    def part() -> str:
        kind = draw.random()
        if kind < 0.7:
            low, high = draw.choice(_NEIGHBOURS)
            return chr(draw.randint(low, high))
        if kind < 0.8:
            return chr(
                draw.choice((0x4E00, 0x9FFF, 0x3400, 0x4DBF, 0xF900, 0xFAFF, 0x20000, 0x2FFFF, draw.randint(0x4E00, 0x9FFF)))
            )
        return draw.choice(("a", " the", "。", "\n", "7", "é", without_surrogates(draw.choice(HARD))))

    return ["".join(part() for _ in range(draw.randint(1, 40))) for _ in range(number)]
