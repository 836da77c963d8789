"""Energy by the machine's counters: wraps, other zones, missing permissions, GPUs, attempts that follow each other, and the words."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from skyloom.core.store import Store
from skyloom.release.config import ReleaseConfig
from skyloom.release.sentences import Facts, cost
from skyloom.release.statements.transparency import energy_answers
from skyloom.report.labels import ENGLISH, Say
from skyloom.report.page import energy_sentence
from skyloom.train.watch.energy import (
    ENERGY,
    NVML,
    RAPL,
    EnergyMeter,
    GpuPower,
    NotMeasuredError,
    PackageCounters,
    measured,
    open_sources,
    read_energy,
)
from skyloom.train.watch.telemetry import Telemetry

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
RANGE = 262_143_328_850
"""Microjoules at which a common counter begins anew."""


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def zone(root: Path, place: str, name: str, microjoules: int, most: int = RANGE) -> Path:
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in (("name", name), ("energy_uj", str(microjoules)), ("max_energy_range_uj", str(most))):
        (folder / file).write_text(f"{text}\n")
    return folder


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages; a part of one, the memory, the platform, and the second door to a package, none of which counts."""
    root = tmp_path / "powercap"
    zone(root, "intel-rapl:0", "package-0", 1_000_000)
    zone(root, "intel-rapl:1", "package-1", RANGE - 2_000_000)
    for place, name in (
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "dram"),
        ("intel-rapl:2", "psys"),
        ("intel-rapl-mmio:0", "package-0"),
    ):
        zone(root, place, name, 5)
    return root


def test_packages_are_added_up_and_a_counter_that_begins_anew_is_followed(powercap: Path) -> None:
    counters = PackageCounters(powercap)
    zone(powercap, "intel-rapl:0", "package-0", 4_500_000)
    zone(powercap, "intel-rapl:1", "package-1", 1_000_000)  # 2 J to its end and 1 J behind it
    zone(powercap, "intel-rapl:0:0", "core", 90_000_000)
    assert counters.joules(0.0) == pytest.approx(3.5 + 3.0)
    assert counters.joules(1.0) == 0.0


def test_power_is_integrated_over_the_clock() -> None:
    watts = iter([(100.0, 200.0), (300.0, 200.0), (300.0, 0.0)])
    now: list[float] = []

    def draw(gpu: int) -> float:
        if not gpu:
            now[:] = next(watts)
        return 1000 * now[gpu]

    gpus = GpuPower([0, 1], 10.0, draw)
    assert gpus.joules(12.0) == pytest.approx((300 + 500) / 2 * 2) and gpus.joules(12.5) == pytest.approx((500 + 300) / 2 * 0.5)
    with pytest.raises(NotMeasuredError, match="cannot read the power of the GPU"):
        gpus.joules(13.0)


