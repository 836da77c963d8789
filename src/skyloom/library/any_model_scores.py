"""Any model, for Python: opened by one word, and the losses of texts under it.

Input: a checkpoint or release of Skyloom, a Hugging Face folder or hub name, a GGUF file; and texts. Output: an open model; for one
text a dataclass, else an Arrow table with a row for each text. The windows are those of `skyloom eval perplexity`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import DataError
from skyloom.evaluate.opened import OpeningOptions, OpenModel, open_model
from skyloom.evaluate.texts import ROLLING, Scoring, check_numbers, nats_of, token_parts
from skyloom.library.given_texts import Rows, given_texts, one_text
from skyloom.library.logged_progress import LoggedProgress

TEXT_SCORES = pa.schema(
    [
        ("id", pa.string()),
        ("nats", pa.float64()),
        ("tokens", pa.int64()),
        ("bytes", pa.int64()),
        ("chars", pa.int64()),
        ("bits_per_byte", pa.float64()),
    ]
)


@dataclass(frozen=True)
class TextScore:
    """`nats`: the negative log-likelihood of the whole text; `tokens`: of the model's tokenizer; `bytes`: of its UTF-8; `chars`."""

    nats: float
    tokens: int
    bytes: int
    chars: int

    @property
    def bits_per_byte(self) -> float:
        """Comparable across tokenizers."""
        return self.nats / self.bytes / math.log(2)

    @property
    def perplexity(self) -> float:
        """Per token of the model's own tokenizer."""
        return math.exp(self.nats / self.tokens)


def load_model(
    model: str | Path,
    *,
    dtype: str = "auto",
    device: str = "cpu",
    context: int | None = None,
    offline: bool = False,
    trust_code: bool = False,
    name: str = "",
) -> OpenModel:
    """Open a model for scoring (report 4).

    `model`: a checkpoint or release folder of Skyloom, a Hugging Face folder, a .gguf file, or a name on the hub (owner/name).
    `dtype`: "auto" (float32 on the processor, the weights' own on an accelerator), "float32", "bfloat16", "float16", "float64".
    `device`: "cpu", "cuda", "cuda:1". `context`: tokens of a window, None for the model's, at most 4,096. `offline`: local files
    only. `trust_code`: run code that the folder brings. `name`: for tables, the folder's if empty.

    Returns an `OpenModel`: called with int64[batch, sequence] it gives logits [batch, sequence, vocabulary]; `encode(texts)` gives
    token ids, `describe()` says what it is.

    ConfigError for a word that names no model and options that do not fit; DataError for a folder that holds none; IntegrityError
    for damaged weights; StorageError for one that cannot be downloaded.

    >>> import skyloom
    >>> model = skyloom.load_model(skyloom.Run.open("tiny").folders()["release"], name="小模型")
    >>> model.name, model.describe()["engine"], len(model.encode(["Hello", "你好"]))
    ('小模型', 'skyloom', 2)
    """
    return open_model(str(model), OpeningOptions(dtype, device, context, offline, trust_code), name)


@overload
def score_texts(
    model: OpenModel | str | Path, texts: str, *, windows: str = ..., stride: int | None = ..., batch_tokens: int = ...
) -> TextScore: ...
@overload
def score_texts(
    model: OpenModel | str | Path,
    texts: Rows,
    *,
    windows: str = ...,
    stride: int | None = ...,
    batch_tokens: int = ...,
    columns: tuple[str, str] = ...,
) -> pa.Table: ...
def score_texts(
    model: OpenModel | str | Path,
    texts: str | Rows,
    *,
    windows: str = ROLLING,
    stride: int | None = None,
    batch_tokens: int = 2048,
    columns: tuple[str, str] = ("id", "text"),
) -> TextScore | pa.Table:
    """The negative log-likelihood of texts under a model, behind its begin token (report 4).

    `model`: what `load_model` gave, or a word for it. `texts`: one text, a list, or an Arrow column or table. `windows`: "rolling"
    (as lm-evaluation-harness) or "disjoint" (as a run's monitor); `stride`: new tokens of each window, which then overlap.
    `batch_tokens`: positions that are computed at once. `columns`: names of the columns of ids and texts of a table.

    Returns a `TextScore` for one text, else a table with a row for each: `id` string, `nats` float64 (of the whole text), `tokens`,
    `bytes`, `chars` int64, `bits_per_byte` float64. A row that is None has null in all but its id; an empty text has 0 nats and
    null bits per byte.

    DataError for rows that are no text, for one text without tokens, and for a loss that is no number; ConfigError for a stride
    that does not fit; the errors of `load_model`.

    >>> import skyloom
    >>> model = skyloom.load_model(skyloom.Run.open("tiny").folders()["release"])
    >>> skyloom.score_texts(model, "The kettle is on the stove.").bits_per_byte > 0
    True
    >>> skyloom.score_texts(model, ["水烧开了。", None])["bytes"].to_pylist()
    [15, None]
    """
    if not isinstance(texts, str):
        given = given_texts(texts, columns)  # what is wrong with them is told before a model is read
    opened = model if isinstance(model, OpenModel) else load_model(model)
    scoring = Scoring(windows, stride, batch_tokens)
    if not isinstance(texts, str):
        return given.judged(lambda table: _scores(opened, table, scoring), TEXT_SCORES)
    row = _scores(opened, one_text(texts).table(), scoring).to_pylist()[0]
    if not row["tokens"]:
        raise DataError(f"the tokenizer of {opened.name} makes no token of the text")
    return TextScore(row["nats"], row["tokens"], row["bytes"], row["chars"])


def _scores(model: OpenModel, table: pa.Table, scoring: Scoring) -> pa.Table:
    """A table TEXT_SCORES of texts without nulls."""
    texts, ids = table.column("text"), table.column("id")
    rows = model.encode(texts.to_pylist(), ids.to_pylist())
    tokens = np.array([len(row) for row in rows], np.int64)
    nats: npt.NDArray[np.float64] = np.zeros(len(rows))
    with LoggedProgress().task(model.name, len(rows), "texts") as bar:
        for start, stop in token_parts(tokens.tolist()):
            nats[start:stop] = nats_of(model, rows[start:stop], scoring)
            bar.advance(stop - start)
    check_numbers(nats, ids.to_pylist(), "the texts", model)
    sizes = pc.binary_length(texts).cast(pa.int64())
    bits = np.divide(nats / math.log(2), sizes.to_numpy(), out=np.zeros(len(nats)), where=tokens > 0)
    columns = [ids, nats, tokens, sizes, pc.utf8_length(texts).cast(pa.int64()), pa.array(bits, mask=tokens == 0)]
    return pa.table(columns, TEXT_SCORES.names).cast(TEXT_SCORES)
