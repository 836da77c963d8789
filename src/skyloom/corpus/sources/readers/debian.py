"""Documentation packages of Debian and Ubuntu, through the machine's own apt: real pages in English and Chinese.

Input: package names. Output: PAGE rows of their HTML files. No root is needed: `apt-get download` only writes into a folder,
and where apt has no package lists we fetch them into folders of our own. A downloaded package stays in the cache and is checked
against the digest that apt's signed lists give, so a second run downloads nothing. Packages are read as they lie (an `ar`
archive around a `tar`); nothing is unpacked or installed.

The packages have navigation, boilerplate that returns on each page, near-copies, untranslated pages, and most pages in both
languages: everything that a corpus pipeline is for.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from skyloom.core.errors import StorageError
from skyloom.core.progress import Progress
from skyloom.core.records import PageRow
from skyloom.core.store import Store
from skyloom.corpus.sources.readers.byte_streams import BROKEN, reason_of, unpacked
from skyloom.corpus.sources.readers.debian_copyright import spdx_of
from skyloom.corpus.sources.readers.rows import About, broken_row, page_row, pair_of, sample
from skyloom.corpus.sources.readers.tar import members

PACKAGES = (
    "libreoffice-help-en-us", "libreoffice-help-zh-cn", "debian-reference-en", "debian-reference-zh-cn", "maint-guide",
    "maint-guide-zh-cn", "debian-faq", "debian-faq-zh-cn", "debmake-doc", "developers-reference",
)  # fmt: skip
_COPYRIGHT_BYTES = 4_000_000
_TIMEOUT = 600  # seconds for one call of apt
_URI = re.compile(r"^'[^']+' (\S+\.deb) (\d+) (?:SHA256:)?([0-9a-f]{64})?", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """A package file: `path` in the cache, `sha256` as apt's lists give it ("" where they do not)."""

    name: str
    version: str
    path: str
    size: int
    sha256: str


def find(names: Sequence[str], cache: Path, progress: Progress) -> tuple[list[Package], str]:
    """The packages, downloaded into `cache`, and a sentence about what is missing ("" if nothing is).

    No packages are returned where apt is missing or reaches nothing and the cache holds none. Two runs that share a cache
    download one after the other.
    """
    with _alone(cache):
        return _find(names, cache, progress)


def _find(names: Sequence[str], cache: Path, progress: Progress) -> tuple[list[Package], str]:
    folder = cache / "packages"
    known = _remembered(folder)
    apt = _Apt(cache)
    listed = apt.newest(names) if apt.works else {}
    if apt.works and not listed:
        progress.log("apt knows none of the documentation packages; fetching package lists into the work folder …")
        apt.update()
        listed = apt.newest(names)
    wanted = {n: listed.get(n) or known.get(n) for n in names}
    packages = [p for p in wanted.values() if p is not None]
    missing = [n for n, p in wanted.items() if p is None]
    if not packages:
        return [], "apt is not installed" if not apt.works else "apt knows none of them"
    packages = [Package(**{**asdict(p), "path": str(folder / Path(p.path).name)}) for p in packages]
    problem = apt.download([p for p in packages if not _is_whole(p)], folder, progress)
    there = [p for p in packages if _is_whole(p)]
    missing += [p.name for p in packages if p not in there]
    if there:
        Store(folder).write_json("packages.json", [asdict(p) for p in there])
    if missing and there:
        progress.log(f"without {', '.join(missing)}: {problem or 'apt does not know them'}")
        return there, f"without {', '.join(missing)}"
    return there, problem if not there else ""


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Hold the cache: apt writes a package in place, and another run must not take the half of it. The kernel frees the lock."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = open(cache / "lock", "w")
    except OSError as problem:
        raise StorageError(f"cannot write in {cache}: {problem.strerror}; give another work folder with --work") from problem
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Apt:
    """The machine's apt, with lists of our own once `update` was called."""

    def __init__(self, cache: Path) -> None:
        self.works = shutil.which("apt-get") is not None
        self._own = cache / "apt"
        self._options = self._own_lists() if (self._own / "lists").is_dir() else []

    def newest(self, names: Sequence[str]) -> dict[str, Package]:
        """The newest version of each package that apt knows."""
        code, text = self._run("--print-uris", "download", *names)
        if code != 0:  # one unknown name fails the whole call
            text = "\n".join(self._run("--print-uris", "download", name)[1] for name in names)
        found = {}
        for file, size, digest in _URI.findall(text):
            name, version = file.split("_")[:2]
            found[name] = Package(name, version.replace("%3a", ":"), file, int(size), digest)
        return found

    def update(self) -> None:
        for folder in ("lists/partial", "cache/archives/partial"):
            (self._own / folder).mkdir(parents=True, exist_ok=True)
        self._options = self._own_lists()
        self._run("update")

    def download(self, packages: Sequence[Package], folder: Path, progress: Progress) -> str:
        """Download what is missing, the smallest first; returns the first problem, after which nothing more is tried."""
        if not packages:
            return ""
        if not self.works:
            return "apt is not installed"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise StorageError(f"cannot make {folder}: {problem.strerror}; give another work folder with --work") from problem
        with progress.task("download packages", sum(p.size for p in packages) / 1e6, "MB") as bar:
            for package in sorted(packages, key=lambda p: p.size):
                code, text = self._run("download", f"{package.name}={package.version}", cwd=folder)
                if code != 0 or not _is_whole(package):
                    lines = [line for line in text.splitlines() if line.startswith("E:")]
                    return f"cannot download {package.name}: {lines[0][3:] if lines else 'its checksum differs'}"
                bar.advance(package.size / 1e6)
        return ""

    def _own_lists(self) -> list[str]:
        return ["-o", f"Dir::State::Lists={self._own / 'lists'}", "-o", f"Dir::Cache={self._own / 'cache'}"]

    def _run(self, *arguments: str, cwd: Path | None = None) -> tuple[int, str]:
        command = ["apt-get", "-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", *self._options, *arguments]
        try:
            done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT, check=False, errors="replace")
        except (OSError, subprocess.TimeoutExpired) as problem:
            return 1, f"E: {problem}"
        return done.returncode, done.stdout + done.stderr


