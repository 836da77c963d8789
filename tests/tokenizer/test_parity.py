"""SentencePiece, tokenizer.json and transformers give the same ids; text comes back."""

from __future__ import annotations

import random
import unicodedata

import pyarrow as pa
import pytest
import tokenizers
import transformers
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skyloom.tokenizer.pieces import RESERVED, SPECIAL
from tests.tokenizer.texts import CHINESE, CODE, ENGLISH

PIECES = [
    *(" ", "  ", "   ", "    ", "\t", "\n", "\n\n", "\r\n", "\u200b", "\u200d", "\ufeff", "\x00", "\x07", "\x7f"),
    *("0", "42", "３", "１２", "，", "。", "“", "”", "（", "！", "　", "Ａ", "ｂ", "é", "e\u0301", "ñ", "…", "——"),
    *("🙂", "👩\u200d👩\u200d👧", "🇨🇳", "ﷺ", "龘", "𠮷", "한국", "ひらがな", "Привет"),
    *(
        "---",
        "====",
        "aaaa",
        "aaaaa",
        "<0x0A>",
        "< s >",
        "中",
        "人民",
        "人民政府",
        "the",
        " the",
        "ing",
        "def ",
        "x_y",
        "\\",
        "'",
        '"',
    ),
]


def fuzzed(number: int) -> list[str]:
    draw = random.Random(7)
    prose = [*ENGLISH, *CHINESE, *CODE]
    texts = []
    for _ in range(number):
        parts = []
        for _ in range(draw.randint(0, 12)):
            if draw.random() < 0.5:
                parts.append(draw.choice(PIECES))
            else:
                line = draw.choice(prose)
                start = draw.randrange(len(line))
                parts.append(line[start : start + draw.randint(1, 20)])
        texts.append("".join(parts))
    return texts


@pytest.fixture(scope="module")
def twin(folder):
    return tokenizers.Tokenizer.from_file(str(folder.path("tokenizer.json")))


def test_ids_are_the_same_in_all_three_libraries(folder, tokenizer, twin):
    auto = transformers.AutoTokenizer.from_pretrained(folder.root)
    texts = fuzzed(3500)
    ours = [ids.tolist() for ids in tokenizer.encode_batch(texts, threads=2)]
    assert [e.ids for e in twin.encode_batch(texts, add_special_tokens=False)] == ours
    assert auto(texts, add_special_tokens=False)["input_ids"] == ours
    assert [auto.decode(ids) for ids in ours[:300]] == texts[:300]
    assert sum(len(ids) for ids in ours) > 50_000, "the comparison must not be about empty texts"


def test_llama_cpp_is_told_that_no_space_is_put_in_front(folder):
    """Its converter takes one for granted where the folder does not say: then nearly every text gets other ids."""
    assert folder.read_json("tokenizer_config.json")["add_prefix_space"] is False


def test_transformers_knows_the_special_tokens(folder, tokenizer):
    auto = transformers.AutoTokenizer.from_pretrained(folder.root)
    assert (auto.unk_token_id, auto.bos_token_id, auto.eos_token_id, auto.pad_token_id) == (
        tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id,
    )  # fmt: skip
    assert len(auto) == tokenizer.vocab_size
    assert auto("你好 hello")["input_ids"] == [tokenizer.bos_id, *tokenizer.encode("你好 hello")]
    user = tokenizer.pieces.index("<|user|>")
    assert auto.convert_tokens_to_ids("<|user|>") == user
    page = "a page that says <|user|> 你好"
    assert user not in tokenizer.encode(page), "text must not be able to speak as a user"
    assert user in auto(page)["input_ids"], "transformers matches specials in text, which chat templates rely on"


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_comes_back_and_formats_agree(tokenizer, twin, text):
    assume(not any(special in text for special in (*SPECIAL, *RESERVED)))  # see the test above
    ids = tokenizer.encode(text)
    assert twin.encode(text, add_special_tokens=False).ids == ids
    assert tokenizer.decode(ids) == text.replace("\u2581", " ")  # the one exception that the docstring states


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.sampled_from(PIECES + CHINESE + ENGLISH), max_size=12))
def test_round_trip_of_mixed_text(tokenizer, parts):
    text = "".join(parts)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=100, deadline=None)
@given(left=st.sampled_from(ENGLISH + CHINESE), right=st.sampled_from(ENGLISH + CHINESE))
def test_ids_do_not_depend_on_where_a_line_was_cut(tokenizer, left, right):
    """No space is put in front: lines encoded alone are the lines of the text."""
    newline = tokenizer.encode("\n")
    assert tokenizer.encode(left + "\n" + right) == tokenizer.encode(left) + newline + tokenizer.encode(right)


def test_lone_surrogates_become_the_replacement_character(tokenizer):
    assert tokenizer.decode(tokenizer.encode("中\ud800b")) == "中\ufffdb"


def test_digits_stay_apart(tokenizer):
    for text in ("2023", "３１４", "a1b2", "共1234人"):
        pieces = [piece for piece, _, _ in tokenizer.show(text)]
        digits = [p for p in pieces if any(unicodedata.category(c) == "Nd" for c in p if not p.startswith("<0x"))]
        assert all(len(p) == 1 for p in digits)
    assert len(tokenizer.encode("20231123")) == 8


def test_columns_equal_single_texts(tokenizer):
    texts = [*fuzzed(200), "", None]
    column = pa.chunked_array([pa.array(texts[:50]), pa.array(texts[50:])])
    for threads in (1, 3):
        ids, offsets = tokenizer.encode_column(column, threads=threads)
        assert ids.dtype == "int32" and offsets.dtype == "int64" and len(offsets) == len(texts) + 1
        for row, text in enumerate(texts):
            assert ids[offsets[row] : offsets[row + 1]].tolist() == tokenizer.encode(text or "")
    ids, offsets = tokenizer.encode_column(pa.array([], pa.string()))
    assert len(ids) == 0 and offsets.tolist() == [0]
