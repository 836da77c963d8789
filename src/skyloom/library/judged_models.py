"""Models judged, for Python: perplexity on sets of documents, and whether a model was trained on a benchmark.

Input: words for models; sets and items as files, lists or Arrow columns. Output: dataclasses of Arrow tables with intervals, and
the content of the files that the commands write. It is the work of `skyloom eval perplexity` and of `skyloom leak model`.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from skyloom.core.errors import ConfigError
from skyloom.core.store import Store
from skyloom.evaluate.opened import OpeningOptions
from skyloom.evaluate.texts import NONE, ROLLING, PerplexityJson, PerplexityRequest, Scoring, Texts, as_set, perplexity
from skyloom.leakage.benchmark_sets import TEMPLATE
from skyloom.leakage.suspect import LeakJson, LeakRequest, Said, audit_model
from skyloom.library.arrow_tables import arrow_table
from skyloom.library.given_texts import Rows, given_texts
from skyloom.library.logged_progress import LoggedProgress
from skyloom.run.named_sets import named_sets

Words: TypeAlias = str | Path | Sequence[str | Path]
Items: TypeAlias = str | Path | Sequence[str | Mapping[str, object]] | pa.Table | pa.Array | pa.ChunkedArray
"""A file of items, or the items: texts, or mappings with `question` and `answer` (or `text`), and also `id`, `lang`, `choices`."""


@dataclass(frozen=True)
class Evaluation:
    """`rows`: a row for each model and set, with `loss` (nats per token), `perplexity`, `bits_per_byte` and others, each with the
    ends of its 95 % interval over documents. `average`: each model over all sets. `paired`: differences to the first model on the
    same documents. `content`: `perplexity.json`."""

    rows: pa.Table
    average: pa.Table
    paired: pa.Table
    content: PerplexityJson = field(repr=False)


@dataclass(frozen=True)
class Audit:
    """`verdict`: "leaked", "train split overfitted", "no sign" or "cannot tell"; `sentence`: why, in English ("en") and Chinese
    ("zh"). `detectors`: a row for each, with its value, 95 % interval, p-value and whether it counts. `blind`: how well words alone
    tell the sets apart. `content`: `leak.json`."""

    verdict: str
    sentence: Said
    detectors: pa.Table
    blind: pa.Table
    content: LeakJson = field(repr=False)


def evaluate(
    models: Words,
    sets: Words | Mapping[str, Rows],
    *,
    out: str | Path | None = None,
    reference: str = "units",
    cut: str = NONE,
    windows: str = ROLLING,
    stride: int | None = None,
    batch_tokens: int = 2048,
    seed: int = 1,
    dtype: str = "auto",
    device: str = "cpu",
    context: int | None = None,
    offline: bool = False,
    trust_code: bool = False,
) -> Evaluation:
    """Perplexity of models on sets of documents, comparable across tokenizers, with intervals and paired differences (report 4).

    `models`: one or several, as `load_model` takes them, or NAME=MODEL. `sets`: one or several of FOLDER, FILE, NAME=FILE and
    run:RECIPE, or a mapping of names to texts (lists, Arrow columns or tables). `out`: a folder for `perplexity.json`, the figure
    and each document's loss, from which a killed evaluation goes on; None writes nothing. `reference`: what losses are divided by
    to compare tokenizers: "units" (words and Chinese characters), a SentencePiece file, or a model. `cut`: "third", "none", or a
    number of characters. `seed`: of the intervals. The others: as of `load_model` and `score_texts`.

    Returns an `Evaluation`. ConfigError for names given twice, and the errors of `load_model`; DataError for a set that holds no
    document or an empty one, because a set with holes is another set.

    >>> import skyloom
    >>> release = skyloom.Run.open("tiny").folders()["release"]
    >>> sets = {"en": ["The kettle is on the stove."] * 3, "中文": ["水烧开了，可以泡茶。"] * 3}
    >>> skyloom.evaluate(f"tiny={release}", sets).rows.select(["model", "set", "documents"]).to_pylist()
    [{'model': 'tiny', 'set': 'en', 'documents': 3}, {'model': 'tiny', 'set': '中文', 'documents': 3}]
    """
    progress = LoggedProgress()
    given = list(_sets(sets)) if isinstance(sets, Mapping) else named_sets(_words(sets), progress)
    if not given:
        raise ConfigError("evaluate needs a set of documents")
    words = tuple(_words(models))
    if not words:
        raise ConfigError("evaluate needs a model")
    opening = OpeningOptions(dtype, device, context, offline, trust_code)
    asked = PerplexityRequest(words, cut, reference, Scoring(windows, stride, batch_tokens, seed=seed), opening)
    with _folder(out) as folder:
        found = perplexity(asked, given, Store(folder), progress=progress)
    return Evaluation(arrow_table(found["rows"]), arrow_table(found["average"]), arrow_table(found["paired"]), found)


def audit(
    model: str | Path,
    benchmark: Items,
    *,
    train: Items | None = None,
    reference: Items | None = None,
    twins: Items | None = None,
    family: str | Path | None = None,
    ability: Items | None = None,
    template: str = TEMPLATE,
    exchangeable: str | None = None,
    budget: float | None = None,
    out: str | Path | None = None,
    show_items: bool = False,
    batch_tokens: int = 2048,
    seed: int = 1,
    dtype: str = "auto",
    device: str = "cpu",
    context: int | None = None,
    offline: bool = False,
    trust_code: bool = False,
) -> Audit:
    """Was a model trained on a benchmark? A verdict, and what it rests on (report 5.2).

    `model`: as of `load_model`. `benchmark`, `train`, `reference`, `twins`, `ability`: files of items (JSON lines, Parquet, CSV),
    or lists: texts, or mappings with `question` and `answer`; at least 20 items each. `reference`: items like the benchmark's that
    the model has not read; `twins`: items with other numbers or names. `family`: scores of other models (`skyloom leak family`).
    `template`: how an item becomes a text. `exchangeable`: "reference" or "train", the set that you declare a random split with the
    benchmark; nothing can check it, and without it gaps do not count. `budget`: seconds, None for all items. `out`: a folder for
    `leak.json` and the journal from which a stopped audit goes on; items that came as lists are written there too. None writes
    nothing.

    Returns an `Audit`. ConfigError for sets that do not go together; DataError for items that cannot be scored or are too few; the
    errors of `load_model`.

    >>> import skyloom
    >>> release = skyloom.Run.open("tiny").folders()["release"]
    >>> items = [{"question": f"{n} 加 {n + 3} 等于多少？", "answer": str(2 * n + 3)} for n in range(20)]
    >>> found = skyloom.audit(release, items)
    >>> found.verdict, found.content["sets"]["benchmark"]["used"], sorted(found.sentence)
    ('cannot tell', 20, ['en', 'zh'])
    """
    if budget is not None and not budget > 0:
        raise ConfigError(f"the budget is {budget!r} seconds; it must be more than none")
    opening = OpeningOptions(dtype, device, context, offline, trust_code)
    with _folder(out) as folder:

        def file(name: str, items: Items) -> Path:
            return _items_file(items, folder, name)

        asked = LeakRequest(
            model=str(model),
            benchmark=file("benchmark", benchmark),
            train=None if train is None else file("train", train),
            reference=None if reference is None else file("reference", reference),
            twins=None if twins is None else file("twins", twins),
            family=None if family is None else Path(family),
            ability=None if ability is None else file("ability", ability),
            template=template,
            exchangeable=exchangeable,
            budget=budget,
            opening=opening,
            batch_tokens=batch_tokens,
            seed=seed,
            show_items=show_items,
        )
        found = audit_model(asked, folder, progress=LoggedProgress())
    verdict = found["verdict"]
    detectors = [{key: value for key, value in row.items() if key != "power"} for row in found["detectors"]]
    blind = [{"set": row["set"], **_area("words", row["words"]), **_area("length", row["length"]), "vetoes": row["vetoes"]}
             for row in found["blind"]]  # fmt: skip
    return Audit(verdict["word"], verdict["sentence"], arrow_table(detectors), arrow_table(blind), found)


def _words(given: Words) -> list[str]:
    return [str(given)] if isinstance(given, str | Path) else [str(word) for word in given]


def _sets(sets: Mapping[str, Rows]) -> Iterator[Texts]:
    """Sets whose texts are in memory. None is an empty text, which a set must not have."""
    for name, rows in sets.items():
        given = given_texts(rows)
        yield as_set(name, given.ids.to_pylist(), [text or "" for text in given.texts.to_pylist()])


@contextlib.contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """The folder for results, or one that is removed."""
    if out is not None:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="skyloom-") as folder:
        yield Path(folder)


def _items_file(items: Items, folder: Path, name: str) -> Path:
    """The file of items, or one in the folder with the items that were given."""
    if isinstance(items, str | Path):
        return Path(items)
    if isinstance(items, pa.Table):
        rows: list[Mapping[str, object]] = items.to_pylist()
    elif isinstance(items, pa.Array | pa.ChunkedArray) and not pa.types.is_struct(items.type):
        rows = [{"text": text} for text in items.to_pylist()]
    else:
        given = items.to_pylist() if isinstance(items, pa.Array | pa.ChunkedArray) else items
        rows = [{"text": item} if isinstance(item, str) else item for item in given]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    Store(folder).write_bytes(f"items/{name}.jsonl", lines.encode("utf-8", "surrogatepass"))
    return Path(folder, "items", f"{name}.jsonl")


def _area(name: str, row: Mapping[str, object]) -> dict[str, object]:
    return {f"{name}_{key}": value for key, value in row.items()}
