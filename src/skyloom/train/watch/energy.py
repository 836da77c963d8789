"""Energy of training as the machine's own counters give it: RAPL for CPU packages, NVML for GPUs.

Input: the device of training, and `/sys/class/powercap` on Linux. Output: `telemetry/energy.json` of a stage with the joules of
each source by attempt, or the reason why there is none; `measured` adds up the stages of a run.

RAPL counts the energy of the CPU package with everything that ran on it (H. David et al., RAPL: Memory Power Estimation and
Capping, ISLPED 2010); its counter begins anew at `max_energy_range_uj`, minutes to an hour apart, so it is read each second. NVML
tells the power of a GPU board, which is integrated over a monotonic clock. Memory, disks, fans, power supply and cooling are in
neither.
A figure counts only if it is whole: every step of every stage, every process on this machine, and on GPUs the GPUs themselves. Work
after the last checkpoint of a process that was killed is not in it.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypedDict, cast

import torch

from skyloom.core.json_files import MeasuredEnergy, PlanFile
from skyloom.core.store import TELEMETRY, Store

ENERGY = f"{TELEMETRY}energy.json"
RAPL, NVML = "RAPL, CPU package", "NVML, GPU"
POWERCAP = Path("/sys/class/powercap")
INTERVAL = 1.0
"""Seconds between two readings."""
_ZONE = re.compile(r"intel-rapl:[0-9]{1,4}")
"""Whole packages, of Intel and AMD. Parts of a package have a second number; `intel-rapl-mmio` is the same counter once more."""


class EnergyAttempt(TypedDict):
    """What one process measured, from `first_step` to `step` (of the run): wall `seconds`, `joules` by source, and why a source is
    `missing`."""

    first_step: int
    step: int
    seconds: float
    joules: dict[str, float]
    missing: dict[str, str]


class EnergyFile(TypedDict):
    """`telemetry/energy.json` of a stage. `device`: cpu or cuda."""

    device: str
    attempts: list[EnergyAttempt]


class NotMeasuredError(Exception):
    """Why a source gives no energy, in a sentence."""


class EnergySource(Protocol):
    """A counter of energy."""

    name: str

    def joules(self, now: float) -> float:
        """Joules since the last call, or since it was opened. `now`: of a monotonic clock. NotMeasuredError if it is unreadable."""
        ...


class PackageCounters:
    """The RAPL counters of all CPU packages below a folder. NotMeasuredError if there are none, or they cannot be read."""

    name = RAPL

    def __init__(self, root: Path = POWERCAP) -> None:
        if not root.is_dir():
            raise NotMeasuredError(f"this machine has no {root} (RAPL counters are of Linux on x86)")
        zones = sorted(zone for zone in root.iterdir() if _ZONE.fullmatch(zone.name))
        self._zones = [zone for zone in zones if _text(zone / "name").startswith("package")]
        if not self._zones:
            raise NotMeasuredError(f"{root} has no counter of a CPU package")
        self._ranges = [_number(zone / "max_energy_range_uj") for zone in self._zones]
        self._last = self._read()

    def joules(self, now: float) -> float:
        read = self._read()
        # A counter that is below its last value has begun anew once; at one reading a second it cannot have done so twice.
        spent = [b - a if b >= a else b - a + most for a, b, most in zip(self._last, read, self._ranges, strict=True)]
        self._last = read
        return sum(spent) / 1e6

    def _read(self) -> list[int]:
        return [_number(zone / "energy_uj") for zone in self._zones]


class GpuPower:
    """The power of GPUs, integrated by the trapezoidal rule. `draw`: milliwatts of a GPU by its number, as torch gives it (NVML).

    NotMeasuredError if it cannot be read, for example without NVML's package.
    """

    name = NVML

    def __init__(self, gpus: Sequence[int], now: float, draw: Callable[[int], float] | None = None) -> None:
        self._gpus, self._draw = gpus, draw or torch.cuda.power_draw
        self._when, self._watts = now, self._read()

    def joules(self, now: float) -> float:
        watts = self._read()
        spent = (self._watts + watts) / 2 * (now - self._when)
        self._when, self._watts = now, watts
        return spent

    def _read(self) -> float:
        try:
            return sum(float(self._draw(gpu)) for gpu in self._gpus) / 1000
        except Exception as problem:  # NVML's package is another's and may be missing; its errors have no common type
            raise NotMeasuredError(f"torch cannot read the power of the GPU ({type(problem).__name__}: {problem})") from problem


def open_sources(device: torch.device, world: int, now: float, root: Path = POWERCAP) -> tuple[list[EnergySource], dict[str, str]]:
    """The sources that this machine has for training on `device` with `world` processes, and why others are missing."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    wanted: dict[str, Callable[[], EnergySource]] = {RAPL: lambda: PackageCounters(root)}
    if device.type == "cuda":
        gpus = [device.index or 0] if local == 1 else list(range(torch.cuda.device_count()))
        wanted[NVML] = lambda: GpuPower(_enough(gpus, local), now)
    found: list[EnergySource] = []
    missing: dict[str, str] = {}
    for name, opened in wanted.items():
        try:
            if local < world:
                raise NotMeasuredError(f"{world - local} of {world} processes run on other machines")
            found.append(opened())
        except NotMeasuredError as problem:
            missing[name] = str(problem)
    return found, missing


