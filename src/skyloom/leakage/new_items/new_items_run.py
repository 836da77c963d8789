"""`skyloom leak reference`: a reference set that a language model writes in the style of a benchmark's items.

Input: a benchmark file and an endpoint. Output: JSON lines of new items, and beside them what they were made with (prompt, model,
endpoint, settings, checksum of the benchmark), the answers that are no items by reason, and how well words alone tell the set from
the benchmark. Every answer is kept in a journal before it is looked at, so a stopped command asks for nothing twice. Such a set is
not exchangeable with the benchmark: gaps against it count through a family of models only.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NotRequired, TypedDict

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress, ProgressTask
from skyloom.core.store import Store
from skyloom.evaluate.benchmarks import Answer, AnswerJournal, answer_key
from skyloom.leakage.benchmark_sets import BenchmarkItem, BenchmarkSet, read_benchmark
from skyloom.leakage.blind import Auc, blind_baseline
from skyloom.leakage.new_items.chat_endpoint import NO_CHAT, ChatAnswer, ChatEndpoint, ChatSettings
from skyloom.leakage.new_items.item_checks import ItemChecks, WrittenItem
from skyloom.leakage.new_items.item_prompts import item_prompt, prompt_form
from skyloom.leakage.new_items.near_items import KnownItems
from skyloom.score.intervals import figure, generator

LANGS = ("en", "zh")
HOPELESS = 20
"""Answers after which the command ends if not one of them is an item."""


@dataclass(frozen=True)
class NewItemsRequest:
    """What the command line asks for. `lang`: "" for those of the benchmark, in its shares; `examples`: items in a prompt;
    `requests`: answers to ask for at most, 0 for three times `items`; `key_env`: the variable that holds the key, "" for no key."""

    benchmark: Path
    out: Path
    chat: ChatSettings
    items: int
    lang: str = ""
    key_env: str = ""
    examples: int = 4
    requests: int = 0
    seed: int = 1
    date: str | None = None

    @property
    def most(self) -> int:
        return self.requests or 3 * self.items


class NewItemRow(TypedDict):
    """A line of the file. `answer` is absent where the benchmark has none."""

    id: str
    lang: str
    question: str
    answer: NotRequired[str]


class NewItemsAuc(TypedDict):
    """An AUC with its 95 % interval; null for too few items."""

    auc: float | None
    low: float | None
    high: float | None


class BlindNewItems(TypedDict):
    """How well words, or length alone, tell the set from the benchmark, and whether that vetoes gaps between them."""

    words: NewItemsAuc
    length: NewItemsAuc
    n: int
    vetoes: bool


class NewItemsReport(TypedDict):
    """What stands beside the file. `prompts`: by language, `{examples}` for the examples; `rejected`: answers by reason; `served`:
    answers by the model's name that the endpoint gives; `tokens`: as the endpoint counts them."""

    benchmark: str
    benchmark_sha256: str
    endpoint: str
    model: str
    prompts: dict[str, str]
    examples: int
    temperature: float
    max_tokens: int
    seed: int
    date: str | None
    items: int
    question_only: bool
    by_lang: dict[str, dict[str, int]]
    answers: int
    rejected: dict[str, int]
    served: dict[str, int]
    tokens: dict[str, int]
    blind: BlindNewItems


@dataclass
class _SoFar:
    """What has come so far: items by language, and answers."""

    wanted: Mapping[str, int]
    rows: list[NewItemRow] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    got: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)

    @property
    def next_lang(self) -> str:
        """The language that lacks most of its items; "" when all are there."""
        missing = {lang: 1 - self.got[lang] / count for lang, count in self.wanted.items() if self.got[lang] < count}
        return max(sorted(missing), key=lambda lang: missing[lang], default="")

    def why(self) -> str:
        return "; ".join(f"{count:,} × {reason}" for reason, count in self.rejected.most_common())


