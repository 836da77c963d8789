"""Whether a model was trained on a benchmark: any model, with what the verdict rests on (report 5.2, Table 8).

Read in this order: `leakage.benchmark_sets` (files to items), `leakage.blind` (what words alone tell), `suspect_verdict` (which
detectors count, and the verdict), `token_scores` (one pass of a model over texts), `detectors`, `item_order`, `completion`,
`suspect_scoring` (the journal and the budget), `suspect_run` (all of it, as the command line calls it), `suspect_json` (types of
`leak.json`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.leakage.suspect.detectors import DetectorFinding, clean_twin_gap, loss_gap, score_test, twin_gap
    from skyloom.leakage.suspect.item_order import BETWEEN, SHUFFLES, item_shards, order_test, shard_text
    from skyloom.leakage.suspect.known_power import KNOWN_POWER, MEASURED_ON, measured_power, quoted
    from skyloom.leakage.suspect.suspect_json import DetectorRow, LeakJson, Said, VerdictRow
    from skyloom.leakage.suspect.suspect_run import LeakRequest, audit_model
    from skyloom.leakage.suspect.suspect_verdict import LEVEL, SuspectVerdict, decide, holm, judge_published, rule_for
    from skyloom.leakage.suspect.token_scores import ItemScores
else:
    __getattr__ = lazy(__name__, {
        "detectors": ("DetectorFinding", "clean_twin_gap", "loss_gap", "score_test", "twin_gap",),
        "item_order": ("BETWEEN", "SHUFFLES", "item_shards", "order_test", "shard_text",),
        "known_power": ("KNOWN_POWER", "MEASURED_ON", "measured_power", "quoted",),
        "suspect_json": ("DetectorRow", "LeakJson", "Said", "VerdictRow",),
        "suspect_run": ("LeakRequest", "audit_model",),
        "suspect_verdict": ("LEVEL", "SuspectVerdict", "decide", "holm", "judge_published", "rule_for",),
        "token_scores": ("ItemScores",),
    })  # fmt: skip

__all__ = [
    "BETWEEN",
    "KNOWN_POWER",
    "LEVEL",
    "MEASURED_ON",
    "SHUFFLES",
    "DetectorFinding",
    "DetectorRow",
    "ItemScores",
    "LeakJson",
    "LeakRequest",
    "Said",
    "SuspectVerdict",
    "VerdictRow",
    "audit_model",
    "clean_twin_gap",
    "decide",
    "holm",
    "item_shards",
    "judge_published",
    "loss_gap",
    "measured_power",
    "order_test",
    "quoted",
    "rule_for",
    "score_test",
    "shard_text",
    "twin_gap",
]  # fmt: skip
