"""The commands of the tutorials, the first pages and the how-to pages run as they are written, at small size, in a reader's folder.

What a page needs is what it says: `my-pages/`, `my-texts.jsonl`, `one/`, `model`, `test.jsonl`, `held-back.jsonl`, `pages/`. All pages share
one folder, so what one has made is found finished by the others. The Chinese pages have the same commands (`test_links.py`).
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skyloom.corpus.extract import extract_html
from tests.site.pages import DOCS, Workplace, blocks
from tests.stories.program import ROOT

pytestmark = pytest.mark.xdist_group("tutorials")

TUTORIALS = sorted(p for p in (DOCS / "tutorials").glob("*.md") if ".zh" not in p.name)
OTHERS = sorted(p for group in ("get-started", "howto") for p in (DOCS / group).glob("*.md") if ".zh" not in p.name)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A reader's folder with inputs in both languages."""
    folder = tmp_path_factory.mktemp("教程") / "work"
    web = ROOT / "samples" / "web"
    shutil.copytree(web, folder / "my-pages", ignore=shutil.ignore_patterns("README.md"))
    texts = [extract_html(page.read_bytes()).text for page in sorted(web.rglob("*.html"))]
    rows = [{"id": f"文-{number}", "text": text} for number, text in enumerate(texts) if len(text) > 200]
    assert len(rows) > 60
    english, chinese = ([row for row in rows if (row["text"].count("的") > 10) == wanted] for wanted in (False, True))
    for row in english[:3]:
        row["text"] += "\n\nThe old casino by the river closed its doors last winter, and a library has moved in."
    for row in chinese[:3]:
        row["text"] += "\n\n河边的旧赌场去年冬天关了门，现在改成了图书馆。"
    write_lines(folder / "my-texts.jsonl", rows)
    (folder / "one").mkdir()
    (folder / "one" / "00000.warc.wet.gz").write_bytes(b"".join(gzip.compress(wet(row)) for row in rows))
    return Workplace(folder)


def write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def wet(row: dict[str, str]) -> bytes:
    """A record of a WET file: the text of a page under its address."""
    body = row["text"].encode()
    head = [
        "WARC/1.0",
        "WARC-Type: conversion",
        f"WARC-Target-URI: https://example.org/{row['id'].encode().hex()}",
        "WARC-Date: 2023-06-10T00:00:00Z",
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{int(row['id'][2:]):012}>",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body + b"\r\n\r\n"


@pytest.fixture(scope="module")
def told(place):
    """What the commands of the first tutorial printed. It leaves a finished run, from which the inputs of the others are made."""
    printed = place.follow(DOCS / "tutorials" / "own-pages.md")
    (release,) = (place.folder / "runs" / "mine").glob("release-*")
    (place.folder / "model").symlink_to(release)
    for name, split in (("test", "test"), ("held-back", "ref")):
        items = pq.read_table(release / "exercises" / f"exercises-{split}.parquet").to_pylist()[:24]
        known = [{"id": row["id"], **json.loads(row["meta"])} for row in items]
        write_lines(place.folder / f"{name}.jsonl", [{k: row[k] for k in ("id", "question", "answer")} for row in known])
    return printed


def test_my_own_pages_become_a_corpus_and_a_model(told, place):
    """Both languages go through each stage, and the ledger, the dropped documents and the export are there."""
    _, corpus, shown, *_ = told
    languages = {json.loads(line)["lang"] for line in (place.folder / "languages.jsonl").read_text("utf-8").splitlines()}
    assert {"en", "zh-Hans"} <= languages
    assert "near-duplicates" in corpus and "exact duplicates" in shown + corpus
    assert {"en", "zh-Hans", "manifest.json"} <= {path.name for path in (place.folder / "out").iterdir()}
    assert (place.folder / "my-model" / "recipe.toml").exists()


@pytest.mark.parametrize("page", [*(p for p in TUTORIALS if p.stem != "own-pages"), *OTHERS], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page, told, place):
    printed = place.follow(page)
    assert len(printed) == sum(block.runs for block in blocks(page)) > 0


def test_a_corpus_from_one_wet_file_is_in_both_languages(told, place):
    place.follow(DOCS / "tutorials" / "common-crawl.md")
    assert all(list((place.folder / "clean" / language / "web").iterdir()) for language in ("en", "zh-Hans"))


def test_the_filter_of_the_how_to_page_drops_what_it_names(told, place):
    """The page's pattern has a word of each language, and a document of each has it."""
    built = place.follow(DOCS / "howto" / "own-parts.md")[0]
    assert re.search(r"judge\s*│ gambling", built), built
    (ledger,) = (place.folder / "runs" / "own").glob("corpus-*/ledger.json")
    dropped = [row for row in json.loads(ledger.read_text("utf-8"))["counts"] if row[0] == "judge" and row[3] == "gambling"]
    assert {row[2] for row in dropped} == {"en", "zh-Hans"}


def test_the_audit_of_the_tutorial_writes_its_page_in_both_languages(told, place):
    place.follow(DOCS / "tutorials" / "judge-a-model.md")
    assert json.loads((place.folder / "leak" / "leak.json").read_text("utf-8"))["verdict"]["word"] in {"no sign", "cannot tell"}
    assert 'lang="zh' in (place.folder / "leak-zh.html").read_text("utf-8")
