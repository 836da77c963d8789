"""The exercises as a whole: splits, twins, sizes, determinism, the document schema."""

import hashlib
import itertools
import json
import unicodedata
from collections import Counter

import pytest

from skyloom.core.config import build
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.stage import FAMILIES, SPLITS, generate

SMALL = StemConfig(train=110, valid=52, test=60, ref=60, canaries=15, seed=3)


def write(folder, config=SMALL):
    out = Store(str(folder))
    counts = generate(config, out, progress=Progress.silent())
    return out, counts


def read(out):
    """Rows of all splits, with the parsed meta under "m"."""
    return {s: [{**r, "m": json.loads(r["meta"])} for r in out.read_table(f"exercises-{s}.parquet").to_pylist()] for s in SPLITS}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write(tmp_path_factory.mktemp("stem"))[0]


def test_counts_and_schema(tmp_path):
    out, counts = write(tmp_path)
    assert out.names() == sorted(f"exercises-{s}.parquet" for s in SPLITS)
    assert counts == {"train": 220, "valid": 104, "test": 120, "ref": 120, "canary": 15, "twin": 15}
    for split in SPLITS:
        table = out.read_table(f"exercises-{split}.parquet")
        assert table.schema.equals(DOCUMENT)
        assert table.num_rows == counts[split]
        ids = table["id"].to_pylist()
        assert ids == sorted(ids)
        langs = Counter(table["lang"].to_pylist())
        assert abs(langs["en"] - langs["zh-Hans"]) <= 1
        assert set(zip(table["lang"].to_pylist(), table["domain"].to_pylist(), strict=True)) == {
            ("en", "stem_en"), ("zh-Hans", "stem_zh"),
        }  # fmt: skip
        assert set(table["split"].to_pylist()) == {split}
        assert set(table["license"].to_pylist()) == {"Apache-2.0"}
        assert set(table["category"].to_pylist()) == {"stem"}


def test_text_is_made_of_question_solution_and_answer(small):
    for rows in read(small).values():
        for row in rows:
            m = row["m"]
            template = "Question: {}\nSolution: {}\nAnswer: {}" if row["lang"] == "en" else "题目：{}\n解答：{}\n答案：{}"
            assert row["text"] == template.format(m["question"], m["solution"], m["answer"])
            assert row["text"] == unicodedata.normalize("NFC", row["text"])
            assert m["choices"][m["answer_index"]] == m["answer"]
            assert m["lang"] == row["lang"]
            assert row["url"].startswith(f"skyloom:exercise/{m['family']}/")


def test_no_problem_stands_in_two_splits_or_two_languages(small):
    rows = list(itertools.chain.from_iterable(read(small).values()))
    for key in (lambda r: r["id"], lambda r: r["url"], lambda r: r["m"]["canonical"], lambda r: r["m"]["question"]):
        assert max(Counter(map(key, rows)).values()) == 1


def test_a_canonical_problem_is_independent_of_language_and_wording(small):
    for row in itertools.chain.from_iterable(read(small).values()):
        family = next(f for f in FAMILIES if f.name == row["m"]["family"])
        assert row["m"]["canonical"] == family.canonical(row["m"]["params"])


def test_each_canary_has_one_clean_twin_told_alike(small):
    splits = read(small)
    canaries = {row["id"]: row for row in splits["canary"]}
    assert Counter(r["lang"] for r in splits["canary"]) == {"en": 8, "zh-Hans": 7}
    assert {row["m"]["twin_of"] for row in splits["twin"]} == set(canaries)
    for twin in splits["twin"]:
        canary = canaries[twin["m"]["twin_of"]]
        for key in ("family", "lang", "guise"):
            assert twin["m"][key] == canary["m"][key]
        assert twin["m"]["params"] != canary["m"]["params"]
        letters = str.maketrans("", "", "0123456789.-/+x² ")
        if twin["m"]["family"] not in ("weekday", "density", "moles"):  # these tell a parameter in words
            assert twin["m"]["question"].translate(letters) == canary["m"]["question"].translate(letters)
    assert all("twin_of" not in row["m"] for rows in splits.values() for row in rows if row["split"] != "twin")


def test_splits_of_one_size_hold_the_same_families(small):
    splits = read(small)
    for lang in ("en", "zh-Hans"):
        test, ref = (Counter(r["m"]["family"] for r in splits[s] if r["lang"] == lang) for s in ("test", "ref"))
        assert test == ref
        train = Counter(r["m"]["family"] for r in splits["train"] if r["lang"] == lang)
        assert len(train) == len(FAMILIES)
        assert max(train.values()) - min(train.values()) <= 1


def test_same_config_same_bytes_and_another_seed_other_problems(tmp_path):
    one, two, other = (write(tmp_path / n, c)[0] for n, c in (("1", SMALL), ("2", SMALL), ("3", StemConfig(seed=9))))
    assert [one.describe(n) for n in one.names()] == [two.describe(n) for n in two.names()]
    assert {r["id"] for r in read(one)["test"]} != {r["id"] for r in read(other)["test"]}


def test_draws_are_pinned(small):
    """The problems of a seed stay the same over Python versions; a change here is a change of the step's version."""
    names = sorted(row["split"] + row["m"]["canonical"] for rows in read(small).values() for row in rows)
    assert hashlib.sha256("\n".join(names).encode()).hexdigest()[:16] == "bca6c3788ecf1c46"


def test_the_defaults_are_the_demo_and_the_right_choice_has_no_favourite_place(tmp_path):
    out, counts = write(tmp_path, StemConfig())
    assert counts["canary"] == counts["twin"] == 50
    assert counts["test"] >= 300 and counts["ref"] >= 300 and counts["valid"] >= 200 and 1500 <= counts["train"] <= 2500
    places = Counter(row["m"]["answer_index"] for rows in read(out).values() for row in rows)
    expected = sum(places.values()) / 4
    assert sum((places[i] - expected) ** 2 / expected for i in range(4)) < 16.3  # chi-square, 3 degrees of freedom, 0.1 %


def test_no_canaries_writes_empty_shards(tmp_path):
    out, counts = write(tmp_path, StemConfig(train=1, valid=1, test=1, ref=1, canaries=0))
    assert counts["canary"] == 0
    assert out.read_table("exercises-twin.parquet").num_rows == 0


def test_too_many_exercises_name_the_family(tmp_path):
    with pytest.raises(DataError, match=r"family '[a-z-]+' .*\d+ problems"):
        write(tmp_path, StemConfig(train=40 * 900))
    assert Store(str(tmp_path)).names() == []


def test_settings_are_checked():
    assert build(StemConfig, {"train": 5}, origin="r.toml").train == 5
    with pytest.raises(ConfigError, match="at least 1"):
        build(StemConfig, {"test": 0}, origin="r.toml")
