"""Calculator notes of worked solutions, as GSM8K has them: `<<16-3-4=9>>`.

Input: a solution. Output: its notes, each with its expression as a tree and the numbers in it. `worked` gives the value of every
node in exact fractions, so that a check of sense can look at each thing that is taken away or divided, not only at results.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from skyloom.leakage.twins.number_spans import Figure, figures

_NOTE = re.compile(r"<<([^<>=]*)=([^<>=]*)>>")
_ALLOWED = re.compile(r"[\d+\-*/(). ]+")
LONGEST = 200
"""Characters of an expression: a longer one is no step of a worked solution, and its tree might be deep."""


@dataclass(frozen=True)
class Note:
    """A note. `tree`: the expression; `operands`: for each of its numbers the place in the text's list of numbers; `result`:
    the place of the number behind the equals sign."""

    tree: ast.expr
    operands: dict[tuple[int, int], int]
    result: int
    start: int
    stop: int


@dataclass(frozen=True)
class Worked:
    """A node of an expression: "+", "-", "*", "/" or "" for a number, its value and those of its two sides."""

    kind: str
    value: Fraction
    left: Fraction
    right: Fraction


def read_notes(text: str, found: Sequence[Figure]) -> list[Note] | None:
    """The notes of a solution of which `found` are the numbers; None if one of them is no arithmetic."""
    place = {f.start: number for number, f in enumerate(found)}
    notes = []
    for match in _NOTE.finditer(text):
        expression, result = match.group(1), match.group(2)
        if not _ALLOWED.fullmatch(expression) or len(expression) > LONGEST or len(inside := figures(result)) != 1:
            return None
        lead = len(expression) - len(expression.lstrip())
        try:
            tree = ast.parse(expression.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        operands = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                start = match.start(1) + lead + node.col_offset
                if start not in place or found[place[start]].stop != match.start(1) + lead + (node.end_col_offset or 0):
                    return None
                operands[node.lineno, node.col_offset] = place[start]
            elif not isinstance(node, ast.BinOp | ast.operator):
                return None
        notes.append(Note(tree, operands, place[match.start(2) + inside[0].start], match.start(), match.end()))
    return notes


def worked(note: Note, values: Mapping[int, Fraction]) -> list[Worked] | None:
    """All nodes, the whole expression last; None where something is divided by zero or an operation is not one of the four."""
    nodes: list[Worked] = []

    def walk(node: ast.expr) -> Fraction | None:
        if not isinstance(node, ast.BinOp):
            value = values[note.operands[node.lineno, node.col_offset]]
            nodes.append(Worked("", value, value, value))
            return value
        left, right = walk(node.left), walk(node.right)
        if left is None or right is None:
            return None
        made = _made(node.op, left, right)
        if made is not None:
            nodes.append(Worked(made[0], made[1], left, right))
            return made[1]
        return None

    return nodes if walk(note.tree) is not None else None


def _made(operation: ast.operator, left: Fraction, right: Fraction) -> tuple[str, Fraction] | None:
    if isinstance(operation, ast.Add):
        return "+", left + right
    if isinstance(operation, ast.Sub):
        return "-", left - right
    if isinstance(operation, ast.Mult):
        return "*", left * right
    if isinstance(operation, ast.Div) and right:
        return "/", left / right
    return None
