"""TOML in, frozen typed trees out: every mistake names the file, the key and what to write instead."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.config import DEPTH, LARGEST, build, describe, environment_number, override, plain, read_toml, setting
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


@pytest.mark.parametrize("text", ["", "四", "-1", "1.5", "²", "9" * 10_000])
def test_a_number_of_the_environment_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8 ")
    assert (environment_number("WORLD_SIZE", 1), environment_number("SKYLOOM_NOT_SET", 3)) == (8, 3)
    monkeypatch.setenv("WORLD_SIZE", text)
    with pytest.raises(ConfigError, match="WORLD_SIZE"):
        environment_number("WORLD_SIZE", 1)


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


HOSTILE = {
    "a key with 5,000 parts": ("a." * 5000 + "b = 1", "more than 64 parts"),
    "a Chinese key with 5,000 parts": ('"题"."目".' * 5000 + "b = 1", "more than 64 parts"),
    "a table with 100,000 parts": ("[" + "a." * 100_000 + "b]", "more than 64 parts"),
    "an inline table with long keys": ("title = {" + "a." * 5000 + "b = 1}", "more than 64 parts"),
    "a list 20,000 deep": ("title = " + "[" * 20_000 + "]" * 20_000, "more than 64 deep"),
    "a list 200 deep": ("title = " + "[" * 200 + "]" * 200, "more than 64 lists"),
    "tables 3,000 deep": ("title = " + "{a = " * 3000 + "1" + "}" * 3000, "more than 64 deep"),
    "a number of 100,000 digits": ("title = " + "1" * 100_000, "too many digits"),
    "the same, hexadecimal": ("title = 0x" + "f" * 100_000, "'title'.*64 bits"),
    "the same where a float is wanted": ("[train]\nrate = 0x" + "f" * 100_000, "'train.rate'.*64 bits"),
    "a number that no float holds": ("[train]\nrate = " + "1" * 400, "'train.rate'.*64 bits"),
    "an infinite number": ("[train]\nrate = inf", "'train.rate' is inf.*finite"),
    "a number that overflows": ("[train]\nrate = 1e999", "'train.rate' is inf.*finite"),
    "an enormous number": ("[train]\nrate = 1e300", "'train.rate' is 1e[+]300.*at most"),
    "an enormous integer": ("[train]\nsteps = 9223372036854775807", "'train.steps' is 9223372036854775807.*at most"),
    "an infinite share": ("[train.shares]\nweb_zh = inf\nweb_en = 1", "'train.shares.web_zh' is inf.*finite"),
    "NUL in a value": ('title = "试\\u0000"', "'title'.*NUL"),
    "NUL in a key": ('"题\\u0000" = 1', "NUL"),
    "a key of 100,000 letters": ("k" * 100_000 + " = 1", "unknown key 'kkk"),
    "a text of 100,000 letters": ("[train]\nsteps = '" + "字" * 100_000 + "'", "'train.steps'.*字字"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_recipes_are_refused_in_one_short_sentence(name, tmp_path):
    text, words = HOSTILE[name]
    path = tmp_path / "怪.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words) as caught:
        build(Recipe, override(read_toml(path), []), origin=str(path))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("a." * 5000 + "b=1", "more than 64 parts"),
        ("title=" + "[" * 20_000 + "]" * 20_000, "more than 64 deep"),
        ("title=" + "1" * 100_000, "too many digits"),
        ("title=0x" + "f" * 100_000, "'title'.*64 bits"),
        ("sources." + "9" * 5000 + ".weight=1", "no entry '999"),
        ("title=试\0", "'title'.*NUL"),
        ("title=\udcff", "'title'.*UTF-8"),
        ("\udcff=1", "UTF-8"),
    ],
    ids=range(8),
)
def test_hostile_overrides_are_refused_in_one_short_sentence(assignment, words):
    with pytest.raises(ConfigError, match=words) as caught:
        override({"sources": [{"name": "新闻"}]}, [assignment])
    assert len(str(caught.value)) < 700


def test_an_override_of_several_lines_is_a_text_and_sets_nothing_else():
    assert override({}, ["title=1\ntrain = 2"]) == {"title": "1\ntrain = 2"}


def test_a_file_too_large_for_settings_is_not_read(tmp_path: Path):
    with pytest.raises(ConfigError, match="MB"):
        read_toml("/dev/zero")
    deep = tmp_path / "deep.toml"
    deep.write_text("title = " + "[" * (DEPTH - 1) + "]" * (DEPTH - 1))
    assert read_toml(deep), "what may be deep is read"
    with pytest.raises(ConfigError, match="cannot read"):
        read_toml("a\0b")


def test_the_largest_number_of_a_setting_is_one_that_json_keeps():
    assert build(Training, {"steps": LARGEST}, origin="demo.toml").steps == LARGEST
    with pytest.raises(ConfigError, match=r"'steps' is 9007199254740993\b"):
        build(Training, {"steps": LARGEST + 1}, origin="demo.toml")


def test_records_that_are_no_settings_hold_any_number():
    @dataclass(frozen=True)
    class Counted:
        hashes: tuple[int, ...]
        mean: float

    assert build(Counted, {"hashes": [2**64 - 1], "mean": float("inf")}, origin="receipts").hashes == (2**64 - 1,)


def test_tables_of_names_have_one_order_however_they_are_written():
    one, other = (make(f"[train.shares]\n{a}\n{b}") for a, b in (('"新" = 1', "web = 2"), ("web = 2", '"新" = 1')))
    assert list(one.train.shares) == list(other.train.shares) == ["web", "新"]
