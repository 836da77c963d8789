"""Planted exercise pages: exercises and prose laid out as pages of schools, books and forums lay them out.

Input: exercises as (question, solution) and paragraphs of prose, of one language. Output: pages as lists of
blocks, with the exercises that stand in them. Layouts: "inline" (numbered, a marked solution under each question), "example"
(Example 1 / 例1), "end" (numbered questions, then a section of answers with the same numbers), "sections" (two parts that count
from 1, then the answers of both), "key" (the answers are one line of letters; questions need options), "single" (one exercise,
marked, no number), "amid" (exercises of the inline layout between paragraphs of prose). Pages without any exercise: "prose",
"faq" (questions and answers about the prose's subject), "steps" (a numbered procedure), "interview". Frozen before the detector
of src/skyloom/corpus/exercises/documents.py was written; imported by bench/corpus/stem.py and by the tests.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

Exercise = tuple[str, str]

EXERCISE_LAYOUTS = ("inline", "example", "end", "sections", "single", "amid")
PROSE_LAYOUTS = ("prose", "faq", "steps", "interview")

NUMBERS = {
    "en": ("{n}. ", "{n}) ", "({n}) ", "Problem {n}. ", "Question {n}: ", "Exercise {n}. "),
    "zh": ("{n}. ", "{n}．", "{n}、", "（{n}）", "第{n}题 ", "{n}."),
}
MARKS = {
    "en": ("Solution: ", "Answer: ", "Solution. ", "Ans. ", "Solution\n", "**Answer:** "),
    "zh": ("答案：", "解：", "【答案】", "【解析】", "解析：", "答：", "解答："),
}
EXAMPLES = {"en": ("Example {n}. ", "Example {n}: "), "zh": ("例{n} ", "例{n}．", "【例{n}】")}
ANSWERS = {
    "en": ("Answers", "Answer Key", "Solutions", "Answers and Solutions", "ANSWERS"),
    "zh": ("参考答案", "答案", "答案与解析", "参考答案及解析", "【参考答案】"),
}
PARTS = {"en": ("Part {r}", "Section {r}"), "zh": ("{h}、选择题", "{h}、填空题", "{h}、解答题")}
TITLES = {
    "en": ("Practice", "Worksheet 3", "Homework", "Chapter review", "Mock examination"),
    "zh": ("练习", "同步练习", "期中考试", "课后作业", "模拟试卷"),
}
FAQ = {
    "en": ("Q: What does this have to do with {w}?", "Why is {w} mentioned here?", "Q: How do I find out more about {w}?"),
    "zh": ("问：这和“{w}”有什么关系？", "为什么要提到“{w}”？", "问：怎样进一步了解“{w}”？"),
}
ROMAN, HAN = ("I", "II"), ("一", "二")


@dataclass(frozen=True)
class PlantedPage:
    """A page's blocks and the exercises in it, in order, with the texts of question and solution as they stand there."""

    blocks: list[str]
    layout: str
    items: list[Exercise]


def pages(random_: random.Random, lang: str, exercises: Sequence[Exercise], prose: Sequence[str], count: int) -> list[PlantedPage]:
    """`count` pages, layouts in turn; exercises and paragraphs are drawn with replacement. `lang`: "en" or "zh"."""
    layouts = EXERCISE_LAYOUTS + PROSE_LAYOUTS
    return [_page(random_, lang, layouts[k % len(layouts)], exercises, prose) for k in range(count)]


