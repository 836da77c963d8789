"""Structural extraction (report 3.1): the contiguous passages of a page, without navigation, contacts and lone titles.

What enters are PAGE shards, what leaves is one EXTRACTED shard for each, and a ledger. Every page of a shard has a row:
one that cannot be used keeps a `reason` and no blocks, so that nothing is lost silently. A page goes through charset, guard
(is it safe to parse?), layout (blocks and what is around them), judgement (which blocks are text), and at the end of its
shard through language identification. `extract_html` does the same for one page.

Plain text and code skip the layout: text becomes its paragraphs, a code file one verbatim block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from skyloom.core.config import setting
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.ledger import KEPT, Ledger
from skyloom.core.progress import Progress
from skyloom.core.records import EXTRACTED
from skyloom.core.store import Store
from skyloom.corpus import charset, extract_guard, language
from skyloom.corpus.extract_blocks import Layout, iso_date, layout
from skyloom.corpus.extract_judge import select
from skyloom.corpus.sources import SourcePolicy


@dataclass(frozen=True)
class ExtractConfig:
    """Settings of the extraction step."""

    max_replaced: float = setting(
        0.02, doc="quarantine pages with more undecodable text than this", unit="share of characters", low=0, high=1
    )
    max_page_mb: float = setting(16.0, doc="quarantine larger pages unread", unit="MB", low=0.001, high=1000)


@dataclass(frozen=True)
class Extraction:
    """The text of a page: `blocks` in reading order with their `tags`, `title` and ISO `date` ("" if unknown).

    `reason` is None for a usable page, otherwise why there are no blocks: "empty", "no passages", "charset", "too large",
    "too deep", "too many tags" or "too many attributes".
    """

    blocks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    title: str = ""
    date: str = ""
    reason: str | None = None

    @property
    def text(self) -> str:
        return "\n\n".join(self.blocks)


DEFAULT = ExtractConfig()


def extract_html(data: bytes | str, *, declared: str | None = None, config: ExtractConfig = DEFAULT) -> Extraction:
    """The main text of one HTML page; `declared` is the charset that the transport named. Never raises on any input."""
    if len(data) > config.max_page_mb * 1e6:
        return Extraction(reason="too large")
    if isinstance(data, bytes):
        decoded = charset.decode(data, declared)
        if decoded.replaced > config.max_replaced:
            return Extraction(reason="charset")
        raw, page = data, decoded.text
        if decoded.charset.startswith("utf-16"):
            raw = page.encode("utf-8", "replace")  # the guard reads ASCII tags
    else:
        page = data.encode("utf-8", "replace").decode("utf-8")  # lone surrogates are no text
        raw = page.encode("utf-8")
    reason = extract_guard.refusal(raw)
    if reason:
        return Extraction(reason=reason)
    seen = layout(page)
    if not seen.texts:
        return Extraction(title=seen.title, date=seen.date, reason="empty")
    keep = select(seen)
    blocks, tags = _joined_rows(seen, [int(i) for i in keep.nonzero()[0]])
    reason = None if blocks else "no passages"
    return Extraction(tuple(blocks), tuple(tags), _title_of(seen), seen.date, reason)


def _joined_rows(page: Layout, kept: list[int]) -> tuple[list[str], list[str]]:
    """The kept blocks, where short cells of one table row are one block: `a | b | c` with tag "tr"."""
    blocks: list[str] = []
    tags: list[str] = []
    place = 0
    while place < len(kept):
        owner = page.owner[kept[place]]
        row, end = page.context[owner].row, place + 1
        cells = {page.context[owner].cell}
        while row >= 0 and end < len(kept) and page.context[page.owner[kept[end]]].row == row:
            cells.add(page.context[page.owner[kept[end]]].cell)
            end += 1
        texts = [page.texts[i] for i in kept[place:end]]
        if len(texts) > 1 and len(cells) == len(texts) and all(len(t) <= _CELL and "\n" not in t for t in texts):
            blocks.append(" | ".join(texts))
            tags.append("tr")
        else:
            blocks += texts
            tags += [page.tags[i] for i in kept[place:end]]
        place = end
    return blocks, tags


_CELL = 400  # characters; what is longer is a column of a layout and no table cell
_SITE = re.compile(r"\s+[-–—|·»:]+\s+|\s*[|_]\s*|::")


def _title_of(page: Layout) -> str:
    """The page's own part of <title>: the <h1> that it repeats, or what stands before the site's name."""
    for text, tag in zip(page.texts, page.tags, strict=True):
        if tag == "h1" and (text in page.title or not page.title):
            return text
    parts = [p for p in _SITE.split(page.title) if p.strip()]
    if not parts:
        return page.title
    return parts[0].strip() if len(parts[0].strip()) >= 4 else page.title


def extract(
    pages: Store,
    out: Store,
    config: ExtractConfig,
    policies: Mapping[str, SourcePolicy],
    *,
    engine: Engine,
    progress: Progress,
) -> Ledger:
    """Write `extracted-NNNNN.parquet` for each `pages-NNNNN.parquet` and `ledger.json`; returns the ledger.

    Ledger stages: `source` (bytes of page bodies; drops what a source could not deliver), `extract` and `language` (bytes
    of extracted text). A page's language must be one that its source's policy keeps; code is not judged.
    """
    names = [n for n in pages.names("pages-") if n.endswith(".parquet")]
    tasks = [Task(n.removeprefix("pages-").removesuffix(".parquet"), (pages, n, config, dict(policies))) for n in names]
    ledger = Ledger()
    for result in engine.map(_extract_shard, tasks, out, progress=progress, label="extract"):
        ledger.add(Ledger.from_json(result))
    ledger.check()
    out.write_json("ledger.json", ledger.to_json())
    kept = ledger.totals("language").get(KEPT, (0, 0))
    progress.log(f"extract: {kept[0]:,} pages with {kept[1] / 1e6:.1f} MB of text")
    return ledger


def _extract_shard(task: Task, out: Store) -> Done:
    pages, name, config, policies = task.payload
    table = pages.read_table(name)
    rows = [_extract_page(row, config) for row in table.to_pylist()]
    _identify(rows)
    ledger = Ledger()
    for row in rows:
        _settle(row, policies.get(row["source"]), ledger)
    shard = pa.Table.from_pylist([{k: row[k] for k in EXTRACTED.names} for row in rows], schema=EXTRACTED)
    return Done((out.write_table(f"extracted-{task.key}.parquet", shard),), ledger.to_json())


def _extract_page(page: dict[str, Any], config: ExtractConfig) -> dict[str, Any]:
    """An EXTRACTED row whose language is not judged yet; `stage` names the stage that its `reason` belongs to."""
    row = {k: page[k] for k in ("id", "source", "category", "kind", "url", "date", "license", "meta")}
    row |= {"title": None, "lang": "", "lang_score": 0.0, "blocks": [], "tags": [], "bytes_in": len(page["body"])}
    row |= {"reason": page["error"], "stage": "source"}
    if page["error"] is not None:
        return row
    row["stage"] = "extract"
    if page["kind"] == "html":
        found = extract_html(page["body"], declared=page["charset"], config=config)
    else:
        found = _plain(page["body"], page["charset"], page["kind"], config)
    if found.reason:
        row["reason"] = found.reason
    else:
        row["blocks"], row["tags"] = list(found.blocks), list(found.tags)
    row["title"] = found.title or json.loads(page["meta"]).get("title")
    row["date"] = page["date"] or found.date or iso_date(page["url"]) or None
    return row


_EMPTY_LINES = re.compile(r"\n[ \t\u3000]*\n\s*")


def _plain(body: bytes, declared: str | None, kind: str, config: ExtractConfig) -> Extraction:
    """Text as its paragraphs, code as one verbatim block (tag "pre")."""
    if len(body) > config.max_page_mb * 1e6:
        return Extraction(reason="too large")
    decoded = charset.decode(body, declared)
    if decoded.replaced > config.max_replaced:
        return Extraction(reason="charset")
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    if kind == "code":
        blocks = [text.strip("\n")] if text.strip() else []
    else:
        blocks = [b.strip() for b in _EMPTY_LINES.split(text) if b.strip()]
    tags = ["pre" if kind == "code" else "p"] * len(blocks)
    return Extraction(tuple(blocks), tuple(tags), reason=None if blocks else "empty")


def _identify(rows: list[dict[str, Any]]) -> None:
    """Judge the language of all rows with text by their prose; code gets the code "code"."""
    judged = [r for r in rows if r["blocks"] and r["kind"] != "code"]
    texts = []
    for row in judged:
        prose = [b for b, tag in zip(row["blocks"], row["tags"], strict=True) if tag != "pre"]
        texts.append("\n".join(prose or row["blocks"]))
    codes, scores = language.identify(pa.array(texts, pa.string()))
    for row, code, score in zip(judged, codes, scores, strict=True):
        row["lang"], row["lang_score"] = code, float(score)
    for row in rows:
        if row["blocks"] and row["kind"] == "code":
            row["lang"], row["lang_score"] = "code", 1.0


def _settle(row: dict[str, Any], policy: SourcePolicy | None, ledger: Ledger) -> None:
    """The first gate: give a row of an unwanted language its reason, and post the row at each stage that it reached."""
    source, stage, size = row["source"], row["stage"], row["bytes_in"]
    text = sum(len(b.encode("utf-8")) for b in row["blocks"])
    lost = row["reason"]
    ledger.enter("source", source, "", 1, size)
    ledger.post("source", source, "", lost if lost and stage == "source" else KEPT, 1, size)
    if lost and stage == "source":
        return
    ledger.enter("extract", source, "", 1, text)
    ledger.post("extract", source, "", lost or KEPT, 1, text)
    if lost:
        return
    if row["lang"] != "code" and policy is not None and row["lang"] not in policy.languages:
        row["reason"] = f"language: {row['lang'] or 'no letters'}"
    ledger.enter("language", source, row["lang"], 1, text)
    ledger.post("language", source, row["lang"], row["reason"] or KEPT, 1, text)
