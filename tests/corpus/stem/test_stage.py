"""The exercises as a whole: splits, the halves of the control, sizes, determinism, the document schema."""

import hashlib
import itertools
import json
import re
import unicodedata
from collections import Counter

import pytest

from skyloom.core.config import build
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.families.family import NAMES, Dice
from skyloom.corpus.stem.stage import FAMILIES, LANGUAGES, SPLITS, TELLINGS, _dealt, control_families, generate

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
    assert counts == {"train": 220, "valid": 104, "test": 120, "ref": 120, "canary": 15, "heldback": 15}
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


def kinds(rows):
    return Counter((r["lang"], r["m"]["family"]) for r in rows)


def asked(rows):
    """What an item asks in words: its question without numbers and people, by language and family."""
    people = "|".join((*NAMES["en"], *NAMES["zh-Hans"]))
    return {(r["lang"], r["m"]["family"], re.sub(rf"[0-9./]+|{people}", "#", r["m"]["question"])) for r in rows}


@pytest.mark.parametrize("canaries", [15, 50, 110, 300])
def test_the_halves_are_equal_and_no_wording_of_the_planted_one_is_met_elsewhere(tmp_path, canaries):
    """Also with several exercises of a family; 300 are more than some families have tellings."""
    splits = read(write(tmp_path, StemConfig(train=110, valid=52, test=208, ref=208, canaries=canaries, seed=4))[0])
    planted, heldback = splits["canary"], splits["heldback"]
    assert len(planted) == len(heldback) == canaries and kinds(planted) == kinds(heldback)
    assert {lang for lang, _ in kinds(planted)} == set(LANGUAGES)
    for split in ("heldback", "test", "ref"):
        assert not asked(planted) & asked(splits[split])
    if canaries <= 110:  # one item, one wording
        assert len(asked(planted)) == len(asked(heldback)) == canaries
    assert {name for lang, name in kinds(planted) if lang == "en"} <= {f.name for f in control_families("en")}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_pool_has_families_that_can_be_told_in_many_ways(lang):
    pool = control_families(lang)
    assert len(pool) >= 25  # the default plants 25 in each language
    for family in pool:
        assert len(family.tellings(lang)) >= TELLINGS and family.told_apart(lang)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_halves_are_dealt_by_lot(tmp_path, lang):
    """Over many seeds every telling of a family is planted as often as it is held back, tested or referred to, and so are sizes."""
    seeds, told, lengths = 150, {s: Counter() for s in ("canary", "heldback", "test", "ref")}, {}
    family = next(f for f in FAMILIES if f.name == "tickets")
    for seed in range(seeds):
        dice = Dice(seed, family.name, lang)
        for split, ways in _dealt(family, lang, 1, dice).items():
            told[split][next(ways)] += 1
    expected = seeds / len(family.tellings(lang))
    for counts in told.values():
        assert set(counts) == set(family.tellings(lang))
        assert sum((n - expected) ** 2 / expected for n in counts.values()) < 24.3  # chi-square, 7 degrees of freedom, 0.1 %
    splits = read(write(tmp_path, StemConfig(train=1, valid=1, test=208, ref=208, canaries=108))[0])
    for split in told:
        rows = [r for r in splits[split] if r["lang"] == lang]
        mean = {f: [len(r["text"]) for r in rows if r["m"]["family"] == f] for f in {f.name for f in control_families(lang)}}
        lengths[split] = sum(sum(n) / len(n) for n in mean.values()) / len(mean)
    assert max(lengths.values()) < 1.04 * min(lengths.values())


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
    assert hashlib.sha256("\n".join(names).encode()).hexdigest()[:16] == "25ffbb0b60efcad0"


def test_the_defaults_are_the_demo_and_the_right_choice_has_no_favourite_place(tmp_path):
    out, counts = write(tmp_path, StemConfig())
    assert counts["canary"] == counts["heldback"] == 50
    assert counts["test"] >= 300 and counts["ref"] >= 300 and counts["valid"] >= 200 and 1500 <= counts["train"] <= 2500
    places = Counter(row["m"]["answer_index"] for rows in read(out).values() for row in rows)
    expected = sum(places.values()) / 4
    assert sum((places[i] - expected) ** 2 / expected for i in range(4)) < 16.3  # chi-square, 3 degrees of freedom, 0.1 %


def test_no_canaries_writes_empty_shards(tmp_path):
    out, counts = write(tmp_path, StemConfig(train=1, valid=1, test=1, ref=1, canaries=0))
    assert counts["canary"] == 0
    assert out.read_table("exercises-heldback.parquet").num_rows == 0


def test_too_many_exercises_name_the_family(tmp_path):
    with pytest.raises(DataError, match=r"family '[a-z-]+' .*\d+ problems"):
        write(tmp_path, StemConfig(train=40 * 900))
    assert Store(str(tmp_path)).names() == []


def test_settings_are_checked():
    assert build(StemConfig, {"train": 5}, origin="r.toml").train == 5
    with pytest.raises(ConfigError, match="at least 1"):
        build(StemConfig, {"test": 0}, origin="r.toml")
