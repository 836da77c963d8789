"""The fields that a benchmark task's templates read from an item: names, and the form of a value (`skyloom eval tasks --fields`).

Input: the settings of a task (lm-eval's YAML), whose prompts are Jinja templates, names of fields, or functions. Output: an example
item, such as `{"question": "…", "choices": {"text": ["…"], "label": ["…"]}}`. Templates are read as syntax trees, functions too, so
no data set is needed. What a function does with an item beyond plain `doc["name"]` is not seen; the output says so.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping

from jinja2 import Environment, TemplateSyntaxError, nodes

TEMPLATES = ("doc_to_text", "doc_to_target", "doc_to_choice", "description", "gen_prefix")
FUNCTIONS = ("process_docs", "process_results")
TEXT = "…"

Shape = str | int | list["Shape"] | dict[str, "Shape"]
_METHODS = frozenset("strip lstrip rstrip replace split lower upper title capitalize format endswith startswith".split())
_ENVIRONMENT = Environment(autoescape=False)  # nothing is rendered
_ENVIRONMENT.filters |= dict.fromkeys(("regex_replace",), str)


def example(settings: Mapping[str, object]) -> dict[str, Shape]:
    """An item in the form that the task's templates need, as far as they show it."""
    found: dict[str, Shape] = {}
    for key in TEMPLATES:
        value = settings.get(key)
        if callable(value):
            _of_function(value, found)
        elif isinstance(value, str):
            _of_template(value, found, choices=key == "doc_to_choice", label=key == "doc_to_target" and "doc_to_choice" in settings)
    for key in FUNCTIONS:
        if callable(function := settings.get(key)):
            _of_function(function, found)
    return found


def has_functions(settings: Mapping[str, object]) -> bool:
    """Whether a part of the task is a program, so that fields may be missing from `example`."""
    return any(callable(settings.get(key)) for key in (*TEMPLATES, *FUNCTIONS))


def _of_template(text: str, found: dict[str, Shape], *, choices: bool, label: bool) -> None:
    if text.isidentifier():  # the name of a field
        shape: Shape = [TEXT, TEXT] if choices else 0 if label else TEXT
        found[text] = _merged(found.get(text), shape)
        return
    try:
        tree = _ENVIRONMENT.parse(text)
    except TemplateSyntaxError:
        return
    only = _only_expression(tree)
    if only is not None and (choices or label):
        _visit(only, found, set(), [TEXT, TEXT] if choices else 0)
        return
    bound = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    _visit(tree, found, bound)


def _only_expression(tree: nodes.Template) -> nodes.Node | None:
    """The value that a template consists of: `{{choices.text}}`."""
    if len(tree.body) == 1 and isinstance(body := tree.body[0], nodes.Output) and len(body.nodes) == 1:
        return body.nodes[0] if isinstance(body.nodes[0], (nodes.Name, nodes.Getattr, nodes.Getitem)) else None
    return None


def _visit(node: nodes.Node, found: dict[str, Shape], bound: set[str], shape: Shape = TEXT) -> None:
    inner: nodes.Node = node
    while True:
        if isinstance(inner, nodes.Getattr):
            if inner.attr in _METHODS:
                shape = TEXT
            elif inner.attr == "index":
                shape = [TEXT]
            elif inner.attr not in ("items", "keys", "values"):
                shape = {inner.attr: shape}
            inner = inner.node
        elif isinstance(inner, nodes.Getitem):
            key = inner.arg.value if isinstance(inner.arg, nodes.Const) else None
            shape = {key: shape} if isinstance(key, str) else [shape]
            if key is None:
                _visit(inner.arg, found, bound)
            inner = inner.node
        elif isinstance(inner, nodes.Call):
            for argument in inner.args:
                _visit(argument, found, bound)
            inner = inner.node
        else:
            break
    if isinstance(inner, nodes.Name):
        if inner.ctx == "load" and inner.name not in bound:
            found[inner.name] = _merged(found.get(inner.name), shape)
    else:
        for child in inner.iter_child_nodes():
            _visit(child, found, bound)


def _of_function(function: Callable[..., object], found: dict[str, Shape]) -> None:
    """Fields that a function reads from its first parameter, or from items of it (`def f(docs): … doc["x"]`)."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return
    for node in ast.walk(tree):
        name = None
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and isinstance(node.slice, ast.Constant):
            name = node.slice.value if isinstance(node.ctx, ast.Load) and node.value.id in ("doc", "x", "example", "line") else None
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
            owner, first = node.func.value, node.args[0]
            if isinstance(owner, ast.Name) and owner.id in ("doc", "x", "example") and isinstance(first, ast.Constant):
                name = first.value
        if isinstance(name, str):
            found.setdefault(name, TEXT)


def _merged(old: Shape | None, new: Shape) -> Shape:
    """The more telling of two forms; the keys of both if both are tables."""
    if old is None or old == TEXT:
        return new
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: _merged(old.get(key), new[key]) if key in new else old[key] for key in {**old, **new}}
    if isinstance(old, list) and isinstance(new, list) and new and old:
        return [_merged(old[0], new[0])]
    return old
