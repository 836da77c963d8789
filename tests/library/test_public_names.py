"""The names that `import skyloom` gives: lazy, listed, documented with examples that run, and frozen.

Users' programs depend on them. `signatures.json` beside this file holds every name with its signature. Adding is free; what is
renamed, removed or means something else needs a new major version. To accept a change:

    python -m tests.library.test_public_names --freeze
"""

from __future__ import annotations

import ast
import difflib
import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skyloom
from tests.library.surface import as_text, members, public, results

FROZEN = Path(__file__).resolve().with_name("signatures.json")
FREEZE = "python -m tests.library.test_public_names --freeze"
PROMISED = (
    "Run Recipe Tokenizer extract_html identify redact near_duplicates quality decontaminate load_model score_texts evaluate audit "
    "release_check"
).split()


def test_the_names_are_the_promised_ones():
    assert sorted(skyloom.__all__) == sorted(PROMISED) and set(PROMISED) <= set(dir(skyloom))
    assert {"open", "plan", "run", "tables", "folders"} <= set(members(skyloom.Run))
    assert {"load", "override", "show"} <= set(members(skyloom.Recipe))
    assert {"load", "encode", "decode", "columns"} <= set(members(skyloom.Tokenizer))
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        skyloom.no_such_name  # noqa: B018


def test_signatures_are_the_frozen_ones():
    before, now = FROZEN.read_text("utf-8").splitlines(), as_text().splitlines()
    changed = "\n".join(difflib.unified_diff(before, now, "tests/library/signatures.json", "the library", lineterm=""))
    assert not changed, f"the library has changed:\n{changed}\nIf that is meant, run `{FREEZE}` and commit the file."


def test_results_are_among_the_frozen():
    assert {"PageText", "TextLanguage", "RedactedText", "Evaluation", "Audit", "ReleaseFindings"} <= set(results())


def fresh(program: str) -> str:
    """What a program prints in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_reads_nothing_heavy():
    heavy = {"numba", "torch", "pyarrow", "numpy", "rich", "transformers", "click"}
    assert fresh(f"import sys, skyloom; dir(skyloom); print(sorted({heavy!r} & set(sys.modules)))") == "[]"


def test_evaluate_is_the_package_and_the_function_in_either_order():
    told = "print(callable(skyloom.evaluate), skyloom.evaluate.config.__name__, list(inspect.signature(skyloom.evaluate).parameters)[0])"
    for first in ("import skyloom.evaluate.config", "from skyloom import audit; import skyloom.evaluate.config"):
        assert fresh(f"import inspect, skyloom; {first}; {told}") == "True skyloom.evaluate.config models"


def test_the_package_says_to_type_checkers_that_it_is_typed():
    """The names stand in the source as imports, which type checkers and editors read, though nothing of it runs."""
    assert Path(skyloom.__file__).with_name("py.typed").exists()
    tree = ast.parse(Path(skyloom.__file__).read_text("utf-8"))
    told = [n for n in tree.body if isinstance(n, ast.If) and isinstance(n.test, ast.Name) and n.test.id == "TYPE_CHECKING"]
    named = {alias.name for node in told[0].body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(skyloom.__all__)


def everything() -> dict[str, object]:
    """Each public name, and each method of a public class, as a function or a class."""
    found: dict[str, object] = {}
    for name in skyloom.__all__:
        found[name] = public(name)
        if inspect.isclass(found[name]):
            found |= {f"{name}.{method}": value for method, value in members(public(name)).items()}
    return found


@pytest.mark.parametrize("name", list(everything()))
def test_each_has_a_docstring(name):
    told = inspect.getdoc(everything()[name])
    assert told and told[0].isupper() and told.split("\n\n")[0].endswith((".", ":"))


@pytest.mark.parametrize("name", skyloom.__all__)
def test_each_shows_an_example_in_both_languages(name):
    value = public(name)
    whole = [
        inspect.getdoc(value) or "",
        *(inspect.getdoc(m) or "" for m in (members(value).values() if inspect.isclass(value) else ())),
    ]
    lines = re.findall(r"^\s*>>> (.*)$", "\n".join(whole), re.MULTILINE)
    assert any(f"skyloom.{name}" in line for line in lines)
    assert re.search(r"[\u4e00-\u9fff]", "\n".join(whole)), "no Chinese in its example"
    assert re.search(r"[A-Za-z]{3,} [A-Za-z]{3,}|\"en\"|'en'|\"tiny\"", "\n".join(lines)), "no English in its example"


@pytest.mark.xdist_group("library")
@pytest.mark.parametrize("name", skyloom.__all__)
def test_examples_give_what_they_say(name, here, capsys):
    value, runner = public(name), doctest.DocTestRunner(verbose=False)
    tests = doctest.DocTestFinder().find(value, name, module=sys.modules[value.__module__])
    assert any(test.examples for test in tests)
    for test in tests:
        runner.run(test, out=lambda text: sys.stdout.write(text))
    assert not runner.failures, capsys.readouterr().out


if __name__ == "__main__":
    if sys.argv[1:] != ["--freeze"]:
        raise SystemExit(FREEZE)
    FROZEN.write_text(as_text(), encoding="utf-8")
