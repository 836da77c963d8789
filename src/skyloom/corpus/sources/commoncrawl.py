"""Pages from Common Crawl: a chosen part of a crawl, fetched record by record into WARC files.

Input: a crawl (`CC-MAIN-2023-23`), domains, languages and a budget of pages. Output: a folder of `.warc.gz` files that the
source kind `warc` reads, with `plan.jsonl` (what was chosen) and `fetched.json` (what came of it). The crawl's index is asked
for each domain page by page, and each page's record is read by an HTTP range request, so a thousand pages cost a thousand small
requests and not an 80 TB crawl. Neither service is trusted: what it says is checked, and sizes, counts, hosts and time are bounded.

Both the plan and the files appear whole or not at all, and a second call goes on where the first was stopped: index answers are
kept, and a file of records that is there is not fetched again. The services are shared by many: requests go out one at a time
with a pause between them, and errors that pass (429, 5xx, lost connections) are tried again after growing pauses or what the server
asks for. A record that cannot be had is counted with its reason. Memory: one file of records (at most `pages_a_file`).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import quote, urlencode

from skyloom.core.config import plain, setting
from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.core.progress import Progress, ProgressTask
from skyloom.core.store import Store
from skyloom.corpus.sources.commoncrawl_http import CrawlClient, HttpError, crawl_name, origin
from skyloom.corpus.sources.commoncrawl_index import FIELDS, CrawlRecord, page_count, read_records

PLAN, FETCHED, INDEX, REFUSED = "plan.jsonl", "fetched.json", "index", "refused.json"
_HTML = ("text/html", "application/xhtml+xml")
_NAMES = {"en": "eng", "zh": "zho", "zh-Hans": "zho", "zh-Hant": "zho"}  # the index tells languages, not scripts

_PIECE = 1 << 16
_FREE, _RATIO = 1 << 20, 300  # a record may unpack to a megabyte, and to so many times its size


@dataclass(frozen=True)
class CrawlConfig:
    """What to fetch of which crawl."""

    crawl: str = setting(doc="the crawl, for example CC-MAIN-2023-23")
    domains: tuple[str, ...] = setting(doc="domains with all their hosts (example.org), or parts of a site (example.org/docs/)")
    languages: tuple[str, ...] = setting(
        ("en", "zh-Hans"), doc="languages to take; en, zh-Hans, zh-Hant or an ISO 639-3 code; none: all"
    )
    pages: int = setting(1_000, doc="fetch at most so many pages, spread evenly over the domains", unit="pages", low=1)
    pages_a_file: int = setting(500, doc="write so many pages into one WARC file", unit="pages", low=1, high=100_000)
    max_record_mb: float = setting(8.0, doc="pass over larger records, as they are packed", unit="MB", low=0.001, high=1000)
    pause_s: float = setting(0.2, doc="pause between requests", unit="s", low=0, identity=False)
    retries: int = setting(6, doc="try a request again so often", low=0, high=20, identity=False)
    timeout_s: float = setting(60.0, doc="give up waiting for an answer after", unit="s", low=0.1, identity=False)
    hours: float = setting(24.0, doc="stop after so long; the same command goes on", unit="h", low=0.1, identity=False)
    index_url: str = setting("https://index.commoncrawl.org", doc="where the index is asked", identity=False)
    data_url: str = setting("https://data.commoncrawl.org", doc="where records are read", identity=False)

    def __post_init__(self) -> None:
        if not self.domains:
            raise ConfigError("name at least one domain, for example --domain example.org")
        for domain in self.domains:
            if not domain.strip("/*. ") or not domain.isprintable() or " " in domain or "://" in domain:
                raise ConfigError(f"{domain!r} is no domain: write it as example.org or example.org/docs/")
        crawl_name(self.crawl)
        for key, url in (("index_url", self.index_url), ("data_url", self.data_url)):
            if origin(url) is None or "?" in url or "#" in url:
                raise ConfigError(f"{key} {url!r} is no address of a web server: write it as https://example.org/path, in ASCII")


class CrawlReceipt(TypedDict):
    """What came of one WARC file: counts, and of what failed a count by reason."""

    pages: int
    bytes: int
    failed: dict[str, int]


class CrawlSummary(CrawlReceipt):
    """`fetched.json`."""

    crawl: str
    files: int


def fetch_common_crawl(config: CrawlConfig, out: Store, *, progress: Progress) -> CrawlSummary:
    """Fetch what the config asks for into `out`; returns what is also written to `fetched.json`: `pages`, `bytes`, `files`, and
    `failed`, a count by reason, of pages and of lines of the index.

    ConfigError if `out` holds the fetch of another config, DataError if the index knows no such page or says what cannot be,
    StorageError if a service cannot be reached at all, or the time is over.
    """
    _same_config(config, out)
    services = (config.index_url, config.data_url)
    client = CrawlClient(config.pause_s, config.retries, config.timeout_s, services=services, seconds=config.hours * 3600)
    plan = _plan(config, out, client, progress)
    groups = [plan[i : i + config.pages_a_file] for i in range(0, len(plan), config.pages_a_file)]
    failed: Counter[str] = Counter(out.read_json(REFUSED) if out.exists(REFUSED) else {})
    pages = size = 0
    with progress.task("fetch pages", len(plan), "pages") as bar:
        for number, group in enumerate(groups):
            name = f"warc-{number:05d}.warc.gz"
            receipt = f"receipts/{name}.json"
            if out.exists(receipt) and out.exists(name):
                result: CrawlReceipt = out.read_json(receipt)
                bar.resume(len(group))
            else:
                result = _fetch_group(group, name, config, out, client, bar)
                if result["pages"]:
                    out.write_json(receipt, result)
                else:  # a file of nothing is no file, and another call may have more luck
                    out.remove(name)
            failed.update(result["failed"])
            pages, size = pages + result["pages"], size + result["bytes"]
    if not pages:
        raise DataError(f"none of the {len(plan):,} pages could be fetched: {_reasons(failed)}; try again later")
    summary: CrawlSummary = {
        "crawl": config.crawl,
        "pages": pages,
        "bytes": size,
        "files": len(groups),
        "failed": dict(sorted(failed.items())),
    }
    out.write_json(FETCHED, summary)
    lost = f", without {sum(failed.values()):,} ({_reasons(failed)})" if failed else ""
    progress.log(f"{config.crawl}: {pages:,} pages, {size / 1e6:.1f} MB packed, in {len(groups):,} files{lost}")
    return summary


def _reasons(failed: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in failed.most_common(3))


def _same_config(config: CrawlConfig, out: Store) -> None:
    """Remember what this folder is a fetch of; a folder must not mix two."""
    mine = plain(config, identity_only=True)
    if out.exists("config.json"):
        theirs = out.read_json("config.json")
        if theirs != json.loads(json.dumps(mine)):
            changed = sorted(k for k in mine if theirs.get(k) != json.loads(json.dumps(mine[k])))
            raise ConfigError(f"{out.root} holds another fetch ({', '.join(changed)} differ); give another folder")
    else:
        out.write_json("config.json", mine)


def _plan(config: CrawlConfig, out: Store, client: CrawlClient, progress: Progress) -> list[CrawlRecord]:
    """The records to fetch, in the order of the archive, so that neighbours in one file are read one after the other."""
    if not out.exists(PLAN):
        refused: Counter[str] = Counter()
        try:
            found = {d: _captures(d, config, out, client, refused, progress) for d in dict.fromkeys(config.domains)}
        except HttpError as problem:
            raise StorageError(f"the index at {config.index_url} refuses: {problem}; run it again later to go on") from problem
        chosen = _chosen(found, config.pages)
        if not chosen:
            wanted = ", ".join(config.languages) or "any language"
            lines = f" (of the index's lines: {_reasons(refused)})" if refused else ""
            domains = ", ".join(config.domains)
            raise DataError(f"{config.crawl} has no pages in {wanted} of {domains}{lines}: check crawl and domains")
        chosen.sort(key=lambda r: (r["filename"], int(r["offset"])))
        if refused:
            out.write_json(REFUSED, dict(sorted(refused.items())))
        with out.writing(PLAN) as file:
            for record in chosen:
                file.write((json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n").encode())
        out.remove(INDEX)
    return list(out.read_json_lines(PLAN))


def _chosen(found: dict[str, list[CrawlRecord]], pages: int) -> list[CrawlRecord]:
    """At most `pages` records, as evenly from the domains as these have them, of each the first by a hash of the URL.

    A URL is taken once, whichever domains it belongs to and however often it was captured.
    """
    queues = [sorted(records, key=lambda r: _hash(r["url"])) for records in found.values()]
    chosen: dict[str, CrawlRecord] = {}
    place = 0
    while len(chosen) < pages and any(place < len(q) for q in queues):
        for queue in queues:
            if place < len(queue) and len(chosen) < pages:
                chosen.setdefault(queue[place]["url"], queue[place])
        place += 1
    return list(chosen.values())


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class _IndexPage(TypedDict):
    """What is kept of an answer of the index until all were asked: records to choose from, and a count of lines that are none."""

    records: list[CrawlRecord]
    refused: dict[str, int]


def _captures(
    domain: str, config: CrawlConfig, out: Store, client: CrawlClient, refused: Counter[str], progress: Progress
) -> list[CrawlRecord]:
    """The index's records of a domain that can be taken, asked page by page until there are enough; adds to `refused`."""
    base = f"{config.index_url.rstrip('/')}/{config.crawl}-index"
    ask = {"url": domain if "/" in domain else f"*.{domain.lstrip('*.')}", "output": "json"}
    if "/" in domain:
        ask |= {"matchType": "prefix", "url": domain.rstrip("*")}
    count = page_count(client.get(f"{base}?{urlencode({**ask, 'showNumPages': 'true'})}", absent=b'{"pages": 0}'), domain)
    filters = [("filter", "=status:200"), ("fl", ",".join(FIELDS))]
    found: list[CrawlRecord] = []
    with progress.task(f"index of {domain}", count, "pages") as bar:
        for number in range(count):
            name = f"{INDEX}/{_hash(domain)}-{number:05d}.json"
            if out.exists(name):
                page: _IndexPage = out.read_json(name)
            else:
                answer = client.get(f"{base}?{urlencode([*ask.items(), *filters, ('page', number)])}", absent=b"")
                records, wrong = read_records(answer)
                page = {"records": [r for r in records if _wanted(r, config)], "refused": dict(wrong)}
                out.write_json(name, page)
            found += page["records"]
            refused.update(page["refused"])
            bar.advance()
            if len(found) >= config.pages:
                break
    return found


