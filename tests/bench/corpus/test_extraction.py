"""The bench of extraction scores as its docstring says, and the study of its model labels and splits as it says."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.answers import NotMeasuredError
from hypothesis import given
from hypothesis import strategies as st
from studies import extraction_blind, extraction_pages, extraction_scores
from studies import extraction_evidence as evidence
from studies import extraction_model as study

from bench.corpus import extraction as bench
from skyloom.core.units import units
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.features import FEATURES
from skyloom.corpus.extract.judge.ensemble import LANES, RULES, pack, table_of_evidence
from skyloom.corpus.extract.stage import extract_html
from skyloom.corpus.extract.tag_tables import tables

ROOT = Path(__file__).parents[3]
BLIND_OF_30 = [f"site{n}.example" for n in (6, 7, 9, 16, 17, 19, 20)]
TEXTS = st.lists(st.sampled_from("the tide 潮 汐 Moon 月 海 🌊 ， . \n 2023 한 e\u0301".split(" "))).map(" ".join)
SENTENCES = ("The moon pulls the sea, and the sea follows slowly. ", "月亮牵引海水，海水慢慢地跟随着它，涨落不息。")


def reference_f1(text: str, gold: str) -> float:
    """The same figure over tuples of units instead of hashes."""

    def grams(t: str) -> Counter[tuple[str, ...]]:
        found = units(t, fold=False)
        return Counter(tuple(found[i : i + 4]) for i in range(max(len(found) - 3, min(len(found), 1))))

    a, b = grams(text), grams(gold)
    return 2 * (a & b).total() / (a.total() + b.total()) if a or b else 1.0


@given(TEXTS, TEXTS)
def test_f1_is_that_of_multisets_of_tuples(text: str, gold: str) -> None:
    assert bench.f1(text, gold) == pytest.approx(reference_f1(text, gold))
    assert bench.f1(text, gold) == bench.f1(gold, text)
    assert bench.f1(text, text) == 1.0


def test_f1_of_known_texts() -> None:
    assert bench.f1("潮汐随着月亮", "潮汐随着月亮。") == 1.0  # punctuation is no unit
    assert bench.f1("潮汐随着", "潮汐随着月") == pytest.approx(2 / 3)
    assert bench.f1("a b c d a b c d", "a b c d") == pytest.approx(2 / 6)  # what is there twice counts once
    assert bench.f1("Tide and sea now", "tide and sea now") == 0.0  # case counts
    assert bench.f1("", "tide") == bench.f1("潮", "") == 0.0


def test_english_is_averaged_over_benchmarks_and_chinese_over_pages() -> None:
    scores = {
        ("big", "en"): np.full(90, 1.0),
        ("small", "en"): np.full(8, 0.5),
        ("tiny", "en"): np.zeros(7),
        ("甲", "zh"): np.full(30, 1.0),
        ("乙", "zh"): np.zeros(10),
    }
    assert bench.mean(bench.counted(scores, "en")) == 0.75
    assert bench.mean(bench.counted(scores, "zh")) == 0.75


def test_the_interval_holds_the_mean_and_narrows_with_pages() -> None:
    random = np.random.default_rng(1)
    few, many = [random.random(20)], [random.random(2000)]
    widths = []
    for groups in (few, many):
        low, high = bench.interval(groups)
        assert low < bench.mean(groups) < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(4 * np.std(many[0]) / 2000**0.5, rel=0.1)  # 2 x 1.96 standard errors
    assert widths[1] < widths[0] / 5
    assert bench.interval([np.ones(9)]) == (1.0, 1.0)


def page(name: str, lang: str, repeat: int = 6, site: str = "") -> bench.Page:
    """A page whose gold is its article and whose menus are links."""
    sentence = SENTENCES[lang == "zh"]
    article = [f"{sentence * (2 + i % 3)} {i + 1}." for i in range(repeat)]  # the same paragraph twice comes once
    menu = "".join(f"<li><a href='/{i}'>{'栏目' if lang == 'zh' else 'Section'} {i}</a></li>" for i in range(12))
    body = "".join(f"<p>{p}</p>" for p in article)
    html = (
        f"<html><body><div class='nav'><ul>{menu}</ul></div><article>{body}</article><div class='foot'>© 2023</div></body></html>"
    )
    return bench.Page(name, "scrapinghub", lang, site or name, html, "\n".join(article))


def test_a_worker_extracts_what_the_function_does_and_a_missing_peer_says_so(tmp_path: Path) -> None:
    pages = [page("a", "en"), page("b", "zh")]
    with bench.extractor(bench.OURS) as worker:
        found = bench.measure_quality(worker, pages)
        bench.give(worker, pages)
        assert bench.texts_of(worker) == ([extract_html(p.html).text for p in pages], 0)
        rates = bench.measure_speed([worker], pages, rounds=2)[bench.OURS]
    assert found.failed == 0 and found.version
    assert all(s.min() == 1.0 for s in found.scores.values()) and set(found.scores) == {
        ("scrapinghub", "en"),
        ("scrapinghub", "zh"),
    }
    assert rates.shape == (2,) and (rates > 0).all()
    bare = tmp_path / "bare.py"
    bare.write_text("import sys\nsys.modules['justext'] = None\nsys.argv = sys.argv[1:]\nexec(open(sys.argv[0]).read())\n")
    done = subprocess.run(
        [sys.executable, bare, bench.HERE / "extractors.py", "jusText"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"not_installed": "justext"}


def test_a_worker_that_dies_is_seen() -> None:
    with pytest.raises(NotMeasuredError, match="no such extractor"):
        bench.extractor("no such extractor")


def test_an_extractor_that_raises_counts_as_a_page_without_text() -> None:
    from bench.corpus.extractors import run

    def fails(html: str, language: str) -> str:
        if language == "zh":
            raise ValueError("编码")
        return html

    assert run(fails, [["tide", "en"], ["潮汐", "zh"]])[:2] == (["tide", ""], 1)


def test_tables_mark_what_was_fitted_and_compare_speed_within_a_round() -> None:
    scores = {("scrapinghub", "en"): np.ones(9), ("daniel", "en"): np.full(9, 0.5), ("daniel", "zh"): np.ones(3)}
    lines = bench.quality_table({"skyloom": bench.Quality("1", scores), "别的": bench.Quality("2", scores, 4)}).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    names = [
        "daniel en",
        "scrapinghub* en",
        "daniel zh",
        "**en**",
        "**en, not fitted on**",
        "**zh**",
        "**zh, not fitted on**",
        "raised on",
    ]
    assert [re.split(r" *\| *", line)[1] for line in lines[2:]] == names
    assert "0.750" in lines[5] and "0.500" in lines[6] and lines[-1].endswith("| 0 | 4 |")
    rates = {"18 KB": {bench.OURS: np.array([10.0, 20.0, 30.0]), "peer": np.array([20.0, 40.0, 15.0])}}
    assert bench.speed_table(rates).splitlines()[-1] == "| peer | 20 | 0.50 |"


def test_pages_nearest_to_a_size_are_chosen_by_bytes() -> None:
    pages = [page(str(n), "zh", repeat=n) for n in range(1, 60)]
    chosen = bench.nearest(pages, pages[9].size)
    assert chosen[0] is pages[9] and len(chosen) == bench.SPEED_PAGES
    assert pages[0].size == len(pages[0].html.encode()) > len(pages[0].html)


def test_without_data_the_bars_say_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(bench.DATA_VARIABLE, raising=False)
    for what in ("en", "zh", "speed"):
        monkeypatch.setattr(sys, "argv", ["extraction.py", "--json", what])
        assert bench.main() == 0
        assert bench.DATA_VARIABLE in json.loads(capsys.readouterr().out)["not_measured"]
    monkeypatch.setattr(sys, "argv", ["extraction.py"])
    assert bench.main() == 1
    assert bench.DATA_VARIABLE in capsys.readouterr().err


def test_a_block_is_text_if_its_units_stand_in_marked_grams() -> None:
    gold = "The moon pulls the sea every day.\nTides\n月亮每天牵引海水，涨落不息。"
    texts = ["The moon pulls the sea every day.", "Tides", "月亮每天牵引海水", "Home", "点击这里订阅我们的频道", "…",
             "The moon pulls the sea, they said to all of us"]  # fmt: skip
    truth, units = study.labels(texts, gold)
    assert truth.tolist() == [1, 1, 1, 0, 0, 0, 0]  # "Tides" by its neighbours
    assert units.tolist() == [7, 1, 8, 1, 11, 0, 11]


def test_trees_as_arrays_give_what_lightgbm_gives() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    found = [study.sample(page(f"{lang}{n}", lang, repeat=3 + n)) for n in range(12) for lang in ("en", "zh")]
    lines, truth = np.concatenate([s.lines for s in found]), np.concatenate([s.labels for s in found])
    booster = lightgbm.train({**study.PARAMETERS, "min_data_in_leaf": 5}, lightgbm.Dataset(lines, truth), 30)
    arrays = pack(study.exported(booster)).first
    ours = np.array([odds_of(line, arrays) for line in lines])
    assert np.allclose(ours, booster.predict(lines, raw_score=True), atol=1e-4)


def odds_of(line: np.ndarray, trees: Any) -> float:
    """A plain reading of a model's arrays."""
    total = 0.0
    for root in trees.roots.tolist():
        node, child = -1, root
        while child != node:
            node = child
            feature, first = int(trees.split[node]) >> 16, int(trees.split[node]) & 0xFFFF
            child = first if line[feature] <= trees.limit[node] else first + 1
        total += float(trees.value[node])
    return total


