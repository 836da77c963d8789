"""The benches of a training step, at tiny shapes: everybody trains the same thing, and what cannot be measured says so."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from bench.answers import NotMeasuredError
from bench.turns import pairs

from bench.train import cpu as train_cpu
from bench.train import gpu as train_gpu
from bench.train import loss as train_loss
from skyloom.model.config import ModelConfig
from skyloom.model.hf_config import to_hf_config

TINY = train_cpu.Shape(ModelConfig(vocabulary=64, hidden=32, layers=2, heads=2, ffn=96, context=16), 2)


def bench(work: Path, monkeypatch: pytest.MonkeyPatch, *contenders: str) -> Any:
    monkeypatch.setattr(train_cpu, "SHAPES", {"tiny": TINY})
    monkeypatch.setattr(train_cpu, "TURN", 0.01)
    return train_cpu.Bench(work, sys.executable, 1, ["tiny"], contenders, compiled=False)


def test_ours_and_the_plain_loop_train_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same weights the same losses, but for bf16; so their times are of the same work."""
    found = bench(tmp_path, monkeypatch, "skyloom", "plain").found["tiny"]
    ours, plain = found["skyloom"], found["plain"]
    assert len(ours.losses) == len(plain.losses) == train_cpu.WATCHED
    assert ours.losses[0] == pytest.approx(plain.losses[0], abs=5e-3)
    assert ours.losses == pytest.approx(plain.losses, abs=3e-2)
    assert ours.losses[-1] < ours.losses[0] - 0.02, "it learns"
    assert plain.rates[0] > 0 and plain.ratios == [ours.rates[0] / plain.rates[0]], "the two turns beside each other"


def test_a_peer_that_is_not_installed_is_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"tiny": {"skyloom": train_cpu.Measured([2.0]), "plain": train_cpu.Measured([1.0], [2.0])}}
    some = bench(tmp_path, monkeypatch, "skyloom", "plain")
    some.__dict__["found"] = here
    with pytest.raises(NotMeasuredError, match="hf-loop is not installed"):
        some.best_ratio()
    with pytest.raises(NotMeasuredError, match="trainer is not installed"):
        some.trainer_ratio()
    here["tiny"] |= {
        "hf-loop": train_cpu.Measured([1.6, 0.8, 1.6], [1.25, 1.3, 1.2]),
        "litgpt": train_cpu.Measured([0.5], [4.0]),
        "trainer": train_cpu.Measured([0.4], [5.0]),
    }
    assert some.best_ratio() == pytest.approx(1.25), "the median of the rounds, against the fastest of all"
    assert some.trainer_ratio() == pytest.approx(5.0)


def test_turns_lie_side_by_side_in_both_orders() -> None:
    first, second = [("甲", ("we", "甲")), ("b", ("we", "b"))], [("b", ("b", "we")), ("甲", ("甲", "we"))]
    assert list(pairs("we", ["甲", "b"], 3)) == [*first, *second, *first]


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++")
def test_all_losses_are_of_the_same_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each contender, compiled where it is compiled: one loss, gradients near those of fp32, a time and a ratio of each round."""
    monkeypatch.setattr(train_loss, "SHAPES", {"tiny": (32, 16, 64)})
    monkeypatch.setattr(train_loss, "TURN", 0.01)
    monkeypatch.setattr(train_loss, "SLOW", float("inf"))
    some = train_loss.Bench(2, 1, ["tiny"], ["torch", "torch-chunked"])
    found = some.found["tiny"]
    assert list(found) == ["skyloom", "torch", "torch-chunked"]
    for name, one in found.items():
        assert one.apart < 0.05 and min(one.seconds) > 0 and len(one.mib) == len(one.seconds)
        assert len(one.ratios) == (0 if name == "skyloom" else 2)
    assert some.loss_ratio() == min(found["torch"].ratio, found["torch-chunked"].ratio) > 0
    losses = []
    for name in found:
        with train_loss.worker_of(name) as worker:
            losses.append(worker.ask({"rows": 32, "hidden": 16, "vocabulary": 64, "threads": 1})["loss"])
    assert max(losses) - min(losses) < 0.02 and 3 < losses[0] < 7


@pytest.mark.skipif(importlib.util.find_spec("litgpt") is not None, reason="it is installed")
def test_a_worker_says_what_it_lacks() -> None:
    with train_cpu.worker_of("litgpt", sys.executable) as worker:
        assert worker.missing == "litgpt"


def test_the_bench_of_a_card_runs_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours and a peer, utilisation, memory and the profile, by the same lines as on a card."""
    asked = [
        "--tiny",
        "--device",
        "cpu",
        "--eager",
        "--rounds",
        "1",
        "--profile",
        str(tmp_path),
        "--only",
        "skyloom",
        "plain",
        "hf-loop-bf16",
    ]
    assert train_gpu.main(asked) == 0
    rows = [
        line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith(("| skyloom", "| plain", "| hf-"))
    ]
    plain, qwen3 = ["| skyloom", "| plain", "| hf-loop-bf16"], ["| skyloom", "| hf-loop-bf16"]
    assert [row[0] for row in rows] == [*plain, *qwen3], "the plain loop cannot build Qwen3's shape"
    for row in rows:
        assert row[1:3] == ["2", "none"] and float(row[3].replace(",", "")) > 0
        assert 0 < float(row[6].rstrip("%")) <= float(row[5].rstrip("%")), "of a peak that was measured beside other programs"
    assert "matrix products" in (tmp_path / "tiny.txt").read_text()


def test_the_shapes_of_a_card_are_what_transformers_builds() -> None:
    """Each shape that is more than LLaMA 1's has as many parameters there as here."""
    from transformers import AutoConfig, AutoModelForCausalLM

    others = {name: shape for name, shape in train_gpu.SHAPES.items() if not train_gpu.is_plain(shape.model)}
    assert len(others) == 4
    for name, shape in others.items():
        config = AutoConfig.for_model(**to_hf_config(shape.model, bos_id=0, eos_id=0, dtype="float32"))
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        assert sum(p.numel() for p in {id(p): p for p in model.parameters()}.values()) == shape.model.parameters, name


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_the_bars_are_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert train_gpu.main(["--json", "mfu-slice,mfu-7b"]) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert values == {name: {"not_measured": "no CUDA device"} for name in ("mfu-slice", "mfu-7b")}


def test_what_does_not_fit_is_tried_smaller() -> None:
    ways = list(train_gpu.ways(train_gpu.SHAPES["7b"], "skyloom"))
    assert ways == [(4, "none"), (2, "none"), (1, "none"), (2, "selective"), (2, "full"), (1, "full")]
    assert list(train_gpu.ways(train_gpu.SHAPES["7b"], "litgpt-bf16")) == ways[:3]


def test_the_slice_is_a_quarter_of_the_reports_model() -> None:
    model = train_gpu.SHAPES["slice"].model
    assert (model.hidden, model.layers, model.vocabulary, model.context) == (4_608, 13, 65_536, 4_096)
