"""Fuzzing the readers of sources: small whole files of every kind, and damaged copies of them.

Input: a number. Output: a mutant: a file that was cut, flipped, given another beginning, numbers at their edges, or repeated or
foreign pieces, before or after it was packed. The number is the seed, so each mutant can be made again alone. `ending` reads one
as the step `pages` would and says how it ended: a mutant may give pages or rows with reasons, and nothing else.

    python -m tests.planted.mutants 1234      how that one ends
"""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import json
import lzma
import random
import re
import sys
import tarfile
import tempfile
import traceback
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brotli
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from skyloom.core.records import PAGE, PageRow
from skyloom.corpus.sources.file_kinds import find
from skyloom.corpus.sources.readers import debian, hosts, hub
from skyloom.corpus.sources.readers.byte_streams import File, split
from skyloom.corpus.sources.readers.rows import About
from skyloom.corpus.sources.stage import READERS
from tests.corpus.sources.server import record

_gzip = functools.partial(gzip.compress, mtime=0)  # a header with the time would make other mutants each second

EN, ZH = "Plain English text of a page, and a little more of it.", "中文的一页，再多写几个字。"
HTML = f"<html><head><title>题 title</title></head><body><p>{EN}</p><p>{ZH}</p></body></html>".encode()
HUB_EACH = 400  # one mutant in so many is a data set of the hub, whose library needs long for each


@dataclass(frozen=True)
class Seed:
    """A whole file of a kind: `parts` are joined (and packed) by `join`, so that damage can be done before or after."""

    kind: str
    name: str
    parts: tuple[bytes, ...]
    join: Callable[[Sequence[bytes]], bytes] = b"".join


@dataclass(frozen=True)
class Mutant:
    """A damaged file of a kind, and what it is read with."""

    number: int
    kind: str
    name: str
    data: bytes
    about: About
    ranges: bool

    def whole(self, seed: Seed) -> Mutant:
        """A seed as it is, read with the usual settings."""
        return Mutant(self.number, seed.kind, seed.name, seed.join(seed.parts), About("源 s", "web", None, 100_000), False)


def mutant(number: int) -> Mutant:
    """The mutant of a number."""
    rng = random.Random(number)
    pool = [s for s in seeds() if (s.kind == "hub") == (number % HUB_EACH == HUB_EACH - 1)]
    seed = rng.choice(pool)
    parts = list(seed.parts)
    where = rng.randrange(3)
    if where < 2:
        i = rng.randrange(len(parts))
        parts[i] = damaged(rng, parts[i])
    try:
        data = seed.join(parts)
    except (ValueError, OverflowError):  # what cannot be packed any more is taken whole and damaged afterwards
        data, where = seed.join(seed.parts), 2
    if where > 0:
        data = damaged(rng, data)
    named = hosts.load() if rng.random() < 0.2 else None
    category = "code" if rng.random() < 0.1 else "web"
    about = About("源 s", category, None, 100_000, 300.0, rng.choice(("", "", "", "body")), named)
    kind = "auto" if rng.random() < 0.1 and seed.kind not in ("hub", "debian-docs") else seed.kind
    if rng.random() < 0.05 and kind not in ("hub", "debian-docs"):
        kind = rng.choice([k for k in READERS if k != "hub"])  # read as what it is not
    return Mutant(number, kind, seed.name, data or b"\n", about, rng.random() < 0.3)