def test_a_site_stays_in_one_fold() -> None:
    folds = [study.fold(page(f"{n}", "zh", site=f"站点{n % 50}.cn")) for n in range(200)]
    assert folds[:50] * 4 == folds
    assert set(folds) == set(range(study.FOLDS))


def test_an_empty_page_takes_part_without_blocks() -> None:
    empty = study.sample(bench.Page("e", "wcxb", "en", "s", "", ""))
    assert empty.lines.shape == (0, len(FEATURES))


def test_invented_pages_hold_their_marked_text_in_both_languages() -> None:
    pages = extraction_pages.invented(24)
    assert {p.lang for p in pages} == {"en", "zh"}
    assert pages == extraction_pages.invented(24)
    for one in pages:
        assert study.sample(one).labels.sum() >= 2
        assert one.gold.strip()


def test_the_samples_are_marked() -> None:
    pages = extraction_pages.samples()
    assert {p.site for p in pages} == set(extraction_pages.SAMPLES)
    assert all(bench.f1(extract_html(p.html).text, p.gold) > 0.5 for p in pages if len(p.gold) > 2000)


def test_words_are_counted_as_wcxb_counts_them() -> None:
    assert bench.word_f1("The Moon, the sea", "the moon") == pytest.approx(2 * 2 / (4 + 2))
    assert bench.word_f1("", "") == 1 and bench.word_f1("a", "") == bench.word_f1("", "a") == bench.word_f1("a", "b") == 0
    assert bench.word_f1("月亮 牵引海水", "月亮") == pytest.approx(2 / 3)


