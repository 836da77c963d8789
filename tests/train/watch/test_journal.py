"""A journal's lines end at newlines and nowhere else, whatever stands in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyloom.core.errors import IntegrityError
from skyloom.core.store import Store
from skyloom.train.watch.journal import Journal


def test_a_sealed_journal_is_read_back_with_any_text_in_it(tmp_path: Path) -> None:
    out, journal = Store(str(tmp_path)), Journal()
    for name in ("plain", "文件", "a\u2028b\u2029c", "d\x85e\x0bf\x1cg", "h\ri\nj"):
        journal.add({"id": name, "loss": 1.5})
    seal = journal.seal()
    journal.add({"id": "behind the seal"})
    journal.write(out, "skips.jsonl")
    back = Journal.restore(out, "skips.jsonl", seal)
    assert len(back) == 5 and back.records(dict) == journal.records(dict)[:5]
    out.write_text("skips.jsonl", "".join(journal.lines()[:4]) + journal.lines()[4][:-1])
    with pytest.raises(IntegrityError, match="does not hold the lines"):
        Journal.restore(out, "skips.jsonl", seal)
