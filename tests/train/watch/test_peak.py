"""What a utilisation of 1 is: cards are known by whole words of their names, what is not known is measured."""

from __future__ import annotations

import pytest
import torch

from skyloom.train.watch import peak


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA A800-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA H200 NVL", 835),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA A10", 125),
        ("NVIDIA A100-PCIE-40GB", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("AMD Instinct MI300X", 1307),
    ],
)
def test_cards_are_known_by_their_names(name: str, tera: float) -> None:
    assert peak.listed(name) == pytest.approx(tera * 1e12)


@pytest.mark.parametrize("name", ["NVIDIA GeForce RTX 9999", "", "NVIDIA A1000", "显卡"])
def test_other_cards_are_not_taken_for_known_ones(name: str) -> None:
    assert peak.listed(name) is None


def test_a_processor_has_no_peak() -> None:
    with pytest.raises(ValueError, match="cpu"):
        peak.peak_flops("cpu", "fp32")


@pytest.mark.parametrize(
    ("precision", "name", "flops"), [("bf16", "NVIDIA H200", 0.989e15), ("bf16", "unknown", 7.0), ("fp32", "NVIDIA H200", 7.0)]
)
def test_a_card_is_looked_up_for_bf16_and_measured_otherwise(
    precision: str, name: str, flops: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    monkeypatch.setattr(peak, "_measured", lambda device, precision: 7.0)
    found = peak.peak_flops("cuda:0", precision)
    assert found.flops == flops and name in found.source