def test_the_blind_part_is_a_fifth_of_the_sites_and_never_changes() -> None:
    sites = [f"site{n}.example" for n in range(2000)] + [f"站点{n}.cn" for n in range(2000)]
    drawn = [site for site in sites if extraction_pages.blind(site)]
    assert 0.18 < len(drawn) / len(sites) < 0.22
    assert [s for s in sites[:30] if extraction_pages.blind(s)] == BLIND_OF_30


@pytest.mark.data
def test_the_blind_part_is_a_fifth_of_each_set() -> None:
    if not os.environ.get(bench.DATA_VARIABLE):
        pytest.skip(f"set {bench.DATA_VARIABLE}")
    sites: dict[tuple[str, str], set[str]] = {}
    for one in bench.read_pages():
        sites.setdefault((one.bench, one.lang), set()).add(one.site)
    for names in sites.values():
        assert sum(map(extraction_pages.blind, names)) >= (len(names) + 2) // 5


def test_training_and_choosing_never_see_the_blind_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the study's pages none is of a blind site or shape, and the command for the blind part takes no other."""
    pytest.importorskip("lightgbm")
    pages = [page(f"{n}", ("en", "zh")[n % 2], site=f"site{n}.example") for n in range(40)]
    hidden = {p.id for p in pages if extraction_pages.blind(p.site)}
    assert 0 < len(hidden) < 40
    used: set[str] = set()
    monkeypatch.setattr(study, "read_pages", lambda: pages)
    monkeypatch.setattr(extraction_blind, "read_pages", lambda: pages)
    monkeypatch.setattr(extraction_pages, "docs", list)
    cut, found = study.sample, study.texts_of

    def sample(one: bench.Page) -> study.Sample:
        used.add(one.id)
        return cut(one)

    def texts(some: list[bench.Page], data: Any) -> list[str]:
        used.update(p.id for p in some)
        return found(some, data)

    for module in (study, extraction_blind):
        monkeypatch.setattr(module, "texts_of", texts)
    monkeypatch.setattr(study, "sample", sample)
    monkeypatch.setattr("sys.argv", ["x", "--pages", "12", "--trees", "2"])
    assert study.main() == 0
    shapes = {p.id for p in extraction_pages.own_chinese(blind_half=True)}
    assert used and not used & hidden and not used & shapes
    assert any(p.id in used for p in extraction_pages.own_chinese())
    assert "| own_zh, forum |" in capsys.readouterr().out
    used.clear()
    monkeypatch.setattr("sys.argv", ["x", "--last"])
    assert extraction_blind.main() == 0
    assert used == hidden | shapes
    monkeypatch.setattr("sys.argv", ["x"])
    with pytest.raises(SystemExit):
        extraction_blind.main()


def test_tables_by_kind_average_what_they_name() -> None:
    kinds = ("article", "product", "listing", "forum")
    pages = [bench.Page(k, "wcxb", "en", k, "", "one two three four five six", k) for k in kinds]
    rows = extraction_scores.by_kind("wcxb", pages, ["one two three four five six", "", "one two three four five six", ""])
    told = {row.split(" | ")[0]: row.split(" | ")[2].split(" ")[0] for row in rows}
    assert told["| wcxb, all"] == "0.500" and told["| wcxb, product, collection and listing"] == "0.500"
    assert told["| wcxb, article"] == "1.000" and told["| wcxb, forum"] == "0.000" and len(rows) == 6
    assert "wcxb en" in extraction_scores.tables(pages, ["", "", "", ""])


