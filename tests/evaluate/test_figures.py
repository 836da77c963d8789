"""Figures of other models from a file: sets before tags, and a sentence for whatever a file may have wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skyloom.core.errors import ConfigError
from skyloom.evaluate.config import ReferencesConfig
from skyloom.evaluate.figures import fingerprint, read_figures, spread

SETS = ("code", "parallel", "stem_zh", "web_en", "web_zh")


def given(path: Path, text: str) -> ReferencesConfig:
    path.write_text(text, "utf-8")
    return ReferencesConfig(file=str(path))


def test_sets_count_before_tags(tmp_path: Path) -> None:
    config = given(tmp_path / "别人.toml", '["模型-7B"]\nzh = 1.1\nweb_zh = 1.25\ncode = 0.6\n\n[other]\nprose = 1\n')
    figures = read_figures(config)
    rows = spread(figures, SETS, config.file)
    assert [(r["model"], r["set"], r["bits_per_byte"]) for r in rows] == [
        ("other", "web_en", 1.0), ("other", "web_zh", 1.0),
        ("模型-7B", "code", 0.6), ("模型-7B", "stem_zh", 1.1), ("模型-7B", "web_zh", 1.25),
    ]  # fmt: skip
    (tmp_path / "same.json").write_text(json.dumps(figures), "utf-8")
    assert read_figures(ReferencesConfig(file=str(tmp_path / "same.json"))) == figures
    assert read_figures(ReferencesConfig()) == {}
    (tmp_path / "turned.toml").write_text('[other]\nprose = 1\n["模型-7B"]\ncode = 0.6\nweb_zh = 1.25\nzh = 1.1\n', "utf-8")
    turned = read_figures(ReferencesConfig(file=str(tmp_path / "turned.toml")))
    assert json.dumps(turned) == json.dumps(figures), "a hash over them does not follow the file's order"
    (tmp_path / "deep.json").write_text("[" * 100_000, "utf-8")
    with pytest.raises(ConfigError, match="not valid JSON"):
        read_figures(ReferencesConfig(file=str(tmp_path / "deep.json")))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.toml", '[x]\nweb_en = "1.1"\n', r"'x'.'web_en'.*'1\.1'.*bits per byte"),
        ("a.toml", "[x]\nweb_en = -1\n", "a number above 0"),
        ("a.toml", "[x]\nweb_en = nan\n", "a number above 0"),
        ("a.toml", "[x]\nweb_en = true\n", "a number above 0"),
        ("a.toml", "x = 1\n", r"'x' .*table of held-out sets"),
        ("a.toml", "[x]\n", r"'x' .*table of held-out sets"),
        ("a.toml", "[x\n", "not valid TOML"),
        ("a.json", "[1]", "table of models"),
        ("a.json", "{", "not valid JSON"),
        ("a.csv", "", r"must end in \.toml or \.json"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(name: str, text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told) as problem:
        read_figures(given(tmp_path / name, text))
    assert name in str(problem.value)


def test_files_that_are_not_there_and_names_given_twice(tmp_path: Path) -> None:
    for name in ("none.toml", "none.json"):
        with pytest.raises(ConfigError, match="cannot read"):
            read_figures(ReferencesConfig(file=str(tmp_path / name)))
    twice = given(tmp_path / "a.toml", "[x]\nzh = 1.0\n")
    with pytest.raises(ConfigError, match=r"'x' .*references\.models"):
        read_figures(ReferencesConfig(file=twice.file, models={"x": "/models/x"}))


def test_unknown_and_contradicting_names_are_told() -> None:
    with pytest.raises(ConfigError, match=r"f\.toml: 'x'.'web_fr' .*held-out set.*\(code, .*tag"):
        spread({"x": {"web_fr": 1.0}}, SETS, "f.toml")
    with pytest.raises(ConfigError, match=r"different figures.*tags of web_zh\b.*'web_zh'"):
        spread({"x": {"zh": 1.0, "prose": 2.0}}, SETS, "f.toml")
    assert spread({"x": {"zh": 1.0, "prose": 2.0, "web_zh": 3.0}}, SETS, "f.toml")[-1]["bits_per_byte"] == 3.0


def test_a_folder_is_known_by_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"references\.models: 模型 .*config\.json"):
        fingerprint("模型", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(200_000))
    before = fingerprint("m", tmp_path)
    assert fingerprint("another name", tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(bytes(199_999) + b"x")
    assert fingerprint("m", tmp_path) != before
