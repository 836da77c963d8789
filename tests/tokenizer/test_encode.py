"""Our encoder gives SentencePiece's ids for any model it takes and any text, in any cut of the column and number of threads."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.tokenizer import encode
from skyloom.tokenizer.encode import Encoder, texts_column
from skyloom.tokenizer.pieces import BYTES, TYPE, base_model, read_model
from skyloom.tokenizer.probes import probes
from tests.tokenizer.texts import CHINESE, ENGLISH


def model_of(pieces: dict[str, float], *, prefix: bool = False) -> bytes:
    """A BPE model with these pieces and scores."""
    made = read_model(base_model(b"", []))
    made.trainer_spec.model_type, made.trainer_spec.byte_fallback = 2, True
    made.trainer_spec.bos_id, made.trainer_spec.eos_id, made.trainer_spec.unk_id, made.trainer_spec.pad_id = 1, 2, 0, -1
    normal = made.normalizer_spec
    normal.name, normal.add_dummy_prefix, normal.remove_extra_whitespaces, normal.escape_whitespaces = (
        "identity",
        prefix,
        False,
        True,
    )
    for piece, score in pieces.items():
        made.pieces.add(piece=piece, score=score, type=TYPE.NORMAL)
    made.trainer_spec.vocab_size = len(made.pieces)
    return made.SerializeToString()


def both(model: bytes, texts: list[str], threads: int = 1) -> tuple[list[list[int]], list[list[int]]]:
    encoder = Encoder.of(read_model(model))
    assert encoder is not None
    ids, offsets = encoder.encode(texts_column(texts), threads=threads)
    ours = [ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    return ours, sentencepiece.SentencePieceProcessor(model_proto=model).encode(texts)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.dictionaries(st.text("ab▁人民", min_size=1, max_size=5), st.integers(-6, 0).map(float), max_size=40),
    texts=st.lists(st.text("ab 人民c", max_size=40), max_size=8),
    prefix=st.booleans(),
)
def test_any_model_with_few_characters(pieces, texts, prefix):
    """Equal scores, pieces that no merge leads to, characters that are no piece: all as SentencePiece has it."""
    ours, theirs = both(model_of(pieces, prefix=prefix), texts)
    assert ours == theirs


def test_long_chunks_are_joined_as_short_ones_are():
    pieces = {
        "a": 0.0,
        "aa": -1.0,
        "aaaa": -2.0,
        "aaa": -3.0,
        "-": -4.0,
        "--": -4.0,
        "----": -4.0,
        "哈": -5.0,
        "哈哈": -6.0,
        "哈a": -7.0,
    }
    draw = random.Random(3)
    texts = [c * n for c in "a-哈" for n in (1, 2, 3, 47, 48, 49, 50, 97, 1000, 5000, 20_001)]
    texts += ["".join(draw.choice("aaaa-哈") for _ in range(n)) for n in range(30, 200)]
    ours, theirs = both(model_of(pieces), texts)
    assert ours == theirs


def test_a_megabyte_of_one_character_takes_no_time_that_grows_with_its_square(tokenizer):
    """Seconds at n log n; hours at n squared, so that no clock is needed."""
    for text in ("-" * 1_000_000, "人民" * 300_000):
        ids, _ = tokenizer.encode_column(pa.array([text]))
        assert tokenizer.decode(ids) == text


def test_probes_in_any_cut_and_with_any_threads(tokenizer, monkeypatch):
    texts = probes([tokenizer.pieces[i] for i in np.flatnonzero(tokenizer.is_text)], 3000, seed=5)
    expected = [tokenizer.encode(t) for t in texts]
    monkeypatch.setattr(encode, "SLICE", 1 << 12)
    column = pa.chunked_array([pa.array(texts[:100], pa.string()), pa.array(texts[100:], pa.string())])
    for threads in (1, 3):
        ids, offsets = tokenizer.encode_column(column, threads=threads)
        assert [ids[a:b].tolist() for a, b in itertools.pairwise(offsets)] == expected
    part = pa.array([*texts, None], pa.large_string()).slice(7, 50)
    ids, offsets = tokenizer.encode_column(part)
    assert [ids[a:b].tolist() for a, b in itertools.pairwise(offsets)] == expected[7:57]


def test_bytes_that_are_no_utf8_are_read_as_sentencepiece_reads_them(tokenizer):
    broken = [
        b"ab\xff\xfec",
        b"\xe4\xba",
        b"\xe4\xbaa",
        b"\xf0\x9f\x99",
        b"\xed\xa0\x80x",
        b"\xc0\x80",
        b"\xf5\x80\x80\x80",
        b"\x80" * 9,
        "人".encode() + b"\xe4",
    ]
    offsets = np.concatenate([[0], np.cumsum([len(b) for b in broken])]).astype(np.int64)
    column = pa.LargeStringArray.from_buffers(len(broken), pa.py_buffer(offsets), pa.py_buffer(b"".join(broken)))
    ids, ends = tokenizer.encode_column(column)
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    assert [ids[a:b].tolist() for a, b in itertools.pairwise(ends)] == [processor.encode(b) for b in broken]


def test_models_that_it_does_not_know_are_left_to_sentencepiece():
    parsed = read_model(model_of({"a": 0.0, "aa": -1.0}))
    assert Encoder.of(parsed) is not None
    for change in ("normalisation", "user-defined", "unigram", "suffix", "no bytes"):
        other = read_model(parsed.SerializeToString())
        if change == "normalisation":
            other.normalizer_spec.precompiled_charsmap = b"x"
        elif change == "user-defined":
            other.pieces.add(piece="<eoh>", score=0.0, type=TYPE.USER_DEFINED)
        elif change == "unigram":
            other.trainer_spec.model_type = 1
        elif change == "no bytes":
            del other.pieces[3:259]
        else:
            other.trainer_spec.treat_whitespace_as_suffix = True
        assert Encoder.of(other) is None


@pytest.mark.parametrize("text", [ENGLISH[0], CHINESE[0], "", " ", "\ud800中"])
def test_single_texts(tokenizer, text):
    (ids,) = tokenizer.encode_batch([text])
    assert ids.tolist() == tokenizer.encode(text)
    assert len(BYTES) == int(tokenizer.is_byte.sum())
