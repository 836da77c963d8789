"""The command line: its frozen surface, help with examples everywhere, and exit codes.

Users' scripts depend on the surface, which `cli.json` beside this file holds: every verb with its arguments and options, and of
each the flags, type, default, and whether it is required, repeated or a flag. A change shows as a difference to that file. Adding
is free; what is renamed, removed or means something else needs a new major version. To accept a change:

    python tests/test_cli.py --freeze
"""

import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.cli.common import show

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


if __name__ == "__main__":
    if sys.argv[1:] != ["--freeze"]:
        sys.exit(f"usage: {FREEZE}")
    FROZEN.write_text(as_text(surface()), "utf-8")
