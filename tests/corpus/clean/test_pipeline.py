"""The clean stage as a whole, on a small made corpus in which every filter has something to do."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console
from tests.planted.distribution import families, planted, prose

from skyloom.core.config import build
from skyloom.core.engine import Engine
from skyloom.core.errors import DataError, IntegrityError, StorageError
from skyloom.core.ledger import Ledger
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, EXTRACTED, domain_of, record_id
from skyloom.core.store import Store
from skyloom.corpus import candidates
from skyloom.corpus.clean.funnel import DROPPED, EXEMPT, Funnel, check_chain
from skyloom.corpus.clean.stage import STAGES, CleanConfig, clean
from skyloom.corpus.sources.config import SourcePolicy

EN = (
    "river mountain valley market teacher engine letter winter garden window story music silver bridge harbour morning evening "
    "carries follows builds remembers paints crosses answers gathers repairs watches slowly quietly often never almost"
).split()
ZH = "山水城市清晨河流老师工人书信冬天花园窗户故事音乐银色桥梁港口傍晚带走跟随建造记得描绘穿过回答收集修理看见慢慢安静"
POLICIES = {name: SourcePolicy(("en", "zh-Hans"), ()) for name in ("site", "second", "repository")}


def sentence(rng: random.Random, lang: str) -> str:
    if lang == "en":
        words = [w for _ in range(4) for w in (rng.choice(["the", "a", "of the", "and the"]), rng.choice(EN), rng.choice(EN))]
        return " ".join(words).capitalize() + "."
    return "".join("".join(rng.choice(ZH) for _ in range(5)) + rng.choice("的是在和") for _ in range(4)) + "。"


def paragraph(key: str, lang: str) -> str:
    rng = random.Random(key)
    return ("" if lang == "zh-Hans" else " ").join(sentence(rng, lang) for _ in range(4))


def page(name: str, lang: str, blocks: list[str], **more: Any) -> dict[str, Any]:
    row = {"id": record_id(name), "source": "site", "category": "web", "kind": "html", "url": f"https://site/{name}", "date": None,
           "license": None, "title": None, "lang": lang, "lang_score": 1.0, "blocks": blocks, "tags": ["p"] * len(blocks),
           "bytes_in": 1, "reason": None, "meta": "{}"}  # fmt: skip
    return {**row, **more}


def document(name: str, lang: str, text: str, category: str, split: str = "train") -> dict[str, Any]:
    return {"id": record_id(name), "text": text, "lang": lang, "source": category, "domain": domain_of(category, lang), "category": category,
            "url": name, "date": None, "license": None, "split": split, "meta": "{}"}  # fmt: skip


def pages() -> list[dict[str, Any]]:
    rows = []
    for lang, menu in (("en", "Home | News | About"), ("zh-Hans", "首页 | 新闻 | 关于")):
        for k in range(60):
            rows.append(page(f"{lang}{k}", lang, [menu, paragraph(f"{lang}{k}a", lang), paragraph(f"{lang}{k}b", lang)]))
        twin = rows[-1]["blocks"]
        rows.append(page(f"{lang}-twin", lang, [*twin]))
        rows.append(page(f"{lang}-near", lang, [*rows[-3]["blocks"], "Updated today." if lang == "en" else "今天更新。"]))
        rows.append(page(f"{lang}-short", lang, ["Nothing." if lang == "en" else "没有。"]))
        rows.append(page(f"{lang}-mail", lang, [menu, paragraph(f"{lang}-mail", lang), "jane@mail.skyland.org"]))
        rows.append(page(f"{lang}-lost", lang, [paragraph("lost", lang)], reason="language: other"))
    rows.append(page("spam", "zh-Hans", ["加微信领取资料，日赚三百，带你刷单，贷款秒批，名额有限，先到先得，今天就来找我们吧。"]))
    for k in range(12):
        body = f"def {EN[k]}(value):\n    total = value + {k}\n" + "\n".join(f"    total += {w}_{k}(value)" for w in EN[k : k + 12])
        rows.append(page(f"code{k}.py", "code", [body], source="repository", kind="code", category="code"))
    rows.append(
        page("big.json", "code", ['{\n "key": "some words of data",\n' * 40], source="repository", kind="code", category="code")
    )
    return rows


def exercise(lang: str, k: int, split: str) -> dict[str, Any]:
    text = (
        f"Ann has {k} apples and gets {k + 3} more. How many? Answer: {2 * k + 3}"
        if lang == "en"
        else f"小明有{k}个苹果，又得到{k + 3}个，共有几个？答：{2 * k + 3}"
    )
    return document(f"exercise-{lang}-{split}-{k}", lang, text, "stem", split)


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Store, Store, Store]:
    extracted, parallel, exercises = (Store(tmp_path / name) for name in ("extracted", "parallel", "exercises"))
    rows = pages()
    for number in range(2):
        extracted.write_table(f"extracted-{number:05d}.parquet", pa.Table.from_pylist(rows[number::2], schema=EXTRACTED))
    pairs = [
        document(f"pair{k}", "en", paragraph(f"en{k}a", "en") + "\n\n" + paragraph(f"zh-Hans{k}a", "zh-Hans"), "parallel")
        for k in range(20)
    ]
    parallel.write_table("parallel-00000.parquet", pa.Table.from_pylist(pairs, schema=DOCUMENT))
    for first, split in ((0, "train"), (100, "valid"), (200, "test"), (300, "canary")):
        items = [exercise(lang, first + k, split) for lang in ("en", "zh-Hans") for k in range(20)]
        exercises.write_table(f"exercises-{split}.parquet", pa.Table.from_pylist(items, schema=DOCUMENT))
    return extracted, parallel, exercises


CONFIG = build(CleanConfig, {"minimum_documents": 50, "heldout_documents": {"minimum": 5}, "shard_bytes": 20000}, origin="test")


def run(
    inputs: tuple[Store, Store, Store], out: Path, config: CleanConfig = CONFIG, workers: int = 0, policies: Any = POLICIES
) -> Store:
    store = Store(out)
    clean(*inputs, store, config, policies, engine=Engine(workers), progress=Progress.silent())
    return store


def rows_of(store: Store, prefix: str) -> list[dict[str, Any]]:
    return [row for name in store.names(prefix) for row in store.read_table(name).to_pylist()]


def test_every_planted_document_meets_its_gate(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    out = run(inputs, tmp_path / "out")
    documents, dropped = rows_of(out, "documents-"), rows_of(out, "dropped-")
    fate = {row["id"]: (row["stage"], row["reason"]) for row in dropped}
    for lang in ("en", "zh-Hans"):
        twins = [fate.get(record_id(name)) for name in (f"{lang}-twin", f"{lang}59")]
        assert twins.count(("exact-duplicates", "exact duplicate")) == 1
        near = [fate.get(record_id(name)) for name in (f"{lang}-near", f"{lang}58")]
        assert near.count(("near-duplicates", "near-duplicate")) == 1
        assert fate[record_id(f"{lang}-short")] == ("rules", "too short")
        assert record_id(f"{lang}-lost") not in fate, "what extraction dropped is in its ledger"
    assert fate[record_id("spam")] == ("quality", "advertising")
    assert fate[record_id("big.json")] == ("quality", "code: more of a data format than its share")
    assert {"exact duplicate", "near-duplicate", "near a held-out document"} <= {reason for _, reason in fate.values()}
    texts = {row["id"]: row["text"] for row in documents}
    assert not any("Home | News" in t or "首页 | 新闻" in t for t in texts.values())
    assert all("mail.skyland.org" not in t for t in texts.values())
    assert sum("<EMAIL>" in t for t in texts.values()) == 2
    assert out.read_json("redaction.json")["email"] == 2


def test_nothing_is_lost_and_the_ledger_balances(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    out = run(inputs, tmp_path / "out")
    documents, dropped = rows_of(out, "documents-"), rows_of(out, "dropped-")
    came = [r["id"] for r in pages() if r["reason"] is None] + [record_id(f"pair{k}") for k in range(20)]
    came += [
        exercise(lang, f + k, s)["id"] for lang in ("en", "zh-Hans") for f, s in ((0, "train"), (100, "valid")) for k in range(20)
    ]
    assert sorted(r["id"] for r in documents + dropped) == sorted(came)
    ledger = Ledger.from_json(out.read_json("ledger.json"))
    ledger.check()
    assert tuple(ledger.stages()) == STAGES
    assert ledger.totals("held-out")[""] == (len(documents), sum(len(r["text"].encode()) for r in documents))
    assert sum(d for stage in STAGES for reason, (d, _) in ledger.totals(stage).items() if reason) == len(dropped)
    removed, bytes_removed = ledger.totals("distribution")["recurring block"]
    assert removed == 0 and bytes_removed > 100 * len("Home | News | About")
    exempt = {(e.stage, e.source) for e in ledger.entries() if e.reason == EXEMPT}
    assert {("near-duplicates", "stem"), ("distribution", "stem"), ("distribution", "parallel")} <= exempt


def test_what_is_written_keeps_the_contract(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    out = run(inputs, tmp_path / "out")
    shards = out.names("documents-")
    assert len(shards) > 1
    assert all(out.read_table(n).schema.equals(DOCUMENT) for n in shards)
    assert out.read_table(out.names("dropped-")[0]).schema.equals(DROPPED)
    documents, dropped = rows_of(out, "documents-"), rows_of(out, "dropped-")
    valid = {r["domain"] for r in documents if r["split"] == "valid"}
    assert valid == {"web_en", "web_zh", "stem_en", "stem_zh", "parallel", "code"}
    assert {r["split"] for r in documents} == {"train", "valid"}
    stems = [r for r in documents if r["domain"].startswith("stem")]
    assert sum(r["split"] == "valid" for r in stems) == 40, "exercises keep their own held-out part"
    mixture = out.read_json("mixture.json")
    assert sum(r["documents"] for r in mixture["rows"]) == sum(r["split"] == "train" for r in documents)
    assert sum(v["bytes"] for v in mixture["valid"].values()) == sum(
        len(r["text"].encode()) for r in documents if r["split"] == "valid"
    )
    examples = out.read_json("examples.json")
    assert {r["domain"] for r in examples["kept"]} == {r["domain"] for r in documents}
    assert {(r["stage"], r["reason"]) for r in examples["dropped"]} == {(r["stage"], r["reason"]) for r in dropped}
    assert all(len(r["text"]) <= 600 for part in examples.values() for r in part)
    assert all(len([r for r in examples["kept"] if r["domain"] == d]) <= CONFIG.examples for d in valid)


def test_documents_are_nfc(inputs: tuple[Store, Store, Store]) -> None:
    extracted = Store(inputs[0].root + "-nfd")
    rows = [page("nfd", "en", ["Cafe\u0301 \u1112\u1161\u11ab", "汉字"]), page("bare", "en", [])]
    extracted.write_table("extracted-00000.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))
    table = pa.concat_tables([candidates.read(shard) for shard in candidates.shards(extracted, inputs[1], inputs[2])])
    assert table.column("text").to_pylist()[:2] == ["Caf\u00e9 \ud55c\n\n汉字", ""]
    assert table.column("blocks").to_pylist()[:2] == [["Caf\u00e9 \ud55c", "汉字"], []]


def test_no_copy_of_a_heldout_page_is_trained_on(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    documents = rows_of(run(inputs, tmp_path / "out"), "documents-")
    held = [p for r in documents if r["split"] == "valid" and not r["domain"].startswith("stem") for p in r["text"].split("\n\n")]
    training = [r["text"] for r in documents if r["split"] == "train"]
    assert len(held) > 20
    assert not [p for p in held if len(p) > 60 and any(p in t for t in training)]


def test_the_bytes_do_not_depend_on_the_workers(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    one, three = run(inputs, tmp_path / "one", workers=0), run(inputs, tmp_path / "three", workers=3)
    names = [n for n in one.names() if not n.startswith("receipts/")]
    assert names == [n for n in three.names() if not n.startswith("receipts/")]
    assert [one.describe(n) for n in names] == [three.describe(n) for n in names]


def test_policies_exempt_their_sources(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    policies = {"site": SourcePolicy(("en", "zh-Hans"), ("near-duplicates", "templates", "quality"))}
    out = run(inputs, tmp_path / "out", policies=policies)
    documents, dropped = rows_of(out, "documents-"), rows_of(out, "dropped-")
    assert not {"near-duplicate", "advertising"} & {r["reason"] for r in dropped}
    assert any("Home | News" in r["text"] for r in documents)
    assert record_id("spam") in {r["id"] for r in documents}


def test_repeated_lines_and_runs_are_cut_where_they_are_asked_for(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    quotes = {lang: paragraph(f"quote {lang}", lang) for lang in ("en", "zh-Hans")}
    rows = []
    for lang, quote in quotes.items():
        for k in range(3):
            rows.append(page(f"{lang}-quotes{k}", lang, [paragraph(f"{lang}-own{k}", lang), f"{k}. {quote} ({k})"]))
        rows.append(page(f"{lang}-only", lang, [quote, f"{EN[3]} {ZH[:4]}"]))
    more = Store(tmp_path / "more")
    for name in inputs[0].names("extracted-"):
        more.write_table(name, inputs[0].read_table(name))
    more.write_table("extracted-00002.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))
    asked = {
        "minimum_documents": 50,
        "heldout_documents": {"minimum": 5},
        "repeats": {"repeated_lines": True, "repeated_runs": True, "run": 12},
    }
    out = run((more, *inputs[1:]), tmp_path / "out", build(CleanConfig, asked, origin="test"))
    documents, dropped = rows_of(out, "documents-"), rows_of(out, "dropped-")
    for lang, quote in quotes.items():
        pages_with = [r["id"] for r in documents if quote in r["text"] and r["category"] == "web"]
        assert len(pages_with) == 1, "the first place keeps it"
        fate = {r["id"]: (r["stage"], r["reason"]) for r in dropped}
        assert fate[record_id(f"{lang}-only")] == ("repeats", "too short without its repeated text")
    ledger = Ledger.from_json(out.read_json("ledger.json"))
    ledger.check()
    assert tuple(ledger.stages()) == (*STAGES[:6], "repeats", *STAGES[6:])
    assert ledger.totals("repeats")["repeated text"][1] > sum(len(q.encode()) for q in quotes.values())
    assert any(e.stage == "repeats" and e.source == "stem" and e.reason == EXEMPT for e in ledger.entries())
    again = run((more, *inputs[1:]), tmp_path / "three", build(CleanConfig, asked, origin="test"), workers=3)
    assert [out.describe(n) for n in out.names("documents-")] == [again.describe(n) for n in again.names("documents-")]


def test_too_few_documents_say_so(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    config = build(CleanConfig, {"minimum_documents": 5000}, origin="test")
    with pytest.raises(DataError, match=r"\d+ training documents .* \d+ .*corpus\.clean\.minimum_documents"):
        run(inputs, tmp_path / "out", config)
    empty = Store(tmp_path / "empty")
    with pytest.raises(DataError, match=r"no document.*extract"):
        run((empty, empty, empty), tmp_path / "none")


def test_a_corpus_without_chinese_warns(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    english, empty = Store(tmp_path / "english"), Store(tmp_path / "empty")
    rows = [r for r in pages() if r["lang"] == "en"]
    english.write_table("extracted-00000.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))
    said = io.StringIO()
    config = build(CleanConfig, {"minimum_documents": 10}, origin="test")
    clean(
        english,
        empty,
        empty,
        Store(tmp_path / "out"),
        config,
        POLICIES,
        engine=Engine(),
        progress=Progress(Console(file=said, width=200)),
    )
    warned = [line for line in said.getvalue().splitlines() if "no Chinese" in line]
    assert any("site" in line for line in warned) and any("corpus" in line for line in warned)
    assert "no English" not in said.getvalue()


def test_a_stage_that_receives_something_else_is_found_out() -> None:
    row = dict.fromkeys(("id", "text", "lang", "source", "domain", "url"), "x")
    funnel = Funnel(pa.Table.from_pylist([row, row]))
    funnel.filter("one", pa.array([None, "bad"], pa.string()))
    funnel.table = pa.Table.from_pylist([row, row])
    funnel.filter("two", pa.array([None, None], pa.string()))
    with pytest.raises(IntegrityError, match=r"\btwo\b.*receive"):
        check_chain(funnel.ledger)


def test_benchmark_items_leave_the_corpus(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    leaked = {lang: paragraph(f"{lang}{k}b", lang) for lang, k in (("en", 3), ("zh-Hans", 5))}
    items = tmp_path / "exam.jsonl"
    items.write_text("".join(json.dumps({"id": lang, "question": text}) + "\n" for lang, text in leaked.items()), encoding="utf-8")
    config = build(
        CleanConfig,
        {
            "minimum_documents": 50,
            "heldout_documents": {"minimum": 5},
            "decontaminate": {"sets": [{"name": "exam", "path": str(items), "text": ["question"]}]},
        },
        origin="test",
    )
    out = run(inputs, tmp_path / "out", config)
    fate = {row["id"]: (row["stage"], row["reason"]) for row in rows_of(out, "dropped-")}
    for name in ("en3", "zh-Hans5"):
        assert fate[record_id(name)] == ("decontamination", "contaminated: exam")
    spans = rows_of(out, "contamination-")
    assert {(row["item"], row["document"]) for row in spans} >= {("en", record_id("en3")), ("zh-Hans", record_id("zh-Hans5"))}
    assert "decontamination" in Ledger.from_json(out.read_json("ledger.json")).stages()


EXAM = {
    "en": "1. A train goes {a} km in 2 hours. How many kilometres does it go in one hour?\nAnswer: {a} / 2 = {b}. It goes {b} km.\n\n"
    "2. Tom has {a} apples and gives away {b}. How many apples are left?\nAnswer: {a} - {b} = {b}. He has {b} apples.",
    "zh-Hans": "1. 一列火车2小时行驶{a}千米，平均每小时行驶多少千米？\n解：{a}÷2={b}（千米）。答：平均每小时行驶{b}千米。\n\n"
    "2. 小明有{a}个苹果，送给小红{b}个，还剩多少个？\n解：{a}-{b}={b}（个）。答：还剩{b}个。",
}


def test_exercises_in_pages_become_documents_of_their_own(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    extracted = inputs[0]
    rows = [page(f"exam-{lang}", lang, EXAM[lang].format(a=120, b=60).split("\n\n")) for lang in EXAM]
    extracted.write_table("extracted-00002.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))
    out = run(inputs, tmp_path / "out")
    fate = {row["id"]: row["reason"] for row in rows_of(out, "dropped-")}
    found = [row for row in rows_of(out, "documents-") if "exercise_of" in json.loads(row["meta"])]
    for lang in EXAM:
        name = record_id(f"exam-{lang}")
        assert fate[name] == "split off as exercises"
        mine = [row for row in found if json.loads(row["meta"])["exercise_of"] == name]
        assert len(mine) == 2 and all(row["category"] == "stem" and row["domain"] == domain_of("stem", lang) for row in mine)
        assert all(json.loads(row["meta"])["solution"] for row in mine)
    ledger = Ledger.from_json(out.read_json("ledger.json"))
    check_chain(ledger)
    assert ledger.totals("exercises")["joined from what was split off"][0] == -len(found) == -4


def test_learned_judges_drop_what_is_unlike_the_reference(inputs: tuple[Store, Store, Store], tmp_path: Path) -> None:
    extracted = inputs[0]
    good = [
        page(f"ref-{lang}{k}", lang, [paragraph(f"r{lang}{k}", lang)], source="reference")
        for lang in ("en", "zh-Hans")
        for k in range(60)
    ]
    rng = random.Random(1)
    noise = {"en": "zq xv wk jj pf gh bv ty nm lo".split(), "zh-Hans": "龘靐齉爩鱻麤龗灪吁龖厵滟爨癵籱饢"}
    bad = [
        page(
            f"bad-{lang}{k}",
            lang,
            [
                ("" if lang == "zh-Hans" else " ").join(
                    rng.choice([*noise[lang], "the" if lang == "en" else "的"]) for _ in range(120)
                )
                + "."
            ],
        )
        for lang in noise
        for k in range(60)
    ]
    extracted.write_table("extracted-00002.parquet", pa.Table.from_pylist(good + bad, schema=EXTRACTED))
    judges = {"reference": ["reference"], "groups": {"keep": ["high", "middle"]}}
    config = build(
        CleanConfig, {"minimum_documents": 50, "heldout_documents": {"minimum": 5}, "quality": {"judges": judges}}, origin="test"
    )
    out = run(inputs, tmp_path / "out", config, policies={**POLICIES, "reference": SourcePolicy(("en", "zh-Hans"), ())})
    low = {row["id"] for row in rows_of(out, "dropped-") if row["stage"] == "groups"}
    assert all(row["reason"] == "low quality group" for row in rows_of(out, "dropped-") if row["stage"] == "groups")
    for lang in noise:
        came = {record_id(f"bad-{lang}{k}") for k in range(60)} - {
            row["id"] for row in rows_of(out, "dropped-") if row["stage"] != "groups"
        }
        assert came and len(came & low) >= 0.9 * len(came)
        assert not {record_id(f"ref-{lang}{k}") for k in range(60)} & low
    assert Ledger.from_json(out.read_json("ledger.json")).stages().index("groups") < len(STAGES)


def test_blocks_that_recur_in_meaning_are_thinned(tmp_path: Path) -> None:
    """Five templates and two hundred passages on as many topics: the templates are thinned, the passages stay."""
    rows, names = [], families("all")
    for lang, code in (("en", "en"), ("zh", "zh-Hans")):
        for family in names[:3]:
            for k, item in enumerate(planted(family, lang, "slots", 120, 1)):
                rows.append(page(f"spun-{lang}-{family}{k}", code, list(item.blocks)))
        for family in names:
            rows += [page(f"prose-{lang}-{family}{k}", code, list(item.blocks)) for k, item in enumerate(prose(family, lang))]
    extracted, empty = Store(tmp_path / "extracted"), Store(tmp_path / "empty")
    for number in range(2):
        extracted.write_table(f"extracted-{number:05d}.parquet", pa.Table.from_pylist(rows[number::2], schema=EXTRACTED))
    table = {"minimum_documents": 1, "meaning": {"wanted": True}, "distribution": {"minimum_documents": 10_000}}
    table["duplicates"] = {"threshold": 1.0}
    out = run((extracted, empty, empty), tmp_path / "out", build(CleanConfig, table, origin="test"))
    lost = {row["id"] for row in rows_of(out, "dropped-") if row["stage"] == "distribution"}
    spun = {row["id"] for row in rows if "/spun-" in row["url"]}
    assert len(lost & spun) >= 0.8 * len(spun), "what recurs in meaning leaves its documents empty"
    assert lost <= spun, "prose on the same topics stays"
    assert {row["source"] for row in rows_of(out, "blocks.parquet")} == {"site"}


class Vandal(Engine):
    """Deletes a working file of the stage just before a phase reads it."""

    def map(self, function: Any, tasks: Any, out: Store, *, label: str, **more: Any) -> list[Any]:
        if label == "judge":
            out.remove("prepared-00001.parquet")
        return super().map(function, tasks, out, label=label, **more)


def test_a_shard_deleted_under_a_running_job_is_named_and_the_next_run_mends_it(
    inputs: tuple[Store, Store, Store], tmp_path: Path
) -> None:
    out = Store(tmp_path / "out")
    with pytest.raises(StorageError, match=r"prepared-00001\.parquet"):
        clean(*inputs, out, CONFIG, POLICIES, engine=Vandal(0), progress=Progress.silent())
    assert not out.names("documents-"), "nothing half-written"
    mended, whole = run(inputs, tmp_path / "out"), run(inputs, tmp_path / "whole")
    names = [n for n in whole.names() if not n.startswith("receipts/")]
    assert names == [n for n in mended.names() if not n.startswith("receipts/")]
    assert [whole.describe(n) for n in names] == [mended.describe(n) for n in names]
