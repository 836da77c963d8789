"""The page of an evaluation: every figure in both languages with its subset and command, all text escaped, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from skyloom.core.store import Store
from skyloom.evaluate.perplexity import reference_counter
from skyloom.report.evaluated.evaluation_page import write_perplexity_page, write_run_page, write_tasks_page
from tests.report.browser import CONTRAST, Browser
from tests.report.evaluations import COMMAND, HOSTILE, UNITS, benchmarks, perplexities
from tests.report.test_page import Outline, chinese, english

WRITERS = {"perplexity": (write_perplexity_page, perplexities), "tasks": (write_tasks_page, benchmarks)}


def page(kind: str, place: Path, **names: Any) -> str:
    """The page of a kind of WRITERS, beside its results."""
    write, made = WRITERS[kind]
    found = made(**names)
    results = Store(place / "results")
    results.write_bytes(f"{kind}.json", json.dumps(found).encode())
    write(found, results, place / f"{kind}.html")  # type: ignore[operator]  # a dictionary of a test
    return (place / f"{kind}.html").read_text("utf-8")


def charts(text: str) -> dict[str, str]:
    return {name: chart for chart in re.findall(r"<svg.*?</svg>", text, re.S) for name in re.findall(r"<title>(.*?)<", chart)[:1]}


def blocks(text: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="data-([^"]*)">(.*?)</script>', text, re.S)
    return {name: json.loads(block) for name, block in found}


def test_perplexity_has_models_baseline_differences_and_subsets(tmp_path: Path) -> None:
    text = page("perplexity", tmp_path)
    sections = {name: " ".join(body.split()) for name, body in Outline(english(text)).sections.items()}
    assert tuple(sections) == ("models", "perplexity", "command") and COMMAND in sections["command"]
    assert "1.23 M" in sections["models"] and "0123456789abcdef" * 4 in sections["models"]
    drawn = charts(english(text))
    law = drawn["Bits per byte on 法律"]
    assert re.findall(r'class="row-name"[^>]*>([^<]*)<', law) == ["甲", "b", "xz"]
    assert "甲: 0.900 (0.850 to 0.950)" in law and "xz: 2.345<" in law and law.count('class="whisker') == 2
    assert len(set(re.findall(r'class="(?:dot|hollow) tone-(d\d)"', law))) == 3
    assert "120 documents, 40 kB, 7 cut to 682 characters, 3 not given back by the tokenizer of b" in sections["perplexity"]
    assert "Web, English" in sections["perplexity"] and "each token is predicted once" in sections["perplexity"]
    differences = drawn["b minus 甲"]
    kinds = re.findall(r'class="(dot|hollow) ', differences)
    assert kinds == ["dot", "hollow", "dot"]  # the average, 法律, web_en
    found = blocks(text)
    assert {"bits", "paired"} == set(found) and found["bits"]["command"] == COMMAND
    digest = hashlib.sha256((tmp_path / "results/perplexity.json").read_bytes()).hexdigest()
    assert found["bits"]["files"] == {"perplexity.json": digest} and len(found["bits"]["rows"]) == 6
    two = " ".join(Outline(chinese(text)).sections["zh-perplexity"].split())
    assert reference_counter("units")[0] == UNITS and UNITS in sections["perplexity"] and "即一个汉字、假名或谚文字符" in two
    assert "120 个文档，40 kB，7 个截到 682 个字符，b 的分词器无法原样还原 3 个" in two and "配对差异" in two


def test_tasks_have_chance_near_ties_comparison_and_subsets(tmp_path: Path) -> None:
    text = page("tasks", tmp_path)
    sections = {name: " ".join(body.split()) for name, body in Outline(english(text)).sections.items()}
    assert tuple(sections) == ("models", "tasks", "compared", "command")
    drawn = charts(english(text))
    easy = drawn["arc_easy · acc"]
    assert 'class="centre"' in easy and "甲: 0.300 (0.220 to 0.380), chance 0.250, 2 near ties leave 0.260 to 0.300" in easy
    assert re.findall(r'class="(dot|hollow) ', easy) == ["hollow", "dot"]  # filled: the interval lies above chance
    assert (
        'class="centre"' not in drawn["arc_easy · exact_match (strict)"] and "arc_easy: bits per byte of the right answer" in drawn
    )
    assert "50 of 2,376 items, 5-shot, 1 cut from the left" in sections["tasks"]
    assert "Only the first 50 items of each task" in sections["tasks"] and "题.jsonl" in sections["tasks"]
    minus = drawn["acc: 甲 minus b"]
    assert (
        re.findall(r'class="(dot|hollow) ', minus) == ["dot", "hollow"]
        and "below zero: 甲 needs fewer bits" in sections["compared"]
    )
    assert "above zero: 甲 has the higher figure" in sections["compared"] and "< 0.001" in sections["compared"]
    assert set(blocks(text)) == {"tasks", "right", "compared"} and len(blocks(text)["tasks"]["rows"]) == 5
    two = {name: " ".join(body.split()) for name, body in Outline(chinese(text)).sections.items()}
    assert "2,376 题中的 50 题，5 个示例，1 题从左侧截断" in two["zh-tasks"] and "仅第一个答对" in two["zh-compared"]


def test_a_comparison_of_two_folders_has_no_models(tmp_path: Path) -> None:
    found = benchmarks() | {"models": [], "rows": [], "noise": [], "data": {}}
    write_tasks_page(found, Store(tmp_path), tmp_path / "对比.html")  # type: ignore[arg-type]  # a dictionary of a test
    text = (tmp_path / "对比.html").read_text("utf-8")
    assert tuple(Outline(english(text)).sections) == ("compared", "command") and "<h1>甲 / b</h1>" in text


def test_the_page_of_a_run_has_the_section_of_the_run_page(run: dict[str, Store], page: Path, tmp_path: Path) -> None:
    write_run_page("演示", "demo", run, tmp_path / "run.html")
    text, whole = (tmp_path / "run.html").read_text("utf-8"), page.read_text("utf-8")
    for part in (english, chinese):
        mine, theirs = (re.findall(r'<section id="(?:zh-)?evaluation">.*?</section>', part(t), re.S) for t in (text, whole))
        assert mine == theirs and len(mine) == 1
    assert "skyloom eval demo --json" in Outline(english(text)).sections["command"] and "<h1>演示</h1>" in text


@pytest.mark.parametrize("kind", WRITERS)
def test_both_languages_are_whole_and_links_lead_somewhere(tmp_path: Path, kind: str) -> None:
    text = page(kind, tmp_path)
    one, two = Outline(english(text)), Outline(chinese(text))
    for tag in ("svg", "table", "td", "details", "circle", "section"):
        assert [t for t, _ in one.elements].count(tag) == [t for t, _ in two.elements].count(tag), tag
    own = re.sub(r'<(pre|code)\b.*?</\1>|<p class="origin">.*?</p>', " ", chinese(text), flags=re.S)
    words = set(re.findall(r"[A-Za-z]{4,}", html.unescape(re.sub(r"<[^>]*>", " ", own))))
    names = {"Skyloom", "CPU", "JSON", "McNemar", "evaluation", "harness", "skyloom", "hugging", "face", "float", "abcdef", "easy"}
    assert words <= names | {"exact", "match", "strict", "limit", "units", "core"}, words - names
    ids = [attrs["id"] for _, attrs in Outline(text).elements if "id" in attrs]
    links = {a["href"] or "" for tag, a in Outline(text).elements if tag == "a" and (a.get("href") or "").startswith("#")}
    assert len(ids) == len(set(ids)) and {link[1:] for link in links} <= set(ids)
    before = (tmp_path / f"{kind}.html").read_bytes()
    assert page(kind, tmp_path).encode() == before, "equal inputs give equal bytes"


@pytest.mark.parametrize("kind", WRITERS)
def test_hostile_names_are_shown_and_not_obeyed(tmp_path: Path, kind: str) -> None:
    text = page(kind, tmp_path, first=HOSTILE, **({"sets": (HOSTILE, "b")} if kind == "perplexity" else {"tasks": (HOSTILE, "b")}))
    text.encode("utf-8")
    assert "<script>document.title" not in text and "<img" not in text and "\x00" not in text
    assert '<script>document.title="owned"' in Outline(english(text)).sections[kind]
    elements = Outline(text).elements
    assert not any(k.startswith("on") for _, attrs in elements for k in attrs)
    assert [tag for tag, attrs in elements if attrs.get("type") != "application/json"].count("script") == 1
    policy = html.unescape(next(m for m in re.findall(r'content="([^"]*)"', text) if "default-src" in m))
    script = re.findall(r"<script>(.*?)</script>", text, re.S)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


@pytest.mark.browser
@pytest.mark.parametrize("kind", WRITERS)
def test_it_renders_without_errors_requests_or_overflow(browser: Browser, tmp_path: Path, kind: str) -> None:
    page(kind, tmp_path, first="模型" * 20 + "x" * 80)
    file = tmp_path / f"{kind}.html"
    for width, dark, fragment in ((390, False, "#zh"), (390, True, ""), (1280, True, "#zh"), (1280, False, "")):
        browser.open(f"{file.resolve().as_uri()}{fragment}", width=width, dark=dark)
        browser.value("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert browser.problems() == [] and {url.split("#")[0] for url in browser.requests()} == {file.resolve().as_uri()}
        assert browser.value("document.documentElement.scrollWidth") <= width
        wide = browser.value("""(() => [...document.querySelectorAll(".scroll:not(.values), nav ul, pre")]
            .filter((e) => e.offsetHeight && e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML.slice(0, 160)))()""")
        assert wide == [] or width == 1280
        paper, *contrasts = browser.value(CONTRAST)
        assert (paper < 0.05) == dark and all(contrast >= 4.5 for contrast in contrasts)


@pytest.mark.browser
@pytest.mark.parametrize("kind", WRITERS)
def test_axe_finds_nothing(browser: Browser, tmp_path: Path, kind: str) -> None:
    """axe-core is not ours to ship: SKYLOOM_AXE names a file axe.min.js (`npm pack axe-core`)."""
    place = os.environ.get("SKYLOOM_AXE", "")
    if not Path(place).is_file():
        pytest.skip("SKYLOOM_AXE does not name a file axe.min.js (npm pack axe-core gets it)")
    page(kind, tmp_path)
    browser.open(tmp_path / f"{kind}.html", width=1280)
    browser.value(Path(place).read_text("utf-8") + "; 0")
    asked = "axe.run('header, #en', {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map((v) => v.id)))"
    answer = browser.call("Runtime.evaluate", expression=asked, awaitPromise=True, returnByValue=True)
    assert answer["result"]["value"] == "[]"
