"""The report's Table 8 through the rule of `skyloom leak model`: what its figures say once the reference set was looked at.

Input: `eval/gsm8k` in SKYLOOM_BENCH_DATA, and the 14 rows of the table (arXiv 2310.19341, Table 8: L_test, L_train, L_ref on GSM8K,
in nats per token). Output: the verdict on each row. The train split is a random split of the same makers, which is declared; the
reference set was written by another model, and words alone tell it from the test split.

    python -m bench.leakage.table8                     the table
    python -m bench.leakage.table8 --json unlike       rows on which the rule says another thing than the report's text for Δ2
    python -m bench.leakage.table8 --json judged       rows on which Δ1 counts, in spite of the reference set
"""

from __future__ import annotations

import argparse
import sys

from tests.planted.published_losses import TABLE_8

from bench.answers import answer, offer
from bench.leakage.blind import measured
from skyloom.leakage.suspect import SuspectVerdict, judge_published

NAMED = {"ChatGLM3-6B", "Qwen-7B", "Qwen-14B", "Baichuan2-13B", "Aquila2-34B"}
"""Models that the report's text names for a markedly lower loss on the train split."""
OVERFITTED = "train split overfitted"


def verdicts() -> dict[str, SuspectVerdict]:
    blind = {"reference": measured("published"), "train": measured("train")}
    return {model: judge_published(*losses, declared="train", blind=blind) for model, losses in TABLE_8.items()}


def table() -> None:
    print("| model | verdict | what it rests on |\n|---|---|---|")
    for model, found in verdicts().items():
        print(f"| {model} | {found.word} | {'. '.join(reason['en'] for reason in found.reasons)} |")


def main() -> int:
    parser = argparse.ArgumentParser(description="Judge the report's Table 8 by the rule of leak model.")
    offer(parser, ("unlike", "judged"))
    options = parser.parse_args()

    def value(name: str) -> float:
        found = verdicts()
        if name == "judged":
            return sum(
                "Δ1" in one.sentence["en"] and "cannot tell, a bag of words tells" not in one.sentence["en"]
                for one in found.values()
            )
        return len({model for model, one in found.items() if one.word == OVERFITTED} ^ NAMED)

    return answer(options.json, value, table)


if __name__ == "__main__":
    sys.exit(main())
