"""Files of pages become one file of texts: a line for each page, whatever it is, and no half-written file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.corpus.extract.command import extract_files
from skyloom.corpus.extract.config import ExtractConfig
from skyloom.corpus.extract.stage import extract_html

EN = "The keeper of the lighthouse climbs one hundred and ninety steps every evening, and writes the weather into a book. "
ZH = "守塔人每天傍晚都要爬上一百九十级台阶，把当天的天气写进一本厚厚的册子，这个习惯他已经保持了整整四十年。"


def page(text: str, title: str) -> str:
    body = "".join(f"<p>{text}{n}</p>" for n in range(5))
    return f"<html><head><title>{title}</title><meta name=pubdate content=2023-06-30></head><body><article>{body}</article></body></html>"


PAGES = {"a": page(EN, "Keeper of the tower"), 7: page(ZH, "守塔人的四十年"), "none": "<p></p>"}


def read(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.decode().splitlines()]


def run(path: Path, out: Path) -> Any:
    return extract_files(str(path), out, ExtractConfig(), Progress.silent())


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_json_lines_keep_their_ids_and_order(tmp_path: Path, ending: str) -> None:
    lines = [json.dumps({"id": name, "html": html}, ensure_ascii=False) for name, html in PAGES.items()]
    lines += ["{broken", '["no object"]', '{"id": "x"}', "", json.dumps({"html": PAGES["a"]})]
    source = tmp_path / f"pages.{ending}"
    data = "\n".join(lines).encode()
    source.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    out = tmp_path / "out" / f"texts.{ending}"
    found = run(source, out)
    rows = read(out)
    assert [r["id"] for r in rows[:3]] == ["a", 7, "none"]
    for row, html in zip(rows, PAGES.values(), strict=False):
        one = extract_html(html)
        assert (row["text"], row["title"], row["date"] or "", row["reason"]) == (one.text, one.title, one.date, one.reason)
    assert [r["reason"] for r in rows[2:]] == ["empty", "broken: not JSON", "broken: not a JSON object", "broken: no html", None]
    assert rows[6]["id"] == f"pages.{ending}#{data.rindex(b'{')}"
    assert (found.pages, found.texts, found.reasons.total()) == (7, 3, 4)
    assert found.characters == sum(len(r["text"]) for r in rows)


def test_a_cut_archive_is_counted_and_what_stands_before_it_kept(tmp_path: Path) -> None:
    lines = [json.dumps({"id": n, "html": page(EN + str(n) * 50, f"{n}")}) for n in range(3000)]
    (tmp_path / "pages.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode())[:-2000])
    found = run(tmp_path / "pages.jsonl.gz", tmp_path / "out.jsonl")
    rows = read(tmp_path / "out.jsonl")
    assert 0 < found.texts < 3000 and found.texts + 1 == found.pages == len(rows)
    assert rows[-1]["reason"].startswith("broken:") and rows[0]["id"] == 0


def test_html_folders(tmp_path: Path) -> None:
    (tmp_path / "site" / "zh").mkdir(parents=True)
    (tmp_path / "site" / "a.html").write_text(PAGES["a"])
    (tmp_path / "site" / "zh" / "b.html").write_bytes(PAGES[7].encode("gb18030"))
    (tmp_path / "site" / "c.html").write_bytes(b"%PDF-1.4 no page at all")
    run(tmp_path / "site", tmp_path / "out.jsonl")
    rows = {r["id"]: r for r in read(tmp_path / "out.jsonl")}
    assert set(rows) == {"a.html", "zh/b.html", "c.html"}
    assert rows["zh/b.html"]["text"] == extract_html(PAGES[7]).text and rows["zh/b.html"]["date"] == "2023-06-30"
    assert rows["c.html"]["text"] == "" and rows["c.html"]["reason"]


def test_web_archives(tmp_path: Path) -> None:
    body = PAGES[7].encode()
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    head = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://example.org/灯塔\r\nWARC-Date: 2024-01-02T00:00:00Z\r\n"
    head += (
        f"WARC-Record-ID: <urn:uuid:1>\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    (tmp_path / "x.warc.gz").write_bytes(gzip.compress(head.encode() + http + b"\r\n\r\n"))
    run(tmp_path / "x.warc.gz", tmp_path / "out.jsonl")
    (row,) = read(tmp_path / "out.jsonl")
    assert row["id"] == "https://example.org/灯塔" and row["text"] == extract_html(PAGES[7]).text


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    source = tmp_path / "pages.jsonl"
    source.write_text("\n".join(json.dumps({"id": n, "html": h}) for n, h in PAGES.items()))
    for name in ("1.jsonl.gz", "2.jsonl.gz"):
        run(source, tmp_path / name)
    assert (tmp_path / "1.jsonl.gz").read_bytes() == (tmp_path / "2.jsonl.gz").read_bytes()


def test_mistakes_say_what_to_do(tmp_path: Path) -> None:
    source = tmp_path / "pages.jsonl"
    source.write_text(json.dumps({"id": 1, "html": PAGES["a"]}))
    with pytest.raises(ConfigError, match="jsonl"):
        run(source, tmp_path / "out.txt")
    with pytest.raises(DataError, match="does not exist"):
        run(tmp_path / "nothing", tmp_path / "out.jsonl")
    (tmp_path / "x.txt").write_text("plain text " * 50)
    with pytest.raises(ConfigError, match="HTML files"):
        run(tmp_path / "x.txt", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
