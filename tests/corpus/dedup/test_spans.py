"""Repeated lines and runs against plain Python, in memory and in shards."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.core.units import units
from skyloom.corpus.dedup.budget import PROGRAM
from skyloom.corpus.dedup.config import SpanConfig
from skyloom.corpus.dedup.sketch import Columns
from skyloom.corpus.dedup.spans import Spans, places, repeated_lines, repeated_runs, seeds, without_spans
from skyloom.corpus.dedup.spans_shards import repeated_spans

SHORT = SpanConfig(run=8, line_units=2)
WORDS = st.lists(st.sampled_from(["a", "b", "山", "水", "c d", "、", "\n"]), max_size=40).map(" ".join)


def plain_runs(texts: list[str], run: int) -> list[set[int]]:
    """For each text the units that go: covered by a run that stood before, and by none that is the first of several."""
    plain = [units(t) for t in texts]
    grams = [(tuple(p[k : k + run]), t, k) for t, p in enumerate(plain) for k in range(len(p) - run + 1)]
    counts, seen = Counter(g for g, _, _ in grams), set()
    gone: list[set[int]] = [set() for _ in texts]
    stay: list[set[int]] = [set() for _ in texts]
    for gram, text, place in grams:
        if counts[gram] > 1:
            (gone if gram in seen else stay)[text] |= set(range(place, place + run))
            seen.add(gram)
    return [g - s for g, s in zip(gone, stay, strict=True)]


def gone_units(texts: list[str], spans: Spans) -> list[set[int]]:
    found, result = places(pa.array(texts, pa.string())), [set[int]() for _ in texts]
    for row, start, stop in zip(spans.row.tolist(), spans.start.tolist(), spans.stop.tolist(), strict=True):
        for k in range(found.bounds[row], found.bounds[row + 1]):
            if start <= found.start[k] and found.stop[k] <= stop:
                result[row].add(int(k - found.bounds[row]))
    return result


@given(st.lists(WORDS, max_size=8))
@settings(max_examples=80, deadline=None)
def test_runs_are_those_of_plain_python(texts: list[str]) -> None:
    spans = repeated_runs(pa.array(texts, pa.string()), SHORT)
    assert gone_units(texts, spans) == plain_runs(texts, SHORT.run)
    left = without_spans(pa.array(texts, pa.string()), spans).to_pylist()
    assert [len(units(t)) for t in left] <= [len(units(t)) for t in texts]


@given(st.lists(WORDS, max_size=8), st.integers(2, 3))
@settings(max_examples=80, deadline=None)
def test_lines_are_those_of_plain_python(texts: list[str], copies: int) -> None:
    config = SpanConfig(line_units=2, line_copies=copies)
    keys = [(tuple(units(line)), t) for t, text in enumerate(texts) for line in text.split("\n")]
    counts, seen, expected = Counter(k for k, _ in keys), set(), []
    for key, text in keys:
        if len(key) >= 2 and counts[key] >= copies and key in seen:
            expected.append((text, key, counts[key]))
        seen.add(key)
    spans = repeated_lines(pa.array(texts, pa.string()), config)
    found = [
        (int(r), tuple(units(texts[r].encode()[a:b].decode())), int(c))
        for r, a, b, c in zip(spans.row, spans.start, spans.stop, spans.copies, strict=True)
    ]
    assert found == expected


def test_units_stand_where_they_are_said_to() -> None:
    text = "Ａb—c山水 naïve\u3000\U00020000x!\n9号"
    found = places(pa.array(["", text, "末"]))
    data = text.encode()
    inner = slice(found.bounds[1], found.bounds[2])
    cut = [data[a:b].decode() for a, b in zip(found.start[inner], found.stop[inner], strict=True)]
    assert [c.lower() for c in cut] == units(text)


def test_a_notice_under_every_article_goes_but_once() -> None:
    notice = {
        "en": "This article may be shared by anyone who names the author and the place where it first appeared in print.",
        "zh": "本文可以自由转载，但请注明作者姓名和最初发表的刊物名称，并保留本声明全文，谢谢合作。",
    }
    texts = [f"Story number {k}, told in {lang}.\n{notice[lang]}\nEnd {k} 完" for k in range(4) for lang in ("en", "zh")]
    spans = repeated_lines(pa.array(texts), SpanConfig())
    left = without_spans(pa.array(texts), spans).to_pylist()
    assert [n in "".join(left[:2]) for n in notice.values()] == [True, True]
    assert not any(n in t for t in left[2:] for n in notice.values())
    assert left[2:] == [f"Story number {k}, told in {lang}.\nEnd {k} 完" for k in range(1, 4) for lang in ("en", "zh")]
    assert spans.copies.tolist() == [4] * 6
    runs = without_spans(pa.array(texts), repeated_runs(pa.array(texts), SpanConfig(run=12))).to_pylist()
    assert not any(n[4:-4] in t for t in runs[2:] for n in notice.values())


def test_of_a_repeated_run_both_places_pick_a_seed() -> None:
    rng = random.Random(1)
    config = SpanConfig()
    run = [f"w{rng.randrange(999)}" for _ in range(config.run)]
    texts = [" ".join([*(f"x{rng.random()}" for _ in range(k)), *run, *(f"y{rng.random()}" for _ in range(9))]) for k in range(60)]
    found = places(pa.array(texts))
    key, start = seeds(found, config)
    row = np.searchsorted(found.bounds, start, side="right") - 1
    common = set(key[row == 0].tolist())
    for k in range(60):
        assert common & set(key[row == k].tolist())
    random_texts = pa.array([" ".join(f"w{rng.randrange(10**6)}" for _ in range(20_000))])
    assert len(seeds(places(random_texts), config)[0]) < 0.085 * 20_000


@pytest.mark.parametrize("cuts", [[7], [0, 3, 4, 19]])
def test_shards_give_what_the_whole_gives(tmp_path: Path, cuts: list[int]) -> None:
    rng = random.Random(3)
    pieces = ["".join(rng.choice("山水城市清晨河流") for _ in range(30)) for _ in range(4)]
    pieces += [" ".join(rng.choice("abcdefg") for _ in range(30)) for _ in range(4)]
    texts = ["\n".join(rng.choice([*pieces, f"own {rng.random()} 自己", ""]) for _ in range(6)) for _ in range(24)]
    store, names = Store(tmp_path / "in"), []
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, 24], strict=True)):
        names.append(f"part-{number}.parquet")
        store.write_table(names[-1], pa.table({"id": [f"{k}" for k in range(start, stop)], "text": texts[start:stop]}))
    config = SpanConfig(run=20)
    for kind, whole in (("lines", repeated_lines), ("runs", repeated_runs)):
        out = Store(tmp_path / whole.__name__)
        memory = PROGRAM + (16 << 20)
        files = repeated_spans(
            kind, store, names, Columns(), out, config, memory=memory, engine=Engine(), progress=Progress.silent()
        )
        expected = whole(pa.array(texts), config)
        first = np.array([0, *cuts])
        rows = [
            (int(first[k]) + r["row"], r["start"], r["stop"], r["copies"])
            for k, name in enumerate(files)
            for r in out.read_table(name).to_pylist()
        ]
        assert rows == list(zip(*(a.tolist() for a in (expected.row, expected.start, expected.stop, expected.copies)), strict=True))
        assert len(rows) > 20
        assert not [n for n in out.names() if "work" in n]
