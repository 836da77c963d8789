"""How many names of the public library lack a docstring, an example or a test.

Input: `skyloom.__all__`, the docstrings, and the tests in tests/library. Output: a row for each name, and one number. An example is
a line `>>>` that uses the name; a test is a function `test_…` that uses `skyloom.NAME`. The examples and tests are run by
`make test`; here they are only counted.

    python -m bench.core.public_names [--json missing]
"""

from __future__ import annotations

import argparse
import ast
import doctest
import inspect
import sys
from pathlib import Path

from tests.library.surface import members, public

import skyloom
from bench.answers import answer, offer

TESTS = Path(__file__).parents[2] / "tests" / "library"


def tested() -> set[str]:
    """The names that a test uses as `skyloom.NAME`."""
    found: set[str] = set()
    for path in TESTS.glob("test_*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                inside = [
                    node for node in ast.walk(function) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                ]
                found |= {node.attr for node in inside if isinstance(node.value, ast.Name) and node.value.id == "skyloom"}
    return found


def lacks(name: str, used: set[str]) -> list[str]:
    """What a name lacks of "docstring", "example" and "test"."""
    value = public(name)
    told = [inspect.getdoc(part) or "" for part in (value, *(members(value).values() if inspect.isclass(value) else ()))]
    examples = [example for text in told for example in doctest.DocTestParser().get_examples(text)]
    shown = any(f"skyloom.{name}" in example.source for example in examples)
    has = {"docstring": all(told), "example": shown, "test": name in used}
    return [what for what, there in has.items() if not there]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    offer(parser, ["missing"])
    names, used = parser.parse_args().json, tested()
    rows = {name: lacks(name, used) for name in skyloom.__all__}

    def tables() -> None:
        for name, missing in rows.items():
            print(f"{name:18} {', '.join(missing) or 'docstring, example, test'}")

    return answer(names, lambda _: sum(map(len, rows.values())), tables)


if __name__ == "__main__":
    sys.exit(main())