def test_weights_are_named_or_refused() -> None:
    assert study.weights("wcxb=0.5,zh=2") == {"wcxb": 0.5, "zh": 2.0}
    with pytest.raises(argparse.ArgumentTypeError, match="no weight is named nobody"):
        study.weights("nobody=1")


def test_evidence_is_learned_from_other_sites_only() -> None:
    pages = [page(f"{n}", ("en", "zh")[n % 2], site=f"site{n % 5}.example") for n in range(20)]
    found = [study.sample(one) for one in pages]
    table = evidence.Table([s.entries for s in found])
    numbers = evidence.told(pages[0].html, pages[0].site, found[0].entries.keys, table, len(found[0].lines))
    assert numbers.shape == (len(found[0].lines), len(evidence.EVIDENCE)) and np.isfinite(numbers).all()
    text, total = found[0].labels == 1, list(evidence.EVIDENCE).index("clue_sum")
    assert numbers[~text, total].max() < numbers[text, total].min()  # menus stand below what is never text on other sites
    alone = evidence.Table([found[0].entries])
    assert not len(alone.of("")[0])
    assert not evidence.told(pages[0].html, pages[0].site, found[0].entries.keys, alone, len(found[0].lines)).any()


def entry_key(html: str, index: int = 0) -> int:
    """The key of an element's first name, of the page's elements in order."""
    data = evidence.page_bytes(html)
    out = np.zeros((1000, 3), np.int64)
    scratch = pg.scratch(len(data), len(evidence.COLUMNS))
    evidence._entries(data, scratch, tables(), out)
    return int(out[index, 0])


def test_numbered_names_are_one_entry() -> None:
    assert entry_key("<div class='Post-12'>月亮每天牵引海水</div>") == entry_key("<div class='post-7'>The moon</div>")
    assert entry_key("<div class='post-12'>月</div>") != entry_key("<li class='post-12'>月</li>")
    assert entry_key("<div id='楼层12'>月</div>") == entry_key("<div id='楼层3'>月</div>") != entry_key("<div id='楼主'>月</div>")


def test_an_entrys_own_site_is_left_out() -> None:
    """An entry that is text on one site and never on five others tells the first site that it is no text."""
    pages = []
    for n, inside in enumerate(("text", *("menu",) * 5)):
        said = [SENTENCES[0] * 3, SENTENCES[1] * 3]
        box = "".join(f"<p>{s}</p>" for s in said)
        html = f"<div class='box'>{box}</div>" + ("" if inside == "text" else f"<div class='body'>{box}月</div>")
        gold = "\n".join(said) if inside == "text" else "月"
        pages.append(study.sample(bench.Page(f"{n}", "wcxb", "en", f"s{n}", html, gold)))
    table = evidence.Table([s.entries for s in pages])
    box_key = entry_key("<div class='box'>月</div>")
    told = [dict(zip(*(side.tolist() for side in table.of(f"s{n}")), strict=True)).get(box_key, 0) for n in range(2)]
    assert told[0] < told[1]


def test_a_table_of_evidence_holds_every_entry() -> None:
    keys = np.unique(np.random.default_rng(1).integers(1, 2**32, 5000, dtype=np.uint32))
    slots, values = table_of_evidence(keys, np.arange(len(keys), dtype=np.float32))
    assert len(slots) >= 2 * len(keys) and not len(slots) & (len(slots) - 1)
    for n in (0, 17, len(keys) - 1):
        place = int(keys[n]) & (len(slots) - 1)
        while slots[place] != keys[n]:
            assert slots[place]
            place = (place + 1) & (len(slots) - 1)
        assert values[place] == n
    assert np.count_nonzero(slots) == len(keys)
    assert not table_of_evidence(keys[:0], values[:0])[0].any()


def test_the_second_pass_takes_part_in_a_trained_model() -> None:
    pytest.importorskip("lightgbm")
    pages = [page(f"{n}", ("en", "zh")[n % 2], site=f"site{n % 9}.example") for n in range(36)]
    found = study.fit([study.sample(one) for one in pages], 5, 3)
    packed = pack(found)
    assert len(found["trees"]) == 3 and len(found["second"]["trees"]) == 5 and packed.keys.any()
    assert len(packed.first.roots) == len(packed.second.roots) == LANES  # filled up with leaves of 0
    assert packed.rules.tolist() == [name in study.KEPT_RULES for name in RULES]
    assert all(study.texts_of(pages[:2], found))