def write_new_items(asked: NewItemsRequest, progress: Progress) -> NewItemsReport:
    """Have the items written, and put them into `out` (.jsonl or .jsonl.gz), the report into the same name and `.report.json`.

    ConfigError for a wrong setting, key or model, or an `out` that would replace the benchmark; DataError where the answers do not
    come, or are no items; StorageError for an endpoint that cannot be reached and for a full disk. Answers are kept in
    `OUT.answers/`: after each of these the same command goes on.
    """
    if asked.out.resolve() == asked.benchmark.resolve():
        raise ConfigError(f"--out {asked.out} is the benchmark; give another file")
    _check_unicode(asked)
    endpoint = ChatEndpoint(asked.chat, _key(asked.key_env), asked.key_env, progress)
    whole = read_benchmark(asked.benchmark, "{question}", fewest=1)
    benchmark, question_only = _pool(whole, asked.lang)
    writer = _Writer(asked, endpoint, benchmark, question_only=question_only)
    checks = ItemChecks(KnownItems(whole.texts), question_only=question_only)
    journal = AnswerJournal(asked.out.parent / f"{asked.out.name}.answers")
    with journal, progress.task("new items", asked.items, "items") as bar:
        made = writer.made(checks, journal, bar)
    report = writer.report(made)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made.rows).encode()
    store = Store(asked.out.parent)
    store.write_bytes(asked.out.name, gzip.compress(lines, mtime=0) if asked.out.suffix == ".gz" else lines)
    store.write_json(f"{asked.out.name}.report.json", report)
    return report


class _Writer:
    """Asks for items until there are enough."""

    def __init__(self, asked: NewItemsRequest, endpoint: ChatEndpoint, benchmark: BenchmarkSet, *, question_only: bool) -> None:
        self._asked, self._endpoint, self._benchmark, self._question_only = asked, endpoint, benchmark, question_only
        self._pools = {lang: [i for i in benchmark.items if i.lang == lang] for lang in sorted({i.lang for i in benchmark.items})}

    def made(self, checks: ItemChecks, journal: AnswerJournal, bar: ProgressTask) -> _SoFar:
        """All items. DataError if there are too few of them in as many answers as may be asked for."""
        so_far = _SoFar(_allotted(self._asked.items, {lang: len(pool) for lang, pool in self._pools.items()}))
        while lang := so_far.next_lang:
            self._check_budget(so_far)
            answer, kept = self._answer(lang, so_far.asked[lang], journal)
            so_far.asked[lang] += 1
            if answer.served:
                so_far.served[answer.served] += 1
            so_far.tokens.update(prompt=answer.prompt_tokens, answer=answer.answer_tokens)
            found = answer.problem or checks.item(answer.text, lang)
            if not isinstance(found, WrittenItem):
                so_far.rejected[found] += 1
                bar.note(f"{so_far.rejected.total():,} answers are none")
                continue
            so_far.got[lang] += 1
            row: NewItemRow = {"id": f"{lang}-{so_far.got[lang]}", "lang": lang, "question": found.question}
            so_far.rows.append(row if self._question_only else {**row, "answer": found.answer})
            (bar.resume if kept else bar.advance)()
        return so_far

    def _check_budget(self, so_far: _SoFar) -> None:
        answers, found = so_far.asked.total(), len(so_far.rows)
        if not found and answers >= HOPELESS:
            raise DataError(
                f"none of {answers} answers of '{self._asked.chat.model}' is an item: {so_far.why()}; "
                f"remove {self._asked.out}.answers to ask anew"
            )
        if answers >= self._asked.most:
            raise DataError(
                f"{answers:,} answers gave {found:,} of {self._asked.items:,} items: {so_far.why()}; all are kept: give a larger "
                "--requests, or fewer --items, to continue"
            )

    def _answer(self, lang: str, number: int, journal: AnswerJournal) -> tuple[ChatAnswer, bool]:
        """The answer to the prompt of this number, and whether it was kept before."""
        pool, chat = self._pools[lang], self._asked.chat
        rng = generator(self._asked.seed, "new items", lang, str(number))
        chosen = rng.choice(len(pool), size=min(self._asked.examples, len(pool)), replace=False).tolist()
        prompt = item_prompt(lang, [pool[place] for place in chosen], question_only=self._question_only)
        identity = f"new items 1|{self._endpoint.place}|{chat.model}|{chat.temperature!r}|{chat.max_tokens}|{self._asked.seed}"
        key = answer_key(identity, "item", extra=(lang, number, prompt))
        known = journal.get(key)
        if known is not None:
            return _read(known, journal), True
        answer = self._endpoint.ask(prompt)
        if answer.problem != NO_CHAT:  # what no model has said is asked for again next time
            journal.put(key, dataclasses.asdict(answer))
            journal.flush(sync=True)  # each answer may have cost money
        return answer, False

    def report(self, made: _SoFar) -> NewItemsReport:
        asked, chat = self._asked, self._asked.chat
        return {
            "benchmark": asked.benchmark.name, "benchmark_sha256": self._benchmark.sha256, "endpoint": self._endpoint.place,
            "model": chat.model, "prompts": {lang: prompt_form(lang, question_only=self._question_only) for lang in self._pools},
            "examples": asked.examples, "temperature": chat.temperature, "max_tokens": chat.max_tokens, "seed": asked.seed,
            "date": asked.date, "items": len(made.rows), "question_only": self._question_only,
            "by_lang": {lang: {"items": made.got[lang], "answers": made.asked[lang]} for lang in self._pools},
            "answers": made.asked.total(), "rejected": dict(sorted(made.rejected.items(), key=lambda pair: (-pair[1], pair[0]))),
            "served": dict(sorted(made.served.items())), "tokens": dict(made.tokens), "blind": self._blind(made.rows),
        }  # fmt: skip

    def _blind(self, rows: Sequence[NewItemRow]) -> BlindNewItems:
        """How well words, or length, tell the new items from the benchmark's of their languages."""
        theirs = [BenchmarkItem(f"new {r['id']}", r["lang"], r["question"], r.get("answer", ""), "") for r in rows]
        first, second = ([replace(i, text=self._whole(i)) for i in items] for items in (self._benchmark.items, theirs))
        found = blind_baseline(self._benchmark.only(first), self._benchmark.only(second), seed=self._asked.seed)
        return {"words": _auc_row(found.words), "length": _auc_row(found.length), "n": found.n, "vetoes": found.vetoes}

    def _whole(self, item: BenchmarkItem) -> str:
        return item.question if self._question_only else f"{item.question}\n{item.answer}"


