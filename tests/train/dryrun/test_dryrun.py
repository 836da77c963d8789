"""The dry run against what is really there: shards and exchanges of gloo processes, bytes by hand, every micro-batch, the planner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig, RopeScaling
from skyloom.model.hf import shapes
from skyloom.model.presets import preset
from skyloom.planner.layout import Layout
from skyloom.planner.muon_cost import matrix_parameters
from skyloom.train.config import TrainConfig
from skyloom.train.dryrun.comparison import compare
from skyloom.train.dryrun.simulate import Rank, dry_run, representatives, run_rank
from skyloom.train.dryrun.traffic import GATHER, RECEIVE, REDUCE, SCATTER, SEND
from tests.train.real_ranks import CONFIG, LAYOUTS, MODEL

pytestmark = pytest.mark.xdist_group("dryrun")
SMALL = ModelConfig(vocabulary=64, hidden=32, layers=4, heads=4, ffn=96, context=32)
WIDE = replace(preset("skywork-13b"), layers=4, vocabulary=8192)
"""Of few blocks, and with so small a head that four stages have one block each."""
QWEN3 = replace(WIDE, key_heads=4, head_width=192, head_norm=True)
MISTRAL = replace(WIDE, key_heads=12, window=1024, query_bias=True, rope_scaling=RopeScaling("llama3", 8.0, 1024))


def one(layout: Layout, rank: int = 0, model: ModelConfig = SMALL, config: TrainConfig = CONFIG, every: bool = False) -> Rank:
    return run_rank(replace(config, layout=layout), model, rank, every)


def rows(rank: Rank) -> dict[tuple[str, str], tuple[int, int]]:
    return {(row.dimension, row.kind): (row.count, row.size) for row in rank.traffic}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """Of four gloo processes, for each of `LAYOUTS`."""
    folder = tmp_path_factory.mktemp("real")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "4",
        "-m",
        "tests.train.real_ranks",
    ]
    done = subprocess.run([*command, str(folder)], cwd=Path(__file__).parents[3], capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(4)]


@pytest.mark.parametrize("number", range(len(LAYOUTS)), ids=[str(layout) for layout in LAYOUTS])
def test_shards_and_exchanges_are_those_of_real_processes(real: list[list[dict[str, Any]]], number: int) -> None:
    for rank in range(4):
        told, there = one(LAYOUTS[number], rank, MODEL, every=True), real[rank][number]
        assert {shard.name: list(shard.local) for shard in told.shards} == there["shapes"]
        mine = sorted([row.dimension, row.kind, row.count, row.size] for row in told.traffic)
        assert mine == there["traffic"]


def test_zero_1_by_hand() -> None:
    """bf16 blocks and head are gathered in 2 bytes, embedding and last norm in 4; gradients reduced in 4; the loss and the norm."""
    found = rows(one(Layout(data=8)))
    wide = 64 * 32 + 32
    groups = SMALL.layers + 2
    assert found[("dp", GATHER)] == (groups, 2 * (SMALL.parameters - wide) + 4 * wide)
    assert found[("dp", SCATTER)] == (groups, 4 * SMALL.parameters)
    assert found[("dp", REDUCE)] == (1, 16) and len(found) == 3
    plain = rows(one(Layout(data=8, zero=False)))
    assert plain[("dp", REDUCE)] == (groups + 1, 4 * SMALL.parameters + 16)


def test_tensor_and_sequence_parallelism_by_hand() -> None:
    """Four exchanges of the bf16 hidden states in a block each way, of gathers and scatters as many; the embedding's in fp32."""
    found = one(Layout(data=4, tensor=2, micro_batch=1))
    hidden = 32 * 32  # positions x width of a micro-batch
    micro_batches = 2
    each = (4 * SMALL.layers * 2 + 2 + 4) * hidden * micro_batches
    count = (4 * SMALL.layers + 2) * micro_batches
    assert rows(found)[("tp", GATHER)] == rows(found)[("tp", SCATTER)] == (count, each)
    sent = {(row.dimension, row.kind): row.sent for row in found.traffic}
    assert sent[("tp", GATHER)] == each / 2, "a ring of two sends half"


