"""The planner against a dry run of the trainer: bytes of memory and traffic as each counts them, with the ratio. Report 3.5.

The planner's formulas (`planner.memory`, `planner.time`) and the dry run are two ways to the same bytes: one adds up what should be
there, the other counts what torch asks for when the trainer's own code runs. Compared are our trainer's figures (kernels
"eager", nothing fixed), not Megatron-LM's, which Table 10 holds the planner against.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.planner.memory import EAGER, Share, memory, shares
from skyloom.planner.muon_cost import muon_bytes
from skyloom.planner.time import data_bytes, tensor_bytes, transfer_bytes
from skyloom.train.distributed import DATA, PIPELINE, TENSOR
from skyloom.train.dryrun.simulate import DryRun, Rank
from skyloom.train.dryrun.traffic import ALL_TO_ALL, RECEIVE, REDUCE


@dataclass(frozen=True)
class Compared:
    """Bytes of one thing on one rank."""

    what: str
    planned: float
    counted: float

    @property
    def ratio(self) -> float | None:
        """Counted over planned; None where nothing is planned."""
        return self.counted / self.planned if self.planned else None


def compare(run: DryRun, rank: Rank) -> list[Compared]:
    """Memory in all and by kind, and what is sent along each dimension of the mesh; nothing where the planner knows no figures.

    That is the gpt block, and training in fp32.
    """
    if run.model.block == "gpt" or run.config.precision != "bf16":
        return []
    share = shares(run.model, run.layout)[rank.place]
    planned = memory(run.model, run.layout, run.config.batch, run.config.context, EAGER, 0.0, share, run.config.optimizer)
    rows = [Compared("memory", planned.total, rank.peak)]
    rows += [Compared(kind, getattr(planned, kind, 0.0), size) for kind, size in rank.memory.items()]
    return rows + [row for row in _sent(run, rank, share) if row.planned or row.counted]


def _sent(run: DryRun, rank: Rank, share: Share) -> list[Compared]:
    model, layout, config = run.model, run.layout, run.config
    tokens, count = layout.micro(config.batch) * config.context, layout.micro_batches(config.batch)
    whole = 1 - 1 / layout.data
    borders = 2 * len(share.chunks) - share.embedding - share.head
    crossing = transfer_bytes(model, layout, tokens) * count * borders / 2
    exchanged = sum(row.sent for row in rank.traffic if row.dimension == TENSOR and row.kind not in (REDUCE, ALL_TO_ALL))
    muon = sum(row.sent for row in rank.traffic if row.kind == ALL_TO_ALL)
    moved = sum(row.size if row.kind == RECEIVE else row.sent for row in rank.traffic if row.dimension == PIPELINE)
    return [
        Compared("sent, dp", data_bytes(model, layout, EAGER, share) * whole, _weights_sent(rank)),
        Compared("sent, tp", tensor_bytes(model, layout, tokens, EAGER, share) * count, exchanged),
        Compared("sent and received, pp", 2 * crossing, moved),
        Compared("sent, Muon", muon_bytes(model, layout, share, 2) if config.optimizer == "muon" else 0.0, muon),
    ]


def _weights_sent(rank: Rank) -> float:
    """Along dp, without the 16 bytes of the loss and the norm, which are of all processes."""
    return sum(row.sent for row in rank.traffic if row.dimension == DATA and row.kind != ALL_TO_ALL and row.size > 16)
