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
    from skyloom.leakage.suspect.suspect_json import DetectorRow, LeakJson, Said, VerdictRow
    from skyloom.leakage.suspect.suspect_run import LeakRequest, audit_model
    from skyloom.leakage.suspect.suspect_verdict import SuspectVerdict, judge_published
    from skyloom.leakage.suspect.token_scores import ItemScores
else:
    __getattr__ = lazy(__name__, {
        "suspect_json": ("DetectorRow", "LeakJson", "Said", "VerdictRow",),
        "suspect_run": ("LeakRequest", "audit_model",),
        "suspect_verdict": ("SuspectVerdict", "judge_published",),
        "token_scores": ("ItemScores",),
    })  # fmt: skip

__all__ = [
    "DetectorRow",
    "ItemScores",
    "LeakJson",
    "LeakRequest",
    "Said",
    "SuspectVerdict",
    "VerdictRow",
    "audit_model",
    "judge_published",
]  # fmt: skip
