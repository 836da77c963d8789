"""Raw results as the study of known power writes them, drawn from normal distributions."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from studies.leakage_power_figures import SeedScores
from studies.leakage_power_runs import Raw

from skyloom.leakage.suspect import ItemScores

SHARDS = 20


def seed_scores(seed: int, *, items: int = 600, drop: float = 0.0, style: float = 0.3) -> SeedScores:
    """A seed whose planted items cost `drop` nats per token less at each copy, up to three; the published set costs `style` more."""
    rng, raw = np.random.default_rng(seed), Raw()
    for lang, count in (("en", items), ("zh", 600)):
        own = rng.normal(3, 0.3, count)
        twin = rng.normal(3, 0.3, 300)
        for copies in (0, 1, 3, 10):
            many = count if copies in (0, 10) else 600
            planted = 0 if copies == 0 else 100 if copies == 10 else 300
            losses = own[:many] + rng.normal(0, 0.03, many)
            losses[:planted] -= drop * min(copies, 3)
            _keep(raw, f"{copies}.{lang}", losses, np.arange(many))
            _keep(raw, f"{copies}.{lang}-twins", twin, np.arange(300))
            raw[f"{copies}.planted.{lang}"] = np.array([planted], np.int64)
            orders = rng.normal(500, 5, (SHARDS, 6))
            orders[:, 0] -= 10 * drop * copies
            orders[0, 2:] = np.nan
            raw[f"{copies}.order.{lang}"], raw[f"{copies}.order-items.{lang}"] = orders, np.array([100], np.int64)
    _keep(raw, "0.published", rng.normal(3 + style, 0.3, 300), np.arange(300))
    return SeedScores("0.9M", seed, raw)


def _keep(raw: Raw, name: str, losses: np.ndarray[tuple[int], np.dtype[np.float64]], items: np.ndarray) -> None:
    tokens = np.full(len(losses), 100)
    columns = {"nats": losses * tokens, "tokens": tokens, "bytes": 4 * tokens, "zlib": 2 * tokens, "greedy_from": tokens}
    columns |= {"min_k": -2 * losses, "min_k_plus": 3 - losses}
    for one in fields(ItemScores):
        raw[f"{name}.{one.name}"] = columns[one.name]
    raw[f"{name}.item"] = items
