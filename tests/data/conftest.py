from __future__ import annotations

import pyarrow as pa
import pytest

from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.data.config import PackConfig
from skyloom.data.pack import pack
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train
from tests.tokenizer.texts import COUNTS, SIZES, write_documents

CANARIES = 7


@pytest.fixture(scope="session")
def documents(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("documents"))
    write_documents(store, COUNTS)
    return store


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory, documents) -> Store:
    store = Store(tmp_path_factory.mktemp("tokenizer"))
    train(documents, store, TokenizerConfig(**SIZES, fit=True), progress=Progress.silent())
    return store


@pytest.fixture(scope="session")
def exercises(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("exercises"))
    for split in ("train", "canary"):
        rows = [
            dict.fromkeys(DOCUMENT.names, "x")
            | {
                "id": f"{split}-{n}",
                "text": f"Question {n}: what is {n} + 7?\n小明有{n}个苹果，又买了7个，共有{n + 7}个。",
                "split": split,
                "domain": "stem_zh",
            }
            for n in range(CANARIES)
        ]
        store.write_table(f"exercises-{split}.parquet", pa.Table.from_pylist(rows, DOCUMENT))
    return store


@pytest.fixture(scope="session")
def tokens(tmp_path_factory, documents, exercises, tokenizer) -> Store:
    store = Store(tmp_path_factory.mktemp("tokens"))
    pack(documents, exercises, tokenizer, store, PackConfig(), engine=Engine(), progress=Progress.silent())
    return store
