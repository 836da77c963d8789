"""The page holds every figure of the run, escapes what pages hold, says what is missing, and needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
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


@pytest.fixture(scope="module")
def text(page: Path) -> str:
    return page.read_text("utf-8")


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def test_the_sections_stand_in_order_and_none_is_missing(outline: Outline) -> None:
    assert tuple(outline.sections) == SECTIONS
    assert not any("not measured" in body for body in outline.sections.values())
    links = [a["href"] for tag, a in outline.elements if tag == "a"]
    assert links == [f"#{name}" for name in SECTIONS]


def test_the_funnel_shows_every_stage_reason_and_count(run: dict[str, Store], outline: Outline) -> None:
    body = " ".join(outline.sections["corpus"].split())
    for step in ("extract", "corpus"):
        for stage, _, _, reason, documents, _ in run[step].read_json("ledger.json")["counts"]:
            assert stage.replace("_", " ").capitalize() in body
            assert not documents or reason.replace("_", " ") in body
    assert "near copy 190 (760 kB)" in body
    assert "recurring blocks 2.50 kB" in body
    assert "400 joined here" in body
    assert "1,750 in, 1,480 kept (84.6 %)" in body


def test_the_figures_of_the_run_are_on_the_page(run: dict[str, Store], outline: Outline) -> None:
    for row in run["evaluate"].read_json("perplexity.json")["rows"]:
        assert f"{row['bits_per_byte']:.3f}" in outline.sections["evaluation"]
    for row in run["leakage"].read_json("leakage.json")["rows"]:
        assert row["verdict"] in outline.sections["leakage"]
    assert "The control holds: the planted" in outline.sections["leakage"]
    assert outline.sections["evaluation"].count("not shown to be above chance") == 2
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
        assert chart.count('class="dot tone-stage1"') >= 8 and chart.count('class="dot tone-stage2"') >= 8
        assert chart.count('class="band tone-stage1"') == chart.count('class="band tone-stage2"') == 1
        assert '<line class="boundary"' in chart
        assert "<title>Held-out loss" in chart and "<desc>" in chart


def test_other_models_are_dashed_lines_in_our_own_unit(text: str, outline: Outline) -> None:
    """A figure in bits per byte lies where our own curve would have that many: here a nat per token is half a bit per byte."""
    charts = {
        name: chart
        for chart in re.findall(r'<svg class="chart".*?</svg>', text, re.S)
        for name in re.findall(r"<title>(.*?)<", chart)[:1]
    }
    chinese, code = charts["Held-out loss on Web, Chinese"], charts["Held-out loss on Code"]
    assert re.findall(r'class="level tone-(d\d)".*?<title>(.*?)</title>', chinese) == [
        ("d3", "LLaMA2-7B: 5.800"), ("d4", "小模型 &lt;1B&gt;: 6.800"),
    ]  # fmt: skip
    assert "LLaMA2-7B lies at 5.800" in chinese and 'class="level' not in code
    assert "on the same texts: LLaMA2-7B, 小模型 <1B>." in outline.sections["training"]


def test_alarms_skips_and_scores_stand_beside_the_curves(text: str, outline: Outline) -> None:
    body = " ".join(outline.sections["training"].split())
    assert "Stage 1, step 120: " in body and "8 monitoring points" in body
    assert "Left out: 1; the last 1:" in body and "the loss is nan <script>alert(1)</script>" in body
    assert "<script>alert" not in text
    assert body.count("exercises") == 13 and body.count("40.0 %") == 24 and text.count("95 % 22.0 % to 61.0 %; chance 25.0 %") == 24
    assert "arc_easy, acc, 0-shot50 / 2,37634.0 %" in body and "1.2341.100 to 1.400" in body
    assert "wikitext, bits_per_byte, 0-shot621.612" in body and "34.0 %, 95 % 22.5 % to 47.9 %; chance 25.0 %" in text


def test_hostile_text_is_shown_and_not_obeyed(text: str, outline: Outline) -> None:
    assert "<script>document.title" not in text and "<img" not in text
    assert '<script>document.title="owned"' in outline.sections["examples"]
    assert "\x00" not in text and "\\ud800" not in text
    hrefs = [str(v) for _, attrs in outline.elements for k, v in attrs.items() if k in ("href", "src", "action", "srcset")]
    assert all(h.startswith("#") or h == "data:," for h in hrefs)
    assert not any(k.startswith("on") for _, attrs in outline.elements for k in attrs)
    assert [tag for tag, _ in outline.elements].count("script") == 1


def test_only_our_script_may_run_and_nothing_may_be_fetched(text: str) -> None:
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
    found = evidence.Evidence(**{**nothing, "plans": {}, "examples": {"kept": [row], "dropped": []}})
    page = render(found, ReportConfig(), {"name": body})
    page.encode("utf-8")
    outline = Outline(page)
    assert tuple(outline.sections) == SECTIONS
    assert [tag for tag, _ in outline.elements].count("script") == 1


def test_what_was_not_measured_says_so(tmp_path: Path) -> None:
    write({}, Store(tmp_path), ReportConfig(), {"name": "空"}, progress=Progress.silent())
    outline = Outline((tmp_path / "report.html").read_text("utf-8"))
    assert tuple(outline.sections) == SECTIONS
    assert all("not measured" in body for body in outline.sections.values())


@pytest.mark.parametrize("missing", demo_run.STEPS)
def test_any_step_may_be_missing(run: dict[str, Store], tmp_path: Path, missing: str) -> None:
    some = {name: store for name, store in run.items() if name != missing}
    write(some, Store(tmp_path), ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    assert tuple(Outline((tmp_path / "report.html").read_text("utf-8")).sections) == SECTIONS


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
    return (tmp_path / "out/report.html").read_text("utf-8")


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
    assert page.count(f'<td class="words">{told}</td>') == len(audit["control"]["models"])


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
    for told in ("Δ1 with the planted half", "Δ1 with the held-back half", "planted minus held back", "The control holds"):
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
    assert "5,933 in, 5,933 kept (100.0 %) · 65.7 MB in, 65.7 MB kept (100.0 %)" in told
    assert "5,933 in, 5,926 kept (99.9 %) · 65.7 MB in, 21.4 MB kept (32.6 %)" in told
    assert "44.3 MB of the pages is not in their text" in told


def test_two_figures_of_one_set_are_explained(run: dict[str, Store], tmp_path: Path, outline: Outline) -> None:
    assert "scored again and again" not in outline.sections["training"]  # the same 30 kB in both
    table = run["evaluate"].read_json("perplexity.json")
    rows = [{**row, "bytes": 40_000 if row["set"] == "web_zh" else 30_000} for row in table["rows"]]
    sections = Outline(page_with(run, tmp_path, evaluate=("perplexity.json", {**table, "rows": rows}))).sections
    assert (
        "These figures are of 30 kB of each set" in sections["training"] and "below scores 30 kB to 40 kB" in sections["training"]
    )
    assert "These figures are of 30 kB to 40 kB of each set." in sections["evaluation"]


def test_best_is_marked_only_beyond_chance(run: dict[str, Store], tmp_path: Path) -> None:
    """Stage 1 has the lower figures everywhere; the paired differences decide whether that is said in bold."""
    table = run["evaluate"].read_json("perplexity.json")
    assert 'class="num best"' not in page_with(run, tmp_path / "none", evaluate=("perplexity.json", {**table, "paired": []}))

    def pair(other: str, name: str | None, high: float) -> dict[str, object]:
        return {"model": "stage1", "other": other, "set": name,
                "bits_per_byte": -0.3, "bits_per_byte_low": -0.6, "bits_per_byte_high": high,
                "reference_loss": None, "reference_loss_low": None, "reference_loss_high": None}  # fmt: skip

    others = ("final", "unigram", "xz")
    paired = [pair(other, "web_zh", -0.1) for other in others]
    paired += [pair(other, "web_en", 0.1 if other == "final" else -0.1) for other in others]  # final: within chance
    paired += [pair(other, "code", -0.1) for other in others[:2]]  # nothing is known of xz
    page = page_with(run, tmp_path / "some", evaluate=("perplexity.json", {**table, "paired": paired}))
    rows = re.findall(r'<th scope="row" class="name">([^<]*)</th>(<td class="num[^\n]*)', page)
    assert [(name, re.findall(r'num best">([^<]*)', cells)) for name, cells in rows if "best" in cells] == [
        ("Web, Chinese", ["1.950"])
    ]


def test_an_mfu_stands_beside_its_peak_or_is_left_out(run: dict[str, Store], tmp_path: Path, text: str) -> None:
    assert '<td class="num">21.0 %</td><td class="num">312 T FLOP/s</td>' in text
    stages = {stage: Store(shutil.copytree(run[stage].path(), tmp_path / stage)) for stage in ("stage1", "stage2")}
    for store in stages.values():  # lines of a processor, or of a version that did not write the peak
        rows = [json.loads(line) for line in store.read_text("telemetry/speed.jsonl").splitlines()]
        store.write_text("telemetry/speed.jsonl", "".join(json.dumps({**row, "peak_flops": None}) + "\n" for row in rows))
    write({**run, **stages}, Store(tmp_path / "out"), ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    training = Outline((tmp_path / "out/report.html").read_text("utf-8")).sections["training"]
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
    assert page.count('class="text"') == 1 + 4 and "<h1>标题</h1>" in page


def test_location_is_where_a_browser_finds_it(page: Path, tmp_path: Path) -> None:
    assert location(Store(page.parent)) == page.resolve().as_uri()
    with pytest.raises(StorageError, match="does not exist"):
        location(Store(tmp_path / "nowhere"))
