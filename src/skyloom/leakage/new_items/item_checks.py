"""Which answers of a language model are new items, and why the others are none.

Input: the text of an answer. Output: question and answer, or a reason that can be counted. A model wraps its JSON in a code fence,
in thoughts or in a sentence; that is taken off. Whether an answer is right is not checked.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from skyloom.core.json_lines import json_object
from skyloom.leakage.benchmark_sets import language_of
from skyloom.leakage.new_items.near_items import KnownItems

NO_JSON = "no JSON object"
NO_QUESTION = "no question in it"
NO_ANSWER = "no answer in it"
NOT_UNICODE = "not Unicode"
OTHER_LANGUAGE = "another language"
COPY = "a copy of a benchmark item"
NEAR_COPY = "nearly a benchmark item"
REPEAT = "a repeat of an earlier answer"
NEAR_REPEAT = "nearly an earlier answer"

_THOUGHTS = re.compile(r"^\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)


class WrittenItem(NamedTuple):
    """An item that a model wrote; `answer` is empty where only a question was asked for."""

    question: str
    answer: str


class ItemChecks:
    """The checks, with what may not come again. `known`: questions of the benchmark."""

    def __init__(self, known: KnownItems, *, question_only: bool) -> None:
        self._known, self._question_only = known, question_only
        self._written = KnownItems([])

    def item(self, text: str, lang: str) -> WrittenItem | str:
        """The item that a model wrote, which from now on may not come again; or the reason why it is none."""
        row = _object_in(text)
        if row is None:
            return NO_JSON
        found = WrittenItem(_text(row.get("question")), "" if self._question_only else _text(row.get("answer")))
        if not found.question:
            return NO_QUESTION
        if not found.answer and not self._question_only:
            return NO_ANSWER
        why = self._refused(found, lang)
        if why:
            return why
        self._written.add(found.question)
        return found

    def _refused(self, found: WrittenItem, lang: str) -> str:
        try:
            "".join(found).encode()
        except UnicodeEncodeError:
            return NOT_UNICODE
        if language_of(found.question) != lang:
            return OTHER_LANGUAGE
        reasons = (
            (self._known.copied, COPY),
            (self._written.copied, REPEAT),
            (self._known.nearly, NEAR_COPY),
            (self._written.nearly, NEAR_REPEAT),
        )
        return next((reason for holds, reason in reasons if holds(found.question)), "")


def _object_in(text: str) -> Mapping[str, object] | None:
    """The JSON object of an answer."""
    text = _THOUGHTS.sub("", text)
    row = json_object(text[text.find("{") : text.rfind("}") + 1])
    return None if isinstance(row, str) else row


def _text(value: object) -> str:
    """A text or a number as text; "" for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return json.dumps(value) if isinstance(value, (int, float)) else ""
