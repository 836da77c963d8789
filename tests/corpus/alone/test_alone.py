"""Language, quality and redaction by themselves on files, in English and Chinese: every row is judged or rejected with a reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from skyloom.cli import main
from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.corpus.alone import FilesReport, LanguageVerdict, QualityVerdicts, Redaction, judge_files
from skyloom.corpus.alone import command as module

EN = (
    "The river rose for three days before anyone in the valley moved the animals to the high field. The old men said that in other "
    "years the spring was not like this, and that the mill by the bridge had never stood in the water. "
)
ZH = "河水连涨了三天，山谷里的人才把牲口赶到高处的草地上。老人们说往年的春天并不是这样的，桥边的磨坊也从来没有泡在水里。"
HANT = "這條河邊的磨坊已經開了一百年，師傅說從前來磨麵的人總是很多，門前的車馬排成長隊。" * 2
FR = "Le moulin se trouve au bord de la rivière et les paysans y apportent leur blé depuis cent ans, dit la meunière. " * 2
SPAM = "加微信领取资料，日赚三百，带你刷单，贷款秒批，名额有限，先到先得，今天就来找我们吧。"
ROWS = [
    {"id": "en", "text": EN},
    {"id": "zh", "text": ZH},
    {"id": "hant", "text": HANT},
    {"id": "fr", "text": FR},
    {"id": "spam", "text": SPAM},
    {"id": 6, "text": "Nothing."},
    {"id": "mail", "text": f"{EN}Write to jane@mail.skyland.org. {ZH}电话：13812345678。"},
    {"id": "empty", "text": " "},
    {"text": f"{ZH}没有编号。"},
]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in ROWS]
    (tmp_path / "in").mkdir()
    one, two = tmp_path / "in/一.jsonl.gz", tmp_path / "in/two.parquet"
    one.write_bytes(gzip.compress(b"\n".join([*lines[:8], b"{broken", lines[8]]) + b"\n"))
    pq.write_table(pa.table({"id": ["p1", "p2"], "text": [EN + "p.", ZH + "末。"]}), two)
    return [one, two]


def judged(paths: Any, out: Path, stage: Any, texts: Path | None = None, engine: Engine | None = None) -> FilesReport:
    return judge_files(paths, out, stage, engine=engine or Engine(), progress=Progress.silent(), texts=texts)


def rows(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [json.loads(line) for line in data.decode().splitlines()]


def test_language(files: list[Path], tmp_path: Path) -> None:
    report = judged(files, tmp_path / "out.jsonl", LanguageVerdict(("zh-Hans",)), tmp_path / "texts.parquet")
    found = {row["id"]: row["lang"] for row in rows(tmp_path / "out.jsonl")}
    assert {k: found[k] for k in ("en", "zh", "hant", "fr", "p1", "p2")} == {
        "en": "en", "zh": "zh-Hans", "hant": "zh-Hant", "fr": "other", "p1": "en", "p2": "zh-Hans",
    }  # fmt: skip
    assert list(found) == ["en", "zh", "hant", "fr", "spam", "6", "mail", "一.jsonl.gz:10", "p1", "p2"], "in their order"
    assert all(0 <= row["score"] <= 1 for row in rows(tmp_path / "out.jsonl"))
    kept = rows(tmp_path / "texts.parquet")
    assert [row["id"] for row in kept] == [name for name, lang in found.items() if lang == "zh-Hans"]
    assert kept[0] == {"id": "zh", "text": ZH}
    assert report.documents == 10 and report.kept == len(kept) and report.said["zh-Hans"] == len(kept)
    assert sum(report.rejected.values()) == 2 and len(report.rejected) == 2, report.rejected
    lost = rows(tmp_path / "out.jsonl.rejected.jsonl")
    assert [(Path(row["file"]).name, row["row"]) for row in lost] == [("一.jsonl.gz", 8), ("一.jsonl.gz", 9)]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".skyloom")], "nothing else is left"


def test_quality(files: list[Path], tmp_path: Path) -> None:
    report = judged(files, tmp_path / "out.parquet", QualityVerdicts(), tmp_path / "texts.jsonl.gz")
    found = {row["id"]: (row["reason"], row["score"]) for row in rows(tmp_path / "out.parquet")}
    assert found["6"] == ("too short", 0.0) and found["spam"][0] == "advertising" and found["spam"][1] < 0.5
    for name in ("en", "zh", "p1", "p2"):
        assert found[name][0] is None and found[name][1] >= 0.5
    kept = [row["id"] for row in rows(tmp_path / "texts.jsonl.gz")]
    assert kept == [name for name, (reason, _) in found.items() if reason is None]
    assert report.said["kept"] == report.kept == len(kept) and report.said["too short"] == 1


def test_redaction(files: list[Path], tmp_path: Path) -> None:
    report = judged(files[:1], tmp_path / "out.jsonl", Redaction())
    found = {row["id"]: row for row in rows(tmp_path / "out.jsonl")}
    assert "<EMAIL>" in found["mail"]["text"] and "<PHONE>" in found["mail"]["text"] and "13812345678" not in found["mail"]["text"]
    assert found["mail"]["email"] == 1 and found["mail"]["phone"] == 1
    assert found["zh"] == {"id": "zh", "text": ZH, "email": 0, "id_card": 0, "bank_card": 0, "ip": 0, "phone": 0}
    assert report.said == {"email": 1, "phone": 1} and report.kept == report.documents == 8
    judged(files[:1], tmp_path / "mail.jsonl", Redaction(type(Redaction().config)(("email",))))
    assert "13812345678" in {row["id"]: row for row in rows(tmp_path / "mail.jsonl")}["mail"]["text"]


def test_a_stopped_command_goes_on(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = module.judge_rows, list[str]()

    def stops(task: Any, work: Any) -> Any:
        if seen:
            raise KeyboardInterrupt
        seen.append(task.key)
        return real(task, work)

    monkeypatch.setattr(module, "judge_rows", stops)
    with pytest.raises(KeyboardInterrupt):
        judged(files, tmp_path / "out.jsonl", LanguageVerdict())
    assert not (tmp_path / "out.jsonl").exists()
    again: list[str] = []
    monkeypatch.setattr(module, "judge_rows", lambda task, work: (again.append(task.key), real(task, work))[1])
    judged(files, tmp_path / "out.jsonl", LanguageVerdict())
    assert again == ["00001"], "the first file is not read again"
    monkeypatch.setattr(module, "judge_rows", real)
    judged(files, tmp_path / "whole.jsonl", LanguageVerdict())
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "空.jsonl").write_text('{"id": "a", "content": "河水"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="has no document with text in the column 'text'; 1 rows: no text"):
        judged([tmp_path / "空.jsonl"], tmp_path / "out.jsonl", LanguageVerdict())
    with pytest.raises(DataError, match="does not exist"):
        judged([tmp_path / "none.jsonl"], tmp_path / "out.jsonl", LanguageVerdict())
    for out, texts in (("out.csv", None), ("out.jsonl", "texts.txt"), ("out.jsonl", "out.jsonl")):
        with pytest.raises(ConfigError):
            judged([tmp_path / "空.jsonl"], tmp_path / out, LanguageVerdict(), tmp_path / texts if texts else None)
    with pytest.raises(ConfigError, match="is one of the inputs"):
        judged([tmp_path / "空.jsonl"], tmp_path / "空.jsonl", LanguageVerdict())
    told = json.loads((tmp_path / "out.jsonl.rejected.jsonl").read_text(encoding="utf-8"))
    assert told["row"] == 1 and told["reason"] == "no text"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jsonl.rejected.jsonl", "空.jsonl"]


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["corpus", *map(str, arguments), "--workers", "0", "--quiet"])


def test_the_commands(files: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for verb, more in (("language", ("--lang", "en")), ("quality", ()), ("redact", ("--kind", "email"))):
        found = call(verb, folder, "-o", tmp_path / f"{verb}.jsonl", *more)
        assert found.exit_code == 0, found.output
        assert "10 documents" in found.output and "rows rejected" in found.output
        assert len(rows(tmp_path / f"{verb}.jsonl")) == 10
    wrong = call("quality", folder, "-o", tmp_path / "x.jsonl", "--web-en", "c5")
    assert wrong.exit_code == 2 and "did you mean 'c4'" in wrong.output
    renamed = tmp_path / "内容.jsonl"
    renamed.write_text(json.dumps({"name": "n", "content": ZH}, ensure_ascii=False), encoding="utf-8")
    found = call("language", renamed, "-o", tmp_path / "r.jsonl", "--text", "content", "--id", "name")
    assert found.exit_code == 0 and rows(tmp_path / "r.jsonl")[0] | {"score": 0} == {"id": "n", "lang": "zh-Hans", "score": 0}
