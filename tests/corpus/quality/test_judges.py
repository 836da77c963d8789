"""Learned judges: the linear judge, thresholds from merged counts, groups, reference text that an encyclopedia cites."""

from __future__ import annotations

import bz2
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import DataError, IntegrityError, StorageError
from skyloom.core.store import Store
from skyloom.corpus.quality.learned.classifier import Classifier, train_classifier
from skyloom.corpus.quality.learned.config import ClassifierConfig, GroupConfig, JudgesConfig, LmConfig
from skyloom.corpus.quality.learned.judges import count_scores, group, group_reasons, load_judges, train_judges
from skyloom.corpus.quality.learned.quality_groups import (
    count_perplexity,
    fit_thresholds,
    lm_grade,
    merge_counts,
    quality_group,
    reference_grade,
)
from skyloom.corpus.quality.learned.reference_text import cited_in_dump, cited_urls, is_cited, merge_cited, merge_samples, sample

GOOD = {
    "en": "river bridge history century village built stone water empire council",
    "zh": "河桥史世纪村建石水国会长城山海年代人民政治文化",
}
BAD = {"en": "click menu login cart share next home price sale free", "zh": "点击菜单登录购物车分享下一页首价促销免费注册会员"}
CONFIG = ClassifierConfig(bits=14)


def texts_of(words: dict[str, str], lang: str, count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    pool = [
        *(words[lang].split() if lang == "en" else words[lang]),
        *("the of and to in".split() if lang == "en" else "的一是在有"),
    ]
    return [(" " if lang == "en" else "").join(draw.choices(pool, k=draw.randint(10, 60))) for _ in range(count)]


def training(count: int = 80) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    rows = [
        (text, good, lang)
        for lang, some in (("en", count), ("zh", count // 2 + 20))
        for good, words in ((True, GOOD), (False, BAD))
        for text in texts_of(words, lang, some, seed=good)
    ]
    texts, good, langs = zip(*rows, strict=True)
    return pa.array(texts), np.array(good), np.array(langs, object)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_judge_knows_reference_text_in_both_languages(lang: str) -> None:
    judge = train_classifier(*training(), CONFIG)
    langs = np.array([lang] * 40, object)
    good, bad = (judge.score(pa.array(texts_of(words, lang, 40, seed=9)), langs) for words in (GOOD, BAD))
    assert good.dtype == np.float32
    assert (good > 0.5).mean() > 0.95
    assert (bad < 0.5).mean() > 0.95


def test_the_judge_says_nothing_where_it_learnt_nothing() -> None:
    texts, positive, langs = training()
    english = langs == "en"
    judge = train_classifier(texts.filter(pa.array(english)), positive[english], langs[english], CONFIG)
    found = judge.score(pa.array(["河桥史", "the river bridge", ""]), np.array(["zh", "en", "en"], object))
    assert np.isnan(found).tolist() == [True, False, True]
    with pytest.raises(DataError, match="reference text"):
        train_classifier(texts, np.zeros(len(texts), bool), langs, CONFIG)


def test_the_score_is_the_mean_of_the_weights_of_units_and_pairs() -> None:
    """A text said twice has the same units and nearly the same pairs: the score does not grow with length."""
    judge = train_classifier(*training(), CONFIG)
    text = texts_of(GOOD, "en", 1, seed=4)[0]
    one, many = judge.score(pa.array([text, " ".join([text] * 50)]), np.array(["en"] * 2, object))
    assert one == pytest.approx(many, abs=0.05)


def test_one_language_does_not_lean_on_how_much_of_it_is_reference() -> None:
    texts, positive, langs = training()
    few = ~((langs == "zh") & positive) | (np.arange(len(langs)) % 2 == 0)  # half of the Chinese reference text
    judge = train_classifier(texts.filter(pa.array(few)), positive[few], langs[few], ClassifierConfig(bits=14, minimum_texts=20))
    unseen = pa.array(texts_of(BAD, "zh", 40, seed=8) + texts_of(GOOD, "zh", 40, seed=8))
    found = judge.score(unseen, np.array(["zh"] * 80, object)) > 0.5
    assert found[:40].mean() < 0.1
    assert found[40:].mean() > 0.9


def test_a_model_file_is_plain_checked_and_the_same_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    judge = train_classifier(*training(), CONFIG)
    judge.save(store, "a.npz")
    train_classifier(*training(), CONFIG).save(store, "b.npz")
    assert store.read_bytes("a.npz") == store.read_bytes("b.npz")
    again = Classifier.load(store, "a.npz")
    assert np.array_equal(again.weights, judge.weights)
    assert again.bias == judge.bias
    Classifier(judge.weights + np.float32(1), judge.bias).save(store, "c.npz")
    with np.load(tmp_path / "a.npz") as kept, np.load(tmp_path / "c.npz") as other:
        np.savez(tmp_path / "d.npz", header=kept["header"], weights=other["weights"])
    with pytest.raises(IntegrityError, match="was changed"):
        Classifier.load(store, "d.npz")
    for name, bias in (
        ("f", '{"zh": NaN}'),
        ("g", '{"en": 1e999}'),
        ("h", '{"zh": "高"}'),
        ("i", "[]"),
        ("j", '{"en": 1' + "0" * 400 + "}"),
    ):
        with np.load(tmp_path / "a.npz") as kept:
            header = kept["header"].tobytes().decode()
            changed = header[: header.index('"bias": ') + 8] + bias + header[header.index(', "sha256"') :]
            np.savez(tmp_path / f"{name}.npz", header=np.frombuffer(changed.encode(), np.uint8), weights=kept["weights"])
        with pytest.raises(IntegrityError, match="a bias that is no number"):
            Classifier.load(store, f"{name}.npz")
    (tmp_path / "e.npz").write_bytes(b"no archive")
    with pytest.raises(IntegrityError, match="linear judge"):
        Classifier.load(store, "e.npz")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 1e7), st.sampled_from(["en", "zh", "other"])), min_size=1, max_size=60), st.integers(0, 59))