MAGICS = (
    b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh9", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"PAR1", b"PK\x03\x04", b"WARC/1.0\r\n", b"\x5d\x2a\x4d\x18",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"<?xml version='1.0'?>", b"{", b"[", b"%PDF-", b"!<arch>\n", b"\x37\xa4\x30\xec", b"\x00" * 8,
)  # fmt: skip
ODD = (
    b"\x00", b"\xff", b"\\ud800", b"\\u0000", b"<!ENTITY a 'b'>", b"&#0;", b"&#xd800;", b"{{" * 40, b"[[" * 40, b"<b>" * 200, b"[" * 3000,
    b'{"a":' * 3000, b"\\begin{figure}", b"{" * 300, b"\\input{a}", b"\r\n\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n",
    b"Content-Encoding: br\r\n", b"Transfer-Encoding: chunked\r\n", b"charset=utf-7", b"charset=\xff", "²".encode(), b"1e999", b"-0", b"NaN",
    b"9" * 5000, b"../../", b"/etc/passwd", "\u2028".encode(), b"\t\t\t", b'"', b"--", b"-{" * 30, b"{|" * 30, b"<ref>" * 30, b"]]>", b"<![CDATA[",
)  # fmt: skip
EDGES = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """The data with one to three damages."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(DAMAGES)(rng, data)[:60_000]
    return data


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randrange(len(data) + 1)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: _place(rng, data)]


def _without(rng: random.Random, data: bytes) -> bytes:
    start = _place(rng, data)
    return data[:start] + data[start + rng.choice((1, 2, 4, 16, 512)) :]


def _flipped(rng: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if found:
            found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _overwritten(rng: random.Random, data: bytes) -> bytes:
    start, new = _place(rng, data), rng.randbytes(rng.randint(1, 16))
    return data[:start] + new + data[start + len(new) :]


def _magic(rng: random.Random, data: bytes) -> bytes:
    magic = rng.choice(MAGICS)
    return magic + (data if rng.random() < 0.5 else data[len(magic) :])


def _number(rng: random.Random, data: bytes) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    new = (rng.choice(EDGES) % 256**size).to_bytes(size, rng.choice(("little", "big")))
    start = _place(rng, data)
    return data[:start] + new + data[start + size :]


def _digits(rng: random.Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return data
    match = rng.choice(found)
    new = rng.choice((b"0", b"-1", b"7", b"4294967296", b"9" * 25, b"9" * 5000, "²".encode(), b"0x10", b"1_0", b" "))
    return data[: match.start()] + new + data[match.end() :]


def _repeated(rng: random.Random, data: bytes) -> bytes:
    start = _place(rng, data)
    return data[:start] + data[start : start + rng.choice((1, 8, 60, 512))] * rng.randint(2, 20) + data[start:]


def _spliced(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(seeds())
    piece = other.join(other.parts) if rng.random() < 0.5 else rng.choice(other.parts)
    a, start = _place(rng, piece), _place(rng, data)
    return data[:start] + piece[a : a + rng.choice((4, 64, 1000))] + data[start:]


def _odd(rng: random.Random, data: bytes) -> bytes:
    start = _place(rng, data)
    return data[:start] + rng.choice(ODD) + data[start:]


DAMAGES = (_cut, _without, _flipped, _flipped, _overwritten, _magic, _number, _number, _digits, _repeated, _spliced, _odd)


@functools.cache
def seeds() -> tuple[Seed, ...]:
    """Whole files of every kind and packing."""
    return (*_plain(), *_archives(), *_documents(), *_columns())


def _zstd(parts: Sequence[bytes]) -> bytes:
    return b"".join(zstandard.compress(p) for p in parts)


def _packed(pack: Callable[[bytes], bytes]) -> Callable[[Sequence[bytes]], bytes]:
    return lambda parts: pack(b"".join(parts))


def _plain() -> Iterator[Seed]:
    lines = "".join(
        json.dumps(r, ensure_ascii=i % 2 == 0) + "\n"
        for i, r in enumerate(
            ({"text": ZH, "url": "http://例.cn/1", "id": 1}, {"html": HTML.decode(), "title": "题", "date": "2023-06-30"}, {"content": EN, "id": "b"}, {"body": EN, "license": "CC0"})
        )
    ).encode() * 3  # fmt: skip
    pairs = {"a.tsv": f"en\tzh\n{EN}\t{ZH}\nOpen\t打开\n".encode(), "a.jsonl": json.dumps({"en": EN, "zh": ZH}).encode() + b"\n" + json.dumps({"translation": {"en": "Open", "zh": "打开"}}).encode() + b"\n"}  # fmt: skip
    for suffix, pack in (
        ("", bytes),
        (".gz", _gzip),
        (".zst", zstandard.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
    ):
        yield Seed("html", f"a.html{suffix}", (HTML,), _packed(pack))
        yield Seed("jsonl", f"a.jsonl{suffix}", (lines,), _packed(pack))
    yield Seed("text", "a.txt", (f"{EN}\n\n{ZH}\n".encode("gb18030"),))
    yield Seed("samples", "b.html", (HTML,))
    yield Seed("stdlib", "a.py", (b"def main() -> None:\n    print('hello')\n",))
    table = f'url,text,"title"\nhttp://x/1,"{EN}\n{ZH}",标题\nhttp://x/2,{ZH},"a ""b"""\n'
    yield Seed("csv", "a.csv", (table.encode(),))
    yield Seed("csv", "b.csv", (table.encode("utf-16"),))
    yield Seed("csv", "a.csv.gz", (table.encode("gb18030"), b'\nx,"y\n' * 9), _packed(_gzip))
    yield Seed("csv", "a.tsv", (f"text\turl\n{EN}\thttp://x/1\n{ZH}\thttp://x/2\n".encode(),))
    for name, data in pairs.items():
        yield Seed("parallel", name, (data,))
    yield Seed("parallel", "a.po", (f'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n#, fuzzy\nmsgid "Open"\nmsgstr "打开"\n\nmsgid "one file"\nmsgid_plural "%d files"\nmsgstr[0] "{ZH}"\n'.encode(),))  # fmt: skip
    yield Seed("parallel", "a.tmx.gz", (f'<?xml version="1.0"?><tmx version="1.4"><header/><body><tu><tuv xml:lang="en"><seg>{EN}<bpt i="1">x</bpt></seg></tuv><tuv xml:lang="zh-CN"><seg>{ZH}</seg></tuv></tu></body></tmx>'.encode(),), _packed(_gzip))  # fmt: skip


def _archives() -> Iterator[Seed]:
    encodings: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
        ("gzip", _gzip), ("deflate", zlib.compress), ("br", brotli.compress), ("zstd", zstandard.compress),
    )  # fmt: skip
    records = [record("http://x/0", HTML), record("http://x/1", ZH.encode("gb18030"), headers="X-A: b\r\n")]
    records += [record(f"http://x/{n}", pack(HTML), headers=f"Content-Encoding: {n}\r\n") for n, pack in encodings]
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HTML), HTML)
    records.append(record("http://x/chunked", chunked, headers="Transfer-Encoding: chunked\r\n"))
    wet = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://x/\r\nWARC-Date: 2023-06-30T00:00:00Z\r\nContent-Length: {len(ZH.encode())}\r\n\r\n{ZH}\r\n\r\n".encode()  # fmt: skip
    trained = _dictionary(records)
    packer = zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(trained))
    yield Seed("warc", "a.warc", tuple(records))
    yield Seed("warc", "a.warc.gz", tuple(records), lambda parts: b"".join(map(_gzip, parts)))
    yield Seed("warc", "b.warc.gz", tuple(records), _packed(_gzip))
    yield Seed("warc", "a.warc.zst", tuple(records), _zstd)
    yield Seed("wet", "a.warc.wet.gz", (wet, wet), lambda parts: b"".join(map(_gzip, parts)))

    def with_dictionary(parts: Sequence[bytes]) -> bytes:
        head = b"\x5d\x2a\x4d\x18" + len(parts[0]).to_bytes(4, "little") + parts[0]
        return head + b"".join(packer.compress(p) for p in parts[1:])

    yield Seed("warc", "b.warc.zst", (trained, *records), with_dictionary)
    yield Seed("warc", "c.warc.zst", (zstandard.compress(trained), *records), with_dictionary)
    files = [("树/a.html", HTML), ("树/b.txt", ZH.encode()), ("树/" + "长" * 90 + ".md", EN.encode()), ("树/c.py", b"print(1)\n")]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        yield Seed("tar", "a.tar", (tar_of(files[: 4 if form != tarfile.USTAR_FORMAT else 2], form),))
    yield Seed("tar", "sparse.tar", (_sparse(),))
    for suffix, pack in ((".gz", _gzip), (".xz", lzma.compress), (".zst", zstandard.compress), (".bz2", bz2.compress)):
        yield Seed("tar", f"a.tar{suffix}", (tar_of(files),), _packed(pack))
        data = tar_of([(f"./usr/share/doc/{n}", d) for n, d in files])
        yield Seed("debian-docs", "a.deb", (data,), functools.partial(_deb, suffix, pack))


