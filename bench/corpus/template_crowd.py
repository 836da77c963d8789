"""A corpus like the web's: real prose, and thousands of templates of all sizes, the largest two in a hundred blocks.

Input: paragraphs of real prose in both languages. Output: documents of one block each, with the number of their template. Sizes
follow a power law (the k-th template has 1/k^.8 of the largest), as copies on the web do; the text of a template is a real
paragraph of prose that is in no other part of the mix, and each of its copies has a part of its units exchanged for units of
other paragraphs, at places that the template fixes, so that templates are about whatever the prose is about.

What is to be expected of topic entropy, the bits of blocks' shares over clusters of other prose: a large template fills one or two
clusters, the many small ones lie on all of them about as evenly as paragraphs drawn one by one. A filter that finds the large
ones first takes crowded clusters down and raises entropy a little. One that found all of them would leave the prose alone, whose
entropy is lower here, because blocks of one file resemble each other: so a better filter need not have the higher figure, which
says how even a corpus is, and not how clean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

GROUPS, LARGEST, LEAST, FALL = 2000, 0.02, 20, 0.8
EXCHANGED = 0.15
_UNIT = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


def sizes(prose: int, groups: int = GROUPS, largest: float = LARGEST) -> list[int]:
    """How many copies each template has, so that the first has `largest` of all blocks, prose included."""
    most = 1.0
    for _ in range(60):  # the largest is a share of a whole that grows with it
        found = [max(LEAST, round(most / (k + 1) ** FALL)) for k in range(groups)]
        most = largest * (prose + sum(found))
    return found


def copies(text: str, count: int, pool: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """`count` variants of a paragraph: the same places of it hold other units each time."""
    places = [m.span() for m in _UNIT.finditer(text)]
    chosen = sorted(rng.choice(len(places), max(1, int(len(places) * EXCHANGED)), replace=False).tolist())
    for _ in range(count):
        at, parts = 0, []
        for place in chosen:
            start, end = places[place]
            parts += [text[at:start], pool[int(rng.integers(len(pool)))]]
            at = end
        yield "".join([*parts, text[at:]])


def crowd(texts: Sequence[str], prose: int, seed: int, groups: int = GROUPS) -> Iterator[tuple[int, str]]:
    """(template, block) of all copies. `texts`: paragraphs of one language; `prose`: how many blocks of prose stand beside them."""
    rng = np.random.default_rng(seed)
    long = [text for text in texts if 20 <= sum(1 for _ in _UNIT.finditer(text)) <= 120]
    if len(long) < groups:
        raise ValueError(f"{len(long)} paragraphs of 20 to 120 units are too few for {groups} templates")
    pool = [m[0] for text in texts[:2000] for m in _UNIT.finditer(text)]
    order = rng.permutation(len(long))[:groups]
    for number, (place, count) in enumerate(zip(order.tolist(), sizes(prose, groups), strict=True)):
        for text in copies(long[place], count, pool, rng):
            yield number, text
