from __future__ import annotations

import pytest

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train
from tests.tokenizer.texts import COUNTS, SIZES, write_documents


@pytest.fixture(scope="session")
def documents(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("documents"))
    write_documents(store, COUNTS)
    return store


@pytest.fixture(scope="session")
def folder(tmp_path_factory, documents) -> Store:
    store = Store(tmp_path_factory.mktemp("tokenizer"))
    train(documents, store, TokenizerConfig(**SIZES), progress=Progress.silent())
    return store


@pytest.fixture(scope="session")
def tokenizer(folder) -> Tokenizer:
    return Tokenizer.load(folder)
