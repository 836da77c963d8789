"""The fields of the GGUF file that llama.cpp reads a vocabulary from."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from skyloom.core.errors import ConfigError, StorageError
from skyloom.core.store import Store
from skyloom.tokenizer.gguf import write
from skyloom.tokenizer.pieces import read_model

gguf = pytest.importorskip("gguf")


def test_the_fields_are_the_models(folder, tokenizer, tmp_path):
    assert write(folder, tmp_path / "vocabulary.gguf") == tokenizer.vocab_size
    assert [p.name for p in tmp_path.iterdir()] == ["vocabulary.gguf"]
    reader = gguf.GGUFReader(tmp_path / "vocabulary.gguf")
    fields = {name.split(".", 1)[1]: field.contents() for name, field in reader.fields.items() if name.startswith("tokenizer.")}
    pieces = read_model(tokenizer.model).pieces
    assert fields["ggml.model"] == "llama" and reader.fields["general.architecture"].contents() == "llama"
    assert fields["ggml.tokens"] == [p.piece for p in pieces]
    assert np.array_equal(np.float32(fields["ggml.scores"]), np.float32([p.score for p in pieces]))
    assert fields["ggml.token_type"] == [p.type for p in pieces]
    names = ("unknown", "bos", "eos", "padding")
    ids = (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id)
    assert tuple(fields[f"ggml.{name}_token_id"] for name in names) == ids
    assert fields["ggml.add_bos_token"] and not fields["ggml.add_eos_token"] and not fields["ggml.add_space_prefix"]
    assert reader.fields["llama.vocab_size"].contents() == tokenizer.vocab_size


def test_without_the_package_it_says_what_to_install(folder, tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "gguf":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"pip install 'skyloom\[gguf\]'"):
        write(folder, tmp_path / "x.gguf")
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_tokenizer(tmp_path):
    with pytest.raises(StorageError):
        write(Store(tmp_path), tmp_path / "x.gguf")
