"""Time of a training step by first principles: seconds by kind for a model, a layout and a machine. Report 3.5 and Table 10.

A micro-batch on one stage takes the time of its matrix products and attention (6 FLOPs for each parameter and token, and
what a causal flash kernel computes), of the memory that norms, rotations, SwiGLU, logits and gradient sums move, of tensor
parallelism's exchanges and of the hidden states sent to the next stage. The pipeline adds the bubble, the step adds data
parallelism's exchange (not hidden behind computation, as in the Megatron-LM of 2023) and the optimiser.

Three shares of data-sheet figures are fitted (`Calibration`); every other number stands here with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.model.config import ModelConfig
from skyloom.planner.layout import Layout
from skyloom.planner.machines import Calibration, Machine
from skyloom.planner.memory import EAGER, Kernels, Share, shares
from skyloom.planner.muon_cost import muon_bytes, muon_flops

LOGIT_BYTES = 52
"""Read and written for each logit: to fp32 (6), maximum (4), subtract (8), exponential (8), sum (4), divide (8); gradient (8), back
to bf16 (6)."""
SUM_BYTES = 8
"""Read and written for each parameter and micro-batch: the fp32 sum of its gradients, to which the matrix product adds."""
UPDATE_BYTES = 30
"""Read and written for each parameter by its AdamW: gradient, two moments and master read, the last three written, bf16 written."""


@dataclass(frozen=True)
class Seconds:
    """One step by kind; `pipeline` is the bubble and the time that stages wait for the slowest."""

    compute: float
    memory: float
    tensor: float
    transfer: float
    pipeline: float
    data: float
    update: float

    @property
    def total(self) -> float:
        return self.compute + self.memory + self.tensor + self.transfer + self.pipeline + self.data + self.update


@dataclass(frozen=True)
class Cluster:
    """Accelerators of one kind in nodes, and what they achieve."""

    machine: Machine
    achieved: Calibration
    nodes: int
    per_node: int

    @property
    def world(self) -> int:
        return self.nodes * self.per_node


def step_seconds(
    model: ModelConfig, layout: Layout, batch: int, context: int, kernels: Kernels, cluster: Cluster, optimizer: str = "adamw"
) -> Seconds:
    """One step of `batch` sequences. `optimizer`: see `TrainConfig`."""
    count = layout.micro_batches(batch)
    each_share = shares(model, layout)
    each = [_micro_batch(model, layout, layout.micro(batch), context, kernels, cluster, share) for share in each_share]
    totals = [sum(parts) for parts in each]
    slowest = max(range(len(each)), key=totals.__getitem__)
    compute, moving, tensor, transfer = (part * count for part in each[slowest])
    largest = max(share.parameters(model, layout.tensor) for share in each_share)
    owned = largest / (layout.data if layout.zero else 1)
    muon = max(_muon_seconds(model, layout, share, cluster) for share in each_share) if optimizer == "muon" else 0.0
    return Seconds(
        compute=compute,
        memory=moving,
        tensor=tensor,
        transfer=transfer,
        pipeline=(sum(totals) - totals[slowest]) * bubble(layout),
        data=_data_seconds(layout, max(data_bytes(model, layout, kernels, share) for share in each_share), cluster),
        update=UPDATE_BYTES * owned / cluster.machine.memory_rate + muon,
    )


def _muon_seconds(model: ModelConfig, layout: Layout, share: Share, cluster: Cluster) -> float:
    """Muon's iterations and the exchange of its matrices in bf16, over the network where the group is larger than a node.

    The second moment, which AdamW reads and writes and Muon does not have, is left in `UPDATE_BYTES`: the iteration moves about as
    much.
    """
    machine, achieved = cluster.machine, cluster.achieved
    computed = muon_flops(model, layout, share) / (machine.flops * achieved.matmul)
    size = muon_bytes(model, layout, share, 2)
    if layout.data * layout.tensor <= cluster.per_node:
        return computed + size / (machine.link_rate * achieved.link)
    return computed + size * cluster.per_node / (machine.network_rate * achieved.network)


def bubble(layout: Layout) -> float:
    """The idle part of a step, in units of one micro-batch's time on all other stages. (p − 1)/m of a step under 1F1B.

    Chunks divide it (Narayanan et al. 2021). Zero bubble fills it with weight gradients, a third of a micro-batch's time, and
    leaves a third of it (ZB-H1; Qi et al. 2023).
    """
    if layout.schedule == "1f1b" or layout.pipeline == 1:
        return 1.0
    return 1 / layout.chunks if layout.schedule == "interleaved" else 1 / (3 * layout.chunks)


def _micro_batch(
    model: ModelConfig, layout: Layout, micro: int, context: int, kernels: Kernels, cluster: Cluster, share: Share
) -> tuple[float, float, float, float]:
    """Seconds of one micro-batch on one stage, forward and backward: compute, memory, tensor, transfer."""
    tokens, tensor = micro * context, layout.tensor
    machine, achieved = cluster.machine, cluster.achieved
    flops = _block_flops(model, context, layout.recompute) * share.blocks
    moved = _block_moved(model, layout.recompute, kernels) * share.blocks
    if share.head:
        flops += 6 * model.embedding_parameters
        moved += LOGIT_BYTES * model.vocabulary
    summed = SUM_BYTES * share.parameters(model, tensor)
    return (
        flops * tokens / tensor / (machine.flops * achieved.matmul),
        (moved * tokens / tensor + summed) / machine.memory_rate,
        _tensor_seconds(layout, tensor_bytes(model, layout, tokens, kernels, share), cluster),
        _transfer_seconds(model, layout, tokens, cluster),
    )


def _block_flops(model: ModelConfig, context: int, recompute: str) -> float:
    """FLOPs of one block for one token.

    Causal attention forward: 2·context·heads·head_dim; backward 2.5 times (flash computes again). A window saves nothing: our
    trainer computes what lies outside of it and leaves it out.
    """
    scores = 2 * context * model.query_width
    flops = 6 * model.block_parameters + 3.5 * scores
    if recompute == "full":
        return flops + 2 * model.block_parameters + scores
    if recompute == "selective":
        return flops + 4 * model.hidden * (model.query_width + model.key_width) + scores
    return flops


def _block_moved(model: ModelConfig, recompute: str, kernels: Kernels) -> float:
    """Bytes for one token between the matrix products of one block."""
    normed = kernels.moved_normed * model.head_norm * (model.query_width + model.key_width)

    def moved(units: tuple[int, int, int]) -> float:
        hidden, queries, ffn = units
        return hidden * model.hidden + queries * model.query_width + ffn * model.ffn + normed

    forward, backward = moved(kernels.moved_forward), moved(kernels.moved_backward)
    if recompute == "selective":  # all of the forward pass but SwiGLU
        return forward + backward + forward - kernels.moved_forward[2] * model.ffn
    return forward + backward + (forward if recompute == "full" else 0)


def tensor_bytes(model: ModelConfig, layout: Layout, tokens: int, kernels: Kernels, share: Share) -> float:
    """All-gathers and reduce-scatters of one micro-batch that each process sends: (t − 1)/t of the bf16 hidden states for each.

    What is computed again gathers and reduces again. Sums of a few numbers for each token (the loss) are left out.
    """
    if layout.tensor == 1:
        return 0.0
    exchanges = kernels.exchanges + {"none": 0, "selective": 2, "full": 4}[layout.recompute]
    ends = kernels.ends[0] * share.embedding + kernels.ends[1] * share.head
    return (2 * exchanges * share.blocks + ends) * model.hidden * tokens * (layout.tensor - 1) / layout.tensor


def _tensor_seconds(layout: Layout, size: float, cluster: Cluster) -> float:
    if layout.tensor <= cluster.per_node:
        return size / (cluster.machine.link_rate * cluster.achieved.link)
    return size * cluster.per_node / (cluster.machine.network_rate * cluster.achieved.network)


def transfer_bytes(model: ModelConfig, layout: Layout, tokens: int) -> float:
    """Hidden states of one micro-batch to the next stage and their gradient back, for one of this process's stages.

    Each process of a tensor group sends its part of the positions.
    """
    return 0.0 if layout.pipeline == 1 else 2 * 2 * model.hidden * tokens / layout.tensor


def _transfer_seconds(model: ModelConfig, layout: Layout, tokens: int, cluster: Cluster) -> float:
    """All of it is waited for."""
    size = transfer_bytes(model, layout, tokens) * (layout.stages / layout.pipeline)
    if 2 * layout.tensor * layout.data <= cluster.per_node:  # neighbours in one node
        return size / (cluster.machine.link_rate * cluster.achieved.link)
    return size / (cluster.machine.network_rate / cluster.per_node * cluster.achieved.network)


def data_bytes(model: ModelConfig, layout: Layout, kernels: Kernels, share: Share) -> float:
    """Gradients reduced in fp32 and, under ZeRO-1, weights gathered in bf16, once a step; in our trainer the embedding in fp32.

    Without ZeRO-1 gradients travel twice: reduced, and the sums back. A ring carries (n − 1)/n of it over each border.
    """
    if layout.data == 1:
        return 0.0
    parameters = share.parameters(model, layout.tensor)
    if not layout.zero:
        return 8 * parameters
    wide = (model.embedding_parameters + model.position_parameters) / layout.tensor if share.embedding and kernels is EAGER else 0
    return 6 * parameters + 2 * wide


def _data_seconds(layout: Layout, size: float, cluster: Cluster) -> float:
    """Seconds of data parallelism's `size` bytes.

    Ranks of a node are numbered tensor first, then data (`mesh`), so a group of replicas has some members in a node, and
    several groups share its network cards. A ring carries (n − 1)/n of the bytes over each border it crosses.
    """
    if layout.data == 1:
        return 0.0
    inside = min(layout.data, max(1, cluster.per_node // layout.tensor))
    outside = -(-layout.data // inside)
    links = size * (inside - 1) / inside / (cluster.machine.link_rate * cluster.achieved.link)
    groups = cluster.per_node // inside
    cards = size * groups * (outside - 1) / outside / (cluster.machine.network_rate * cluster.achieved.network)
    return max(links, cards)
