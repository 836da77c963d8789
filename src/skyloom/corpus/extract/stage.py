"""Structural extraction (report 3.1): the contiguous passages of a page, without navigation, contacts and lone titles.

Input: PAGE shards. Output: one EXTRACTED shard for each, and a ledger. Every page of a shard has a row: one that cannot be used
keeps a `reason` and no blocks, so that nothing is lost silently. HTML goes through compiled passes over the shard's whole
column (`extract_column`): charset, walk (blocks and the elements around them), judgement (which blocks are text), writing.
`extract_html` does the same for one page. Plain text becomes its paragraphs, a code file one verbatim block. Time for a page is
bounded by its size, not by a clock, so that results do not depend on the machine: each byte is read a fixed number of times,
and what could be more (the search for the partners of end tags) has a budget. Memory: a shard, its text, and the scratch of its
largest page (`scratch.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.ledger import KEPT, Ledger, LedgerJson
from skyloom.core.progress import Progress
from skyloom.core.records import EXTRACTED
from skyloom.core.store import Store
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.column import extract_column
from skyloom.corpus.extract.config import ExtractConfig
from skyloom.corpus.extract.own_extractor import extractor_version, own_pages
from skyloom.corpus.extract.rewrite.furniture import plain_headings, unmarked, without_furniture
from skyloom.corpus.extract.rewrite.mend import mended
from skyloom.corpus.extract.rewrite.prepare import prepared
from skyloom.corpus.extract.written_dates import iso
from skyloom.corpus.notices import noticed
from skyloom.corpus.sources import SourcePolicy
from skyloom.corpus.text import charset, clean, language


@dataclass(frozen=True)
class Extraction:
    """The text of a page: `blocks` in reading order with their `tags`, `title` and ISO `date` ("" if unknown).

    `reason` is None for a usable page, otherwise why there are no blocks: "empty", "no passages", "charset", "too large",
    "too many tags", "too much work" or "not HTML: " with what it is ("PDF", "image", "archive", "document", "program", "binary").
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
BROKEN_PAGE = "broken: no html"
"""The reason of a row that holds no page."""


def extract_html(data: bytes | str, *, declared: str | None = None, config: ExtractConfig = DEFAULT) -> Extraction:
    """The main text of one HTML page; `declared` is the charset that the transport named. Never raises on any input,
    but for an extractor of one's own that is not there or fails, see `extract_pages`.

    For many pages `extract_column` is faster: here the conversion to Python objects costs as much as the extraction.
    """
    if isinstance(data, str):
        data, declared = data.encode("utf-8", "replace"), "utf-8"  # lone surrogates are no text
    found = extract_pages(pa.array([data], pa.large_binary()), pa.array([declared], pa.string()), config)
    row = {name: found.column(name)[0].as_py() for name in found.column_names}
    return Extraction(tuple(row["blocks"]), tuple(row["tags"]), row["title"], row["date"], row["reason"])


def extract_pages(
    bodies: pa.Array | pa.ChunkedArray, declared: pa.Array | pa.ChunkedArray | None, config: ExtractConfig
) -> pa.Table:
    """`extract_column` with the settings of a config: columns `blocks`, `tags`, `title`, `date`, `reason`, a row for each page.

    With an extractor of one's own (`config.use`) the texts are its: ConfigError if it is not found or has no version,
    OwnFunctionError if it fails.
    """
    if config.use:
        column = bodies.combine_chunks() if isinstance(bodies, pa.ChunkedArray) else bodies
        charsets = pa.nulls(len(column), pa.string()) if declared is None else declared
        table = pa.table({"body": pc.fill_null(column.cast(pa.binary()), b""), "charset": charsets})
        return own_pages(table, config, extractor_version(config))
    found = extract_column(
        prepared(bodies, config.max_page_mb),
        declared,
        max_replaced=config.max_replaced,
        max_page_mb=config.max_page_mb,
        comments=config.comments,
    )
    return _cleaned(found)


def page_texts(found: pa.Table) -> pa.Table:
    """Each page's blocks as one text: `text` large_string, `title`, `date` (null where none is stated), `reason`."""
    texts = pc.binary_join(found["blocks"], "\n\n").cast(pa.large_string())
    dates = pc.if_else(pc.equal(found["date"], ""), pa.scalar(None, pa.string()), found["date"])
    return pa.table({"text": texts, "title": found["title"], "date": dates, "reason": found["reason"]})


