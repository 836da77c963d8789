"""The ledger balances, adds up in any order, and survives JSON."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import IntegrityError
from skyloom.core.ledger import KEPT, Ledger, LedgerEntry

POSTS = st.lists(
    st.tuples(
        st.sampled_from(["extract", "quality", "去重"]), st.sampled_from(["web", "代码"]), st.sampled_from(["en", "zh-Hans", ""]),
        st.sampled_from([KEPT, "short", "重复"]), st.integers(0, 50), st.integers(0, 10**12),
    ),
    max_size=25,
)  # fmt: skip


def ledger_of(posts):
    ledger = Ledger()
    for stage, source, lang, reason, documents, size in posts:
        ledger.enter(stage, source, lang, documents, size)
        ledger.post(stage, source, lang, reason, documents, size)
    return ledger


@settings(deadline=None)
@given(POSTS)
def test_what_came_in_was_kept_or_dropped(posts):
    ledger = ledger_of(posts)
    ledger.check()
    for stage in ledger.stages():
        mine = [p for p in posts if p[0] == stage]
        totals = ledger.totals(stage)
        assert sum(d for d, _ in totals.values()) == sum(p[4] for p in mine)
        assert sum(b for _, b in totals.values()) == sum(p[5] for p in mine)
        assert totals.get(KEPT, (0, 0)) == (sum(p[4] for p in mine if not p[3]), sum(p[5] for p in mine if not p[3]))


@settings(deadline=None)
@given(POSTS, st.integers(0, 25))
def test_shards_add_up_to_the_whole(posts, cut):
    together = ledger_of(posts[:cut])
    together.add(ledger_of(posts[cut:]))
    assert together.entries() == ledger_of(posts).entries()
    assert together.intake == ledger_of(posts).intake
    assert together.stages() == ledger_of(posts).stages()


@settings(deadline=None)
@given(POSTS)
def test_json_round_trip(posts):
    ledger = ledger_of(posts)
    again = Ledger.from_json(json.loads(json.dumps(ledger.to_json(), ensure_ascii=False)))
    assert again.counts == ledger.counts
    assert again.intake == ledger.intake
    assert again.stages() == ledger.stages()


@pytest.mark.parametrize(("documents", "size"), [(2, 30), (3, 29), (4, 30)])
def test_an_imbalance_in_documents_or_bytes_is_told(documents, size):
    ledger = Ledger()
    ledger.enter("quality", "web", "zh-Hans", 3, 30)
    ledger.post("quality", "web", "zh-Hans", KEPT, documents, size)
    with pytest.raises(IntegrityError, match=r"not balance.*\bquality \(web, zh-Hans\).*\b3 documents, 30 bytes"):
        ledger.check()


def test_one_language_cannot_pay_for_another():
    ledger = Ledger()
    for came, went in (("en", "zh-Hans"), ("zh-Hans", "en")):
        ledger.enter("quality", "web", came, 5 if came == "en" else 7, 10)
        ledger.post("quality", "web", went, KEPT, 5 if came == "en" else 7, 10)
    with pytest.raises(IntegrityError, match="does not balance"):
        ledger.check()


def test_a_stage_that_posts_without_intake_does_not_balance():
    ledger = Ledger()
    ledger.post("quality", "web", "", "short", 1, 1)
    with pytest.raises(IntegrityError, match="no language"):
        ledger.check()


def test_entries_are_sorted_and_named():
    ledger = ledger_of([("s", "web", "zh-Hans", "短", 1, 9), ("s", "web", "en", KEPT, 2, 8)])
    assert ledger.entries() == [LedgerEntry("s", "web", "en", "", 2, 8), LedgerEntry("s", "web", "zh-Hans", "短", 1, 9)]
