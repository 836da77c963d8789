"""One extractor in a process of its own: ours, or a peer that its interpreter has installed.

    python -m bench.corpus.extractors NAME

reads orders and writes answers, each one line of JSON, so that `extraction.py` can measure extractors from different
environments in turn. The first answer is {"version": text} or {"not_installed": module}. Orders: {"pages": [[html, language],
...]} hands over pages; "texts" extracts them all: {"texts": [...], "failed": pages on which the extractor raised}; "seconds"
does it once more and answers {"seconds": CPU time}. Imports and the pages' way through the pipe are not timed.

Only the standard library is imported here, because the peers' environment need not have ours. Each peer gets the decoded
page and is asked for the main text without readers' comments where it has such a setting.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

Extract = Callable[[str, str], str]  # page and its language, "en" or "zh", to the main text


def skyloom() -> Extract:
    from skyloom.corpus.extract.stage import extract_html

    return lambda page, language: extract_html(page).text


def skyloom_bytes() -> Extract:
    """From the bytes, including the decision on their charset, one page at a time."""
    from skyloom.corpus.extract.stage import extract_html

    return lambda page, language: extract_html(page.encode("utf-8", "replace")).text


def skyloom_column(pages: list[list[str]]) -> Callable[[], list[str]]:
    """As the pipeline does it: from a column of bytes to a column of passages. Making the input column is not timed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from skyloom.corpus.extract import ExtractConfig
    from skyloom.corpus.extract.stage import extract_pages

    bodies = pa.array([page.encode("utf-8", "replace") for page, _ in pages], pa.large_binary())
    return lambda: pc.binary_join(extract_pages(bodies, None, ExtractConfig()).column("blocks"), "\n\n").to_pylist()


def trafilatura() -> Extract:
    from trafilatura import extract

    return lambda page, language: extract(page, include_comments=False) or ""


def trafilatura_fast() -> Extract:
    from trafilatura import extract

    return lambda page, language: extract(page, include_comments=False, fast=True) or ""


def readability() -> Extract:
    from lxml.html import fromstring
    from readability import Document

    def text(page: str, language: str) -> str:
        return "\n".join(fromstring(Document(page).summary()).itertext())

    return text


def resiliparse() -> Extract:
    from resiliparse.extract.html2text import extract_plain_text

    return lambda page, language: extract_plain_text(page, main_content=True, comments=False)


def justext() -> Extract:
    """For Chinese there is no list of stop words: the manual's mode without a language, and lengths for a denser script.

    With the default lengths of 70 and 200 characters it finds .29 on the Chinese pages of `extraction.py`; 20 and 60 were the
    best of seven settings tried on those same pages, .91, which favours it.
    """
    from justext import get_stoplist
    from justext import justext as paragraphs

    english = get_stoplist("English")

    def text(page: str, language: str) -> str:
        if language == "en":
            found = paragraphs(page, english)
        else:
            found = paragraphs(page, frozenset(), stopwords_low=0, stopwords_high=0, length_low=20, length_high=60)
        return "\n".join(p.text for p in found if not p.is_boilerplate)

    return text


EXTRACTORS: dict[str, tuple[Callable[[], Extract], str]] = {
    "skyloom": (skyloom, "skyloom"),
    "skyloom, bytes": (skyloom_bytes, "skyloom"),
    "trafilatura": (trafilatura, "trafilatura"),
    "trafilatura, fast": (trafilatura_fast, "trafilatura"),
    "readability-lxml": (readability, "readability-lxml"),
    "jusText": (justext, "jusText"),
    "resiliparse": (resiliparse, "Resiliparse"),
}  # name: how to make it, and the distribution whose version is reported
COLUMNS = {"skyloom, column": (skyloom_column, "skyloom")}
"""Extractors that take all pages at once."""


def run(
    extract: Extract | None, pages: list[list[str]], whole: Callable[[], list[str]] | None = None
) -> tuple[list[str], int, float]:
    """The texts, the number of pages on which the extractor raised (their text is ""), and the CPU seconds of it all."""
    texts, failed = [], 0
    started = time.process_time()
    if whole is not None:
        texts = whole()
        return texts, 0, time.process_time() - started
    assert extract is not None
    for page, language in pages:
        try:
            texts.append(extract(page, language))
        except Exception:  # a peer's own failure, of whatever kind, is a page without text, and is counted
            texts.append("")
            failed += 1
    return texts, failed, time.process_time() - started


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what a peer prints must not mix with the answers
    name = sys.argv[1]
    distribution = (EXTRACTORS.get(name) or COLUMNS[name])[1]

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    extract, whole = None, None
    try:
        if name in EXTRACTORS:
            extract = EXTRACTORS[name][0]()
    except ModuleNotFoundError as missing:
        answer({"not_installed": missing.name})
        return
    answer({"version": version(distribution)})
    pages: list[list[str]] = []
    for line in sys.stdin:
        order = json.loads(line)
        if isinstance(order, dict):
            pages = order["pages"]
            whole = COLUMNS[name][0](pages) if name in COLUMNS else None
            answer({"pages": len(pages)})
            continue
        texts, failed, seconds = run(extract, pages, whole)
        answer({"texts": texts, "failed": failed} if order == "texts" else {"seconds": seconds})


if __name__ == "__main__":
    main()
