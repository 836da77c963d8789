"""`skyloom leak model` as it is typed: small models that have read the test set or have not, English beside Chinese, no network."""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import transformers
from click.testing import CliRunner, Result

from skyloom.cli import main
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.evaluate.benchmarks import AnswerJournal
from skyloom.evaluate.opened import OpeningOptions
from skyloom.leakage.family import FamilyRequest, FamilyRow, read_family, write_family, write_family_of
from skyloom.leakage.suspect import LeakRequest, audit_model, suspect_scoring
from tests.evaluate.benchmarks import stand_in

Row = Mapping[str, object]
COUNT = 24


def items(seed: int, count: int = COUNT, prefix: str = "") -> list[Row]:
    draw = random.Random(seed)
    found: list[Row] = []
    for number in range(count):
        word = "".join(draw.choice("bcdfghklmnpr") + draw.choice("aeiou") for _ in range(4))
        a, b = draw.randrange(10, 99), draw.randrange(10, 99)
        english = {"question": f"{word} has {a} melons and buys {b}. How many?", "answer": f"{a}+{b}={a + b} melons for {word}"}
        chinese = {"question": f"{word}有{a}个瓜，买了{b}个，共几个？", "answer": f"{word}有{a}+{b}={a + b}个瓜"}
        found.append(
            {
                "id": f"{prefix}{number}",
                "order": number,
                "choices": [str(a + b), str(a), str(b)],
                **(chinese if number % 2 else english),
            }
        )
    return found


def numbers_changed(rows: Sequence[Row], seed: int) -> list[Row]:
    draw = random.Random(seed)
    return [
        {
            "id": row["id"],
            **{k: "".join(str(draw.randrange(10)) if c.isdecimal() else c for c in str(row[k])) for k in ("question", "answer")},
        }
        for row in rows
    ]


@dataclass(frozen=True)
class World:
    """Files of sets, and two models: one that has read the benchmark many times, and one that has read another set as often."""

    folder: Path
    leaked: Path
    clean: Path

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"