def _remembered(folder: Path) -> dict[str, Package]:
    """What an earlier run downloaded, for machines that have lost their network or their lists."""
    try:
        entries = json.loads((folder / "packages.json").read_text())
        return {e["name"]: Package(**e) for e in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _is_whole(package: Package) -> bool:
    path = Path(package.path)
    if not path.is_file() or path.stat().st_size != package.size:
        return False
    return not package.sha256 or hashlib.sha256(path.read_bytes()).hexdigest() == package.sha256


def pages(packages: Sequence[Package], about: About, languages: Sequence[str], limit: int = 0) -> Iterator[PageRow]:
    """PAGE rows of the HTML files of the packages, in the order of their names; other languages are left out by file name.

    With a `limit`, a spread sample of that many pages, where a page's two languages are chosen together.
    """
    wanted = None
    if limit:
        wanted = sample([name for p in packages for name in _files(p, languages, about, 0)[0]], limit)
    for package in packages:
        files, error = _files(package, languages, about, about.max_body)
        license = about.license or license_of(package, copyright_of(package, about.max_ratio))
        for name, (size, body) in sorted(files.items()):
            if wanted is not None and name not in wanted:
                continue
            pair = pair_of(name)[1]
            meta = {"package": package.name, "version": package.version} | ({"pair": pair} if pair else {})
            url = f"debian://{package.name}{name}"
            yield page_row(about, url=url, body=body, size=size, meta=meta, license=license)
        if error:
            yield broken_row(about, package.name, "data", error)


def copyright_of(package: Package, ratio: float) -> bytes:
    """The package's copyright file as it is; empty if there is none (another package of the same source may have it), or if the
    package is damaged before it, which `pages` tells. StorageError if the package is gone."""
    wanted = f"usr/share/doc/{package.name}/copyright"
    with _opened(package) as file, contextlib.suppress(*BROKEN, tarfile.TarError):
        for _, member, content in members(_data(file, ratio), _COPYRIGHT_BYTES):
            if member.name.removeprefix(".").lstrip("/") == wanted:
                return content
    return b""


def license_of(package: Package, copyright: bytes) -> str:
    """An SPDX expression: what the copyright file says where it is machine-readable, else a name that refers to the file."""
    return spdx_of(copyright.decode("utf-8", "replace")) or f"LicenseRef-debian-{package.name}"


def _opened(package: Package) -> BinaryIO:
    try:
        return open(package.path, "rb")
    except OSError as problem:
        raise StorageError(f"cannot read {package.path}: {problem.strerror}; run again") from problem


def _files(package: Package, languages: Sequence[str], about: About, limit: int) -> tuple[dict[str, tuple[int, bytes]], str]:
    """Size and content (where it is within `limit`) of the HTML files of a package whose names do not say that they are in another
    language, by name, and why there may be more ("" if all was read). StorageError if the package is gone."""
    found: dict[str, tuple[int, bytes]] = {}
    with _opened(package) as file:
        try:
            for _, member, content in members(_data(file, about.max_ratio), limit):
                name = member.name.removeprefix(".")
                if name.lower().endswith((".html", ".htm", ".xhtml")):
                    lang = pair_of(name)[0]
                    if not lang or lang in languages:
                        found[name] = (member.size, content)
        except (*BROKEN, tarfile.TarError) as problem:
            return found, f"{reason_of(problem)}; a package to be removed from the cache"
    return found, ""


def _data(file: BinaryIO, ratio: float) -> BinaryIO:
    """The tar archive with a package's files, unpacked. tarfile.ReadError if the file is no package."""
    if file.read(8) != b"!<arch>\n":
        raise tarfile.ReadError("not a Debian package")
    while len(header := file.read(60)) == 60:
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), header[48:58].strip()
        if not size.isdigit():
            break
        if name.startswith("data.tar"):
            return unpacked(io.BytesIO(file.read(int(size))), ratio)
        file.seek(int(size) + int(size) % 2, io.SEEK_CUR)
    raise tarfile.ReadError("a Debian package without files")
