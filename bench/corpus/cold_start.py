"""Cold start: what the first page costs a new installation, with compiled kernels in the wheel and without.

    python -m bench.corpus.cold_start              both wheels are built, which compiles all kernels
    python -m bench.corpus.cold_start --json shipped

Each wheel is installed into an empty environment, its program extracts an English page and then a Chinese one. The figures are
CPU-seconds of the first process, the second, and wall seconds of the first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.stories import wheel as wheels
from tools.compiled_wheel import EN, ZH, compiled, written


def measured(wheel: Path, folder: Path) -> dict[str, float]:
    """CPU and wall seconds of the first page and of the second, in an environment and a home of their own."""
    program = wheels.install_wheel(wheel, folder / "venv")
    folder.joinpath("pages").mkdir()
    files = written(folder / "pages")
    environment = wheels.environment() | {"XDG_CACHE_HOME": str(folder / "home")}
    found = {}
    for name, page, sentence in (("first", files["en.html"], EN), ("second", files["zh.html"], ZH)):
        before, start = os.times(), time.perf_counter()
        done = subprocess.run(
            [program, "corpus", "extract", page, "--out", folder / f"{name}.jsonl"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        after = os.times()
        assert sentence in (folder / f"{name}.jsonl").read_text("utf-8"), done.stderr
        found[f"{name} cpu"] = after.children_user + after.children_system - before.children_user - before.children_system
        found[f"{name} wall"] = time.perf_counter() - start
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what the first page costs a new installation.")
    parser.add_argument("--json", choices=("shipped",), help="print one figure for `make bars`")
    parser.add_argument("--wheel", type=Path, help="a wheel with compiled kernels, instead of building one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = wheels.built(wheels.copied(Path(folder, "plain", "tree")), Path(folder, "plain", "wheels"))
        whole = options.wheel or compiled(plain, Path(folder, "compiled"))
        shipped = measured(whole, Path(folder, "compiled"))
        if options.json:
            print(json.dumps({"value": shipped["first cpu"]}))
            return 0
        rows = {"compiled kernels in the wheel": shipped, "none": measured(plain, Path(folder, "plain"))}
    size = whole.stat().st_size if options.wheel else None
    print("| wheel | first page, CPU-s | wall s | second page, CPU-s | wall s |\n|---|---|---|---|---|")
    for name, row in rows.items():
        figures = " | ".join(f"{row[key]:.1f}" for key in ("first cpu", "first wall", "second cpu", "second wall"))
        print(f"| {name} | {figures} |")
    if size:
        print(f"\n{whole.name}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
