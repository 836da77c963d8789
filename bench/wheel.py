"""Whether the wheel does the main job: built, installed into an empty environment, the small recipe run from an empty folder.

    python -m bench.wheel

prints {"value": 1} if it runs to the end, {"value": 0} if not, with what it said on standard error. The dependencies are those of
the running interpreter; no network is needed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.stories import wheel


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = wheel.install(Path(folder, "installed"))
        done = wheel.small_recipe(program, Path(folder, "work"), Path(folder, "empty"))
    sys.stderr.write(done.stderr)
    print(json.dumps({"value": int(done.returncode == 0 and "release:" in done.stdout)}))


if __name__ == "__main__":
    main()
