"""What peers say of documents and how long they take, in a process of its own: datatrove's filters, kenlm's scorer.

    python -m bench.corpus.quality_peers datatrove|kenlm

reads orders and writes answers, each one line of JSON, so that `quality.py` can alternate with peers of another environment.
The first answer is {"version": text} or {"not_installed": module}. Orders: {"texts": [...], "model": path} hands over
documents (to kenlm lines of tokens, and an ARPA file); "seconds" answers {"seconds": CPU time of one pass}; "answers" gives
{"answers": [...]}: for datatrove, by filter and by all four in FineWeb's order ("all"), whether a document is kept; for kenlm
the log10 probability of each line.

Only the standard library is imported here, because the peers' environment need not have ours.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any


class Datatrove:
    """Gopher's repetition and quality filters, C4's as FineWeb's recipe sets it, FineWeb's own."""

    package = "datatrove"

    def __init__(self) -> None:
        from datatrove.data import Document
        from datatrove.pipeline.filters import (
            C4QualityFilter,
            FineWebQualityFilter,
            GopherQualityFilter,
            GopherRepetitionFilter,
        )

        self.document = Document
        self.filters = {
            "gopher-repetition": GopherRepetitionFilter(),
            "gopher-quality": GopherQualityFilter(),
            "c4": C4QualityFilter(filter_no_terminal_punct=False),
            "fineweb": FineWebQualityFilter(),
        }
        self.texts: list[str] = []
        self.all("a first text loads the tokenizer, which is not timed")

    def take(self, order: dict[str, Any]) -> None:
        self.texts = order["texts"]

    def all(self, text: str) -> bool:
        document = self.document(text=text, id="")
        return all(f.filter(document) is True for f in self.filters.values())

    def run(self) -> Any:
        return [self.all(text) for text in self.texts]

    def answers(self) -> Any:
        found: dict[str, list[bool]] = {"all": self.run()}
        for name, one in self.filters.items():
            found[name] = [one.filter(self.document(text=text, id="")) is True for text in self.texts]
        return found


class Kenlm:
    """The Python module's own scorer."""

    package = "kenlm"

    def __init__(self) -> None:
        import kenlm

        self.load = kenlm.LanguageModel
        self.texts: list[str] = []

    def take(self, order: dict[str, Any]) -> None:
        self.texts, self.model = order["texts"], self.load(order["model"])

    def run(self) -> Any:
        return [self.model.score(line) for line in self.texts]

    answers = run


def main() -> int:
    kind = {"datatrove": Datatrove, "kenlm": Kenlm}[sys.argv[1]]
    try:
        peer = kind()
    except ImportError as problem:
        print(json.dumps({"not_installed": problem.name}), flush=True)
        return 1
    print(json.dumps({"version": version(kind.package)}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order == "seconds":
            start = time.process_time()
            peer.run()
            answer: dict[str, Any] = {"seconds": time.process_time() - start}
        elif order == "answers":
            answer = {"answers": peer.answers()}
        else:
            peer.take(order)
            answer = {}
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
