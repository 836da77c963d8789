"""The comparison of two corpora by training: what both are built from, and what the paired figures say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from bench.corpus import corpus_quality, general_web
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer


def test_the_interval_is_that_of_students_t() -> None:
    """Five differences, by hand: mean 1, standard deviation 1, t(4) = 2.776; one says nothing of the spread."""
    found = corpus_quality.Paired.of([0.0, 0.5, 1.0, 1.0, 2.5])
    assert (found.mean, found.high - found.mean) == pytest.approx((1.0, 2.776 * 0.9354 / 5**0.5), rel=1e-3)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert corpus_quality.Paired.of([1.0]).high == float("inf")


def test_pairs_are_seeds_and_the_worst_set_is_the_surest() -> None:
    """A set that is 2 % worse under every seed is worse than one whose mean is higher but whose seeds disagree."""
    peer = [{"en_a": 2.0 + seed, "en_b": 1.0, "zh_a": 4.0} for seed in range(3)]
    ours = [{"en_a": 1.02 * (2.0 + seed), "en_b": (1.2, 1.0, 0.9)[seed], "zh_a": 3.8} for seed in range(3)]
    sizes = {"ours": {"web_en": 100_000, "web_zh": 600_000}, "peer": {"web_en": 10, "web_zh": 20}}
    used = {"web_en": 150_000, "web_zh": 150_000}
    found = corpus_quality._judge({"ours": ours, "peer": peer}, sizes, used, "ours", "peer")
    assert found.sets["en_a"].mean == pytest.approx(2) and found.sets["en_a"].low == pytest.approx(2)
    assert found.sets["en_b"].mean > 3 and found.sets["en_b"].low < 0
    assert found.worst_percent == pytest.approx(2)
    assert found.languages["zh"].mean == pytest.approx(-5)
    assert "| ours | 100,000 / 600,000 | 1.50 / 0.25 |" in found.table


def test_an_ngram_model_learns_from_what_is_like_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two corpora of ids, in both languages: the one that is made as the set is predicts it better, with every seed."""
    monkeypatch.setattr(Tokenizer, "load", lambda place: SimpleNamespace(vocab_size=60))
    draw = np.random.default_rng(1)

    def texts(step: int, language: str, count: int) -> tuple[list[str], list[Any]]:
        """Texts that count upwards by `step`, from anywhere."""
        ids = [((int(draw.integers(60)) + step * np.arange(40)) % 60).astype(np.int32) for _ in range(count)]
        return [f"{language} {k} {step}" for k in range(count)], ids

    like, unlike = ({"web_en": texts(s, "a mill", 50), "web_zh": texts(s, "磨坊", 50)} for s in (1, 7))
    scored, used = {"en_a": texts(1, "a mill", 20), "zh_a": texts(1, "磨坊", 20)}, {"web_en": 1000, "web_zh": 1500}
    for seed in (1, 2):
        found, other = (corpus_quality._ngram(c, used, Store("unused"), scored, seed) for c in (like, unlike))
        assert all(found[name] < other[name] / 2 for name in scored)
        assert found == corpus_quality._ngram(like, used, Store("unused"), scored, seed)
    assert found != corpus_quality._ngram(like, used, Store("unused"), scored, 1), "another seed draws other documents"


def rows(path: Path, found: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in found)


def test_pages_and_prose_that_both_corpora_are_built_from(tmp_path: Path) -> None:
    html = ["<p>A mill by the river.</p>", "<meta charset=gb2312><p>河边的磨坊。</p>"]
    rows(tmp_path / "gold/a.en.jsonl.gz", [{"url": f"https://a.example/{k}", "html": html[k % 2]} for k in range(5)])
    rows(tmp_path / "gold/wcxb.en.jsonl.gz", [{"url": None, "html": html[k % 2]} for k in range(7)])
    assert general_web.write_pages(tmp_path / "gold", tmp_path / "pages") == 5 + 3, "every third page of the large set"
    read = []
    for path in sorted((tmp_path / "pages").glob("*.warc.gz")):
        with open(path, "rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response, parse_http=True):
                assert record.http_headers.get("Content-Type") == "text/html; charset=utf-8"
                read.append((record.headers["WARC-Target-URI"], record.reader.read().decode("utf-8")))
    assert len(read) == 8 and {body for _, body in read} == set(html) and len({url for url, _ in read}) == 8
    for lang, text in (("en", "A mill."), ("zh", "磨坊。")):
        rows(tmp_path / f"text/{lang}/news.jsonl.gz", [{"id": f"{k}", "text": f"{text}{k}"} for k in range(6)])
    assert general_web.write_prose(tmp_path / "text", tmp_path / "prose") == {"en-news": 3, "zh-news": 3}
    with gzip.open(tmp_path / "prose/zh-news.jsonl.gz", "rt", encoding="utf-8") as file:
        assert [json.loads(line)["text"] for line in file] == ["磨坊。0", "磨坊。2", "磨坊。4"]
