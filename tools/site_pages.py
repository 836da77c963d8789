"""What the documentation site takes from the code while it is built: commands, settings, exit codes, bars, the list of decisions.

MkDocs calls the functions `on_…` of this file (`hooks` in mkdocs.yml). Input: the pages of docs/, the click commands, the
dataclasses of a recipe, `bench/bars.toml`. Output: pages in which a line `<!-- generated: NAME -->` is replaced by the tables of
that name, so that the reference cannot differ from the program. A link that leaves docs/ leads to the repository that the variable
SITE_REPOSITORY names; without it the name of the file is shown. `commands`, `settings`, `exit_codes` and `bars` need no MkDocs,
and the tests call them.
"""

from __future__ import annotations

import os
import posixpath
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GENERATED = re.compile(r"^<!-- generated: ([a-z ]+) -->$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?:\.\./)+[^)#\s]+)(#[^)]*)?\)")


def commands() -> str:
    """A section for each command: what it does, its arguments, its options, examples. What all with a RECIPE have stands once."""
    import click

    from skyloom.cli import main

    found = list(_commands(main, None))
    recipes = [
        set(_options(context)) for _, context in found if any(p.human_readable_name == "RECIPE" for p in context.command.params)
    ]
    usual = [row for row in _options(next(c for n, c in found if n == "skyloom run")) if all(row in rows for rows in recipes)]
    told = ["## Options of every command with a RECIPE", _table(("option", "meaning"), usual)]
    for name, context in found:
        command = context.command
        told.append(f"## {name}" if name.count(" ") < 2 else f"### {name}")
        told.append(_prose(command.help))
        if not isinstance(command, click.Group):
            pieces = " ".join(command.collect_usage_pieces(context))
            told.append(f"```text\n{name} {pieces}\n```")
        own = [row for row in _options(context) if row not in usual]
        if own:
            told.append(_table(("option", "meaning"), own))
        lines = [line.strip() for line in (command.epilog or "").splitlines() if line.strip().startswith(("skyloom", "zcat"))]
        if lines:
            told.append("```text\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(told)


def settings() -> str:
    """A table for each table of a recipe: key, type, default, meaning with unit. From the dataclasses of each package's config."""
    from skyloom.core.config import describe
    from skyloom.run.recipe import Recipe

    tables: dict[str, list[tuple[str, str]]] = {}
    for key, kind, default, meaning in describe(Recipe):
        table = re.sub(r"\[\]$", "", key.split(".")[0]) if "." in key else "recipe"
        start = f"default `{default}`; " if default else ""
        tables.setdefault(table, []).append((f"`{key}`", f"{start}`{kind}`. {meaning}"))
    return "\n\n".join(f"## {table}\n\n{_table(('key', 'default, type, meaning'), rows)}" for table, rows in tables.items())


def exit_codes() -> str:
    """Each error class of `skyloom.core.errors` with the exit code of the command line."""
    from skyloom.core import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SkyloomError)]
    rows = [(f"`{kind.exit_code}`", f"`{kind.__name__}`", (kind.__doc__ or "").splitlines()[0]) for kind in kinds]
    return _table(("code", "error in Python", "meaning"), sorted(rows))


def bars() -> str:
    """The numeric bars: what each measures, what is good enough, and the command."""
    rows = []
    for bar in tomllib.loads((ROOT / "bench" / "bars.toml").read_text("utf-8"))["bar"]:
        wanted = "recorded" if bar["direction"] == "recorded" else f"{bar['direction']} {bar['threshold']} {bar.get('unit', '')}"
        rows.append((f"`{bar['id']}`", bar["measures"], wanted.strip(), f"`{bar['command']}`"))
    return _table(("bar", "measures", "wanted", "command"), rows)


PARTS = {"commands": commands, "settings": settings, "exit codes": exit_codes, "bars": bars}


def filled(text: str) -> str:
    """A page with its generated parts."""
    return GENERATED.sub(lambda found: PARTS[found[1]](), text)


def outward(text: str, page: str) -> str:
    """A page whose links out of docs/ lead to the repository, or are names where none is known. `page`: its path below docs/."""
    repository = os.environ.get("SITE_REPOSITORY", "").rstrip("/")

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), found[2]))
        if target.startswith("docs/"):
            return found[0]
        return f"[{found[1]}]({repository}/blob/main/{target}{found[3] or ''})" if repository else f"{found[1]} (`{target}`)"

    return LINK.sub(link, text)


def complete(nav: list[Any], pages: Sequence[str]) -> list[Any]:
    """The navigation with all decisions, and with the pages that it lacks in the group Explanation."""
    named = set(_named(nav))
    for group in nav:
        entries = group.get("Explanation") if isinstance(group, dict) else None
        if entries is not None:
            decisions = sorted(page for page in pages if page.startswith("adr/"))
            group["Explanation"] = [e for e in entries if not (isinstance(e, dict) and "Decisions" in e)]
            group["Explanation"] += sorted(page for page in pages if page not in named and page not in decisions)
            group["Explanation"].append({"Decisions": decisions})
    return nav


def on_config(config: Any) -> Any:
    """Called by MkDocs first."""
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    config.nav = complete(config.nav, [page for page in pages if not page.endswith(".zh.md") and page != "README.md"])
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by MkDocs for each page."""
    return outward(filled(markdown), page.file.src_uri)


def _named(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for below in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from _named(below)


def _commands(command: Any, above: Any) -> Iterator[tuple[str, Any]]:
    import click

    settings = command.context_settings if above is None else {}  # `-h` too: click keeps the first help option of a command
    context = click.Context(command, above, info_name="skyloom" if above is None else command.name, **settings)
    yield str(context.info_name), context
    for below in (getattr(command, "commands", None) or getattr(command, "also", {})).values():
        for name, found in _commands(below, context):
            yield f"{context.info_name} {name}", found


def _options(context: Any) -> list[tuple[str, str]]:
    records = [one.get_help_record(context) for one in context.command.get_params(context)]
    return [(f"`{flags}`", meaning) for flags, meaning in filter(None, records) if "--help" not in flags]


def _prose(text: str | None) -> str:
    """The help of a command as Markdown: paragraphs are kept, signs that Markdown would read are escaped."""
    return re.sub(r"([<>*_\[\]])", r"\\\1", re.sub(r"\x08", "", text or "").strip())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def cells(row: Sequence[str]) -> str:
        return "| " + " | ".join(_cell(cell) for cell in row) + " |"

    return "\n".join([cells(head), "|" + "---|" * len(head), *map(cells, rows)])


def _cell(text: str) -> str:
    """One line. Code keeps its signs; in prose those that Markdown would read are escaped."""
    line = re.sub(r"\s+", " ", text).replace("|", "\\|")
    return line if line.startswith("`") else re.sub(r"([<>*\[\]])", r"\\\1", line)
