"""The command line: its frozen surface, help with examples everywhere, and exit codes.

Users' scripts depend on the surface, which `cli.json` beside this file holds: every verb with its arguments and options, and of
each the flags, type, default, and whether it is required, repeated or a flag. A change shows as a difference to that file. Adding
is free; what is renamed, removed or means something else needs a new major version. To accept a change:

    python tests/test_cli.py --freeze
"""

import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.cli.common import show
from skyloom.run import doctor
from skyloom.run.recipe import load
from skyloom.run.subject import read_subject

FROZEN = Path(__file__).resolve().with_name("cli.json")
FREEZE = "python tests/test_cli.py --freeze"


def commands(command: click.Command, above: click.Context | None = None) -> Iterator[tuple[str, click.Context]]:
    """A command and all below it: ("skyloom train lr-test", its context). The root's settings hold for all, such as `-h`."""
    settings = command.context_settings if above is None else {}
    context = click.Context(command, above, info_name="skyloom" if above is None else command.name, **settings)
    below = getattr(command, "commands", None) or getattr(command, "also", {})
    yield str(context.info_name), context
    for name, found in (pair for one in below.values() for pair in commands(one, context)):
        yield f"{context.info_name} {name}", found


def parameter(one: click.Parameter) -> dict[str, Any]:
    """What a user can give. Left out is what is usual: optional, one value, no default. A default that is computed is not called."""
    told = one.to_info_dict()
    kind = {name: value for name, value in told["type"].items() if name not in ("param_type", "name")}
    found = {
        **({"argument": one.human_readable_name} if isinstance(one, click.Argument) else {"flags": one.opts + one.secondary_opts}),
        "type": told["type"]["param_type"],
        **kind,
        "default": "computed" if callable(one.default) else told["default"],
        "environment": told["envvar"],
        **{name: told.get(name) for name in ("required", "multiple", "is_flag", "count", "hidden")},
        "values": None if told["nargs"] == 1 else told["nargs"],
    }
    return {name: value for name, value in found.items() if value is not None and value is not False}


def surface() -> dict[str, list[dict[str, Any]]]:
    """All verbs and groups in the order of `--help`: {name: [arguments and options]}."""
    return {name: [parameter(one) for one in context.command.get_params(context)] for name, context in commands(main)}


def as_text(verbs: dict[str, list[dict[str, Any]]]) -> str:
    """JSON with one line for each argument and option, so that a difference shows what has changed."""
    told = [
        f" {json.dumps(verb)}: [\n" + ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in parameters) + "\n ]"
        for verb, parameters in verbs.items()
    ]
    return "{\n" + ",\n".join(told) + "\n}\n"


VERBS = [name.removeprefix("skyloom ") for name, found in commands(main) if not isinstance(found.command, click.Group)]


def test_verbs_and_options_are_the_promised_ones():
    """Frozen: scripts of users depend on these. Adding is free; renaming or removing needs a new major version."""
    before, now = FROZEN.read_text("utf-8").splitlines(), as_text(surface()).splitlines()
    changed = "\n".join(difflib.unified_diff(before, now, "tests/cli.json", "the command line", lineterm=""))
    assert not changed, f"the command line has changed:\n{changed}\nIf that is meant, run `{FREEZE}` and commit tests/cli.json."


def test_the_frozen_surface_reaches_every_depth():
    """A walk that misses verbs would freeze what it found; so some verbs and options are named here."""
    frozen = json.loads(FROZEN.read_text("utf-8"))
    flags = {verb: {flag for one in parameters for flag in one.get("flags", ())} for verb, parameters in frozen.items()}
    assert len(flags) > 35 and {"-h", "--version"} <= flags["skyloom"]
    assert {"--domain", "--domains-file"} <= flags["skyloom corpus fetch common-crawl"]
    assert {"--texts", "--repeated"} <= flags["skyloom corpus dedup"] and {"--rates"} <= flags["skyloom train lr-test"]
    assert {"--dry-run", "--world", "--layout", "--table10", "--every", "--json", "--workers"} <= flags["skyloom train"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb):
    shown = CliRunner().invoke(main, [*verb.split(), "--help"])
    assert shown.exit_code == 0
    assert "Examples:" in shown.output and f"skyloom {verb}" in shown.output


def test_report_alone_is_report_page():
    shown = CliRunner().invoke(main, ["report", "demo.toml", "--help"])
    assert shown.exit_code == 0 and "report page [OPTIONS] RECIPE" in shown.output.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "没有.toml"], 2),
        (["run"], 2),
        (["fly"], 2),
        (["release", "check", "/nonexistent"], 2),
    ],
)
def test_exit_codes_of_wrong_usage(arguments, code):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code
    assert "Traceback" not in result.output


