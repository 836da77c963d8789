"""What goes wrong for real users: each fault gives a clear sentence or a counted, quarantined page, and the run goes on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyarrow.parquet as pq

from tests.stories import pages
from tests.stories.program import TINY, contents, read, skyloom, start, step_folder


def build(source: Path, work: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return skyloom("corpus", "build", TINY, "--source", source, "--work", work, *more)


def rejected(work: Path) -> dict[str, str]:
    """Reason of each page that extraction turned away, by the end of its url."""
    found = {}
    for shard in step_folder(work, "extract").glob("extracted-*.parquet"):
        for row in pq.read_table(shard, columns=["url", "reason"]).to_pylist():
            if row["reason"]:
                found[row["url"].rsplit("/", 1)[-1]] = row["reason"]
    return found


def kept(work: Path) -> int:
    return sum(pq.read_metadata(s).num_rows for s in step_folder(work, "corpus").glob("documents-*.parquet"))


def no_traceback(done: subprocess.CompletedProcess[str]) -> str:
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    return text


def test_hostile_pages_are_quarantined_and_the_good_ones_kept(tmp_path):
    site = pages.write_site(tmp_path / "site")
    (site / "huge.html").write_bytes(b"<html><body><p>" + b"big page, great text. " * (50 * 2**20 // 22) + b"</p></body></html>")
    (site / "deep.html").write_bytes(b"<div>" * 100_000 + "深处 deep down".encode() + b"</div>" * 100_000)
    (site / "nothing.html").write_bytes(b"")
    (site / "zeros.html").write_bytes(b"\0" * 5000)
    (site / "gbk_as_utf8.html").write_bytes(pages.page(500, "zh", charset="gbk", declared="utf-8"))
    (site / "gbk_undeclared.html").write_bytes(
        pages.page(501, "zh", charset="gb18030", declared="").replace(b'<meta charset="">', b"")
    )
    (site / "utf16.html").write_bytes(pages.page(502, "en", charset="utf-16", declared="utf-8"))
    done = build(site, tmp_path / "work")
    assert done.returncode == 0, no_traceback(done)
    reasons = rejected(tmp_path / "work")
    assert {"huge.html", "nothing.html", "zeros.html"} <= set(reasons)
    assert "deep.html" not in reasons, "depth costs nothing: its few words are read, and are too short for a document"
    assert not {"gbk_as_utf8.html", "gbk_undeclared.html", "utf16.html"} & set(reasons)
    texts = [t for s in step_folder(tmp_path / "work", "extract").glob("*.parquet") for t in pq.read_table(s).to_pylist()]
    by_name = {t["url"].rsplit("/", 1)[-1]: "\n".join(t["blocks"]) for t in texts}
    assert pages.prose(500, "zh")[0] in by_name["gbk_as_utf8.html"]
    assert pages.prose(501, "zh")[0] in by_name["gbk_undeclared.html"]
    assert pages.prose(502, "en")[0] in by_name["utf16.html"]
    assert kept(tmp_path / "work") >= 60


def test_a_broken_gzip_member_costs_that_member_only(tmp_path):
    warc = pages.write_warc(tmp_path / "broken.warc.gz", 40, break_member=7)
    done = build(warc, tmp_path / "work")
    assert done.returncode == 0, no_traceback(done)
    shards = step_folder(tmp_path / "work", "pages").glob("pages-*.parquet")
    rows = [r for s in shards for r in pq.read_table(s, columns=["source", "error"]).to_pylist() if r["source"] == "source"]
    assert sum(r["error"] is None for r in rows) == 39
    assert sum(r["error"] is not None for r in rows) == 1


def test_an_empty_source_is_named(tmp_path):
    (tmp_path / "空").mkdir()
    done = build(tmp_path / "空", tmp_path / "work")
    assert done.returncode == 3 and "空" in no_traceback(done)


def test_a_missing_source_is_named(tmp_path):
    done = build(tmp_path / "gone.warc.gz", tmp_path / "work")
    assert done.returncode in (3, 5) and "gone.warc.gz" in no_traceback(done)


def test_a_source_without_chinese_is_told(tmp_path):
    site = pages.write_site(tmp_path / "site", langs=("en",))
    done = skyloom("run", TINY, "--source", site, "--work", tmp_path / "work")
    assert done.returncode in (0, 3)
    assert "no Chinese" in no_traceback(done)


def test_a_work_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = build(pages.write_site(tmp_path / "site", 3), tmp_path / "file" / "work")
    assert done.returncode == 5 and "--work" in no_traceback(done)


def test_a_misspelt_key_names_the_file_the_key_and_the_nearest(tmp_path):
    recipe = tmp_path / "配方.toml"
    recipe.write_text(TINY.read_text().replace("[train]", "[train]\npercision = 'bf16'", 1))
    done = skyloom("run", recipe, "--work", tmp_path / "work")
    text = no_traceback(done)
    assert done.returncode == 2
    assert "配方.toml" in text and "train.percision" in text and "'precision'" in text
    assert skyloom("recipe", "show", TINY, "--set", "tokenizr.seed=1").returncode == 2
    assert skyloom("run", tmp_path / "missing.toml").returncode == 2


def test_a_corrupted_shard_is_named_and_its_step_redone(tmp_path):
    site, work = pages.write_site(tmp_path / "site"), tmp_path / "work"
    assert build(site, work).returncode == 0
    before = contents(work)
    shard = sorted(step_folder(work, "corpus").glob("documents-*.parquet"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(bytes(data))
    done = build(site, work)
    assert done.returncode == 0 and shard.name in no_traceback(done) and "checksum" in done.stderr
    assert contents(work) == before


def test_two_runs_at_once_share_the_work(tmp_path):
    site, work = pages.write_site(tmp_path / "site"), tmp_path / "work"
    pair = [start("corpus", "build", TINY, "--source", site, "--work", work) for _ in range(2)]
    results = [p.communicate(timeout=600) for p in pair]
    assert [p.returncode for p in pair] == [0, 0], results
    alone = tmp_path / "alone"
    assert build(site, alone).returncode == 0
    assert contents(work) == contents(alone)


def test_a_work_folder_below_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder 不是文件夹")
    done = build(pages.write_site(tmp_path / "site", 3), tmp_path / "file" / "work")
    assert done.returncode == 5 and "--work" in no_traceback(done)


def test_a_read_only_folder_is_told(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write in any folder but the kernel's
        locked = Path("/sys/kernel")
    done = build(pages.write_site(tmp_path / "site", 3), locked / "work")
    assert done.returncode == 5 and "--work" in no_traceback(done)


def test_sources_that_are_not_what_they_seem_are_told(tmp_path):
    (tmp_path / "not.parquet").write_bytes("PAR1 这不是 parquet PAR1".encode())
    done = build(tmp_path / "not.parquet", tmp_path / "a")
    assert done.returncode == 3 and "not.parquet" in no_traceback(done)


def test_too_few_documents_are_counted(tmp_path):
    lines = [f'{{"text": "{pages.prose(i, lang)[0]}"}}' for i in range(3) for lang in ("en", "zh")]
    (tmp_path / "few.jsonl").write_text("\n".join([*lines, "{broken"]))
    done = build(tmp_path / "few.jsonl", tmp_path / "b")
    assert done.returncode == 3 and "of 6 that came from pages" in no_traceback(done)
    (row,) = [r for r in read(step_folder(tmp_path / "b", "pages") / "sources.json") if r["name"] == "source"]
    assert row["pages"] == 7
