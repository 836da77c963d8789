"""The page of a leakage audit: every figure of leak.json in both languages, all text escaped, nothing fetched, item texts only if asked."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.cli import main
from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.report.leak_charts import Gap, Member, Regression, forest, scatter
from skyloom.report.leak_page import EASIEST, read_leak, render_leak, write_leak_page
from skyloom.report.leak_words import DETECTORS, LEAK_CHINESE, UNITS, LeakSay
from tests.report.browser import CONTRAST, Browser
from tests.report.leaks import HOSTILE, SENTENCES, WORDS, leak
from tests.report.test_page import Outline

SECTIONS = ("verdict", "sets", "gaps", "family", "detectors", "items", "assumptions", "command")
ZH = {"leaked": "泄漏", "train split overfitted": "对训练集过拟合", "no sign": "未见迹象", "cannot tell": "无法判断"}


def page(found: dict[str, Any], lang: str = "en", show_items: bool = False) -> str:
    return render_leak(found, LeakSay(lang), show_items)  # type: ignore[arg-type]  # a dictionary of a test


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("word", WORDS)
def test_every_part_stands_on_the_page(word: str, lang: str) -> None:
    text = page(leak(word), lang)
    sections = {name: " ".join(body.split()) for name, body in Outline(text).sections.items()}
    assert tuple(sections) == SECTIONS
    assert f'<html lang="{"zh-Hans" if lang == "zh" else "en"}">' in text and "None" not in text and "nan" not in text
    assert (ZH[word] if lang == "zh" else word) in sections["verdict"] and SENTENCES[word][lang == "zh"] in sections["verdict"]
    assert ('<p class="verdict loud">' in text) == (word in ("leaked", "train split overfitted"))
    assert "300 292 35,040" in " ".join(re.sub(r"<[^>]*>", " ", text).split())  # items, used, tokens
    assert "0.997" in sections["sets"] and ("否决比较" if lang == "zh" else "forbids the comparison") in (
        sections["sets"] if word == "cannot tell" else sections["sets"] + "否决比较 forbids the comparison"
    )
    assert text.count('<svg class="forest"') == 6 and text.count('<svg class="chart"') == 1  # one axis, each unit, a scatter
    assert "−0.110" in sections["family"] and "Clean-3-1.5B" in sections["family"] and "< 0.001" in sections["family"]
    for name in ("delta1", "delta2", "min_k_plus", "zlib", "twins", "item_order", "completion", "family"):
        assert LeakSay(lang)(DETECTORS[name]) in sections["detectors"]
    assert "12.0 %" in sections["detectors"] and "< 0.001" in sections["detectors"]
    assert sections["items"].count("gsm8k/") == EASIEST and "SECRET" not in text
    assert ("同族模型没有读过基准" if lang == "zh" else "The family has not read") in sections["assumptions"]
    assert "--reference 'ref set.jsonl'" in sections["command"] and "0123456789abcdef" * 4 in sections["command"]


def test_chinese_pages_have_no_english_left(tmp_path: Path) -> None:
    """Apart from names, units of statistics and sentences that the file has in one language only."""
    text = page(leak("no sign"), "zh")
    body = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.S)
    words = set(re.findall(r"[A-Za-z]{4,}", html.unescape(re.sub(r"<[^>]*>", " ", body))))
    allowed = set(re.findall(r"[A-Za-z]{4,}", json.dumps(leak("no sign"), ensure_ascii=False))) | {
        "Skyloom",
        "Holm",
        "show",
        "items",
        "json",
    }
    assert words <= allowed, words - allowed
    assert all(LEAK_CHINESE[word] for word in [*DETECTORS.values(), *UNITS.values(), *WORDS])
    for english, chinese in LEAK_CHINESE.items():
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", chinese)), english


def test_item_texts_are_shown_only_when_asked() -> None:
    assert "SECRET" not in page(leak()) and "小明" not in page(leak())
    text = page(leak(), "zh", show_items=True)
    assert text.count("SECRET") == EASIEST and 'lang="zh" dir="auto">小明有1个苹果' in text
    assert "--show-items" not in text


def test_all_detectors_and_the_blind_baseline_stand_on_one_axis() -> None:
    """In half-widths of their own intervals: an interval that excludes no effect lies beyond ±1."""
    chart = re.findall(r'<svg class="forest" [^>]*aria-label="All detectors on one axis".*?</svg>', page(leak("leaked")), re.S)[0]
    names = re.findall(r'class="row-name"[^>]*>([^<]*)<', chart)
    assert (
        len(names) == 4 + 8
        and "blind baseline, words, reference" in names
        and "residual in the family" in names
        and "zlib ratio against reference" in names
    )
    assert "order of items" not in names  # it has no value
    assert "0.997 AUC →" in chart and "0.440 AUC<" in chart
    (centre,) = {float(x) for x in re.findall(r'class="centre" x1="([\d.]+)"', chart)}
    for low, high in re.findall(r'class="whisker[^"]*" x1="([\d.]+)" x2="([\d.]+)"', chart):
        assert float(high) >= float(low)
    found = re.findall(r'class="whisker[^"]*" x1="([\d.]+)" x2="([\d.]+)"', chart)
    widths = Counter(round(float(high) - float(low)) for low, high in found)
    assert widths.most_common(1)[0][1] == 10 and 16 <= centre <= 344  # as wide, that is the unit; two are cut at the edge


def test_the_data_button_holds_leak_json_without_texts_unless_asked() -> None:
    for show in (False, True):
        data = json.loads(
            base64.b64decode(re.findall(r'href="data:application/json;base64,([^"]*)"', page(leak(), show_items=show))[0])
        )
        assert data["verdict"] == leak()["verdict"]
        assert all((one["text"] is not None) is show for one in data["easiest"])


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_hostile_text_is_shown_and_not_obeyed(lang: str) -> None:
    text = page(leak(hostile=HOSTILE), lang, show_items=True)
    text.encode("utf-8")
    outline = Outline(text)
    assert tuple(outline.sections) == SECTIONS
    assert "<script>document.title" not in text and "<img" not in text and "\x00" not in text
    assert '<script>document.title="owned"' in outline.sections["items"] and "{{ 7*7 }}" in outline.sections["items"]
    hrefs = [str(v) for _, attrs in outline.elements for k, v in attrs.items() if k in ("href", "src", "action", "srcset")]
    assert all(h.startswith(("#", "data:application/json;")) or h == "data:," for h in hrefs)
    assert not any(k.startswith("on") for _, attrs in outline.elements for k in attrs)
    assert [tag for tag, _ in outline.elements].count("script") == 1


def test_only_our_script_may_run_and_nothing_may_be_fetched() -> None:
    text = page(leak())
    policy = html.unescape(next(m for m in re.findall(r'content="([^"]*)"', text) if "default-src" in m))
    script = re.findall(r"<script>(.*?)</script>", text, re.S)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    style = re.findall(r"<style>(.*?)</style>", text, re.S)[0]
    assert "url(" not in style and "@import" not in style and "http" not in style


@settings(deadline=None, max_examples=25)
@given(st.text(), st.sampled_from(["en", "zh"]))
def test_any_text_is_escaped_and_encodable(text: str, lang: str) -> None:
    found = page(leak(hostile=text or "x"), lang, show_items=True)
    found.encode("utf-8")
    outline = Outline(found)
    assert tuple(outline.sections) == SECTIONS and [tag for tag, _ in outline.elements].count("script") == 1


def test_measured_power_stands_where_no_share_can_be_derived() -> None:
    found = leak()
    told = "measured on small models of 0.9 M parameters"
    found["detectors"][0]["power"] = {"items": 300, "share_seen": None, "measured": [{"copies": 1}], "source": told}
    assert f"({told})" in page(found)
    assert f"（{told}）" in page(found, "zh")  # an older file, in English only
    found["detectors"][0] |= {"why_zh": "两组题目写法不同", "needs_zh": "一组没有读过的题目"}
    found["detectors"][0]["power"]["source_zh"] = "在小模型上实测"
    chinese = page(found, "zh")
    assert all(words in chinese for words in ("（在小模型上实测）", "两组题目写法不同", "一组没有读过的题目"))
    assert f"（{told}）" not in chinese
    found["detectors"][0]["power"]["measured"] = []
    assert told not in page(found)


def test_what_is_missing_is_said() -> None:
    bare = leak("cannot tell", with_family=False)
    text = page({**bare, "blind": [], "detectors": [], "easiest": [], "assumptions": [], "would_change": [], "versions": {}})
    sections = Outline(text).sections
    assert "No family was given" in sections["family"] and all(
        "not measured" in sections[s] for s in ("sets", "gaps", "detectors", "items")
    )
    assert sections["assumptions"].count("none was written down") == 2
    assert "没有给出同族模型" in page(bare, "zh")
    outside = leak("cannot tell")
    outside["family"] |= {"inside": False, "residual": None, "low": None, "high": None, "p": None}
    body = Outline(page(outside)).sections["family"]
    assert "lies outside the abilities" in body and "residual –" in body
    outside["family"] |= {"models": [], "suspect": {"ability": None, "gap": None}}
    assert "not measured" in Outline(page(outside)).sections["family"]


def test_charts_hold_the_centre_and_leave_out_what_is_not_finite() -> None:
    rows = [Gap("a", 0.61, 0.57, 0.65, True, False, "a"), Gap("丙", float("nan"), 0, 0, True, False, "c")]
    chart = forest(rows, centre=0.5, title="AUC")
    assert chart.count("<circle") == 1 and '<line class="centre"' in chart and "nan" not in chart
    assert forest([], centre=0, title="x") == "" and forest(rows[1:], centre=0, title="x") == ""
    (left,) = re.findall(r'<line class="centre" x1="([\d.]+)"', chart)
    assert 0 < float(left) < 360
    lone = scatter([], Member("模型", 1.0, -0.1), Regression(0.1, float("nan"), 0.1), x_label="x", y_label="y", title="t")
    assert lone.count("<circle") == 1 and "polyline" not in lone
    members = [Member(str(k), 0.5 + 0.1 * k, 0.1 * k) for k in range(8)]
    drawn = scatter(members, Member("s", 0.8, -0.2), Regression(1.0, -0.5, 0.05), x_label="x", y_label="y", title="t")
    ring = [
        tuple(map(float, p.split(","))) for p in re.findall(r'<polygon class="band tone-d0" points="([^"]*)"', drawn)[0].split()
    ]
    half = len(ring) // 2
    widths = [low - high for (_, high), (_, low) in zip(ring[:half], reversed(ring[half:]), strict=True)]
    assert widths[0] > min(widths) and widths[-1] > min(widths)  # leverage: wider at the ends


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_leak_page(json.loads(json.dumps(leak())), tmp_path / name, "zh", True)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert "2026-11-29" in page(leak(seed=2)) and "2026-11-29" not in page(leak(seed=1))


def test_the_command_reads_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "leak.json").write_text(json.dumps(leak(), ensure_ascii=False), encoding="utf-8")
    for place, lang in ((tmp_path / "leak.json", "en"), (tmp_path, "zh")):
        out = tmp_path / f"页面-{lang}.html"
        told = CliRunner().invoke(main, ["leak", "report", str(place), "--out", str(out), "--lang", lang])
        assert told.exit_code == 0 and told.output.strip() == out.resolve().as_uri()
        assert out.read_text("utf-8") == page(leak(), lang)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "leak.json"
    for content, match in (("{", "is no JSON"), ("[]", "no object"), ('{"format": 7}', "it is 7"), ("[" * 100_000, "is no JSON")):
        file.write_text(content)
        with pytest.raises(DataError, match=match):
            read_leak(tmp_path)
    file.write_bytes(b'{"format": 1, "x": "\xff"}')
    with pytest.raises(DataError, match="is no JSON in UTF-8"):
        read_leak(file)
    whole = leak()
    for key in whole:
        if key in ("format", "budget"):
            continue
        with pytest.raises(DataError, match=rf"'{key}' is missing"):
            write_leak_page({k: v for k, v in whole.items() if k != key}, tmp_path / "page.html")
    for key, wrong in (("verdict", {"word": "perhaps"}), ("sets", []), ("detectors", [7]), ("family", "none"), ("blind", None)):
        with pytest.raises(DataError, match="not what a leak"):
            write_leak_page({**whole, key: wrong}, tmp_path / "page.html")
    with pytest.raises(ConfigError, match="en or zh"):
        write_leak_page(whole, tmp_path / "page.html", "fr")
    with pytest.raises(StorageError):
        write_leak_page(whole, file / "page.html")
    assert not (tmp_path / "page.html").exists()
    runs = (
        ([str(tmp_path / "absent.json")], 2, "does not exist"), (["./模型"], 2, "give --benchmark FILE"),
        ([str(file), "--benchmark", "x"], 2, "belongs to a MODEL"),
    )  # fmt: skip
    for arguments, code, words in runs:
        told = CliRunner().invoke(main, ["leak", "report", *arguments, "--out", str(tmp_path / "page.html")])
        assert told.exit_code == code and words in told.output and "Traceback" not in told.output


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 400, 1280])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_renders_without_errors_requests_or_overflow(
    browser: Browser, tmp_path: Path, width: int, dark: bool, lang: str
) -> None:
    strange = {**leak("leaked"), "model": {"model": "模型" * 40 + "x" * 80}}
    for number, found in enumerate((leak("cannot tell"), leak("no sign", with_family=False), leak(hostile=HOSTILE), strange)):
        file = tmp_path / f"{number}.html"
        write_leak_page(found, file, lang, True)
        browser.open(file, width=width, dark=dark)
        browser.value("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert browser.problems() == [] and set(browser.requests()) == {file.resolve().as_uri()}
        assert browser.value("document.documentElement.scrollWidth") <= width
        outside = browser.value("""(() => {
            const edge = document.documentElement.clientWidth;
            const scrolls = (e) => e.closest(".scroll, nav ul, pre, .text, thead");
            return [...document.querySelectorAll("main *")].filter((e) => !scrolls(e) && e.getBoundingClientRect().right > edge + 1)
                .map((e) => e.outerHTML.slice(0, 120));
        })()""")
        assert outside == []
    paper, *contrasts = browser.value(CONTRAST)
    assert (paper < 0.05) == dark and all(contrast >= 4.5 for contrast in contrasts)
