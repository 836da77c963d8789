"""Files in, verdicts out: formats, bad rows, repeated ids, damaged files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError, SkyloomError
from skyloom.core.json_lines import NOT_JSON, NOT_OBJECT
from skyloom.core.progress import Progress
from skyloom.corpus.dedup import command as dedup_files
from skyloom.corpus.dedup import command_rows as dedup_rows
from skyloom.corpus.dedup.command import Report, memory_size
from skyloom.corpus.dedup.config import DedupConfig, RepeatsConfig
from skyloom.corpus.dedup.sketch import Columns

ENGLISH = "The old ferry crossed the bay at dawn and nobody on the pier remembered who had paid for the ropes or the bell"
CHINESE = "清晨的渡船驶过海湾，码头上没有人记得是谁付了缆绳和铜钟的钱，只有海鸥在灯塔上空慢慢盘旋。"
ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": ENGLISH},
    {"id": "b", "text": CHINESE, "url": "http://x"},
    {"id": "c", "text": ENGLISH + " again"},
    {"id": "d", "text": "\U0001f6a2 " + CHINESE + "\u0000"},
    {"id": "e", "text": "Something else altogether, told in other words and for another reason by another man"},
]
KEPT = {"b": "b", "e": "e"}


def go(source: Path, target: Path, **more: Any) -> Report:
    settings: dict[str, Any] = {"memory": 4 << 30, "engine": Engine(), "progress": Progress.silent()} | more
    return dedup_files.dedup_files(source, target, settings.pop("config", DedupConfig()), **settings)


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode()


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    data = lines(rows)
    if path.name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        packed = gzip.compress(data) if path.suffix == ".gz" else zstandard.compress(data) if path.suffix == ".zst" else data
        path.write_bytes(packed)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.name.endswith(".parquet"):
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    return [json.loads(line) for line in data.decode().splitlines()]


@pytest.mark.parametrize("suffix", dedup_files.INPUTS)
def test_every_format_in_and_out(tmp_path: Path, suffix: str) -> None:
    report = go(write(tmp_path / f"docs{suffix}", ROWS), tmp_path / "deep" / f"out{suffix}")
    found = read(tmp_path / "deep" / f"out{suffix}")
    assert [r["id"] for r in found] == list("abcde")
    clusters = {r["id"]: r["cluster"] for r in found}
    assert clusters["a"] == clusters["c"]
    assert clusters["b"] == clusters["d"]
    assert clusters["e"] == "e"
    assert [r["keep"] for r in found] == [r["id"] == r["cluster"] for r in found]
    assert all(0.7 <= r["jaccard"] <= 1 for r in found)
    assert (report.documents, report.kept, report.removed, report.rejected) == (5, 3, 2, {})
    assert [p.name for p in (tmp_path / "deep").iterdir()] == [f"out{suffix}"]


def test_bad_rows_are_counted_and_named_and_the_others_stay(tmp_path: Path) -> None:
    bad = [
        b'{"id": "x1", "text": "cut of\n',
        b"[1, 2]\n",
        b'{"text": "no id"}\n',
        b'{"id": true, "text": "no id"}\n',
        b'{"id": "x2"}\n',
        b'{"id": "x3", "text": "  \\n"}\n',
        b'{"id": "x4", "text": "\\ud800 alone"}\n',
        b'{"id": "x5", "text": "\xff\xfe"}\n',
        b'{"id": "x6", "text": 7}\n',
        b"\n",
        b'{"id": 12, "text": "a number for an id"}\n',
        b'{"id": "a", "text": "an id that was there"}\n',
        b'{"id": "\xe4\xb8\xad", "text": "no newline at the end"}',
    ]
    source = tmp_path / "docs.jsonl"
    source.write_bytes(lines(ROWS) + b"".join(bad))
    report = go(source, tmp_path / "out.jsonl")
    assert report.rejected == {
        NOT_JSON: 1,
        NOT_OBJECT: 1,
        dedup_rows.NO_ID: 2,
        dedup_rows.NO_TEXT: 3,
        dedup_rows.NOT_UNICODE: 2,
        dedup_files.REPEATED: 1,
    }
    assert [r["id"] for r in read(tmp_path / "out.jsonl")] == [*"abcde", "12", "中"]
    named = read(tmp_path / "out.jsonl.rejected.jsonl")
    assert [r["row"] for r in named] == [6, 7, 8, 9, 10, 11, 12, 13, 14, 17]
    assert "1 rows" in str(report) and "JSON" in str(report)


def test_fast_and_slow_reading_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedup_rows, "BLOCK", 300)
    rows = [{"id": f"{k}", "text": f"{'中文 and English ' * (k % 7)}{k}", "score": k / 3} for k in range(60)]
    rows[20]["text"], rows[41]["id"] = None, ""
    source = write(tmp_path / "docs.jsonl", rows)
    tables = []
    for _ in range(2):
        log = dedup_rows.Rejects(tmp_path / "log")
        parts = list(dedup_rows.read_rows(source, Columns("id", "text", "score"), log))
        log.close()
        tables.append((pa.concat_tables(parts), log.counts))
        monkeypatch.setattr(dedup_rows, "_fast", lambda *_: None)
    assert len(tables[0][0]) == 58
    assert tables[0][0].equals(tables[1][0])
    assert tables[0][1] == tables[1][1]


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    write(folder / "1.jsonl", ROWS[:2])
    write(folder / "2.parquet", [*ROWS[2:], {"id": "a", "text": "again"}])
    (folder / "readme.txt").write_text("no documents")
    report = go(folder, tmp_path / "out.parquet")
    assert [r["id"] for r in read(tmp_path / "out.parquet")] == list("abcde")
    assert report.rejected == {dedup_files.REPEATED: 1}


def test_several_paths_are_one_input(tmp_path: Path) -> None:
    """As a shell makes them of a pattern; in their order, so that the first of two alike stays."""
    for name, row in zip(("甲", "b"), ROWS[1:3], strict=True):
        (tmp_path / f"{name}.jsonl").write_bytes(lines([row]))
    report = go([tmp_path / "甲.jsonl", tmp_path / "b.jsonl"], tmp_path / "out.jsonl")  # type: ignore[arg-type]
    assert report.documents == 2
    (tmp_path / "both.jsonl").write_bytes(lines(ROWS[1:3]))
    assert go(tmp_path / "both.jsonl", tmp_path / "again.jsonl") == report
    assert (tmp_path / "out.jsonl").read_text() == (tmp_path / "again.jsonl").read_text()


def test_quality_decides_who_stays(tmp_path: Path) -> None:
    rows = [{"key": k, "body": r["text"], "score": s} for k, (r, s) in enumerate(zip(ROWS, (9, 1, 2, None, 3), strict=True))]
    source = write(tmp_path / "docs.jsonl", rows)
    go(source, tmp_path / "out.jsonl", columns=Columns("key", "body", "score"))
    assert {r["id"]: r["cluster"] for r in read(tmp_path / "out.jsonl")} == {"0": "0", "1": "1", "2": "0", "3": "1", "4": "4"}


def test_many_small_shards_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": f"{k:03d}", "text": r["text"] + ("" if k % 3 else f" {k}")} for k in range(60) for r in [ROWS[k % 5]]]
    source = write(tmp_path / "docs.jsonl", rows)
    go(source, tmp_path / "one.jsonl")
    monkeypatch.setattr(dedup_files, "SHARD_ROWS", 7)
    go(source, tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "error", "words"),
    [
        ("docs.jsonl", b"", DataError, "no document"),
        ("docs.jsonl", b"not json\n", DataError, r"\b1 row.*JSON"),
        ("docs.txt", b"x", DataError, "must end in"),
        ("docs.jsonl.gz", gzip.compress(b'{"id": "a", "text": "b"}\n' * 9000, mtime=0)[:-300], DataError, "damaged or cut off"),
        ("docs.jsonl.gz", b"no gzip", DataError, "damaged or cut off"),
        ("docs.jsonl.zst", zstandard.compress(b'{"id": "a", "text": "b"}\n' * 9000)[:40], DataError, "damaged or cut off"),
        ("docs.parquet", b"PAR1", DataError, "cannot be read"),
    ],
)
def test_unusable_files_end_in_a_sentence(tmp_path: Path, name: str, data: bytes, error: type[SkyloomError], words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=words):
        go(tmp_path / name, tmp_path / "out.jsonl")
    assert [p.name for p in tmp_path.iterdir()] == [name], "nothing half-written is left"


@pytest.mark.parametrize("name", ["docs.jsonl", "文档.parquet"])
def test_an_output_is_no_input(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = write(folder / name, ROWS)
    (tmp_path / "link.jsonl").symlink_to(source)
    before = source.read_bytes()
    for out in (source, folder / ".." / "in" / name, tmp_path / "link.jsonl"):
        with pytest.raises(ConfigError, match="is one of the inputs"):
            go(folder, out)
    with pytest.raises(ConfigError, match="is one of the inputs"):
        go(source, tmp_path / "out.jsonl", texts=source)
    assert source.read_bytes() == before and sorted(f.name for f in tmp_path.iterdir()) == ["in", "link.jsonl"]


def test_other_mistakes(tmp_path: Path) -> None:
    source = write(tmp_path / "docs.parquet", ROWS)
    with pytest.raises(ConfigError, match=r"'out\.csv' must end in"):
        go(source, tmp_path / "out.csv")
    with pytest.raises(DataError, match="does not exist"):
        go(tmp_path / "nowhere.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="no column 'body'"):
        go(source, tmp_path / "out.jsonl", columns=Columns("id", "body"))
    with pytest.raises(ConfigError, match="too little"):
        go(source, tmp_path / "out.jsonl", memory=1 << 20)


NOTICE = {
    "en": "All rights in the photographs above remain with the families who lent them to the museum for the year.",
    "zh": "以上照片的全部权利归今年把它们借给博物馆展出的各个家庭所有，未经许可不得转载。",
}


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".parquet"])
def test_the_documents_that_stay_without_what_repeats(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"id": f"{lang}{k}", "text": f"{text} {k} {word * 3}\n{NOTICE[lang]}\n{word} {k * 7}"}
        for lang, text, word in (("en", ENGLISH, "harbour"), ("zh", CHINESE, "港口"))
        for k in range(2)
    ]
    for row, other in zip(
        rows[1::2], ("A page of another kind about bread, salt and flour", "另一页讲的是面包、盐和面粉"), strict=True
    ):
        row["text"] = f"{other}\n{row['text'].split(chr(10), 1)[1]}"
    rows.append({"id": "only a notice", "text": NOTICE["en"]})
    source, texts = write(tmp_path / "in.jsonl", rows), tmp_path / f"left{suffix}"
    plain = go(source, tmp_path / "out.jsonl", texts=tmp_path / "plain.jsonl")
    assert plain.removed == 0 and plain.cut == dedup_files.Cut(0, 0, 0)
    assert read(tmp_path / "plain.jsonl") == rows
    report = go(source, tmp_path / "out.jsonl", texts=texts, repeats=RepeatsConfig(repeated_lines=True))
    left = {row["id"]: row["text"] for row in read(texts)}
    for lang in ("en", "zh"):
        assert NOTICE[lang] in left[f"{lang}0"], "the first place keeps it"
        assert NOTICE[lang] not in left[f"{lang}1"] and left[f"{lang}1"].endswith("7")
    assert "only a notice" not in left and len(left) == 4
    assert report.cut is not None and (report.cut.changed, report.cut.empty) == (3, 1)
    assert "empty" in str(report)


def test_repeats_need_a_file_of_texts(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", ROWS)
    with pytest.raises(ConfigError, match="name a file"):
        go(source, tmp_path / "out.jsonl", repeats=RepeatsConfig(repeated_runs=True))
    with pytest.raises(ConfigError, match="both"):
        go(source, tmp_path / "out.jsonl", texts=tmp_path / "out.jsonl")
    with pytest.raises(ConfigError, match="must end in"):
        go(source, tmp_path / "out.jsonl", texts=tmp_path / "texts.csv")


def test_memory_sizes() -> None:
    assert [memory_size(x) for x in ("4GB", "512 mb", "1.5GiB", "1000")] == [4 * 10**9, 512 * 10**6, 1610612736, 1000]
    for wrong in ("", "GB", "four", "4XB", "-1GB", "nan", "0", "1e30GB"):
        with pytest.raises(ConfigError, match="memory is"):
            memory_size(wrong)


class Long(bytes):
    """A line that says it is longer than Arrow can count."""

    def __len__(self) -> int:
        return 2**31


def test_a_line_of_two_gib_is_read_by_the_other_parser(tmp_path: Path) -> None:
    columns = Columns()
    for row in ROWS[:2]:
        line = lines([row])
        assert dedup_rows._fast(line, columns, 1) is not None
        assert dedup_rows._fast(Long(line), columns, 1) is None
        rejects = dedup_rows.Rejects(tmp_path / "rejects.jsonl")
        (found,) = dedup_rows._slowly(line, columns, tmp_path / "a.jsonl", 1, rejects).to_pylist()
        rejects.close()
        assert (found["id"], found["text"]) == (row["id"], row["text"])
