"""Files of pages become one file of texts: a line for each page, whatever it is, and no half-written file."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.core.engine import Engine
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


def warc(*pages: tuple[str, bytes], wet: bool = False) -> bytes:
    """A packed archive of responses, or of conversions."""
    members = []
    for number, (url, body) in enumerate(pages):
        http = body if wet else b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
        kind, content = ("conversion", "text/plain") if wet else ("response", "application/http; msgtype=response")
        head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-02T00:00:00Z\r\n"
        head += f"WARC-Record-ID: <urn:uuid:{number}>\r\nContent-Type: {content}\r\nContent-Length: {len(http)}\r\n\r\n"
        members.append(gzip.compress(head.encode() + http + b"\r\n\r\n"))
    return b"".join(members)


def test_wet_archives_and_parquet_of_html_and_of_text(tmp_path: Path) -> None:
    """Text is its paragraphs; a Parquet row is called by its id, or its place."""
    texts = [("https://example.org/灯塔", f"{ZH}\n\n{ZH}2".encode()), ("https://example.org/en", EN.encode())]
    (tmp_path / "a.warc.wet.gz").write_bytes(warc(*texts, wet=True))
    pq.write_table(pa.table({"id": ["a", None], "html": [PAGES["a"], PAGES[7]]}), tmp_path / "html.parquet")
    pq.write_table(pa.table({"text": [f"{EN}\n \n{ZH}", None]}), tmp_path / "text.parquet")
    paths = [str(tmp_path / name) for name in ("a.warc.wet.gz", "html.parquet", "text.parquet")]
    extract_files(paths, tmp_path / "out.jsonl", ExtractConfig(), Progress.silent())
    rows = read(tmp_path / "out.jsonl")
    assert [r["id"] for r in rows[:3]] == ["https://example.org/灯塔", "https://example.org/en", "a"]
    assert rows[0]["text"] == f"{ZH}\n\n{ZH}2" and rows[4]["text"] == f"{EN.strip()}\n\n{ZH}"
    assert [r["text"] for r in rows[2:4]] == [extract_html(PAGES["a"]).text, extract_html(PAGES[7]).text]
    assert rows[3]["id"].startswith("html.parquet#") and rows[5]["reason"]


def test_several_processes_write_the_bytes_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of several kinds, a large one in ranges; a page that stands across two ranges is in one of them."""
    monkeypatch.setattr("skyloom.corpus.sources.stage.RANGE_BYTES", 40_000)
    lines = [json.dumps({"id": n, "html": page((EN, ZH)[n % 2] + str(n), f"{n}")}, ensure_ascii=False) for n in range(200)]
    (tmp_path / "p.jsonl").write_text("\n".join([*lines, "{broken"]), encoding="utf-8")
    (tmp_path / "a.warc.gz").write_bytes(
        warc(*((f"https://example.org/{n}", page(ZH * 20, f"题{n}").encode()) for n in range(300)))
    )
    (tmp_path / "site").mkdir()
    for n in range(9):
        (tmp_path / "site" / f"{n}.html").write_text(PAGES["a"])
    paths = [str(tmp_path / name) for name in ("p.jsonl", "a.warc.gz", "site")]
    for name in ("x.jsonl", "x.jsonl.gz", "x.jsonl.zst"):
        for place, engine in (("1", None), ("3", Engine(3))):
            found = extract_files(paths, tmp_path / place / name, ExtractConfig(), Progress.silent(), engine)
            assert (found.pages, found.texts) == (510, 509)
            if engine is not None:
                engine.close()
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()
    ids = [row["id"] for row in read(tmp_path / "1" / "x.jsonl")]
    assert ids[:200] == list(range(200)) and len(ids) == len(set(map(str, ids)))
    assert sorted(p.name for p in (tmp_path / "3").iterdir()) == ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst"]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "warc.gz", "parquet", "html"])
def test_the_standard_input_is_of_any_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    line = (json.dumps({"id": "甲", "html": PAGES[7]}, ensure_ascii=False) + "\n").encode()
    packed = io.BytesIO()
    pq.write_table(pa.table({"html": [PAGES[7]]}), packed)
    data = {
        "jsonl": line,
        "jsonl.gz": gzip.compress(line),
        "warc.gz": warc(("https://example.org/", PAGES[7].encode())),
        "parquet": packed.getvalue(),
        "html": PAGES[7].encode(),
    }[kind]
    result = CliRunner().invoke(main, ["corpus", "extract", "-", "-o", str(tmp_path / "o.jsonl"), "--workers", "0"], input=data)
    assert result.exit_code == 0, result.output
    (row,) = read(tmp_path / "o.jsonl")
    assert row["text"] == extract_html(PAGES[7]).text
    assert [p.name for p in tmp_path.iterdir()] == ["o.jsonl"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_texts_go_into_a_pipe(tmp_path: Path, workers: str) -> None:
    """To the standard output, in the order of the input; nothing stays, and nothing else is written there."""
    (tmp_path / "zh.html").write_text(PAGES[7], encoding="utf-8")
    (tmp_path / "en.html").write_text(PAGES["a"], encoding="utf-8")
    given = [str(tmp_path / "zh.html"), "-", str(tmp_path / "en.html")]
    program = [sys.executable, "-m", "skyloom", "corpus", "extract", *given, "-o", "-", "--workers", workers]
    data = "\n".join(json.dumps({"id": name, "html": html}, ensure_ascii=False) for name, html in PAGES.items()).encode()
    places = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(program, input=data, capture_output=True, cwd=tmp_path, env=places, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and [row["id"] for row in rows] == ["zh.html", "a", 7, "none", "en.html"], done.stderr
    assert rows[0]["text"] == extract_html(PAGES[7]).text and rows[4]["text"] == rows[1]["text"] == extract_html(PAGES["a"]).text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["en.html", "tmp", "zh.html"] and not list(
        (tmp_path / "tmp").glob("skyloom*")
    )


def test_an_interrupted_extraction_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        (tmp_path / f"{n}.jsonl").write_text(json.dumps({"id": n, "html": PAGES[7]}))
    paths, out = [str(tmp_path / f"{n}.jsonl") for n in range(3)], tmp_path / "o" / "out.jsonl"
    from skyloom.corpus.extract import command

    true, done = command._extract_part, list[str]()

    def part(task: Any, work: Any) -> Any:
        if len(done) == 2:
            raise DataError("stopped here")
        done.append(task.key)
        return true(task, work)

    monkeypatch.setattr(command, "_extract_part", part)
    with pytest.raises(DataError, match="stopped"):
        extract_files(paths, out, ExtractConfig(), Progress.silent())
    assert not out.exists()
    done.clear()
    extract_files(paths, out, ExtractConfig(), Progress.silent())
    assert done == ["00002"] and [row["id"] for row in read(out)] == [0, 1, 2]


def test_mistakes_of_the_standard_input(tmp_path: Path) -> None:
    for given, message in ((["-", "-"], "named twice"), (["-"], "nothing came")):
        result = CliRunner().invoke(main, ["corpus", "extract", *given, "-o", str(tmp_path / "o.jsonl")], input=b"")
        assert result.exit_code and message in result.output + str(result.exception)
