"""Encoded HTTP bodies and long addresses cost no more work than their size allows."""

from __future__ import annotations

import gzip
import random
import zlib
from types import SimpleNamespace
from typing import Any

import pytest

from skyloom.corpus.sources.readers.hosts import Hosts
from skyloom.corpus.sources.readers.web_archives import http as sources_http


class Counting:
    """A decompressor that counts the bytes that it is handed and hands back unread."""

    work = 0

    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)

    def decompress(self, data: bytes, most: int) -> bytes:
        found = self._inner.decompress(data, most)
        Counting.work += len(data) + len(found) + len(self._inner.unconsumed_tail)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def body(size: int, level: int) -> bytes:
    words = random.Random(1).choices(["页面 ", "page ", "<p>", "中文", "x" * 30, "\n"], k=size // 8)
    return gzip.compress("".join(words).encode()[:size], level, mtime=0)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_body_twice_as_long_is_twice_the_work(monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    monkeypatch.setattr(sources_http, "zlib", SimpleNamespace(decompressobj=Counting, error=zlib.error))
    work = []
    for size in (2_000_000, 4_000_000):
        Counting.work = 0
        packed = body(size, level)
        assert sources_http.decoded(packed, "gzip", "", 10**9, 300) == gzip.decompress(packed)
        work.append(Counting.work)
    assert work[1] <= 2.3 * work[0]


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "identity", "没有"])
def test_encodings_over_encodings_are_bounded(name: str) -> None:
    text = "<p>页面 page</p>".encode()
    assert sources_http.decoded(text, ", ".join([name] * 8), "", 1_000, 300) == text
    with pytest.raises(ValueError, match="too many"):
        sources_http.decoded(text, ",".join([name] * 9), "", 1_000, 300)


def test_a_cut_body_gives_what_stands_before_and_what_follows_it_is_left() -> None:
    packed = body(300_000, 6)
    whole = gzip.decompress(packed)
    for cut in (10, 11, 18, 1000, 65_535, 65_536, 65_537, len(packed) - 9, len(packed) - 1):
        if cut < len(packed):
            try:
                found = sources_http.decoded(packed[:cut], "gzip", "", 10**9, 300)
            except zlib.error:
                assert cut < 1000  # nothing stands before the cut
            else:
                assert found and whole.startswith(found)
    assert sources_http.decoded(packed + b"\0" * 70_000, "gzip", "", 10**9, 300) == gzip.decompress(packed)


def test_a_host_of_many_labels_is_little_work() -> None:
    work = [0]

    class Table(dict[str, str]):
        def get(self, key: str, default: object = None) -> Any:
            work[0] += len(key)
            return super().get(key, default)

    hosts = Hosts(Table({"例子.cn": "books"}))
    assert hosts.category("http://" + "a." * 100_000 + "例子.cn/页", "web") == "books"
    assert hosts.category("http://" + "a." * 100_000 + "b/", "web") == "web"
    assert work[0] < 100_000
