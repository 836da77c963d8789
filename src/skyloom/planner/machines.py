"""Machines that the planner knows, by name or from a TOML file: figures of an accelerator and of its node. Report 3.5.

Everything here is a vendor's figure or what torch reports; how much of a peak is achieved is not a property of the data sheet
and stands in `Calibration`: four constants, fitted on the LLaMA2-13B half of the report's Table 10 (see `planner.table10`).
Bandwidths are of one direction, because that is what a collective uses: NVLink's "400 GB/s" are 200 each way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from skyloom.core.config import build, read_toml, setting
from skyloom.core.errors import ConfigError

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """One accelerator, and what its node gives it. ConfigError if a figure is not positive."""

    name: str = setting(doc="what it is called in the plan")
    tflops: float = setting(doc="peak of dense bf16 matrix products, the 1 of the MFU", unit="TFLOP/s")
    memory_gib: float = setting(doc="memory that torch.cuda reports as total", unit="GiB")
    memory_gbs: float = setting(doc="bandwidth of that memory", unit="GB/s")
    link_gbs: float = setting(doc="bandwidth to the other accelerators of a node, each way", unit="GB/s")
    network_gbits: float = setting(doc="all network cards of a node together, each way", unit="Gb/s")
    watts: float = setting(doc="drawn by one accelerator with its share of the node, at most, without cooling", unit="W")
    per_node: int = setting(8, doc="accelerators of a node, where the plan is not told", low=1)
    source: str = setting("", doc="where the figures are from")

    def __post_init__(self) -> None:
        for what in ("tflops", "memory_gib", "memory_gbs", "link_gbs", "network_gbits"):
            if getattr(self, what) <= 0:
                raise ConfigError(f"{what} of {self.name} is {getattr(self, what):g}; give a positive figure")
        if self.watts < 0:
            raise ConfigError(f"watts of {self.name} is {self.watts:g}; give 0 or more")

    @property
    def flops(self) -> float:
        """FLOP/s."""
        return self.tflops * 1e12

    @property
    def memory_rate(self) -> float:
        """Bytes per second."""
        return self.memory_gbs * 1e9

    @property
    def link_rate(self) -> float:
        """Bytes per second, each way."""
        return self.link_gbs * 1e9

    @property
    def network_rate(self) -> float:
        """Bytes per second of a whole node, each way."""
        return self.network_gbits * 1e9 / 8


@dataclass(frozen=True)
class Calibration:
    """What is achieved of the data sheet: the only figures of the planner that are fitted."""

    matmul: float = setting(doc="share of the bf16 peak that matrix products and attention reach", low=0.0, high=1.0)
    link: float = setting(doc="share of the node's own links that tensor parallelism's exchanges reach", low=0.0, high=1.0)
    network: float = setting(doc="share of the network cards that data and pipeline parallelism reach", low=0.0, high=1.0)
    fixed_gib: float = setting(
        doc="memory that no formula counts: CUDA's context, NCCL's and cuBLAS's buffers, temporaries, the allocator's slack",
        unit="GiB",
        low=0.0,
    )


TABLE10 = Calibration(matmul=0.6542, link=0.3585, network=0.6209, fixed_gib=10.19)
"""Fitted on the six LLaMA2-13B rows of Table 10; a test refits it."""

_AMPERE = "NVIDIA's data sheet; memory as torch reports it; a DGX A100 draws at most 6.5 kW"
_HOPPER = "NVIDIA's data sheet; memory as torch reports it; a DGX of eight draws at most 10.2 kW"
_CARD = "NVIDIA's data sheet; memory as torch reports it; PCIe 4.0 x16; 1.5 times the board's power; 100 Gb/s assumed"
MACHINES: dict[str, Machine] = {
    m.name: m
    for m in (
        Machine("a100-80g", 312, 79.3, 2039, 300, 1600, watts=812, source=_AMPERE),
        Machine("a800-80g", 312, 79.3, 2039, 200, 800, watts=812, source=f"{_AMPERE}; links and network: report 3.5"),
        Machine("h100-80g", 989, 79.1, 3350, 450, 3200, watts=1275, source=_HOPPER),
        Machine("h800-80g", 989, 79.1, 3350, 200, 3200, watts=1275, source=_HOPPER),
        Machine("h200-141g", 989, 139.8, 4800, 450, 3200, watts=1275, source=_HOPPER),
        Machine("l40s-48g", 362, 44.4, 864, 32, 100, watts=525, source=_CARD),
        Machine("rtx4090-24g", 165, 23.5, 1008, 32, 100, watts=675, source=_CARD),
    )
}
SHORT = {"a100": "a100-80g", "a800": "a800-80g", "h100": "h100-80g", "h800": "h800-80g", "h200": "h200-141g"}
SHORT |= {"l40s": "l40s-48g", "rtx4090": "rtx4090-24g"}
CPU = "cpu"


def machine_of(name: str) -> Machine:
    """A machine by its name, or from a TOML file with a [machine] table. ConfigError with the known names otherwise."""
    name = SHORT.get(name.lower(), name)
    if name.lower() in MACHINES:
        return MACHINES[name.lower()]
    if Path(name).suffix == ".toml" or "/" in name:
        table = read_toml(name).get("machine")
        if table is None:
            raise ConfigError(f"{name} has no [machine] table; its keys are those of `skyloom plan --machines`")
        if isinstance(table, dict):
            table = {"name": Path(name).stem, **table}
        return build(Machine, table, origin=name, key="machine")
    raise ConfigError(f"no machine '{name}' (one of: {', '.join([*MACHINES, CPU])}, or a TOML file with a [machine] table)")


def changed(
    machine: Machine,
    *,
    memory: float | None = None,
    link: float | None = None,
    network: float | None = None,
    watts: float | None = None,
) -> Machine:
    """The machine with the figures that a user knows better."""
    return replace(
        machine,
        memory_gib=machine.memory_gib if memory is None else memory,
        link_gbs=machine.link_gbs if link is None else link,
        network_gbits=machine.network_gbits if network is None else network,
        watts=machine.watts if watts is None else watts,
    )