def test_counts_merge_and_thresholds_are_percentiles(rows: list[tuple[float, str]], cut: int) -> None:
    values, langs = np.array([v for v, _ in rows], np.float32), np.array([lang for _, lang in rows], object)
    whole = count_perplexity(values, langs)
    parts = [count_perplexity(values[s], langs[s]) for s in (slice(cut, None), slice(None, cut))]
    assert np.array_equal(whole, merge_counts(parts))
    config = GroupConfig(head=0.25, tail=0.5)
    thresholds = fit_thresholds(whole, config)
    grades = lm_grade(values, langs, thresholds)
    for lang in ("en", "zh"):
        mine = langs == lang
        if not mine.any():
            assert lang not in thresholds
            continue
        for found, share in ((thresholds[lang].head, 0.25), (thresholds[lang].tail, 0.5)):
            exact = np.quantile(values[mine].astype(float), share, method="inverted_cdf")
            assert exact * (1 - 1e-6) <= found <= exact * 1.013
        assert (grades[mine] >= 0).all()
        assert (grades[mine] == 2).sum() >= 0.25 * mine.sum()
        assert (grades[mine] == 0).sum() <= 0.5 * mine.sum()
    assert (grades[langs == "other"] == -1).all()


def test_groups_need_both_judges_to_agree_on_the_worst() -> None:
    lm = np.array([2, 2, 2, 1, 1, 1, 0, 0, 0, -1, 2, -1, 0], np.int8)
    reference = np.array([2, 1, 0, 2, 1, 0, 2, 1, 0, -1, -1, 1, -1], np.int8)
    expected = "high high middle high middle low middle low low high high middle low".split()
    assert quality_group(lm, reference).tolist() == expected
    assert reference_grade(np.array([0.9, 0.3, 0.01, np.nan], np.float32), GroupConfig()).tolist() == [2, 1, 0, -1]
    assert group_reasons(pa.array(["high", "low", "middle"]), GroupConfig()).to_pylist() == [
        None,
        "low quality group",
        "middle quality group",
    ]


