"""Results of the phases are JSON in the receipts: an earlier version wrote the same, and its runs go on."""

from __future__ import annotations

import json

import pytest

from skyloom.core.config import build, plain
from skyloom.corpus.clean.phase_results import Finished, Posted, Prepared, Proposed, Sized

LEDGER = {
    "intake": [["rules", "wiki", "en", 3, 90]],
    "counts": [["rules", "wiki", "en", "", 2, 60], ["rules", "wiki", "en", "too short", 1, 30]],
}
EXAMPLE = {"id": "a", "source": "wiki", "lang": "en", "domain": "web_en", "url": "u", "text": "一 one"}
WRITTEN: list[tuple[type, dict[str, object]]] = [
    (Prepared, {"ledger": LEDGER, "came": 3, "pages": 2}),
    (Sized, {"ledger": LEDGER, "bytes": 60}),
    (Proposed, {"proposal": {"counts": {"web_en": 2}, "ranked": {"web_en": [["0f", "a"]]}, "settled": ["stem_en"]}}),
    (
        Finished,
        {
            "ledger": LEDGER,
            "pages": 2,
            "mixture": [{"split": "train", "language": "en", "category": "web", "domain": "web_en", "documents": 2, "bytes": 60, "units": 12}],
            "redaction": {"email": 0},
            "found": {"languages": {"wiki": ["en"]}, "domains": ["web_en"], "held": []},
            "kept": [EXAMPLE],
            "lost": [],
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), WRITTEN)
def test_a_receipt_becomes_the_result_and_the_same_receipt_again(kind: type, value: dict[str, object]) -> None:
    line = json.dumps(value, sort_keys=True, ensure_ascii=False)
    result = build(kind, json.loads(line), origin="receipts")
    assert isinstance(result, kind)
    assert json.dumps(plain(result), sort_keys=True, ensure_ascii=False) == line


def test_a_result_with_a_ledger_is_known_as_one() -> None:
    assert isinstance(build(Prepared, WRITTEN[0][1], origin="receipts"), Posted)
    assert build(Finished, WRITTEN[3][1], origin="receipts").found.languages == {"wiki": ["en"]}
