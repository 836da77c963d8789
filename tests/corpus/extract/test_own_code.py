"""A third-party package of fifteen lines reads a source and extracts its pages; what it refuses is in the ledger by reason."""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from skyloom.core.config import build
from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.records import PAGE
from skyloom.core.store import Store
from skyloom.corpus.dedup import work_folder
from skyloom.corpus.extract import ExtractConfig, command, extract, extract_files, extract_html, extractor_identity
from skyloom.corpus.extract.stage import extract_pages
from skyloom.corpus.own_function import OwnFunctionError
from skyloom.corpus.sources import SourceConfig, fetch, resolve
from skyloom.run.recipe import CorpusSettings

QUIET = Progress.silent()
PACKAGE = """
import re
import pyarrow as pa

def read(path, settings):
    for number, line in enumerate(open(path, encoding="utf-8")):
        yield {"html": f"<b>{line.strip()}</b>", "url": f"own://{number}"} if line.strip() else 7

def extract(pages, settings):
    texts = [re.sub("<.*?>", "", body.as_py().decode()) for body in pages["body"]]
    reasons = [f"says {settings['word']}" if settings["word"] in text else None for text in texts]
    return pa.table({"text": texts, "reason": reasons, "title": pages["url"]})

read.version = extract.version = "1"
"""
LINES = "A mill by the river.\n河边的磨坊。\n\nA casino by the river.\n\u3000x\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a package of that name, with its entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(name: str, source: str = PACKAGE) -> str:
        about = tmp_path / f"{name}-2.0.dist-info"
        about.mkdir()
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
        (about / "entry_points.txt").write_text(
            f"[skyloom.sources]\n{name}-lines = {name}:read\n[skyloom.extractors]\n{name}-bare = {name}:extract\n"
        )
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return put


def pages_of(config: SourceConfig, tmp_path: Path) -> tuple[Store, str]:
    (found,) = resolve([config], cache=tmp_path, samples=tmp_path, progress=QUIET)
    out = Store(tmp_path / "pages")
    fetch([found], out, engine=Engine(0), progress=QUIET)
    return out, found.identity


@pytest.mark.parametrize("by", ["module", "entry point"])
def test_a_source_and_an_extractor_of_ones_own(package: Any, tmp_path: Path, by: str) -> None:
    name = package(f"own_{by[0]}")
    (tmp_path / "行.txt").write_text(LINES, encoding="utf-8")
    read, bare = (f"{name}:read", f"{name}:extract") if by == "module" else (f"{name}-lines", f"{name}-bare")
    source = build(SourceConfig, {"name": "s", "kind": "own", "use": read, "path": str(tmp_path / "行.txt")}, origin="test")
    pages, _ = pages_of(source, tmp_path)
    (shard,) = pages.names("pages-")
    rows = pages.read_table(shard).to_pylist()
    assert [r["error"] for r in rows] == [None, None, f"broken: {read} gave no record", None, None]
    assert rows[1]["body"].decode() == "<b>河边的磨坊。</b>" and rows[1]["url"] == "own://1"
    config = build(ExtractConfig, {"use": bare, "settings": {"word": "casino"}}, origin="test")
    ledger = extract(pages, Store(tmp_path / "out"), config, {}, engine=Engine(0), progress=QUIET)
    (out,) = Store(tmp_path / "out").names("extracted-")
    found = Store(tmp_path / "out").read_table(out).to_pylist()
    assert [r["blocks"] for r in found] == [["A mill by the river."], ["河边的磨坊。"], [], [], ["x"]]
    assert [r["reason"] for r in found] == [None, None, f"broken: {read} gave no record", "says casino", None]
    assert found[0]["title"] == "own://0"
    (row,) = [row for row in ledger.to_json()["counts"] if "says casino" in row]
    assert row[:2] == ["extract", "s"] and 1 in row


def test_the_version_and_the_settings_name_the_results(package: Any, tmp_path: Path) -> None:
    name = package("own_v")
    (tmp_path / "a.txt").write_text("a\n")

    def source(**more: Any) -> str:
        table = {"name": "s", "kind": "own", "use": f"{name}:read", "path": str(tmp_path / "a.txt"), **more}
        return pages_of(build(SourceConfig, table, origin="test"), tmp_path)[1]

    assert len({source(), source(version="2"), source(settings={"x": 1})}) == 3
    assert source() == source()
    own = [ExtractConfig(use=f"{name}:extract"), ExtractConfig(use=f"{name}:extract", version="2"), ExtractConfig()]
    assert len({extractor_identity(config) for config in own}) == 3
    assert extractor_identity(ExtractConfig()) == ""


class Elsewhere(Engine):
    """Does tasks where another version of a package is installed than where the run was started."""

    def __init__(self, module: str) -> None:
        super().__init__(0)
        self._module = module

    def map(self, *args: Any, **more: Any) -> Any:
        found = sys.modules[self._module]
        found.read.version = found.extract.version = "2"
        return super().map(*args, **more)


