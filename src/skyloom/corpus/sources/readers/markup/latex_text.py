"""The text of LaTeX documents: the files of a paper joined, and what a reader sees of them, with formulas as they were written.

Input: LaTeX. Output: title and text. pylatexenc parses it. It reads on to the end where a mark is not closed, reads arguments again
if the document ends within them (twice as often at each depth), and copies what it read with each character. So its steps are
counted, it is given runs of plain characters as one token, and what comes before it (comments, included files, figures and
definitions that are left out) is done by scanners that look at each character a fixed number of times.
"""

from __future__ import annotations

import bisect
import logging
import re
from collections import deque
from collections.abc import Callable, Mapping

from pylatexenc import latex2text, macrospec  # type: ignore[import-untyped]
from pylatexenc.latexwalker import (  # type: ignore[import-untyped]
    LatexMacroNode,
    LatexNode,
    LatexToken,
    LatexWalker,
    get_default_latex_context_db,
)

from skyloom.corpus.sources.readers.markup.raised import lowered, raised
from skyloom.corpus.sources.readers.markup.work import Work

_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*\n?")
_INPUT = re.compile(r"\\(?:input|include|subfile)\s*\{([^{}]+)\}|\\input\s+([^\s{}\\]+)")
_BEGIN, _END = re.compile(r"\\begin\s*\{document\}"), re.compile(r"\\end\s*\{document\}")
_FOLDERS = 20  # of a file's path, by which it may be included


def joined(files: Mapping[str, str], work: Work | None = None) -> str:
    """The main file with the files that it includes in their places, each once and without comments. Names lead nowhere
    outside `files`."""
    work = work or Work(sum(map(len, files.values())))
    files = {n: _COMMENT.sub(r"\1", text.replace("\r\n", "\n")) for n, text in files.items()}
    work.look(sum(map(len, files.values())))
    starts = [n for n, text in files.items() if "\\documentclass" in text or "\\documentstyle" in text]
    whole = [n for n in starts if _BEGIN.search(files[n])]
    main = max(whole or starts or files, key=lambda n: (len(files[n]), n), default=None)
    if main is None:
        return ""
    used = {main}
    ends = _by_end(files)

    def put(match: re.Match[str]) -> str:
        name = (match[1] or match[2]).strip().removeprefix("./")
        work.look(len(name))
        found = next((n for n in (name, f"{name}.tex") if n in files and n not in used), None)
        if found is None:
            left = [queue for end in (name, f"{name}.tex") if (queue := _unused(ends.get(end), used))]
            found = min((queue[0] for queue in left), default=None)
        if found is None:
            return ""
        used.add(found)
        work.look(len(files[found]))
        return _INPUT.sub(put, files[found])

    return _INPUT.sub(put, files[main])


def _by_end(files: Mapping[str, str]) -> dict[str, deque[str]]:
    """Files by the ends of their paths, in order: papers include by paths relative to a folder that an archive may wrap."""
    ends: dict[str, deque[str]] = {}
    for name in sorted(files):
        parts = name.rsplit("/", _FOLDERS)
        for i in range(1, len(parts)):
            ends.setdefault("/".join(parts[i:]), deque()).append(name)
    return ends


def _unused(queue: deque[str] | None, used: set[str]) -> deque[str]:
    """A queue without what is used at its beginning; what is used stays used."""
    while queue and queue[0] in used:
        queue.popleft()
    return queue if queue is not None else deque()


_ENVIRONMENTS = r"thebibliography|tikzpicture|figure\*?|comment|CCSXML|filecontents\*?"
_OPENED, _CLOSED = (re.compile(rf"\\{mark}\s*+\{{({_ENVIRONMENTS})\}}") for mark in ("begin", "end"))
_LEFT_OUT = re.compile(
    rf"{_OPENED.pattern}|(?P<list>\\(?:bibliography|bibliographystyle)\s*+\{{[^{{}}]*+\}})|\\[egx]?def\s*+\\[A-Za-z@]++"
)
_PARAMETERS, _BRACED = re.compile(r"[^{}\n]*+"), re.compile(r"\{[^{}]*+\}")


def without_furniture(source: str, work: Work) -> str:
    """The source without bibliographies, figures, comments and definitions; what is not closed stays."""
    work.look(2 * len(source))
    closed: dict[str, list[tuple[int, int]]] = {}
    for end_mark in _CLOSED.finditer(source):
        closed.setdefault(end_mark[1], []).append(end_mark.span())
    bodies = _Bodies(source)
    parts, place, start = [], 0, 0
    while match := _LEFT_OUT.search(source, place):
        place = match.end()
        if match[1]:
            spans = closed.get(match[1], [])
            i = bisect.bisect_left(spans, (match.end(), 0))
            end = spans[i][1] if i < len(spans) else -1
        else:
            end = match.end() if match["list"] else bodies.end_after(match.end())
        if end >= 0:
            parts.append(source[start : match.start()])
            place = start = end
    return "".join([*parts, source[start:]])


