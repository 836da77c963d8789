"""Memory of the process that needs most, by first principles: bytes by kind for a model and a layout.

Report 3.5 and Table 10. Counted are, for the N parameters that a process holds (its stages, divided by tensor parallelism):

- weights: bf16, whole on each process, 2 N;
- gradients: added up whole in fp32 over the micro-batches, 4 N. ZeRO-1 shares the optimiser's states and not these;
- optimiser: fp32 masters and AdamW's two moments, 12 N, divided by the replicas under ZeRO-1; Muon keeps one moment of the blocks'
  matrices, 8 bytes instead of 12 (what its iteration makes is there after the activations are gone, and smaller);
- activations: what the backward pass needs of each block and micro-batch in flight (`Kernels`; Korthikanti et al. 2022 count
  the same for a GPT block). Flash attention keeps queries, keys, values and output but no scores;
- logits: on the last stage, for one micro-batch;
- received: what torch's pipeline receives hidden states and their gradients into, made for all micro-batches of a step at
  once (our trainer; Megatron-LM makes one at a time);
- fixed: what no formula counts, the one fitted figure (`Calibration.fixed_gib`).

Our trainer's own part (`EAGER`) is checked against the trainer itself, run on fake tensors (`train/dryrun/comparison.py`). Nothing
is measured here, and torch is not imported.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.planner.layout import Layout, cut
from skyloom.planner.machines import GIB
from skyloom.planner.muon_cost import matrix_parameters

LOGITS_BYTES = 12
"""Bytes of a logit at the peak, when its gradient is made: bf16 logit, fp32 log-probability, fp32 and bf16 gradient. In our trainer
three fp32 ones: log-probability, its gradient and the logit's."""
SPLIT_LOGITS_BYTES = 4
"""More than that in our trainer where logits are split: torch's `loss_parallel` makes the gradient's sum beside it."""
STAGE_LOGITS_BYTES = 2
"""More than that in our trainer under a pipeline, whose schedule holds on to the stage's bf16 output."""


@dataclass(frozen=True)
class Kernels:
    """How a block is computed, and what it keeps for the backward pass in bytes per token.

    What is kept is `per_hidden` · hidden + `per_query` · query width + `per_key` · key width + `per_ffn` · ffn, all of it shared by
    tensor parallelism with sequence parallelism, but for `gathered` · hidden: the inputs of the split matrices, where each process
    keeps them whole. Norms of queries and keys keep `per_normed` more of both widths.
    """

    name: str
    per_hidden: int
    per_query: int
    per_key: int
    per_normed: int
    per_ffn: int
    gathered: int
    exchanges: int
    """All-gathers and reduce-scatters of tensor parallelism in a block, forward and backward."""
    ends: tuple[int, int]
    """The same of the embedding and of the head, in bytes per token in units of the width."""
    selective_hidden: int
    """Instead of `per_hidden`, where attention and norms are computed again; then nothing is kept of queries, keys and values."""
    moved_forward: tuple[int, int, int]
    moved_backward: tuple[int, int, int]
    """Bytes per token that a block reads and writes between its matrix products, in units of its width, of all queries and of its
    ffn."""
    moved_normed: int
    """More than that where queries and keys are normalised, in units of both widths, forward; backward as much."""


FUSED = Kernels(
    "fused", per_hidden=8, per_query=4, per_key=4, per_normed=2, per_ffn=6, gathered=0, exchanges=10, ends=(0, 0),
    selective_hidden=8, moved_forward=(20, 8, 6), moved_backward=(24, 8, 10), moved_normed=4,
)  # fmt: skip
"""Megatron-LM's, which Table 10 was measured with. torch.compile comes near to it.

Kept: inputs and outputs of both norms (8 h), queries and attention's output (4 q, the width of all queries), keys and values; gate
and up (4 f) and their product (2 f), SiLU is computed again; of normalised queries and keys their inputs. Gathered inputs are not
kept but gathered again: 4 exchanges forward, 4 backward, 2 for that. Moved forward: two norms (4 h each), rotation (8 q), two sums
(6 h each), SwiGLU (6 f); backward: norms and sums 6 h each, rotation 8 q, SwiGLU 10 f."""
EAGER = Kernels(
    "eager", per_hidden=20, per_query=6, per_key=4, per_normed=8, per_ffn=8, gathered=4, exchanges=8, ends=(8, 4),
    selective_hidden=8, moved_forward=(84, 96, 10), moved_backward=(168, 192, 20), moved_normed=36,
)  # fmt: skip
"""Our decoder without torch.compile, operation by operation; a test counts what is kept on the decoder itself.

RMSNorm keeps two fp32 copies (16 h in a block), SwiGLU also SiLU's output; attention's output is kept by the kernel in the order
of heads and by the next matrix in that of positions. The embedding's exchanges are in fp32 (4 h each way), the head's in bf16.
Moved forward: norms 36 h each, rotation of queries and of keys 48 q each, sums 12 h, SwiGLU 10 f; backward is taken for twice
that. A window's mask is kept in each block as what is added to the scores, 2 bytes for each pair of positions."""
KERNELS = {k.name: k for k in (FUSED, EAGER)}


