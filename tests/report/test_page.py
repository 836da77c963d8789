"""The page holds every figure of the run, escapes what pages hold, says what is missing, and needs nothing but itself."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import importlib.resources
import io
import json
import re
import shutil
import tomllib
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import DataError, StorageError
from skyloom.core.ledger import Ledger
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release import evidence
from skyloom.report.config import ReportConfig
from skyloom.report.labels import CHINESE
from skyloom.report.page import location, render, write
from tests.report import demo_run

SECTIONS = ("summary", "corpus", "mixture", "examples", "tokenizer", "training", "evaluation", "leakage", "samples", "steps")


class Outline(HTMLParser):
    """Elements with their attributes, and the text of each section."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self._section = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self._section = dict(attrs)["id"] or ""
            self.sections[self._section] = ""

    def handle_data(self, data: str) -> None:
        if self._section:
            self.sections[self._section] += data


def english(page: str) -> str:
    """The English part of a page."""
    return page[page.index('<div id="en"') : page.index('<div id="zh"')]


def chinese(page: str) -> str:
    """The Chinese part of a page."""
    return page[page.index('<div id="zh"') : page.index('<script type="application/json"')]


@pytest.fixture(scope="module")
def whole(page: Path) -> str:
    return page.read_text("utf-8")


@pytest.fixture(scope="module")
def text(whole: str) -> str:
    return english(whole)


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def test_the_sections_stand_in_order_and_none_is_missing(outline: Outline) -> None:
    assert tuple(outline.sections) == SECTIONS
    assert not any("not measured" in body for body in outline.sections.values())
    links = [a["href"] for tag, a in outline.elements if tag == "a"]
    assert links[: len(SECTIONS)] == [f"#{name}" for name in SECTIONS]


def test_every_link_leads_somewhere_and_every_id_is_there_once(whole: str) -> None:
    elements = Outline(whole).elements
    ids = [attrs["id"] for _, attrs in elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs["href"] or "" for tag, attrs in elements if tag == "a" and (attrs.get("href") or "").startswith("#")}
    assert links and {link[1:] for link in links} <= set(ids)


def test_both_languages_are_whole(whole: str) -> None:
    """Chinese has every section, figure and value that English has, and no English sentence of the page's own."""
    one, two = Outline(english(whole)), Outline(chinese(whole))
    assert tuple(two.sections) == tuple(f"zh-{name}" for name in SECTIONS)
    for tag in ("svg", "table", "td", "details", "circle", "path", "text"):
        assert [t for t, _ in one.elements].count(tag) == [t for t, _ in two.elements].count(tag), tag
    own = re.sub(r'<(pre|code)\b.*?</\1>|<div class="text".*?</div>|<p class="origin">.*?</p>', " ", chinese(whole), flags=re.S)
    words = set(re.findall(r"[A-Za-z]{4,}", html.unescape(re.sub(r"<[^>]*>", " ", own))))
    names = (
        "Skyloom SHA LLaMA FLOP CPU Linux Stage JSON CSV handbook exercises debian packages manuals skyloom release check recompute"
    )
    names += (
        " nats latin chinese characters words reserved loss script alert arc_easy easy wikitext bits_per_byte python torch watts"
    )
    names += " HTML abcdef data show bits byte telemetry GPL maint guide tokenizer evaluate leakage corpus extract pages tokens references stage "
    assert words <= set(re.findall(r"\w{4,}", names)), words - set(re.findall(r"\w{4,}", names))


