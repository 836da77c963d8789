"""The preset web-en: English words, and every published rule against a readable implementation of the papers' definitions."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.corpus.quality.config import FILTERS, WebConfig
from skyloom.corpus.quality.english import split_words
from skyloom.corpus.quality.english_tables import STOP, SYMBOL, book, classes
from skyloom.corpus.quality.web_en import judge_web_en

PROSE = (
    "The ferry left at six, and by the time the sun stood over the hills we had already passed the second island. Nobody on deck "
    "had slept. My brother kept a hand on the rail as if the boat might forget to carry him. The captain, who had seen worse, told "
    "us that the wind would turn before noon. It did not turn. We ate bread with salt and looked at the birds that followed us."
)


def words_of(text: str) -> list[str]:
    points = np.array([ord(c) for c in text], np.uint32)
    size = len(points) + 2
    starts, ends, hashes = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.uint64)
    count = split_words(points, 0, len(points), book(), starts, ends, hashes, np.empty(size, np.uint8))
    return [text[a:b] for a, b in zip(starts[:count].tolist(), ends[:count].tolist(), strict=True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("He said: “Don't go!”", ["He", "said", ":", "“", "Do", "n't", "go", "!", "”"]),
        ("It cost $5.50 (about 40%).", ["It", "cost", "$", "5.50", "(", "about", "40", "%", ")", "."]),
        ("Mr. Smith's dog weighs 5kg.", ["Mr.", "Smith", "'s", "dog", "weighs", "5", "kg", "."]),
        ("We cannot; they’ll see.", ["We", "can", "not", ";", "they", "’ll", "see", "."]),
        ("See www.example.com/a-b, well-known", ["See", "www.example.com/a-b", ",", "well", "-", "known"]),
        ("mail a.b@c.org... now--then", ["mail", "a.b@c.org", "...", "now", "--", "then"]),
        ("J. R. is from the U.S. at 8am", ["J.", "R.", "is", "from", "the", "U.S.", "at", "8", "am"]),
        ("either/or end.Next a,b 3-4", ["either", "/", "or", "end", ".", "Next", "a", ",", "b", "3", "-", "4"]),
        ("桥很旧。the 桥，", ["桥很旧。the", "桥", "，"]),
        ("", []),
        (" \n\t ", []),
        ("\U0001f600\U0001f600 ok", ["\U0001f600", "\U0001f600", "ok"]),
    ],
)
def test_words_are_cut_as_the_filters_expect(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.one_of(st.sampled_from("abTS019.,'’\"()-/:!@$%+…—的。 \n"), st.characters(codec="utf-8")), max_size=40))
def test_words_are_the_text_without_its_white_space(text: str) -> None:
    assert "".join(words_of(text)) == "".join(text.split())


def readable(text: str, config: WebConfig) -> tuple[str | None, str]:
    """The first rule that fails, and the text that is left."""
    if not text:
        return "empty", text
    if "gopher-repetition" in config.filters and (reason := readable_repetition(text)):
        return reason, text
    if "gopher-quality" in config.filters and (reason := readable_quality(text)):
        return reason, text
    left = text
    if "c4" in config.filters:
        reason, left = readable_c4(text, config.closing_marks)
        if reason:
            return reason, text
    if "fineweb" in config.filters and (reason := readable_fineweb(left)):
        return reason, text
    return None, left


def repeats(items: list[str]) -> tuple[int, int]:
    again = [item for k, item in enumerate(items) if item in items[:k]]
    return len(again), sum(map(len, again))


def readable_repetition(text: str) -> str | None:
    paragraphs, lines, words = re.split(r"\n{2,}", text.strip()), re.split(r"\n+", text), words_of(text)
    for name, items in (("paragraphs", paragraphs), ("lines", lines)):
        count, characters = repeats(items)
        if count / len(items) > 0.3:
            return f"repeated {name}"
        if characters / len(text) > 0.2:
            return f"characters in repeated {name}"
    for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16)):
        grams = Counter(" ".join(words[k : k + n]) for k in range(len(words) - n + 1))
        if grams:
            gram, count = grams.most_common(1)[0]
            if len(gram) * count / len(text) > limit:
                return f"top {n}-gram"
    for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1)):
        seen, k, characters = set(), 0, 0
        while k < len(words) - n + 1:
            gram = tuple(words[k : k + n])
            characters += len("".join(gram)) if gram in seen else 0
            k += n if gram in seen else 1
            seen.add(gram)
        if characters / len(text) > limit:
            return f"repeated {n}-grams"
    return None


def readable_quality(text: str) -> str | None:
    words, lines, kinds = words_of(text), text.splitlines(), classes()
    plain = [w for w in words if any(not kinds[ord(c)] & SYMBOL for c in w)]
    if len(plain) < 50:
        return "too few words"
    mean = sum(map(len, plain)) / len(plain)
    checks = [
        (mean < 3, "words too short"),
        (mean > 10, "words too long"),
        (text.count("#") / len(words) > 0.1, "too many hashes"),
        ((text.count("...") + text.count("…")) / len(words) > 0.1, "too many ellipses"),
        (sum(line.lstrip().startswith(("•", "-")) for line in lines) / len(lines) > 0.9, "too many bullets"),
        (sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines) > 0.3, "lines cut off"),
        (sum(any(c.isalpha() for c in w) for w in words) / len(words) < 0.8, "too few words with letters"),
        (len({"the", "be", "to", "of", "and", "that", "have", "with"} & set(words)) < 2, "too few stop words"),
    ]
    return next((reason for failed, reason in checks if failed), None)


def readable_c4(text: str, closing: bool) -> tuple[str | None, str]:
    kept, sentences = [], 0
    for line in map(str.strip, text.splitlines()):
        chunks = line.split()
        if any(len(c) > 1000 for c in chunks):
            continue
        line = re.sub(r"\[[0-9]*\]|\[edit\]|\[citation needed\]", "", line)
        if closing and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
            continue
        small = re.sub("[A-Z]", lambda m: m.group().lower(), line)
        if len(chunks) < 3:
            continue
        if "lorem ipsum" in small:
            return "lorem ipsum", text
        if "javascript" in small:
            continue
        if "{" in line:
            return "curly bracket", text
        if re.search("terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies", small):
            continue
        kept.append(line)
        sentences += readable_sentences(line)
    return ("too few sentences" if sentences < 5 else None), "\n".join(kept).strip()


def readable_sentences(line: str) -> int:
    import unicodedata

    words, kinds, found, closed = words_of(line), classes(), 0, False
    for k, word in enumerate(words):
        if k == 0:
            found = 1
        if len(word) == 1 and kinds[ord(word)] & STOP:
            closed = True
        elif closed and not all(unicodedata.category(c)[0] == "P" for c in word):
            found, closed = found + 1, False
    return found


def readable_fineweb(text: str) -> str | None:
    lines, kinds = [line for line in text.split("\n") if line.strip()], classes()
    if not lines:
        return "empty"
    checks = [
        (sum(bool(kinds[ord(line[-1])] & STOP) for line in lines) / len(lines) < 0.12, "lines without closing marks"),
        (sum(len(line) <= 30 for line in lines) / len(lines) > 0.67, "short lines"),
        (repeats(lines)[1] / len(text.replace("\n", "")) > 0.01, "repeated characters"),
        (text.count("\n") / len(words_of(text)) > 0.3, "a list"),
    ]
    return next((reason for failed, reason in checks if failed), None)


SENTENCES = [s + "." for s in PROSE.split(". ")] + ["桥很旧，河很宽。", "We use cookies on this page.", "[1] It is old [citation needed] indeed.", "- an item of a list", "More...", "# # #", "ok", "Enable JavaScript to see it.", "Lorem ipsum dolor sit amet.", "if (a) { b }", "  ", "x" * 1001]  # fmt: skip


@pytest.mark.parametrize("filters", [FILTERS, *((name,) for name in FILTERS)])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_filter_says_what_its_definition_says(filters: tuple[str, ...], data: st.DataObject) -> None:
    config = WebConfig(filters=filters, closing_marks=data.draw(st.booleans()))
    odd = data.draw(st.lists(st.sampled_from(SENTENCES[-12:]), max_size=3))
    some = data.draw(st.lists(st.sampled_from(SENTENCES[:-12]), max_size=14))
    order = data.draw(st.permutations(some + odd))
    marks = data.draw(
        st.lists(st.sampled_from([" ", " ", "\n", "\n\n", "\r\n", "\u2028"]), min_size=len(order), max_size=len(order))
    )
    text = "".join(part + mark for part, mark in zip(order, marks, strict=True))
    found = judge_web_en(pa.array([text, PROSE, text]), config)
    reason, left = readable(text, config)
    assert found.reason.to_pylist()[0::2] == [reason] * 2
    assert found.text.to_pylist() == [left, readable(PROSE, config)[1], left]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet=st.sampled_from("ab .\n的。\U0001f600[]1é{"), max_size=200), max_size=4))
def test_no_text_of_any_script_breaks_it(texts: list[str]) -> None:
    found = judge_web_en(pa.array(texts, pa.string()), WebConfig())
    assert [(r, t) for r, t in zip(found.reason.to_pylist(), found.text.to_pylist(), strict=True)] == [
        readable(text, WebConfig()) for text in texts
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, None),
        ("", "empty"),
        ("\n\n".join([PROSE[:60]] * 4), "repeated paragraphs"),
        ("\n".join(["Home page of it"] * 5 + [PROSE]), "repeated lines"),
        ("buy now " * 40, "top 2-gram"),
        (PROSE + " " + PROSE, "repeated 5-grams"),
        (PROSE[:200], "too few words"),
        (" ".join(f"{w} {k + 1000}" for k, w in enumerate(PROSE.split())), "too few words with letters"),
        (PROSE.replace(" The ", " {The} "), "curly bracket"),
        ("\n".join(PROSE.split(" ")), "too few sentences"),
    ],
)
def test_reasons(text: str, reason: str | None) -> None:
    assert judge_web_en(pa.array([text]), WebConfig()).reason.to_pylist() == [reason]


def test_null_counts_as_empty_and_slices_are_read_as_they_stand() -> None:
    column = pa.array([PROSE, None, PROSE]).slice(1, 2)
    assert judge_web_en(column, WebConfig()).reason.to_pylist() == ["empty", None]
    assert judge_web_en(pa.array([], pa.string()), WebConfig()).text.to_pylist() == []
