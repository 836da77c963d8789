"""Tensor parallelism, FSDP, precision and compilation applied to the part of a model that a process has. Report 3.5, appendix B.

`parallelize` is the whole of it, in the one order that works; what each step does stands below it in the same order. The
model knows nothing of this: everything is put on from outside, and every weight keeps its global name.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed._composable.replicate_with_fsdp import replicate
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import first_weight
from skyloom.planner.layout import cut
from skyloom.train.distributed.mesh import DATA, TENSOR, Place
from skyloom.train.step import recompute


def parallelize(config: ModelConfig, place: Place, precision: str, compiled: bool) -> dict[int, Decoder]:
    """This process's parts of the model by number of stage, on the meta device: shapes without memory; see `materialise`.

    The order: each step wraps what the steps before it made, so the first sits innermost when the model runs.
    """
    layout = place.layout
    ranges = cut(config, layout.stages)
    parts = {}
    for stage in place.stages:
        # 1. Pipeline: all that follows has only its own blocks to do.
        part = part_of(config, ranges[stage])
        # 2. Tensor: swaps weights for shards, so before anything holds on to them; its exchanges lie within the graphs of 3.
        if layout.tensor > 1:
            split_matrices(part, place.mesh[TENSOR])
        # 3. Compile: sees 2 as plain code and can fuse around it.
        if compiled:
            compile_blocks(part)
        # 4. Recompute: runs a block's graph again as it is; torch cannot put that inside of a graph that has the exchanges of 2.
        recompute(part, layout.recompute)
        # 5. Data: gathers a block's weights before all of this and reduces their gradients behind it, outside of any graph.
        share_states(part, place.mesh[DATA], layout.zero, precision)
        parts[stage] = part
    return parts


def part_of(config: ModelConfig, blocks: range) -> Decoder:
    """The model with these blocks only; the embedding stays with the first block, the norm and the head with the last."""
    with torch.device("meta"):
        part = Decoder(config)
    for name in list(part.blocks):
        if int(name) not in blocks:
            del part.blocks[name]
    if blocks.start > 0:
        part.embedding = part.positions = None
    if blocks.stop < config.layers:
        part.norm = part.head = None
    return part


def split_matrices(part: Decoder, mesh: DeviceMesh) -> None:
    """Tensor parallelism with sequence parallelism (Shoeybi et al. 2019; Korthikanti et al. 2022).

    Within attention and the feed-forward part each process has some of the heads and columns for all positions; outside of
    them (norms, residual stream) it has all columns for its part of the positions, so that nothing is computed or kept
    twice. Each pair of matrices needs one all-gather before and one reduce-scatter behind it; what was gathered is kept for
    the backward pass, whole (Megatron-LM gathers it again). The embedding and the head are split by vocabulary. The logits
    stay split: the loss needs three numbers per token from each process instead of the 65,536-wide rows (torch's
    `loss_parallel`; see `pipeline`).
    """
    whole, positions = Replicate(), Shard(1)
    gathered = PrepareModuleInput(input_layouts=(positions,), desired_input_layouts=(whole,))
    plan: dict[str, ParallelStyle] = {
        "embedding": RowwiseParallel(input_layouts=whole, output_layouts=positions),
        "positions": RowwiseParallel(input_layouts=whole, output_layouts=Shard(0)),  # [sequence, hidden]: no batch in front
        "norm": SequenceParallel(),
        "head": ColwiseParallel(input_layouts=positions, use_local_output=False),
    }
    parallelize_module(part, mesh, {name: style for name, style in plan.items() if getattr(part, name) is not None})
    for block in part.blocks.values():
        blockwise: dict[str, ParallelStyle] = {
            "attention_norm": SequenceParallel(),
            "attention": PrepareModuleInput(input_layouts=(positions, None, None), desired_input_layouts=(whole, None, None)),
            "attention.output": RowwiseParallel(output_layouts=positions),
            "ffn_norm": SequenceParallel(),
            "ffn": gathered,
            "ffn.down": RowwiseParallel(output_layouts=positions),
        }
        columns = ("attention.query", "attention.key", "attention.value", "ffn.gate", "ffn.up")
        names = {name for name, _ in block.named_modules()}
        blockwise |= {name: ColwiseParallel() for name in columns if name in names}
        head_norms = ("attention.query_norm", "attention.key_norm")  # each process has some heads; the gain's gradient is their sum
        blockwise |= {name: SequenceParallel(sequence_dim=2, use_local_output=True) for name in head_norms if name in names}
        parallelize_module(block, mesh, blockwise)
    if part.config.tied and part.embedding is not None and part.head is not None:
        part.head.weight = part.embedding.weight  # both are split by vocabulary; splitting made two of them


def compile_blocks(part: Decoder) -> None:
    """Compile each block by itself: blocks are alike, so one graph serves all, and compiling takes seconds for any depth.

    What a block receives must be finished: an exchange still under way (the embedding's, under tensor parallelism) that
    enters a compiled graph loses its gradient without a word (torch 2.13). The copy waits for it.
    """
    for block in part.blocks.values():
        block.forward = torch.compile(block.forward, dynamic=False)
    if part.embedding is not None:
        part.embedding.register_forward_hook(lambda module, tokens, output: output.clone())


def share_states(part: Decoder, mesh: DeviceMesh, zero: bool, precision: str) -> None:
    """Data parallelism: fp32 masters and AdamW's state, and what the model computes with.

    ZeRO-1 (Rajbhandari et al. 2020): each replica keeps 1/replicas of the masters and moments. `reshard_after_forward=False`
    gathers a weight once a step, in bf16, and keeps it until its gradient is reduced, once a step and in fp32. Without
    ZeRO every replica keeps all of them and only gradients travel. It is put on for a single replica too, because it is what
    holds bf16 copies beside fp32 masters.

    As in one process (ADR 0006) the embedding and the last norm are computed with in fp32: the gradient of a frequent
    token is a sum of hundreds of terms. The norms inside a block are rounded with its matrices (their masters are fp32):
    a group of their own would cut the block's graph and add 4 small exchanges to each.
    """
    wide = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    narrow = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32) if precision == "bf16" else wide

    def share(module: nn.Module, policy: MixedPrecisionPolicy) -> None:
        if zero:
            fully_shard(module, mesh=mesh, reshard_after_forward=False, mp_policy=policy)
        else:
            replicate(module, mesh=mesh, mp_policy=policy)

    for block in part.blocks.values():  # one exchange per block: large enough for the network, and hidden behind its neighbours
        share(block, narrow)
    if part.head is not None and not part.config.tied:
        share(part.head, narrow)
    share(part, wide)  # the rest: embedding, positions, last norm


@torch.no_grad()
def materialise(part: Decoder, device: torch.device, seed: int | None) -> None:
    """Give a part memory, and its weights the values that a single process begins with (None: a checkpoint will fill them).

    Each process draws its weights whole, one after the other, and keeps its shard: nothing is sent, and no process ever
    holds more than one whole weight.
    """
    part.to_empty(device=device)
    if part.rotate is not None:
        part.rotate.fill()
    if seed is None:
        return
    for name, weight in part.named_parameters():
        assert isinstance(weight, DTensor)
        whole = first_weight(name, tuple(weight.shape), part.config, seed).to(device)
        weight.copy_(distribute_tensor(whole, weight.device_mesh, weight.placements, src_data_rank=None))
