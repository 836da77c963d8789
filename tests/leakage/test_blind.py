"""The blind baseline: it sees a difference of style in both languages, and none between halves of one set."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from skyloom.leakage.benchmark_sets import BenchmarkItem, BenchmarkSet, read_benchmark
from skyloom.leakage.blind import VETO, auc, bag_of_words, blind_baseline, words_of

NAMES = {"en": ["Tom", "Mary", "Ann", "Bob"], "zh": ["小明", "小红", "老王", "丽丽"]}
THINGS = {"en": ["melons", "pens", "cups", "birds"], "zh": ["西瓜", "铅笔", "杯子", "小鸟"]}
FORMS = {
    "en": ("{a} has {x} {t} and buys {y}. How many {t} does {a} have?", "So {a} has {x} {t}; therefore we add {y} of them."),
    "zh": ("{a}有{x}个{t}，又买了{y}个。{a}一共有几个{t}？", "因此{a}把{x}个{t}加上{y}个，得到答案。"),
}


def drawn(lang: str, count: int, seed: int, style: int = 0, prefix: str = "") -> BenchmarkSet:
    draw = random.Random(seed)
    items = []
    for number in range(count):
        text = FORMS[lang][style].format(
            a=draw.choice(NAMES[lang]), t=draw.choice(THINGS[lang]), x=draw.randrange(100), y=draw.randrange(100)
        )
        items.append(BenchmarkItem(f"{prefix}{number}", lang, text, "", text))
    return BenchmarkSet(f"{lang}{seed}", "", "", tuple(items))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_another_style_vetoes_and_the_same_makers_do_not(lang: str) -> None:
    test, style, same = drawn(lang, 60, 1), drawn(lang, 40, 2, style=1, prefix="r"), drawn(lang, 60, 3, prefix="s")
    seen = blind_baseline(test, style)
    assert seen.vetoes and seen.words.value > 0.98 and seen.words.low > VETO and seen.n == 40
    fair = blind_baseline(test, same)
    assert not fair.vetoes and abs(fair.words.value - 0.5) < 0.2 and fair.length.low < VETO
    assert blind_baseline(test, same) == fair, "the same for the same seed"


def test_length_alone_vetoes() -> None:
    words = random.Random(4)
    short, long = (
        BenchmarkSet("s", "", "", tuple(
            BenchmarkItem(f"{p}{n}", "zh", "", "", "".join(words.choice("天地人你我他山水") for _ in range(words.randrange(*ends))))
            for n in range(60)
        ))
        for p, ends in (("a", (4, 20)), ("b", (30, 60)))
    )  # fmt: skip
    found = blind_baseline(short, long)
    assert found.length.value > 0.95 and found.vetoes


def test_twins_lie_in_one_fold() -> None:
    """A classifier that had read the original would know the twin by it: the rare name comes back, and says "original"."""
    draw = random.Random(5)
    rare = ["".join(draw.choice("bcdfghklmnpqrst") for _ in range(8)) for _ in range(60)]
    originals = BenchmarkSet("a", "", "", tuple(BenchmarkItem(str(n), "en", "", "", f"{w} 小船 {w}") for n, w in enumerate(rare)))
    twins = BenchmarkSet(
        "b", "", "", tuple(BenchmarkItem(f"t{n}", "en", "", "", f"{w} 小船 {w}", twin_of=str(n)) for n, w in enumerate(rare))
    )
    found = blind_baseline(originals, twins)
    assert found.words.value == 0.5 and not found.vetoes
    apart = blind_baseline(originals, twins.only([BenchmarkItem(i.id, "en", "", "", i.text) for i in twins.items]))
    assert apart.words.value < 0.3, "in other folds each is taken for the set of its twin"


def test_words_of_both_languages() -> None:
    assert words_of("Tom's 12 melons？他有瓜") == ["tom", "'", "s", "12", "melons", "？", "他", "有", "瓜", "他有", "有瓜"]
    assert bag_of_words(["", " "]).shape == (2, 1)


def test_the_area_is_the_share_of_pairs_and_its_interval_holds_it() -> None:
    rng, hits = np.random.default_rng(6), 0
    for _ in range(300):
        labels = np.repeat([True, False], [60, 40])
        found = auc(rng.normal(size=100) + labels * 0.5, labels)
        hits += found.low <= 0.63816 <= found.high  # the standard normal's value at 0.5 / sqrt 2
    assert 0.91 <= hits / 300 <= 0.98
    apart = auc(np.arange(40.0), np.arange(40) >= 20)
    assert (apart.value, apart.high) == (1.0, 1.0) and apart.low == pytest.approx(0.85)
    assert auc(np.zeros(40), np.arange(40) >= 20).value == 0.5


@pytest.mark.data
def test_the_published_reference_set_is_told_from_the_test_set_and_the_train_split_is_not() -> None:
    place = os.environ.get("SKYLOOM_BENCH_DATA")
    if not place:
        pytest.skip("SKYLOOM_BENCH_DATA does not name the folder of third-party data")
    folder, template = Path(place) / "eval" / "gsm8k", "{question} {answer}"
    test = read_benchmark(folder / "test.jsonl.gz", template)
    published = blind_baseline(test, read_benchmark(folder / "skywork_mock_test.jsonl.gz", template))
    assert published.words.value >= 0.98 and published.vetoes
    train = blind_baseline(test, read_benchmark(folder / "train_text.jsonl.gz", template))
    assert 0.45 <= train.words.value <= 0.55 and not train.vetoes