@dataclass(frozen=True)
class Memory:
    """Bytes on one process by kind."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    logits: float
    received: float
    fixed: float

    @property
    def total(self) -> float:
        return float(sum(vars(self).values()))

    def gib(self) -> dict[str, float]:
        """The parts in GiB, largest first."""
        parts = {name: value / GIB for name, value in vars(self).items()}
        return dict(sorted(parts.items(), key=lambda part: -part[1]))


@dataclass(frozen=True)
class Share:
    """What the processes at one place of the pipeline hold: blocks in each of their chunks, and the ends of the model."""

    place: int
    chunks: tuple[int, ...]
    embedding: bool
    head: bool

    @property
    def blocks(self) -> int:
        return sum(self.chunks)

    def parameters(self, model: ModelConfig, tensor: int = 1) -> float:
        """Parameters on one process."""
        count = self.blocks * model.block_parameters
        if self.embedding:
            count += model.embedding_parameters + model.position_parameters
        if self.head:
            count += (
                model.parameters - model.layers * model.block_parameters - model.embedding_parameters - model.position_parameters
            )
        return count / tensor


def shares(model: ModelConfig, layout: Layout) -> list[Share]:
    """Shares of the places of the pipeline, first to last."""
    sizes = [len(blocks) for blocks in cut(model, layout.stages)]
    return [
        Share(place, tuple(sizes[place :: layout.pipeline]), place == 0, place == layout.pipeline - 1)
        for place in range(layout.pipeline)
    ]


def in_flight(layout: Layout, place: int, micro_batches: int) -> int:
    """Micro-batches, each of one chunk, whose activations the process at `place` keeps at its peak.

    1F1B keeps one for each stage behind it and its own; interleaved twice as many hops and the rounds of its other chunks;
    zero-bubble lets go of what weight gradients need later, so that all places keep as many as the first. These are the
    orders of torch.distributed.pipelining; a test counts them there.
    """
    if layout.pipeline == 1:
        return 1
    hops = layout.pipeline - 1 - place
    if layout.schedule == "1f1b":
        return min(micro_batches, hops + 1)
    rounds = (layout.chunks - 1) * layout.pipeline
    warm = rounds + 2 * hops if layout.schedule == "interleaved" else rounds + layout.pipeline - 1
    return min(micro_batches * layout.chunks, warm + 1)


def block_bytes(model: ModelConfig, kernels: Kernels, tensor: int, recompute: str = "none") -> float:
    """Bytes that a process keeps of one block for each token of a micro-batch, a window's mask apart (`mask_bytes`).

    "full" keeps the block's input only; "selective" keeps the inputs of the norms, of attention and of the feed-forward part.
    """
    if recompute == "full":
        return 2 * model.hidden / tensor
    again = recompute == "selective"
    hidden = kernels.selective_hidden if again else kernels.per_hidden
    normed = kernels.per_normed * model.head_norm
    heads = 0 if again else (kernels.per_query + normed) * model.query_width + (kernels.per_key + normed) * model.key_width
    ffn = _gelu(kernels) if model.block == "gpt" else kernels.per_ffn
    masks = 2 if model.dropout else 0
    shared = (hidden + masks) * model.hidden + heads + ffn * model.ffn
    if tensor == 1:
        return shared
    whole = kernels.gathered * model.hidden
    return (shared - whole) / tensor + whole


def mask_bytes(model: ModelConfig, kernels: Kernels, context: int, recompute: str = "none") -> float:
    """Bytes that one block keeps of a window's mask for a micro-batch, whose sequences share it; fused kernels have none."""
    if kernels is not EAGER or recompute != "none" or not 0 < model.window < context:
        return 0.0
    return 2.0 * context * context


def _gelu(kernels: Kernels) -> int:
    """GELU's input and output; there is no gate."""
    return min(4, kernels.per_ffn)


def memory(
    model: ModelConfig,
    layout: Layout,
    batch: int,
    context: int,
    kernels: Kernels,
    fixed: float,
    share: Share | None = None,
    optimizer: str = "adamw",
) -> Memory:
    """Of the process that needs most, or of those at the place of `share`. `fixed`: bytes; `optimizer`: see `TrainConfig`."""
    if share is None:
        each = [memory(model, layout, batch, context, kernels, fixed, s, optimizer) for s in shares(model, layout)]
        return max(each, key=lambda m: m.total)
    if model.block == "gpt" and kernels is EAGER:
        raise ConfigError("activations of the gpt block are only known for fused kernels; use kernels = fused")
    count, micro = layout.micro_batches(batch), layout.micro(batch)
    parameters, tokens = share.parameters(model, layout.tensor), micro * context
    weights, gradients = 2 * parameters, 4 * parameters
    logits, received = LOGITS_BYTES, 0.0
    if kernels is EAGER:
        looked_up = model.embedding_parameters + model.position_parameters
        if share.embedding:
            weights += 2 * looked_up / layout.tensor  # ours computes with an fp32 embedding (ADR 0006)
            gradients += 4 * looked_up * (1 - 1 / layout.tensor)  # DTensor's gradient of it is whole, a shard only a view of that
        if count == 1 and layout.pipeline == 1 and layout.zero:  # reduced block by block, as soon as they are there
            gradients /= layout.data
        logits += SPLIT_LOGITS_BYTES * (layout.tensor > 1) + STAGE_LOGITS_BYTES * (layout.pipeline > 1)
        borders = 2 * len(share.chunks) - share.embedding - share.head
        received = borders * count * 2 * model.hidden * tokens / layout.tensor

    def block(recompute: str) -> float:
        mask = mask_bytes(model, kernels, context, recompute)
        return block_bytes(model, kernels, layout.tensor, recompute) * tokens + mask

    saved = 4 * share.blocks * matrix_parameters(model) / layout.tensor if optimizer == "muon" else 0.0
    kept = in_flight(layout, share.place, count) * max(share.chunks) * block(layout.recompute)
    if layout.recompute != "none":  # the block that is being computed again
        kept += block("none") - block(layout.recompute)
    return Memory(
        weights=weights,
        gradients=gradients,
        optimiser=(12 * parameters - saved) / (layout.data if layout.zero else 1),
        activations=kept,
        logits=logits * model.vocabulary / layout.tensor * tokens if share.head else 0.0,
        received=received,
        fixed=fixed,
    )