def _wanted(record: CrawlRecord, config: CrawlConfig) -> bool:
    """The filters again, since not every index server applies them."""
    if record.get("status", "200") != "200" or record.get("mime-detected", _HTML[0]) not in _HTML:
        return False
    if int(record["length"]) > config.max_record_mb * 1e6:
        return False
    wanted = {_NAMES.get(name, name) for name in config.languages}
    told = [name for name in record.get("languages", "").split(",") if name]
    return not wanted or bool(wanted & set(told[:1]))  # the first is the page's main language


def _fetch_group(
    group: list[CrawlRecord], name: str, config: CrawlConfig, out: Store, client: CrawlClient, bar: ProgressTask
) -> CrawlReceipt:
    """Write one WARC file, whole; returns its counts."""
    failed: Counter[str] = Counter()
    pages = size = 0
    with out.writing(name) as file:
        for record in group:
            try:
                member = _member(record, config, client)
            except (HttpError, IntegrityError) as problem:
                if isinstance(problem, HttpError) and problem.passing:
                    raise StorageError(
                        f"{config.data_url}: {problem}, after {config.retries} more tries; run it again to go on"
                    ) from problem
                failed[str(problem)] += 1
            else:
                file.write(member)
                pages, size = pages + 1, size + len(member)
            bar.advance()
    return {"pages": pages, "bytes": size, "failed": dict(failed)}


def _member(record: CrawlRecord, config: CrawlConfig, client: CrawlClient) -> bytes:
    """The gzip member of a record. IntegrityError if what came is not one whole member with a WARC record, or a bomb."""
    start, length = int(record["offset"]), int(record["length"])
    data = client.get(f"{config.data_url.rstrip('/')}/{quote(record['filename'])}", first=start, length=length)
    inflate = zlib.decompressobj(31)
    head, size = b"", 0
    for place in range(0, len(data), _PIECE):
        packed = data[place : place + _PIECE]
        while True:
            try:
                unpacked = inflate.decompress(packed, _FREE)
            except zlib.error as problem:
                raise IntegrityError("record is damaged") from problem
            head, size, packed = (head + unpacked[:5])[:5], size + len(unpacked), inflate.unconsumed_tail
            if size > _FREE and size > _RATIO * len(data):
                raise IntegrityError("record is a decompression bomb")
            if len(unpacked) < _FREE and not packed:
                break
        if inflate.eof and (inflate.unused_data or place + _PIECE < len(data)):
            raise IntegrityError("record is not whole")
    if not inflate.eof or not head.startswith(b"WARC/"):
        raise IntegrityError("record is not whole")
    return data
