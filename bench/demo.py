"""What the demo's bars measure, read from the work folder of a finished run.

    python -m bench.demo WHAT --work runs/demo

prints {"value": number} or {"not_measured": "why"}. Only `second-run` runs anything: the finished demo once more, which
must find all steps done.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skyloom.leakage.control_words import EXPECTED, FOUND, UNUSED, clean_test, flags, outcome, reason
from skyloom.leakage.verdict import UNKNOWN

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "demo.toml"
LAST_STEP = "report"


class NotMeasuredError(Exception):
    """Why a figure cannot be had, in a sentence."""


def step_file(work: Path, step: str, name: str) -> Any:
    """A JSON file of the newest finished step of that name."""
    folders = sorted(work.glob(f"{step}-*/_step.json"), key=lambda p: p.stat().st_mtime)
    if not folders or not (folders[-1].parent / name).is_file():
        raise NotMeasuredError(f"{work} has no finished step '{step}' with {name}; run `make demo` first")
    return _read(folders[-1].parent / name)


def wall_minutes(work: Path) -> float:
    """Minutes of a run that did every step itself."""
    path = work / "telemetry" / "run.json"
    if not path.is_file():
        raise NotMeasuredError(f"{path} is not there; run `make demo` first")
    run = _read(path)
    if run["until"] != LAST_STEP or any(step["status"] != "done" for step in run["steps"]):
        raise NotMeasuredError(f"the last run in {work} did not do every step; remove the folder and run `make demo`")
    return float(run["seconds"]) / 60


def second_run_seconds(work: Path) -> float:
    """Seconds that the command takes when every step is done."""
    if not list(work.glob(f"{LAST_STEP}-*/_step.json")):
        raise NotMeasuredError(f"{work} holds no finished demo; run `make demo` first")
    started = time.monotonic()
    command = [sys.executable, "-m", "skyloom.cli", "run", str(RECIPE), "--work", str(work)]
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started


def sets_not_below_unigram(work: Path) -> float:
    """Held-out sets on which the final model is not better than token frequencies."""
    rows = step_file(work, "evaluate", "perplexity.json")["rows"]
    loss = {(r["model"], r["set"]): r["loss"] for r in rows}
    names = [name for model, name in loss if model == "final"]
    if not names:
        raise NotMeasuredError("perplexity.json has no rows of the final model")
    return sum(not _below(loss["final", n], loss.get(("unigram", n))) for n in names)


def heldout_sets(work: Path) -> float:
    """Held-out sets in the perplexity table of the final model."""
    return len({r["set"] for r in step_file(work, "evaluate", "perplexity.json")["rows"] if r["model"] == "final"})


def monitoring_points(work: Path) -> float:
    """Points in training at which the held-out sets were scored, both stages together."""
    points = set()
    for stage in ("stage1", "stage2"):
        folders = sorted(work.glob(f"{stage}-*/_step.json"), key=lambda p: p.stat().st_mtime)
        if not folders:
            raise NotMeasuredError(f"{work} has no finished step '{stage}'; run `make demo` first")
        for line in (folders[-1].parent / "heldout.jsonl").read_text(encoding="utf-8").splitlines():
            points.add(json.loads(line)["step"])
    return len(points)


def canaries_found(work: Path) -> float:
    """1 if the planted canaries are found in the final model, 0 if not.

    Not measured where the audit cannot tell: where it flags the held-back half, which no stage read, as well, or where the halves
    are not told apart.
    """
    row = _control(work)["models"]["final"]
    found = outcome(row)
    if found == UNKNOWN:
        raise NotMeasuredError(f"{found}: {reason(row)}")
    return float(found == FOUND)


def clean_flagged(work: Path) -> float:
    """What must not be flagged but was: the held-back half and the clean test split in both models, canaries before planting."""
    control = _control(work)
    unwanted = (flag for name, flag in flags(control["models"]).items() if name not in (*EXPECTED, *UNUSED))
    return sum(_flag(flag) for flag in (*clean_test(control), *unwanted))


def _control(work: Path) -> Any:
    control = step_file(work, "leakage", "leakage.json")["control"]
    if control is None:
        raise NotMeasuredError(f"no canaries were planted in the run in {work}")
    return control


MEASURES: dict[str, Callable[[Path], float]] = {
    "wall": wall_minutes,
    "second-run": second_run_seconds,
    "unigram": sets_not_below_unigram,
    "heldout-sets": heldout_sets,
    "monitoring-points": monitoring_points,
    "canaries": canaries_found,
    "clean": clean_flagged,
}


def _below(loss: float | None, bound: float | None) -> bool:
    return loss is not None and bound is not None and loss < bound


def _flag(value: bool | None) -> float:
    if value is None:
        raise NotMeasuredError("the audit had no interval to judge by")
    return float(value)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one figure of a finished demo run.")
    parser.add_argument("what", choices=sorted(MEASURES))
    parser.add_argument("--work", type=Path, default=Path("runs/demo"))
    options = parser.parse_args()
    try:
        print(json.dumps({"value": MEASURES[options.what](options.work)}))
    except NotMeasuredError as why:
        print(json.dumps({"not_measured": str(why)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
