"""Equal loss: how far the losses of every layout of processes are from those of one process, over 20 steps.

The layouts and the measurement are those of the tests (tests/train/distributed/equal_loss.py).

    python -m bench.train.parallel_loss [--only NAME ...] [--peak RATE] [--warmup STEPS]     the table, for both precisions
    python -m bench.train.parallel_loss --optimizer muon                                     only the layouts that train with Muon
    python -m bench.train.parallel_loss --json fp32,bf16                                     the largest deviation of a loss
"""

from __future__ import annotations

import argparse
import json

from tests.train.distributed.equal_loss import CASES, COMPILED, PRECISIONS, Rate, measure

from skyloom.planner.muon_cost import OPTIMIZERS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*CASES, *COMPILED], default=list(CASES))
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="only layouts that train with it")
    parser.add_argument("--json", metavar="fp32,bf16")
    parser.add_argument("--peak", type=float, default=Rate.peak)
    parser.add_argument("--warmup", type=int, default=Rate.warmup)
    arguments = parser.parse_args()
    precisions = arguments.json.split(",") if arguments.json else PRECISIONS
    chosen = [name for name in arguments.only if arguments.optimizer in (None, {**CASES, **COMPILED}[name].optimizer)]
    found = measure(chosen, precisions, Rate(arguments.peak, arguments.warmup))
    if arguments.json:
        values = {p: max(d["loss"] for (_, precision), d in found.items() if precision == p) for p in precisions}
        print(json.dumps({"values": values} if len(values) > 1 else {"value": values[precisions[0]]}))
        return
    print(f"{'layout':48}{'':6}" + "".join(f"{name:>10}" for name in ("loss", "norm", "scores", "weights", "moments")))
    for (name, precision), found_here in found.items():
        print(f"{name:48}{precision:6}" + "".join(f"{value:10.1e}" for what, value in found_here.items() if what != "missing"))


if __name__ == "__main__":
    main()
