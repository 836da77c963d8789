"""What an invented page says, apart from any template.

Input: a file of texts/, written for this project. Output: `Text`s. A page begins with `=== title`; `@name value` is a field, `## ` a
heading, `- ` an item, `1. ` a step, `| a | b |` a row of a table, ``` a line before and after code, `!word ` a notice, and
`>>> who | when` begins a post. Every other line is a paragraph; `**…**` in it is bold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).with_name("texts")


@dataclass
class Part:
    """A paragraph ("p"), heading ("h"), item ("li"), step ("ol"), row ("tr"), code ("pre") or notice ("tip"); a row's cells are in `cells`."""

    kind: str
    text: str
    cells: list[str] = field(default_factory=list)


@dataclass
class Post:
    """What somebody wrote in a thread or a feed."""

    user: str
    date: str
    parts: list[Part] = field(default_factory=list)


@dataclass
class Text:
    """The text of a page: its title, its fields by name, and its parts or its posts."""

    title: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)

    def one(self, name: str) -> str:
        """The only value of a field, or ""."""
        return self.fields.get(name, [""])[0]


def part(line: str) -> Part:
    """The part that a line is."""
    if line.startswith("## "):
        return Part("h", line[3:])
    if line.startswith("- "):
        return Part("li", line[2:], line[2:].split(" | "))
    if line.startswith("| "):
        return Part("tr", line, [c.strip() for c in line.strip("|").split("|")])
    if step := re.match(r"\d+\. ", line):
        return Part("ol", line[step.end() :])
    if line.startswith("!"):
        return Part("tip", line[1:])
    return Part("p", line)


def read(name: str, folder: Path = FOLDER) -> list[Text]:
    """The texts of a site shape, in the order of its file."""
    texts: list[Text] = []
    code: list[str] | None = None
    for line in (folder / f"{name}.txt").read_text("utf-8").splitlines():
        now = texts[-1] if texts else None
        parts = (now.posts[-1].parts if now.posts else now.parts) if now else []
        if line.startswith("```"):
            if code is not None:
                parts.append(Part("pre", "\n".join(code)))
            code = [] if code is None else None
        elif code is not None:
            code.append(line)
        elif line.startswith("=== "):
            texts.append(Text(line[4:]))
        elif now and line.startswith("@"):
            key, _, value = line[1:].partition(" ")
            now.fields.setdefault(key, []).append(value)
        elif now and line.startswith(">>> "):
            user, _, date = line[4:].partition("|")
            now.posts.append(Post(user.strip(), date.strip()))
        elif line:
            parts.append(part(line))
    return texts
