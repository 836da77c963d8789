"""Whole archives of a crawl by its path lists: downloaded side by side, resumed, and checked.

Input: a list of paths (`warc.paths.gz`), and which segments and archives of it. Output: a folder of these archives, which the
source kinds `warc` and `wet` read, with `plan.jsonl` (what was chosen), a receipt for each archive with its size and SHA-256, and
`fetched.json` (what came of it). An archive appears under its name only when it is whole: what has come of it so far lies in
`.parts/`, and a later try asks for the rest by a range, if the server still has the same file (`If-Range`).

Three things are checked: the size that the server told, that the whole file unpacks (each gzip member has a checksum of its own),
and a checksum where the list or the answer gives one (`Content-MD5`, `Digest`, `Repr-Digest`, `x-amz-checksum-sha256`). A file that
fails is fetched once more from the beginning, then counted with its reason. Errors that pass are tried again by each connection
with growing pauses. Memory: a megabyte for each connection.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import queue
import re
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from skyloom.core.config import plain, setting
from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.core.progress import Progress, ProgressTask
from skyloom.core.store import Store
from skyloom.corpus.sources.commoncrawl_http import CrawlClient, HttpError, crawl_name, origin
from skyloom.corpus.sources.commoncrawl_paths import LARGEST, Archive, chosen_archives, read_numbers

PLAN, FETCHED, PARTS, REFUSED = "plan.jsonl", "fetched.json", ".parts", "refused.json"
_PIECE = 1 << 20
_USEFUL = 1 << 20  # bytes by which a try that was broken off must have come further than all before to count as one of use
_RATIO = 300
_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_SHA256 = re.compile(r"sha-256=:?([A-Za-z0-9+/]{43}=):?", re.IGNORECASE)


@dataclass(frozen=True)
class ArchivesConfig:
    """Which archives of a crawl to fetch."""

    crawl: str = setting(doc="the crawl, for example CC-MAIN-2023-23")
    paths: str = setting(doc="the list of paths: a file here, or a name in the crawl (warc.paths.gz, wet.paths.gz)", identity=False)
    segments: str = setting("", doc="segments to take, by number from 0 in the order of the list: 0-9 or 0-9,20; empty: all")
    files: str = setting("", doc="archives to take of these, by number from 0 in the order of the list; empty: all")
    connections: int = setting(4, doc="download so many archives at the same time", low=1, high=64, identity=False)
    unpack: bool = setting(True, doc="check that each archive unpacks from its beginning to its end", identity=False)
    max_file_gb: float = setting(10.0, doc="pass over larger archives", unit="GB", low=0.000001, high=1000, identity=False)
    pause_s: float = setting(0.2, doc="pause of a connection between its requests", unit="s", low=0, identity=False)
    retries: int = setting(6, doc="try a request again so often", low=0, high=20, identity=False)
    timeout_s: float = setting(60.0, doc="give up waiting for an answer after", unit="s", low=0.1, identity=False)
    hours: float = setting(24.0, doc="stop after so long; the same command goes on", unit="h", low=0.1, identity=False)
    data_url: str = setting("https://data.commoncrawl.org", doc="where archives are read", identity=False)

    def __post_init__(self) -> None:
        crawl_name(self.crawl)
        read_numbers(self.segments, "segments"), read_numbers(self.files, "files")
        if origin(self.data_url) is None or "?" in self.data_url or "#" in self.data_url:
            raise ConfigError(f"data_url {self.data_url!r} is no address of a web server: write it as https://example.org/path")


class ArchiveReceipt(TypedDict):
    """What came of an archive."""

    path: str
    bytes: int
    sha256: str


class ArchivesSummary(TypedDict):
    """`fetched.json`; `failed`: archives that could not be had, and lines of the list that are no paths, by reason."""

    crawl: str
    files: int
    bytes: int
    failed: dict[str, int]


def fetch_archives(config: ArchivesConfig, out: Store, *, progress: Progress) -> ArchivesSummary:
    """Fetch the archives into the local folder `out`; returns what is also written to `fetched.json`.

    ConfigError if `out` is not local or holds another fetch, DataError if the list names nothing that is wanted or nothing could be
    had, StorageError if the service cannot be reached, keeps refusing or the time is over: the same call goes on where it stopped.
    """
    if not out.local:
        raise ConfigError(f"{out.root}: archives are resumed where they broke off, which needs a local folder; copy it from there")
    out.prepare()
    archives = _plan(config, out)
    failed: Counter[str] = Counter(out.read_json(REFUSED) if out.exists(REFUSED) else {})
    waiting = [a for a in archives if not _is_done(a, out)]
    with progress.task("fetch archives", len(archives), "files") as bar:
        bar.resume(len(archives) - len(waiting))
        failed.update(_Fetch(config, out, waiting, bar).run())
    receipts: list[ArchiveReceipt] = [out.read_json(_receipt(a)) for a in archives if _is_done(a, out)]
    if not receipts:
        raise DataError(f"none of the {len(archives):,} archives could be fetched: {_reasons(failed)}; try again later")
    summary: ArchivesSummary = {
        "crawl": config.crawl,
        "files": len(receipts),
        "bytes": sum(receipt["bytes"] for receipt in receipts),
        "failed": dict(sorted(failed.items())),
    }
    out.write_json(FETCHED, summary)
    with contextlib.suppress(OSError):
        out.path(PARTS).rmdir()
    lost = f", without {sum(failed.values()):,} ({_reasons(failed)})" if failed else ""
    progress.log(f"{config.crawl}: {summary['files']:,} archives, {summary['bytes'] / 1e6:,.1f} MB{lost}")
    return summary


def _reasons(failed: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in failed.most_common(3))


def _receipt(archive: Archive) -> str:
    return f"receipts/{archive.name}.json"


def _is_done(archive: Archive, out: Store) -> bool:
    """Whether an archive is there, of the size of its receipt."""
    if not out.exists(_receipt(archive)) or not out.exists(archive.name):
        return False
    return bool(out.read_json(_receipt(archive))["bytes"] == out.path(archive.name).stat().st_size)


def _plan(config: ArchivesConfig, out: Store) -> list[Archive]:
    """The archives to fetch; what was chosen once stands in `plan.jsonl`, so that a later call asks for no list again."""
    local = Path(config.paths)
    data = local.read_bytes() if local.is_file() else None
    mine = plain(config, identity_only=True) | {
        "list": hashlib.sha256(data).hexdigest() if data is not None else f"{config.crawl}/{config.paths}"
    }
    if out.exists("config.json"):
        theirs = out.read_json("config.json")
        if theirs != mine:
            changed = sorted(k for k in {*mine, *theirs} if theirs.get(k) != mine.get(k))
            raise ConfigError(f"{out.root} holds another fetch ({', '.join(changed)} differ); give another folder")
    if not out.exists(PLAN):
        archives, refused = chosen_archives(_list(config) if data is None else data, config.segments, config.files, config.paths)
        out.write_json("config.json", mine)
        if refused:
            out.write_json(REFUSED, refused)
        with out.writing(PLAN) as file:
            for archive in archives:
                file.write((json.dumps([archive.path, archive.name, archive.checksum], ensure_ascii=False) + "\n").encode())
    return [Archive(*row) for row in out.read_json_lines(PLAN)]


def _list(config: ArchivesConfig) -> bytes:
    """A list from the service. ConfigError if it has none of that name."""
    if not re.fullmatch(r"[\w-][\w.-]{0,199}", config.paths):
        raise ConfigError(f"{config.paths} is not there, and no name of a list either: give a file, or warc.paths.gz")
    url = f"{config.data_url.rstrip('/')}/crawl-data/{config.crawl}/{quote(config.paths)}"
    try:
        return _client(config).get(url, most=LARGEST)
    except HttpError as problem:
        if problem.status in (403, 404):
            raise ConfigError(f"{config.paths} is no file here, and {url} gives status {problem.status}") from problem
        raise StorageError(f"{url}: {problem}; run it again later") from problem


def _client(config: ArchivesConfig, stop: threading.Event | None = None) -> CrawlClient:
    return CrawlClient(
        config.pause_s, config.retries, config.timeout_s, services=(config.data_url,), seconds=config.hours * 3600, stop=stop
    )


@dataclass
class _Fetch:
    """The connections of one call, each a thread that takes archives from a queue until none is left or one of them gives up."""

    config: ArchivesConfig
    out: Store
    archives: list[Archive]
    bar: ProgressTask
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Counter[str]:
        """Archives that could not be had, by reason. Raises what made a connection give up."""
        waiting: queue.SimpleQueue[Archive] = queue.SimpleQueue()
        told: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()
        for archive in self.archives:
            waiting.put(archive)
        count = min(self.config.connections, len(self.archives))
        threads = [threading.Thread(target=self._connection, args=(waiting, told), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        failed: Counter[str] = Counter()
        try:
            for _ in self.archives:
                result = told.get()
                if isinstance(result, BaseException):
                    raise result
                failed.update([result] if result else [])
                self.bar.advance()
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(1.0)  # one that waits for a server ends with the program
        return failed

    def _connection(self, waiting: queue.SimpleQueue[Archive], told: queue.SimpleQueue[str | BaseException]) -> None:
        client = _client(self.config, self.stop)
        while not self.stop.is_set():
            try:
                archive = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                told.put(_fetched(archive, self.config, self.out, client, self.stop))
            except BaseException as problem:  # told to whoever waits, and raised there
                told.put(problem)
                return


def _fetched(archive: Archive, config: ArchivesConfig, out: Store, client: CrawlClient, stop: threading.Event) -> str:
    """Fetch, check and put an archive in its place; "" or why it cannot be had."""
    part, why = _Part(archive, config, out, stop), ""
    for _ in range(2):  # what came damaged is fetched once more, from its beginning
        try:
            part.fetch(client)
            digest = part.check()
        except IntegrityError as problem:
            part.clear()
            why = str(problem)
            continue
        except HttpError as problem:
            if part.broke_off and problem.passing:  # this archive does, not the service; a later call goes on where it ended
                return "breaks off"
            if problem.passing:
                tries = f"after {config.retries} more tries"
                raise StorageError(f"{config.data_url}: {problem}, {tries}; run it again to go on") from problem
            part.clear()
            return str(problem)
        part.place(digest)
        return ""
    return why


class _StoppedError(StorageError):
    """Another connection gave up."""


class _Part:
    """What has come of an archive, in `.parts/`: the bytes, and beside them which file of the server they are of."""

    def __init__(self, archive: Archive, config: ArchivesConfig, out: Store, stop: threading.Event) -> None:
        self._archive, self._out, self._stop, self._unpack = archive, out, stop, config.unpack
        self._url = f"{config.data_url.rstrip('/')}/{quote(archive.path)}"
        self._most = int(config.max_file_gb * 1e9)
        self._file, self._about = out.path(f"{PARTS}/{archive.name}"), out.path(f"{PARTS}/{archive.name}.json")
        self._best = 0  # bytes to which the tries before the last came: a server without ranges begins anew each time
        self.broke_off = False  # whether the answer of the last try ended too early
        self._told: dict[str, str] = {}
        with _Writing(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._told = {str(k): str(v) for k, v in json.loads(self._about.read_text()).items()}

    def clear(self) -> None:
        self._file.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)
        self._told = {}

    @property
    def _size(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0

    def fetch(self, client: CrawlClient) -> None:
        """Until the whole file is here. HttpError if it cannot be had, IntegrityError if what comes is not as the server says."""
        if self._size and self._told.get("size") == str(self._size):
            return  # it came whole, and was not checked
        for _ in range(2):
            self._best = 0
            try:
                client.ask(self._url, self._headers, self._take, self._most, moved=self._moved)
                return
            except HttpError as problem:
                if problem.status != 416:
                    raise
                self.clear()  # the file of the server ends before the part does, or before it said
        raise HttpError("wrong length")

    def _headers(self) -> dict[str, str]:
        self._best, self.broke_off = max(self._best, self._size), False
        tag, size = self._told.get("tag", ""), self._size
        return {"Range": f"bytes={size}-", "If-Range": tag} if size and tag else {}

    def _moved(self) -> bool:
        return self._size - self._best >= _USEFUL

    def _take(self, answer: http.client.HTTPResponse) -> None:
        """Write an answer behind what is here, or anew if it is the whole file."""
        self.broke_off = True
        size = self._begin(answer)
        if size > self._most:
            raise HttpError("archive is too large")
        while got := answer.read(_PIECE):
            if self._stop.is_set():
                raise _StoppedError("stopped")
            with _Writing(self._file), open(self._file, "ab") as file:
                file.write(got)
            if self._size > self._most:
                raise HttpError("archive is too large")
            if size and self._size > size:
                raise IntegrityError("longer than the server says")
        if answer.length or (size and self._size < size):
            raise http.client.IncompleteRead(b"", size - self._size)
        self.broke_off = False

    def _begin(self, answer: http.client.HTTPResponse) -> int:
        """Empty the part if the answer is the whole file. The size of the whole file, 0 if the server does not tell it."""
        here = self._size
        if answer.status == 206:
            found = _RANGE.fullmatch(answer.headers.get("Content-Range") or "")
            if found is None or int(found[1]) != here or self._told.get("size", found[3]) not in ("0", found[3]):
                self.clear()
                raise http.client.BadStatusLine("another range than was asked for")
            with _Writing(self._file):
                self._file.touch()
            return int(found[3])
        with _Writing(self._file):  # before the new tag is written, so that new bytes never come behind old ones
            self._file.write_bytes(b"")
        length = answer.headers.get("Content-Length") or ""
        size = int(length) if re.fullmatch("[0-9]{1,15}", length) else 0
        tag = answer.headers.get("ETag") or ""
        self._told = {
            "tag": tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified") or "",
            "size": str(size),
            **_checksums(answer.headers),
        }
        with _Writing(self._about):
            self._about.write_text(json.dumps(self._told))
        return size

    def check(self) -> str:
        """The SHA-256 of what came. IntegrityError if it is not a whole archive, or not the one of the checksums."""
        given = (
            [("sha256" if len(self._archive.checksum) == 64 else "md5", self._archive.checksum)] if self._archive.checksum else []
        )
        given += [(kind, self._told[kind]) for kind in ("sha256", "md5") if kind in self._told]
        digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
        unpacking = _Unpacking() if self._unpack and self._archive.name.endswith(".gz") else None
        with open(self._file, "rb") as file:
            while piece := file.read(_PIECE):
                if self._stop.is_set():
                    raise _StoppedError("stopped")
                for kind in {"sha256", *(kind for kind, _ in given)}:
                    digests[kind].update(piece)
                if unpacking is not None:
                    unpacking.take(piece)
        if any(digests[kind].hexdigest() != digest for kind, digest in given):
            raise IntegrityError("checksum differs")
        if unpacking is not None:
            unpacking.end()
        return digests["sha256"].hexdigest()

    def place(self, digest: str) -> None:
        """Put the checked file in its place, with its receipt."""
        size = self._size
        final = self._out.path(self._archive.name)
        with _Writing(final):
            with open(self._file, "rb") as file:
                os.fsync(file.fileno())
            os.replace(self._file, final)
        receipt: ArchiveReceipt = {"path": self._archive.path, "bytes": size, "sha256": digest}
        self._out.write_json(_receipt(self._archive), receipt)
        self.clear()


class _Writing(contextlib.AbstractContextManager[None]):
    """Errors of our own disk are told as such: they are no lost connections."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, OSError):
            raise StorageError(f"cannot write {self._path}: {problem.strerror or problem}") from problem