def tar_of(files: Sequence[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of some files."""
    out = io.BytesIO()
    headers = {"comment": "说明"} if form == tarfile.PAX_FORMAT else None
    with tarfile.open(fileobj=out, mode="w", format=form, pax_headers=headers) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _sparse() -> bytes:
    """A sparse file as GNU tar writes it: 600 bytes of which 512 are stored, in two forms."""
    info = tarfile.TarInfo("a.txt")
    info.size, info.type = 512, tarfile.GNUTYPE_SPARSE
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[386:410] = b"%011o\x00%011o\x00" % (88, 512)
    head[483:495] = b"%011o\x00" % 600
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\x00 " % sum(head)
    second = tarfile.TarInfo("b.txt")
    second.size, second.pax_headers = 1024, {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "600", "GNU.sparse.name": "b.txt"}  # fmt: skip
    data = b"1\n88\n512\n".ljust(512, b"\x00") + b"y" * 512
    return bytes(head) + b"x" * 512 + second.tobuf(tarfile.PAX_FORMAT) + data + bytes(1024)


def _deb(suffix: str, pack: Callable[[bytes], bytes], parts: Sequence[bytes]) -> bytes:
    found = b"!<arch>\n"
    for name, part in (("debian-binary", b"2.0\n"), (f"data.tar{suffix}", pack(b"".join(parts)))):
        found += f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(part):<10}`\n".encode() + part + b"\n" * (len(part) % 2)
    return found


def _dictionary(records: Sequence[bytes]) -> bytes:
    return zstandard.train_dictionary(1024, [r + str(i).encode() for i in range(60) for r in records]).as_bytes()


def _documents() -> Iterator[Seed]:
    page = "<page><title>茶{0}</title><ns>0</ns><id>{0}</id><revision><timestamp>2023-06-30T00:00:00Z</timestamp><model>wikitext</model><text>'''茶''' is [[tea|a drink]].{{{{lang|zh|茶}}}}\n== 历史 ==\n* -{{zh-hans:软件;zh-hant:軟體}}-\n{{| class=x\n! a\n|-\n| b\n|}}\n&lt;ref&gt;[http://x.org y]&lt;/ref&gt;&lt;math&gt;x^2&lt;/math&gt;\n== References ==\nx</text></revision></page>"  # fmt: skip
    head, pages = (
        b"<mediawiki><siteinfo><base>https://zh.wikipedia.org/wiki/x</base></siteinfo>",
        [page.format(i).encode() for i in range(3)],
    )
    yield Seed("mediawiki", "a.xml", (head, *pages, b"</mediawiki>"))
    for suffix, pack in ((".gz", _gzip), (".zst", zstandard.compress)):
        yield Seed("mediawiki", f"a.xml{suffix}", (head, *pages, b"</mediawiki>"), _packed(pack))
    yield Seed(
        "mediawiki", "a-multistream.xml.bz2", (head, *pages, b"</mediawiki>"), lambda parts: b"".join(map(bz2.compress, parts))
    )
    tex = f"\\documentclass[a4]{{article}}\n\\title[短]{{茶 Tea}}\n\\newcommand{{\\x}}[1]{{#1}}\n\\begin{{document}}\n\\maketitle\n\\section{{历史}} {EN} $x^2$ \\cite{{a}}\n% no\n\\begin{{align}}a&=b\\end{{align}}\n\\input{{b}}\n\\begin{{figure}}x\\caption{{图}}\\end{{figure}}\n{ZH}\\end{{document}}\n".encode()  # fmt: skip
    paper = tar_of([("p/main.tex", tex), ("p/b.tex", ZH.encode())])
    yield Seed("latex", "a.tex", (tex,))
    yield Seed("latex", "2301.00001.gz", (tex,), _packed(_gzip))
    yield Seed("latex", "2301.00002.tar.gz", (paper,), _packed(_gzip))
    yield Seed("latex", "2301.00003.tar.gz", (tex, ZH.encode()), lambda p: _gzip(tar_of([("main.tex", p[0]), ("b.tex", p[1])])))
    bulk = (_gzip(tex), _gzip(paper), b"%PDF-1.5")
    names = ("2301/2301.00004.gz", "2301/2301.00005.gz", "2301/2301.00006.pdf")
    yield Seed("latex", "bulk.tar", bulk, lambda parts: tar_of(list(zip(names, parts, strict=True))))
    book = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": b'<container><rootfiles><rootfile full-path="o/p.opf"/></rootfiles></container>',
        "o/p.opf": '<package xmlns:dc="d"><metadata><dc:title>茶 Tea</dc:title><dc:date>2023-06</dc:date><dc:rights>CC0</dc:rights></metadata><manifest><item id="a" href="a%20b.xhtml"/><item id="n" href="n.xhtml" properties="nav"/></manifest><spine><itemref idref="a"/><itemref idref="n"/></spine></package>'.encode(),
        "o/a b.xhtml": f"<html><body><h1>茶</h1><p>{EN}</p><pre>x\n y</pre><ul><li>{ZH}</li></ul><table><tr><td>a</td></tr></table></body></html>".encode(),
        "META-INF/encryption.xml": b'<encryption><CipherReference URI="o/font.otf"/></encryption>',
    }  # fmt: skip
    yield Seed("epub", "a.epub", tuple(book.values()), functools.partial(_zip, tuple(book)))


def _zip(names: Sequence[str], parts: Sequence[bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, data in zip(names, parts, strict=True):
            book.writestr(name, data, zipfile.ZIP_STORED if name == "mimetype" else None)
    return out.getvalue()


def _columns() -> Iterator[Seed]:
    rows = [{"text": f"{ZH} {i % 3} {EN * (i % 4)}", "url": f"http://x/{i}", "id": i, "date": "2023-06-30"} for i in range(12)]
    table = pa.Table.from_pylist(rows)
    stamps = pa.array([1_688_000_000_000_000] * 12, pa.timestamp("us", "UTC"))
    options: dict[str, dict[str, Any]] = {
        "plain": {"use_dictionary": False, "compression": "none"}, "dictionary": {"compression": "none", "row_group_size": 4},
        "snappy": {}, "zstd": {"compression": "zstd", "data_page_version": "2.0"}, "gzip": {"compression": "gzip"},
        "brotli": {"compression": "brotli"}, "lz4": {"compression": "lz4"}, "checked": {"write_page_checksum": True, "write_page_index": True},
        "delta": {"use_dictionary": False, "compression": "none", "column_encoding": {"text": "DELTA_BYTE_ARRAY", "url": "DELTA_LENGTH_BYTE_ARRAY", "id": "DELTA_BINARY_PACKED"}},
    }  # fmt: skip
    tables = {"": table, "bytes": table.set_column(0, "text", table["text"].cast(pa.binary())).set_column(3, "date", stamps)}
    tables["large"] = table.set_column(0, "text", table["text"].cast(pa.large_string())).append_column(
        "html", pa.nulls(12, pa.string())
    )
    tables["nested"] = table.append_column("pair", pa.array([["a", "b"]] * 12)).set_column(
        0, "text", table["text"].dictionary_encode()
    )
    for name, option in options.items():
        yield Seed("parquet", f"{name}.parquet", (_parquet(table, option),))
    for name, other in tables.items():
        yield Seed("parquet", f"t{name}.parquet", (_parquet(other, {}),))
    yield Seed("hub", "a.jsonl", (b'{"text": "one"}\n' * 5,))
    yield Seed("hub", "a.parquet", (_parquet(table.select(["text", "url"]), {}),))


def _parquet(table: pa.Table, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def rows(found: Mutant, folder: Path) -> Iterator[pa.Table]:
    """The PAGE rows that the readers give for a mutant, as tables. `folder` takes its file."""
    for pages in _pages(found, folder):
        yield pages if isinstance(pages, pa.Table) else pa.Table.from_pylist([pages], schema=PAGE)


def _pages(found: Mutant, folder: Path) -> Iterator[pa.Table | PageRow]:
    path = folder / found.name
    path.write_bytes(found.data)
    if found.kind == "debian-docs":
        package = debian.Package("doc", "1", str(path), len(found.data), "")
        yield from debian.pages([package], found.about, ("en", "zh-Hans"), found.number % 3)
        return
    if found.kind == "hub":
        for part in hub.find("s", str(folder), "", "train")[0]:
            yield from hub.pages(part, found.about)
        return
    kind, files, _ = find("s", found.kind, str(path), code=found.about.category == "code")
    if found.kind in READERS:
        files = [File(str(path), found.name, len(found.data))]
    for file in files:
        ranged = kind in ("jsonl", "parquet") or (kind in ("warc", "wet", "mediawiki") and file.name.endswith((".gz", ".bz2")))
        for part in split(file, max(1, file.size // 4)) if ranged and found.ranges else [file]:
            yield from READERS[kind](part, found.about)


def ending(number: int, folder: Path) -> str:
    """ "" if a mutant gave pages or rows with reasons, else what happened instead."""
    found = mutant(number)
    seen: set[str] = set()
    try:
        for table in rows(found, folder):
            if table.schema != PAGE:
                return f"mutant {number} ({found.kind}, {found.name}): rows of another form"
            table.validate(full=True)
            ids = table["id"].to_pylist()
            if len(seen | set(ids)) != len(seen) + len(ids):
                return f"mutant {number} ({found.kind}, {found.name}): two rows of one id"
            seen |= set(ids)
    except Exception as problem:
        last = traceback.extract_tb(problem.__traceback__)[-1]
        return (
            f"mutant {number} ({found.kind}, {found.name}): {type(problem).__name__}: {str(problem)[:200]} "
            f"[{Path(last.filename).name}:{last.lineno}]"
        )
    finally:
        (folder / found.name).unlink(missing_ok=True)
    return ""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(ending(int(sys.argv[1]), Path(scratch)) or "pages or reasons")
