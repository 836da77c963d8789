"""The family file: written by a command that goes on where it was, and read with a sentence for everything that is wrong with it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from skyloom.cli import main
from skyloom.core.errors import DataError, StorageError
from skyloom.core.store import Store
from skyloom.evaluate.texts import PerplexityRequest, as_set, perplexity
from skyloom.leakage.family import family_run, read_family
from tests.evaluate.opened.small import save_gpt2, save_llama

TEXTS = {
    "benchmark": ["A loom weaves.", "天空下雨。", "Two lines.\nRain"],
    "reference": ["The sky is a loom", "明天放晴"],
    "ability": ["Short text", "多云"],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    place = tmp_path_factory.mktemp("family")
    return [str(save_llama(place / "一")), str(save_llama(place / "two", seed=2)), str(save_gpt2(place / "三"))]


@pytest.fixture
def sets(tmp_path: Path) -> list[str]:
    words: list[str] = []
    for name, texts in TEXTS.items():
        rows = [{"id": f"{name}-{k}", "question": t, "answer": ""} if k else {"id": 7, "text": t} for k, t in enumerate(texts)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
        words += [f"--{name}", str(tmp_path / f"{name}.jsonl")]
    return words


def family(*words: str) -> Result:
    return CliRunner().invoke(main, ["leak", "family", *words])


def test_costs_are_those_of_a_perplexity_table(models: list[str], sets: list[str], tmp_path: Path) -> None:
    out = tmp_path / "家.jsonl"
    said = family(
        *models, *sets, "--out", str(out), "--released", "一=2020-05-01", "--released", "two=2023-01-01", "--lineage", "two=甲",
        "--benchmark-date", "2021-10-27", "--clean", "三", "--json",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    found = read_family(out)
    assert [(m.model, m.lineage, m.released, m.clean) for m in found.members] == [
        ("一", "一", "2020-05-01", "date"), ("two", "甲", "2023-01-01", "not known"), ("三", "三", None, "declared"),
    ]  # fmt: skip
    assert found.items["benchmark"] == ("7", "benchmark-1", "benchmark-2") and found.head["sets"] == {
        n: len(t) for n, t in TEXTS.items()
    }
    whole = [as_set(name, [str(k) for k in range(len(texts))], texts) for name, texts in TEXTS.items()]
    from skyloom.core.progress import Progress

    table = perplexity(PerplexityRequest(tuple(models)), whole, Store(tmp_path / "p"), progress=Progress.silent())
    for row in table["rows"]:
        (member,) = (m for m in found.members if m.model == row["model"])
        assert member.bits_per_byte(row["set"]) == pytest.approx(row["bits_per_byte"], rel=1e-5)
    assert not list(tmp_path.glob("*.parts")), "nothing is left beside the file"
    first = out.read_bytes()
    assert family(*models, *sets, "--out", str(out)).exit_code == 0
    assert len(first.splitlines()) == 1 + 3 * 7 == len(out.read_bytes().splitlines())


def test_an_interrupted_family_goes_on_with_the_next_model(
    models: list[str], sets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, scored = tmp_path / "f.jsonl", []
    score = family_run.score_set

    def counting(model, one, batch):  # type: ignore[no-untyped-def]
        scored.append((model.name, one.name))
        if len(scored) == 4:
            raise KeyboardInterrupt
        return score(model, one, batch)

    monkeypatch.setattr(family_run, "score_set", counting)
    assert family(*models[:2], *sets, "--out", str(out)).exit_code != 0 and not out.exists()
    assert family(*models[:2], *sets, "--out", str(out)).exit_code == 0
    assert [name for name, _ in scored] == ["一"] * 3 + ["two"] + ["two"] * 3
    assert [m.model for m in read_family(out).members] == ["一", "two"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--released", "nobody=2020-01-01"), 2, "no model is named 'nobody'; there are 一"),
        (("--released", "一=May"), 3, "'May' is no date"),
        (("--released", "一"), 2, "--released takes NAME=VALUE"),
        (("--lineage", "一=a", "--lineage", "一=b"), 2, "given twice for 一"),
        (("--clean", "x"), 2, "--clean: no model is named 'x'"),
        (("--benchmark-date", "2021"), 3, "is no date"),
        (("--context", "4"), 3, "its context holds 4; leave the item out"),
    ],
)
def test_wrong_words_are_told(
    models: list[str], sets: list[str], tmp_path: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    said = family(models[0], *sets, "--out", str(tmp_path / "f.jsonl"), *words)
    assert said.exit_code == code and sentence in " ".join(str(said.exception).split() + said.output.split()), said.output
    assert not (tmp_path / "f.jsonl").exists()


def test_two_models_of_one_name_and_sets_that_share_texts(models: list[str], sets: list[str], tmp_path: Path) -> None:
    said = family(models[0], f"一={models[1]}", *sets, "--out", str(tmp_path / "f.jsonl"))
    assert said.exit_code == 2 and "two models are named '一'" in str(said.exception) + said.output
    said = family(models[0], *sets[:4], "--ability", sets[1], "--out", str(tmp_path / "f.jsonl"))
    assert said.exit_code == 2 and "share 3 texts" in str(said.exception) + said.output


HEAD = {"family": 1, "benchmark_sha256": "x", "sets": {"benchmark": 1, "reference": 1, "ability": 1}, "template": ""}


def rows(model: str, **other: object) -> list[dict[str, object]]:
    base = {"model": model, "released": None, "item": "题一", "nats": 3.5, "tokens": 2, "bytes": 9}
    return [{**base, "set": name, **other} for name in TEXTS]


def write(path: Path, *lines: object) -> Path:
    path.write_text(
        "".join((one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)) + "\n" for one in lines), "utf-8"
    )
    return path


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "is no family file"),
        (["{}"], "is no family file"),
        ([{**HEAD, "sets": {}}], "line 1: the field sets"),
        ([HEAD], "holds no models"),
        ([HEAD, *rows("a"), "{dam"], "line 5: not JSON"),
        ([HEAD, *rows("a"), {"model": "b"}], "line 5: it needs model, item and set"),
        ([HEAD, *rows("a"), *rows("b", item="题二")], "b was scored on other items of the set benchmark .*题一"),
        ([HEAD, *rows("a"), *rows("b")[:2]], "b was scored on other items of the set ability"),
        ([HEAD, *rows("a")[:2]], "a has no items of the set ability"),
        ([HEAD, *rows("a"), *rows("a")], "a has the item 题一 of the set benchmark twice"),
        ([HEAD, *rows("a"), *rows("a", lineage="乙")], "two models are named 'a' .*differ in lineage"),
        ([HEAD, *rows("a", released="昨天")], "line 2: '昨天' is no date"),
        ([HEAD, *rows("a", nats=math.nan)], "line 2: the loss of the item 题一 of a is nan"),
        ([HEAD, *rows("a", nats="3")], "no finite number"),
        ([HEAD, *rows("a", bytes=0)], "whole numbers from 1"),
        ([{**HEAD, "sets": {"benchmark": 2, "reference": 1, "ability": 1}}, *rows("a")], "the first line says 2"),
    ],
)
def test_a_damaged_family_file_is_told_in_a_sentence(tmp_path: Path, lines: list[object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_family(write(tmp_path / "坏.jsonl", *lines))


def test_a_family_file_of_the_shortest_form_is_read(tmp_path: Path) -> None:
    found = read_family(write(tmp_path / "f.jsonl", HEAD, *rows("模"), *rows("b", released="2020-02-02")))
    assert [(m.model, m.lineage, m.released, m.clean) for m in found.members] == [
        ("模", "模", None, "not known"), ("b", "b", "2020-02-02", "not known"),
    ]  # fmt: skip
    with pytest.raises(StorageError, match="cannot be read"):
        read_family(tmp_path / "none")