class _Bodies:
    """Finds where the bodies of definitions end. Places are asked for in rising order, so a stretch is looked at once."""

    def __init__(self, source: str) -> None:
        self._source, self._from, self._brace, self._end = source, 0, -1, -1

    def end_after(self, place: int) -> int:
        """The end of the braces that follow `place` and a definition's parameters, on its line; -1 if there are none."""
        if not self._from <= place <= self._brace:
            parameters = _PARAMETERS.match(self._source, place)
            self._from, self._brace = place, parameters.end() if parameters else place
            body = _BRACED.match(self._source, self._brace)
            self._end = body.end() if body else -1
        return self._end


def plain_text(source: str, work: Work | None = None) -> tuple[str, str]:
    """(title, text) of a LaTeX document, paragraphs separated by empty lines, formulas verbatim.

    TookTooLongError if that takes more steps than `work` allows (None: as many as the size of the source allows).
    """
    work = work or Work(len(source))
    begin = _BEGIN.search(source)
    end = _END.search(source, begin.end()) if begin else None
    body = source[begin.end() if begin else 0 : end.start() if end else len(source)]
    titled = _title(source)
    title = " ".join(_converted(_group(source, titled), work).split()) if titled >= 0 else ""
    if begin is None and "\\" not in body:
        return title, ""  # no LaTeX at all
    text = _converted(without_furniture(body, work), work)
    work.look(len(text))
    lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in text.split("\n")]
    return title, re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


_TITLE, _SPACE = re.compile(r"\\title\s*+"), re.compile(r"\s*+")


def _title(source: str) -> int:
    """Where the braces of the first title open; -1 if there is none."""
    bracket = 0
    for match in _TITLE.finditer(source):
        place = match.end()
        if source.startswith("[", place):  # a short title before it
            bracket = source.find("]", place) if 0 <= bracket < place else bracket
            if bracket < 0:
                continue
            space = _SPACE.match(source, bracket + 1)
            place = space.end() if space else bracket + 1
        if source.startswith("{", place):
            return place
    return -1


def _group(source: str, start: int) -> str:
    """The content of the braces that open at `start`."""
    depth = 0
    for place in range(start, min(len(source), start + 2000)):
        depth += (source[place] == "{") - (source[place] == "}")
        if depth == 0:
            return source[start + 1 : place]
    return ""


def _converted(source: str, work: Work) -> str:
    # Spaces are one in the text, however many; pylatexenc copies them with each further one.
    walker = _CountingWalker(_LONG_SPACE.sub(r"\1", source), work)
    work.look(len(source))
    return str(_CountingWriter(work).nodelist_to_text(walker.get_latex_nodes()[0]))


_LONG_SPACE = re.compile(r"(?<!\s)(\s{200})\s++")
_ENVIRONMENT = re.compile(r"(\s*+)\\(begin|end)(?![^\W\d_])(?:\s*+\{([\w* ._-]+)\})?")


class _CountingWalker(LatexWalker):  # type: ignore[misc]
    """The parser, which counts its tokens, and reads a run of plain characters as one."""

    def __init__(self, source: str, work: Work) -> None:
        super().__init__(source, latex_context=_READS, tolerant_parsing=True)
        self._work = work

    def get_token(self, pos: int, include_brace_chars: list[tuple[str, str]] | None = None, environments: bool = True,
                  **options: object) -> LatexToken:  # fmt: skip
        if environments and (run := self._run(pos, include_brace_chars)):  # not in arguments, which may be one character
            self._work.look(len(run))
            return LatexToken(tok="char", arg=run, pos=pos, len=len(run), pre_space="")
        found = self._environment(pos) if environments else None
        if found is None:
            found = super().get_token(pos, include_brace_chars=include_brace_chars, environments=environments, **options)
        self._work.look(found.len)
        if found.tok == "macro" and found.arg == "verb":
            start = found.pos + found.len
            end = self.s.find(self.s[start], start + 1) if start < len(self.s) else start
            self._work.look((end if end >= 0 else len(self.s)) - start)
        return found

    def _environment(self, pos: int) -> LatexToken | None:
        """The token of a \\begin or \\end; pylatexenc copies the rest of the document to read its name."""
        mark = _ENVIRONMENT.match(self.s, pos)
        if mark is None or "\n\n" in mark[1]:
            return None
        kind = {"begin": "begin_environment", "end": "end_environment"}[mark[2]] if mark[3] else "char"
        start = mark.end(1)
        return LatexToken(tok=kind, arg=mark[3] or f"\\{mark[2]}", pos=start, len=mark.end() - start, pre_space=mark[1])

    def _run(self, pos: int, brackets: list[tuple[str, str]] | None) -> str:
        found = (
            None if brackets not in (None, [("[", "]")]) else (_RUN if brackets is None else _RUN_IN_BRACKETS).match(self.s, pos)
        )
        return found[0] if found else ""


