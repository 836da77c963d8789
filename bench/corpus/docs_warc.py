"""Pack the HTML of Debian documentation packages into one WARC file (gzip per record), as large an input as one likes.

    python -m bench.corpus.docs_warc OUT.warc.gz [--megabytes 1000] [PACKAGE ...]

Pages are real, none comes twice: packages are taken in the order of the list until the HTML in the WARC reaches the size. They
are downloaded by the machine's own apt (no root) into a folder beside OUT, and pages in other languages than English and
Chinese are left out by the names of their files. For bench/corpus/corpus_vs_datatrove.py --warc OUT.warc.gz.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from pathlib import Path

from skyloom.core.progress import Progress
from skyloom.corpus.sources.readers import debian as sources_debian
from skyloom.corpus.sources.readers.folders import About

PACKAGES = (
    "debian-handbook debian-reference-en debian-reference-zh-cn debian-faq debian-faq-zh-cn maint-guide maint-guide-zh-cn "
    "developers-reference debmake-doc installation-guide-amd64 libreoffice-help-en-us libreoffice-help-zh-cn "
    "libreoffice-help-zh-tw gimp-help-en python3.11-doc python-django-doc postgresql-doc-15 sqlite3-doc "
    "apache2-doc git-doc r-doc-html octave-doc python-scipy-doc python-matplotlib-doc python-pandas-doc "
    "python-sklearn-doc python-sympy-doc linux-doc-6.1 "
    "gcc-12-doc cppreference-doc-en-html libglib2.0-doc libgtk-3-doc llvm-14-doc ghc-doc erlang-doc ocaml-doc qtbase5-doc-html "
    "qtdeclarative5-doc-html libboost1.81-doc scala-doc ruby3.1-doc sagemath-doc openjdk-17-doc php-doc gnat-doc"
).split()


def record(url: str, body: bytes, charset: str = "") -> bytes:
    """A WARC response record of one page; `charset`: what the server says of it, if anything."""
    kind = f"text/html; charset={charset}" if charset else "text/html"
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, url)}>\r\n"
        f"WARC-Target-URI: {url}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Identified-Payload-Type: text/html\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def main() -> int:
    import gzip

    parser = argparse.ArgumentParser(description="Pack Debian documentation into one WARC file.")
    parser.add_argument("out", type=Path)
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--megabytes", type=float, default=1000)
    options = parser.parse_args()
    about = About("docs", "web", None, 16_000_000)
    size = pages = 0
    cache = options.out.parent / "packages"
    with open(options.out, "wb") as file:
        for name in options.packages:
            found, problem = sources_debian.find([name], cache, Progress())
            if not found:
                print(f"{name}: {problem}", file=sys.stderr)
                continue
            for page in sources_debian.pages(found, about, ("en", "zh-Hans")):
                if not page["error"]:
                    file.write(gzip.compress(record(page["url"].replace("debian://", "http://docs.example/"), page["body"]), 6))
                    size, pages = size + len(page["body"]), pages + 1
            print(f"{name}: {pages:,} pages, {size / 1e6:,.0f} MB so far", flush=True)
            if size >= options.megabytes * 1e6:
                break
    return 0


if __name__ == "__main__":
    sys.exit(main())
