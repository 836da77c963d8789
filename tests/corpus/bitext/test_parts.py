"""The parts of the alignment: terms, lexicon, costs, path, and keys of addresses."""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.corpus.bitext.world import COLOURS, PLACES, THINGS, learnt, sentences
from tests.planted.bitext import page_pair

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import EXTRACTED, record_id
from skyloom.core.store import Store
from skyloom.corpus.bitext.alignment import Lexicons, Side, best_path, length_costs
from skyloom.corpus.bitext.config import BitextConfig
from skyloom.corpus.bitext.lexicon import LATIN, Lexicon, learn, terms
from skyloom.corpus.bitext.stage import align, align_blocks
from skyloom.corpus.bitext.urls import pair_keys


@pytest.fixture(scope="module")
def lexicons() -> Lexicons:
    return learnt()


def reference_terms(text: str) -> set[str]:
    words = {w.lower() for w in re.findall(r"[A-Za-z]{2,}|[0-9]+", text)}
    words = {w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in words}
    runs = re.findall("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+", text)
    return words | {c for run in runs for c in run} | {a + b for run in runs for a, b in itertools.pairwise(run)}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from("abSs 019._é中文红色😀あ"), max_size=40), max_size=5))
def test_terms_agree_with_a_readable_reference(texts: list[str]) -> None:
    found = terms(pa.array(texts, pa.string()))
    for row, text in enumerate(texts):
        part = found.hashes[found.bounds[row] : found.bounds[row + 1]]
        assert len(part) == len(reference_terms(text))
        assert np.array_equal(part, np.unique(part))
        assert int((part & LATIN != 0).sum()) == sum(t.isascii() for t in reference_terms(text))


def test_the_lexicon_finds_translations(lexicons: Lexicons) -> None:
    def term(text: str, longest: bool = False) -> int:
        found = terms(pa.array([text])).hashes
        alone = terms(pa.array(list(text))).hashes if longest else []
        return int(next(h for h in found if h not in alone))

    lexicon = lexicons.forward
    for word, translation in COLOURS + THINGS + PLACES:
        row = int(np.searchsorted(lexicon.words, np.uint64(term(word))))
        assert int(lexicon.words[row]) == term(word)
        found = lexicon.terms[lexicon.bounds[row] : lexicon.bounds[row + 1]].tolist()
        chances = lexicon.chances[lexicon.bounds[row] : lexicon.bounds[row + 1]]
        best = [found[k] for k in np.argsort(-chances)[:3]]
        assert term(translation, longest=True) in best, word
        assert chances.sum() <= 1.0001


def test_a_lexicon_is_its_table_and_knows_when_to_be_empty(lexicons: Lexicons) -> None:
    for lexicon in (lexicons.forward, lexicons.backward, Lexicon.empty()):
        again = Lexicon.from_table(lexicon.to_table())
        for name in ("words", "bounds", "terms", "chances", "known", "share"):
            assert np.array_equal(getattr(again, name), getattr(lexicon, name)), name
    assert not any(len(way.words) for way in learn(pa.array([], pa.string()), pa.array([], pa.string())))
    assert not any(len(way.words) for way in learn(pa.array(["once"]), pa.array(["一次"])))


def reference_cost(left: Side, right: Side) -> float:
    """The cost of the cheapest path over sizes alone, by recursion with a table, as alignment.py's docstring says."""
    n, m = len(left.size), len(right.size)
    best = {(0, 0): 0.0}
    for i in range(n + 1):
        for j in range(m + 1):
            ways = [best[i, j]] if (i, j) in best else []
            ways += [best[i - 1, j] + 3.0] if i else []
            ways += [best[i, j - 1] + 3.0] if j else []
            for a, b, extra in ((1, 1, 0.0), (2, 1, 6.0), (1, 2, 6.0)):
                if i >= a and j >= b:
                    size = np.array([left.size[i - a : i].sum()]), np.array([right.size[j - b : j].sum()])
                    ways.append(best[i - a, j - b] + extra + float(length_costs(*size)[0]))
            best[i, j] = min(ways)
    return best[n, m]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.lists(st.integers(1, 90), min_size=1, max_size=9))
def test_the_path_is_the_cheapest_and_its_pairs_are_in_order(english: list[int], chinese: list[int]) -> None:
    left, right = Side.of(["ab cd " * k for k in english]), Side.of(["字" * k for k in chinese])
    path = best_path(left, np.zeros(len(english), np.int64), right, np.zeros(len(chinese), np.int64), Lexicon.empty())
    spans = np.concatenate([path.left, path.right], axis=1)
    assert (np.diff(spans, axis=0) > 0).all() if len(spans) > 1 else True
    assert (path.left[1:, 0] >= path.left[:-1, 1]).all() and (path.right[1:, 0] >= path.right[:-1, 1]).all()
    used = (path.left[:, 1] - path.left[:, 0]).sum(), (path.right[:, 1] - path.right[:, 0]).sum()
    joins = ((path.left[:, 1] - path.left[:, 0]) + (path.right[:, 1] - path.right[:, 0]) > 2).sum()
    total = (path.cost - path.doubt).sum() + 3.0 * (len(english) + len(chinese) - sum(used)) + 6.0 * joins
    assert total == pytest.approx(reference_cost(left, right), rel=1e-5, abs=1e-4)


