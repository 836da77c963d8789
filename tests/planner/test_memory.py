"""Bytes that the planner counts: against the decoder itself, against torch's own schedules, and as sums that must come out."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributed.pipelining import schedules

from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.model.presets import PRESETS
from skyloom.planner.layout import Layout
from skyloom.planner.memory import EAGER, FUSED, block_bytes, in_flight, mask_bytes, memory, shares
from skyloom.planner.time import bubble
from skyloom.train.step.optim import to_precision

SKYWORK = PRESETS["skywork-13b"]


@pytest.mark.parametrize(
    "other",
    [{}, {"key_heads": 2}, {"key_heads": 2, "head_width": 48, "head_norm": True}, {"query_bias": True, "window": 20}],
    ids=["plain", "grouped", "norms of heads", "window"],
)
def test_an_eager_block_keeps_what_is_counted(other):
    """Distinct storages that autograd saves in one block, to the byte.

    Beyond the formula stand what it leaves out as too small: a norm's root, attention's log-sums, one fp32 each.
    """
    config = ModelConfig(vocabulary=64, hidden=256, layers=1, heads=8, ffn=704, context=64, **other)
    model, rows, context = to_precision(initialise(Decoder(config), 0), "bf16"), 2, 64
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    saved = {}

    def keep(tensor):
        if (place := tensor.untyped_storage().data_ptr()) not in own:
            saved[place] = tensor
        return tensor

    x = torch.randn(rows, context, config.hidden, dtype=torch.bfloat16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.blocks["0"](x, model.rotate, None)
    small = 4 * (2 + config.heads + config.head_norm * (config.heads + config.grouped_heads))
    kept = rows * context * (block_bytes(config, EAGER, 1) + small) + mask_bytes(config, EAGER, context)
    assert sum(t.untyped_storage().nbytes() for t in saved.values()) == kept


def test_weights_gradients_and_states_by_hand():
    """DP256+PP2 of Skywork-13B: half of 13,854,269,952 parameters, the last norm apart."""
    found = memory(SKYWORK, Layout(data=256, pipeline=2, micro_batch=1), 4096, 4096, FUSED, 0.0)
    half = 26 * SKYWORK.block_parameters + 65_536 * 4_608
    assert (found.weights, found.gradients, found.optimiser) == (2 * half, 4 * half, 12 * half / 256)
    assert found.activations == 2 * 26 * 4096 * (16 * 4608 + 6 * 12_288)
    without = memory(SKYWORK, Layout(data=256, pipeline=2, micro_batch=1, zero=False), 4096, 4096, FUSED, 0.0)
    assert without.optimiser == 12 * half


def test_a_single_micro_batch_keeps_no_whole_gradients_in_our_trainer():
    layout = Layout(data=4)
    one, several = (memory(SKYWORK, Layout(data=4, micro_batch=m), 4, 4096, EAGER, 0.0) for m in (0, 1))
    assert one == several and one.gradients == 4 * SKYWORK.parameters / 4
    assert memory(SKYWORK, layout, 4, 4096, FUSED, 0.0).gradients == 4 * SKYWORK.parameters
    assert memory(SKYWORK, Layout(data=4, micro_batch=1), 8, 4096, EAGER, 0.0).gradients == 4 * SKYWORK.parameters


@given(
    name=st.sampled_from(sorted(PRESETS)),
    pipeline=st.integers(1, 16),
    tensor=st.sampled_from([1, 2, 4]),
    schedule=st.sampled_from(["1f1b", "interleaved", "zero-bubble"]),
    chunks=st.integers(1, 4),
)
@settings(max_examples=200, deadline=None)
def test_every_parameter_is_held_once(name, pipeline, tensor, schedule, chunks):
    model, layout = PRESETS[name], Layout(pipeline=pipeline, tensor=tensor, schedule=schedule, chunks=chunks)
    if layout.stages > model.layers:
        return
    held = shares(model, layout)
    assert sum(share.blocks for share in held) == model.layers
    assert sum(tensor * share.parameters(model, tensor) for share in held) == pytest.approx(model.parameters, rel=1e-12)


@given(
    recompute=st.sampled_from(["none", "selective", "full"]),
    tensor=st.sampled_from([1, 2, 4]),
    name=st.sampled_from(["skywork-13b", "gpt-7b", "llama-1b"]),
)
def test_what_is_computed_again_is_not_kept(recompute, tensor, name):
    model = PRESETS[name]
    order = [block_bytes(model, FUSED, tensor, again) for again in ("none", "selective", "full")]
    assert order == sorted(order, reverse=True) and order[2] == 2 * model.hidden / tensor
    assert block_bytes(model, FUSED, tensor, recompute) == pytest.approx(block_bytes(model, FUSED, 1, recompute) / tensor)


def torch_order(kind: str, pipeline: int, chunks: int, count: int) -> dict[int, list[tuple[str, int, int]]]:
    """(operation, stage, micro-batch) of each rank, as torch.distributed.pipelining orders them."""
    made = {"interleaved": schedules.ScheduleInterleaved1F1B, "zero-bubble": schedules.ScheduleInterleavedZeroBubble}
    if kind == "1f1b":  # torch has no list of it: warm up, then one backward and one forward in turn
        orders = {}
        for rank in range(pipeline):
            warm = min(count, pipeline - rank)
            orders[rank] = [("F", rank, m) for m in range(warm)]
            for m in range(count):
                orders[rank] += [("B", rank, m)] + ([("F", rank, warm + m)] if warm + m < count else [])
        return orders
    told = SimpleNamespace(n_local_stages=chunks, microbatches_per_round=pipeline, pp_group_size=pipeline, _n_microbatches=count)
    ranks = {rank: made[kind]._calculate_single_rank_operations(told, rank) for rank in range(pipeline)}
    return {r: [(a.computation_type.value, a.stage_index, a.microbatch_index) for a in ops if a] for r, ops in ranks.items()}


def play(orders: dict[int, list[tuple[str, int, int]]], stages: int, cost: Callable[[str, int], float]) -> tuple[float, list[int]]:
    """When the last operation ends if each begins as soon as its rank and its inputs are free; most kept on each rank."""
    done: dict[tuple[str, int, int], float] = {}
    place, free, live, most = (dict.fromkeys(orders, 0) for _ in range(4))
    while any(place[r] < len(orders[r]) for r in orders):
        before = dict(place)
        for rank, operations in orders.items():
            while place[rank] < len(operations):
                what, stage, micro = operations[place[rank]]
                needs = [("F", stage - 1, micro)] if what == "F" and stage else []
                if what in "BI":
                    needs = [("F", stage, micro)] + ([(what, stage + 1, micro)] if stage < stages - 1 else [])
                if not all(need in done for need in needs):
                    break
                free[rank] = done[what, stage, micro] = max([free[rank], *(done[n] for n in needs)]) + cost(what, stage)
                live[rank] += (what == "F") - (what in "BW")
                most[rank] = max(most[rank], live[rank])
                place[rank] += 1
        assert place != before, "the schedule waits for itself"
    return max(free.values()), list(most.values())


@pytest.mark.parametrize(
    ("kind", "pipeline", "chunks", "count"),
    [
        ("1f1b", 2, 1, 16), ("1f1b", 4, 1, 4), ("1f1b", 4, 1, 32), ("interleaved", 2, 2, 16), ("interleaved", 4, 2, 32),
        ("interleaved", 4, 4, 32), ("interleaved", 8, 2, 8), ("zero-bubble", 2, 2, 2), ("zero-bubble", 4, 2, 32),
        ("zero-bubble", 4, 4, 32), ("zero-bubble", 8, 2, 64),
    ],
)  # fmt: skip
def test_what_is_in_flight_and_the_bubble_are_those_of_torchs_schedules(kind, pipeline, chunks, count):
    """With equal stages and a backward pass of twice the forward's time, the formulas are exact."""
    layout = Layout(pipeline=pipeline, schedule=kind, chunks=chunks)
    cost = {"F": 1 / chunks, "B": 2 / chunks, "I": 1 / chunks, "W": 1 / chunks}
    ends, most = play(torch_order(kind, pipeline, chunks, count), pipeline * chunks, lambda what, stage: cost[what])
    assert most == [in_flight(layout, rank, count) for rank in range(pipeline)]
    assert ends == pytest.approx(3 * count + 3 * (pipeline - 1) * bubble(layout))


def test_uneven_stages_under_1f1b_cost_what_the_slowest_takes():
    """Σ of all stages for one micro-batch, and the slowest's for the others: what `step_seconds` adds up."""
    slow, count = (1.0, 1.0, 1.25), 12
    ends, _ = play(torch_order("1f1b", 3, 1, count), 3, lambda what, stage: slow[stage] * (1 if what == "F" else 2))
    assert ends == pytest.approx(3 * (sum(slow) + (count - 1) * max(slow)), rel=0.01)
