"""Filters of one's own in the clean stage: a third-party package of fifteen lines, in every engine, in the ledger by reason."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.corpus.clean.test_pipeline import CONFIG, POLICIES, inputs, page, paragraph, rows_of  # noqa: F401
from tests.corpus.filters.test_own import install

from skyloom.core.engine import Engine, Task
from skyloom.core.ledger import Ledger
from skyloom.core.progress import Progress
from skyloom.core.records import EXTRACTED, record_id
from skyloom.core.store import Store
from skyloom.corpus import candidates
from skyloom.corpus.clean.config import CleanConfig, CleanJob
from skyloom.corpus.clean.order import ORDER
from skyloom.corpus.clean.phase_results import PhaseInput, Prepared
from skyloom.corpus.clean.phases import prepare
from skyloom.corpus.clean.stage import clean
from skyloom.corpus.filters import FilterConfig, FilterError, resolve

Inputs = tuple[Store, Store, Store]
NAME = "third_party"
PACKAGE = '''
"""Documents about apples leave, by reason; the word "quietly" and 「慢慢」 leave the others."""
import pyarrow as pa
import pyarrow.compute as pc

def judge(table: pa.Table, settings: dict) -> pa.Array:
    found = pc.match_substring_regex(table["text"], settings["pattern"])
    return pc.if_else(found, pc.binary_join_element_wise("apples", table["lang"], ": "), None)

def calm(table: pa.Table, settings: dict) -> pa.Array:
    return pc.replace_substring_regex(table["text"], "quietly|慢慢", "")

def broken(table: pa.Table, settings: dict) -> pa.Array:
    raise LookupError("没有词表")

judge.version = calm.version = broken.version = "1"
calm.gives = "texts"
'''
JUDGE = FilterConfig(f"{NAME}:judge", settings={"pattern": "[Aa]pple|苹果"})
CALM = FilterConfig(f"{NAME}:calm", after="rules")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package on the path of this process and of those that it starts."""
    install(tmp_path / "site", NAME, PACKAGE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))


