"""Prompts are pinned to the letter, and their boundaries are clean in both languages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError
from skyloom.suites import LABELS, SCORINGS, Item, exercise_text, prompt

ENGLISH = Item("e", "en", "sum", "What is 2 + 3?", ("4 km", "5 km", "6 km"), 1)
ENGLISH_SHOT = Item("f", "en", "sum", "What is 1 + 1?", ("2 km", "3 km"), 0)
CHINESE = Item("c", "zh-Hans", "sum", "2 + 3等于多少？", ("4米", "5米", "6米"), 1)
CHINESE_SHOT = Item("d", "zh-Hans", "sum", "1 + 1等于多少？", ("2米", "3米"), 0)

TEXTS = st.text(
    st.sampled_from("ab 12中文数学。？…😀é\u3000"), min_size=1, max_size=20
).filter(lambda t: t == t.strip())  # fmt: skip


def test_letters_in_english():
    made = prompt(ENGLISH, [ENGLISH_SHOT])
    assert made.context == (
        "Question: What is 1 + 1?\nA. 2 km\nB. 3 km\nAnswer: A\n\nQuestion: What is 2 + 3?\nA. 4 km\nB. 5 km\nC. 6 km\nAnswer:"
    )
    assert made.continuations == (" A", " B", " C")
    assert made.answer == 1


def test_letters_in_chinese():
    made = prompt(CHINESE, [CHINESE_SHOT])
    assert made.context == (
        "题目：1 + 1等于多少？\nA. 2米\nB. 3米\n答案：A\n\n题目：2 + 3等于多少？\nA. 4米\nB. 5米\nC. 6米\n答案："
    )
    assert made.continuations == ("A", "B", "C")


def test_full_text_in_both_languages():
    made = prompt(ENGLISH, [ENGLISH_SHOT], "text")
    assert made.context == "Question: What is 1 + 1?\nAnswer: 2 km\n\nQuestion: What is 2 + 3?\nAnswer:"
    assert made.continuations == (" 4 km", " 5 km", " 6 km")
    made = prompt(CHINESE, [CHINESE_SHOT], "text")
    assert made.context == "题目：1 + 1等于多少？\n答案：2米\n\n题目：2 + 3等于多少？\n答案："
    assert made.continuations == ("4米", "5米", "6米")


def test_no_shots():
    assert prompt(CHINESE, scoring="text").context == "题目：2 + 3等于多少？\n答案："


def test_exercise_text():
    assert exercise_text("en", "Q?", "S.", "5 km") == "Question: Q?\nSolution: S.\nAnswer: 5 km"
    assert exercise_text("zh-Hans", "问？", "解。", "5米") == "题目：问？\n解答：解。\n答案：5米"


@settings(deadline=None)
@given(st.sampled_from(list(LABELS)), TEXTS, st.lists(TEXTS, min_size=2, max_size=5, unique=True), st.data())
def test_boundaries_are_clean(lang, question, choices, data):
    item = Item("i", lang, "f", question, tuple(choices), data.draw(st.integers(0, len(choices) - 1)))
    for scoring in SCORINGS:
        made = prompt(item, [item], scoring)
        assert made.context == made.context.rstrip(), "a context never ends in white space"
        assert len(set(made.continuations)) == len(choices)
        for text in made.continuations:
            assert text.startswith(" ") == (lang == "en")
            assert text.strip() == text[lang == "en" :]
        right = made.continuations[made.answer]
        shot, _, rest = made.context.partition("\n\n")
        assert rest and shot == prompt(item, scoring=scoring).context + right, "an example is the item with its right answer"


def test_mistakes_are_told():
    with pytest.raises(ConfigError, match=r"scoring 'leter'.*letter, text"):
        prompt(ENGLISH, scoring="leter")
    with pytest.raises(ConfigError, match=r"example d\b.*zh-Hans.*item e\b.*\ben\b"):
        prompt(ENGLISH, [CHINESE_SHOT])
    with pytest.raises(ConfigError, match=r"prompts.*'fr'"):
        prompt(Item("x", "fr", "f", "q", ("a", "b"), 0))