class _Unpacking:
    """Unpacks gzip members one behind the other, for their checksums. IntegrityError if they are damaged."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)
        self._packed = self._size = 0
        self._inside = False

    def take(self, piece: bytes) -> None:
        self._packed += len(piece)
        while piece:
            try:
                self._size += len(self._inflate.decompress(piece, _PIECE))
            except zlib.error as problem:
                raise IntegrityError("does not unpack") from problem
            if self._size > _PIECE and self._size > _RATIO * self._packed:
                raise IntegrityError("decompression bomb")
            self._inside = not self._inflate.eof
            piece = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(31)

    def end(self) -> None:
        if self._inside or not self._packed:
            raise IntegrityError("ends inside a gzip member" if self._packed else "is empty")


def _checksums(headers: http.client.HTTPMessage) -> dict[str, str]:
    """The checksums of the whole file that an answer gives, as hex."""
    found = {}
    sha = _SHA256.search(f"{headers.get('Repr-Digest') or ''} {headers.get('Digest') or ''}")
    told = sha[1] if sha else headers.get("x-amz-checksum-sha256") or ""
    for kind, text, size in (("sha256", told, 32), ("md5", headers.get("Content-MD5") or "", 16)):
        with contextlib.suppress(ValueError):
            digest = base64.b64decode(text.strip(), validate=True)
            if len(digest) == size:
                found[kind] = digest.hex()
    return found
