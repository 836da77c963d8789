"""How often the alarms of training call out on healthy curves, and how often they find what was planted.

    python -m bench.train.alarms [--runs 300] [--json false,repeats,repeats-mixed,leak,damage,unstable]

The curves are simulated, see tests/planted/alarms.py. Prints shares of runs; power is of the runs of 30 or 60 points.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.planted.alarms import FAULTS, false_alarms, power


def main() -> int:
    parser = argparse.ArgumentParser(description="False alarms and power of the alarms of training.")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--json", default=f"false,{','.join(FAULTS)}", help="which figures")
    options = parser.parse_args()
    names = options.json.split(",")
    values = {name: false_alarms(options.runs) if name == "false" else power(name, options.runs) for name in names}
    print(json.dumps({"value": values[names[0]]} if len(names) == 1 else {"values": values}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
