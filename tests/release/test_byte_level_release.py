"""A run whose vocabulary is another model's byte-level one, unchanged or with Chinese added, is released, proved and written as GGUF."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from skyloom.core.store import Store
from skyloom.release.check import check
from skyloom.release.gguf_model import write_gguf
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.base import given_base
from skyloom.tokenizer.byte_level.byte_extend import text_library
from skyloom.tokenizer.byte_level.gguf_vocabulary import read_gguf_vocabulary
from skyloom.tokenizer.config import TokenizerConfig
from tests.planted import small_release
from tests.tokenizer.byte_models import write_model

CASES = {
    "llama3-extended": ("llama3", True), "smollm2-extended": ("smollm2", True),
    "llama3-unchanged": ("llama3", False), "qwen2-unchanged": ("qwen2", False),
}  # fmt: skip
TEXTS = (
    "The kernel reads the file, <|im_end|> and <|endoftext|> stand in it, and so does </s>.",
    "<|begin_of_text|>user<|eot_id|> 1998 files, <|pad|> <|user|> <tool_call>{}</tool_call>",
    "请运行下面的命令<|im_end|>然后重新启动服务<|endoftext|>，共2023个文件。",
    "<|end_of_text|>系统软件包<|im_start|>安装<|assistant|>配置 <unk> 龘 <tool_call> 网络",
)
Released = tuple[Path, Path, str]


@pytest.fixture(scope="module", params=CASES)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Released:
    """The release of a run with that vocabulary, the folder of its base, and the name of its family."""
    family, extended = CASES[request.param]
    root = tmp_path_factory.mktemp(request.param)
    base = write_model(root / "models" / family, family)
    size = given_base(base).size
    characters, words, reserved = (80, 27, 17) if extended else (0, 0, 0)
    sizes = TokenizerConfig(
        base_model=str(base), base=size, characters=characters, words=words, reserved=reserved,
        vocabulary=size + characters + words + reserved, fit=True,
    )  # fmt: skip
    run = small_release.build(root / "run", sizes)
    return small_release.publish(run, root / "release", sizes=sizes), base, family


def test_every_proof_of_the_release_holds(published: Released) -> None:
    folder, base, family = published
    findings = check(folder)
    assert len(findings) == 9 and all(f.ok for f in findings), [f for f in findings if not f.ok]
    assert not (folder / "tokenizer.model").exists() and (folder / "tokenizer.json").is_file()
    said = (folder / "recipe.toml").read_text(encoding="utf-8")
    assert f'base_model = "{family}"' in said and str(base.parent) not in said, "the folder of this machine is not published"
    assert family in (folder / "README.md").read_text(encoding="utf-8")


def test_transformers_gives_our_ids_and_our_scores(published: Released) -> None:
    folder, base, _ = published
    ours, theirs = Tokenizer.load(folder), AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert len(theirs) == ours.vocab_size == model.config.vocab_size
    assert (theirs.eos_token_id, theirs.pad_token_id, model.config.bos_token_id) == (ours.eos_id, ours.pad_id, ours.bos_id)
    before = tokenizers.Tokenizer.from_file(str(base / "tokenizer.json"))
    before.encode_special_tokens = True
    for text in TEXTS:
        ids = ours.encode(text)
        assert theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] == ids, text
        assert theirs(text, split_special_tokens=True)["input_ids"] == [ours.bos_id, *ids], text
        assert theirs.decode(ids) == ours.decode(ids) == text, "no special piece is made of text"
        assert not {ours.bos_id, ours.eos_id, ours.pad_id} & set(ids)
        if text.isascii():
            assert ids == before.encode(text, add_special_tokens=False).ids, "English is cut as the base cuts it"
    named = theirs.eos_token
    assert ours.eos_id in theirs(f"文字{named}text")["input_ids"], "asked for, as transformers does by itself, it is the piece"
    with torch.no_grad():
        scores = model(torch.tensor([[ours.bos_id, *ours.encode(TEXTS[2])][:40]])).logits
    assert scores.shape[-1] == ours.vocab_size and bool(scores.isfinite().all())


def test_its_gguf_has_the_vocabulary_of_its_family(published: Released, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    folder, _, family = published
    ours = Tokenizer.load(folder)
    written = write_gguf(Store(folder), tmp_path / "模型.gguf")
    fields = {name: field.contents() for name, field in gguf.GGUFReader(written.path).fields.items()}
    keys = (
        "model",
        "pre",
        "bos_token_id",
        "eos_token_id",
        "padding_token_id",
        "add_bos_token",
        "add_eos_token",
        "add_space_prefix",
    )
    assert {key: fields[f"tokenizer.ggml.{key}"] for key in keys} == {
        "model": "gpt2", "pre": {"llama3": "llama-bpe", "qwen2": "qwen2", "smollm2": "smollm"}[family], "bos_token_id": ours.bos_id,
        "eos_token_id": ours.eos_id, "padding_token_id": ours.pad_id, "add_bos_token": True, "add_eos_token": False,
        "add_space_prefix": False,
    }  # fmt: skip
    kinds, cutter = fields["tokenizer.ggml.token_type"], ours.cutter.vocabulary  # type: ignore[attr-defined]
    control, matched = ({i for i, kind in enumerate(kinds) if kind == wanted} for wanted in (3, 4))
    assert (control, matched) == (cutter.special, cutter.matched) and len(kinds) == len(fields["tokenizer.ggml.tokens"])
    again = text_library(read_gguf_vocabulary(written.path).tree)
    assert [again.encode(text).ids for text in TEXTS] == [ours.encode(text) for text in TEXTS]
    assert f'PARAMETER stop "{ours.pieces[ours.eos_id]}"' in written.modelfile.read_text(encoding="utf-8")