def test_every_text_of_the_templates_has_its_chinese() -> None:
    folder = Path(str(importlib.resources.files("skyloom.report")))
    used: set[str] = set()
    for file in [*folder.rglob("*.jinja"), *folder.rglob("*.py")]:
        if not file.name.startswith("leak"):
            for call in re.findall(r"""say\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)""", file.read_text("utf-8")):
                used.add("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', call)))
    assert len(used) > 150 and sorted(used - set(CHINESE)) == []
    for one, other in CHINESE.items():
        assert set(re.findall(r"{\w+}", one)) == set(re.findall(r"{\w+}", other)), one


def test_the_four_answers_stand_first_with_number_interval_and_link(outline: Outline) -> None:
    body = " ".join(outline.sections["summary"].split())
    assert re.findall(r"(?:What|Was|Can) [^?.]*\?", body) == [
        "What went in?", "What did it learn?", "Was it contaminated?", "Can I check it?",
    ]  # fmt: skip
    assert "1,234 documents (4.94 MB) of 2,000 that came in (8 MB) went on to training: 61.7 %" in body
    assert "On 6 held-out sets it needs 2.325 bits per byte on average (95 % 2.299 to 2.351" in body
    assert "Against Unigram that is −0.400 (95 % −0.500 to −0.300)." in body
    assert "Test items read 0.010 nats per token" in body and "(95 % −0.050 to 0.070)" in body and "The control holds" in body
    assert "10 of 10 steps (5.50 MB) have a SHA-256" in body and "commit 0123456789ab" in body


def test_failed_checks_stand_under_their_question(run: dict[str, Store], tmp_path: Path) -> None:
    ledger = run["corpus"].read_json("ledger.json")
    ledger["intake"][0][3] += 1
    facts = {**demo_run.run_facts(), "commit": "0123456789abcdef-dirty"}
    facts["steps"][3]["status"] = "failed"
    corpus = Store(shutil.copytree(run["corpus"].path(), tmp_path / "corpus"))
    corpus.write_json("ledger.json", ledger)
    write({**run, "corpus": corpus}, Store(tmp_path), ReportConfig(), facts, progress=Progress.silent())
    page = (tmp_path / "report.html").read_text("utf-8")
    for part, told in (
        (english(page), ("The ledger does not balance", "changes that are in no commit", "not finished: tokenizer", "2 alarms", "overfitted")),
        (chinese(page), ("账本不平衡", "未提交的改动", "未完成的步骤：tokenizer", "2 次警报", "对训练集过拟合")),
    ):  # fmt: skip
        failed = " ".join(re.findall(r'<ul class="failed">(.*?)</ul>', part, re.S))
        assert all(words in failed for words in told), failed
        assert part.count('<div class="answer loud">') == 4


def test_the_header_names_version_commit_machine_and_date(whole: str) -> None:
    header = whole[whole.index("<header>") : whole.index("</header>")]
    for told in ("Skyloom 0.1.0", "git 0123456789ab", "2 CPU · 8 GB · x86_64 · Linux", "2026-11-29 10:20:30 UTC"):
        assert told in header
    assert all(word in header for word in ("Data", "数据", "Recipe", "配方", "Compare", "对比", "Print", "打印", "中文", "English"))
    recipe = re.findall(r'href="data:application/toml;base64,([^"]*)"', header)[0]
    assert tomllib.loads(base64.b64decode(recipe).decode())["标题"] == "示例"


def test_the_zip_holds_every_figure_as_json_and_csv(whole: str) -> None:
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(re.findall(r'href="data:application/zip;base64,([^"]*)"', whole)[0])))
    blocks = dict(re.findall(r'<script type="application/json" id="data-([^"]*)">(.*?)</script>', whole, re.S))
    assert len(blocks) > 15 and sorted(archive.namelist()) == sorted(f"{name}.{end}" for name in blocks for end in ("json", "csv"))
    for name, block in blocks.items():
        data = json.loads(block)
        assert json.loads(archive.read(f"{name}.json")) == data
        rows = list(csv.reader(io.StringIO(archive.read(f"{name}.csv").decode(), newline="")))
        assert rows[0] == data["columns"] and len(rows) - 1 == len(data["rows"]) > 0
        assert data["command"].startswith("skyloom ") and "demo" in data["command"]
        assert re.search(rf'id="data-of-{name}"', whole) or name in ("bits",)
    heldout = json.loads(blocks["heldout-web_en"])
    assert heldout["columns"] == ["stage", "step", "tokens", "bits_per_byte", "low", "high"] and len(heldout["rows"]) == 16


