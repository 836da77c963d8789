"""Pages from Common Crawl: a chosen part of a crawl, fetched record by record into WARC files.

Input: a crawl (`CC-MAIN-2023-23`), domains, languages and a budget of pages. Output: a folder of `.warc.gz` files that the
source kind `warc` reads, with `plan.jsonl` (what was chosen) and `fetched.json` (what came of it). The crawl's index is asked
for each domain page by page, and each page's record is read by an HTTP range request, so a thousand pages cost a thousand small
requests and not an 80 TB crawl.

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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlencode

from skyloom.core.config import plain, setting
from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.core.progress import Progress, ProgressTask
from skyloom.core.store import Store
from skyloom.corpus.sources.commoncrawl_http import CrawlClient, HttpError

PLAN, FETCHED, INDEX = "plan.jsonl", "fetched.json", "index"
_FIELDS = ("url", "timestamp", "status", "mime-detected", "languages", "digest", "length", "offset", "filename")
_HTML = ("text/html", "application/xhtml+xml")
_NAMES = {"en": "eng", "zh": "zho", "zh-Hans": "zho", "zh-Hant": "zho"}  # the index tells languages, not scripts


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
    index_url: str = setting("https://index.commoncrawl.org", doc="where the index is asked", identity=False)
    data_url: str = setting("https://data.commoncrawl.org", doc="where records are read", identity=False)

    def __post_init__(self) -> None:
        if not self.domains:
            raise ConfigError("name at least one domain, for example --domain example.org")
        for domain in self.domains:
            if not domain.strip("/*. ") or any(c.isspace() for c in domain) or "://" in domain:
                raise ConfigError(f"'{domain}' is no domain: write it as example.org or example.org/docs/")
        if not self.crawl or "/" in self.crawl:
            raise ConfigError(f"'{self.crawl}' is no crawl: write it as CC-MAIN-2023-23")


CrawlRecord = dict[str, str]
"""What the index says of a page: `url`, `filename`, `offset`, `length` and more, all of it text."""


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
    `failed`, a count by reason.

    ConfigError if `out` holds the fetch of another config, DataError if the index knows no such page, StorageError if a
    service cannot be reached at all.
    """
    _same_config(config, out)
    client = CrawlClient(config.pause_s, config.retries, config.timeout_s)
    plan = _plan(config, out, client, progress)
    groups = [plan[i : i + config.pages_a_file] for i in range(0, len(plan), config.pages_a_file)]
    failed: Counter[str] = Counter()
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
        try:
            found = {d: _captures(d, config, out, client, progress) for d in dict.fromkeys(config.domains)}
        except HttpError as problem:
            raise StorageError(f"the index at {config.index_url} refuses: {problem}; run it again later to go on") from problem
        chosen = _chosen(found, config.pages)
        if not chosen:
            wanted = ", ".join(config.languages) or "any language"
            raise DataError(f"{config.crawl} has no pages in {wanted} of {', '.join(config.domains)}: check crawl and domains")
        chosen.sort(key=lambda r: (r["filename"], int(r["offset"])))
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


def _captures(domain: str, config: CrawlConfig, out: Store, client: CrawlClient, progress: Progress) -> list[CrawlRecord]:
    """The index's records of a domain that can be taken, asked page by page until there are enough."""
    base = f"{config.index_url.rstrip('/')}/{config.crawl}-index"
    ask = {"url": domain if "/" in domain else f"*.{domain.lstrip('*.')}", "output": "json"}
    if "/" in domain:
        ask |= {"matchType": "prefix", "url": domain.rstrip("*")}
    count = _page_count(client, f"{base}?{urlencode({**ask, 'showNumPages': 'true'})}", domain)
    filters = [("filter", "=status:200"), ("fl", ",".join(_FIELDS))]
    found: list[CrawlRecord] = []
    with progress.task(f"index of {domain}", count, "pages") as bar:
        for page in range(count):
            name = f"{INDEX}/{_hash(domain)}-{page:05d}.jsonl"
            if not out.exists(name):
                answer = client.get(f"{base}?{urlencode([*ask.items(), *filters, ('page', page)])}", absent=b"")
                with out.writing(name) as file:
                    file.write(answer)
            found += [r for r in _records(out.read_bytes(name)) if _wanted(r, config)]
            bar.advance()
            if len(found) >= config.pages:
                break
    return found


def _page_count(client: CrawlClient, url: str, domain: str) -> int:
    answer = client.get(url, absent=b'{"pages": 0}')
    try:
        told = json.loads(answer)
        return int(told["pages"] if isinstance(told, dict) else told)
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(f"the index does not say how many pages it has for {domain}: {answer[:80]!r}; check index_url") from problem


def _records(answer: bytes) -> Iterator[CrawlRecord]:
    """The JSON lines of an answer that are records."""
    for line in answer.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the index writes a line of plain text where it breaks off
        if isinstance(record, dict) and {"url", "filename", "offset", "length"} <= record.keys():
            yield {k: str(record[k]) for k in _FIELDS if k in record}


def _wanted(record: CrawlRecord, config: CrawlConfig) -> bool:
    """The filters again, since not every index server applies them."""
    if record.get("status", "200") != "200" or record.get("mime-detected", _HTML[0]) not in _HTML:
        return False
    if not (record["offset"].isdigit() and record["length"].isdigit() and 0 < int(record["length"]) <= config.max_record_mb * 1e6):
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
    """The gzip member of a record. IntegrityError if what came is not one whole member with a WARC record."""
    start, length = int(record["offset"]), int(record["length"])
    data = client.get(f"{config.data_url.rstrip('/')}/{record['filename']}", first=start, length=length)
    inflate = zlib.decompressobj(31)
    try:
        head = inflate.decompress(data, 5)
        while not inflate.eof and (inflate.unconsumed_tail):
            inflate.decompress(inflate.unconsumed_tail, 1 << 20)
    except zlib.error as problem:
        raise IntegrityError("record is damaged") from problem
    if not inflate.eof or inflate.unused_data or not head.startswith(b"WARC/"):
        raise IntegrityError("record is not whole")
    return data
