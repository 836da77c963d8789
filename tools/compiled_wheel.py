"""A wheel for one platform that brings the compiled kernels, made from the wheel for all of them.

    python tools/compiled_wheel.py dist/skyloom-0.1.0-py3-none-any.whl --out dist

Input: the wheel; the dependencies are those of the running interpreter. Output: a wheel for this Python and this kind of machine,
whose folder skyloom/compiled holds what numba makes of the kernels for processors of the level x86-64-v3, and target.json,
which says what it was made for. The program uses it only where all of that fits (core/kernels.py), and compiles elsewhere.
Without it the first page that a new installation reads waits until its kernels are compiled, which takes a minute or more.

The kernels are compiled by use: the small recipe as far as its token files, a trace in its corpus, and the commands that work on
files. Modules with kernels of which none was compiled are named at the end: the first use of them compiles.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EN = "The river rose for three days before anyone in the valley moved the animals to the high field. "
ZH = "河水连涨了三天，山谷里的人才把牲口赶到高处的草地上，老人们说往年并不是这样。"
PAGE = "<html><head><meta charset=utf-8><title>{0}</title></head><body><div><h1>{0}</h1>{1}</div></body></html>"
DEFINES = ("kernel", "entry", "inner")
"""The decorators of `core/kernels.py` that compile a function by itself; an inlined one is part of those that call it."""
FIRST_TEXT = (
    "import sys, pathlib, pyarrow.parquet as pq;"
    "found = (t for f in sorted(pathlib.Path(sys.argv[1]).glob('corpus-*/documents-*.parquet'))"
    " for b in pq.ParquetFile(f).iter_batches(64, columns=['text', 'split'])"
    " for t, s in zip(b['text'].to_pylist(), b['split'].to_pylist()) if s == 'train');"
    "sys.stdout.buffer.write(next(found)[:400].encode())"
)
"""Prints the beginning of a training document of a run: a trace of it finds something, so that all of its kernels are compiled."""
ASK = (
    "import json, numba; from skyloom.core import kernels as k;"
    "print(json.dumps({'digest': k._digest(k._ROOT), 'cpu': k.SHIPPED_CPU, 'needs': k.SHIPPED_NEEDS, 'numba': numba.__version__}))"
)


def written(folder: Path) -> dict[str, Path]:
    """A page in each language, and texts as JSON lines."""
    found = {name: folder / name for name in ("en.html", "zh.html", "texts.jsonl", "items.jsonl")}
    for name, sentence in (("en.html", EN), ("zh.html", ZH)):
        body = "".join(f"<p>{n}. {sentence * 4}</p>" for n in range(8))
        found[name].write_text(PAGE.format(sentence[:9], body), "utf-8")
    rows = [{"id": str(n), "text": f"{n} {sentence * 9}"} for n, sentence in enumerate((EN, ZH, EN))]
    found["texts.jsonl"].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    items = [{"id": lang, "question": sentence, "answer": "7", "lang": lang} for sentence, lang in ((EN, "en"), (ZH, "zh"))]
    found["items.jsonl"].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in items), "utf-8")
    return found


def commands(files: dict[str, Path], folder: Path) -> list[list[str]]:
    """What compiles the kernels."""
    texts = str(files["texts.jsonl"])
    return [
        ["data", "pack", "tiny", "--work", str(folder / "run")],
        ["data", "show", "tiny", "--step", "1", "--work", str(folder / "run")],
        *(["corpus", "extract", str(files[page]), "--out", str(folder / f"{page}.jsonl")] for page in ("en.html", "zh.html")),
        *(["corpus", verb, texts, "--out", str(folder / f"{verb}.jsonl")] for verb in ("language", "quality", "redact", "dedup")),
        ["leak", "corpus", texts, "--benchmark", str(files["items.jsonl"]), "--out", str(folder / "leak.jsonl")],
        ["release", "trace", str(folder / "run"), "-", "--memory", "50MB"],
    ]


def kernel_modules(package: Path) -> list[str]:
    """The modules of the program that define kernels, by their names without "skyloom."."""
    found = []
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
        if name != "core.kernels" and any(_name(one) in DEFINES for node in functions for one in node.decorator_list):
            found.append(name)
    return found


def uncompiled(package: Path, kernels: Path) -> list[str]:
    """The modules with kernels of which the folder of compiled code (by module, see core/kernels.py) has none."""
    return [name for name in kernel_modules(package) if not any((kernels / name).glob("*.nbc"))]


def _name(decorator: ast.expr) -> str:
    return decorator.id if isinstance(decorator, ast.Name) else ""


def fill(tree: Path) -> None:
    """Compile into the folder skyloom/compiled of an unpacked wheel. CalledProcessError: a command failed."""
    home = tree / "skyloom" / "compiled"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "PYTHON"))}
    environment = {**kept, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    target = json.loads(subprocess.run([sys.executable, "-c", ASK], env=environment, check=True, capture_output=True).stdout)
    environment |= {"NUMBA_CACHE_DIR": str(home / "kernels"), "NUMBA_CPU_NAME": target["cpu"], "NUMBA_CPU_FEATURES": ""}
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(written(Path(folder)), Path(folder)):
            program = [sys.executable, "-m", "skyloom", *command]
            told = None
            if command[:2] == ["release", "trace"]:
                first = [sys.executable, "-c", FIRST_TEXT, command[2]]
                told = subprocess.run(first, env=environment, capture_output=True, check=True).stdout.decode()
            done = subprocess.run(program, env=environment, input=told, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"`skyloom {' '.join(command)}` ended with {done.returncode}:\n{done.stderr[-2000:]}")
    if left := uncompiled(tree / "skyloom", home / "kernels"):
        print(f"compiled on their first use: {', '.join(left)}", file=sys.stderr)
    for table in (home / "kernels").glob("*.npy"):  # tables that are made at once, and that hold more than all the code
        table.unlink()
    shutil.rmtree(tree / "skyloom" / "__pycache__", ignore_errors=True)
    target |= {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "machine": platform.machine()}
    (home / "target.json").write_text(json.dumps(target, indent=1) + "\n", "utf-8")


def wheel(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "wheel", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def compiled(source: Path, out: Path) -> Path:
    """Make the wheel in the folder `out`; returns its path."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tree, packed = Path(folder, "tree"), Path(folder, "packed")
        packed.mkdir()
        wheel("unpack", source, "--dest", tree)
        (inside,) = tree.iterdir()
        fill(inside)
        python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        wheel("pack", inside, "--dest-dir", packed)
        (whole,) = packed.iterdir()
        tags = ("--python-tag", python, "--abi-tag", python, "--platform-tag", f"manylinux_2_17_{platform.machine()}")
        wheel("tags", "--remove", *tags, whole)
        (whole,) = packed.iterdir()
        return Path(shutil.copy(whole, out / whole.name))


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a wheel that brings the compiled kernels.")
    parser.add_argument("wheel", type=Path, help="the wheel for all platforms (python -m build)")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="the folder for the new wheel")
    options = parser.parse_args()
    if sys.platform != "linux" or platform.machine() != "x86_64":
        print("compiled kernels are shipped for Linux on x86-64 only; elsewhere the first use compiles them", file=sys.stderr)
        return 1
    made = compiled(options.wheel, options.out)
    print(f"{made} ({made.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