def test_noisy_pages(lexicons: Lexicons) -> None:
    rng = random.Random(5)
    right = given = true = 0
    for _ in range(20):
        pairs, others = sentences(rng, 25), sentences(rng, 40)
        page = page_pair(rng, pairs, others)
        found = align_blocks(
            page.english, ["p"] * len(page.english), page.chinese, ["p"] * len(page.chinese), BitextConfig(), lexicons
        )
        right += sum((p.english, p.chinese) in page.truth for p in found)
        given += len(found)
        true += len(page.truth)
    assert right >= 0.95 * given
    assert right >= 0.8 * true


def pages(rng: random.Random, count: int) -> pa.Table:
    rows = []
    for number in range(count):
        page = page_pair(rng, sentences(rng, 20), sentences(rng, 20))
        for lang, blocks, url in (("en", page.english, f"https://s.example/en/{number}.html"),
                                  ("zh-Hans", page.chinese, f"https://s.example/zh-cn/{number}.html")):  # fmt: skip
            rows.append({
                "id": record_id(url), "source": "s", "category": "web", "kind": "html", "url": url, "date": None, "license": None,
                "title": None, "lang": lang, "lang_score": 1.0, "blocks": blocks, "tags": ["p"] * len(blocks), "bytes_in": 9,
                "reason": None, "meta": "{}",
            })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=EXTRACTED)


def test_align_learns_from_its_pages_and_takes_ready_pairs(tmp_path: Path) -> None:
    store, out = Store(tmp_path / "in"), Store(tmp_path / "out")
    rng = random.Random(4)
    table = pages(rng, 60)
    ready = [*sentences(rng, 30), ("This is not a translation of anything at all.", "红色"), ("Untranslated.", "Untranslated.")]
    row = table.slice(0, 1).to_pylist()[0] | {
        "id": record_id("ready"), "kind": "parallel", "url": "parallel://s/1", "blocks": [f"{e}\n{z}" for e, z in ready],
        "tags": ["p"] * len(ready),
    }  # fmt: skip
    store.write_table("extracted-00000.parquet", pa.concat_tables([table, pa.Table.from_pylist([row], schema=EXTRACTED)]))
    summary = align(store, out, BitextConfig(), engine=Engine(), progress=Progress.silent())
    assert summary["pages"] == 60
    assert summary["words"] >= 20
    assert summary["ready"] == len(ready)
    documents = [r for name in out.names("parallel-") for r in out.read_table(name).to_pylist()]
    written = next(r["text"] for r in documents if r["url"] == "parallel://s/1").split("\n\n")
    assert "Untranslated.\nUntranslated." not in written
    assert len(written) >= 25
    assert sum(json.loads(r["meta"])["pairs"] for r in documents) == summary["pairs"]


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("https://a.org/en/guide/x.html", "https://a.org/zh/guide/x.html"),
        ("https://a.org/guide/x.html", "https://a.org/zh-CN/guide/x.html"),
        ("https://a.org/x.en.html", "https://a.org/x.zh-cn.html"),
        ("https://a.org/x_en.html", "https://a.org/x_zh.html"),
        ("https://a.org/x.html", "https://a.org/x.html.zh-cn"),
        ("https://en.a.org/x", "https://zh.a.org/x"),
        ("https://a.org/x?lang=en", "https://a.org/x?lang=zh_CN"),
        ("https://a.org/x?id=3&hl=en-us", "https://a.org/x?id=3&hl=zh-tw"),
        ("file:///en_US/x.html", "file:///zh_CN/x.html"),
    ],
)
def test_addresses_that_name_a_language(english: str, chinese: str) -> None:
    keys = pair_keys(
        pa.chunked_array([[english, chinese, "https://a.org/other/x.html"]]), pa.chunked_array([["{}"] * 3])
    ).to_pylist()
    assert keys[0] == keys[1] != keys[2]


def test_keys_of_the_source_come_first() -> None:
    metas = pa.chunked_array([['{"pair": "k"}', '{"pair": "k"}', '{"pair": null}', "{}"]])
    keys = pair_keys(pa.chunked_array([["a/en/1", "b/zh/2", "c/encyclopedia/zhang.html", None]], pa.string()), metas).to_pylist()
    assert keys == ["pair:k", "pair:k", "url:c/encyclopedia/zhang.html", "url:"]
