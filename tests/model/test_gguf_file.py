"""A GGUF file is continued as the folder that it was made from, and what cannot be read from one says so."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch

from skyloom.core.errors import DataError
from skyloom.model import adopt, hf
from skyloom.model.gguf_file import check_gguf
from tests.evaluate.opened.small import save_llama, write_gguf

PIECES = ["<s>", "<0x41>", "\u2581the", "天空", "<|user|>"]


def test_a_gguf_file_is_continued_as_its_folder(tmp_path: Path) -> None:
    folder = save_llama(tmp_path / "羊驼")
    file = write_gguf(folder, tmp_path / "羊驼.gguf")
    ours, theirs = adopt.Adopted(file, PIECES), adopt.Adopted(folder, PIECES)
    assert ours.config == theirs.config and ours.rows == theirs.rows and "torch_dtype" not in ours.passed_over
    assert all(torch.equal(ours(name), theirs(name)) for name in hf.names(ours.config))
    assert adopt.read_shape(file) == theirs.old
    first = adopt.fingerprint(file)
    quantised = write_gguf(folder, file, gguf.GGMLQuantizationType.Q8_0)
    rounded = adopt.Adopted(quantised, PIECES)("blocks.0.ffn.up.weight")
    wished = theirs("blocks.0.ffn.up.weight")
    assert 0 < float((rounded - wished).abs().max()) < 0.01 * float(wished.abs().max())
    assert adopt.fingerprint(quantised) != first


@pytest.mark.parametrize("change", ["more", "less", "window"])
def test_weights_that_would_be_passed_over(change: str, tmp_path: Path) -> None:
    """transformers skips what it does not know, and draws what a file lacks: such a file would become another model."""
    given = gguf.GGUFReader(write_gguf(save_llama(tmp_path / "m"), tmp_path / "m.gguf"))
    file = tmp_path / "混.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(2)
    if change == "window":
        writer.add_sliding_window(16)
    for tensor in given.tensors:
        if change != "less" or tensor.name != "blk.0.ffn_up.weight":
            writer.add_tensor(tensor.name, tensor.data)
    if change == "more":
        writer.add_tensor("blk.1.ffn_up_exps.weight", torch.ones(2, 2).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    said = {"more": "blk.1.ffn_up_exps.weight", "less": "blk.0.ffn_up.weight", "window": "sliding window"}
    with pytest.raises(DataError, match=rf"混\.gguf .*{said[change]}"):
        check_gguf(file)


def test_files_that_cannot_be_continued(tmp_path: Path) -> None:
    file = write_gguf(save_llama(tmp_path / "m"), tmp_path / "坏.gguf")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"坏\.gguf cannot be read as GGUF"):
        adopt.read_shape(file)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_tensor("token_embd.weight", torch.ones(2, 2).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(DataError, match=r"坏\.gguf scales its rotation \(yarn\)"):
        adopt.read_shape(file)
