"""Pages from files: HTML folders, JSON lines, Parquet, plain text, code; WARC and WET are read by `sources_warc`.

What enters is a path or any fsspec URL, what leaves are PAGE rows, in the order of the file names and of the records in
them. The kind of a source is decided by what its files hold, not by what they are called.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import re
import sysconfig
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from skyloom.core.errors import DataError, StorageError
from skyloom.core.records import record_id

FILES_A_TASK = 400
_WHOLE = 8 << 20  # bytes up to which a file is fingerprinted whole
_EDGE = 1 << 20
BROKEN = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a damaged or cut file raises."""
_NAMES = {
    "html": re.compile(r"\.x?html?$", re.IGNORECASE),
    "warc": re.compile(r"\.warc(\.gz|\.zst)?$", re.IGNORECASE),
    "wet": re.compile(r"\.(warc\.wet|wet)(\.gz)?$", re.IGNORECASE),
    "jsonl": re.compile(r"\.(jsonl?|ndjson)(\.gz|\.zst)?$", re.IGNORECASE),
    "parquet": re.compile(r"\.parquet$", re.IGNORECASE),
    "text": re.compile(r"\.(txt|md|rst|text)$", re.IGNORECASE),
}


@dataclass(frozen=True)
class About:
    """What every row of a source shares. `max_body` is in bytes."""

    source: str
    category: str
    license: str | None
    max_body: int


@dataclass(frozen=True)
class File:
    """A file of a source: `path` for fsspec, `name` below the source's folder, `size` in bytes."""

    path: str
    name: str
    size: int


def page_row(
    about: About,
    *,
    url: str,
    body: bytes,
    size: int | None = None,
    kind: str = "html",
    place: str = "",
    date: str | None = None,
    charset: str | None = None,
    license: str | None = None,
    error: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A PAGE row. `size` is the true size of a body that was not read because it is too large; `place` tells two records
    of one URL apart. Lone surrogates (names that are no UTF-8, escapes in JSON) are written out: text cannot hold them."""
    if size is None:
        size = len(body)
    if error is None and size > about.max_body:
        error, body = f"too large: {size / 1e6:.1f} MB", b""
    if kind == "text" and about.category == "code":
        kind = "code"
    return {
        "id": record_id(about.source, url, place, body), "source": about.source, "category": about.category, "kind": kind,
        "url": _whole(url), "date": _whole(date), "license": _whole(license or about.license), "charset": charset,
        "body": body, "error": error,
        "meta": json.dumps({k: _whole(v) for k, v in (meta or {}).items()}, ensure_ascii=False, sort_keys=True),
    }  # fmt: skip


def _whole(value: Any) -> Any:
    """A string whose lone surrogates are spelt out as in Python (`\\udcff`); anything else as it is."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


_LANGUAGE = re.compile(
    r"(?<=[/._-])(?:(?P<hant>zh[-_](?:tw|hk|hant))|(?P<hans>zh(?:[-_](?:cn|hans|sg))?)|(?P<en>en(?:[-_](?:us|gb))?))(?=[/._-]|$)",
    re.IGNORECASE,
)
_OTHER = re.compile(r"\.[a-z]{2}(?:[-_][a-z]{2})?\.x?html?$", re.IGNORECASE)


def pair_of(path: str) -> tuple[str, str]:
    """The language that a path names ("en", "zh-Hans", "zh-Hant", "other" or "") and the path without it.

    `/help/en-US/a.html` and `/help/zh-CN/a.html` have one key, and so have `/doc/a.en.html` and `/doc-zh-cn/a.zh-cn.html`. A
    path that names neither language has no key ("").
    """
    found = list(_LANGUAGE.finditer("/" + path))
    if not found:
        return ("other" if _OTHER.search(path) else ""), ""
    last = found[-1]
    lang = "en" if last["en"] else "zh-Hans" if last["hans"] else "zh-Hant"
    bare = _LANGUAGE.sub("", "/" + path)
    return lang, re.sub(r"[._-]+(?=[/.])|(?<=/)/+", "", bare).lstrip("/")


def find(name: str, kind: str, path: str, *, code: bool) -> tuple[str, list[File], int]:
    """The kind of the files at a path or URL, the files of that kind in the order of their names, and how many others there
    are. DataError if none."""
    files = listed = [f for f in _listing(name, path) if not PurePosixPath(f.name).name.startswith(".")]
    if kind == "auto":
        kind = _guess(files)
    wanted = "html" if kind == "samples" else kind
    if len(files) > 1 and not (wanted == "text" and code):
        files = [f for f in files if _NAMES[wanted].search(f.name)]
    if not files:
        raise DataError(f"source '{name}': no {wanted} files at {path}")
    if not any(f.size for f in files):
        raise DataError(f"source '{name}': all files at {path} are empty")
    return kind, files, len(listed) - len(files)


def sample(names: Sequence[str], limit: int) -> set[str]:
    """`limit` of the names, spread evenly, where the two languages of one page are chosen together."""
    return set(sorted(names, key=lambda n: (record_id(pair_of(n)[1] or n), n))[:limit])


def _listing(name: str, path: str) -> list[File]:
    try:
        filesystem, base = fsspec.core.url_to_fs(str(Path(path).expanduser()) if "://" not in path else path)
        if not filesystem.exists(base):
            raise DataError(f"source '{name}': {path} does not exist")
        found = filesystem.find(base, detail=True)
    except (ImportError, ValueError, OSError) as problem:
        raise StorageError(f"source '{name}': cannot open {path}: {problem}") from problem
    root = base.rstrip("/") + "/"
    return [
        File(filesystem.unstrip_protocol(p), p.removeprefix(root) if p != base else PurePosixPath(p).name, int(info["size"] or 0))
        for p, info in sorted(found.items())
        if info["type"] == "file" or (info.get("islink") and filesystem.isfile(p))  # no pipes, no links to nothing
    ]


def _guess(files: Sequence[File]) -> str:
    """The commonest kind among the first files, by content; unreadable names (images, style sheets) do not count."""
    votes: Counter[str] = Counter()
    for file in [f for f in files if f.size][:200]:
        if len(files) > 1 and not any(p.search(file.name) for p in _NAMES.values()):
            continue
        votes[_content_kind(file)] += 1
    return votes.most_common(1)[0][0] if votes else "text"


def _content_kind(file: File) -> str:
    head = b""
    with open_file(file) as raw:
        head = raw.read(4)
    if head == b"PAR1":
        return "parquet"
    try:
        with opened(file) as stream:
            head = stream.read(4096)
    except BROKEN:
        if _NAMES["jsonl"].search(file.name):
            return "jsonl"
        return "warc" if _NAMES["warc"].search(file.name) else "text"
    if head.startswith(b"WARC/"):
        return "wet" if b"conversion" in head or _NAMES["wet"].search(file.name) else "warc"
    start = head.lstrip().lower()
    if start.startswith(b"{") or (start.startswith(b"[") and _NAMES["jsonl"].search(file.name)):
        return "jsonl"
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")) or b"<html" in start or b"<body" in start:
        return "html"
    return "html" if _NAMES["html"].search(file.name) else "text"


def open_file(file: File) -> BinaryIO:
    """The file's bytes as they lie. StorageError if it cannot be opened."""
    try:
        return cast(BinaryIO, fsspec.open(file.path, "rb").open())
    except OSError as problem:
        raise StorageError(f"cannot read {file.path}: {problem.strerror or problem}") from problem


def opened(file: File) -> BinaryIO:
    """The file's bytes, unpacked where they begin like gzip or zstd."""
    raw = open_file(file)
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if magic == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(cast(Any, zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)), 1 << 20)
    return raw


