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

import zstandard

from skyloom.core.errors import StorageError
from skyloom.core.progress import Progress
from skyloom.core.records import PageRow
from skyloom.core.store import Store
from skyloom.corpus.sources.readers.rows import About, page_row, pair_of, sample

PACKAGES = (
    "libreoffice-help-en-us", "libreoffice-help-zh-cn", "debian-reference-en", "debian-reference-zh-cn", "maint-guide",
    "maint-guide-zh-cn", "debian-faq", "debian-faq-zh-cn", "debmake-doc", "developers-reference",
)  # fmt: skip
LICENSE = "see package copyright"
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
    wanted = sample([n for p in packages for n, _ in _members(p, languages)], limit) if limit else None
    for package in packages:
        files = {}
        for name, (member, archive) in _members(package, languages):
            if wanted is None or name in wanted:
                handle = archive.extractfile(member) if member.size <= about.max_body else None
                files[name] = (member.size, handle.read() if handle else b"")
        for name, (size, body) in sorted(files.items()):
            pair = pair_of(name)[1]
            meta = {"package": package.name, "version": package.version} | ({"pair": pair} if pair else {})
            url = f"debian://{package.name}{name}"
            yield page_row(about, url=url, body=body, size=size, meta=meta, license=about.license or LICENSE)


def _members(package: Package, languages: Sequence[str]) -> Iterator[tuple[str, tuple[tarfile.TarInfo, tarfile.TarFile]]]:
    """The HTML files of a package whose names do not say that they are in another language; links are no files."""
    with _data(Path(package.path)) as archive:
        for member in archive:
            name = member.name.removeprefix(".")
            if member.isfile() and name.lower().endswith((".html", ".htm", ".xhtml")):
                lang = pair_of(name)[0]
                if not lang or lang in languages:
                    yield name, (member, archive)


def _data(path: Path) -> tarfile.TarFile:
    """The tar archive with a package's files. StorageError if the file is no package."""
    try:
        with path.open("rb") as file:
            if file.read(8) != b"!<arch>\n":
                raise StorageError(f"{path} is not a Debian package; remove it and run again")
            while header := file.read(60):
                name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
                if name.startswith("data.tar"):
                    data = file.read(size)
                    if name.endswith(".zst"):
                        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
                    return tarfile.open(fileobj=io.BytesIO(data))
                file.seek(size + size % 2, io.SEEK_CUR)
    except (OSError, ValueError, tarfile.TarError) as problem:
        raise StorageError(f"cannot read {path}: {problem}; remove it and run again") from problem
    raise StorageError(f"{path} holds no files; remove it and run again")
