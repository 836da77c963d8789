"""Golden hashes guard the version numbers of steps: what a step writes for a fixed input may change only with its version.

`golden.json` holds, for each corpus step over the sample pages, its version, hashes of its settings and of what it read, and a
hash of what it wrote. When a step writes something else for the same settings, input and version, the test says to raise the
version in src/skyloom/run/steps.py, because finished runs would otherwise be taken for something they are not. Then:

    python tests/core/test_step_golden.py --freeze

Contents are hashed by value (numbers to four digits), so that another version of Parquet's writer or another processor does
not matter. A change below a changed step cannot be judged until that one is frozen again: freeze after each change.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from skyloom.core.config import plain
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.step import MANIFEST, Step, ordered
from skyloom.core.store import Store

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden.json"
RECIPE = HERE.parents[1] / "recipes" / "tiny.toml"
FREEZE = "python tests/core/test_step_golden.py --freeze"

Entry = dict[str, Any]


def observe(steps: list[Step], work: Store) -> dict[str, Entry]:
    """What golden.json says of finished steps: {name: {version, settings, needs, output}}."""
    outputs = {step.name: written(work.child(step.folder)) for step in steps}
    return {
        step.name: {
            "version": step.version,
            "settings": digest(plain(step.settings, identity_only=True), step.identity),
            "needs": {need.name: outputs[need.name] for need in step.needs},
            "output": outputs[step.name],
        }
        for step in steps
    }


def written(folder: Store) -> str:
    """Hash of the values in all files of a finished step."""
    parts: list[Any] = []
    for file in folder.read_json(MANIFEST)["files"]:
        name = file["name"]
        parts.append(name)
        if name.endswith(".parquet"):
            table = folder.read_table(name)
            parts.append([[field.name, str(field.type)] for field in table.schema])
            parts.append([rounded(column.to_pylist()) for column in table.columns])
        elif name.endswith(".json"):
            parts.append(rounded(folder.read_json(name)))
        else:
            parts.append(folder.read_bytes(name).hex())
    return digest(parts)


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()[:24]


def judge(frozen: dict[str, Entry], now: dict[str, Entry]) -> tuple[list[str], list[str]]:
    """(versions that must be raised, entries that are only out of date), each as a sentence."""
    wrong, stale = [], []
    for name, entry in now.items():
        before = frozen.get(name)
        if before == entry:
            continue
        if before is None:
            stale.append(f"{name} is not frozen yet")
        elif entry["version"] < before["version"]:
            wrong.append(f"{name}: its version went down from {before['version']} to {entry['version']}; versions only rise")
        elif {k: v for k, v in entry.items() if k != "output"} == {k: v for k, v in before.items() if k != "output"}:
            wrong.append(
                f"{name} writes something else for the same settings, input and version {entry['version']}: if that is meant, give "
                f'Step("{name}") version={entry["version"] + 1} in src/skyloom/run/steps.py and run: {FREEZE}'
            )
        else:
            what = [key for key in ("version", "settings", "needs") if before[key] != entry[key]]
            stale.append(f"{name}: its {' and '.join(what)} changed")
    stale += [f"{name} is no step any more" for name in frozen if name not in now]
    return wrong, stale


def run_corpus(work: Path) -> dict[str, Entry]:
    """Build the corpus of the sample pages alone (the standard library's code differs from Python to Python)."""
    from skyloom.run.run import Run

    run = Run.open(RECIPE, work=work, engine=Engine(), progress=Progress.silent())
    sources = tuple(s for s in run.recipe.corpus.sources if s.kind == "samples")
    recipe = dataclasses.replace(run.recipe, corpus=dataclasses.replace(run.recipe.corpus, sources=sources))
    resolved = dataclasses.replace(run, recipe=recipe).resolve()
    resolved.run("corpus")
    return observe(ordered([resolved.steps["corpus"]]), Store(work))


def test_corpus_steps_write_what_was_frozen(tmp_path):
    frozen = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if not frozen:
        pytest.skip(f"nothing is frozen yet: {FREEZE}")
    wrong, stale = judge(frozen, run_corpus(tmp_path))
    assert not wrong, "\n".join(wrong)
    assert not stale, "\n".join([*stale, f"if that is meant: {FREEZE}"])


ENTRY: Entry = {"version": 2, "settings": "s", "needs": {"pages": "p"}, "output": "o"}


def verdict(**changes: Any) -> tuple[list[str], list[str]]:
    return judge({"extract": ENTRY}, {"extract": ENTRY | changes})


def test_a_changed_output_asks_for_a_new_version_and_nothing_else_does():
    assert verdict() == ([], [])
    wrong, stale = verdict(output="other")
    assert not stale and 'Step("extract") version=3' in wrong[0] and FREEZE in wrong[0]
    assert verdict(output="other", version=3) == ([], ["extract: its version changed"])
    assert verdict(output="other", settings="t") == ([], ["extract: its settings changed"])
    assert verdict(output="other", needs={"pages": "q"}) == ([], ["extract: its needs changed"])
    assert "went down" in verdict(version=1)[0][0]
    assert judge({}, {"extract": ENTRY}) == ([], ["extract is not frozen yet"])
    assert judge({"extract": ENTRY}, {}) == ([], ["extract is no step any more"])


def test_a_step_that_changes_its_mind_is_found(tmp_path):
    """The whole way: two steps are run, frozen, and run again with code that writes something else."""

    def steps(word: str, version: int = 1) -> list[Step]:
        def write(context: Any) -> None:
            context.out.write_table("a.parquet", pa.table({"词": [word, None], "x": [0.1, 1 / 3], "b": [b"\xff", b""]}))
            context.out.write_json("n.json", {"share": 1 / 3})

        def copy(context: Any) -> None:
            context.out.write_text("copy.txt", str(context.need("first").read_table("a.parquet").column("词").to_pylist()))

        first = Step("first", write, {"k": 1}, version)
        return [first, Step("second", copy, needs=(first,))]

    def seen(word: str, where: str, version: int = 1) -> dict[str, Entry]:
        from skyloom.core.step import run_steps

        made, work = steps(word, version), Store(tmp_path / where)
        run_steps(made, work, Engine(), Progress.silent())
        return observe(made, work)

    frozen = seen("早", "a")
    assert judge(frozen, seen("早", "b")) == ([], [])
    wrong, stale = judge(frozen, seen("晚", "c"))
    assert [w.split()[0] for w in wrong] == ["first"] and stale == ["second: its needs changed"]
    assert judge(frozen, seen("晚", "d", version=2))[0] == []


def freeze(force: bool) -> None:
    """Write golden.json; refuses while a version must be raised, unless forced."""
    with tempfile.TemporaryDirectory() as folder:
        now = run_corpus(Path(folder))
    wrong, stale = judge(json.loads(GOLDEN.read_text(encoding="utf-8")), now)
    if wrong and not force:
        sys.exit("\n".join([*wrong, "(--force freezes what is written now all the same)"]))
    GOLDEN.write_text(json.dumps(now, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    print("\n".join([*wrong, *stale, f"{len(now)} steps frozen in {GOLDEN}"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--freeze", action="store_true", required=True)
    parser.add_argument("--force", action="store_true")
    freeze(parser.parse_args().force)
