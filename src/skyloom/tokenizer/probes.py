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