def test_the_pipeline_by_hand() -> None:
    """Hidden states forward and their gradients back, once a micro-batch, in bf16; the middle has two borders."""
    layout = Layout(data=2, pipeline=4, micro_batch=1)
    size = 2 * 32 * 32
    for place, borders in ((0, 1), (1, 2), (3, 1)):
        found = rows(one(layout, place * 2))
        assert found[("pp", SEND)] == found[("pp", RECEIVE)] == (4 * borders, 4 * borders * size)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(data=2, tensor=2, micro_batch=1),
        Layout(data=2, pipeline=2, micro_batch=1),
        Layout(data=2, pipeline=2, micro_batch=1, schedule="interleaved"),
    ],
    ids=["whole", "1f1b", "interleaved"],
)
def test_short_steps_tell_what_every_micro_batch_would(layout: Layout) -> None:
    config = replace(CONFIG, batch=12)
    short, every = (one(layout, 0, config=config, every=every) for every in (False, True))
    assert short.traffic == every.traffic
    assert short.memory == pytest.approx(every.memory, rel=1e-3, abs=1024)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(data=256, pipeline=2, micro_batch=1),
        Layout(data=64, tensor=4, pipeline=2, micro_batch=1),
        Layout(data=256, pipeline=2, micro_batch=1, schedule="interleaved"),
        Layout(data=512, recompute="full", micro_batch=1),
        Layout(data=512, recompute="selective", micro_batch=1),
    ],
    ids=["PP2", "TP4+PP2", "interleaved", "full", "selective"],
)
def test_the_planner_counts_what_the_trainer_asks_for(layout: Layout) -> None:
    """512 ranks at the report's width and batch, of 4 blocks; what a backward pass has under way, which is not planned, is as large
    as with 52, where it is below 1 % (bench/train/dry_run.py)."""
    config = TrainConfig(batch=4096, context=4096)
    for run in dry_run(config, WIDE, [layout]):
        for rank in run.ranks:
            found = {row.what: row for row in compare(run, rank)}
            assert found["memory"].ratio == pytest.approx(1, abs=0.1)
            for what in ("sent, dp", "sent, tp", "sent and received, pp"):
                assert what not in found or found[what].ratio == pytest.approx(1, abs=0.001), what


@pytest.mark.parametrize("model", [QWEN3, MISTRAL], ids=["norms of heads", "biases and a window"])
def test_the_planner_counts_today_s_models_too(model: ModelConfig) -> None:
    config = TrainConfig(batch=256, context=4096)
    (run,) = dry_run(config, model, [Layout(data=64, tensor=4, micro_batch=1)])
    for rank in run.ranks:
        assert {shard.name: shard.whole for shard in rank.shards} == shapes(model)
        found = {row.what: row for row in compare(run, rank)}
        assert found["memory"].ratio == pytest.approx(1, abs=0.1)
        assert found["sent, dp"].ratio == pytest.approx(1, abs=0.001) and found["sent, tp"].ratio == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize(
    "layout",
    [Layout(data=8, micro_batch=1), Layout(data=4, tensor=2, micro_batch=1), Layout(data=4, zero=False, tensor=2, micro_batch=1)],
    ids=["ZeRO-1", "ZeRO-1 and TP", "TP without ZeRO"],
)
def test_muon_s_exchange_and_its_one_moment_are_what_is_planned(layout: Layout) -> None:
    config = TrainConfig(batch=32, context=1024, optimizer="muon")
    (run,) = dry_run(config, WIDE, [layout])
    (without,) = dry_run(replace(config, optimizer="adamw"), WIDE, [layout])
    found = {row.what: row for row in compare(run, run.ranks[0])}
    assert found["sent, Muon"].planned and found["sent, Muon"].ratio == pytest.approx(1, abs=1e-9)
    assert found["optimiser"].ratio == pytest.approx(1, abs=0.01)
    assert found["sent, dp"].ratio == pytest.approx(1, abs=0.001)
    held = layout.tensor * (layout.data if layout.zero else 1)
    saved = 4 * WIDE.layers * matrix_parameters(WIDE) / held
    assert without.ranks[0].states - run.ranks[0].states == pytest.approx(saved, rel=1e-3)
    assert "sent, Muon" not in {row.what for row in compare(without, without.ranks[0])}


def test_ranks_that_stand_for_all() -> None:
    config = replace(TrainConfig(batch=4096, context=4096), layout=Layout(data=128, pipeline=4, micro_batch=1))
    assert representatives(preset("skywork-13b"), config) == [0, 384]
    assert representatives(preset("skywork-13b"), replace(config, layout=Layout(data=256, tensor=2, micro_batch=1))) == [0]


def test_states_are_a_replica_s_share() -> None:
    """fp32 masters and two moments, 12 bytes of each parameter."""
    assert one(Layout(data=8)).states == pytest.approx(12 * SMALL.parameters / 8, rel=0.25)
    assert one(Layout(data=8)).shards[0].placement == "cut 0 on dp"


def test_what_cannot_train_is_refused_before_anything_is_built() -> None:
    with pytest.raises(ConfigError, match=r"\b3 replicas.*multiple"):
        dry_run(CONFIG, SMALL, [Layout(data=3)])
    with pytest.raises(ConfigError, match=r"divide.*heads"):
        dry_run(CONFIG, SMALL, [Layout(data=2), Layout(tensor=3)])