def test_doctor_names_what_the_machine_has(tmp_path):
    result = CliRunner().invoke(main, ["doctor", "--json", "--work", str(tmp_path)])
    found = {row["name"]: row for row in json.loads(result.output)}
    assert found["Python"]["state"] == "ok" and found["torch"]["state"] == "ok"
    assert all(row["mend"] for row in found.values() if row["state"] != "ok")
    assert result.exit_code == (1 if any(row["state"] == "missing" for row in found.values()) else 0)


@pytest.mark.parametrize("what", ["headers", "compiler", "nothing"])
def test_doctor_tells_what_compiled_training_lacks(what, tmp_path, monkeypatch):
    """A compiler alone is not enough: Debian's own Python comes without its header."""
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None if what == "compiler" else f"/usr/bin/{name}")
    monkeypatch.setattr(doctor.sysconfig, "get_path", lambda name: str(tmp_path))
    if what != "headers":
        (tmp_path / "Python.h").write_text("")
    found = doctor._compiler()
    assert found.state == ("ok" if what == "nothing" else "note")
    assert {"headers": "python3-dev", "compiler": "g++", "nothing": ""}[what] in found.mend


def test_keys_have_meanings_and_units():
    rows = json.loads(CliRunner().invoke(main, ["recipe", "keys", "train", "--json"]).output)
    assert {"train.seed", "train.batch", "train.context"} <= {row["key"] for row in rows}
    assert all(row["meaning"] for row in rows)


def test_an_unknown_prefix_of_settings_is_told():
    result = CliRunner().invoke(main, ["recipe", "keys", "trian"])
    assert result.exit_code == 2 and "'trian'" in result.output


def test_tables_show_text_as_it_is(capsys):
    """A page may hold what rich takes for markup; and rows need not have the same columns."""
    show([{"text": "[/quote] 引用 [b]bold[/b] [tokens]"}, {"text": "second", "count": 3}], False)
    shown = capsys.readouterr().out
    assert "[/quote] 引用 [b]bold[/b] [tokens]" in shown and "count" in shown


def test_shows_say_none_where_there_is_nothing(capsys):
    show([], False, "留下的 kept")
    show([], False)
    show([], True)
    assert capsys.readouterr().out == "留下的 kept: none\nnone\n[]\n"


@pytest.mark.parametrize(("verb", "step"), [(["corpus", "show"], "corpus"), (["data", "show", "--step", "1"], "tokens")])
def test_what_only_looks_makes_nothing(verb, step, tmp_path):
    work = tmp_path / "空的"
    result = CliRunner().invoke(main, [*verb, "demo", "--work", str(work)])
    assert result.exit_code == 3 and f"{work} has no finished step '{step}'" in result.output, result.output
    assert f"`skyloom {verb[0]} {'build' if step == 'corpus' else 'pack'} demo`" in result.output
    assert not work.exists()


def test_extract_takes_the_paths_that_a_shell_makes_of_a_pattern(tmp_path):
    for name, text in (("甲", "今天的天气很好,我们去公园散步。"), ("b", "The bridge was opened in the spring of that year.")):
        page = f"<html><body><h1>{name}</h1><p>{text * 5}</p></body></html>"
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": name, "html": page}) + "\n")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "甲.jsonl").write_text((tmp_path / "甲.jsonl").read_text().replace('"id": ', '"nr": '))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "甲.jsonl").write_text((tmp_path / "c" / "甲.jsonl").read_text())
    paths, outs = sorted(map(str, tmp_path.glob("*.jsonl"))), [str(tmp_path / "out" / f"{n}.jsonl") for n in "123"]
    for arguments in ([*paths, "-o", outs[0]], [str(tmp_path / "*.jsonl"), "-o", outs[1]]):
        result = CliRunner().invoke(main, ["corpus", "extract", *arguments])
        assert result.exit_code == 0, result.output
    told = [Path(out).read_text().splitlines() for out in outs[:2]]
    assert told[0] == told[1] and [json.loads(line)["id"] for line in told[0]] == ["b", "甲"]
    same = [str(tmp_path / folder / "甲.jsonl") for folder in "cd"]
    assert CliRunner().invoke(main, ["corpus", "extract", *same, "-o", outs[2]]).exit_code == 0
    ids = [json.loads(line)["id"] for line in Path(outs[2]).read_text().splitlines()]
    assert ids == [f"{path}#0" for path in same], "files of one name are told apart"


