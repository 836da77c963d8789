"""The shipped model of structural extraction on the blind part: sites and shapes that nothing was trained on or chosen by.

    SKYLOOM_BENCH_DATA=DATA python -m studies.extraction_blind --last

Input: the pages of `html_gold/` whose site `extraction_pages.blind` cut off, and our Chinese pages of the blind shapes. Output:
tables as studies/extraction_model.py prints them. It is run last, once for a model that is finished; after a change that its
figures suggested the part would no longer be blind. `--last` is there so that nobody runs it by mistake.
"""

from __future__ import annotations

import argparse
import sys

from bench.corpus.extraction import NotMeasuredError, read_pages
from studies import extraction_pages
from studies.extraction_model import texts_of
from studies.extraction_scores import tables


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the shipped model of extraction on the blind part, at the end.")
    parser.add_argument("--last", action="store_true", required=True, help="rules, weights and features are settled")
    parser.parse_args()
    try:
        pages = [p for p in read_pages() if extraction_pages.blind(p.site)]
    except NotMeasuredError as why:
        print(why, file=sys.stderr)
        return 1
    pages += extraction_pages.own_chinese(blind_half=True)
    print(f"{len(pages)} blind pages of {len({p.site for p in pages})} sites\n{tables(pages, texts_of(pages, None))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