def test_files_stand_under_figures_with_their_hash(run: dict[str, Store], whole: str) -> None:
    for name in ("stage1/heldout.jsonl", "corpus/ledger.json", "evaluate/perplexity.json", "stage2/telemetry/speed.jsonl"):
        step, _, file = name.partition("/")
        digest = hashlib.sha256(run[step].read_bytes(file)).hexdigest()
        assert f'{name}<br><span class="hash">SHA-256 {digest}</span>' in whole


def test_planned_shares_stand_beside_those_that_were_read(outline: Outline, text: str) -> None:
    assert "Web, English45.0 %45.0 %34.0 %34.0 %" in re.sub(r"\s{2,}", "", outline.sections["training"])
    drawn = [c for c in re.findall(r"<svg.*?</svg>", text, re.S) if 'class="area' in c]
    assert ["Planned" in c for c in drawn] == [True, False]
    assert all(c.count('class="area') == 7 for c in drawn)


def test_sources_have_packages_versions_and_licences(outline: Outline) -> None:
    body = " ".join(outline.sections["corpus"].split())
    assert "debian-handbook 11.20220917" in body and "GPL-2+" in body and "debian packages · manuals" in body


def test_the_funnel_shows_every_stage_reason_and_count(run: dict[str, Store], outline: Outline) -> None:
    body = " ".join(outline.sections["corpus"].split())
    for step in ("extract", "corpus"):
        for stage, _, _, reason, documents, _ in run[step].read_json("ledger.json")["counts"]:
            assert stage.replace("_", " ").capitalize() in body
            assert not documents or reason.replace("_", " ") in body
    assert "Duplicates · near copy · English 95 documents, 380 kB" in body
    assert "Quality · recurring blocks · English 2.50 kB cut from documents that stayed" in body
    assert "exercises comes in: 400 documents, 1.60 MB" in body
    assert "−270 (15.4 %)" in body and "−1.08 MB (15.4 %)" in body
    assert body.count("to training: ") == 3 and "to training: 1,234" in body


def test_the_figures_of_the_run_are_on_the_page(run: dict[str, Store], outline: Outline, whole: str) -> None:
    for row in run["evaluate"].read_json("perplexity.json")["rows"]:
        assert f"{row['bits_per_byte']:.3f}" in outline.sections["evaluation"]
    for row in run["leakage"].read_json("leakage.json")["rows"]:
        assert row["verdict"] in outline.sections["leakage"]
    assert "The control holds: the planted" in outline.sections["leakage"]
    choice = re.findall(r'<svg class="forest".*?</svg>', english(whole), re.S)
    (chances,) = [c for c in choice if 'aria-label="Multiple choice"' in c]
    assert chances.count('class="hollow') == 2 and chances.count('class="dot') == 2  # filled where the interval is above chance
    for sample in run["evaluate"].read_json("samples.json"):
        assert sample["prompt"] + sample["text"] in outline.sections["samples"]
    for step in demo_run.run_facts()["steps"]:
        assert step["content"] in outline.sections["steps"] and step["folder"] in outline.sections["steps"]
    assert '"标题" = "示例"' in outline.sections["steps"]


def test_each_stage_has_its_colour_in_each_held_out_chart(text: str) -> None:
    charts = re.findall(r'<svg class="chart".*?</svg>', text, re.S)
    heldout = [c for c in charts if "Held-out loss" in c]
    assert len(heldout) == len(demo_run.SETS)
    for chart in heldout:
        assert chart.count('class="dot tone-stage1"') >= 7 and chart.count('class="dot tone-stage2"') >= 8
        assert chart.count('class="band tone-stage1"') == chart.count('class="band tone-stage2"') == 1
        assert '<line class="boundary"' in chart
        assert "<title>Held-out loss" in chart and "<desc>" in chart
        # The first point does not set the axis; another model's line does.
        assert ("▲ begins at 3." in chart) == ("Web, Chinese" not in chart)
        assert re.findall(r'class="direct tone-(stage\d)"[^>]*>([^<]*)<', chart) == [("stage2", "Stage 2"), ("stage1", "Stage 1")]
        assert chart.count('<g class="alarm">') == (2 if "Web, Chinese" in chart else 1)