def with_apples(inputs: Inputs) -> None:  # noqa: F811
    rows = [
        page(f"apple-{lang}", lang, [paragraph(f"apple-{lang}", lang), word])
        for lang, word in (("en", "An apple a day."), ("zh-Hans", "一天一个苹果。"))
    ]
    inputs[0].write_table("extracted-00009.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))


def run(inputs: Inputs, out: Path, *filters: FilterConfig, config: CleanConfig = CONFIG, engine: Engine | None = None) -> Store:  # noqa: F811
    store = Store(out)
    engine = engine or Engine()
    clean(*inputs, store, config, POLICIES, engine=engine, progress=Progress.silent(), own=resolve(filters))
    return store


def test_a_package_of_fifteen_lines(inputs: Inputs, package: None, tmp_path: Path) -> None:  # noqa: F811
    with_apples(inputs)
    out = run(inputs, tmp_path / "local", JUDGE, CALM)
    dropped = {row["id"]: (row["stage"], row["reason"]) for row in rows_of(out, "dropped-")}
    for lang in ("en", "zh-Hans"):
        assert dropped[record_id(f"apple-{lang}")] == ("judge", f"apples: {lang}")
    ledger = Ledger.from_json(out.read_json("ledger.json"))
    assert ledger.stages() == ["rules", "calm", *ORDER[2:7], "judge", "redaction", "held-out"]
    assert {reason: n for reason, (n, _) in ledger.totals("judge").items() if reason.startswith("apples")} == {
        "apples: en": 1,
        "apples: zh-Hans": 1,
    }
    assert ledger.totals("calm")["text changed"][1] > 0, "bytes that a filter takes out of documents that stay"
    pages = [row for row in rows_of(out, "documents-") if row["category"] == "web" and row["split"] == "train"]
    assert pages and not any("quietly" in row["text"] or "慢慢" in row["text"] for row in pages)
    assert not any("首页 | 新闻" in row["text"] for row in pages), "blocks of a changed text are still counted and cut"


def prepared(inputs: Inputs, out: Store, engine: Engine, *filters: FilterConfig) -> dict[str, bytes]:  # noqa: F811
    """What the first phase leaves of all shards, with filters in it, on an engine."""
    job = CleanJob(CONFIG, POLICIES, resolve(filters))
    tasks = [Task(f"{k:05d}", PhaseInput(job, shard)) for k, shard in enumerate(candidates.shards(*inputs))]
    engine.map(prepare, tasks, out, progress=Progress.silent(), label="rules", result=Prepared)
    return {name: out.read_bytes(name) for name in out.names() if not name.startswith("receipts/")}


@pytest.mark.parametrize("kind", ["pool", pytest.param("ray", marks=pytest.mark.xdist_group("ray"))])
def test_other_engines_write_the_same_and_name_what_fails(inputs: Inputs, package: None, tmp_path: Path, kind: str) -> None:  # noqa: F811
    with_apples(inputs)
    judge = replace(JUDGE, after="rules")
    engine = Engine(2)
    if kind == "ray":
        pytest.importorskip("ray")
        from skyloom.core.engine_ray import RayEngine

        engine = RayEngine(2)
    try:
        found = prepared(inputs, Store(tmp_path / kind), engine, judge, CALM)
        broken = FilterConfig(f"{NAME}:broken", after="rules")
        with pytest.raises(FilterError, match=rf"broken \({NAME}:broken\), on shard 0000\d, failed with LookupError: 没有词表$"):
            prepared(inputs, Store(tmp_path / "broken"), engine, broken)
    finally:
        engine.close()
    assert found == prepared(inputs, Store(tmp_path / "local"), Engine(), judge, CALM)
    dropped = [row for name in found if "dropped" in name for row in Store(tmp_path / kind).read_table(name).to_pylist()]
    assert {row["reason"] for row in dropped if row["stage"] == "judge"} == {"apples: en", "apples: zh-Hans"}


def test_it_may_come_after_every_filter(inputs: Inputs, package: None, tmp_path: Path) -> None:  # noqa: F811
    """One run with a filter after each built-in one, each of which has a document of its own to drop and a word to take out."""
    places = [name for name in ORDER if name != "exact-duplicates"]
    rows, filters = [], []
    for after in places:
        for lang, word in (("en", f"Fruit of {after}."), ("zh-Hans", f"果子{after}。")):
            rows.append(page(f"{after}-{lang}", lang, [paragraph(f"{after}-{lang}", lang), word]))
        filters.append(replace(JUDGE, name=f"own-{after}", after=after, settings={"pattern": f"(Fruit of |果子){after}[.。]"}))
    inputs[0].write_table("extracted-00009.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))
    config = replace(CONFIG, repeats=replace(CONFIG.repeats, repeated_lines=True))
    out = run(inputs, tmp_path / "out", *filters, replace(CALM, after="held-out"), config=config)
    stages = Ledger.from_json(out.read_json("ledger.json")).stages()
    for after in places:
        assert after not in stages or stages.index(f"own-{after}") == stages.index(after) + 1
    dropped = {row["id"]: row["stage"] for row in rows_of(out, "dropped-")}
    names = {f"{after}-{lang}": f"own-{after}" for after in places for lang in ("en", "zh-Hans")}
    kept = {row["id"] for row in rows_of(out, "documents-")}
    assert all(dropped.get(record_id(name), "held-out") in (stage, "held-out") for name, stage in names.items())
    assert not kept & {record_id(name) for name in names}
    texts = pa.array([row["text"] for row in rows_of(out, "documents-") if row["category"] == "web"])
    assert not pc.any(pc.match_substring_regex(texts, "quietly|慢慢")).as_py()


def test_a_text_of_which_nothing_is_left_is_dropped_with_a_reason(inputs: Inputs, package: None, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "site" / "empties.py").write_text(
        '__version__ = "1"\nimport pyarrow.compute as pc\ndef empty(table, s):\n'
        '    return pc.if_else(pc.match_substring_regex(table["text"], "apple|苹果"), "", None)\n',
        encoding="utf-8",
    )
    with_apples(inputs)
    out = run(inputs, tmp_path / "out", FilterConfig("empties:empty", gives="texts", after="rules"))
    dropped = {row["id"]: (row["stage"], row["reason"]) for row in rows_of(out, "dropped-")}
    assert {dropped[record_id(f"apple-{lang}")] for lang in ("en", "zh-Hans")} == {("empty", "no text is left")}


def test_a_short_and_reordered_list(inputs: Inputs, tmp_path: Path) -> None:  # noqa: F811
    order = ("exact-duplicates", "quality", "distribution", "rules", "redaction")
    out = run(inputs, tmp_path / "out", config=replace(CONFIG, order=order))
    assert Ledger.from_json(out.read_json("ledger.json")).stages() == list(order)
    rows = rows_of(out, "documents-")
    assert {row["split"] for row in rows if row["category"] == "web"} == {"train"}, "nothing is held out"
    assert {row["split"] for row in rows if row["category"] == "stem"} == {"train", "valid"}, "exercises keep their split"
    names = {row["id"] for row in rows}
    for lang in ("en", "zh-Hans"):
        assert {record_id(f"{lang}-near"), record_id(f"{lang}58")} <= names, "near-duplicates stay"


@pytest.mark.parametrize("order", [(), ("near-duplicates", "held-out")])
def test_lists_of_few_filters(inputs: Inputs, tmp_path: Path, order: tuple[str, ...]) -> None:  # noqa: F811
    out = run(inputs, tmp_path / "out", config=replace(CONFIG, order=order))
    ledger = Ledger.from_json(out.read_json("ledger.json"))
    assert ledger.stages() == list(order)
    assert len(rows_of(out, "documents-")) + len(rows_of(out, "dropped-")) == len(
        {row["id"] for prefix in ("documents-", "dropped-") for row in rows_of(out, prefix)}
    )


def test_the_recipe_names_filters_and_the_step_is_named_by_them(package: None, tmp_path: Path) -> None:
    from skyloom.core.errors import ConfigError
    from skyloom.run.recipe import load
    from skyloom.run.steps import all_steps

    def key(more: str) -> str:
        path = tmp_path / "my.toml"
        path.write_text('base = "tiny"\n' + more, encoding="utf-8")
        return all_steps(load(path), ())["corpus"].key

    own = f'[[corpus.filters]]\nuse = "{NAME}:judge"\nafter = "rules"\nsettings = {{ pattern = "苹果|apple" }}\n'
    keys = [
        key(""),
        key(own),
        key(own + 'version = "2"\n'),
        key(own.replace("苹果", "梨")),
        key(own.replace("rules", "quality")),
        key('[corpus.clean]\norder = ["rules", "held-out"]\n'),
    ]
    assert len(set(keys)) == len(keys)
    usual = ", ".join(f'"{name}"' for name in ORDER)
    assert key(f"[corpus.clean]\norder = [{usual}]\n") == keys[0], "the usual list changes no step"
    assert key(own + "traceback = true\n") == keys[1]
    with pytest.raises(ConfigError, match=r"filters\[0\].after is 'qualty', which is no filter; they are lists, rules"):
        key(own.replace("rules", "qualty"))
    with pytest.raises(ConfigError, match=f"{NAME} has no 'jugde'; did you mean 'judge'"):
        key(own.replace(":judge", ":jugde"))


def test_the_list_is_printed(package: None, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from skyloom.cli import main

    path = tmp_path / "my.toml"
    own = f'[[corpus.filters]]\nuse = "{NAME}:judge"\nname = "没有苹果"\n'
    path.write_text(f'base = "tiny"\n[corpus.clean]\norder = ["rules", "quality", "held-out"]\n{own}', encoding="utf-8")
    found = CliRunner().invoke(main, ["corpus", "filters", str(path), "--json"])
    assert found.exit_code == 0, found.output
    rows = [(row["place"], row["filter"]) for row in json.loads(found.output)]
    assert rows[:4] == [(1, "rules"), (2, "quality"), (3, "没有苹果"), (4, "held-out")]
    assert {place for place, _ in rows[4:]} == {None} and len(rows) == len(ORDER) + 1
