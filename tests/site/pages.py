"""Pages as the tests see them: headings as anchors, links, code blocks, and a place in which the commands of a tutorial run.

A block ```bash runs as it stands. If its first line begins with `# not run`, it is shown only, and that line says why. A block whose first
line is `# file NAME` is written to that file before the commands that follow it. So what a reader copies is what the tests run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from skyloom.cli import main
from tests.stories.program import ROOT, environment

DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+(?:\([^()]*\))?[^()\s]*)\)")
NOT_RUN = ("# not run", "# 不运行")
SHELL_SIGNS = re.compile(r"[|<>;&]|\$\(|^\w+=", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block of a page: its language and its text."""

    language: str
    text: str

    @property
    def first(self) -> str:
        return self.text.split("\n", 1)[0]

    @property
    def runs(self) -> bool:
        return self.language in ("bash", "python") and not self.first.startswith(NOT_RUN) and not self.file

    @property
    def file(self) -> str:
        """The file that the block is written to, or nothing."""
        return self.first.removeprefix("# file ").strip() if self.first.startswith("# file ") else ""

    def without_notes(self) -> str:
        """What the machine reads: comments, which each language has its own of, are left out."""
        return "\n".join(line for line in (re.sub(r"(^|\s)#\s.*", "", line).rstrip() for line in self.text.splitlines()) if line)


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text("utf-8"))]


def prose(page: Path) -> str:
    """The page without code blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text("utf-8")))


def links(page: Path) -> list[str]:
    """The relative targets of a page's links and pictures, anchors included."""
    return [target for target in LINK.findall(prose(page)) if not re.match(r"[a-z][a-z+]*:", target)]


def anchors(page: Path) -> set[str]:
    """What `page#…` may name: each heading in lower case, blanks as dashes, without signs; a repeated one has a number."""
    found: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE):
        text = unicodedata.normalize("NFC", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", ""))
        slug = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
        number = found.get(slug, 0)
        found[slug] = number + 1
        made.add(f"{slug}-{number}" if number else slug)
    return made


def dead(page: Path) -> list[str]:
    """The links of a page that lead nowhere. A page in Chinese names page.md, and the site leads to page.zh.md where there is one."""
    wrong = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if page.name.endswith(".zh.md") and (own := there.with_name(there.name.replace(".md", ".zh.md"))).exists():
            there = own
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            wrong.append(target)
    return wrong


def documents() -> list[Path]:
    """All pages of docs/ and of the root."""
    return sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


class Workplace:
    """A folder in which a reader's commands run. `skyloom` is called in this process where no shell is needed: starting it costs seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._told: dict[Path, list[str]] = {}
        starter = folder.parent / "bin" / "skyloom"
        starter.parent.mkdir()
        starter.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m skyloom.cli "$@"\n')
        starter.chmod(0o755)
        python = starter.with_name("python")
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
        path = os.pathsep.join((str(ROOT / "src"), str(ROOT), str(folder)))
        self.environment = {**environment(), "PATH": f"{starter.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": path}

    def follow(self, page: Path) -> list[str]:
        """Do what the page says once, block by block. Returns what each block printed; a command that fails is an error."""
        if page not in self._told:
            self._told[page] = self._follow(page)
        return self._told[page]

    def _follow(self, page: Path) -> list[str]:
        told = []
        for block in blocks(page):
            if block.file:
                (self.folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / block.file).write_text(block.text, "utf-8")
            elif block.runs:
                told.append(self._python(block) if block.language == "python" else self._shell(block))
        return told

    def _python(self, block: Block) -> str:
        return self._done(subprocess.run([sys.executable, "-c", block.text], **self._how()), block.text)

    def _shell(self, block: Block) -> str:
        text = block.without_notes().replace("\\\n", " ")
        if SHELL_SIGNS.search(text):
            return self._done(subprocess.run(["bash", "-euo", "pipefail", "-c", text], **self._how()), text)
        return "".join(self._command(line) for line in text.splitlines())

    def _command(self, line: str) -> str:
        """One simple command, its words expanded by the shell."""
        expand = ["bash", "-euc", f"printf '%s\\0' {line}"]
        words = subprocess.run(expand, **self._how(), check=True).stdout.split("\0")[:-1]
        if words[0] != "skyloom":
            return self._done(subprocess.run(words, **self._how()), line)
        before = Path.cwd()
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))  # a reader's own modules; PYTHONPATH is for the workers
        try:
            found = CliRunner().invoke(main, words[1:], prog_name="skyloom", env=self.environment)
        finally:
            sys.path.remove(str(self.folder))
            os.chdir(before)
        assert found.exit_code == 0, f"{line}\n{found.output}\n{found.exception!r}"
        return found.output

    def _how(self) -> dict:
        return {"cwd": self.folder, "env": self.environment, "capture_output": True, "text": True}

    def _done(self, found: subprocess.CompletedProcess[str], what: str) -> str:
        assert found.returncode == 0, f"{what}\n{found.stdout}\n{found.stderr}"
        return found.stdout