def test_another_version_where_a_task_is_done_is_refused(package: Any, tmp_path: Path) -> None:
    said = "is of another version here: 2, and 1 where the run was started"
    name = package("own_read")
    (tmp_path / "行.txt").write_text(LINES, encoding="utf-8")
    source = SourceConfig(name="s", kind="own", use=f"{name}:read", path=str(tmp_path / "行.txt"))
    found = resolve([source], cache=tmp_path, samples=tmp_path, progress=QUIET)
    with pytest.raises(OwnFunctionError, match=f"the source own_read:read {said}"):
        fetch(found, Store(tmp_path / "o"), engine=Elsewhere(name), progress=QUIET)
    name = package("own_bare")
    config, pages = ExtractConfig(use=f"{name}:extract", settings={"word": "赌场"}), shard(tmp_path, [b"<p>a</p>"])
    with pytest.raises(OwnFunctionError, match=f"the extractor own_bare:extract {said}"):
        extract(pages, Store(tmp_path / "x"), config, {}, engine=Elsewhere(name), progress=QUIET)
    files = [tmp_path / "a.jsonl", tmp_path / "页.jsonl"]
    for file in files:
        file.write_text('{"html": "<p>页</p>"}\n', encoding="utf-8")
    name = package("own_files")
    config = ExtractConfig(use=f"{name}:extract", settings={"word": "赌场"})
    with pytest.raises(OwnFunctionError, match=said):
        extract_files([str(file) for file in files], tmp_path / "out.jsonl", config, QUIET, Elsewhere(name))


def shard(tmp_path: Path, bodies: list[bytes]) -> Store:
    about = {"source": "s", "category": "web", "kind": "html", "url": "u", "meta": "{}"}
    rows = [{**about, "id": str(n), "body": body} for n, body in enumerate(bodies)]
    Store(tmp_path / "p").write_table("pages-0.parquet", pa.Table.from_pylist(rows, schema=PAGE))
    return Store(tmp_path / "p")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1 / 0", "failed with ZeroDivisionError"),
        ("[]", "must give a text for each of 2 pages"),
        ("pa.array(['x'])", "must give a text for each of 2 pages"),
        ("pa.array([1, 2])", None),
        ("pa.table({'text': [['a'], ['b']]})", "must hold text"),
        ("pa.array([None, ' '])", None),
        ("pa.table({'text': ['a', '页'], 'reason': ['', None]})", "gave an empty reason"),
        ("pa.table({'text': ['', '页'], 'reason': ['', '赌场']})", "gave an empty reason"),
    ],
)
def test_what_an_extractor_cannot_give(package: Any, tmp_path: Path, body: str, said: str | None) -> None:
    name = package(
        f"own_{abs(hash(body))}", f"import pyarrow as pa\n__version__ = '1'\ndef extract(pages, settings):\n    return {body}\n"
    )
    pages, config = shard(tmp_path, [b"<p>a</p>", "<p>页</p>".encode()]), ExtractConfig(use=f"{name}:extract")
    if said is None:
        extract(pages, Store(tmp_path / "o"), config, {}, engine=Engine(0), progress=QUIET)
        reasons = Store(tmp_path / "o").read_table("extracted-0.parquet")["reason"].to_pylist()
        assert reasons == (["no text"] * 2 if "None" in body else [None] * 2)
        return
    with pytest.raises(OwnFunctionError, match=said):
        extract(pages, Store(tmp_path / "o"), config, {}, engine=Engine(0), progress=QUIET)


def test_the_dates_of_an_extractor_are_dates(package: Any, tmp_path: Path) -> None:
    given = "['2023年6月30日', 'June 30, 2023', '2023-06-30T08:00:00Z', 'yesterday', '昨天', None]"
    source = (
        "import pyarrow as pa\n__version__ = '1'\ndef extract(pages, settings):\n"
        f"    return pa.table({{'text': ['文 text'] * 6, 'date': {given}}})\n"
    )
    pages, config = shard(tmp_path, [b"<p>a</p>"] * 6), ExtractConfig(use=f"{package('own_dates', source)}:extract")
    extract(pages, Store(tmp_path / "o"), config, {}, engine=Engine(0), progress=QUIET)
    dates = Store(tmp_path / "o").read_table("extracted-0.parquet")["date"].to_pylist()
    assert [date or "" for date in dates] == ["2023-06-30", "2023-06-30", "2023-06-30T08:00:00Z", "", "", ""]


def test_a_source_that_fails_keeps_what_it_gave(package: Any, tmp_path: Path) -> None:
    name = package("own_f", "__version__ = '1'\ndef read(path, settings):\n    yield {'text': '好'}\n    raise ValueError('x')\n")
    pages, _ = pages_of(SourceConfig(name="s", kind="own", use=f"{name}:read"), tmp_path)
    (only,) = pages.names("pages-")
    assert [r["error"] for r in pages.read_table(only).to_pylist()] == [None, "broken: cannot be read (ValueError)"]


