"""The wheel with compiled kernels: which modules define kernels, and which of them its commands have not compiled."""

from __future__ import annotations

from pathlib import Path

from tools.compiled_wheel import commands, kernel_modules, uncompiled, written

import skyloom

PACKAGE = Path(skyloom.__file__).parent


def test_modules_with_kernels_are_found_by_their_decorators(tmp_path: Path) -> None:
    found = kernel_modules(PACKAGE)
    assert {"core.units", "corpus.dedup.minhash", "data.permute", "release.trace.suffixes", "tokenizer.encode"} <= set(found)
    assert "core.kernels" not in found and "release.trace.tracing" not in found
    (tmp_path / "数").mkdir()
    (tmp_path / "数/算.py").write_text("@kernel\ndef f(x):\n    return x\n", encoding="utf-8")
    (tmp_path / "plain.py").write_text("@inlined\ndef f(x):\n    return x\n", encoding="utf-8")
    assert kernel_modules(tmp_path) == ["数.算"]


def test_what_was_not_compiled_is_named(tmp_path: Path) -> None:
    every = kernel_modules(PACKAGE)
    assert uncompiled(PACKAGE, tmp_path) == every
    (tmp_path / "release.trace.suffixes").mkdir()
    (tmp_path / "release.trace.suffixes/suffixes._induce-1.py311.1.nbc").write_bytes(b"")
    assert uncompiled(PACKAGE, tmp_path) == [name for name in every if name != "release.trace.suffixes"]


def test_a_trace_is_among_the_commands(tmp_path: Path) -> None:
    asked = commands(written(tmp_path), tmp_path)
    assert ["release", "trace"] in [command[:2] for command in asked]
    packed = asked.index(next(command for command in asked if command[:2] == ["data", "pack"]))
    assert packed < next(n for n, command in enumerate(asked) if command[:2] == ["release", "trace"]), "it needs the corpus"
