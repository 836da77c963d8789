"""A release pushed to a hub of our own, pulled elsewhere and measured again: what a reader of a published release does.

The hub is the one of the tests, reached through HF_ENDPOINT by `skyloom release push` and `skyloom release pull` as commands; then
`skyloom release check --recompute` runs on what was pulled.

    python -m bench.release.hub
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from tests.planted import small_release
from tests.planted.hub_server import TOKEN, HubServer


def main() -> int:
    torch.set_num_threads(1)  # models of 80,000 parameters: a second thread only waits
    with tempfile.TemporaryDirectory() as place, HubServer() as hub:
        root = Path(place)
        released = small_release.publish(small_release.build(root / "run"), root / "release")
        environment = {
            **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(root / "home"), "HF_HUB_DISABLE_XET": "1",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        steps = (
            ["push", released, "me/small", "--yes"],
            ["pull", "me/small", root / "pulled"],
            ["check", root / "pulled", "--recompute"],
        )
        failed = 0
        for step in steps:
            done = subprocess.run(
                [sys.executable, "-m", "skyloom", "release", *map(str, step)],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            print(f"release {step[0]}: exit code {done.returncode}\n{done.stdout}{done.stderr if done.returncode else ''}")
            failed += done.returncode != 0
        leaked = TOKEN in done.stdout + done.stderr
    print(json.dumps({"value": failed + leaked}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