def fingerprint(files: Sequence[File]) -> str:
    """A digest of the files' names, sizes and contents (of a file above 8 MB its size, beginning, middle and end)."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.size}\0".encode("utf-8", "surrogatepass"))
        with open_file(file) as raw:
            if file.size <= _WHOLE:
                digest.update(raw.read())
            else:
                for start in (0, file.size // 2, file.size - _EDGE):
                    raw.seek(start)
                    digest.update(raw.read(_EDGE))
    return digest.hexdigest()


_CODE = (".py", ".pyi", ".json", ".toml", ".css", ".c", ".h", ".js")
_TESTS = re.compile(r"(^|/)(tests?|idle_test|site-packages|dist-packages|__pycache__|encodings|lib-dynload)/|(^|/)test_")
_CODE_BYTES = range(200, 200_000)


def standard_library(name: str) -> tuple[str, tuple[File, ...], str]:
    """Origin, code files and identity of the running interpreter's standard library: real code on every machine."""
    root = Path(sysconfig.get_path("stdlib"))
    files = []
    for path in sorted(root.rglob("*")):
        below = path.relative_to(root).as_posix()
        if path.suffix in _CODE and not _TESTS.search(below) and path.is_file() and path.stat().st_size in _CODE_BYTES:
            files.append(File(path.as_uri(), below, path.stat().st_size))
    if not files:
        raise DataError(f"source '{name}': this Python has no standard library files in {root}; take another code source")
    version = f"{platform.python_implementation()} {platform.python_version()}"
    return f"standard library of {version}", tuple(files), f"{version} {len(files)} files {sum(f.size for f in files)} bytes"


def pages(kind: str, file: File, about: About) -> Iterator[dict[str, Any]]:
    """PAGE rows of one file of kind "html", "samples", "text", "stdlib", "jsonl" or "parquet"."""
    if kind == "jsonl":
        yield from _json_lines(file, about)
    elif kind == "parquet":
        yield from _parquet(file, about)
    else:
        yield _one_page(kind, file, about)


