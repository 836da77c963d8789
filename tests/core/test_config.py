"""TOML in, frozen typed trees out: every mistake names the file, the key and what to write instead."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.config import build, describe, override, plain, read_toml, setting
from skyloom.core.errors import ConfigError


@dataclass(frozen=True)
class Source:
    name: str = setting(doc="its name")
    weight: float = setting(1.0, doc="its share", low=0.0, high=10.0)
    languages: tuple[str, ...] = setting(("en",), doc="kept languages", choices=("en", "zh-Hans"))


@dataclass(frozen=True)
class Training:
    steps: int = setting(100, doc="steps of the stage", unit="steps", low=1)
    rate: float = setting(6e-4, doc="peak learning rate", low=0.0)
    compile: bool = setting(False, doc="compile the model", identity=False)
    betas: tuple[float, float] = setting((0.9, 0.95), doc="Adam's betas", low=0.0, high=1.0)
    note: str | None = setting(None, doc="a remark")
    shares: dict[str, float] = setting(factory=dict, doc="share of each domain")

    def __post_init__(self) -> None:
        if self.note == "bad":
            raise ConfigError("note must not be bad")


@dataclass(frozen=True)
class Recipe:
    title: str = setting("试验", doc="the run's name")
    train: Training = setting(Training(), doc="training")
    sources: tuple[Source, ...] = setting((), doc="where pages come from")


def make(text: str) -> Recipe:
    return build(Recipe, tomllib.loads(text), origin="demo.toml")


def test_a_whole_recipe():
    made = make(
        'title = "中文 and English"\n[train]\nsteps = 5\nrate = 1\nbetas = [0.8, 1]\n[train.shares]\nweb_zh = 1\n'
        '[[sources]]\nname = "docs"\nlanguages = ["en", "zh-Hans"]\n[[sources]]\nname = "代码"\nweight = 2\n'
    )
    assert made.title == "中文 and English"
    assert made.train == Training(steps=5, rate=1.0, betas=(0.8, 1.0), shares={"web_zh": 1.0})
    assert type(made.train.rate) is float, "an integer is taken for a number, and becomes one"
    assert [s.name for s in made.sources] == ["docs", "代码"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.title = "x"  # type: ignore[misc]


def test_an_empty_recipe_is_the_defaults():
    assert make("") == Recipe()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[train]\nstep = 3", ("unknown key", "'train.step'", "'steps'")),
        ("[trian]", ("unknown key", "'trian'", "'train'")),
        ("[train]\nxyzzy = 3", ("unknown key", "'train.xyzzy'", "steps, rate, compile, betas, note, shares")),
        ("[[sources]]\nname='a'\n[[sources]]\nname='b'\nwieght=1", ("unknown key", "'sources[1].wieght'", "'weight'")),
        ("[[sources]]\nweight = 1", ("missing key", "'sources[0].name'", "its name")),
        ("[train]\nsteps = 3.0", ("'train.steps'", "integer", "3.0")),
        ("[train]\nsteps = true", ("'train.steps'", "integer", "true/false")),
        ("[train]\nsteps = '三'", ("'train.steps'", "integer", "text '三'")),
        ("[train]\nrate = true", ("'train.rate'", "number", "true/false")),
        ("[train]\ncompile = 1", ("'train.compile'", "true or false", "integer 1")),
        ("title = 3", ("'title'", "text", "integer 3")),
        ("train = 3", ("train must be a table", "integer")),
        ("[sources]\nname = 'a'", ("'sources' must be",)),
        ("[train]\nbetas = [0.9]", ("'train.betas' must be",)),
        ("[train]\nbetas = [0.9, 'x']", ("'train.betas[1]'", "number", "text 'x'")),
        ("[train.shares]\nweb = 'much'", ("'train.shares.web'", "number")),
        ("[train]\nsteps = 0", ("'train.steps'", " 0", "at least 1")),
        ("[[sources]]\nname='a'\nweight = 11", ("'sources[0].weight'", "11.0", "at most 10.0")),
        ("[train]\nrate = nan", ("'train.rate'", "not a number")),
        ("[train]\nbetas = [0.9, 1.5]", ("'train.betas'", "1.5", "at most 1.0")),
        ("[[sources]]\nname='a'\nlanguages=['zh_Hans']", ("'sources[0].languages'", "'zh_Hans'", "'zh-Hans'")),
        ("[[sources]]\nname='a'\nlanguages=['法语']", ("'sources[0].languages'", "'法语'", "en, zh-Hans")),
        ("[train]\nnote = 'bad'", ("train:", "note must not be bad")),
    ],
)
def test_mistakes_are_told(text, words):
    with pytest.raises(ConfigError) as caught:
        make(text)
    assert str(caught.value).startswith("demo.toml: ")
    assert all(word in str(caught.value) for word in words), caught.value
    assert caught.value.exit_code == 2


def test_override_by_key_index_and_name():
    table = tomllib.loads("[train]\nsteps = 3\n[[sources]]\nname = 'docs'\n[[sources]]\nname = '新闻'")
    changed = override(
        table,
        [
            "train.steps=7",
            "train.note=a plain text",
            "sources.0.weight=2",
            "sources.新闻.weight=0.5",
            'title="引号"',
            "train.betas=[0.1, 0.2]",
        ],
    )
    made = build(Recipe, changed, origin="demo.toml")
    assert (made.train.steps, made.train.note, made.title, made.train.betas) == (7, "a plain text", "引号", (0.1, 0.2))
    assert [s.weight for s in made.sources] == [2.0, 0.5]
    assert table["train"]["steps"] == 3 and "weight" not in table["sources"][0], "the original is not touched"


def test_override_makes_missing_tables():
    assert override({}, ["a.b.c=true"]) == {"a": {"b": {"c": True}}}


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("train.steps", ("key=value",)),
        ("=3", ("key=value",)),
        ("sources.dosc.weight=1", ("no entry", "'dosc'", "'docs'")),
        ("sources.7.weight=1", ("no entry '7'",)),
        ("sources.².weight=1", ("no entry '²'",)),
        ("title.x=1", ("'title'", "value", "table")),
        ("langs.0.x=1", ("'langs.0'", "value", "table")),
    ],
)
def test_override_mistakes_are_told(assignment, words):
    table = {"title": "t", "sources": [{"name": "docs"}], "langs": ["en"]}
    with pytest.raises(ConfigError) as caught:
        override(table, [assignment])
    assert all(word in str(caught.value) for word in words), caught.value


KEYS = st.sampled_from(["steps", "rate", "compile", "note", "betas"])
VALUES = st.one_of(
    st.integers(-5, 5), st.floats(), st.booleans(), st.text("a中😀", max_size=3), st.lists(st.floats(0, 1), max_size=3), st.none()
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES))
def test_a_table_either_builds_what_it_says_or_is_refused(table):
    try:
        made = build(Training, table, origin="demo.toml")
    except ConfigError as problem:
        assert str(problem).startswith("demo.toml: ")
        return
    written = plain(made)
    assert all(list(table[k]) == written[k] if isinstance(table[k], list) else table[k] == written[k] for k in table)
    assert build(Training, {k: v for k, v in written.items() if v is not None}, origin="demo.toml") == made


def test_identity_leaves_out_what_only_changes_speed():
    fast, slow = Recipe(train=Training(compile=True)), Recipe()
    assert plain(fast) != plain(slow)
    assert plain(fast, identity_only=True) == plain(slow, identity_only=True)
    assert "compile" not in plain(fast, identity_only=True)["train"]


def test_describe_lists_every_setting_with_its_unit():
    rows = {row[0]: row for row in describe(Recipe)}
    assert rows["train.steps"] == ("train.steps", "an integer", "100", "steps of the stage [steps]")
    assert rows["sources[].name"][2] == ""
    assert {"title", "train.rate", "sources[].languages", "train.shares"} <= set(rows)


def test_unreadable_files_are_told(tmp_path: Path):
    broken = tmp_path / "broken.toml"
    broken.write_text("a = 1\nb = = 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"not valid TOML.*line 2"):
        read_toml(broken)
    broken.write_bytes("题目 = 1".encode("gb18030"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_toml(broken)
    with pytest.raises(ConfigError, match="cannot read"):
        read_toml(tmp_path / "nowhere.toml")
    good = tmp_path / "good.toml"
    good.write_text('"题目" = "中文"', encoding="utf-8")
    assert read_toml(good) == {"题目": "中文"}
