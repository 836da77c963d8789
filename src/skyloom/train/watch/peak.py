"""Peak FLOP/s of an accelerator, which utilisation (MFU) is measured against, and where the figure is from. Report 3.5.

An accelerator's bf16 peak is its maker's figure for dense matrices, as the literature on utilisation takes it; on a card that
the table does not know, and in fp32 (whose speed depends on what torch is allowed to round), a large matrix product is
measured. A processor has no peak: what it reaches depends on its clock and on what else runs at that moment, so a share of it would
say nothing. Training on processors reports tokens per second and no MFU.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

BF16_PEAKS: tuple[tuple[str, float], ...] = (
    ("GB300", 2.5e15), ("B300", 2.25e15), ("GB200", 2.5e15), ("B200", 2.25e15), ("B100", 1.75e15),
    ("H200 NVL", 0.835e15), ("H200", 0.989e15), ("GH200", 0.989e15),
    ("H100 PCIe", 0.756e15), ("H100 NVL", 0.835e15), ("H100", 0.989e15),
    ("H800 PCIe", 0.756e15), ("H800", 0.989e15), ("H20", 0.148e15),
    ("A100", 0.312e15), ("A800", 0.312e15), ("A40", 0.1497e15), ("A30", 0.165e15), ("A10", 0.125e15),
    ("L40S", 0.362e15), ("L40", 0.181e15), ("L4", 0.121e15),
    ("MI325X", 1.307e15), ("MI300X", 1.307e15), ("MI250X", 0.383e15), ("MI250", 0.362e15), ("MI210", 0.181e15),
)  # fmt: skip
"""Part of a card's name and its dense bf16 FLOP/s by its maker's data sheet; the first that fits counts. The report's A800 has
312 TFLOP/s, which its MFU is of."""


@dataclass(frozen=True)
class PeakFlops:
    """FLOP/s of one accelerator, and where the figure is from."""

    flops: float
    source: str


def listed(name: str) -> float | None:
    """The bf16 peak of a card by its name, or None if the table does not know it."""
    words = name.upper().replace("-", " ").split()
    for part, flops in BF16_PEAKS:
        wanted = part.upper().split()
        if any(words[k : k + len(wanted)] == wanted for k in range(len(words))):
            return flops
    return None


def peak_flops(device: torch.device | str, precision: str) -> PeakFlops:
    """The peak of the accelerator `device` for "bf16" or "fp32". Measuring takes about 0.1 s. ValueError for a processor."""
    kind = torch.device(device)
    if kind.type != "cuda":
        raise ValueError(f"{device} is no accelerator, and a processor has no peak")
    name = torch.cuda.get_device_name(kind)
    known = listed(name) if precision == "bf16" else None
    if known is not None:
        return PeakFlops(known, f"the maker's dense bf16 figure for {name}")
    return PeakFlops(_measured(kind, precision), f"a matrix product measured on {name}")


def _measured(device: torch.device, precision: str, size: int = 8192) -> float:
    """FLOP/s of a square matrix product on an accelerator now."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(6):  # the first ones wake the card up
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        torch.mm(a, b)
        torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return float(2 * size**3 / best)