class EnergyMeter:
    """Adds up the energy of one attempt at a stage. A context: inside it a thread reads the sources each `interval` seconds."""

    def __init__(
        self,
        device: torch.device,
        first_step: int,
        world: int = 1,
        *,
        before: EnergyFile | None = None,
        root: Path = POWERCAP,
        clock: Callable[[], float] = time.monotonic,
        interval: float = INTERVAL,
    ) -> None:
        """`before`: the file of earlier attempts at the same stage."""
        self._clock, self._interval = clock, interval
        self._began = clock()
        self._sources, missing = open_sources(device, world, self._began, root)
        self._attempt: EnergyAttempt = {
            "first_step": first_step, "step": first_step, "seconds": 0.0,
            "joules": {source.name: 0.0 for source in self._sources}, "missing": missing,
        }  # fmt: skip
        self._file: EnergyFile = {"device": device.type, "attempts": [*(before["attempts"] if before else []), self._attempt]}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> EnergyMeter:
        if self._sources:
            self._thread = threading.Thread(target=self._follow, name="energy", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(self._interval):
            self.read()

    def read(self) -> None:
        """Read all sources. One that cannot be read any more is missing from then on, with what it has measured."""
        with self._lock:
            now = self._clock()
            for source in list(self._sources):
                try:
                    self._attempt["joules"][source.name] += source.joules(now)
                except NotMeasuredError as problem:
                    self._sources.remove(source)
                    self._attempt["missing"][source.name] = str(problem)
            self._attempt["seconds"] = now - self._began

    def file(self, step: int) -> EnergyFile:
        """The content of `telemetry/energy.json` after `step` of the run."""
        self.read()
        with self._lock:
            self._attempt["step"] = step
            copied: EnergyAttempt = {
                **self._attempt, "joules": dict(self._attempt["joules"]), "missing": dict(self._attempt["missing"])
            }  # fmt: skip
            return {**self._file, "attempts": [*self._file["attempts"][:-1], copied]}


def read_energy(folder: Store) -> EnergyFile | None:
    """`telemetry/energy.json` of a stage; None where it is not there or damaged, since it is no part of the run."""
    try:
        found = folder.read_json(ENERGY) if folder.exists(ENERGY) else None
        for attempt in found["attempts"] if found is not None else ():
            whole = isinstance(attempt["first_step"] + attempt["step"], int) and attempt["seconds"] >= 0
            if (
                not whole
                or not all(joules >= 0 for joules in attempt["joules"].values())
                or not isinstance(attempt["missing"], dict)
            ):
                return None
        return cast(EnergyFile | None, found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def measured(stages: Sequence[Store]) -> MeasuredEnergy | None:
    """The energy of the training stages in these folders, by the sources that all of them have; None unless all was measured."""
    files = [read_energy(folder) for folder in stages]
    whole = [_whole(found, folder) for found, folder in zip(files, stages, strict=True)]
    common = set.intersection(*whole) if whole else set()
    if not common:
        return None
    attempts = [attempt for found in files if found is not None for attempt in found["attempts"]]
    joules = sum(attempt["joules"][name] for attempt in attempts for name in common)
    return {"kwh": joules / 3.6e6, "sources": sorted(common)}


def _whole(found: EnergyFile | None, folder: Store) -> set[str]:
    """The sources that measured every step of a stage; none where the accelerator that it was trained on was not measured."""
    plan: PlanFile = folder.read_json("plan.json") if folder.exists("plan.json") else {}
    calendar = plan.get("calendar") or {}
    first, steps = calendar.get("first_step", 0), calendar.get("steps")
    if found is None or not found["attempts"] or steps is None:
        return set()
    reached = first
    for attempt in found["attempts"]:
        if attempt["first_step"] > reached:
            return set()
        reached = max(reached, attempt["step"])
    names = set.intersection(*(set(attempt["joules"]) - set(attempt["missing"]) for attempt in found["attempts"]))
    needed = {NVML} if found["device"] == "cuda" else set()
    return names if reached >= first + steps and needed <= names else set()


def _enough(gpus: Sequence[int], local: int) -> Sequence[int]:
    if len(gpus) < local:
        raise NotMeasuredError(f"{local} processes, but {len(gpus)} GPUs are in sight")
    return gpus[:local]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not text"
        raise NotMeasuredError(f"{path} cannot be read: {reason}") from problem


def _number(path: Path) -> int:
    text = _text(path)
    if not text.isdecimal():
        raise NotMeasuredError(f"{path} holds no number")
    return int(text)
