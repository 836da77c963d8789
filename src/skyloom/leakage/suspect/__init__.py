"""Whether a model was trained on a benchmark: any model, with what the verdict rests on (report 5.2, Table 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.leakage.suspect.benchmark_sets import BenchmarkItem, BenchmarkSet, read_benchmark
    from skyloom.leakage.suspect.blind import Auc, BlindBaseline, blind_baseline
else:
    __getattr__ = lazy(__name__, {
        "benchmark_sets": ("BenchmarkItem", "BenchmarkSet", "read_benchmark",),
        "blind": ("Auc", "BlindBaseline", "blind_baseline",),
    })  # fmt: skip

__all__ = ["Auc", "BenchmarkItem", "BenchmarkSet", "BlindBaseline", "blind_baseline", "read_benchmark"]