def test_other_models_are_dashed_lines_in_our_own_unit(text: str, outline: Outline) -> None:
    """In bits per byte, as our own curves are."""
    charts = {
        name: chart
        for chart in re.findall(r'<svg class="chart".*?</svg>', text, re.S)
        for name in re.findall(r"<title>(.*?)<", chart)[:1]
    }
    drawn, code = charts["Held-out loss on Web, Chinese"], charts["Held-out loss on Code"]
    assert re.findall(r'class="level tone-(d\d)".*?<title>(.*?)</title>', drawn) == [
        ("d3", "LLaMA2-7B: 2.900"), ("d4", "小模型 &lt;1B&gt;: 3.400"),
    ]  # fmt: skip
    assert "LLaMA2-7B lies at 2.900" in drawn and 'class="level' not in code
    assert "on the same texts: LLaMA2-7B, 小模型 <1B>." in outline.sections["training"]


def test_alarms_skips_and_scores_stand_beside_the_curves(text: str, outline: Outline) -> None:
    body = " ".join(outline.sections["training"].split())
    assert "Stage 1, step 120: " in body and "8 monitoring points" in body
    assert "Left out: 1; the last 1:" in body and "the loss is nan <script>alert(1)</script>" in body
    assert "<script>alert" not in text
    body = " ".join(outline.sections["evaluation"].split())
    assert body.count("exercises") == 13 and body.count("40.0 %") == 24 and text.count("95 % 22.0 % to 61.0 %; chance 25.0 %") == 24
    assert "arc_easy, acc, 0-shot50 / 2,37634.0 %" in body and "1.2341.100 to 1.400" in body
    assert "wikitext, bits_per_byte, 0-shot621.612" in body and "34.0 %, 95 % 22.5 % to 47.9 %; chance 25.0 %" in text


def test_hostile_text_is_shown_and_not_obeyed(whole: str, text: str, outline: Outline) -> None:
    assert "<script>document.title" not in whole and "<img" not in whole
    assert '<script>document.title="owned"' in outline.sections["corpus"]
    assert "\x00" not in whole and "\\ud800" not in whole
    elements = Outline(whole).elements
    hrefs = [str(v) for _, attrs in elements for k, v in attrs.items() if k in ("href", "src", "action", "srcset")]
    assert all(h.startswith(("#", "data:application/zip;", "data:application/toml;")) or h == "data:," for h in hrefs)
    assert not any(k.startswith("on") for _, attrs in elements for k in attrs)
    assert [tag for tag, attrs in elements if attrs.get("type") != "application/json"].count("script") == 1


def test_only_our_script_may_run_and_nothing_may_be_fetched(whole: str) -> None:
    text = whole
    policy = next(m for m in re.findall(r'content="([^"]*)"', text) if "default-src" in m)
    script = re.findall(r"<script>(.*?)</script>", text, re.S)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(policy) and "default-src 'none'" in html.unescape(policy)
    style = re.findall(r"<style>(.*?)</style>", text, re.S)[0]
    assert "url(" not in style and "@import" not in style and "http" not in style


@settings(deadline=None, max_examples=25)
@given(st.text(), st.text())
def test_any_text_is_escaped_and_encodable(body: str, url: str) -> None:
    row = {"id": "0", "source": body, "lang": "zh-Hans", "domain": "web_zh", "url": url, "text": body}
    nothing = dict.fromkeys(evidence.Evidence.__dataclass_fields__)
    lost = {**row, "stage": body, "reason": url}
    table = {
        "rows": [{"domain": body, "bytes_per_token": 3.0, "units_per_token": 1.0, "fallback_share": 0.0, "bytes": 1, "tokens": 1}]
    }
    found = evidence.Evidence(**{**nothing, "plans": {}, "examples": {"kept": [row], "dropped": [lost]}, "measure": table})
    page = render(found, ReportConfig(), {"name": body})
    page.encode("utf-8")
    assert tuple(Outline(english(page)).sections) == SECTIONS
    elements = Outline(page).elements
    assert [tag for tag, attrs in elements if attrs.get("type") != "application/json"].count("script") == 1


