"""Filters of one's own: how they are found, what they are given and what is said when one is wrong, in English and Chinese."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from skyloom.core.errors import ConfigError
from skyloom.core.records import DOCUMENT
from skyloom.corpus.filters import COLUMNS, FilterConfig, FilterError, resolve, run_filter

PACKAGE = '''
"""A third-party package: documents that say a word leave, and phone books lose their first line."""
import pyarrow as pa
import pyarrow.compute as pc

def judge(table: pa.Table, settings: dict) -> pa.Array:
    found = pc.match_substring(table["text"], settings["word"])
    return pc.if_else(found, f"says {settings['word']}", None)

def shorten(table: pa.Table, settings: dict) -> pa.Array:
    return pc.replace_substring_regex(table["text"], "^[^\\n]*\\n", "")

judge.version, shorten.version, shorten.gives = "1", "2", "texts"
'''
ENTRY_POINTS = "[skyloom.filters]\nno-word = {name}:judge\nshorten = {name}:shorten\n"


def install(folder: Path, name: str, source: str = PACKAGE) -> None:
    """A package with its entry points, as pip would leave it in `folder`."""
    package, about = folder / name, folder / f"{name}-3.1.dist-info"
    package.mkdir(parents=True)
    about.mkdir()
    (package / "__init__.py").write_text(source, encoding="utf-8")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.1\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS.format(name=name))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs packages for one test; returns a function of a name and a source."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(name: str, source: str = PACKAGE) -> str:
        install(tmp_path, name, source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return put


def table(*texts: str) -> pa.Table:
    rows = [
        {**{f.name: "" for f in DOCUMENT}, "id": str(k), "text": text, "lang": "en", "origin": "html"}
        for k, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows).select([*COLUMNS])


TEXTS = (
    "A casino by the river.\nOpen now.",
    "河边的赌场。\n现在开门。",
    "A mill by the river.\nOpen now.",
    "河边的磨坊。\n现在开门。",
)


def test_reasons_and_texts(package: Any) -> None:
    name = package("own_a")
    english, chinese, texts = resolve(
        [
            FilterConfig(f"{name}:judge", settings={"word": "casino"}),
            FilterConfig("no-word", settings={"word": "赌场"}, version="7"),
            FilterConfig("shorten"),
        ]
    )
    assert (english.name, english.version, english.texts) == ("judge", "1", False)
    assert (chinese.name, chinese.version) == ("no-word", "7")
    assert (texts.name, texts.version, texts.texts) == ("shorten", "2", True)
    assert run_filter(english, table(*TEXTS), "00000").to_pylist() == ["says casino", None, None, None]
    assert run_filter(chinese, table(*TEXTS), "00000").to_pylist() == [None, "says 赌场", None, None]
    assert run_filter(texts, table(*TEXTS), "00000").to_pylist() == ["Open now.", "现在开门。"] * 2
    assert run_filter(texts, table("x").slice(0, 0), "00000").to_pylist() == []


def test_where_a_version_comes_from(package: Any) -> None:
    plain = "def judge(table, settings):\n    return None\n"
    named = package("own_named", '__version__ = "0.4"\n' + plain)
    dist = package("own_dist", plain)
    assert resolve([FilterConfig(f"{named}:judge")])[0].version == "0.4"
    assert resolve([FilterConfig(f"{dist}:judge")])[0].version == "3.1", "the installed distribution's"
    assert resolve([FilterConfig(f"{dist}:judge", version="9")])[0].version == "9"


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("no_such_package_of_mine:judge", "no_such_package_of_mine"),
        ("own_b:juge", "did you mean 'judge'"),
        ("own_b:WORDS", "is no function, it is list"),
        ("own_b:odd", "says that it gives 'verdicts'"),
        ("own_broken:judge", "cannot be imported: SyntaxError"),
        ("own_quits:judge", "cannot be imported: SystemExit"),
        ("not-registered", "is not registered: name it package.module:function"),
        ("赌场过滤:判断", "赌场过滤"),
    ],
)
def test_a_filter_that_is_not_there_is_named(package: Any, use: str, said: str) -> None:
    package("own_b", PACKAGE + 'WORDS = ["赌场"]\ndef odd(table, settings): ...\nodd.version, odd.gives = "1", "verdicts"\n')
    package("own_broken", "def judge(:\n")
    package("own_quits", "raise SystemExit(3)\n")
    with pytest.raises(ConfigError, match=said) as found:
        resolve([FilterConfig(use)])
    assert "\n" not in str(found.value)


def test_a_filter_without_a_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="settings of own_b:odd holds a date or a time"):
        FilterConfig("own_b:odd", settings={"since": datetime.date(2020, 1, 1)})
    (tmp_path / "own_alone.py").write_text("def judge(table, settings):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"own_alone:judge has no version: set version in its \[\[corpus.filters\]\] table"):
        resolve([FilterConfig("own_alone:judge")])


@pytest.mark.parametrize(
    ("body", "gives", "said"),
    [
        ("return [None] * len(table)", "reasons", "gave list; it must give an Arrow array of text"),
        ("return None", "reasons", "gave NoneType; it must give an Arrow array of text"),
        ("return pa.nulls(1, pa.string())", "reasons", "gave 1 values for 2 documents; it must give one for each"),
        ("return pa.array([True, False])", "reasons", "gave values of type bool; it must give reasons, or null"),
        ("return pa.array([1, 2])", "texts", "gave values of type int64; it must give texts"),
        ("return pa.array(['', None])", "reasons", "gave an empty reason; a document that stays has null"),
        ("raise KeyError('没有这个词')", "reasons", "failed with KeyError: '没有这个词'"),
        ("return 1 / 0", "texts", "failed with ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "reasons", "failed with SystemExit: 0"),
        ("raise ValueError('two\\nlines')", "reasons", "failed with ValueError: two lines"),
        ("return pa.array([b'\\xff', b'x']).cast(pa.binary()).view(pa.string())", "texts", "not valid UTF-8"),
    ],
)
def test_what_no_filter_can_give_is_one_sentence(package: Any, body: str, gives: str, said: str, request: Any) -> None:
    name = package(
        f"own_wrong_{abs(hash((body, gives)))}",
        f'import pyarrow as pa\n__version__ = "1"\ndef judge(table, settings):\n    {body}\n',
    )
    (own,) = resolve([FilterConfig(f"{name}:judge", gives=gives)])
    with pytest.raises(FilterError) as found:
        run_filter(own, table("The river.", "河水。"), "00017")
    assert said in str(found.value) and f"the filter judge ({name}:judge), on shard 00017," in str(found.value)
    assert "\n" not in str(found.value), "no traceback unless it is asked for"


def test_a_traceback_where_it_is_asked_for(package: Any) -> None:
    name = package("own_trace", '__version__ = "1"\ndef judge(table, settings):\n    return settings["词"]\n')
    (own,) = resolve([FilterConfig(f"{name}:judge", traceback=True)])
    with pytest.raises(FilterError, match='return settings\\["词"\\]'):
        run_filter(own, table("The river."), "00000")


def test_too_many_reasons_are_no_reasons(package: Any) -> None:
    name = package(
        "own_many",
        '__version__ = "1"\nimport pyarrow as pa\ndef judge(table, s):\n    return pa.array([f"score {k}" for k in range(len(table))])\n',
    )
    (own,) = resolve([FilterConfig(f"{name}:judge")])
    with pytest.raises(FilterError, match="gave 1,001 different reasons, more than 1,000"):
        run_filter(own, table(*["The river."] * 1001), "00000")


def test_another_version_in_a_worker_is_refused(package: Any) -> None:
    from dataclasses import replace

    (own,) = resolve([FilterConfig(f"{package('own_old')}:judge", settings={"word": "x"})])
    with pytest.raises(FilterError, match="is version 1 here and 2 where the run was started"):
        run_filter(replace(own, version="2"), table("x"), "00000")


def test_a_function_cannot_change_the_settings_of_the_next_shard(package: Any) -> None:
    name = package(
        "own_pops",
        '__version__ = "1"\nimport pyarrow as pa\ndef judge(table, s):\n    return pa.array([s["words"].pop()] * len(table))\n',
    )
    (own,) = resolve([FilterConfig(f"{name}:judge", settings={"words": ["赌场"]})])
    assert [run_filter(own, table("x"), k).to_pylist() for k in "01"] == [["赌场"], ["赌场"]]


@pytest.mark.parametrize("wrong", [{"use": ""}, {"use": ":judge"}, {"use": "a:b", "name": "a b"}, {"use": "a:b", "origins": ()}])
def test_settings_that_mean_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FilterConfig(**wrong)