def test_a_source_that_exits_ends_its_file_and_not_the_run(package: Any, tmp_path: Path) -> None:
    source = "import sys\n__version__ = '1'\ndef read(path, settings):\n    yield {'text': open(path).read()}\n    sys.exit(3)\n"
    name = package("own_exit", source)
    (tmp_path / "lines").mkdir()
    for file in ("a.txt", "页.txt"):
        (tmp_path / "lines" / file).write_text(f"{file} 好", encoding="utf-8")
    pages, _ = pages_of(SourceConfig(name="s", kind="own", use=f"{name}:read", path=str(tmp_path / "lines")), tmp_path)
    rows = [row for shard in pages.names("pages-") for row in pages.read_table(shard).to_pylist()]
    assert [r["error"] for r in rows] == [None, "broken: cannot be read (SystemExit)"] * 2
    assert [r["body"].decode() for r in rows[::2]] == ["a.txt 好", "页.txt 好"]


def test_an_empty_folder_is_no_source(package: Any, tmp_path: Path) -> None:
    (tmp_path / "空").mkdir()
    config = SourceConfig(name="s", kind="own", use=f"{package('own_empty')}:read", path=str(tmp_path / "空"))
    with pytest.raises(DataError, match=r"source 's'.*空"):
        pages_of(config, tmp_path)


@pytest.mark.parametrize("kind", [SourceConfig, ExtractConfig])
def test_settings_that_cannot_name_results_are_told(kind: Any) -> None:
    own = {"name": "s", "kind": "own"} if kind is SourceConfig else {}
    with pytest.raises(ConfigError, match="settings of a:b holds a date or a time; write it as text"):
        build(kind, {**own, "use": "a:b", **tomllib.loads("settings = { '自' = [2024-01-01] }")}, origin="test")
    for table, said in (({"version": "2"}, "version is that of"), ({"settings": {"词": 1}}, "settings is that of")):
        with pytest.raises(ConfigError, match=said):
            build(kind, {**({"name": "s", "path": "x"} if own else {}), **table}, origin="test")


def test_files_are_read_by_the_extractor_that_is_named(package: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where all pages are HTML; and what one version left half-way, no other goes on with."""
    source = PACKAGE.replace('"title": pages["url"]', '"title": texts')
    told: list[str] = []
    monkeypatch.setattr(command, "work_folder", lambda *args: told.append(json.dumps(args[2])) or work_folder(*args))
    (tmp_path / "pages.jsonl").write_text('{"html": "<p>short</p>"}\n{"html": "<p>河边的磨坊</p>"}\n', encoding="utf-8")
    config = ExtractConfig(use=f"{package('own_html', source)}:extract", settings={"word": "赌场"})
    for version in ("", "2"):
        extract_files(str(tmp_path / "pages.jsonl"), tmp_path / "out.jsonl", replace(config, version=version), QUIET)
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [(r["text"], r["title"], r["reason"]) for r in rows] == [
            ("short", "short", None),
            ("河边的磨坊", "河边的磨坊", None),
        ]
    sys.modules["own_html"].extract.version = "3"
    extract_files(str(tmp_path / "pages.jsonl"), tmp_path / "out.jsonl", config, QUIET)
    assert len(set(told)) == 3


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "own"}, "go together"),
        ({"kind": "jsonl", "path": "x", "use": "a:b"}, "go together"),
        ({"kind": "own", "use": "no_such_module:read"}, "the source no_such_module:read is not found"),
        ({"kind": "own", "use": "no-such-entry"}, "the source no-such-entry is not registered"),
        ({"kind": "own", "use": "json:nothing"}, "the source json:nothing is not found"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        pages_of(build(SourceConfig, {"name": "s", **table}, origin="test"), tmp_path)


def test_the_recipe_has_both() -> None:
    table = {"sources": [{"name": "s", "kind": "own", "use": "a:b"}], "extract": {"use": "a:c", "settings": {"word": "赌场"}}}
    read = build(CorpusSettings, table, origin="test")
    assert read.extract.settings == {"word": "赌场"} and json.dumps(read.sources[0].settings) == "{}"


def test_the_functions_of_python_use_it_too(package: Any) -> None:
    name = package("own_direct", PACKAGE.replace('pages["url"]', 'pages["charset"]'))
    config = ExtractConfig(use=f"{name}:extract", settings={"word": "casino"})
    found = extract_html("<b>A mill by the river. 河边的磨坊。</b>", config=config)
    assert (found.text, found.title, found.reason) == ("A mill by the river. 河边的磨坊。", "utf-8", None)
    assert extract_html("<b>赌场 casino</b>", config=config).reason == "says casino"
    table = extract_pages(pa.chunked_array([pa.array([b"<i>a</i>", None])]), None, replace(config, settings={"word": "z"}))
    assert table["blocks"].to_pylist() == [["a"], []] and table["reason"].to_pylist() == [None, "no text"]
    with pytest.raises(ConfigError, match="is not found"):
        extract_html("x", config=ExtractConfig(use="own_nowhere:extract"))
    with pytest.raises(OwnFunctionError, match="failed with KeyError"):
        extract_html("x", config=ExtractConfig(use=f"{name}:extract"))
