"""Prompts of both languages from a release's held-out documents, on which other programs are compared with our decoder."""

from __future__ import annotations

import numpy as np

from skyloom.core.store import Store
from skyloom.release.corpus_shards import documents

SEED = 3


def prompts(release: Store, number: int, context: int) -> list[str]:
    """Beginnings of held-out documents, of both languages in turn, at most half a context of bytes long."""
    rng = np.random.default_rng(SEED)
    found: dict[str, list[str]] = {"en": [], "zh": []}
    for _, document in documents(release, "valid"):
        lang = document["lang"][:2]
        if lang in found and len(document["text"]) > 20:
            text = document["text"].encode()[: context // 2].decode("utf-8", "ignore")
            found[lang].append(text[: int(rng.integers(4, max(len(text), 5)))])
    while min(map(len, found.values())) * 2 < number:  # a small release: the same documents, cut elsewhere
        for texts in found.values():
            texts += [text[: max(len(text) - 1, 2)] for text in texts]
    return [text for pair in zip(found["en"], found["zh"], strict=False) for text in pair][:number]
