"""leak.json objects for tests of the page, put together here: each verdict, with and without a family, and hostile texts."""

from __future__ import annotations

import random
from typing import Any

HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>\x00\ud800"\'&{{ 7*7 }}'
WORDS = ("leaked", "train split overfitted", "no sign", "cannot tell")
SENTENCES = {
    "leaked": ("The benchmark reads easier than its held-back twin split by 0.172 nats per token.", "基准比保留的同源划分每词元容易 0.172 纳特。"),
    "train split overfitted": ("The train split reads easier than unseen items.", "训练集比未见过的题目更容易读。"),
    "no sign": ("No gap counts; a leak of 12 % of the items would have been seen four times in five.", "没有有效的差距；若有 12 % 的题目泄漏，五次中有四次能发现。"),
    "cannot tell": ("The reference set is in another style (AUC .997), and no family was given.", "参考集的文体不同（AUC 0.997），又没有给出同族模型。"),
}  # fmt: skip


def items_set(name: str, items: int, *, left: int = 0) -> dict[str, Any]:
    return {
        "name": name, "path": f"数据/{name}.jsonl.gz", "sha256": "0123456789abcdef" * 4, "items": items, "used": items - left,
        "left_out": [{"id": f"{name}-{k}", "reason": "longer than the context"} for k in range(left)],
        "langs": {"en": items - left - 40, "zh": 40}, "tokens": 120 * (items - left), "bytes": 400 * (items - left),
    }  # fmt: skip


def detector(name: str, other: str, unit: str, value: float | None, wide: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "set": other, "value": value, "low": None if value is None else value - wide,
        "high": None if value is None else value + wide, "unit": unit, "p": 0.31, "adjusted": None, "counts": False, "flagged": False,
        "why": "the sets differ in style, so this gap does not count", "needs": "one pass over both sets", "tokens": 52_300,
        "power": {"items": 300, "share_seen": 0.12, "source": "docs/7-leakage.md"},
    } | more  # fmt: skip


def family(rng: random.Random, *, inside: bool = True) -> dict[str, Any]:
    models = []
    for k in range(9):
        ability = 0.7 + 0.08 * k
        models.append(
            {"model": f"Clean-{k}-1.5B", "lineage": f"clean{k}", "released": f"2021-0{k + 1}-01", "ability": ability, "gap": 0.05 + 0.3 * ability + rng.gauss(0, 0.012)}
        )  # fmt: skip
    return {
        "models": models, "suspect": {"ability": 0.9 if inside else 0.3, "gap": 0.21 if inside else 0.01}, "slope": 0.3, "intercept": 0.05,
        "residual": -0.11, "low": -0.15, "high": -0.07, "p": 0.0004, "inside": inside, "why": "nine lineages, released before the benchmark",
    }  # fmt: skip


def leak(word: str = "leaked", *, with_family: bool = True, hostile: str = "", seed: int = 1) -> dict[str, Any]:
    """A whole leak.json of that verdict. With `hostile` that text stands wherever a text can stand."""
    rng, strange, counts = random.Random(seed), hostile, word != "cannot tell"
    hit = {"leaked": "delta1", "train split overfitted": "delta2"}.get(word)
    detectors = [
        detector("delta1", "reference", "nats/token", -0.172 if word == "leaked" else -0.011, 0.082, counts=counts, flagged=hit == "delta1", p=0.00002, adjusted=0.0001),
        detector("delta2", "train", "nats/token", 0.14 if hit == "delta2" else 0.02, 0.06, counts=counts, flagged=hit == "delta2", p=0.04, adjusted=0.08),
        detector("twins", "twins", "nats/item", -0.016, 0.022),
        detector("min_k", "reference", "auc", 0.61, 0.04, counts=counts),
        detector("min_k_plus", "reference", "auc", 0.66, 0.03, counts=counts, flagged=word == "leaked"),
        detector("zlib", "reference", "auc", 0.44, 0.05),
        detector("item_order", "benchmark", "nats/token", None, 0.0, p=0.4, power={"items": 300, "share_seen": None, "source": ""}),
        detector("completion", "benchmark", "share", 0.01, 0.02),
    ]  # fmt: skip
    if with_family:
        detectors.append(detector("family", "reference", "bits/byte", -0.11, 0.04, counts=True, flagged=word == "leaked", p=0.0004))
    easiest = [
        {"id": strange or f"gsm8k/{k}", "lang": "zh" if k % 2 else "en", "bits_per_byte": 0.1 + 0.02 * k, "family_bits_per_byte": 0.6 if with_family else None,
         "difference": -0.5 + 0.02 * k if with_family else None, "text": strange or (f"小明有{k}个苹果，SECRET-{k}？" if k % 2 else f"Tom has {k} apples, SECRET-{k}?")}
        for k in range(25)
    ]  # fmt: skip
    both = {"en": strange or SENTENCES[word][0], "zh": strange or SENTENCES[word][1]}
    assumption = {"en": strange or "The family has not read the benchmark.", "zh": strange or "同族模型没有读过基准。"}
    return {
        "format": 1, "command": strange or "skyloom leak model ./TinyLlama --benchmark gsm8k.jsonl.gz --train train.jsonl.gz --reference 'ref set.jsonl'",
        "versions": {"skyloom": "0.1", "torch": strange or "2.9"}, "date": None if seed % 2 else "2026-11-29",
        "model": {"model": strange or "TinyLlama-1.1B-intermediate-step-1431k-3T", "path": strange or "x"},
        "sets": {
            "benchmark": items_set(strange or "gsm8k-test", 300, left=8), "train": items_set("gsm8k-train", 300),
            "reference": items_set(strange or "模拟参考集", 300), "twins": None,
        },
        "declared": {"exchangeable": "reference" if counts else None, "sentence": strange or ("Held back by lot." if counts else "")},
        "blind": [
            {"set": "train", "words": {"auc": 0.5, "low": 0.48, "high": 0.52}, "length": {"auc": 0.51, "low": 0.48, "high": 0.54}, "n": 300, "vetoes": False},
            {"set": "reference", "words": {"auc": 0.997, "low": 0.995, "high": 0.999}, "length": {"auc": 0.62, "low": 0.58, "high": 0.66}, "n": 300, "vetoes": not counts},
        ],
        "detectors": detectors, "family": family(rng) if with_family else None, "easiest": easiest,
        "verdict": {
            "word": word, "sentence": both, "reasons": [both, assumption],
            "gap": {"detector": hit, "value": -0.172, "low": -0.255, "high": -0.09} if hit else None, "share_seen": 0.12 if word == "no sign" else None,
        },
        "assumptions": [assumption] * 3, "would_change": [{"en": strange or "A family of eight lineages.", "zh": strange or "八个谱系的同族模型。"}],
        "budget": {"seconds": 300.0, "tokens_per_s": 245.0, "items": 300},
    }  # fmt: skip
