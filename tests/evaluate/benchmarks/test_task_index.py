"""Names of tasks: the quick index is lm-eval's own, unknown names are met with the nearest ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyloom.core.errors import ConfigError
from skyloom.evaluate.benchmarks import task_index
from skyloom.evaluate.benchmarks.task_index import find, index


def test_kinds_of_names() -> None:
    kinds = {name: index()[name].kind.name for name in ("arc_easy", "cmmlu", "ai2_arc", "squadv2", "gaokao", "cmath")}
    assert kinds == {
        "arc_easy": "TASK", "cmmlu": "GROUP", "ai2_arc": "TAG", "squadv2": "PY_TASK", "gaokao": "GROUP", "cmath": "TASK",
    }  # fmt: skip
    assert index()["ai2_arc"].tags == {"arc_easy", "arc_challenge"}


def test_names_and_patterns() -> None:
    assert find(["arc_easy", "arc_easy", "gaokao_math_?"]) == ["arc_easy", "gaokao_math_1", "gaokao_math_2"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("arc_eazy", "arc_easy"), ("cmmlu_agronomi", "cmmlu_agronomy"), ("高考", "unknown task '高考'"), ("zz*", "zz")],
)
def test_an_unknown_task_is_met_with_the_nearest_names(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match="unknown task") as told:
        find([name])
    assert nearest in str(told.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("task: a\ntag: t\n", ("a", "TASK", {"t"})),
        ('"task": "a" # why\n"tag":\n  - t\n  - "u"\n', ("a", "TASK", {"t", "u"})),
        ("tag: [t, u]\ntask: a\n", ("a", "TASK", {"t", "u"})),
        ("group: g\ntask:\n  - a\n  - b: 1\n", ("g", "GROUP", set())),
        ("task: 中文\nclass: !function x.Y\n", ("中文", "PY_TASK", set())),
        ("include: base\ntask: a\n", ("a", "TASK", {"of the base"})),
        ("doc_to_text: |\n  task: not one\n", None),
        ("task: [\n", None),
    ],
)
def test_forms_of_definitions(tmp_path: Path, text: str, named: tuple[str, str, set[str]] | None) -> None:
    (tmp_path / "base").write_text("tag: of the base\n", encoding="utf-8")
    (tmp_path / "one.yaml").write_text(text, encoding="utf-8")
    found = {name: e for name, e in task_index._entries(tmp_path).items() if e.kind.name != "TAG"}
    if named is None:
        assert found == {}
    else:
        name, kind, tags = named
        assert (found[name].kind.name, found[name].tags, len(found)) == (kind, tags, 1)


@pytest.mark.slow
def test_the_index_is_lm_evals_own() -> None:
    from lm_eval.tasks import TaskManager

    theirs = TaskManager().task_index
    mine = {name: e for name, e in index().items() if e.yaml_path is None or task_index.OWN not in e.yaml_path.parents}
    assert {(n, e.kind, e.yaml_path, tuple(sorted(e.tags))) for n, e in mine.items()} == {
        (n, e.kind, e.yaml_path, tuple(sorted(e.tags))) for n, e in theirs.items()
    }
