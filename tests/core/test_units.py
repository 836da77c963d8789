"""The compiled kernels against the readable reference, and what counts as a unit."""

import itertools
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skyloom.core import units as kernels
from skyloom.core.units import count_units, hash_units, ngrams, units, utf8_buffers

# Characters that Python's own Unicode tables know: Arrow's may be newer and fold more of them.
CHARACTERS = st.one_of(
    st.sampled_from("aZ09_ \n.,-é中文，。字漢かカー한글😀👩\u200d\u0301\u3000ßİΣсд"),
    st.characters(blacklist_categories=("Cs", "Cn", "Co")),
)
TEXTS = st.text(CHARACTERS, max_size=40)
COLUMNS = st.lists(st.one_of(st.none(), TEXTS), max_size=12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The quick_brown fox, twice!", ["the", "quick_brown", "fox", "twice"]),
        ("我喜欢Python3，很好。", ["我", "喜", "欢", "python3", "很", "好"]),
        ("模型GPT-4有128k", ["模", "型", "gpt", "4", "有", "128k"]),
        ("ひらカナ한국", ["ひ", "ら", "カ", "ナ", "한", "국"]),
        ("cafe\u0301 CAFÉ", ["café", "café"]),
        ("👩\u200d🚀🎉 …——", []),
        ("İstanbul ΑΣ", ["istanbul", "ασ"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("", []),
    ],
)
def test_what_a_unit_is(text, expected):
    assert units(text) == expected
    assert count_units(pa.array([text])).tolist() == [len(expected)]


def test_chinese_does_not_collapse_into_one_word():
    assert len(units("今天天气很好我们去公园")) == 11
    assert len(units("the weather is fine")) == 4


@settings(deadline=None)
@given(COLUMNS)
@example(["ΑΣ", "İstanbul", "ǅ", None, "e\u0301a"])
def test_counts_and_hashes_agree_with_the_reference(column):
    hashed = hash_units(pa.array(column, pa.string()))
    expected = [units(text or "") for text in column]
    assert hashed.counts.tolist() == [len(u) for u in expected]
    names = [u for row in expected for u in row]
    # The hash is a function of the unit and, in effect, one to one.
    pairs = set(zip(names, hashed.hashes.tolist(), strict=True))
    assert len(pairs) == len(set(names)) == len({h for _, h in pairs})
    assert count_units(pa.array(column, pa.string())).tolist() == [len(units(t or "", fold=False)) for t in column]


@settings(deadline=None)
@given(COLUMNS, st.integers(0, 12), st.integers(0, 12), st.sampled_from([pa.string(), pa.large_string()]))
def test_slices_and_chunks_change_nothing(column, start, cut, kind):
    whole = pa.array(column, kind)
    plain = hash_units(pa.array(column[start:], kind))
    sliced = hash_units(whole.slice(start))
    chunked = hash_units(pa.chunked_array([whole.slice(start, cut), whole.slice(min(start + cut, len(whole)))], kind))
    for other in (sliced, chunked):
        assert other.hashes.tolist() == plain.hashes.tolist()
        assert other.offsets.tolist() == plain.offsets.tolist()


@settings(deadline=None)
@given(COLUMNS, st.integers(0, 12))
def test_buffers_give_back_the_bytes(column, start):
    data, offsets = utf8_buffers(pa.array(column, pa.string()).slice(start))
    assert offsets.dtype == np.int64
    found = [bytes(data[a:b]).decode() for a, b in itertools.pairwise(offsets)]
    assert found == [text or "" for text in column[start:]]


def test_no_rows():
    for empty in (pa.array([], pa.string()), pa.chunked_array([], pa.string())):
        assert hash_units(empty).hashes.tolist() == []
        assert hash_units(empty).counts.tolist() == []
        assert ngrams(hash_units(empty), 3).counts.tolist() == []


@settings(deadline=None)
@given(TEXTS)
def test_composed_and_decomposed_text_are_the_same_text(text):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    one, two = (hash_units(pa.array([form])).hashes.tolist() for form in forms)
    assert one == two


def test_case_is_folded_only_on_request():
    column = pa.array(["Data DATA data"])
    assert len(set(hash_units(column).hashes.tolist())) == 1
    assert len(set(hash_units(column, fold=False).hashes.tolist())) == 3


@settings(deadline=None)
@given(COLUMNS, st.integers(1, 5))
def test_ngrams_are_the_windows_of_the_units(column, n):
    hashed = hash_units(pa.array(column, pa.string()))
    grams = ngrams(hashed, n)
    rows = [units(text or "") for text in column]
    windows = [tuple(u[i : i + n]) for u in rows for i in range(len(u) - n + 1)]
    assert grams.counts.tolist() == [max(len(u) - n + 1, 0) for u in rows]
    pairs = set(zip(windows, grams.hashes.tolist(), strict=True))
    assert len(pairs) == len(set(windows)) == len({h for _, h in pairs})


def test_order_matters_in_an_ngram():
    a, b = (ngrams(hash_units(pa.array([t])), 2).hashes.tolist() for t in ("人 工", "工 人"))
    assert a != b


def fnv(unit: str) -> int:
    """FNV-1a of the bytes and the finalizer of SplitMix64, in plain integers."""
    mask, state = 2**64 - 1, 0xCBF29CE484222325
    for byte in unit.encode():
        state = (state ^ byte) * 0x100000001B3 & mask
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
    state = (state ^ state >> 27) * 0x94D049BB133111EB & mask
    return state ^ state >> 31


@settings(deadline=None)
@given(COLUMNS)
def test_hashes_are_the_documented_ones(column):
    """Stored signatures rest on these values: they must not change with a version or a machine."""
    hashed = hash_units(pa.array(column, pa.string())).hashes.tolist()
    assert hashed == [fnv(u) for text in column for u in units(text or "")]
    assert f"{fnv('hello'):016x}" == "16fe05a1c75bcd0f"


def by_arrow(column: pa.Array) -> tuple[list[int], np.ndarray]:
    """Offsets and hashes of a column that Arrow composed and folded as a whole, which the scan does only where it must."""
    data, offsets = utf8_buffers(pc.utf8_lower(pc.utf8_normalize(column, form="NFC")))
    hashes = np.zeros(len(data) + len(column) + 1, np.uint64)
    bounds = kernels._hash(data, offsets, kernels.unit_classes(), kernels._identity(), hashes)
    return bounds.tolist(), hashes[: bounds[-1]]


def test_every_code_point_alone_and_within_a_word_is_what_arrow_makes_of_it():
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    column = pa.array([*points, *(f"a{c}b" for c in points)])
    found, (offsets, hashes) = hash_units(column), by_arrow(column)
    assert found.offsets.tolist() == offsets and np.array_equal(found.hashes, hashes)
    plain = hash_units(column, fold=False)
    assert np.array_equal(plain.hashes, hash_units(pc.utf8_normalize(column, form="NFC"), fold=False).hashes)
    assert np.array_equal(count_units(column), plain.counts)


ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
MARKED = st.text(st.sampled_from("aeoAİ\u0301\u0323\u0300\u0345각ᄀ\u1161\u11a8漢\uf900ﬁ\u0e33ΑΣ"), max_size=12)


@settings(deadline=None)
@given(st.lists(st.one_of(ANY, MARKED, st.none()), max_size=8))
@example(["İ\u0300", "e\u0301", None])
def test_any_text_is_what_arrow_makes_of_it(texts):
    column = pa.array(texts, pa.string())
    found, (offsets, hashes) = hash_units(column), by_arrow(column)
    assert found.offsets.tolist() == offsets and found.hashes.tolist() == hashes.tolist()


@pytest.mark.parametrize(
    "broken", [b"a\xff", b"\xe4\xb8", b"\xed\xa0\x80", b"\xe0\x80\x80", b"\xf8abcd", b"\xf4\x90\x80\x80", b"\xc0\xaf"]
)
def test_bytes_that_are_no_text_are_refused(broken):
    offsets = np.array([0, 2, 2 + len(broken)], np.int64)
    column = pa.LargeStringArray.from_buffers(2, pa.py_buffer(offsets), pa.py_buffer(b"ok" + broken))
    for judge in (hash_units, count_units):
        with pytest.raises(pa.ArrowInvalid, match="UTF-8"):
            judge(column)