def _cleaned(found: pa.Table) -> pa.Table:
    """The same without invisible characters, as plain text is cleaned, and without furniture; blocks of nothing else are gone."""
    blocks, tags = (found[name].combine_chunks() for name in ("blocks", "tags"))
    counts = pc.list_value_length(blocks).to_numpy()
    kinds = tags.flatten()
    listing = pc.equal(kinds, "pre").to_numpy(zero_copy_only=False)
    texts = clean(mended(blocks.flatten(), listing)).cast(pa.string())
    owners = np.repeat(np.arange(len(found)), counts)
    texts = plain_headings(texts, kinds, owners)
    seen = (pc.binary_length(texts).to_numpy(zero_copy_only=False) > 0) & without_furniture(texts, kinds, owners)
    if not seen.all():
        counts = np.bincount(owners[seen], minlength=len(found))
        texts, kinds = texts.filter(pa.array(seen)), kinds.filter(pa.array(seen))
        emptied = pa.array((counts == 0) & (pc.list_value_length(blocks).to_numpy() > 0))
        reasons = pc.if_else(emptied, "empty", found["reason"])
        found = found.set_column(found.schema.get_field_index("reason"), "reason", reasons)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    changed = {
        "blocks": pa.ListArray.from_arrays(offsets, texts), "tags": pa.ListArray.from_arrays(offsets, kinds),
        "title": unmarked(clean(mended(found["title"].combine_chunks(), np.zeros(len(found), bool))).cast(pa.string())),
    }  # fmt: skip
    return pa.table({name: changed.get(name, found[name]) for name in found.column_names})


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
    version = extractor_version(config)
    tasks = [
        Task(n.removeprefix("pages-").removesuffix(".parquet"), PageShard(pages, n, config, dict(policies), version)) for n in names
    ]
    ledger = Ledger()
    for result in engine.map(_extract_shard, tasks, out, progress=progress, label="extract"):
        ledger.add(Ledger.from_json(result))
    ledger.check()
    out.write_json("ledger.json", ledger.to_json())
    kept = ledger.totals("language").get(KEPT, (0, 0))
    progress.log(f"extract: {kept[0]:,} pages with {kept[1] / 1e6:.1f} MB of text")
    return ledger


@dataclass(frozen=True)
class PageShard:
    """What a task extracts: the shard `name` of `pages`; `version` is that of one's own extractor where the run was started."""

    pages: Store
    name: str
    config: ExtractConfig
    policies: dict[str, SourcePolicy]
    version: str = ""


def _extract_shard(task: Task[PageShard], out: Store) -> Done[LedgerJson]:
    config, policies = task.payload.config, task.payload.policies
    table = task.payload.pages.read_table(task.payload.name).combine_chunks()
    found = read_pages(table, config, task.payload.version)
    codes, scores = _languages(found, table.column("kind"))
    found = found.append_column("lang", pa.array(codes, pa.string())).append_column("lang_score", pa.array(scores, pa.float32()))
    ledger = Ledger()
    reasons = _settle(table, found, policies, ledger)
    licenses, metas = noticed(table, config.page_licenses)
    columns = {
        "license": licenses, "meta": metas,
        "title": _titles(found, table), "date": _dates(found, table), "lang": found["lang"], "lang_score": found["lang_score"],
        "blocks": found["blocks"], "tags": found["tags"], "reason": pa.array(reasons, pa.string()),
        "bytes_in": pc.cast(pc.binary_length(table["body"]), pa.int64()),
    }  # fmt: skip
    shard = pa.table({n: columns[n] if n in columns else table[n] for n in EXTRACTED.names}, schema=EXTRACTED)
    return Done((out.write_table(f"extracted-{task.key}.parquet", shard),), ledger.to_json())