def test_judges_from_training_to_groups(tmp_path: Path) -> None:
    rows = {
        good: [(text, lang) for lang in ("en", "zh") for text in texts_of(words, lang[:2], 60, seed=good)]
        for good, words in ((True, GOOD), (False, BAD))
    }
    reference, pages = (
        pa.table({"text": [t for t, _ in rows[k]], "lang": ["en" if x == "en" else "zh-Hant" for _, x in rows[k]]})
        for k in (True, False)
    )
    store, config = Store(tmp_path), JudgesConfig(reference=("wiki",), lm=LmConfig(order=3), classifier=CONFIG)
    train_judges(reference, pages, store, config)
    judges = load_judges(store)
    texts = texts_of(GOOD, "en", 10, 5) + texts_of(BAD, "en", 10, 5) + texts_of(GOOD, "zh", 10, 5) + texts_of(BAD, "zh", 10, 5)
    texts, langs = pa.array([*texts, "Brücke", ""]), pa.array(["en"] * 20 + ["zh-Hans"] * 20 + ["other", "en"])
    scores = judges.score(texts, langs)
    halves = [judges.score(texts.slice(k, 21), langs.slice(k, 21)) for k in (0, 21)]
    assert pa.concat_tables(halves).equals(scores)
    assert [scores.column(name).null_count for name in ("perplexity", "reference")] == [2, 2]
    counts = merge_counts([count_scores(half, langs.slice(21 * k, 21)) for k, half in enumerate(halves)])
    thresholds = fit_thresholds(counts, config.groups)
    found = group(scores, langs, thresholds, config.groups).to_pylist()
    assert [found[k] for k in (40, 41)] == ["high", "high"]
    for start in (0, 20):
        assert found[start : start + 10].count("high") >= 9
        assert found[start + 10 : start + 20].count("high") == 0


def test_without_reference_text_in_a_language_that_judges_speak(tmp_path: Path) -> None:
    nothing = pa.table({"text": ["Brücke"], "lang": ["other"]})
    with pytest.raises(DataError, match=r"quality\.judges\.reference"):
        train_judges(nothing, nothing, Store(tmp_path), JudgesConfig())
    with pytest.raises(DataError, match=r"train.*judges"):
        load_judges(Store(tmp_path))
    assert not JudgesConfig().wanted


WIKITEXT = [
    "See [http://www.Example.com/a/ Title], {{cite web|url=https://x.org/p?q=1&amp;r=2|title=T}} and nothing else.",
    "archived: https://web.archive.org/web/2010/http://y.cn/路径#段，参见《https://z.cn/index》",
    "no address here",
    None,
]


def test_cited_pages_are_found_however_their_address_is_written(tmp_path: Path) -> None:
    cited = cited_urls(pa.array(WIKITEXT))
    urls = [
        "https://example.com/a",
        "http://www.x.org/p?q=1&r=2",
        "http://y.cn/路径",
        "https://z.cn/index/",
        "http://example.com/b",
        None,
        "",
    ]
    assert is_cited(pa.array(urls), cited).tolist() == [True, True, True, True, False, False, False]
    assert not is_cited(pa.array(urls), np.zeros(0, np.uint64)).any()
    (tmp_path / "dump.xml.bz2").write_bytes(bz2.compress("\n".join(t for t in WIKITEXT if t).encode()))
    assert np.array_equal(cited_in_dump(tmp_path / "dump.xml.bz2"), cited)
    assert np.array_equal(merge_cited(cited_urls(pa.array([t])) for t in WIKITEXT), cited)
    (tmp_path / "cut.xml.bz2").write_bytes((tmp_path / "dump.xml.bz2").read_bytes()[:40])
    with pytest.raises(StorageError, match=r"read.*dump"):
        cited_in_dump(tmp_path / "cut.xml.bz2")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(0, 40), st.integers(0, 400))
def test_samples_of_samples_are_samples(sizes: list[int], cut: int, budget: int) -> None:
    table = pa.table({"id": [f"{k:032x}" for k in range(len(sizes))], "text": ["字" * size for size in sizes]})
    whole = sample(table, budget)
    parts = [sample(table.slice(0, cut), budget), sample(table.slice(cut), budget)]
    assert merge_samples(parts, budget).equals(whole)
    assert merge_samples(parts[::-1], budget).equals(whole)
    kept = [len(t.encode()) for t in whole.column("text").to_pylist()]
    assert len(kept) == len(sizes) or sum(kept) >= budget
    assert not kept or sum(kept[:-1]) < budget
