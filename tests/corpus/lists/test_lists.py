"""Lists of hosts and URLs, with addresses in English and Chinese; in the clean stage they come first and count by reason."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from skyloom.core.config import build
from skyloom.core.engine import Task
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.ledger import Ledger
from skyloom.core.records import EXTRACTED, record_id
from skyloom.core.store import Store
from skyloom.corpus.candidates import CandidateShard
from skyloom.corpus.clean.config import CleanConfig, CleanJob
from skyloom.corpus.clean.order import ORDER, identity
from skyloom.corpus.clean.phase_results import PhaseInput
from skyloom.corpus.clean.phases import prepare
from skyloom.corpus.lists import ListsConfig, judge_urls, list_identity

HOST, URL, OTHER = "blocked host", "blocked URL", "not on the allow-list"


@pytest.mark.parametrize(
    ("entry", "url", "said"),
    [
        ("casino.example", "https://casino.example/a", HOST),
        ("casino.example", "http://user@www.Casino.Example:8080/a?b#c", HOST),
        ("casino.example", "https://zh.casino.example/首页", HOST),
        ("casino.example", "https://notcasino.example/", None),
        ("www.example", "https://www.example/", HOST),
        ("www.example", "https://a.example/", None),
        ("a.org/?u=http://x", "https://a.org/?u=http://x", URL),
        ("casino.example", "https://a.org/casino.example", None),
        ("www.casino.example", "https://casino.example", HOST),
        ("https://casino.example/", "https://casino.example/a", HOST),
        ("例子.中国", "https://xn--fsqu00a.xn--fiqs8s/a", HOST),
        ("xn--fsqu00a.xn--fiqs8s", "https://www.例子.中国/新闻", HOST),
        ("a.org/ads", "https://a.org/ads/1", URL),
        ("a.org/ads", "https://a.org/ads?x=1", URL),
        ("a.org/ads", "https://a.org/adsl", None),
        ("a.org/ads/", "https://a.org/ads/1", URL),
        ("a.org/ads", "https://b.a.org/ads", URL),
        ("a.org/广告", "https://a.org/%E5%B9%BF%E5%91%8A/1", URL),
        ("a.org/p?id=7", "https://a.org/p?id=7", URL),
        ("a.org/p?id=7", "https://a.org/p?id=77", None),
        ("a.org", "pages/a.org.html", None),
        ("a.org", "https://[broken/", None),
        ("a.org", "", None),
    ],
)
def test_block(entry: str, url: str, said: str | None) -> None:
    assert judge_urls(pa.array([url, url]), ListsConfig(block=(entry,))).to_pylist() == [said, said]


def test_allow_and_files(tmp_path: Path) -> None:
    (tmp_path / "放行.txt").write_text("\ufeffa.org # ours\n\n# 注释\n例子.中国\n", encoding="utf-8")
    (tmp_path / "block.txt.gz").write_bytes(gzip.compress("a.org/广告\n".encode()))
    config = ListsConfig(block_files=(str(tmp_path / "block.txt.gz"),), allow_files=(str(tmp_path / "放行.txt"),))
    urls = ["https://a.org/x", "https://a.org/广告", "https://例子.中国/", "https://b.org/", "file.html"]
    assert judge_urls(pa.array(urls), config).to_pylist() == [None, URL, None, OTHER, OTHER]
    before = list_identity(config)
    (tmp_path / "放行.txt").write_text("a.org\n例子.中国\n", encoding="utf-8")
    assert list_identity(config) == before, "comments say nothing"
    (tmp_path / "放行.txt").write_text("a.org\n", encoding="utf-8")
    assert list_identity(config) != before
    assert identity(ORDER, (), config) and not identity(ORDER, (), ListsConfig())


def test_what_is_no_list(tmp_path: Path) -> None:
    for entry in ("", "/path", "两 词", "*.a.org", "||a.org^"):
        with pytest.raises(ConfigError, match="is no host and no URL"):
            judge_urls(pa.array(["https://a.org"]), ListsConfig(block=(entry,)))
    with pytest.raises(ConfigError, match="is no host and no URL"):
        list_identity(ListsConfig(allow=("0.0.0.0 广告.example",)))
    with pytest.raises(DataError, match=r"cannot read .*none\.txt: No such file"):
        list_identity(ListsConfig(block_files=(str(tmp_path / "none.txt"),)))
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot read"):
        list_identity(ListsConfig(allow_files=(str(tmp_path / "bytes.txt"),)))


def test_the_ledger_counts_them_first(tmp_path: Path) -> None:
    text = {
        "en": "The river rose for three days before anyone moved the animals. " * 4,
        "zh-Hans": "河水连涨了三天，人们才把牲口赶走。" * 4,
    }
    rows = [
        {"id": record_id(url), "source": "site", "category": "web", "kind": "html", "url": url, "date": None, "license": None, "title": None,
         "lang": lang, "lang_score": 1.0, "blocks": [text[lang]], "tags": ["p"], "bytes_in": 1, "reason": None, "meta": "{}"}
        for url, lang in (("https://a.org/1", "en"), ("https://casino.example/1", "en"), ("https://赌场.example/", "zh-Hans"), ("https://b.cn/", "zh-Hans"))
    ]  # fmt: skip
    extracted, work = Store(tmp_path / "extracted"), Store(tmp_path / "work")
    extracted.write_table("extracted-0.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))
    config = build(CleanConfig, {"lists": {"block": ["casino.example", "赌场.example"]}}, origin="my.toml")
    job = CleanJob(config, {})
    done = prepare(Task("0", PhaseInput(job, CandidateShard(extracted, "extracted-0.parquet", "page"))), work)
    ledger = Ledger.from_json(done.result.ledger)
    assert ledger.stages() == ["lists", "rules"] and ledger.totals("lists")[HOST][0] == 2
    assert work.read_table("prepared-0.parquet").column("url").to_pylist() == ["https://a.org/1", "https://b.cn/"]
    usual = CleanJob(replace(config, lists=ListsConfig()), {})
    done = prepare(
        Task("0", PhaseInput(usual, CandidateShard(extracted, "extracted-0.parquet", "page"))), Store(tmp_path / "usual")
    )
    assert Ledger.from_json(done.result.ledger).stages() == ["rules"], "without a list there is no such stage"
