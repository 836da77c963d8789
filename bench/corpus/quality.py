"""The quality stage beside its peers: speed and verdicts of the rules, the language models, the linear judge.

Input: `text/` and `warc/` of SKYLOOM_BENCH_DATA (data.toml). Output: tables. Speeds are MB of UTF-8 text per
CPU-second, from the text column to the verdicts, medians over alternating rounds, without start-up and compilation. A verdict
agrees if both keep or both drop a document. Pass rates are shares of published prose that each rule of ours lets pass, by domain
of the file. The judges are measured on sources that they were not trained on, prose against the whole text of raw pages with
their navigation: the area under the ROC curve is the probability that prose ranks above a page (95 % bootstrap over documents).

    python -m bench.corpus.quality [--peers PYTHON] [--rounds N]       all tables
    python -m bench.corpus.quality --json BAR [--peers PYTHON]         one bar, see BARS

Peers (peers.txt) are run by the interpreter that `--peers` names.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.answers import NotMeasuredError, answer, offer
from bench.worker import Worker
from skyloom.core.store import Store
from skyloom.corpus.quality.config import FILTERS, QualityConfig, WebConfig
from skyloom.corpus.quality.learned.arpa import read_arpa
from skyloom.corpus.quality.learned.classifier import train_classifier
from skyloom.corpus.quality.learned.config import ClassifierConfig, LmConfig
from skyloom.corpus.quality.learned.ngram import NgramModel, compile_model
from skyloom.corpus.quality.learned.ngram_train import train_lm
from skyloom.corpus.quality.learned.tokens import token_lines
from skyloom.corpus.quality.stage import failed_rules, judge_quality
from skyloom.corpus.quality.web_en import judge_web_en

Floats = npt.NDArray[np.float64]

HERE = Path(__file__).resolve().parent
DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
BARS = ("rules", "ratio", "agreement", "lm-en", "lm-zh", "classifier", "auc-en", "auc-zh")
LANGS = {"en": "en", "zh": "zh-Hans"}
LM_MB = 24
FOLDS, SEED, BOOTSTRAPS = 3, 2023, 500


@dataclass(frozen=True)
class Texts:
    """Documents of one language; `domains` are the names of their files, `sources` who published them."""

    lang: str
    column: pa.Array
    domains: npt.NDArray[np.object_]
    sources: npt.NDArray[np.object_]

    @property
    def megabytes(self) -> float:
        return float(self.column.nbytes / 1e6)

    @property
    def langs(self) -> pa.Array:
        return pa.array([LANGS[self.lang]] * len(self.column))


def folder() -> Path:
    found = os.environ.get(DATA_VARIABLE)
    if not found:
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds text/ and warc/ (bench/data.toml lists them)")
    return Path(found)


def prose(lang: str, *, each: int = 10_000, part: str = "") -> Texts:
    """The prose of a language, at most `each` documents of a file, spread over it."""
    rows: list[tuple[str, str, str]] = []
    pattern = f"text/{part}/{lang}_*.jsonl.gz" if part else f"text/{lang}/*.jsonl.gz"
    for path in sorted(folder().glob(pattern)):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines]
        rows += [(r["text"], path.name.removesuffix(".jsonl.gz"), r["source"]) for r in found[:: max(1, len(found) // each)][:each]]
    if not rows:
        raise NotMeasuredError(f"there is no {pattern} in {DATA_VARIABLE}")
    text, domains, sources = zip(*rows, strict=True)
    return Texts(lang, pa.array(text, pa.large_string()), np.array(domains, object), np.array(sources, object))


def raw_pages(lang: str) -> Texts:
    """All text of raw pages, navigation and all; their source is the package that they came with."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from selectolax.lexbor import LexborHTMLParser

    by_source: dict[str, list[str]] = defaultdict(list)
    with open(folder() / "warc" / "docs_en_zh.warc.gz", "rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            body = record.reader.read().decode("utf-8", "replace")
            tree = LexborHTMLParser(body)
            for node in tree.css("script, style, noscript"):
                node.decompose()
            lines = tree.body.text(separator="\n").splitlines() if tree.body else []
            text = "\n".join(line.strip() for line in lines if line.strip())
            han = sum("\u4e00" <= c <= "\u9fff" for c in text[:4000])
            if len(text) > 200 and (han > 200) == (lang == "zh"):
                by_source[_site(str(record.headers.get("WARC-Target-URI", "")))].append(text)
    rows = [(text, site) for site, texts in sorted(by_source.items()) for text in texts[:: max(1, len(texts) // 150)][:150]]
    text, sites = zip(*rows, strict=True)
    return Texts(lang, pa.array(text, pa.large_string()), np.array(sites, object), np.array(sites, object))


def _site(url: str) -> str:
    """The host of a page, or of a documentation page its package (the first folder of its path)."""
    rest = url.partition("://")[2].split("/")
    return "/".join(rest[1:3])


@contextmanager
def peer_of(name: str, python: str) -> Iterator[Worker]:
    """A peer in a process of its own, see `quality_peers.py`. NotMeasuredError if it is not installed."""
    with Worker(HERE / "quality_peers.py", name, python) as peer:
        if peer.missing:
            raise NotMeasuredError(f"{peer.missing} is not installed: name another interpreter with --peers (peers.txt)")
        yield peer


def seconds_of(peer: Worker) -> float:
    """CPU seconds for what it was given."""
    return float(peer.ask("seconds")["seconds"])


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def median_rate(megabytes: float, work: Callable[[], object], rounds: int) -> float:
    """MB per CPU-second, the median of `rounds` after one that is not counted."""
    work()
    return megabytes / float(np.median([cpu(work) for _ in range(rounds)]))


def all_rules(texts: Texts) -> None:
    """Our table, and for English the published rules too."""
    judge_quality(texts.column, texts.langs, QualityConfig())
    if texts.lang == "en":
        judge_web_en(texts.column, WebConfig())


@dataclass(frozen=True)
class WebComparison:
    """CPU seconds per round, and the share of documents with the same verdict, by filter."""

    megabytes: float
    ours: Floats
    theirs: Floats
    same: dict[str, float]
    kept: dict[str, float]
    version: str


@functools.cache
def compare_web(peers: str, rounds: int) -> WebComparison:
    """Our preset web-en beside datatrove's filters, on the same documents, prose and raw pages."""
    chosen, pages = prose("en", each=90), raw_pages("en")
    column = pa.concat_arrays([chosen.column, pages.column[:: max(1, len(pages.column) // 300)]])
    texts = column.to_pylist()
    judge_web_en(column[:10], WebConfig())
    with peer_of("datatrove", peers) as peer:
        peer.ask({"texts": texts})
        seconds = [(cpu(lambda: judge_web_en(column, WebConfig())), seconds_of(peer)) for _ in range(rounds)]
        theirs = peer.ask("answers")["answers"]
        version = peer.version
    same, kept = {}, {}
    for name, filters in {"all": FILTERS, **{f: (f,) for f in FILTERS}}.items():
        ours = np.array([r is None for r in judge_web_en(column, WebConfig(filters=filters)).reason.to_pylist()])
        same[name] = float((ours == np.array(theirs[name])).mean())
        kept[name] = float(np.mean(theirs[name]))
    ours_s, theirs_s = np.array(seconds).T
    return WebComparison(column.nbytes / 1e6, ours_s, theirs_s, same, kept, version)


@dataclass(frozen=True)
class LmComparison:
    """Our scorer and kenlm on one model: MB per CPU-second by round, largest difference of a line's log10 probability."""

    ngrams: int
    trained_mb: float
    trainer: str
    train_seconds: float
    tokens: int
    ours: Floats
    theirs: Floats
    difference: float


def compare_lm(lang: str, peers: str, rounds: int, *, unpruned: bool = False) -> LmComparison:
    """Train a 5-gram model of `LM_MB` MB of prose with our trainer; score the held-out sets with both."""
    test = prose(lang, part="lmtest")
    texts = prose(lang)
    order = np.random.default_rng(SEED).permutation(len(texts.column))
    config = LmConfig(train_mb=LM_MB, trainer="ours", prune=(0,) if unpruned else LmConfig().prune)
    with tempfile.TemporaryDirectory() as place:
        store = Store(place)
        seconds = cpu(lambda: train_lm(texts.column.take(pa.array(order)), store, "lm.arpa", config))
        table = read_arpa(store, "lm.arpa")
        model = compile_model(table)
        lines = token_lines(test.column).to_pylist()
        with peer_of("kenlm", peers) as peer:
            peer.ask({"texts": lines, "model": str(store.path("lm.arpa"))})
            model.score(test.column)
            times = [(cpu(lambda: model.score(test.column)), seconds_of(peer)) for _ in range(rounds)]
            theirs = np.array(peer.ask("answers")["answers"])
    found = model.lines(_tokens(test.column))
    ours_s, theirs_s = np.array(times).T
    return LmComparison(
        sum(map(len, table.grams)), min(LM_MB, texts.megabytes), "ours", seconds, len(_tokens(test.column).hashes),
        test.megabytes / ours_s, test.megabytes / theirs_s, float(np.abs(found - theirs).max()),
    )  # fmt: skip


def _tokens(column: pa.Array) -> Any:
    from skyloom.corpus.quality.learned.tokens import tokens

    return tokens(column)


def classifier_rate(rounds: int) -> dict[str, float]:
    """MB per CPU-second of the linear judge, from text to probability, by language."""
    found = {}
    for lang in LANGS:
        texts = prose(lang, each=800)
        langs = np.array([lang] * len(texts.column), object)
        judge = train_classifier(texts.column, np.arange(len(langs)) % 2 == 0, langs, ClassifierConfig(epochs=1))
        found[lang] = median_rate(texts.megabytes, lambda t=texts, g=langs, j=judge: j.score(t.column, g), rounds)  # type: ignore[misc]
    return found


@dataclass(frozen=True)
class Ranking:
    """How a judge ranks prose above raw pages, both of sources that it was not trained on."""

    auc: float
    low: float
    high: float
    precision: float  # of the documents that it puts among the best half of a half-and-half mix


def rankings(lang: str) -> dict[str, Ranking]:
    """The linear judge and the language model, trained on the other folds of sources."""
    good, bad = prose(lang, each=700), raw_pages(lang)
    scores: dict[str, list[tuple[Floats, Floats]]] = defaultdict(list)
    for fold in range(FOLDS):
        held_good, held_bad = (_fold(t.sources, t.column) == fold for t in (good, bad))
        train_good, train_bad = good.column.filter(pa.array(~held_good)), bad.column.filter(pa.array(~held_bad))
        test_good, test_bad = good.column.filter(pa.array(held_good)), bad.column.filter(pa.array(held_bad))
        both = pa.concat_arrays([train_good, train_bad])
        langs = np.array([lang] * len(both), object)
        judge = train_classifier(both, np.arange(len(both)) < len(train_good), langs, ClassifierConfig())
        pair = [judge.score(t, np.array([lang] * len(t), object)).astype(np.float64) for t in (test_good, test_bad)]
        scores["linear judge"].append((pair[0], pair[1]))
        model = _trained(train_good)
        pair = [_negative_perplexity(model, t) for t in (test_good, test_bad)]
        scores["language model"].append((pair[0], pair[1]))
    return {name: _ranking(parts) for name, parts in scores.items()}


def _fold(sources: npt.NDArray[np.object_], column: pa.Array) -> npt.NDArray[np.int64]:
    """The fold of each source: sources in turn, the largest first, so that folds are of a size."""
    names, counts = np.unique(sources.astype(str), return_counts=True)
    order = {name: k % FOLDS for k, name in enumerate(names[np.lexsort((names, -counts))])}
    return np.array([order[str(s)] for s in sources])


def _trained(column: pa.Array) -> NgramModel:
    with tempfile.TemporaryDirectory() as place:
        train_lm(column, Store(place), "lm.arpa", LmConfig(train_mb=8, trainer="ours"))
        return compile_model(read_arpa(Store(place), "lm.arpa"))


def _negative_perplexity(model: NgramModel, texts: pa.Array) -> Floats:
    logs, sizes = model.score(texts)
    return logs / np.maximum(sizes, 1)


def _ranking(parts: Sequence[tuple[Floats, Floats]]) -> Ranking:
    """Areas are taken within folds, because scores of different models do not compare, and averaged by size."""
    weights = np.array([len(g) * len(b) for g, b in parts], float)
    random = np.random.default_rng(SEED)

    def area(choose: Callable[[Floats], Floats]) -> float:
        return float(np.average([_auc(choose(g), choose(b)) for g, b in parts], weights=weights))

    draws = [area(lambda x: x[random.integers(0, len(x), len(x))]) for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(draws, (0.025, 0.975))
    precision = np.average([_precision(g, b) for g, b in parts], weights=weights)
    return Ranking(area(lambda x: x), float(low), float(high), float(precision))


def _auc(good: Floats, bad: Floats) -> float:
    ordered = np.sort(bad)
    below, upto = (np.searchsorted(ordered, good, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * len(bad)))


def _precision(good: Floats, bad: Floats) -> float:
    """Share of prose among the better half, if prose and pages weighed the same."""
    values, weights = np.concatenate([good, bad]), np.repeat([0.5 / len(good), 0.5 / len(bad)], [len(good), len(bad)])
    order = np.argsort(-values, kind="stable")
    best = order[: int(np.searchsorted(np.cumsum(weights[order]), 0.5)) + 1]
    return float(weights[best][best < len(good)].sum() / weights[best].sum())


def pass_rates(lang: str) -> Iterator[list[str]]:
    """Rows: domain, documents, share that passes all rules, and the rules that drop anything with their share."""
    texts = prose(lang, each=2000)
    failed = failed_rules(texts.column, texts.langs, QualityConfig())
    for domain in dict.fromkeys(texts.domains.tolist()):
        rows = texts.domains == domain
        dropped = np.any([f[rows] for f in failed.values()], axis=0)
        each = [f"{name} {f[rows].mean():.2%}" for name, f in failed.items() if f[rows].any()]
        yield [f"{lang} {domain}", f"{rows.sum():,}", f"{1 - dropped.mean():.2%}", ", ".join(each)]


def bar(name: str, peers: str, rounds: int) -> float:
    """The value of one bar."""
    if name == "rules":
        texts = prose("en", each=400)
        return median_rate(texts.megabytes, lambda: all_rules(texts), rounds)
    if name in ("ratio", "agreement"):
        web = compare_web(peers, max(1, rounds // 2))
        return float(np.median(web.theirs / web.ours)) if name == "ratio" else min(web.same.values())
    if name.startswith("lm-"):
        found = compare_lm(name.removeprefix("lm-"), peers, rounds)
        return float(np.median(found.ours / found.theirs))
    if name == "classifier":
        return min(classifier_rate(rounds).values())
    return rankings(name.removeprefix("auc-"))["linear judge"].auc


def tables(peers: str, rounds: int) -> None:
    """Measure everything and print the tables."""
    lines = [["rules", "MB/CPU-s"]]
    for lang in LANGS:
        texts = prose(lang, each=400)
        rate = median_rate(texts.megabytes, lambda t=texts: judge_quality(t.column, t.langs, QualityConfig()), rounds)  # type: ignore[misc]
        lines.append([f"our table, {lang}", f"{rate:.0f}"])
    lines.append(["our table and web-en, en", f"{bar('rules', peers, rounds):.0f}"])
    lines += [[f"linear judge, {lang}", f"{rate:.0f}"] for lang, rate in classifier_rate(rounds).items()]
    print(_markdown(lines), "\n")
    web = compare_web(peers, max(1, rounds // 2))
    lines = [["web-en", "same verdict", f"kept by datatrove {web.version}"]]
    lines += [[name, f"{web.same[name]:.4f}", f"{web.kept[name]:.3f}"] for name in web.same]
    print(_markdown(lines))
    ratio = np.median(web.theirs / web.ours)
    print(
        f"\n{web.megabytes:.1f} MB: ours {web.megabytes / np.median(web.ours):.1f} MB/CPU-s, datatrove "
        f"{web.megabytes / np.median(web.theirs):.2f}, {ratio:.0f} times\n"
    )
    lines = [
        [
            "5-gram model",
            "n-grams",
            "trained in CPU s",
            "ours MB/CPU-s",
            "kenlm",
            "ours / kenlm",
            "difference",
        ]
    ]
    for lang, unpruned in (("en", False), ("zh", False), ("en", True)):
        lm = compare_lm(lang, peers, rounds, unpruned=unpruned)
        lines.append([
            f"{lang}, {lm.trained_mb:.0f} MB{', not pruned' if unpruned else ''}", f"{lm.ngrams:,}", f"{lm.train_seconds:.0f}",
            f"{np.median(lm.ours):.1f}", f"{np.median(lm.theirs):.1f}", f"{np.median(lm.ours / lm.theirs):.2f}",
            f"{lm.difference:.1e}",
        ])  # fmt: skip
    print(_markdown(lines), "\n")
    lines = [["judge, held-out sources", "AUC", "precision of the better half"]]
    for lang in LANGS:
        for name, found in rankings(lang).items():
            lines.append([f"{name}, {lang}", f"{found.auc:.3f} ({found.low:.3f}–{found.high:.3f})", f"{found.precision:.3f}"])
    print(_markdown(lines), "\n")
    print(_markdown([["prose", "documents", "pass", "dropped by"], *pass_rates("en"), *pass_rates("zh")]))


def _markdown(lines: list[list[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * (rows[0].count("|") - 1), *rows[1:]])


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the quality stage beside its peers.")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each measurement of speed")
    offer(parser, BARS)
    options = parser.parse_args()
    return answer(
        options.json, lambda name: bar(name, options.peers, options.rounds), lambda: tables(options.peers, options.rounds)
    )


if __name__ == "__main__":
    sys.exit(main())
