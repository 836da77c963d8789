"""Whole archives by a crawl's path lists: side by side, resumed, and nothing damaged is kept."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.corpus.sources.server import Site, record, serve

from skyloom.cli import main
from skyloom.core.config import build
from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources import commoncrawl_archives, commoncrawl_http
from skyloom.corpus.sources.commoncrawl_archives import ArchivesConfig, ArchivesSummary, fetch_archives
from skyloom.corpus.sources.commoncrawl_paths import chosen_archives, read_numbers

QUIET = Progress.silent()
CRAWL = "CC-MAIN-2023-23"
LIST = f"/crawl-data/{CRAWL}/warc.paths.gz"


def archive(number: int) -> bytes:
    pages = (record(f"http://example.org/{number}/{k}", f"<p>page 页面 {number} {k}</p>".encode()) for k in range(4))
    return b"".join(map(gzip.compress, pages))


def site(segments: int = 3, each: int = 2) -> tuple[Site, list[str]]:
    """A crawl of so many segments, and its paths."""
    paths = [
        f"crawl-data/{CRAWL}/segments/16852246433{s:02}.45/warc/CC-MAIN-2023-{s:02}-{k:05}.warc.gz"
        for s in range(segments)
        for k in range(each)
    ]
    files = {f"/{path}": archive(number) for number, path in enumerate(paths)}
    files[LIST] = gzip.compress("".join(f"{path}\n" for path in paths).encode())
    return Site(files=files), paths


def fetched(found: Site, out: Path, **more: Any) -> ArchivesSummary:
    table = {"crawl": CRAWL, "paths": "warc.paths.gz", "pause_s": 0, "retries": 2, "connections": 2, "data_url": found.url, **more}
    return fetch_archives(build(ArchivesConfig, table, origin="test"), Store(out), progress=QUIET)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(commoncrawl_http.CrawlClient, "_wait", lambda self, seconds: waits.append(seconds))
    return waits


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.warc.gz"))}


def expected(found: Site, paths: list[str]) -> dict[str, bytes]:
    return {path.rsplit("/", 1)[-1]: found.files[f"/{path}"] for path in paths}


def test_segments_of_a_list_are_fetched_whole_and_once(tmp_path: Path) -> None:
    made, paths = site()
    with serve(made) as found:
        summary = fetched(found, tmp_path, segments="0,2")
        assert summary == {"crawl": CRAWL, "files": 4, "bytes": sum(map(len, held(tmp_path).values())), "failed": {}}
        assert held(tmp_path) == expected(found, paths[:2] + paths[4:])
        found.asked.clear()
        assert fetched(found, tmp_path, segments="0,2") == summary
    assert found.asked == []
    assert not (tmp_path / ".parts").exists()
    receipt = json.loads((tmp_path / "receipts" / f"{paths[0].rsplit('/', 1)[-1]}.json").read_text())
    assert receipt["sha256"] == hashlib.sha256(found.files[f"/{paths[0]}"]).hexdigest()


def test_the_command_reads_a_list_of_ones_own_and_numbers_of_archives(tmp_path: Path) -> None:
    made, paths = site()
    (tmp_path / "列表.paths").write_text("\n".join(paths) + "\n\n../etc/passwd\nhttp://evil.example/a.warc.gz\n", encoding="utf-8")
    with serve(made) as found:
        given = ["--paths", str(tmp_path / "列表.paths"), "--segments", "1-2", "--files", "1", "--data-url", found.url]
        result = CliRunner().invoke(main, ["corpus", "fetch", "common-crawl", CRAWL, *given, "-o", str(tmp_path / "o")])
    assert result.exit_code == 0, result.output
    assert held(tmp_path / "o") == expected(found, paths[3:4])
    assert json.loads((tmp_path / "o/fetched.json").read_text())["failed"] == {"line without a path": 2}


def test_errors_that_pass_are_waited_for(tmp_path: Path, no_waiting: list[float]) -> None:
    made, paths = site()
    made.refuse = {f"/{paths[0]}": [429, 503], f"/{paths[3]}": ["lost", 500], LIST: [503]}
    with serve(made) as found:
        assert fetched(found, tmp_path)["files"] == 6
        assert held(tmp_path) == expected(found, paths)
    assert len([w for w in no_waiting if w >= 0]) >= 5


def test_an_archive_that_is_broken_off_is_continued_by_ranges(tmp_path: Path) -> None:
    """It breaks off at every try; each try that brings nothing is of no use, the others go on where it ended."""
    made, paths = site(1, 1)
    made.break_off = {f"/{paths[0]}": [100, 150]}
    with serve(made) as found:
        assert fetched(found, tmp_path)["files"] == 1
        assert held(tmp_path) == expected(found, paths)
    assert found.ranges_asked[-2:] == ["bytes=100-", "bytes=250-"]


def test_a_stopped_fetch_goes_on_with_what_came(tmp_path: Path) -> None:
    made, paths = site(2, 1)
    made.break_off = {f"/{paths[1]}": [120]}
    made.refuse_after = {f"/{paths[1]}": [503] * 2}
    with serve(made) as found:
        with pytest.raises(StorageError, match=r"503.*run it again"):
            fetched(found, tmp_path, connections=1)
        assert list(held(tmp_path)) == [paths[0].rsplit("/", 1)[-1]]
        found.asked.clear()
        assert fetched(found, tmp_path, connections=1)["files"] == 2
        assert held(tmp_path) == expected(found, paths)
    assert found.asked == [f"/{paths[1]}"]
    assert found.ranges_asked[-1] == "bytes=120-"


@pytest.mark.parametrize("ranges", [False, True], ids=["no ranges", "another file by now"])
def test_what_cannot_be_continued_is_fetched_anew(tmp_path: Path, ranges: bool) -> None:
    made, paths = site(1, 1)
    made.ranges, made.break_off = ranges, {f"/{paths[0]}": [120]}
    made.changes = {f"/{paths[0]}"} if ranges else set()
    with serve(made) as found:
        assert fetched(found, tmp_path)["files"] == 1
        assert held(tmp_path) == expected(found, paths)


def test_archives_that_cannot_be_had_are_counted_by_reason(tmp_path: Path) -> None:
    made, paths = site(4, 2)
    kept = [paths[0], paths[7]]
    del made.files[f"/{paths[1]}"]
    made.files[f"/{paths[2]}"] = archive(2)[:-9]
    made.files[f"/{paths[3]}"] = archive(3).replace(b"\x1f\x8b", b"\x1f\x8c")
    made.files[f"/{paths[4]}"] = b""
    made.lengths = {f"/{paths[5]}": 40}  # says 40 bytes more than there are, and breaks off for ever
    made.headers = {f"/{paths[6]}": {"Content-MD5": base64.b64encode(b"0" * 16).decode()}}
    with serve(made) as found:
        summary = fetched(found, tmp_path)
        assert held(tmp_path) == expected(found, kept)
    assert summary["failed"] == {
        "checksum differs": 1, "does not unpack": 1, "ends inside a gzip member": 1, "is empty": 1, "status 404": 1, "wrong length": 1,
    }  # fmt: skip


def test_an_archive_that_breaks_off_for_ever_does_not_hold_up_the_others(tmp_path: Path) -> None:
    made, paths = site(1, 3)
    made.ranges, made.lengths = False, {f"/{paths[0]}": 40}
    with serve(made) as found:
        assert fetched(found, tmp_path, connections=1)["failed"] == {"breaks off": 1}
        assert held(tmp_path) == expected(found, paths[1:])
        made.lengths.clear()
        assert fetched(found, tmp_path)["failed"] == {}
        assert held(tmp_path) == expected(found, paths)


def test_a_server_without_ranges_that_breaks_off_late_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try brings much, and none comes further than the one before."""
    monkeypatch.setattr(commoncrawl_archives, "_USEFUL", 50)
    made, paths = site(1, 2)
    made.ranges, made.break_off = False, {f"/{paths[0]}": [100, 200] + [200, 180] * 20}
    with serve(made) as found:
        assert fetched(found, tmp_path)["failed"] == {"breaks off": 1}
        assert held(tmp_path) == expected(found, paths[1:])
    assert found.hits[f"/{paths[0]}"] <= 5


