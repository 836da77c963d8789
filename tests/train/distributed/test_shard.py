"""What a layout asks of a step: shards that cover the model once, and no more exchanges than promised; on fake processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.model.presets import preset
from skyloom.planner.layout import Layout, cut
from skyloom.train.config import TrainConfig
from skyloom.train.distributed import mesh
from skyloom.train.distributed.parallel_learner import ParallelLearner
from skyloom.train.distributed.shard import parallelize
from tests.train.distributed.equal_loss import BATCH, SHAPE, tokens

CONFIG = TrainConfig(batch=BATCH, context=SHAPE["context"])
MODEL = ModelConfig(**{**SHAPE, "layers": 4})


@contextmanager
def pretended(layout: Layout, rank: int) -> Iterator[mesh.Place]:
    """This process as one of many that are not there; what it sends goes nowhere."""
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=layout.world)
    try:
        yield mesh.join(layout)
    finally:
        dist.destroy_process_group()


class Exchanges(TorchDispatchMode):
    """Counts collectives by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(kind, DTensor) or kind.__name__ == "AsyncCollectiveTensor" for kind in types):
            return NotImplemented
        if "c10d" in func.namespace:
            self.counts[func.name().split("::")[1]] += 1
        return func(*args, **(kwargs or {}))


def exchanges(layout: Layout) -> Counter[str]:
    """Of one step, forward and backward."""
    with pretended(layout, 0) as place:
        learner = ParallelLearner.build(CONFIG, MODEL, place)
        with Exchanges() as counted:
            learner.runner.train(tokens(0)[:: layout.data], None)
    return counted.counts


@pytest.mark.parametrize("micro_batch", [1, 4])
def test_zero_gathers_and_reduces_once_a_step(micro_batch: int) -> None:
    groups = MODEL.layers + 2  # the blocks, the head, and the rest
    expected = {"_allgather_base_": groups, "_reduce_scatter_base_": groups}
    assert exchanges(Layout(data=2, micro_batch=micro_batch)) == expected


def test_plain_data_parallelism_only_reduces() -> None:
    assert exchanges(Layout(data=2, micro_batch=2, zero=False)) == {"allreduce_": MODEL.layers + 2}


@pytest.mark.parametrize("micro_batch", [8, 4])
def test_tensor_parallelism_exchanges_shards_only(micro_batch: int) -> None:
    """Two gathers and two scatters in a block each way, three numbers per token for the loss, each gain's gradient once a step."""
    counts, times = exchanges(Layout(tensor=2, micro_batch=micro_batch)), BATCH // micro_batch
    assert counts["all_gather_into_tensor"] == counts["reduce_scatter_tensor"] == times * (4 * MODEL.layers + 2)
    assert counts["all_reduce"] == times * 3 + 2 * MODEL.layers + 1


@pytest.mark.parametrize(
    "layout",
    [Layout(data=2, pipeline=2, tensor=2, micro_batch=2, schedule="interleaved"), Layout(data=4, tensor=2, zero=False)],
    ids=str,
)
def test_shards_cover_the_model_once(layout: Layout) -> None:
    held = 0.0
    names = set()
    for rank in range(layout.world):
        with pretended(layout, rank) as place:
            assert place.rank == rank == (place.stages[0] * layout.data + place.replica) * layout.tensor + rank % layout.tensor
            for part in parallelize(MODEL, place, "fp32", False).values():
                for name, weight in part.named_parameters():
                    assert isinstance(weight, DTensor)
                    names.add(name)
                    copies = [weight.device_mesh.size(d) for d, p in enumerate(weight.placements) if p.is_replicate()]
                    held += weight.to_local().numel() / (copies[0] if copies else 1) / (copies[1] if len(copies) > 1 else 1)
    assert held == pytest.approx(MODEL.parameters)
    assert f"blocks.{MODEL.layers - 1}.attention.query.weight" in names, "names are those of the whole model"


@given(
    layers=st.integers(1, 80),
    stages=st.integers(1, 16),
    vocabulary=st.integers(2, 300_000),
    hidden=st.sampled_from([64, 512, 4096]),
)
def test_the_slowest_stage_is_as_fast_as_it_can_be(layers: int, stages: int, vocabulary: int, hidden: int) -> None:
    if stages > layers:
        return
    model = ModelConfig(vocabulary=vocabulary, hidden=hidden, layers=layers, heads=2, ffn=hidden * 8 // 3, context=1024)
    parts = cut(model, stages)
    assert [block for part in parts for block in part] == list(range(layers)) and all(parts) and len(parts) == stages
    block = (model.flops_per_token(1024) - 6 * (model.embedding_parameters + hidden)) / layers
    head = 6 * model.embedding_parameters / block

    def slowest(sizes: list[int]) -> float:
        return max([*sizes[:-1], sizes[-1] + head])

    possible = [
        slowest([-(-(layers - last) // (stages - 1))] * (stages - 1) + [last]) if stages > 1 else layers + head
        for last in range(1, layers - stages + 2)
    ]
    assert slowest([len(part) for part in parts]) <= min(possible) * 1.02


def test_the_report_s_model_is_cut_evenly() -> None:
    assert [len(part) for part in cut(preset("skywork-13b"), 2)] == [26, 26]
    assert [len(part) for part in cut(preset("skywork-13b"), 4)] == [13] * 4


def test_schedules_in_rounds_refuse_a_broken_round() -> None:
    Layout(pipeline=2, micro_batch=1).check(MODEL, 3, 32)
    with pytest.raises(ConfigError, match=r"\b2 micro-batches.*replica.*\b3\b"):
        Layout(pipeline=2, micro_batch=1, schedule="zero-bubble").check(MODEL, 3, 32)