def key_page(random_: random.Random, lang: str, choices: Sequence[tuple[str, str]]) -> PlantedPage:
    """Questions with options, and one line of answers. `choices`: (question with its options, letter)."""
    chosen = random_.sample(list(choices), min(len(choices), random_.randint(4, 10)))
    number = random_.choice(NUMBERS[lang][:3])
    blocks = [random_.choice(TITLES[lang])] + [number.format(n=n) + q for n, (q, _) in enumerate(chosen, 1)]
    letters = [letter for _, letter in chosen]
    if random_.random() < 0.5:
        line = "  ".join(f"{n}. {letter}" for n, letter in enumerate(letters, 1))
    else:
        groups = [(k + 1, letters[k : k + 5]) for k in range(0, len(letters), 5)]
        line = "  ".join(f"{at}-{at + len(g) - 1} {''.join(g)}" if len(g) > 1 else f"{at}. {g[0]}" for at, g in groups)
    return PlantedPage([*blocks, random_.choice(ANSWERS[lang]), line], "key", list(chosen))


def _page(random_: random.Random, lang: str, layout: str, exercises: Sequence[Exercise], prose: Sequence[str]) -> PlantedPage:
    if layout in PROSE_LAYOUTS:
        return PlantedPage(_prose(random_, lang, layout, prose), layout, [])
    items = [random_.choice(exercises) for _ in range(1 if layout == "single" else random_.randint(3, 8))]
    number, mark = random_.choice(NUMBERS[lang]), random_.choice(MARKS[lang])
    blocks: list[str] = [random_.choice(TITLES[lang])] if layout != "single" else []
    if layout == "example":
        number = random_.choice(EXAMPLES[lang])
    if layout in ("inline", "example"):
        for n, (question, solution) in enumerate(items, 1):
            blocks += _joined(random_, number.format(n=n) + question, mark + solution)
    elif layout == "single":
        blocks += _joined(random_, items[0][0], mark + items[0][1])
    elif layout == "amid":
        blocks += [random_.choice(prose) for _ in range(random_.randint(1, 3))]
        for n, (question, solution) in enumerate(items, 1):
            blocks += [number.format(n=n) + question, mark + solution]
        blocks += [random_.choice(prose)]
    elif layout == "end":
        blocks += [number.format(n=n) + q for n, (q, _) in enumerate(items, 1)]
        blocks += [random_.choice(ANSWERS[lang])] + [number.format(n=n) + s for n, (_, s) in enumerate(items, 1)]
    else:
        half = max(1, len(items) // 2)
        parts = (items[:half], items[half:])
        heading = random_.choice(PARTS[lang])
        for r, part in enumerate(parts):
            blocks += [heading.format(r=ROMAN[r], h=HAN[r])] + [number.format(n=n) + q for n, (q, _) in enumerate(part, 1)]
        blocks.append(random_.choice(ANSWERS[lang]))
        for r, part in enumerate(parts):
            blocks += [heading.format(r=ROMAN[r], h=HAN[r])] + [number.format(n=n) + s for n, (_, s) in enumerate(part, 1)]
    return PlantedPage(blocks, layout, items)


def _joined(random_: random.Random, question: str, solution: str) -> list[str]:
    """As two blocks, or as two lines of one."""
    return [question, solution] if random_.random() < 0.6 else [f"{question}\n{solution}"]


def _prose(random_: random.Random, lang: str, layout: str, prose: Sequence[str]) -> list[str]:
    paragraphs = [random_.choice(prose) for _ in range(random_.randint(3, 8))]
    if layout == "faq":
        blocks = []
        for paragraph in paragraphs:
            word = paragraph[:4] if lang == "zh" else " ".join(paragraph.split()[:2])
            answer = {"en": random_.choice(("A: ", "")), "zh": random_.choice(("答：", ""))}[lang]
            blocks += [random_.choice(FAQ[lang]).format(w=word), answer + paragraph]
        return blocks
    if layout == "steps":
        number = random_.choice(NUMBERS[lang][:3])
        return [number.format(n=n) + p for n, p in enumerate(paragraphs, 1)]
    if layout == "interview":
        names = {"en": ("Interviewer: ", "Guest: "), "zh": ("记者：", "嘉宾：")}[lang]
        return [names[n % 2] + p for n, p in enumerate(paragraphs)]
    return paragraphs
