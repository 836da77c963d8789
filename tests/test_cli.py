"""The command line: help with examples everywhere, exit codes, and frozen names of verbs and options."""

import json

import click
import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.cli.common import show

VERBS = {
    "run": ["dry_run", "as_json"],
    "recipe show": ["as_json"],
    "recipe keys": ["as_json"],
    "corpus build": ["as_json"],
    "corpus mixture": ["as_json"],
    "corpus show": ["dropped", "reason", "stage", "origin", "lang", "domain", "text", "limit", "as_json"],
    "corpus extract": ["pages", "out", "comments"],
    "corpus dedup": ["documents", "out", "memory", "threshold", "id_column", "text_column", "quality", "workers"],
    "corpus fetch common-crawl": ["crawl", "domains", "domains_file", "languages", "pages", "out", "index_url", "data_url"],
    "tokenizer train": ["as_json"],
    "tokenizer extend": ["characters", "words", "as_json"],
    "tokenizer show": ["as_json"],
    "tokenizer check": ["as_json"],
    "tokenizer gguf": [],
    "data pack": ["as_json"],
    "data show": ["stage", "step", "rank", "world", "as_json"],
    "model show": ["which", "sequence", "as_json"],
    "model export": ["checkpoint", "out", "tokenizer", "dtype", "as_json"],
    "train": ["as_json"],
    "train lr-test": ["stage", "checkpoint", "rates", "tokens", "as_json"],
    "plan": [
        "model",
        "gpu",
        "nodes",
        "gpus_per_node",
        "sequences",
        "context",
        "micro_batch",
        "layout",
        "tokens",
        "kernels",
        "link",
        "network",
        "memory",
        "watts",
        "matmul",
        "fixed",
        "threads",
        "top",
        "machines",
        "as_json",
    ],
    "eval": ["as_json"],
    "leak": ["as_json"],
    "release build": [],
    "release check": ["as_json"],
    "report page": [],
    "report serve": ["host", "port"],
    "generate": ["tokens", "temperature", "top_p", "seed"],
    "doctor": ["work", "as_json"],
}
SHARED = ["recipe", "work", "overrides", "source", "init_from", "workers", "engine", "shard", "patience", "memory", "verify"]


def commands(group: click.Group, prefix: str = ""):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command
            yield from ((f"{prefix}{name} {also}", beside) for also, beside in getattr(command, "also", {}).items())


def test_verbs_and_options_are_the_promised_ones():
    """Frozen: scripts of users depend on these. Adding is free; renaming or removing needs a new major version."""
    found = {name: [p.name for p in command.params] for name, command in commands(main)}
    assert set(found) == set(VERBS)
    for verb, options in VERBS.items():
        assert set(options) <= set(found[verb]), verb
        if "recipe" in found[verb]:
            assert set(SHARED) <= set(found[verb]), verb


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb):
    shown = CliRunner().invoke(main, [*verb.split(), "--help"])
    assert shown.exit_code == 0
    assert "Examples:" in shown.output and f"skyloom {verb}" in shown.output


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
    assert result.exit_code == 2 and "no setting begins with 'trian'" in result.output


def test_tables_show_text_as_it_is(capsys):
    """A page may hold what rich takes for markup; and rows need not have the same columns."""
    show([{"text": "[/quote] 引用 [b]bold[/b] [tokens]"}, {"text": "second", "count": 3}], False)
    shown = capsys.readouterr().out
    assert "[/quote] 引用 [b]bold[/b] [tokens]" in shown and "count" in shown
