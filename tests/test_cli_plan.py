"""`skyloom plan` as a user meets it: one layout, a search, the CPU, tables, JSON and errors."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.planner.machines import MACHINES, TABLE10
from skyloom.train import step

REPORT = "plan --model skywork-13b --gpu a800-80g --nodes 64 --gpus-per-node 8 --sequences 4096 --micro-batch 1".split()
KEYS = {"layout", "fits", "tokens_per_gpu_per_s", "mfu", "tflops", "memory_gib", "days", "reason"}


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def test_the_reports_layout_as_json():
    told = json.loads(run(*REPORT, "--layout", "dp=256,pp=2", "--json"))
    assert set(told) >= KEYS and told["fits"] is True and told["reason"] == ""
    assert told["tokens_per_gpu_per_s"] == pytest.approx(1873, rel=0.05) and told["memory_gib"] == pytest.approx(77.1, rel=0.06)
    assert told["tflops"] / 312 == pytest.approx(told["mfu"], abs=1e-3) and told["days"] == pytest.approx(39, abs=2)
    assert told["error"]["validated"] and told["assumptions"]["parameters"] == 13_854_269_952
    assert sum(told["memory"].values()) == pytest.approx(told["memory_gib"], abs=0.01)
    assert sum(told["seconds"].values()) == pytest.approx(told["step_seconds"], abs=1e-3)


def test_a_layout_without_room_is_an_answer_and_no_error():
    told = json.loads(run(*REPORT, "--layout", "dp=512", "--json"))
    assert told["fits"] is False and "it fits with" in told["reason"] and told["days"] is None
    shown = run(*REPORT, "--layout", "DP512")
    assert "needs 120.2 GiB" in " ".join(shown.split()) and "MFU" in shown


def test_a_search_as_json_is_the_best_plan_and_what_else_was_tried():
    told = json.loads(run(*REPORT, "--json", "--top", "3"))
    assert set(told) >= KEYS and told["layout"] == "dp=256,pp=2,micro=1" and len(told["alternatives"]) == 2
    assert told["failed"] and all(set(row) >= {"reason", "layouts", "example"} for row in told["failed"])
    assert run(*REPORT, "--json", "--top", "3") == run(*REPORT, "--json", "--top", "3")


def test_tables_show_the_best_the_failures_and_the_error():
    shown = run(*REPORT)
    assert "dp=256,pp=2,micro=1" in shown and "heads (36)" in " ".join(shown.split())
    assert "Error: validated" in shown and "Energy: 812 W" in shown and "3.2 T tokens" in shown


def test_a_search_without_any_layout_says_why():
    told = json.loads(run(*REPORT[:-3], "7", "--json"))  # 7 sequences cannot be shared by 512
    assert set(told) >= KEYS and told["fits"] is False and told["layout"] is None and "7 sequences" in told["reason"]
    assert "7 sequences" in run(*REPORT[:-3], "7")


def test_own_figures_replace_the_tables():
    slower = json.loads(run(*REPORT, "--layout", "dp=256,tp=2", "--link", "20", "--json"))
    usual = json.loads(run(*REPORT, "--layout", "dp=256,tp=2", "--json"))
    assert slower["tokens_per_gpu_per_s"] < usual["tokens_per_gpu_per_s"] and not slower["error"]["validated"]
    small = json.loads(run(*REPORT, "--layout", "dp=256,pp=2", "--memory", "40", "--json"))
    assert not small["fits"] and small["memory_gib"] == pytest.approx(78.5, abs=0.1)
    options = ("--watts", "0", "--fixed", "0", "--matmul", "0.5", "--network", "1600", "--tokens", "130B", "--context", "2048")
    told = json.loads(run(*REPORT, "--layout", "dp=256,pp=2", *options, "--json"))
    assert told["kwh"] == 0 and told["memory"]["fixed"] == 0 and told["assumptions"]["tokens"] == 130e9


def test_h200_is_predicted_and_not_validated():
    told = json.loads(run("plan", "--model", "llama-7b", "--gpu", "h200", "--sequences", "256", "--json"))
    assert told["fits"] and not told["error"]["validated"] and "h200-141g" in told["error"]["note"]


def test_a_recipe_on_this_cpu():
    told = json.loads(run("plan", "--model", "recipes/demo.toml", "--gpu", "cpu", "--threads", "1", "--json"))
    assert told["fits"] and told["assumptions"]["sequences"] == 8 and told["assumptions"]["context"] == 256
    assert told["tokens_per_gpu_per_s"] > 0 and told["days"] > 0 and not told["error"]["validated"]
    assert told["assumptions"]["tokens"] == 3_000_000


def test_cpu_plans_are_of_one_process(monkeypatch):
    asked = []

    def measured(model, rows, context, threads=0):
        asked.append((rows, context, threads))
        return replace(MACHINES["a100-80g"], name="cpu", per_node=1), TABLE10

    monkeypatch.setattr(step, "measure_cpu", measured)
    run("plan", "--model", "demo-3m", "--gpu", "cpu", "--sequences", "32", "--layout", "micro=4")
    assert asked == [(4, 256, 0)]
    assert "one process" in run("plan", "--model", "demo-3m", "--gpu", "cpu", "--nodes", "2", code=2)
    assert "2 processes" in run("plan", "--model", "demo-3m", "--gpu", "cpu", "--layout", "dp=2", code=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layout", "dp=100,pp=2"], ("200 processes", "512")),
        (["--layout", "dp=64,tp=8"], ("divide", "heads")),
        (["--layout", "dp=256;pp=2"], ("dp=256,pp=2",)),
        (["--tokens", "1000"], ("one step",)),
        (["--context", "100000"], ("4096",)),
        (["--gpu", "tpu"], ("machine 'tpu'",)),
        (["--model", "没有.toml"], ("cannot read",)),
        (["--model", "skywork"], ("model preset",)),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments, words):
    shown = run(*REPORT, *arguments, code=2)
    assert all(word in " ".join(shown.split()) for word in words), shown


def test_machines_are_listed_with_their_sources():
    listed = json.loads(run("plan", "--machines", "--json"))
    assert {row["name"] for row in listed} == set(MACHINES) and all(row["source"] for row in listed)
    assert "--model" in run("plan", code=2)


@pytest.mark.parametrize("option", ["--memory", "--link", "--network", "--watts", "--fixed", "--matmul"])
@pytest.mark.parametrize("value", ["nan", "inf", "9" * 1_000])
def test_a_measure_that_is_infinite_or_none_is_refused(option: str, value: str) -> None:
    said = run(*REPORT, option, value, code=2)
    assert "no number of which" in said or "range" in said or "Error" in said