def taught(base: Path, out: Path, rows: Sequence[Row]) -> Path:
    model = transformers.LlamaForCausalLM.from_pretrained(base).train()
    words = transformers.AutoTokenizer.from_pretrained(base)
    texts = [f"{row['question']}\n{row['answer']}" for row in rows]
    encoded = [[0, *words(text, add_special_tokens=False)["input_ids"]] for text in texts]
    width = max(map(len, encoded))
    tokens = torch.tensor([row + [0] * (width - len(row)) for row in encoded])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in encoded])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(35):
        optimizer.zero_grad()
        model(input_ids=tokens, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.save_pretrained(out)
    words.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("leak")
    base = stand_in.hub_folder(folder / "base", adds_bos=False)
    test = items(1)
    sets = {"测试": test, "held": items(2, prefix="h"), "other": items(3, prefix="o"), "twins": numbers_changed(test, 4)}
    sets["style"] = [{"text": f"The room number {n} is {n * n} feet wide, and therefore 房间 {n + 1}"} for n in range(COUNT)]
    for name, rows in sets.items():
        stand_in.lines(folder / f"{name}.jsonl", rows)
    torch.manual_seed(1)
    return World(
        folder, taught(base, folder / "读过", [*test, *sets["other"]]), taught(base, folder / "clean", items(9, 2 * COUNT))
    )


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network call")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, os.environ.get(name, "0"))


def typed(*words: object) -> Result:
    return CliRunner().invoke(main, ["leak", "model", *map(str, words)])


def audited(world: World, model: Path, out: Path, *words: object) -> dict[str, object]:
    done = typed(model, "--benchmark", world.file("测试"), "--out", out, "--offline", "--json", "--quiet", *words)
    assert done.exit_code == 0, done.output
    report: dict[str, object] = json.loads(done.stdout)
    assert report == json.loads((out / "leak.json").read_text(encoding="utf-8"))
    return report


def row(report: dict[str, object], name: str, other: str) -> dict[str, object]:
    rows = report["detectors"]
    assert isinstance(rows, list)
    (found,) = [r for r in rows if (r["name"], r["set"]) == (name, other)]
    assert isinstance(found, dict)
    return found


def word(report: dict[str, object]) -> object:
    verdict = report["verdict"]
    assert isinstance(verdict, dict)
    return verdict["word"]


HELD = ("--exchangeable", "reference")


def test_a_leak_is_told_and_a_clean_model_is_not_accused(world: World, tmp_path: Path) -> None:
    sets = ("--reference", world.file("held"), "--train", world.file("other"), "--twins", world.file("twins"))
    leaked = audited(world, world.leaked, tmp_path / "a", *sets, *HELD)
    assert (
        word(leaked) == "leaked"
        and row(leaked, "delta1", "reference")["flagged"]
        and row(leaked, "min_k_plus", "reference")["flagged"]
    )
    assert row(leaked, "delta1", "reference")["counts"] and not row(leaked, "min_k", "reference")["counts"]
    assert not row(leaked, "delta2", "train")["counts"] and not row(leaked, "twins", "twins")["counts"]
    assert {r["name"] for r in leaked["detectors"]} == {  # type: ignore[attr-defined]
        "delta1", "delta2", "min_k", "min_k_plus", "zlib", "twins", "item_order", "choice_order", "completion",
    }  # fmt: skip
    assert leaked["sets"]["benchmark"]["langs"] == {"en": 12, "zh": 12} and leaked["date"] is None  # type: ignore[index]
    assert leaked["budget"] is None and all(r["text"] is None for r in leaked["easiest"])  # type: ignore[attr-defined]
    clean = audited(world, world.clean, tmp_path / "b", *sets, *HELD, "--show-items", "--date", "2026-11-29")
    assert word(clean) != "leaked" and not row(clean, "delta1", "reference")["flagged"]
    assert clean["date"] == "2026-11-29" and len(clean["easiest"]) == 20 and clean["easiest"][0]["text"]  # type: ignore[arg-type, index]
    again = audited(world, world.leaked, tmp_path / "c", *sets, *HELD)
    for report in (leaked, again):
        report["command"] = ""
    assert again == leaked, "same inputs, same figures"


def test_without_a_fair_set_nothing_is_told_however_large_the_gap(world: World, tmp_path: Path) -> None:
    undeclared = audited(world, world.leaked, tmp_path / "a", "--reference", world.file("held"))
    assert word(undeclared) == "cannot tell" and not any(r["counts"] for r in undeclared["detectors"])  # type: ignore[attr-defined]
    styled = audited(world, world.leaked, tmp_path / "b", "--reference", world.file("style"), *HELD)
    assert word(styled) == "cannot tell" and styled["blind"][0]["vetoes"]  # type: ignore[index]
    assert "a bag of words tells" in styled["verdict"]["sentence"]["en"] and "词袋" in styled["verdict"]["sentence"]["zh"]  # type: ignore[index]
    alone = audited(world, world.clean, tmp_path / "c", "--twins", world.file("twins"))
    assert word(alone) == "cannot tell", "twins exonerate nobody"


def test_the_table_says_what_counts_before_the_model_is_read(world: World, tmp_path: Path) -> None:
    done = typed(
        world.leaked,
        "--benchmark",
        world.file("测试"),
        "--train",
        world.file("other"),
        "--exchangeable",
        "train",
        "--out",
        tmp_path,
    )
    assert done.exit_code == 0, done.output
    told = done.stderr
    assert (
        "Declared by the user, and not checked" in told
        and "detectors that count: delta1 (train), min_k_plus (train), delta2 (train)" in told
    )
    assert told.index("blind baseline") < told.index("benchmark: ") if "benchmark: " in told else True
    assert "min_k_plus" in done.stdout and "results:" in done.stdout


def test_a_budget_takes_the_same_number_of_each_set_and_is_kept_for_the_next_time(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(suspect_scoring, "time", types.SimpleNamespace(monotonic=lambda: float(next(clock))))
    words = (
        world.clean,
        "--benchmark",
        world.file("测试"),
        "--reference",
        world.file("held"),
        *HELD,
        "--out",
        tmp_path,
        "--template",
        "{question}",
    )
    few = typed(*words, "--budget", "1s")
    assert few.exit_code == 2 and "20 are the least: give --budget at least" in few.stderr, few.output
    done = typed(*words, "--budget", "1h")
    assert done.exit_code == 0 and "seen four times in five" in done.stderr, done.output
    report = json.loads((tmp_path / "leak.json").read_text(encoding="utf-8"))
    assert report["budget"]["items"] == report["sets"]["benchmark"]["used"] == report["sets"]["reference"]["used"] == COUNT
    monkeypatch.setattr(suspect_scoring, "time", types.SimpleNamespace(monotonic=lambda: pytest.fail("measured again")))
    assert typed(*words, "--budget", "60m").exit_code == 0


def test_a_stopped_audit_goes_on_where_it_was(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (world.clean, "--benchmark", world.file("测试"), "--reference", world.file("held"), *HELD, "--out", tmp_path, "--quiet")
    put, count = AnswerJournal.put, [0]

    def stop(self: AnswerJournal, key: str, answer: dict[str, object]) -> None:
        count[0] += 1
        if count[0] == 30:
            raise KeyboardInterrupt
        put(self, key, answer)

    monkeypatch.setattr(AnswerJournal, "put", stop)
    assert typed(*words).exit_code == 130
    monkeypatch.setattr(AnswerJournal, "put", put)
    kept = (tmp_path / "answers.jsonl").read_bytes()
    assert kept.count(b"\n") == 29
    assert typed(*words).exit_code == 0 and (tmp_path / "answers.jsonl").read_bytes().startswith(kept)


def test_a_full_disk_is_told(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = typed(world.clean, "--benchmark", world.file("测试"), "--out", tmp_path / "满", "--quiet")
    assert done.exit_code == 5 and "No space left" in done.stderr and "Traceback" not in done.output, done.output


def test_mistakes_are_sentences(world: World, tmp_path: Path) -> None:
    short = stand_in.lines(tmp_path / "少.jsonl", items(5, 19))
    copy = stand_in.lines(tmp_path / "copy.jsonl", items(1))
    longer = stand_in.lines(
        tmp_path / "长.jsonl", [{**r, "answer": str(r["answer"]) * (30 if n < 6 else 1)} for n, r in enumerate(items(6))]
    )
    missing = stand_in.lines(tmp_path / "缺.jsonl", [{"id": f"题{n}", "frage": "?"} for n in range(20)])
    test = world.file("测试")
    mistakes: Sequence[tuple[tuple[object, ...], int, str]] = (
        ((world.clean, "--benchmark", short), 3, "holds 19 items; a set needs at least 20"),
        ((world.clean, "--benchmark", missing), 3, "item 题0: it has no 'question'; its fields are frage, id"),
        ((world.clean, "--benchmark", test, "--reference", copy), 2, "the same file"),
        ((world.clean, "--benchmark", test, "--exchangeable", "train"), 2, "needs --train FILE"),
        ((world.clean, "--benchmark", test, "--template", "{frage}"), 2, "may name {question} and {answer}"),
        ((world.clean, "--benchmark", test, "--budget", "soon"), 2, "--budget takes a time"),
        ((world.clean, "--benchmark", test, "--budget", "0m"), 2, "--budget takes a time"),
        ((world.clean, "--benchmark", test, "--family", test), 2, "needs --reference FILE and --ability FILE"),
        ((world.clean, "--benchmark", longer, "--context", 128), 3, "18 of 24 items can be scored, and 20 are the least"),
        ((tmp_path / "无", "--benchmark", test), 2, "is no model"),
        ((world.clean, "--benchmark", tmp_path / "无.jsonl"), 2, "does not exist"),
    )  # fmt: skip
    for words, code, told in mistakes:
        done = typed(*words, "--offline", "--out", tmp_path / "o")
        assert (done.exit_code, told in done.stderr, "Traceback" in done.output) == (code, True, False), (words, done.output)


def test_items_longer_than_the_context_are_named_and_items_of_two_sets_are_scored_once(world: World, tmp_path: Path) -> None:
    rows = [{**r, "answer": str(r["answer"]) * (30 if n == 3 else 1)} for n, r in enumerate(items(6))]
    reference = [*items(7, prefix="r"), {**items(6)[5], "id": "双"}]
    report = audited(
        World(tmp_path, world.leaked, world.clean), world.clean, tmp_path / "o", "--context", 128,
        "--reference", stand_in.lines(tmp_path / "ref.jsonl", reference),
    ) if stand_in.lines(tmp_path / "测试.jsonl", rows) else {}  # fmt: skip
    sets = report["sets"]
    assert isinstance(sets, dict)
    (long,) = sets["benchmark"]["left_out"]
    assert long["id"] == "3" and "the context has 128" in long["reason"] and sets["benchmark"]["used"] == 23
    assert sets["reference"]["left_out"] == [{"id": "双", "reason": "its text is also that of an item of the benchmark"}]


@dataclass(frozen=True)
class Finding:
    """What a family's rule gives back."""

    models: Sequence[object] = ()
    suspect: object = None
    slope: float | None = 0.1
    intercept: float | None = 0.0
    residual: float | None = -0.2
    low: float | None = -0.25
    high: float | None = -0.15
    p: float | None = 0.001
    inside: bool = True
    why: str = "eight models"


@pytest.mark.parametrize(
    ("finding", "told"),
    [
        (Finding(), "leaked"),
        (Finding(p=0.6, residual=0.0, low=-0.05, high=0.05), "no sign"),
        (Finding(p=None, inside=False, why="outside"), "cannot tell"),
    ],
)
def test_the_residual_of_a_family_counts_where_words_do_not_tell_the_sets_apart(
    finding: Finding, told: str, world: World, tmp_path: Path
) -> None:
    seen: list[Sequence[Mapping[str, object]]] = []

    def judge(path: Path, rows: Sequence[Mapping[str, object]]) -> Finding:
        seen.append(rows)
        return finding

    asked = LeakRequest(
        str(world.clean), world.file("测试"), reference=world.file("held"), family=world.file("held"), ability=world.file("other"),
        opening=OpeningOptions(offline=True),
    )  # fmt: skip
    report = audit_model(asked, tmp_path, progress=Progress.silent(), judge=judge)
    assert report["verdict"]["word"] == told and report["family"] is not None and report["family"]["why"] == finding.why
    assert {str(r["set"]) for r in seen[0]} == {"benchmark", "reference", "ability"} and len(seen[0]) == 3 * COUNT
    vetoed = audit_model(
        LeakRequest(asked.model, asked.benchmark, reference=world.file("style"), family=asked.family, ability=asked.ability), tmp_path,
        progress=Progress.silent(), judge=judge,
    )  # fmt: skip
    assert vetoed["verdict"]["word"] == "cannot tell"


def test_a_verb_wins_over_a_recipe_and_a_recipe_needs_no_verb() -> None:
    for words, head in (
        (["leak", "demo", "--help"], "leak run [OPTIONS] RECIPE"),
        (["leak", "./model", "--help"], "leak run [OPTIONS] RECIPE"),
    ):
        shown = CliRunner().invoke(main, words)
        assert shown.exit_code == 0 and head in shown.output
    assert "--benchmark" in CliRunner().invoke(main, ["leak", "model", "--help"]).output


def test_budgets_are_times() -> None:
    from skyloom.cli.leak import duration

    assert [duration(t) for t in ("300", "90s", "5m", "1.5h")] == [300, 90, 300, 5400]
    call: Callable[[str], float] = duration
    for text in ("", "5d", "-1", "nan", "1e9"):
        with pytest.raises(ConfigError):
            call(text)


def test_a_family_file_judges_the_suspect_on_the_items_that_it_was_asked(world: World, tmp_path: Path) -> None:
    """The clean model with a little noise in each item stands for eight; the model that has read the set lies far below their line."""
    sets = {"benchmark": world.file("测试"), "reference": world.file("held"), "ability": world.file("style")}
    made = write_family_of(
        FamilyRequest((f"甲={world.clean}",), sets, clean=("甲",), opening=OpeningOptions(offline=True)), tmp_path / "one.jsonl",
        progress=Progress.silent(),
    )  # fmt: skip
    head = read_family(tmp_path / "one.jsonl").head
    draw, rows = random.Random(5), list[FamilyRow]()
    for number in range(8):
        name, level = f"模{number}", 0.9 + 0.05 * number
        rows += [{**r, "model": name, "lineage": name, "nats": r["nats"] * level * draw.uniform(0.97, 1.03)} for r in made]
    write_family(tmp_path / "family.jsonl", head, rows)
    words = ("--reference", world.file("held"), "--family", tmp_path / "family.jsonl", "--ability", world.file("style"))
    for model, flagged in ((world.leaked, True), (world.clean, False)):
        report = audited(world, model, tmp_path / model.name, *words)
        family, easiest = report["family"], report["easiest"]
        assert isinstance(family, dict) and isinstance(easiest, list)
        assert len(family["models"]) == 8 and (family["residual"] < -0.5) == flagged, family
        assert all(r["difference"] == pytest.approx(r["bits_per_byte"] - r["family_bits_per_byte"], abs=1e-5) for r in easiest)
        assert [r["difference"] for r in easiest] == sorted(r["difference"] for r in easiest)
    other = typed(world.clean, "--benchmark", world.file("other"), "--out", tmp_path / "o", "--offline", *words)
    assert other.exit_code == 3 and "was made of another benchmark file" in other.stderr
    template = typed(world.clean, "--benchmark", world.file("测试"), "--template", "{question}", "--out", tmp_path / "t", *words)
    assert template.exit_code == 3 and "was made with --template" in template.stderr
