"""How many forged releases `skyloom release check --recompute` passes.

    python -m bench.release.forgeries [--json passed,refused]

Builds a small release and forges it in the ten ways of tests/planted/small_release.py, each with new checksums, and with new cards
where the forged file would contradict them. Each copy is checked; `passed` is how many the check passes, `refused` is 1 if it
refuses the honest release.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from tests.planted import small_release

from skyloom.release.check import check


def measure(place: Path) -> tuple[dict[str, float], dict[str, list[str]]]:
    """The figures, and for each forgery the findings that failed."""
    released = small_release.publish(small_release.build(place / "run"), place / "release")
    refused = [f.name for f in check(released, again=True) if not f.ok]
    caught = {}
    for number, name in enumerate(small_release.FORGERIES):
        folder = small_release.forged(released, name, place / f"forged-{number}")
        caught[name] = [f.name for f in check(folder, again=True) if not f.ok]
    return {"passed": sum(not found for found in caught.values()), "refused": float(bool(refused))}, caught


def main() -> int:
    parser = argparse.ArgumentParser(description="Forged releases that the check passes.")
    parser.add_argument("--json", default="passed,refused", help="which figures")
    names = parser.parse_args().json.split(",")
    torch.set_num_threads(1)  # models of 80,000 parameters: a second thread only waits
    with tempfile.TemporaryDirectory() as place:
        values, caught = measure(Path(place))
    for name, found in caught.items():
        print(f"{name}: {', '.join(found) or 'passed'}")
    print(json.dumps({"value": values[names[0]]} if len(names) == 1 else {"values": {name: values[name] for name in names}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
