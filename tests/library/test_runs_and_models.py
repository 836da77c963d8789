"""Recipes, runs, the tokenizer, models, evaluation, audit and releases, on a finished run of the recipe `tiny`."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

import skyloom
from skyloom.cli import main
from skyloom.core.errors import ConfigError, DataError, IntegrityError, SkyloomError, StorageError

pytestmark = pytest.mark.xdist_group("library")

ENGLISH, CHINESE = "The kettle is on the stove, and the tea is in the tin.", "水壶在炉子上，茶叶在罐子里。"


def told(arguments: list[str]) -> tuple[int, str]:
    """Exit code and sentence of a command that fails."""
    shown = CliRunner().invoke(main, arguments)
    return shown.exit_code, shown.output.strip().removeprefix("skyloom: ")


def test_a_recipe_is_what_the_command_line_shows():
    recipe = skyloom.Recipe.load("tiny").override(
        "train.seed=7", {"stages.stage1.rate.peak": 5e-3, "name": "小"}, {"name": "小模型"}
    )
    options = ["--set", "train.seed=7", "--set", "stages.stage1.rate.peak=0.005", "--set", "name=小模型"]
    shown = CliRunner().invoke(main, ["recipe", "show", "tiny", *options])
    assert shown.output == recipe.show() + "\n" and recipe.table()["train"]["seed"] == 7
    assert skyloom.Recipe.load("tiny").settings.train.seed == 1, "a recipe does not change"


def test_errors_of_recipes_are_those_of_the_command_line(tmp_path):
    for name in ("没有.toml", str(tmp_path)):
        for call in (skyloom.Recipe.load, skyloom.Run.open):
            with pytest.raises(ConfigError) as raised:
                call(name)
            assert told(["recipe", "show", name]) == (2, str(raised.value))
    with pytest.raises(ConfigError) as raised:
        skyloom.Recipe.load("tiny").override("train.sede=7")
    assert told(["recipe", "show", "tiny", "--set", "train.sede=7"]) == (2, str(raised.value))
    with pytest.raises(ConfigError, match="not None"):
        skyloom.Recipe.load("tiny").override({"train.seed": None})


def test_opening_a_run_touches_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = skyloom.Run.open(skyloom.Recipe.load("tiny").override({"name": "中文"}), overrides=["train.seed=3"])
    assert run.work == Path("runs/中文") and run.recipe.settings.train.seed == 3 and not list(tmp_path.iterdir())


def test_a_run_says_what_is_done_and_does_the_rest(here, tmp_path, capfd, caplog):
    done = skyloom.Run.open("tiny")
    plan = done.plan()
    assert set(plan["state"].to_pylist()) == {"there"} and plan["step"].to_pylist()[-1] == "report"
    assert list(done.folders()) == plan["step"].to_pylist() and all(path.is_dir() for path in done.folders().values())
    with caplog.at_level(logging.INFO, "skyloom"):
        new = skyloom.Run.open("tiny", work=tmp_path / "新", workers=0)
        assert set(new.plan()["state"].to_pylist()) == {"to do"} and new.folders() == {} and new.tables() == {}
        assert new.run("pages")["status"].to_pylist() == ["done"] and new.run("pages")["status"].to_pylist() == ["skipped"]
    assert list(new.folders()) == ["pages"] and capfd.readouterr() == ("", "")
    assert any("pages" in record.getMessage() for record in caplog.records)
    with pytest.raises(ConfigError, match="has no step 'fly'; its steps are pages, extract"):
        new.run("fly")


def test_tables_are_the_files_of_the_run(here):
    run = skyloom.Run.open("tiny")
    tables, folders = run.tables(), run.folders()
    assert list(tables) == "ledger mixture compression tokens training heldout perplexity choice leakage steps".split()
    lines = [
        json.loads(line) for stage in ("stage1", "stage2") for line in (folders[stage] / "metrics.jsonl").read_text().splitlines()
    ]
    assert tables["training"]["loss"].to_pylist() == [line["loss"] for line in lines]
    assert set(tables["training"]["stage"].to_pylist()) == {"stage1", "stage2"}
    assert {"loss", "low", "high", "bits_per_byte", "set", "lang", "tokens"} <= set(tables["heldout"].column_names)
    assert tables["steps"]["step"].to_pylist() == list(folders)


def test_the_tokenizer_gives_the_same_ids_for_all_forms(release):
    tokenizer = skyloom.Tokenizer.load(release)
    texts = [ENGLISH, None, CHINESE, "", "a\ud800"]
    rows = tokenizer.encode(texts)
    assert rows.type == pa.large_list(pa.int32()) and rows[1].as_py() is None and rows[3].as_py() == []
    for number in (0, 2, 3, 4):
        assert rows[number].as_py() == tokenizer.encode(texts[number])
    valid = pa.array([t for t in texts if t != "a\ud800"])
    assert tokenizer.encode(valid).to_pylist() == tokenizer.encode(pa.chunked_array([valid])).to_pylist() == rows.to_pylist()[:4]
    assert tokenizer.decode(rows) == [ENGLISH, None, CHINESE, "", "a\ufffd"] == tokenizer.decode(rows.to_pylist())
    assert (
        tokenizer.decode(rows[2].as_py()) == CHINESE
        and tokenizer.decode([]) == ""
        and tokenizer.decode(pa.array([], rows.type)) == []
    )
    table = tokenizer.columns(pa.table({"id": list("甲乙丙丁戊"), "text": pa.array([*valid.to_pylist(), CHINESE])}))
    assert (
        table["id"].to_pylist() == list("甲乙丙丁戊")
        and table["tokens"].to_pylist()[1] is None
        and table["bytes"][2].as_py() == len(CHINESE.encode())
    )
    assert tokenizer.encode([]).to_pylist() == [] and len(tokenizer.columns([])) == 0
    with pytest.raises(DataError, match=f"no id {tokenizer.size}"):
        tokenizer.decode([tokenizer.size])
    with pytest.raises(DataError, match="row 0 is int"):
        tokenizer.encode([1])


def test_errors_of_the_tokenizer_are_those_of_the_command_line(tmp_path):
    with pytest.raises(StorageError) as raised:
        skyloom.Tokenizer.load(tmp_path)
    assert told(["tokenizer", "check", str(tmp_path)]) == (raised.value.exit_code, str(raised.value))


def test_scores_are_those_of_the_evaluation(release):
    model = skyloom.load_model(release)
    found = skyloom.score_texts(model, [ENGLISH, None, CHINESE, ""])
    whole = skyloom.evaluate(release, {"两个": [ENGLISH, CHINESE]})
    nats, size = sum(n or 0 for n in found["nats"].to_pylist()), len((ENGLISH + CHINESE).encode())
    row = whole.rows.to_pylist()[0]
    assert row["loss"] == pytest.approx(nats / row["tokens"]) and row["bytes"] == size and row["documents"] == 2
    assert found.to_pylist()[1] == {"id": "1", **dict.fromkeys(found.column_names[1:])}
    assert found["tokens"][3].as_py() == found["nats"][3].as_py() == 0 and found["bits_per_byte"][3].as_py() is None
    for text, expected in zip((ENGLISH, CHINESE), (found.slice(0, 1), found.slice(2, 1)), strict=True):
        one = skyloom.score_texts(release, text)
        assert one.nats == pytest.approx(expected["nats"][0].as_py()) and one.chars == len(text) and one.perplexity > 1
        assert one.bits_per_byte == pytest.approx(expected["bits_per_byte"][0].as_py())
    for given in (pa.array([ENGLISH, CHINESE]), pa.table({"text": [ENGLISH, CHINESE]})):
        assert skyloom.score_texts(model, given)["nats"].to_pylist() == pytest.approx([n for n in found["nats"].to_pylist() if n])
    assert skyloom.score_texts(model, []).schema == found.schema
    with pytest.raises(DataError, match="makes no token of the text"):
        skyloom.score_texts(model, "")
    with pytest.raises(DataError, match="row 0 is int"):
        skyloom.score_texts("没有", [1])


def test_errors_of_models_are_those_of_the_command_line(tmp_path, release):
    texts = tmp_path / "文.jsonl"
    texts.write_text(json.dumps({"text": CHINESE}, ensure_ascii=False), encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    for word in ("没有", str(empty)):
        code, sentence = told(["eval", "perplexity", word, "--sets", str(texts), "--out", str(tmp_path / "out"), "--quiet"])
        for call in (
            lambda w=word: skyloom.load_model(w),
            lambda w=word: skyloom.evaluate(w, texts),
            lambda w=word: skyloom.score_texts(w, ["甲"]),
        ):
            with pytest.raises(SkyloomError) as raised:
                call()
            assert (raised.value.exit_code, str(raised.value)) == (code, sentence)


def test_evaluation_reads_files_and_lists_alike(release, tmp_path):
    texts = [ENGLISH, CHINESE, ENGLISH + CHINESE]
    file = tmp_path / "文.jsonl"
    file.write_text("".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in texts), encoding="utf-8")
    here, there = skyloom.evaluate([f"a={release}", f"b={release}"], file, out=tmp_path / "out"), {"文": pa.array(texts)}
    again = skyloom.evaluate([f"a={release}", f"b={release}"], there)
    assert here.rows.equals(again.rows) and here.paired["bits_per_byte"].to_pylist()[0] == 0 and len(here.average) == 2
    assert json.loads((tmp_path / "out" / "perplexity.json").read_text()) == here.content
    for sets, said in (
        ({"空": []}, "空 is empty"),
        ({"空": ["甲", None]}, "空, record 1: its text is empty"),
        ({"空": ["  "]}, "record 0: its text is empty"),
    ):
        with pytest.raises(DataError, match=said):
            skyloom.evaluate(release, sets)
    for call in (lambda: skyloom.evaluate(release, {}), lambda: skyloom.evaluate([], there)):
        with pytest.raises(ConfigError, match="evaluate needs"):
            call()


def test_an_audit_reads_files_and_lists_alike(release, tmp_path):
    items = [{"id": f"题{n}", "question": f"{n} 加 {n + 3} 等于多少？", "answer": f"What is {2 * n + 3}?"} for n in range(24)]
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    found = [
        skyloom.audit(release, given, out=tmp_path / f"{n}") for n, given in enumerate((file, items, pa.Table.from_pylist(items)))
    ]
    assert {one.verdict for one in found} == {"cannot tell"} and "无法" in found[0].sentence["zh"]
    sets = [one.content["sets"]["benchmark"] for one in found]
    assert {(one["sha256"], one["used"], one["tokens"]) for one in sets} == {(sets[0]["sha256"], 24, sets[0]["tokens"])}
    assert json.loads((tmp_path / "1" / "leak.json").read_text()) == found[1].content and Path(sets[1]["path"]).exists()
    other = [{"text": f"{n} 减 {n} 等于零。 Nothing is left of {n}."} for n in range(24)]
    compared = skyloom.audit(release, items, reference=[one["text"] for one in other], exchangeable="reference")
    assert compared.blind["set"].to_pylist() == ["reference"] and "reference" in compared.detectors["set"].to_pylist()


def test_errors_of_an_audit_are_those_of_the_command_line(release, tmp_path):
    few = tmp_path / "few.jsonl"
    few.write_text(json.dumps({"text": CHINESE}, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(DataError) as raised:
        skyloom.audit(release, few)
    assert told(["leak", "model", str(release), "--benchmark", str(few), "--out", str(tmp_path / "o"), "--quiet"]) == (
        3,
        str(raised.value),
    )
    with pytest.raises(DataError, match="holds 1 items; a set needs at least 20"):
        skyloom.audit(release, [CHINESE])
    with pytest.raises(DataError, match="holds no item"):
        skyloom.audit(release, [])
    with pytest.raises(ConfigError, match="--exchangeable train needs --train FILE"):
        skyloom.audit(release, [CHINESE], exchangeable="train")
    with pytest.raises(ConfigError, match="the budget is 0 seconds"):
        skyloom.audit(release, [CHINESE], budget=0)


def test_a_release_is_checked_and_a_changed_one_is_found(release, tmp_path):
    found = skyloom.release_check(release)
    assert found.ok and len(found.table) == 9
    found.require()
    copy = shutil.copytree(release, tmp_path / "发布")
    (copy / "README.md").write_text("changed 改过", encoding="utf-8")
    broken = skyloom.release_check(str(copy))
    assert not broken.ok and broken.table["ok"].to_pylist() == [False]
    with pytest.raises(IntegrityError) as raised:
        broken.require()
    code, sentence = told(["release", "check", str(copy), "--json"])
    assert code == 4 and sentence.endswith(str(raised.value))
    with pytest.raises(ConfigError, match="is no folder"):
        skyloom.release_check(tmp_path / "没有")
    assert not skyloom.release_check(tmp_path).ok
