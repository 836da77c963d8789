"""All of an evaluation: figures equal lm-eval's own, near ties and their range, groups, bad items, going on after a kill."""

from __future__ import annotations

import gzip
import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skyloom.core.errors import DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.evaluate.benchmarks.answer_journal import NAME, AnswerJournal, answer_key
from skyloom.evaluate.benchmarks.asking import measure_noise
from skyloom.evaluate.benchmarks.harness_model import HarnessModel
from skyloom.evaluate.benchmarks.task_building import SEED, build, quiet
from skyloom.evaluate.benchmarks.task_command import Asking, TaskReport, evaluate_tasks, table
from tests.evaluate.benchmarks import stand_in as small

CONTEXT = 1024


def sets(folder: Path) -> list[str]:
    """Local data of four tasks."""
    made = {"arc_easy": small.arc, "winogrande": small.winogrande, "gsm8k": small.gsm8k, "cmmlu_agronomy": small.cmmlu}
    for name, items in made.items():
        few = "dev" if name.startswith("cmmlu") else "train"
        scored = "validation" if name == "winogrande" else "test"
        small.lines(folder / name / f"{scored}.jsonl", items(2 if name == "gsm8k" else 10))
        small.lines(folder / name / f"{few}.jsonl", items(5, 99))
    return [f"{name}={folder / name}" for name in made]