def test_the_old_part_is_gone_before_the_tag_of_a_new_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a kill between the two would join new bytes behind old ones."""
    made, paths = site(1, 1)
    made.break_off, made.changes = {f"/{paths[0]}": [120]}, {f"/{paths[0]}"}
    write, old = Path.write_text, []

    def watched(self: Path, *args: Any, **more: Any) -> int:
        part = self.with_suffix("")
        old.append(part.stat().st_size if part.exists() else 0)
        return write(self, *args, **more)

    monkeypatch.setattr(Path, "write_text", watched)
    with serve(made) as found:
        assert fetched(found, tmp_path)["files"] == 1
        assert held(tmp_path) == expected(found, paths)
    assert old == [0, 0]


def test_a_bomb_and_an_archive_that_is_too_large(tmp_path: Path) -> None:
    made, paths = site(1, 2)
    made.files[f"/{paths[0]}"] = gzip.compress(b"WARC/1.0" + b"\0" * 9_000_000)
    made.files[f"/{paths[1]}"] = bytes(60_000)
    with serve(made) as found, pytest.raises(DataError, match="none of the 2 archives") as told:
        fetched(found, tmp_path, max_file_gb=0.00005)
    assert "1 decompression bomb" in str(told.value) and "1 archive is too large" in str(told.value)
    assert held(tmp_path) == {}
    assert list((tmp_path / ".parts").iterdir()) == [], "nothing of them stays on the disk"


def test_checksums_of_the_list_and_of_the_answer(tmp_path: Path) -> None:
    made, paths = site(1, 3)
    sums = [hashlib.sha256(made.files[f"/{paths[0]}"]).hexdigest(), hashlib.md5(made.files[f"/{paths[1]}"]).hexdigest(), "0" * 64]
    (tmp_path / "list").write_text("".join(f"{told}  {path}\n" for told, path in zip(sums, paths, strict=True)))
    digest = base64.b64encode(hashlib.sha256(made.files[f"/{paths[0]}"]).digest()).decode()
    made.headers = {f"/{paths[0]}": {"Repr-Digest": f"sha-256=:{digest}:"}}
    with serve(made) as found:
        summary = fetched(found, tmp_path / "o", paths=str(tmp_path / "list"))
        assert held(tmp_path / "o") == expected(found, paths[:2])
    assert summary["failed"] == {"checksum differs": 1}


def test_a_slow_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _paths = site(1, 1)
    clock = iter(range(0, 10**9, 90))  # so many seconds go by at each look at the clock
    monkeypatch.setattr(commoncrawl_http, "_clock", lambda: float(next(clock)))
    with serve(made) as found, pytest.raises(StorageError):
        fetched(found, tmp_path, paths="warc.paths.gz")
    assert held(tmp_path) == {}


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"paths": "nothing.paths.gz"}, ConfigError, "no file here.*404"),
        ({"paths": "a/b.gz"}, ConfigError, "no name of a list"),
        ({"segments": "9"}, DataError, "has 3 segments"),
        ({"files": "99"}, DataError, "has 6 archives"),
        ({"segments": "a-b"}, ConfigError, "no list of numbers"),
        ({"segments": "9-1"}, ConfigError, "backwards"),
        ({"crawl": "../x"}, ConfigError, "is no crawl"),
        ({"data_url": "ftp://example.org"}, ConfigError, "no address"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, more: dict[str, Any], error: type[Exception], message: str) -> None:
    made, _ = site()
    with serve(made) as found, pytest.raises(error, match=message):
        fetched(found, tmp_path, **more)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--paths", "warc.paths.gz", "--domain", "example.org"], "--domain does not go with"),
        (["--domain", "example.org", "--segments", "1"], "--segments does not go without"),
    ],
)
def test_options_of_the_two_ways_do_not_mix(tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["corpus", "fetch", "common-crawl", CRAWL, *options, "-o", str(tmp_path)])
    assert result.exit_code != 0
    assert message in str(result.exception or result.output) + result.output


def test_one_folder_is_one_fetch_and_must_be_local(tmp_path: Path) -> None:
    made, _ = site()
    with serve(made) as found:
        fetched(found, tmp_path, segments="0")
        with pytest.raises(ConfigError, match=r"another fetch \(segments differ\)"):
            fetched(found, tmp_path, segments="1")
        with pytest.raises(ConfigError, match="local folder"):
            table = {"crawl": CRAWL, "paths": "warc.paths.gz", "data_url": found.url}
            fetch_archives(build(ArchivesConfig, table, origin="test"), Store("memory://x"), progress=QUIET)


def test_names_of_a_list_are_names_of_archives() -> None:
    bad = ["config.json", "fetched.json", "Plan.jsonl", "receipts", ".parts", ".hidden.warc.gz", "存档.json", "档" * 81 + ".gz"]
    lines = "".join(f"crawl/{name}\n" for name in [*bad, "好的.warc.gz", "档" * 70 + ".warc.gz"])
    found, refused = chosen_archives(lines.encode(), "", "", "list")
    assert [a.name for a in found] == ["好的.warc.gz", "档" * 70 + ".warc.gz"]
    assert refused == {"name that no archive can have here": len(bad)}
    long = "/".join(["段落" * 20] * 4)
    same, _ = chosen_archives(f"{long}/a/x.warc.gz\n{long}/b/x.warc.gz\n".encode(), "", "", "list")
    assert all(len(a.name.encode()) <= 230 and a.name.endswith("x.warc.gz") for a in same)


def test_the_longest_name_can_be_fetched(tmp_path: Path) -> None:
    path = f"a/{'档' * 74}.warc.gz"
    (tmp_path / "list").write_text(f"{path}\n", encoding="utf-8")
    with serve(Site(files={f"/{path}": archive(0)})) as found:
        assert fetched(found, tmp_path / "o", paths=str(tmp_path / "list"))["files"] == 1
    assert len(path.encode()) - 2 == 230


def test_a_list_of_several_gzip_members_is_read_to_its_end() -> None:
    lines = [f"a/{name}.warc.gz\n".encode() for name in ("x", "页", "z")]
    found, _ = chosen_archives(b"".join(map(gzip.compress, lines)), "", "", "list")
    assert [a.path for a in found] == ["a/x.warc.gz", "a/页.warc.gz", "a/z.warc.gz"]
    with pytest.raises(DataError, match="cut off"):
        chosen_archives(b"".join(map(gzip.compress, lines))[:-9], "", "", "list")


def test_lists_that_are_none() -> None:
    for data, message in ((b"\x1f\x8b\x08 no", "damaged"), (gzip.compress(b"a" * 99)[:-9], "cut off"), (b"\xff\xfe\x00", "UTF-8")):
        with pytest.raises(DataError, match=message):
            chosen_archives(data, "", "", "list")
    with pytest.raises(DataError, match="no path"):
        chosen_archives(b"\n/etc/passwd\n", "", "", "list")
    same, refused = chosen_archives(b"a/x.warc.gz\nb/x.warc.gz\nb/x.warc.gz\n", "", "", "list")
    assert [a.name for a in same] == ["a+x.warc.gz", "b+x.warc.gz"]
    assert refused == {"path that stands there twice": 1}
    assert read_numbers("0-9, 20", "x") == [(0, 9), (20, 20)]