def _runs(others: str) -> re.Pattern[str]:
    """Characters, with the space between them, that begin no mark: neither of TeX nor of pylatexenc ("---", "``", "?`", …)."""
    plain = rf"(?:[^\s\\%{{}}$&~`'!?\-{others}]++|-(?!-)|'(?!')|`(?!`)|[!?](?!`))"
    return re.compile(rf"{plain}++(?:\s++{plain}++)*+")


_RUN, _RUN_IN_BRACKETS = _runs(""), _runs(r"\[\]")


class _CountingWriter(latex2text.LatexNodes2Text):  # type: ignore[misc]
    """The writer, which counts the nodes and the text that it writes, and does not look back for the beginning of the line."""

    def __init__(self, work: Work) -> None:
        super().__init__(_WRITES, math_mode="verbatim", keep_comments=False, strict_latex_spaces=False)
        self._work = work

    def nodelist_to_text(self, nodelist: list[LatexNode]) -> str:
        parts: list[str] = []
        for node in nodelist:
            parts.append(self.node_to_text(node))
            self._work.look(len(parts[-1]))
        return "".join(parts)


def _argument(place: int, form: str) -> Callable[[LatexMacroNode, latex2text.LatexNodes2Text], str]:
    """A replacement that writes one argument of a macro in a form; pylatexenc's own keeps what is not an argument."""

    def written(node: LatexMacroNode, l2tobj: latex2text.LatexNodes2Text) -> str:
        arguments = node.nodeargd.argnlist if node.nodeargd is not None else ()  # none where the text ends after the name
        found = [argument for argument in arguments[place : place + 1] if argument is not None]
        return form % str(l2tobj.nodelist_to_text(found)).strip()

    return written


def _through(written: Callable[[str], str]) -> Callable[[LatexMacroNode, latex2text.LatexNodes2Text], str]:
    """A replacement that writes the first argument of a macro by a function of its text."""
    plain = _argument(0, "%s")
    return lambda node, l2tobj: written(plain(node, l2tobj))


def _number(text: str) -> str:
    """A number as siunitx takes it: 3e8 is 3×10^8."""
    return re.sub(r"(?<=[\d.])[eE]([-+]?\d{1,6})$", r"×10^\1", text)


def _contexts() -> tuple[macrospec.LatexContextDb, macrospec.LatexContextDb]:
    """What pylatexenc's parser and writer shall do otherwise: headings as paragraphs; marks that point elsewhere, dates of today
    and definitions left out."""
    headings = ("chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")
    silent = {
        "maketitle": "", "today": "", "author": "[{", "date": "{", "title": "[{", "thanks": "{", "label": "{", "ref": "{",
        "eqref": "{", "pageref": "{", "autoref": "{", "cref": "{", "Cref": "{", "cite": "[[{", "citep": "[[{", "citet": "[[{",
        "citealp": "[[{", "footnote": "[{", "footnotetext": "[{", "includegraphics": "[[{", "newcommand": "*{[[{",
        "renewcommand": "*{[[{", "providecommand": "*{[[{", "DeclareMathOperator": "*{{", "vspace": "*{",
        "hspace": "*{", "thispagestyle": "{", "pagestyle": "{", "setlength": "{{", "bibitem": "[{", "tableofcontents": "",
        "usepackage": "[{", "affiliation": "{", "email": "{", "address": "{", "keywords": "{", "setcounter": "{{",
        "footnotemark": "[", "tnote": "{",
    }  # fmt: skip
    logging.getLogger("pylatexenc").setLevel(logging.ERROR)  # it warns of a macro without arguments, once for each
    reads = get_default_latex_context_db()
    spec = [macrospec.std_macro(name, form) for name, form in silent.items()]
    spec += [macrospec.std_macro(name, "*[{") for name in headings]
    spec += [macrospec.std_macro(name, "{") for name in ("caption", "enquote", *_RAISED)]
    reads.add_context_category("skyloom", macros=spec, prepend=True)
    writes = latex2text.get_default_latex_context_db()
    texts = [latex2text.MacroTextSpec(name, "") for name in silent]
    texts += [latex2text.MacroTextSpec(name, _argument(2, "\n\n%s\n\n")) for name in headings]
    texts += [latex2text.MacroTextSpec("caption", _argument(0, "\n\n%s\n\n"))]
    texts += [latex2text.MacroTextSpec("enquote", _argument(0, "“%s”"))]
    texts += [latex2text.MacroTextSpec(name, _through(written)) for name, written in _RAISED.items()]
    writes.add_context_category("skyloom", macros=texts, prepend=True)
    return reads, writes


_RAISED = {
    "textsuperscript": raised, "textsubscript": lowered, "textsup": raised, "textsub": lowered, "up": raised, "num": _number,
}  # fmt: skip
_READS, _WRITES = _contexts()
