"""What Muon costs: whose matrices are whose, FLOPs of the iteration, bytes that are exchanged and kept. Report 3.5.

Muon (Keller Jordan 2024) updates a matrix by its momentum made orthogonal, which needs the matrix as a whole. A process that
holds a part of it (ZeRO-1, tensor parallelism) sends that part to the matrix's owner and gets back the same part of the result.
Owners are the processes of one place of the pipeline; each matrix has one, so that nothing is computed twice (Moonlight, arXiv
2502.16982, gathers and computes each matrix on all replicas). Trainer and planner share this assignment. Torch is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from skyloom.model.config import ModelConfig
from skyloom.planner.layout import Layout

OPTIMIZERS = ("adamw", "muon")
ITERATIONS = 5
"""Newton-Schulz iterations of an update (Jordan 2024)."""


class HeldBlocks(Protocol):
    """What of a `memory.Share` is needed here."""

    @property
    def blocks(self) -> int: ...


def iteration_flops(rows: int, columns: int) -> int:
    """FLOPs to make one matrix orthogonal: X·Xᵀ, its square, and their product with X, `ITERATIONS` times."""
    small, large = sorted((rows, columns))
    return ITERATIONS * (4 * small * small * large + 2 * small**3)


def rounds(shapes: Mapping[str, tuple[int, int]], owners: int) -> list[list[str]]:
    """Names of matrices in rounds of at most `owners`; process i of a group owns the i-th of each round.

    Costly ones come first, those of equal cost in the order of their names, so that the matrices of one round cost alike.
    """
    ordered = sorted(shapes, key=lambda name: (-iteration_flops(*shapes[name]), name))
    return [ordered[start : start + owners] for start in range(0, len(ordered), owners)]


def owners(layout: Layout) -> int:
    """Processes that share the matrices of one place of the pipeline."""
    return layout.data * layout.tensor


def matrices(model: ModelConfig, blocks: int) -> dict[str, tuple[int, int]]:
    """[rows, columns] of the matrices of so many blocks, by name."""
    return {f"{block}.{name}": shape for block in range(blocks) for name, shape in model.block_matrices.items()}


def matrix_parameters(model: ModelConfig) -> int:
    """Parameters of one block that Muon updates: all but biases and gains."""
    return sum(rows * columns for rows, columns in model.block_matrices.values())


def muon_flops(model: ModelConfig, layout: Layout, share: HeldBlocks) -> int:
    """FLOPs of the owner that has most to do: the first of each round."""
    shapes = matrices(model, share.blocks)
    return sum(iteration_flops(*shapes[names[0]]) for names in rounds(shapes, owners(layout)))


def muon_bytes(model: ModelConfig, layout: Layout, share: HeldBlocks, width: int) -> float:
    """Bytes that the process which owns most sends in a step; a number takes `width` bytes (2 in bf16, 4 in fp32).

    Parts of momentum go to owners, parts of results back. Under ZeRO-1 a process has 1/n of a matrix and sends all of it but what
    it owns itself, each way. Without it every replica has the tensor group's part whole: an owner needs it of its own replica
    only, and sends all replicas their parts.
    """
    count = owners(layout)
    if count == 1:
        return 0.0
    total = matrix_parameters(model) * share.blocks
    shapes = matrices(model, share.blocks)
    own: Sequence[str] = [names[0] for names in rounds(shapes, count)]
    owned = sum(shapes[name][0] * shapes[name][1] for name in own)
    if layout.zero:
        return width * ((total - owned) / count + owned * (count - 1) / count)
    mine = sum(shapes[n][0] * shapes[n][1] for names in rounds(shapes, count) for n in names[: layout.tensor])
    gathered = (mine - owned) / layout.tensor
    return width * (gathered + owned * (count - 1) / layout.tensor)
