"""Pages that are a file each: HTML folders, plain text, trees of source code, and the running interpreter's library.

Input: a file. Output: its PAGE row, packed files unpacked. A file beyond the limit is not read. Memory: one file.
"""

from __future__ import annotations

import platform
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from skyloom.core.errors import DataError
from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, File, opened, reason_of
from skyloom.corpus.sources.readers.rows import About, page_row, pair_of

FILES_A_TASK = 400
_CODE = (".py", ".pyi", ".json", ".toml", ".css", ".c", ".h", ".js")
_TESTS = re.compile(r"(^|/)(tests?|idle_test|site-packages|dist-packages|__pycache__|encodings|lib-dynload)/|(^|/)test_")
_CODE_BYTES = range(200, 200_000)


def html(file: File, about: About) -> Iterator[PageRow]:
    """The page that an HTML file is."""
    yield _page(file, about, "html", "html")


def samples(file: File, about: About) -> Iterator[PageRow]:
    """A page of the samples."""
    yield _page(file, about, "html", "samples")


def text(file: File, about: About) -> Iterator[PageRow]:
    """The page that a text file is; in a source of code it is code."""
    yield _page(file, about, "text", "text")


def stdlib(file: File, about: About) -> Iterator[PageRow]:
    """A file of the running interpreter's standard library."""
    body, size, error = whole(file, about)
    url = f"python{'.'.join(platform.python_version_tuple()[:2])}/{file.name}"
    yield page_row(about, url=url, body=body, size=size, kind="code", license=about.license or "PSF-2.0", error=error)


def _page(file: File, about: About, kind: str, scheme: str) -> PageRow:
    body, size, error = whole(file, about)
    pair = pair_of(file.name)[1]
    meta = {"file": file.name} | ({"pair": pair} if pair else {})
    url = f"{scheme}://{about.source}/{file.name}"
    return page_row(about, url=url, body=body, size=size, kind=kind, meta=meta, error=error)


def whole(file: File, about: About) -> tuple[bytes, int, str | None]:
    """A file's unpacked bytes, their number, and the reason if it has none; beyond the limit it is not read."""
    if file.size > about.max_body:
        return b"", file.size, None  # page_row says so
    try:
        with opened(file, about.max_ratio) as stream:
            body = stream.read(about.max_body + 1)
    except BROKEN as problem:
        return b"", 0, reason_of(problem)
    if len(body) > about.max_body:  # a small file that unpacks to a large page
        return b"", 0, about.too_large
    return body, len(body), None


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
