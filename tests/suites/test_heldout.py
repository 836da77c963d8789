"""Held-out sets: what is in them, how they are capped, and that file layout does not matter."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import DataError
from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.suites import HeldoutSetsConfig, heldout_sets


def document(key, domain, split="valid", text=None):
    return {
        "id": key, "text": text or f"{key} 这是一篇文章，with some words. 🐉", "lang": "en", "source": "s", "domain": domain,
        "category": "web", "url": "u", "date": None, "license": None, "split": split, "meta": json.dumps({}),
    }  # fmt: skip


def store(folder, *shards, prefix="documents-0000"):
    out = Store(str(folder))
    for i, rows in enumerate(shards):
        out.write_table(f"{prefix}{i}.parquet", pa.Table.from_pylist(list(rows), schema=DOCUMENT))
    return out


def test_sets_by_domain_sorted_and_valid_only(tmp_path):
    rows = [document("b", "web_en"), document("a", "web_en"), document("c", "web_zh"), document("t", "web_en", "train")]
    corpus = store(tmp_path, rows[:1], rows[1:])
    corpus.write_table("dropped-00000.parquet", pa.Table.from_pylist([document("x", "code")], schema=DOCUMENT))
    sets = heldout_sets(corpus)
    assert list(sets) == ["web_en", "web_zh"]
    assert sets["web_en"].ids == ("a", "b")
    assert sets["web_en"].texts == tuple(document(k, "web_en")["text"] for k in "ab")
    assert sets["web_en"].bytes == sum(len(t.encode()) for t in sets["web_en"].texts)
    assert sets["web_zh"].name == "web_zh"


def test_exercises_add_only_domains_that_the_corpus_lacks(tmp_path):
    corpus = store(tmp_path / "c", [document("a", "web_en"), document("e", "stem_en")])
    rows = [document("f", "stem_en"), document("z", "stem_zh")]
    exercises = store(tmp_path / "e", rows, prefix="exercises-valid")
    store(tmp_path / "e", [document("q", "stem_zh", "test")], prefix="exercises-test")
    sets = heldout_sets(corpus, exercises)
    assert {name: s.ids for name, s in sets.items()} == {"stem_en": ("e",), "stem_zh": ("z",), "web_en": ("a",)}


def test_nothing_held_out_is_told(tmp_path):
    with pytest.raises(DataError, match=r"no document.*'valid'"):
        heldout_sets(store(tmp_path, [document("a", "web_en", "train")]))


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.uuids().map(str), st.text(st.sampled_from("a 中文😀\n"), min_size=1, max_size=40), min_size=1, max_size=25),
    st.integers(1, 30), st.integers(1, 600), st.integers(1, 24), st.randoms(),
)  # fmt: skip
def test_caps_hold_and_layout_does_not_matter(tmp_path_factory, texts, documents, size, cut, random):
    rows = [document(key, "web_zh", text=text) for key, text in texts.items()]
    config = HeldoutSetsConfig(max_documents=documents, max_bytes=size)
    one = heldout_sets(store(tmp_path_factory.mktemp("one"), rows), config=config)["web_zh"]
    random.shuffle(rows)
    two = heldout_sets(store(tmp_path_factory.mktemp("two"), rows[:cut], rows[cut:]), config=config)["web_zh"]
    assert one == two
    assert list(one.ids) == sorted(one.ids)
    assert [texts[key] for key in one.ids] == list(one.texts)
    assert len(one.ids) <= documents
    assert one.bytes <= size or len(one.ids) == 1
    wider = heldout_sets(store(tmp_path_factory.mktemp("three"), rows), config=HeldoutSetsConfig(documents + 5, size + 500))[
        "web_zh"
    ]
    assert set(one.ids) <= set(wider.ids), "a larger set holds the smaller one"