def test_log_lines_have_time_and_level_and_are_not_wrapped(tmp_path):
    page = {"id": "长" * 300, "html": f"<p>{'今天的天气很好,我们去公园散步。' * 9}</p>"}
    (tmp_path / "a.jsonl").write_text(json.dumps(page) + "\n" + "{}\n")
    call = ["corpus", "extract", str(tmp_path / "a.jsonl"), "-o", str(tmp_path / "o.jsonl")]
    plain = CliRunner().invoke(main, call).stderr.splitlines()
    assert len(plain) == 2 and all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info    ( {2})?\S", line) for line in plain), plain
    assert "1 of 2 pages have text" in plain[0]
    rows = [json.loads(line) for line in CliRunner().invoke(main, [*call, "--log", "json"]).stderr.splitlines()]
    assert [row["level"] for row in rows] == ["info", "info"] and all(set(row) == {"time", "level", "message"} for row in rows)
    assert CliRunner().invoke(main, [*call, "--quiet"]).stderr == ""
    failed = CliRunner().invoke(
        main, ["corpus", "extract", "没有.jsonl", "-o", str(tmp_path / "o.jsonl"), "--quiet", "--log", "json"]
    )
    (error,) = [json.loads(line) for line in failed.stderr.splitlines()]
    assert failed.exit_code == 3 and error["level"] == "error" and "没有.jsonl does not exist" in error["message"]
    again = CliRunner().invoke(main, ["corpus", "extract", "没有.jsonl", "-o", str(tmp_path / "o.jsonl")])
    assert again.stderr.startswith("skyloom: "), "the choice is that of one command"


def test_every_command_with_a_log_can_be_quiet():
    """Whatever runs steps or works through files has both options."""
    told = {verb: {flag for one in parameters for flag in one.get("flags", ())} for verb, parameters in surface().items()}
    loud = {verb for verb, flags in told.items() if flags & {"--workers", "--comments", "--domains-file"}}
    assert len(loud) > 14 and all({"--quiet", "--log"} <= told[verb] for verb in loud)


@pytest.mark.parametrize("size", ["laptop", "gpu", "cluster"])
@pytest.mark.parametrize(
    ("source", "languages"), [(None, "en,zh-Hans"), ('网 页/"a"\\*.gz', "zh-Hans"), ("s3://桶/a/", "en, other")]
)
def test_init_writes_a_recipe_that_resolves(size, source, languages, tmp_path):
    folder = tmp_path / "我的 模型"
    options = ["--size", size, "--languages", languages, *(["--source", source] if source else [])]
    made = CliRunner().invoke(main, ["init", str(folder), *options])
    assert made.exit_code == 0 and str(folder / "recipe.toml") in made.output, made.output
    recipe = load(folder / "recipe.toml")
    assert recipe.name == recipe.release.name == "我的 模型"
    first = recipe.corpus.sources[0]
    assert first.languages == tuple(languages.replace(" ", "").split(","))
    assert (first.kind, first.path) == (
        ("auto", source if "://" in source else str(Path(source).absolute())) if source else ("debian-docs", "")
    )
    assert recipe.train.layout.world == (64 if size == "cluster" else 1)
    before = (folder / "recipe.toml").read_text()
    again = CliRunner().invoke(main, ["init", str(folder), *options])
    assert again.exit_code == 2 and "is there already" in again.output and (folder / "recipe.toml").read_text() == before
    wrong = CliRunner().invoke(main, ["init", str(tmp_path / "x"), "--languages", "en,fr"])
    assert wrong.exit_code == 2 and "fr" in wrong.output and not (tmp_path / "x").exists()


def test_recipes_are_known_by_name_to_every_verb_that_takes_a_shape():
    for call in (["model", "show", "demo", "--json"], ["recipe", "show", "demo", "--json"]):
        result = CliRunner().invoke(main, call)
        assert result.exit_code == 0, result.output
    assert read_subject("demo").model.hidden == 128 and read_subject("skywork-13b").batch is None, "a preset of that name wins"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_as_documented(shell):
    program = "import sys; sys.argv = ['skyloom']; from skyloom.cli import entry; entry()"
    asked = {**os.environ, "_SKYLOOM_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-c", program], env=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "_SKYLOOM_COMPLETE" in done.stdout, done.stderr
    assert f"_SKYLOOM_COMPLETE={shell}_source skyloom" in (Path(__file__).parents[1] / "docs" / "0-start.md").read_text("utf-8")


def test_recipes_are_completed_by_name():
    found = ShellComplete(main, {}, "skyloom", "_SKYLOOM_COMPLETE").get_completions(["corpus", "build"], "d")
    assert [item.value for item in found if item.type == "plain"] == ["demo"] and any(item.type == "file" for item in found)


if __name__ == "__main__":
    if sys.argv[1:] != ["--freeze"]:
        sys.exit(f"usage: {FREEZE}")
    FROZEN.write_text(as_text(surface()), "utf-8")
