"""Paragraphs of two versions of a page find each other, whatever is missing, and what is not translated is no pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, EXTRACTED, record_id
from skyloom.core.store import Store
from skyloom.corpus.bitext.alignment import fits
from skyloom.corpus.bitext.config import BitextConfig
from skyloom.corpus.bitext.stage import align, align_blocks

TEXT = [
    ("h1", "Tuning a piano", "钢琴调律"),
    ("p", "A piano has about 230 strings, and every one of them loses tension as the seasons change.", "一架钢琴大约有230根弦，随着季节变化，每一根都会慢慢松下来。"),
    ("p", "The tuner begins with the A above middle C.", "调律师从中央C上方的A开始。"),
    ("h2", "The temperament octave", "基准八度"),
    ("p", "From this one note he tunes an octave in the middle of the keyboard by fifths and fourths, listening to the beats between them.", "从这个音出发，他靠五度和四度，把键盘中间的一个八度调好，一边听它们之间的拍音。"),
    ("li", "1. Mute two of the three strings.", "1. 用呢条止住三根弦中的两根。"),
    ("li", "2. Turn the pin with the lever until the beat slows to one in two seconds.", "2. 用扳手转动弦轴，直到拍音慢到两秒一次。"),
    ("p", "Low strings are stiff and their overtones are sharp, so the bass is tuned a little lower than theory asks.", "低音弦粗硬，泛音偏高，所以低音区要比理论上调得略低一些。"),
    ("pre", "f = 440 * 2 ** (n / 12)", "f = 440 * 2 ** (n / 12)"),
    ("p", "A good tuning lasts half a year if the room stays neither damp nor dry.", "如果房间不潮也不干，一次好的调律可以维持半年。"),
]  # fmt: skip
TAGS = [t for t, _, _ in TEXT]
EN = [e for _, e, _ in TEXT]
ZH = [z for _, _, z in TEXT]
ALL = [(e, z) for t, e, z in TEXT if t != "pre"]


def found(en: list[str], en_tags: list[str], zh: list[str], zh_tags: list[str]) -> list[tuple[str, str]]:
    return [(p.english, p.chinese) for p in align_blocks(en, en_tags, zh, zh_tags, BitextConfig())]


def test_whole_pages_align_whole() -> None:
    assert found(EN, TAGS, ZH, TAGS) == ALL


@pytest.mark.parametrize("lost", range(len(TEXT)))
@pytest.mark.parametrize("side", ["en", "zh"])
def test_a_missing_paragraph_costs_only_itself(lost: int, side: str) -> None:
    def without(items: list[str]) -> list[str]:
        return items[:lost] + items[lost + 1 :]

    if side == "en":
        pairs = found(without(EN), without(TAGS), ZH, TAGS)
    else:
        pairs = found(EN, TAGS, without(ZH), without(TAGS))
    assert set(pairs) <= set(ALL)
    assert len(pairs) >= len(ALL) - 2


def test_untranslated_paragraphs_are_no_pairs() -> None:
    zh = [z if i % 2 else e for i, (_, e, z) in enumerate(TEXT)]
    assert found(EN, TAGS, zh, TAGS) == [(e, z) for i, (t, e, z) in enumerate(TEXT) if i % 2 and t != "pre"]
    assert found(ZH, TAGS, EN, TAGS) == []


def test_pages_of_very_many_blocks_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path's table grows with the band, and the band with what one page has more than the other."""
    assert found(["One of many."] * 100_000, ["p"] * 100_000, ["许多之一。"] * 1_000, ["p"] * 1_000) == []
    assert not fits(100_000, 1_000)
    assert fits(100_000, 100_000)
    monkeypatch.setattr("skyloom.corpus.bitext.alignment.CELLS", 100)
    assert found(EN, TAGS, ZH, TAGS) == []


def test_pages_that_say_something_else_give_little() -> None:
    rng = np.random.default_rng(7)
    order = rng.permutation(len(ZH))
    pairs = found(EN, TAGS, [ZH[i] for i in order], [TAGS[i] for i in order])
    assert len(pairs) < len(ALL)
    assert found([], [], ZH, TAGS) == []


def row(text: list[str], lang: str, pair: str, *, tags: list[str] | None = None, reason: str | None = None) -> dict[str, Any]:
    return {
        "id": record_id(lang, pair, *text), "source": "s", "category": "web", "kind": "html", "url": f"{lang}/{pair}", "date": None,
        "license": "Apache-2.0", "title": None, "lang": lang, "lang_score": 1.0, "blocks": text, "tags": tags or TAGS, "bytes_in": 9,
        "reason": reason, "meta": json.dumps({"pair": pair} if pair else {}),
    }  # fmt: skip


def extracted(folder: Path) -> Store:
    store = Store(folder)
    english = [
        row(EN, "en", "a"),
        row(EN[:5], "en", "b", tags=TAGS[:5]),
        row(EN, "en", ""),
        row(EN, "en", "lone"),
        row(EN, "en", "d"),
    ]
    chinese = [row(ZH[:5], "zh-Hans", "b", tags=TAGS[:5]), row(ZH, "zh-Hans", "a"), row(ZH, "zh-Hant", "a"), row(ZH, "zh-Hans", ""),
               row(ZH, "zh-Hans", "d", reason="language: zh-Hans"), row(EN, "en", "a")]  # fmt: skip
    for n, rows in enumerate((english, chinese)):
        store.write_table(f"extracted-{n:05d}.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))
    return store


def test_documents(tmp_path: Path) -> None:
    store, out = extracted(tmp_path / "in"), Store(tmp_path / "out")
    summary = align(store, out, BitextConfig(), engine=Engine(), progress=Progress.silent())
    assert out.read_json("parallel.json") == summary
    assert (summary["pages"], summary["documents"], summary["pairs"]) == (2, 2, 5 + len(ALL))
    assert 0.5 < summary["score"] <= 1
    (name,) = out.names("parallel-")
    table = out.read_table(name)
    assert table.schema == DOCUMENT
    first = table.to_pylist()[0]
    assert first["text"] == "\n\n".join(f"{e}\n{z}" for e, z in ALL)
    assert (first["domain"], first["category"], first["split"]) == ("parallel", "parallel", "train")
    meta = json.loads(first["meta"])
    assert (meta["pairs"], meta["url_en"], meta["url_zh"]) == (len(ALL), "en/a", "zh-Hans/a")


def test_no_pairs_still_leave_a_shard(tmp_path: Path) -> None:
    store, out = Store(tmp_path / "in"), Store(tmp_path / "out")
    store.write_table("extracted-00000.parquet", pa.Table.from_pylist([row(EN, "en", "a")], schema=EXTRACTED))
    summary = align(store, out, BitextConfig(), engine=Engine(), progress=Progress.silent())
    assert summary == {"pages": 0, "too_large": 0, "documents": 0, "pairs": 0, "score": 0.0, "words": 0, "ready": 0}
    assert out.read_table(out.names("parallel-")[0]).num_rows == 0


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    store = extracted(tmp_path / "in")
    written = []
    for workers in (0, 2):
        out, engine = Store(tmp_path / f"out{workers}"), Engine(workers)
        align(store, out, BitextConfig(), engine=engine, progress=Progress.silent())
        engine.close()
        written.append([out.describe(n) for n in out.names() if not n.startswith("receipts/")])
    assert written[0] == written[1]