def read_pages(table: pa.Table, config: ExtractConfig, version: str) -> pa.Table:
    """What is in each page: the columns of `extract_column`; rows with an error of their source are empty. `version`: that of one's
    own extractor, as `extractor_version` gave it where the run was started."""
    whole = table["error"].is_null().to_numpy()
    html = np.flatnonzero(whole & pc.equal(table["kind"], "html").to_numpy())
    plain = np.flatnonzero(whole & pc.not_equal(table["kind"], "html").to_numpy())
    lost = np.flatnonzero(~whole)
    columns = table.select(["body", "charset", "kind"])
    pages = columns.take(html)
    found = own_pages(table.take(html), config, version) if config.use else extract_pages(pages["body"], pages["charset"], config)
    parts = [found, _plain(columns.take(plain), config), _nothing(len(lost))]
    joined = pa.concat_tables(parts)
    return joined.take(np.argsort(np.concatenate([html, plain, lost]), kind="stable")).combine_chunks()


def _nothing(rows: int) -> pa.Table:
    """Rows without text."""
    none = pa.array([[]] * rows, pa.list_(pa.string()))
    blank = pa.array([""] * rows, pa.string())
    return pa.table({"blocks": none, "tags": none, "title": blank, "date": blank, "reason": pa.nulls(rows, pa.string())})


def _plain(table: pa.Table, config: ExtractConfig) -> pa.Table:
    """Text as its paragraphs, code as one verbatim block (tag "pre")."""
    texts, reasons = _decoded(table, config)
    texts = clean(texts).cast(pa.string())
    code = pc.equal(table["kind"], "code").to_numpy(zero_copy_only=False)
    paragraphs = pc.split_pattern_regex(texts, r"\n[ \t\x{3000}]*\n\s*")
    flat = pc.utf8_trim_whitespace(paragraphs.flatten())
    owner = np.repeat(np.arange(len(table)), pc.list_value_length(paragraphs).to_numpy())
    keep = (pc.utf8_length(flat).to_numpy(zero_copy_only=False) > 0) & ~code[owner]
    verbatim = pc.utf8_trim(texts, "\n")
    written = code & (pc.utf8_length(pc.utf8_trim_whitespace(verbatim)).to_numpy(zero_copy_only=False) > 0)
    order = np.argsort(np.concatenate([owner[keep], np.flatnonzero(written)]), kind="stable")
    blocks = pa.concat_arrays([flat.filter(pa.array(keep)), verbatim.filter(pa.array(written))]).take(pa.array(order))
    counts = np.bincount(owner[keep], minlength=len(table)) + written
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    tags = pa.array(np.where(np.repeat(code, counts), "pre", "p").tolist(), pa.string())
    empty = [None if count else "empty" for count in counts.tolist()]
    blank = pa.array([""] * len(table), pa.string())
    return pa.table({
        "blocks": pa.ListArray.from_arrays(offsets, blocks), "tags": pa.ListArray.from_arrays(offsets, tags), "title": blank,
        "date": blank, "reason": pc.coalesce(pa.array(reasons, pa.string()), pa.array(empty, pa.string())),
    })  # fmt: skip


def _decoded(table: pa.Table, config: ExtractConfig) -> tuple[pa.ChunkedArray, list[str | None]]:
    """The texts of plain files, "" where there is a reason not to read one."""
    sizes = pc.binary_length(table["body"]).to_numpy()
    states = charset.inspect_column(table["body"])
    limit = min(config.max_page_mb * 1e6, pg.LARGEST)
    reasons: list[str | None] = [None] * len(table)
    mended: dict[int, str] = {}
    for row in np.flatnonzero((states != charset.PLAIN) | (sizes > limit)).tolist():
        mended[row] = ""
        if sizes[row] > limit:
            reasons[row] = "too large"
            continue
        decoded = charset.decode(table["body"][row].as_py(), table["charset"][row].as_py())
        if decoded.replaced > config.max_replaced:
            reasons[row] = "charset"
            continue
        text = decoded.text.encode("utf-8", "replace")
        if len(text) > pg.LARGEST:
            reasons[row] = "too large"
        else:
            mended[row] = text.decode()
    bodies = table["body"]
    if mended:
        whole = pa.array([row not in mended for row in range(len(table))])
        texts = pa.array([mended.get(row) for row in range(len(table))], pa.string())
        bodies = pc.if_else(whole, bodies, None)
        return pc.coalesce(bodies.cast(pa.string()), pa.chunked_array([texts])), reasons
    return bodies.cast(pa.string()), reasons