def test_what_is_missing_has_a_reason(tmp_path: Path, powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "this machine has no" in open_sources(CPU, 1, 0.0, tmp_path / "没有")[1][RAPL]
    (tmp_path / "empty").mkdir()
    assert "no counter of a CPU package" in open_sources(CPU, 1, 0.0, tmp_path / "empty")[1][RAPL]
    refused = Path.read_text

    def read_text(self: Path, *words: Any, **more: Any) -> str:  # as for users: since 2020 only root may read the counters
        if self.name == "energy_uj":
            raise PermissionError(13, os.strerror(13))
        return refused(self, *words, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", read_text)
        assert open_sources(CPU, 1, 0.0, powercap) == (
            [],
            {RAPL: f"{powercap / 'intel-rapl:0/energy_uj'} cannot be read: Permission denied"},
        )
    (powercap / "intel-rapl:1/energy_uj").write_text("much")
    assert "holds no number" in open_sources(CPU, 1, 0.0, powercap)[1][RAPL]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert open_sources(CPU, 8, 0.0, powercap)[1] == {RAPL: "4 of 8 processes run on other machines"}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "4 processes, but 2 GPUs" in open_sources(CUDA, 4, 0.0, powercap)[1][NVML]


def stage(root: Path, *attempts: dict[str, Any], device: str = "cpu", steps: int = 20) -> Store:
    out = Store(root)
    out.write_json("plan.json", {"calendar": {"first_step": 10, "steps": steps}})
    out.write_json(ENERGY, {"device": device, "attempts": list(attempts)})
    return out


def attempt(first: int, step: int, missing: str = "", **joules: float) -> dict[str, Any]:
    names = {"cpu": RAPL, "gpu": NVML}
    reasons = {names[missing]: "why"} if missing else {}
    return {
        "first_step": first,
        "step": step,
        "seconds": 9.0,
        "joules": {names[n]: j for n, j in joules.items()},
        "missing": reasons,
    }


def test_only_what_was_measured_whole_is_a_figure(tmp_path: Path) -> None:
    whole = stage(tmp_path / "a", attempt(10, 20, cpu=1.8e6), attempt(18, 30, cpu=1.8e6))
    assert measured([whole]) == {"kwh": 1.0, "sources": [RAPL]} == measured([whole, whole]) | {"kwh": 1.0}  # type: ignore[operator]
    both = stage(tmp_path / "b", attempt(10, 30, cpu=3.6e6, gpu=7.2e6), device="cuda")
    assert measured([both]) == {"kwh": 3.0, "sources": [NVML, RAPL]}
    assert measured([whole, both]) == {"kwh": 2.0, "sources": [RAPL]}, "the sources that all stages have"
    for number, wrong in enumerate((
        [attempt(10, 29, cpu=1.0)],  # not to the end
        [attempt(11, 30, cpu=1.0)],  # not from the beginning: a process of an earlier version wrote nothing
        [attempt(10, 15, cpu=1.0), attempt(16, 30, cpu=1.0)],  # a gap
        [attempt(10, 30, "cpu", cpu=1.0)],  # the counter went away
        [],
    )):  # fmt: skip
        assert measured([stage(tmp_path / f"w{number}", *wrong)]) is None
    assert measured([stage(tmp_path / "c", attempt(10, 30, cpu=1.0), device="cuda")]) is None, "the GPU was not measured"
    assert measured([Store(tmp_path / "none")]) is None and measured([]) is None
    for broken in ("{", "[]", '{"attempts": [{}]}', '{"attempts": 3}'):
        whole.write_text(ENERGY, broken)
        assert read_energy(whole) is None and measured([whole]) is None


def test_a_meter_follows_and_goes_on_where_the_last_process_ended(powercap: Path, tmp_path: Path) -> None:
    clock = Clock()
    with EnergyMeter(CPU, 10, root=powercap, clock=clock) as meter:
        clock.now += 30
        zone(powercap, "intel-rapl:0", "package-0", 6_000_000)
        first = meter.file(15)
    assert first["attempts"] == [{"first_step": 10, "step": 15, "seconds": 30.0, "joules": {RAPL: 5.0}, "missing": {}}]
    assert not any(thread.name == "energy" for thread in threading.enumerate())
    second = EnergyMeter(CPU, 15, root=powercap, clock=clock, before=first)
    (powercap / "intel-rapl:1/energy_uj").unlink()
    found = second.file(30)["attempts"]
    assert found[0] == first["attempts"][0] and found[1]["joules"] == {RAPL: 0.0} and "cannot be read" in found[1]["missing"][RAPL]


def test_telemetry_writes_it_or_why_not(tmp_path: Path) -> None:
    with Telemetry(Store(tmp_path), 4, 1, None, every=1) as telemetry:
        telemetry.step(
            {"stage": "阶段", "step": 5, "tokens": 9, "loss": 1.0, "lr": 0.1, "grad_norm": 1.0, "shares": {}}, 9, 0.1, 0.0
        )
    found = json.loads((tmp_path / ENERGY).read_text())
    (one,) = found["attempts"]
    assert (
        found["device"] == "cpu"
        and (one["first_step"], one["step"]) == (4, 5)
        and set(one["joules"]) | set(one["missing"]) == {RAPL}
    )
    assert all(one["missing"].values())


def test_card_page_and_index_say_how_the_energy_is_known() -> None:
    steps = [{"name": "stage1", "folder": "x", "status": "done", "seconds": 7200.0, "bytes": 1, "content": ""}]
    recipe, config = (
        {"stages": [{"name": "stage1"}], "release": {"watts": 100.0}},
        ReleaseConfig(watts=100.0, grams_co2_per_kwh=500.0),
    )
    energy = {"energy": {"kwh": 0.06, "sources": [RAPL]}}
    for known, kwh, told, english, chinese in (
        ({}, 0.2, "0.20 kWh, computed from the stated 100 W; 0.10 kg of CO₂", "computed from the stated 100 W", "由给出的 100 W"),
        (energy, 0.06, "60 Wh, measured (RAPL, CPU package); 0.03 kg of CO₂", "measured (RAPL, CPU package)", "实测（RAPL, CPU package）"),
    ):  # fmt: skip
        facts = Facts(config, recipe, {"steps": steps, **known}, "float32")  # type: ignore[typeddict-item]
        assert facts.energy == pytest.approx(kwh) and told in cost(facts)
        page = {"steps": steps, "recipe": recipe, **known}
        assert english in energy_sentence(["stage1"], page, ENGLISH) and chinese in energy_sentence(["stage1"], page, Say("zh"))  # type: ignore[arg-type]
        ((_, en, zh, file), (_, carbon, _, _)) = energy_answers(facts)
        assert file == "run/run.json" and ("measured (RAPL" in en) == ("实测（RAPL" in zh) == bool(known) and "500 g" in carbon
    assert "the energy was not measured" in cost(Facts(ReleaseConfig(), recipe, {"steps": steps}, ""))  # type: ignore[typeddict-item]