def run(out: Path | None, asking: Asking, *models: str, compared: tuple[str, str] | None = None) -> TaskReport:
    seeds = {name: seed for seed, name in enumerate(models or ("small",), 1)}
    return evaluate_tasks(
        [(name, name) for name in seeds],
        asking,
        open_one=lambda name, place: small.Small(name, CONTEXT, seeds[place]),
        engine=small.engine,  # type: ignore[arg-type]
        out=out,
        compared=compared,
        command="test",
        progress=Progress.silent(),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return sets(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskReport, Path]:
    """Two models on all four tasks, compared."""
    out = tmp_path_factory.mktemp("whole")
    asking = Asking(["arc_easy", "winogrande", "cmmlu_agronomy", "gsm8k"], shots=2, data=data, offline=True)
    return run(out, asking, "small", "other", compared=("small", "other")), out


def test_figures_are_lm_evals_own(data: list[str], whole: tuple[TaskReport, Path]) -> None:
    """Its `evaluate`, with our class as the model, on the same tasks."""
    from lm_eval.evaluator import evaluate

    built = build(["arc_easy", "winogrande", "cmmlu_agronomy", "gsm8k"], shots=2, data=data, offline=True)
    for task in built.tasks.values():
        task.set_fewshot_seed(SEED)
    opened = small.Small(context=CONTEXT)
    with quiet():
        found = evaluate(
            HarnessModel(opened, small.engine(opened), AnswerJournal(None)), {"tasks": built.tasks, "groups": {}}, bootstrap_iters=0
        )
    mine = {(r["task"], f"{r['metric']},{r['filter']}"): r["value"] for r in whole[0]["rows"] if r["model"] == "small"}
    theirs = {
        (name, key): value
        for name, row in found["results"].items()
        for key, value in row.items()
        if "," in key and "_stderr" not in key
    }
    assert len(mine) == 8 - 1 and mine == pytest.approx(theirs)
    logs = [[float(r[0][0]) for r in sample["resps"]] for sample in found["samples"]["arc_easy"]]
    assert [r["choices"] for r in records(whole[1]) if r["task"] == "arc_easy" and r["model"] == "small"] == [
        pytest.approx(row, abs=1e-4) for row in logs
    ]


def records(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in gzip.decompress((out / "items.jsonl.gz").read_bytes()).splitlines()]


def test_what_is_written(whole: tuple[TaskReport, Path]) -> None:
    report, out = whole
    assert json.loads((out / "tasks.json").read_text(encoding="utf-8")) == report
    row = next(r for r in report["rows"] if r["task"] == "arc_easy" and r["metric"] == "acc")
    assert (row["n"], row["of"], row["chance"], row["shots"], row["mode"], row["interval"]) == (
        10,
        10,
        0.25,
        2,
        "multiple_choice",
        "wilson",
    )
    items = [r for r in records(out) if r["task"] == "arc_easy" and r["model"] == "small"]
    nats, size = sum(float(str(r["right_nats"])) for r in items), sum(int(str(r["right_bytes"])) for r in items)
    assert row["right_bits_per_byte"] == pytest.approx(nats / size / math.log(2), abs=1e-5)
    assert row["right_low"] < row["right_bits_per_byte"] < row["right_high"]  # type: ignore[operator]
    first = items[0]
    logs = first["choices"]
    assert isinstance(logs, list) and first["answer"] == int(np.argmax(logs)) and first["id"] == "q0"
    assert first["margin"] == pytest.approx(sorted(logs)[-1] - sorted(logs)[-2])
    assert {m["model"] for m in report["models"]} == {"small", "other"} and report["noise"][0]["nats"] == 1e-4
    assert report["data"]["arc_easy"].endswith("test.jsonl") and report["versions"]["lm-eval"] == "0.4.13"
    assert table(report["rows"])[0]["items"] == 10
    text = next(r for r in records(out) if r["task"] == "gsm8k")
    assert isinstance(text["answer"], str) and text["choices"] is None


def test_the_same_questions_in_another_order_and_number(data: list[str], whole: tuple[TaskReport, Path], tmp_path: Path) -> None:
    """A limit takes the first items; their answers do not depend on what is asked beside them."""
    run(tmp_path, Asking(["winogrande", "arc_easy"], shots=2, limit=4, data=data[:2], offline=True))
    before = {(r["task"], r["id"]): r for r in records(whole[1]) if r["model"] == "small"}
    for record in records(tmp_path):
        same = before[str(record["task"]), str(record["id"])]
        assert record["choices"] == [pytest.approx(v, abs=1e-4) for v in same["choices"]]  # type: ignore[union-attr]
        assert record["prompt"] == same["prompt"] and record["answer"] == same["answer"]


def test_a_group_has_its_tasks_together(tmp_path: Path) -> None:
    for subject in ("math_1", "history"):
        items = [{"id": f"{subject}{n}", "question": f"题{n}\nA. 甲 B. 乙 C. 丙 D. 丁", "answer": "ABCD"[n % 4]} for n in range(6)]
        small.lines(tmp_path / subject / "test.jsonl", items)
    names = ["gaokao_math_1", "gaokao_history"]
    built = build(names, data=[f"gaokao={tmp_path}"], offline=True)
    from lm_eval.api.group import Group

    group = Group.from_config({"group": "two", "task": names, "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}]})
    for task in built.tasks.values():
        group.add(task)
    from skyloom.evaluate.benchmarks.asking import ask
    from skyloom.evaluate.benchmarks.task_scores import group_rows, task_rows

    opened = small.Small(context=CONTEXT)
    answers, _ = ask(built, HarnessModel(opened, small.engine(opened), AnswerJournal(None)), limit=None, progress=Progress.silent())
    rows = [row for name, found in answers.items() for row in task_rows("m", name, found)]
    row = group_rows("m", group, answers, rows)[0]
    assert (row["n"], row["parts"], row["chance"], row["interval"]) == (12, 2, 0.25, "wilson")
    theirs = group.aggregate({r["task"]: {"acc,none": r["value"], "acc_stderr,none": 0.1, "sample_len": r["n"]} for r in rows})
    assert row["value"] == pytest.approx(theirs["acc,none"], abs=1e-6)


def test_an_item_that_is_too_long_is_named_before_any_is_asked(data: list[str], tmp_path: Path) -> None:
    long = small.arc(3)
    long[2]["question"] = "很长" * 400
    path = small.lines(tmp_path / "a.jsonl", long)
    with pytest.raises(DataError, match=r"task arc_easy, item q2 has 2,4.. tokens, small takes 1,024"):
        run(tmp_path / "out", Asking(["arc_easy"], data=[f"arc_easy={path}"], offline=True))
    assert not (tmp_path / "out" / NAME).read_bytes()
    report = run(tmp_path / "out", Asking(["arc_easy"], data=[f"arc_easy={path}"], offline=True, cut=True))
    assert report["rows"][0]["cut"] == 1


def test_noise_is_measured_where_it_is_not_known() -> None:
    import torch

    from tests.evaluate.benchmarks.test_harness_model import request

    opened = small.Small(dtype=torch.bfloat16)
    lm = HarnessModel(opened, small.engine(opened), AnswerJournal(None))
    asked = [request("loglikelihood", f"question {n} 河", f" answer {n}", item=str(n)) for n in range(20)]
    noise = measure_noise(lm, asked)
    assert noise.nats >= 1e-4 and "20 requests" in noise.how
    assert measure_noise(lm, []).nats == 1e-4


def test_the_same_model_and_tokens_have_one_key() -> None:
    keys = {
        answer_key(*args)
        for args in (
            ("m", "k", [1, 2], [3]),
            ("m", "k", [1], [2, 3]),
            ("m", "k", [1, 23]),
            ("n", "k", [1, 2], [3]),
            ("m", "l", [1, 2], [3]),
        )
    }
    assert len(keys) == 5 and answer_key("m", "k", (1, 2), (3,)) in keys


def test_a_journal_with_a_cut_last_line(tmp_path: Path) -> None:
    with AnswerJournal(tmp_path) as journal:
        journal.put("a", {"nats": 1 / 3})
        journal.put("b", {"ids": [1, 2]})
    data = (tmp_path / NAME).read_bytes()
    for cut in range(len(data) + 1):
        (tmp_path / NAME).write_bytes(data[:cut])
        with AnswerJournal(tmp_path) as journal:
            assert len(journal) == data[:cut].count(b"\n")
            journal.put("c", {"nats": 2.0})
        with AnswerJournal(tmp_path) as journal:
            assert journal.get("c") == {"nats": 2.0} and len(journal) == data[:cut].count(b"\n") + 1
            assert journal.get("a") in ({"nats": 1 / 3}, None)
    (tmp_path / NAME).write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1: not an answer"):
        AnswerJournal(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' full device")
def test_a_full_disk_is_told(tmp_path: Path, data: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_full_disk(journal: AnswerJournal, path: Path) -> None:
        journal._file = open("/dev/full", "wb", buffering=0)

    monkeypatch.setattr(AnswerJournal, "_open", on_a_full_disk)
    with pytest.raises(StorageError, match=r"cannot write .*No space left on device.*run the same command again"):
        run(tmp_path, Asking(["arc_easy"], data=data[:1], shots=1, offline=True))


def test_a_folder_that_cannot_be_made() -> None:
    with pytest.raises(StorageError, match="cannot use"):
        AnswerJournal(Path("/dev/null/题"))


KILLED = """
import os, signal, sys
from pathlib import Path
from skyloom.evaluate.benchmarks import answer_journal
from tests.evaluate.benchmarks.test_asking import Asking, run

answer_journal.HAND_OVER_SECONDS = 0.0
put = answer_journal.AnswerJournal.put
def counted(self, key, answer):
    put(self, key, answer)
    if len(self) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
answer_journal.AnswerJournal.put = counted
run(Path(sys.argv[2]), Asking(["arc_easy", "winogrande"], shots=2, data=sys.argv[4:], offline=True))
"""


def test_a_killed_evaluation_goes_on(data: list[str], whole: tuple[TaskReport, Path], tmp_path: Path) -> None:
    program = [sys.executable, "-c", KILLED, "x", str(tmp_path), "25", *data[:2]]
    killed = subprocess.run(program, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    known = (tmp_path / NAME).read_bytes()
    assert known.count(b"\n") == 25 and not (tmp_path / "tasks.json").exists()
    counts: list[int] = []

    class Counting(small.InferenceEngine):
        def likelihoods(self, asked, done=None):  # type: ignore[no-untyped-def]
            counts.append(len(asked))
            return super().likelihoods(asked, done)

    report = evaluate_tasks(
        [("small", "small")],
        Asking(["arc_easy", "winogrande"], shots=2, data=data[:2], offline=True),
        open_one=lambda name, _: small.Small(name, CONTEXT),
        engine=lambda m: Counting(m.cached(), batch_tokens=2048),  # type: ignore[arg-type]
        out=tmp_path,
        progress=Progress.silent(),
    )
    assert counts == [60 - 25] and (tmp_path / NAME).read_bytes().startswith(known)
    rows = [r for r in whole[0]["rows"] if r["model"] == "small" and r["task"] in ("arc_easy", "winogrande")]
    for row, same in zip(report["rows"], rows, strict=True):
        assert {k: v for k, v in row.items() if isinstance(v, (str, int))} == {
            k: v for k, v in same.items() if isinstance(v, (str, int))
        }
        assert [v for v in row.values() if isinstance(v, float)] == pytest.approx(
            [v for v in same.values() if isinstance(v, float)], abs=1e-5
        )
    assert Store(tmp_path).exists("items.jsonl.gz")


FORMS: dict[str, tuple[list[small.Item], str]] = {
    "lambada_openai": ([{"text": "The bird sat on the tree"}, {"text": "他去了 学校"}], "loglikelihood"),
    "wikitext": ([{"page": " = River = \n\n A river is long . \n"}, {"page": " = 河 = \n\n 河很长。 \n"}], "loglikelihood_rolling"),
    "truthfulqa_mc2": (
        [
            {
                "question": "河是什么？", "mc1_targets": {"choices": ["水", "fire"], "labels": [1, 0]},
                "mc2_targets": {"choices": ["水", "water", "fire"], "labels": [1, 1, 0]},
            }
        ]
        * 2,
        "multiple_choice",
    ),
    "hellaswag": (
        [{"ind": n, "activity_label": "Sport", "ctx_a": "A man", "ctx_b": "he 跑", "endings": ["runs.", "eats 饭.", "x", "y"], "label": "1"} for n in range(2)],
        "multiple_choice",
    ),
    "triviaqa": ([{"question": "谁？", "answer": {"aliases": ["甲", "A"], "value": "甲"}}] * 2, "generate_until"),
    "copa": ([{"premise": "He ran.", "choice1": "He fell.", "choice2": "他累了。", "question": "effect", "label": 1}] * 2, "multiple_choice"),
    "ceval-valid_law": ([{"question": "法？", "A": "甲", "B": "乙", "C": "丙", "D": "丁", "answer": "B"}] * 2, "multiple_choice"),
}  # fmt: skip


@pytest.mark.parametrize("task", sorted(FORMS))
def test_forms_of_tasks(task: str, tmp_path: Path) -> None:
    """Likelihoods, rolling windows, several right answers, programs: each gives a row with a value."""
    items, mode = FORMS[task]
    path = small.lines(tmp_path / "题.jsonl", items)
    data = [f"{task}={path}", f"{task}:train={path}", f"{task}:dev={path}"]
    report = run(tmp_path, Asking([task], shots=0, data=data, offline=True))
    assert {row["mode"] for row in report["rows"]} <= {mode, "None"} and len(report["rows"]) >= 1
    assert all(row["value"] is not None and row["n"] == 2 for row in report["rows"]), report["rows"]
    assert len(records(tmp_path)) == 2


def test_a_metric_that_must_be_fetched_is_told(tmp_path: Path) -> None:
    """squadv2's comes from the hub, when the answers are there; they are kept."""
    item = {
        "id": "甲",
        "title": "河",
        "context": "河很长。",
        "question": "什么长？",
        "answers": {"text": ["河"], "answer_start": [0]},
    }
    data = [f"squadv2={small.lines(tmp_path / 'a.jsonl', [item])}"]
    with pytest.raises(DataError, match="task squadv2: its metric exact cannot be computed"):
        run(tmp_path, Asking(["squadv2"], shots=0, data=data, offline=True))
    assert (tmp_path / NAME).read_bytes().count(b"\n") == 2
