"""What a language model is asked in order to write a new item of a benchmark, in English or Chinese.

Input: some items of the benchmark as examples. Output: the prompt. It is a part of the record of a reference set, because another
prompt gives another set; `EXAMPLES` marks where the examples stand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from skyloom.leakage.benchmark_sets import BenchmarkItem

EXAMPLES = "{examples}"

_PROMPTS = {
    "en": (
        "Below are some items of a test, one JSON object a line. Write one new item in English that could stand in the same test: "
        "the same style, length and difficulty, and every field in the same form. Invent another situation with other names and "
        "numbers; do not copy, translate or rephrase an example.{check}\n"
        "Reply with one JSON object with the fields {fields}, and nothing else.\n\n{examples}"
    ),
    "zh": (
        "下面是一份试卷中的几道题，每行一个 JSON 对象。请用中文写一道新题，使它可以放进同一份试卷："
        "风格、长度、难度相同，每个字段的写法也相同。请另设情境，换用别的人名和数字；不要照抄、翻译或改写例题。{check}\n"
        "只回复一个 JSON 对象，字段为 {fields}，不要写任何别的内容。\n\n{examples}"
    ),
}
_CHECK = {"en": " The answer must be right.", "zh": "答案必须正确。"}
_FIELDS = {True: ("question",), False: ("question", "answer")}


def prompt_form(lang: str, *, question_only: bool) -> str:
    """The prompt in a language, "en" or "zh", with EXAMPLES where the examples go."""
    joined = {"en": " and ", "zh": " 和 "}[lang].join(f'"{name}"' for name in _FIELDS[question_only])
    check = "" if question_only else _CHECK[lang]
    return _PROMPTS[lang].format(check=check, fields=joined, examples=EXAMPLES)


def item_prompt(lang: str, examples: Sequence[BenchmarkItem], *, question_only: bool) -> str:
    """The prompt with its examples."""
    rows = [{name: getattr(item, name) for name in _FIELDS[question_only]} for item in examples]
    shown = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return prompt_form(lang, question_only=question_only).replace(EXAMPLES, shown)
