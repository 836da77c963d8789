"""Items and worked examples out of generated exercises."""

import pytest

from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.stage import generate
from skyloom.suites import few_shot, multiple_choice, prompt


@pytest.fixture(scope="module")
def exercises(tmp_path_factory):
    out = Store(str(tmp_path_factory.mktemp("exercises")))
    generate(StemConfig(train=70, valid=5, test=40, ref=5, canaries=0), out, progress=Progress.silent())
    return out


def test_items_of_the_test_split(exercises):
    items = multiple_choice(exercises)
    assert len(items) == 80
    assert [i.id for i in items] == sorted(i.id for i in items)
    assert {i.lang for i in items} == {"en", "zh-Hans"}
    texts = dict(zip(*(exercises.read_table("exercises-test.parquet")[c].to_pylist() for c in ("id", "text")), strict=True))
    for item in items:
        assert 0 <= item.answer < len(item.choices) == 4
        head = prompt(item, scoring="text").context.partition("\n")[0]
        assert texts[item.id].startswith(head + "\n"), "a prompt begins as the training text does"
        assert texts[item.id].endswith(prompt(item, scoring="text").continuations[item.answer])


def test_one_language_and_a_limit(exercises):
    chinese = multiple_choice(exercises, lang="zh-Hans")
    assert len(chinese) == 40 and {i.lang for i in chinese} == {"zh-Hans"}
    few, more = multiple_choice(exercises, limit=7), multiple_choice(exercises, limit=9)
    assert len(few) == 14 and set(few) < set(more), "a larger limit keeps the items of a smaller one"
    assert [i.id for i in few] == sorted(i.id for i in few)


def test_missing_splits_and_languages_are_told(exercises, tmp_path):
    with pytest.raises(DataError, match=r"does not exist.*exercises"):
        multiple_choice(Store(str(tmp_path)))
    with pytest.raises(DataError, match=r"no items.*\bfr\b"):
        multiple_choice(exercises, lang="fr")
    with pytest.raises(DataError, match="no items"):
        multiple_choice(exercises, "canary")


@pytest.mark.parametrize("lang", ["en", "zh-Hans"])
def test_shots_are_seeded_of_one_language_and_of_different_families(exercises, lang):
    pool = multiple_choice(exercises, "train")
    shots = few_shot(pool, lang, 5, seed=1)
    assert len(shots) == 5 == len({s.family for s in shots})
    assert {s.lang for s in shots} == {lang}
    assert shots == few_shot(list(reversed(pool)), lang, 5, seed=1), "the order of the pool does not matter"
    assert shots != few_shot(pool, lang, 5, seed=2)
    assert few_shot(pool, lang, 3, seed=1) == shots[:3]
    everything = few_shot(pool, lang, 70)
    assert len(set(everything)) == 70
    with pytest.raises(DataError, match=r"71 examples.*\b70\b"):
        few_shot(pool, lang, 71)
