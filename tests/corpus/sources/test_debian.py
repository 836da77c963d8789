"""Packages of Debian documentation: downloaded once, checked, read by language, and never in each other's way."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.corpus.sources.test_sources import find, read, web

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources.config import SourceConfig
from skyloom.corpus.sources.resolved import resolve
from skyloom.corpus.sources.stage import fetch


def deb(path: Path, files: dict[str, str]) -> None:
    """A Debian package with some HTML files and a link, built by hand."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("./usr/share/doc/a/link.html")
        link.type, link.linkname = tarfile.SYMTYPE, "x.en.html"
        archive.addfile(link)
    data = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, part in (("debian-binary", b"2.0\n"), ("data.tar.xz", data)):
            file.write(f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(part):<10}`\n".encode())
            file.write(part + b"\n" * (len(part) % 2))


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose `apt-get` knows the packages `doc` and `doc-zh-cn`, kept in the folder that is returned."""
    folder = tmp_path / "mirror"
    files = {"usr/share/doc/a/x.en.html": "<p>One</p>", "usr/share/doc/a/x.ja.html": "<p>一つ</p>"}
    form = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-2+\n"
    deb(folder / "doc_1%3a2_all.deb", {**files, "usr/share/doc/doc/copyright": form})
    deb(folder / "doc-zh-cn_1%3a2_all.deb", {"usr/share/doc/a/x.zh-cn.html": "<p>一</p>", "usr/share/doc/a/readme.txt": "no"})
    script = tmp_path / "bin" / "apt-get"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        'names=""; uris=""\n'
        'for word in "$@"; do case "$word" in --print-uris) uris=1;; doc*) names="$names $word";; esac; done\n'
        f'echo "$@" >> {tmp_path}/calls\n'
        "for name in $names; do\n"
        f'  file={folder}/${{name%%=*}}_1%3a2_all.deb; [ -f "$file" ] || {{ echo "E: Unable to locate $name"; exit 100; }}\n'
        '  if [ -n "$uris" ]; then\n'
        "    echo \"'http://x' $(basename $file) $(wc -c < $file) SHA256:$(sha256sum $file | cut -d' ' -f1)\"\n"
        "  else cp $file .; fi\n"
        "done\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert subprocess.run([script, "--print-uris", "download", "doc"], capture_output=True, check=True).stdout
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return folder


DOCS = SourceConfig(name="docs", kind="debian-docs", packages=("doc", "doc-zh-cn"))


def test_debian_packages_are_read_by_language(mirror: Path, tmp_path: Path) -> None:
    found = find(DOCS, tmp_path)
    assert found.identity.startswith("doc=1:2:")
    rows = read(DOCS, tmp_path)
    assert [(r["url"], r["body"].decode()) for r in rows] == [
        ("debian://doc/usr/share/doc/a/x.en.html", "<p>One</p>"),
        ("debian://doc-zh-cn/usr/share/doc/a/x.zh-cn.html", "<p>一</p>"),
    ]
    assert len({json.loads(r["meta"])["pair"] for r in rows}) == 1
    assert [r["license"] for r in rows] == ["GPL-2.0-or-later", "LicenseRef-debian-doc-zh-cn"]
    assert json.loads(rows[0]["meta"])["version"] == "1:2"


def test_copyright_files_of_packages_are_kept_with_the_pages(mirror: Path, tmp_path: Path) -> None:
    out = Store(tmp_path / "pages")
    fetch([find(DOCS, tmp_path)], out, engine=Engine(), progress=Progress.silent())
    assert out.read_text("copyright/doc.txt").startswith("Format:") and not out.exists("copyright/doc-zh-cn.txt")
    assert out.read_json("copyright/packages.json") == [
        {"source": "docs", "package": "doc", "version": "1:2", "license": "GPL-2.0-or-later", "file": "copyright/doc.txt"},
        {"source": "docs", "package": "doc-zh-cn", "version": "1:2", "license": "LicenseRef-debian-doc-zh-cn", "file": ""},
    ]


def test_packages_are_downloaded_once_and_checked(mirror: Path, tmp_path: Path) -> None:
    find(DOCS, tmp_path)
    calls = tmp_path / "calls"
    calls.write_text("")
    find(DOCS, tmp_path)
    assert all("--print-uris" in line for line in calls.read_text().splitlines())
    kept = tmp_path / "cache" / "packages" / "doc_1%3a2_all.deb"
    kept.write_bytes(b"damaged" + kept.read_bytes()[7:])
    assert len(find(DOCS, tmp_path).parts) == 2
    assert kept.read_bytes() == (mirror / kept.name).read_bytes()


def test_languages_are_part_of_what_is_fetched(mirror: Path, tmp_path: Path) -> None:
    """Pages that name another language are not fetched, so a step that fetched for fewer languages must not be reused."""
    found = [
        find(replace(DOCS, languages=languages), tmp_path).identity for languages in (("en", "zh-Hans"), ("en",), ("en", "other"))
    ]
    assert len(set(found)) == 3
    assert find(replace(DOCS, languages=("zh-Hans", "en")), tmp_path).identity == found[0]


def test_two_runs_download_one_after_the_other(mirror: Path, tmp_path: Path) -> None:
    """apt writes in place; a run that looked meanwhile would take a half, or write into it."""
    script = tmp_path / "bin" / "apt-get"
    slow = "else out=$(basename $file); head -c 10 $file > $out; sleep 0.3; tail -c +11 $file >> $out; fi"
    script.write_text(script.read_text().replace("else cp $file .; fi", slow))
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: find(DOCS, tmp_path), range(2)))
    assert both[0] == both[1]
    assert [(len(f.parts), f.note) for f in both] == [(2, "")] * 2


def test_a_missing_package_is_noted(mirror: Path, tmp_path: Path) -> None:
    (mirror / "doc-zh-cn_1%3a2_all.deb").unlink()
    found = find(DOCS, tmp_path)
    assert [p.name for p in found.parts] == ["doc"]
    assert found.note == "without doc-zh-cn"


def test_without_apt_the_cache_serves_and_then_the_samples(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = find(DOCS, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert find(DOCS, tmp_path).identity == before.identity
    web(tmp_path / "samples" / "web")
    said: list[str] = []
    progress = Progress.silent()
    monkeypatch.setattr(progress, "log", said.append)
    found = resolve([DOCS], cache=tmp_path / "other", samples=tmp_path / "samples", progress=progress)[0]
    assert (found.kind, len(found.parts)) == ("samples", 8)
    assert "apt is not installed" in found.note
    assert said == [f"warning: docs: {found.note}"]


@pytest.mark.parametrize("damage", ["no package", "no files", "cut", "flip"])
def test_what_is_no_package_is_told_and_the_others_are_read(mirror: Path, tmp_path: Path, damage: str) -> None:
    path = mirror / "doc_1%3a2_all.deb"
    whole = path.read_bytes()
    flipped = whole[:200] + bytes(b ^ 0x55 for b in whole[200:220]) + whole[220:]
    path.write_bytes(
        {"no package": "不是软件包".encode(), "no files": b"!<arch>\n", "cut": whole[: len(whole) * 2 // 3], "flip": flipped}[
            damage
        ]
    )
    rows = read(DOCS, tmp_path)
    told = [r for r in rows if r["error"]]
    assert len(told) == 1 and told[0]["error"].startswith("broken: ") and told[0]["url"] == "doc#data"
    assert "debian://doc-zh-cn/usr/share/doc/a/x.zh-cn.html" in {r["url"] for r in rows}