_GIVEN = {"code": "code", "parallel": "en"}
"""Kinds of pages whose language is not asked: aligned text is in both, and counts as English like what the parallel step writes."""


def _languages(found: pa.Table, kinds: pa.ChunkedArray) -> tuple[list[str], list[float]]:
    """The language of each row with text, by its prose; "" for rows without text."""
    blocks, tags = (found[n].combine_chunks() for n in ("blocks", "tags"))
    counts = pc.list_value_length(blocks).to_numpy()
    owner = np.repeat(np.arange(len(found)), counts)
    prose = pc.not_equal(tags.flatten(), "pre").to_numpy(zero_copy_only=False)
    only_code = np.bincount(owner[prose], minlength=len(found)) == 0
    chosen = prose | only_code[owner]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[chosen], minlength=len(found)))]).astype(np.int32)
    texts = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), blocks.flatten().filter(pa.array(chosen))), "\n")
    codes, scores = language.identify(texts)
    given = [_GIVEN.get(kind) for kind in kinds.to_pylist()]
    names = [(fixed or name) if n else "" for name, fixed, n in zip(codes, given, counts.tolist(), strict=True)]
    return names, [(1.0 if fixed else float(s)) if n else 0.0 for s, fixed, n in zip(scores, given, counts.tolist(), strict=True)]


def _titles(found: pa.Table, table: pa.Table) -> pa.Array:
    """The page's own title, or the one that its source knows."""
    titles = found["title"].to_pylist()
    for row in [i for i, title in enumerate(titles) if not title]:
        titles[row] = json.loads(table["meta"][row].as_py()).get("title")
    return pa.array(titles, pa.string())


def _dates(found: pa.Table, table: pa.Table) -> pa.Array:
    """What the source says, in ISO 8601, else the page, else its URL."""
    known = {given: iso(given) for given in table["date"].unique().to_pylist() if given}
    dates = [
        known.get(given, "") or own or None for given, own in zip(table["date"].to_pylist(), found["date"].to_pylist(), strict=True)
    ]
    for row in [i for i, date in enumerate(dates) if date is None]:
        dates[row] = iso_date(table["url"][row].as_py()) or None
    return pa.array(dates, pa.string())


_DATE = re.compile(r"((?:19|20)\d\d)(?:-|/|年)(\d{1,2})(?:-|/|月)(\d{1,2})")


def iso_date(text: str) -> str:
    """The first date written year-month-day in a text (also 2023年6月30日) as ISO 8601, or ""."""
    match = _DATE.search(text)
    if match is None:
        return ""
    year, month, day = (int(g) for g in match.groups())
    return f"{year:04}-{month:02}-{day:02}" if 1 <= month <= 12 and 1 <= day <= 31 else ""


def _settle(table: pa.Table, found: pa.Table, policies: Mapping[str, SourcePolicy], ledger: Ledger) -> list[str | None]:
    """The first filter: post each row at each stage that it reached, and give one of an unwanted language its reason."""
    counts = pc.list_value_length(found["blocks"]).to_numpy()
    lengths = pc.binary_length(found["blocks"].combine_chunks().flatten()).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(found)), counts)
    texts = np.bincount(owner, lengths, minlength=len(found)).astype(int).tolist()
    sizes, reasons = pc.binary_length(table["body"]).to_pylist(), []
    rows = zip(
        *(table[n].to_pylist() for n in ("source", "error")), found["reason"].to_pylist(), found["lang"].to_pylist(), strict=True
    )
    for (source, error, reason, lang), size, text in zip(rows, sizes, texts, strict=True):
        ledger.enter("source", source, "", 1, size)
        ledger.post("source", source, "", error or KEPT, 1, size)
        if error is None:
            ledger.enter("extract", source, "", 1, text)
            ledger.post("extract", source, "", reason or KEPT, 1, text)
            if reason is None:
                policy = policies.get(source)
                if lang != "code" and policy is not None and lang not in policy.languages:
                    reason = f"language: {lang or 'no letters'}"
                ledger.enter("language", source, lang, 1, text)
                ledger.post("language", source, lang, reason or KEPT, 1, text)
        reasons.append(reason if error is None else error)
    return reasons