def _pool(benchmark: BenchmarkSet, lang: str) -> tuple[BenchmarkSet, bool]:
    """The items that can be examples, and whether there are questions only."""
    items = [i for i in benchmark.items if i.question.strip() and (not lang or i.lang == lang)]
    if not items:
        langs = ", ".join(sorted({i.lang for i in benchmark.items}))
        raise DataError(f"{benchmark.path} has no item with a 'question'" + (f" in {lang}; its languages: {langs}" if lang else ""))
    other = next((i for i in items if i.lang not in LANGS), None)
    if other is not None:
        raise DataError(f"{benchmark.path}, item {other.id}: its language is '{other.lang}'; give --lang en or --lang zh")
    answered = [i for i in items if i.answer.strip()]
    if answered and (bare := sorted({i.lang for i in items} - {i.lang for i in answered})):
        raise DataError(f"{benchmark.path}: no item in {', '.join(bare)} has an answer, others have; give --lang")
    return benchmark.only(answered or items), not answered


def _allotted(count: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Items of each language, in the shares of the benchmark; the first languages get what is left over."""
    total = sum(sizes.values())
    found = {lang: count * size // total for lang, size in sizes.items()}
    rests = sorted(sizes, key=lambda lang: (-(count * sizes[lang] % total), lang))
    for lang in rests[: count - sum(found.values())]:
        found[lang] += 1
    return {lang: number for lang, number in found.items() if number}


def _key(name: str) -> str:
    """The key that a variable holds. ConfigError if it holds none, or what no header may hold; the key itself is never shown."""
    if not name:
        return ""
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(f"--key-env {name}: this environment variable is not set; put the key into it (not into the command)")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(f"the environment variable {name} holds no key: it has spaces, or characters that are not ASCII")
    return key


def _check_unicode(asked: NewItemsRequest) -> None:
    for option, text in (("--model", asked.chat.model), ("--date", asked.date or ""), ("BENCHMARK", asked.benchmark.name)):
        try:
            text.encode()
        except UnicodeEncodeError as problem:
            raise ConfigError(f"{option} is not Unicode text") from problem


def _read(kept: Answer, journal: AnswerJournal) -> ChatAnswer:
    text, problem, served, prompt, answer = (kept.get(f.name) for f in dataclasses.fields(ChatAnswer))
    match (text, problem, served, prompt, answer):
        case str(), str(), str(), int(), int():
            return ChatAnswer(text, problem, served, prompt, answer)
    raise DataError(f"{journal.path}: a line is no answer of an endpoint; remove the file to begin anew")


def _auc_row(found: Auc) -> NewItemsAuc:
    return {"auc": figure(found.value), "low": figure(found.low), "high": figure(found.high)}