def test_what_was_not_measured_says_so(tmp_path: Path) -> None:
    write({}, Store(tmp_path), ReportConfig(), {"name": "空"}, progress=Progress.silent())
    outline = Outline(english((tmp_path / "report.html").read_text("utf-8")))
    assert tuple(outline.sections) == SECTIONS
    assert all("not measured" in body for body in outline.sections.values())


@pytest.mark.parametrize("missing", demo_run.STEPS)
def test_any_step_may_be_missing(run: dict[str, Store], tmp_path: Path, missing: str) -> None:
    some = {name: store for name, store in run.items() if name != missing}
    write(some, Store(tmp_path), ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    assert tuple(Outline(english((tmp_path / "report.html").read_text("utf-8"))).sections) == SECTIONS


def test_a_stage_that_diverged_is_drawn_as_far_as_it_went(run: dict[str, Store], tmp_path: Path) -> None:
    broken = Store(tmp_path / "stage2")
    lines = run["stage2"].read_text("heldout.jsonl").splitlines()
    broken.write_text("heldout.jsonl", "\n".join(line.replace('"loss": 3', '"loss": NaN, "was": 3') for line in lines))
    broken.write_text("metrics.jsonl", '{"stage": "stage2", "step": 241, "tokens": 987136, "loss": NaN, "lr": 0.001}\n')
    write({**run, "stage2": broken}, Store(tmp_path / "out"), ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert "NaN" not in page and "nan," not in page


def page_with(run: dict[str, Store], tmp_path: Path, **files: tuple[str, object]) -> str:
    """The page of the run with some files in the place of others: step=(name, content)."""
    others = {step: Store(shutil.copytree(run[step].path(), tmp_path / step)) for step in files}
    for step, (name, content) in files.items():
        others[step].write_json(name, content)
    write({**run, **others}, Store(tmp_path / "out"), ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    return english((tmp_path / "out/report.html").read_text("utf-8"))


def test_a_control_or_a_check_that_fails_is_told_with_its_reason(run: dict[str, Store], tmp_path: Path) -> None:
    audit = run["leakage"].read_json("leakage.json")
    audit["control"]["models"]["final"] |= {"flagged": False}
    audit["control"] |= {"clean_test_flagged_in_final": True}  # and "holds" still claims that it does
    table = run["evaluate"].read_json("perplexity.json")
    table["sanity"] = [{"check": "final is below unigram", "set": "web_zh", "ok": False, "value": 5.0, "bound": 4.0}]
    sections = Outline(page_with(run, tmp_path, leakage=("leakage.json", audit), evaluate=("perplexity.json", table))).sections
    for name in ("leakage", "summary"):
        assert (
            "not found in the final model" in sections[name] and "clean test items are flagged in the final model" in sections[name]
        )
    for name in ("evaluation", "summary"):
        assert "final is below unigram on Web, Chinese: 5.000, bound 4.000" in " ".join(sections[name].split())


@pytest.mark.parametrize(
    ("flagged", "heldback", "pairs", "told"),
    [
        (True, False, True, "found"),
        (True, True, True, "cannot tell: flagged, but so is the held-back half"),
        (True, False, False, "cannot tell: flagged, but not told from the held-back half"),
        (False, False, True, "not found"),
        (None, None, None, "cannot tell: too few items for an interval"),
    ],
)
def test_planted_items_are_told_by_the_rule_of_the_control(
    run: dict[str, Store], tmp_path: Path, flagged: bool | None, heldback: bool | None, pairs: bool | None, told: str
) -> None:
    """By delta1 of both halves and by the difference of the two, as `holds` is."""
    audit = run["leakage"].read_json("leakage.json")
    for row in audit["control"]["models"].values():
        row |= {"flagged": flagged, "heldback_flagged": heldback, "flagged_paired": pairs}
    page = page_with(run, tmp_path, leakage=("leakage.json", audit))
    assert page.count(f'<td class="words" data-of="canaries">{told}</td>') == len(audit["control"]["models"])


def test_canaries_that_are_flagged_like_the_held_back_half_are_not_called_found(run: dict[str, Store], tmp_path: Path) -> None:
    audit = run["leakage"].read_json("leakage.json")
    audit["control"]["models"]["final"] |= {
        "delta1": -0.143, "delta1_low": -0.216, "delta1_high": -0.071, "flagged": True,
        "heldback_delta1": -0.109, "heldback_delta1_low": -0.176, "heldback_delta1_high": -0.039, "heldback_flagged": True,
    }  # fmt: skip
    sections = Outline(page_with(run, tmp_path, leakage=("leakage.json", audit))).sections
    for name in ("summary", "leakage"):
        assert "The control cannot tell" in sections[name] and "(Δ1 −0.109 [−0.176, −0.039])" in sections[name]
        assert "The control holds" not in sections[name]


def test_both_controls_stand_side_by_side(run: dict[str, Store], tmp_path: Path) -> None:
    section = " ".join(Outline(page_with(run, tmp_path)).sections["leakage"].split())
    for told in (
        "canary − reference",
        "held back − reference",
        "canary − held back, in pairs",
        "The control holds",
        "blind baseline",
    ):
        assert told in section
    assert "−0.620" in section and "0.030" in section and "twin" not in section


def test_an_audit_of_an_earlier_version_is_told_and_not_called_a_control(run: dict[str, Store], tmp_path: Path) -> None:
    audit = run["leakage"].read_json("leakage.json")
    for row in audit["control"]["models"].values():
        for key in [key for key in row if key.startswith("heldback")]:
            row[key.replace("heldback", "twin")] = row.pop(key)
    sections = Outline(page_with(run, tmp_path, leakage=("leakage.json", audit))).sections
    for name in ("summary", "leakage"):
        assert "made by an earlier version, which compared the planted exercises with twins" in sections[name]
    assert "no held-back half was judged" in sections["leakage"]


def test_the_funnel_shows_the_bytes_that_extraction_does_not_keep(run: dict[str, Store], tmp_path: Path) -> None:
    """All pages stay and two thirds of their bytes go: that must not read as 99.9 % kept."""
    ledger = Ledger()
    for stage, size, lost in (("source", 65_700_000, 0), ("extract", 21_400_000, 7)):
        ledger.enter(stage, "手册", "zh", 5933, size)
        ledger.post(stage, "手册", "zh", "", 5933 - lost, size)
        ledger.post(stage, "手册", "zh", "no passages", lost, 0)
    body = Outline(page_with(run, tmp_path, extract=("ledger.json", ledger.to_json()))).sections["corpus"]
    told = " ".join(body.split())
    assert "手册 comes in: 5,933 documents, 65.7 MB" in told and "Source: 65.7 MB go on, 0 B dropped" in told
    assert "Extract: 21.4 MB go on, 44.3 MB dropped" in told and "−44.3 MB (67.4 %)" in told
    assert "Extract · markup, scripts, navigation · not judged 44.3 MB cut from documents that stayed" in told
    assert "Extract · no passages · Chinese 7 documents, 0 B" in told


def test_two_figures_of_one_set_are_explained(run: dict[str, Store], tmp_path: Path, outline: Outline) -> None:
    assert "scored again and again" not in outline.sections["training"]  # the same 30 kB in both
    table = run["evaluate"].read_json("perplexity.json")
    rows = [{**row, "bytes": 40_000 if row["set"] == "web_zh" else 30_000} for row in table["rows"]]
    sections = Outline(page_with(run, tmp_path, evaluate=("perplexity.json", {**table, "rows": rows}))).sections
    assert (
        "These figures are of 30 kB of each set" in sections["training"] and "below scores 30 kB to 40 kB" in sections["training"]
    )
    assert "These figures are of 30 kB to 40 kB of each set." in sections["evaluation"]


def test_differences_are_paired_and_nothing_is_called_best(run: dict[str, Store], tmp_path: Path, text: str) -> None:
    """A row counts (filled) only where the interval of its paired difference excludes zero, whichever model stands first."""
    assert "best" not in text.replace("best-of", "")
    charts = {c: chart for chart in re.findall(r"<svg.*?</svg>", text, re.S) for c in re.findall(r"<title>(.*?)<", chart)[:1]}
    assert charts["Final minus Unigram"].count('class="dot') == 7 and charts["Final minus xz"].count('class="hollow') == 7
    table = run["evaluate"].read_json("perplexity.json")
    turned = {"model": "stage1", "other": "final", "set": "web_zh", "bits_per_byte": -0.3, "bits_per_byte_low": -0.6,
              "bits_per_byte_high": -0.1, "reference_loss": None, "reference_loss_low": None, "reference_loss_high": None}  # fmt: skip
    page = page_with(run, tmp_path, evaluate=("perplexity.json", {**table, "paired": [turned]}))
    assert "Web, Chinese: 0.300 (0.100 to 0.600)" in page and "Final minus Stage 1" in page
    none = page_with(run, tmp_path / "none", evaluate=("perplexity.json", {**table, "paired": []}))
    assert "Final minus" not in none and "not measured" in Outline(none).sections["evaluation"]


def test_an_mfu_stands_beside_its_peak_or_is_left_out(run: dict[str, Store], tmp_path: Path, text: str) -> None:
    assert '<td class="num" data-of="MFU">21.0 %</td><td class="num" data-of="its peak">312 T FLOP/s</td>' in text
    stages = {stage: Store(shutil.copytree(run[stage].path(), tmp_path / stage)) for stage in ("stage1", "stage2")}
    for store in stages.values():  # lines of a processor, or of a version that did not write the peak
        rows = [json.loads(line) for line in store.read_text("telemetry/speed.jsonl").splitlines()]
        store.write_text("telemetry/speed.jsonl", "".join(json.dumps({**row, "peak_flops": None}) + "\n" for row in rows))
    write({**run, **stages}, Store(tmp_path / "out"), ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    training = Outline(english((tmp_path / "out/report.html").read_text("utf-8"))).sections["training"]
    assert "21.0 %" not in training and "An MFU is given where its peak is known" in training


def test_equal_inputs_give_equal_bytes(run: dict[str, Store], page: Path, tmp_path: Path) -> None:
    write(run, Store(tmp_path), ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    assert (tmp_path / "report.html").read_bytes() == page.read_bytes()


def test_broken_evidence_is_named_and_not_passed_over(run: dict[str, Store], tmp_path: Path) -> None:
    for step, name, body, place in (
        ("evaluate", "choice.json", "{", "choice.json"),
        ("corpus", "ledger.json", json.dumps({"intake": [[1]]}), "ledger.json"),
        ("stage1", "metrics.jsonl", '{"stage": "stage1"}\nnonsense\n', "metrics.jsonl, line 2"),
    ):
        broken = Store(tmp_path / step)
        broken.write_text(name, body)
        with pytest.raises(DataError, match=re.escape(place)):
            write({**run, step: broken}, Store(tmp_path / "out"), ReportConfig(), {"name": "x"}, progress=Progress.silent())
    assert not (tmp_path / "out").exists()


def test_rates_that_are_damaged_are_as_good_as_none(tmp_path: Path) -> None:
    stage = Store(tmp_path)
    for broken in ("{坏", "[3]\n", "[" * 100_000):
        stage.write_text("telemetry/speed.jsonl", broken)
        assert evidence.read({"stage1": stage}).speed is None


def test_the_number_of_examples_and_samples_is_a_setting(run: dict[str, Store], tmp_path: Path) -> None:
    write(run, Store(tmp_path), ReportConfig(title="标题", examples=1, samples=1), demo_run.run_facts(), progress=Progress.silent())
    page = (tmp_path / "report.html").read_text("utf-8")
    assert english(page).count('class="text"') == 2 + 2 + 1 and "<h1>标题</h1>" in page  # kept domains, dropped kinds, a sample


def test_location_is_where_a_browser_finds_it(page: Path, tmp_path: Path) -> None:
    assert location(Store(page.parent)) == page.resolve().as_uri()
    with pytest.raises(StorageError, match="does not exist"):
        location(Store(tmp_path / "nowhere"))
