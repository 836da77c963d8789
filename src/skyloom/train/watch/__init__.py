"""Watching a training: held-out losses, journals, alarms, telemetry and trackers (report 2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.train.watch.alarms import ALARMS, ALL, REPEATS, Alarms
    from skyloom.train.watch.energy import measured
    from skyloom.train.watch.journal import (
        HELDOUT,
        METRICS,
        SCORES,
        SKIPS,
        SPEED,
        HeldOutLine,
        Journal,
        MetricsLine,
        Score,
        Seal,
        SkipLine,
    )
    from skyloom.train.watch.live import JOURNAL, LIVE
    from skyloom.train.watch.monitor import BATCH_TOKENS, HeldOutSet, Monitor, Scores, heldout_line, score_line, watched
    from skyloom.train.watch.peak import peak_flops
    from skyloom.train.watch.telemetry import EVERY, Telemetry
    from skyloom.train.watch.trackers import check_trackers
else:
    __getattr__ = lazy(__name__, {
        "alarms": ("ALARMS", "ALL", "Alarms", "REPEATS",),
        "energy": ("measured",),
        "journal": ("HELDOUT", "HeldOutLine", "Journal", "METRICS", "MetricsLine", "SCORES", "SKIPS", "SPEED", "Score",
            "Seal", "SkipLine",),
        "live": ("JOURNAL", "LIVE",),
        "monitor": ("BATCH_TOKENS", "HeldOutSet", "Monitor", "Scores", "heldout_line", "score_line", "watched",),
        "peak": ("peak_flops",),
        "telemetry": ("EVERY", "Telemetry",),
        "trackers": ("check_trackers",),
    })  # fmt: skip

__all__ = [
    "ALARMS",
    "ALL",
    "BATCH_TOKENS",
    "EVERY",
    "HELDOUT",
    "JOURNAL",
    "LIVE",
    "METRICS",
    "REPEATS",
    "SCORES",
    "SKIPS",
    "SPEED",
    "Alarms",
    "HeldOutLine",
    "HeldOutSet",
    "Journal",
    "MetricsLine",
    "Monitor",
    "Score",
    "Scores",
    "Seal",
    "SkipLine",
    "Telemetry",
    "check_trackers",
    "heldout_line",
    "measured",
    "peak_flops",
    "score_line",
    "watched",
]  # fmt: skip
