"""No dead link: each relative link of the documents names a file that is there, and each anchor a heading of it.

Also: figures have a command, both languages have the same commands, and the reference is made from the program.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from skyloom.core.config import describe
from skyloom.run.recipe import Recipe
from tests.site.pages import DOCS, blocks, dead, documents
from tests.stories.program import ROOT
from tests.test_cli import VERBS

PAGES = documents()
BOTH = sorted(page for group in ("get-started", "tutorials") for page in (DOCS / group).glob("*.md") if ".zh" not in page.name)
BOTH = [*BOTH, DOCS / "index.md", DOCS / "from-datatrove.md"]
BOTH += [DOCS / "howto" / f"{name}.md" for name in ("resume", "out-of-memory", "slow-run")]


def by_path(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def site_pages():
    """The hook of the site (tools/site_pages.py), which is no part of a package."""
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "tools" / "site_pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_no_link_is_dead(page):
    assert dead(page) == []


def test_a_dead_link_and_a_dead_anchor_are_found(tmp_path):
    page = tmp_path / "页.md"
    page.write_text(
        "# 标题 One\n\n[a](#标题-one) [b](none.md) [c](#none) [d](页.md#标题-one) [e](https://example.org/x)\n\n```\n[f](none)\n```\n"
    )
    assert dead(page) == ["none.md", "#none"]


@pytest.mark.parametrize("page", BOTH, ids=by_path)
def test_both_languages_have_the_same_commands(page):
    """The Chinese page shows what the English one shows; only comments are in its own language. So one run is for both."""
    other = page.with_name(page.name.replace(".md", ".zh.md"))
    assert other.exists(), "no page in Chinese"
    told = [[(b.language, b.runs, b.file, b.without_notes()) for b in blocks(p) if b.language] for p in (page, other)]
    assert told[0] == told[1]
    assert len(re.findall(r"[\u4e00-\u9fff]", other.read_text("utf-8"))) > 200


@pytest.mark.parametrize("page", [DOCS / "benchmarks.md", *(p for p in BOTH if p.parent.name == "tutorials")], ids=by_path)
def test_a_table_of_figures_has_its_command(page):
    """In the section of a table with decimal figures, or in one above it, a command stands: `python -m …`, `skyloom …` or `make …`."""
    lacking, above = [], {}
    for part in re.split(r"(?m)^(?=#{1,6} )", page.read_text("utf-8")):
        level = len(part) - len(part.lstrip("#"))
        above = {k: v for k, v in above.items() if k < level} | {level: re.search(r"python -m |skyloom |make ", part) is not None}
        if re.search(r"^\|.*\d\.\d.*\|", part, re.MULTILINE) and not any(v for k, v in above.items() if k):
            lacking.append(part.split("\n", 1)[0])
    assert lacking == []


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_figures_of_a_readme_are_those_of_the_benchmarks(name):
    """Each row of the comparison names a bar; its figure is the one that docs/benchmarks.md has in the table of all bars."""
    bars = dict(
        re.findall(r"^\| ([\w-]+)(?: [†‡§])? \| [^|]* \| ([\d.,e+]+)", (DOCS / "benchmarks.md").read_text("utf-8"), re.MULTILINE)
    )
    text = (ROOT / name).read_text("utf-8")
    rows = re.findall(r"^\| .* \| .* \| ([\d.]+)[^|]*\| `([\w-]+)` \|$", text, re.MULTILINE)
    assert len(rows) >= 8
    assert [(figure, bar) for figure, bar in rows if bars[bar] != figure] == []
    failing = re.findall(r"^\| ([\w-]+)(?: [†‡§])? \|.*\*\*fail\*\* \|$", (DOCS / "benchmarks.md").read_text("utf-8"), re.MULTILINE)
    assert failing and [bar for bar in failing if f"`{bar}`" not in text] == []
    assert "make test" in text and "make demo" in text and len(text.splitlines()) < 90


def test_both_readmes_have_the_same_rows():
    tables = [
        re.findall(r"^\| .*`([\w-]+)` \|$", (ROOT / name).read_text("utf-8"), re.MULTILINE)
        for name in ("README.md", "README.zh.md")
    ]
    assert tables[0] == tables[1]


def test_the_costs_of_the_tutorial_are_those_of_the_table():
    """`docs/snapshot.md` has the table that `python -m bench.core.snapshot` prints; the tutorials quote it."""
    table = (DOCS / "snapshot.md").read_text("utf-8")
    column = {
        row[0].strip(" *²"): row[3].strip()
        for row in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    }
    for page in ("common-crawl.md", "common-crawl.zh.md"):
        text = (DOCS / "tutorials" / page).read_text("utf-8")
        wanted = (
            "CPU-hours",
            "download at 100 MB/s, hours",
            "hours on 192 cores that never wait",
            "CPU, dollars",
            "disk for a month, dollars",
        )
        assert [column[name] for name in wanted if not re.search(rf"\b{column[name]}\b", text)] == []
        assert f"{float(column['kept, GB'].replace(',', '')) / 1000:.1f} TB" in text


def test_every_page_is_in_the_navigation_once():
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader=Lenient)
    made = site_pages()
    pages = [p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")]
    pages = [p for p in pages if not p.endswith(".zh.md") and p != "README.md"]
    named = list(made._named(made.complete(config["nav"], pages)))
    assert sorted(named) == sorted(pages)
    translated = config["plugins"][1]["i18n"]["languages"][1]["nav_translations"]
    titles = {title for group in config["nav"][:3] for title in titles_of(group)}
    assert titles <= set(translated), titles - set(translated)


def test_the_reference_has_every_command_setting_exit_code_and_bar():
    made = site_pages()
    commands, settings = made.commands(), made.settings()
    assert [v for v in VERBS if not re.search(rf"^###? skyloom {v}$", commands, re.MULTILINE)] == []
    assert [key for key, *_ in describe(Recipe) if f"`{key}`" not in settings] == []
    assert "`4` | `IntegrityError`" in made.exit_codes() and "`demo-wall`" in made.bars()
    for page in (DOCS / "reference").glob("*.md"):
        assert "<!-- generated" not in made.filled(page.read_text("utf-8"))


def test_a_link_out_of_the_documents_leads_to_the_repository(monkeypatch):
    made = site_pages()
    text = "[how](../../CONTRIBUTING.md#releases) [log](../log.md)"
    monkeypatch.delenv("SITE_REPOSITORY", raising=False)
    assert made.outward(text, "howto/publish.md") == "how (`CONTRIBUTING.md`) [log](../log.md)"
    monkeypatch.setenv("SITE_REPOSITORY", "https://example.org/o/n")
    assert made.outward(text, "howto/publish.md").startswith("[how](https://example.org/o/n/blob/main/CONTRIBUTING.md#releases) ")


class Lenient(yaml.SafeLoader):
    """mkdocs.yml has tags of MkDocs (`!ENV`, a function); their values are not needed here."""


Lenient.add_multi_constructor("", lambda loader, suffix, node: None)


def titles_of(entry):
    if isinstance(entry, dict):
        for title, below in entry.items():
            yield title
            for one in below if isinstance(below, list) else ():
                yield from titles_of(one)