def _one_page(kind: str, file: File, about: About) -> dict[str, Any]:
    body, size, error = b"", file.size, None
    if size <= about.max_body:
        try:
            with opened(file) as stream:
                body = stream.read(about.max_body + 1)
            size = len(body)
        except BROKEN as problem:
            error = f"broken: {problem}"
        if size > about.max_body:  # a small file that unpacks to a large page
            body, error = b"", f"too large: more than {about.max_body / 1e6:.1f} MB"
    if kind == "stdlib":
        url = f"python{'.'.join(platform.python_version_tuple()[:2])}/{file.name}"
        return page_row(about, url=url, body=body, size=size, kind="code", license=about.license or "PSF-2.0", error=error)
    pair = pair_of(file.name)[1]
    meta = {"file": file.name} | ({"pair": pair} if pair else {})
    page_kind = "text" if kind == "text" else "html"
    url = f"{kind}://{about.source}/{file.name}"
    return page_row(about, url=url, body=body, size=size, kind=page_kind, meta=meta, error=error)


def _json_lines(file: File, about: About) -> Iterator[dict[str, Any]]:
    limit = 2 * about.max_body + 65536  # escapes may double a body
    with opened(file) as stream:
        number = 0
        try:
            while line := stream.readline(limit):
                number += 1
                if len(line) == limit and not line.endswith(b"\n"):
                    while (rest := stream.readline(limit)) and not rest.endswith(b"\n"):
                        pass
                    yield _broken(about, file, number, f"too large: more than {limit / 1e6:.0f} MB in a line")
                elif line.strip():
                    yield _json_row(line, number, file, about)
        except BROKEN as problem:
            yield _broken(about, file, number + 1, f"broken: {problem}")


def _json_row(line: bytes, number: int, file: File, about: About) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return _broken(about, file, number, "broken: not JSON", line[: about.max_body])
    if not isinstance(record, dict):
        return _broken(about, file, number, "broken: not a JSON object", line[: about.max_body])
    return _record_row(record, number, file, about)


def _record_row(record: Mapping[str, Any], number: int, file: File, about: About) -> dict[str, Any]:
    """A row from a record with `text` or `html` and, if it likes, `url`, `date`, `license`, `title` and `id`."""
    content = next((record[k] for k in ("html", "text", "content") if isinstance(record.get(k), (str, bytes))), None)
    if content is None:
        return _broken(about, file, number, "broken: neither text nor html")
    body = content.encode("utf-8", "replace") if isinstance(content, str) else content
    meta = {k: record[k] for k in ("id", "title", "pair") if isinstance(record.get(k), (str, int))} | {"file": file.name}
    url, date, license_name = (record.get(k) for k in ("url", "date", "license"))
    return page_row(
        about,
        url=url if isinstance(url, str) and url else f"{file.name}#{number}",
        body=body,
        kind="html" if isinstance(record.get("html"), (str, bytes)) else "text",
        place=f"{file.name}#{number}",
        date=str(date) if date else None,
        charset="utf-8" if isinstance(content, str) else None,
        license=license_name if isinstance(license_name, str) and license_name else None,
        meta=meta,
    )


def _broken(about: About, file: File, number: int, error: str, body: bytes = b"") -> dict[str, Any]:
    place = f"{file.name}#{number}"
    return page_row(about, url=place, place=place, body=body, error=error, meta={"file": file.name})


def _parquet(file: File, about: About) -> Iterator[dict[str, Any]]:
    wanted = ("html", "text", "content", "url", "date", "license", "id", "title", "pair")
    number = 0
    with open_file(file) as raw:
        try:
            table = pq.ParquetFile(raw)
            columns = [c for c in wanted if c in table.schema_arrow.names]
            if not {"html", "text", "content"} & set(columns):
                raise DataError(f"source '{about.source}': {file.path} has no column 'text' or 'html'")
            for batch in table.iter_batches(batch_size=256, columns=columns):
                for record in _rows(batch):
                    number += 1
                    yield _record_row(record, number, file, about)
        except (pa.ArrowException, OSError) as problem:
            yield _broken(about, file, number + 1, f"broken: {problem}")


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch. Where a writer put other bytes into a string column, its texts are bytes whose charset is decided
    like that of any page."""
    try:
        return cast("list[dict[str, Any]]", batch.to_pylist())
    except UnicodeDecodeError:
        strings = {f.name for f in batch.schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)}
        columns = {
            n: c.cast(pa.large_binary()) if n in strings else c for n, c in zip(batch.schema.names, batch.columns, strict=True)
        }
        about = strings - {"html", "text", "content"}
        return [
            {k: v.decode("utf-8", "replace") if k in about and v is not None else v for k, v in row.items()}
            for row in pa.RecordBatch.from_pydict(columns).to_pylist()
        ]
