"""Small models of other people's formats, built on the spot: a LLaMA and a GPT-2 with a byte-level vocabulary, and a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import gguf
import numpy as np
import numpy.typing as npt
import tokenizers
import torch
import transformers

TEXTS = {
    "en": ["The loom weaves the sky.", "A short text about rain.\nIt has two lines, and the second is much longer than the first."],
    "zh": ["天空是一台织布机。", "今天下雨。\n明天放晴😀，后天多云，大后天又下雨，一直下到星期天的晚上。", "机"],
}


def vocabulary(*, bos: bool = True, eos: bool = True) -> transformers.PreTrainedTokenizerFast:
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    made.train_from_iterator([t for texts in TEXTS.values() for t in texts], trainer)
    special = ({"bos_token": "<s>"} if bos else {}) | ({"eos_token": "</s>"} if eos else {})
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def save_llama(
    folder: Path, *, bos: bool = True, eos: bool = True, rows: int | None = None, tied: bool = False, seed: int = 1
) -> Path:
    """A LLaMA with grouped heads; `rows` of the embedding, None for one for each piece."""
    words = vocabulary(bos=bos, eos=eos)
    words.save_pretrained(folder)
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=rows or len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, max_position_embeddings=32, rms_norm_eps=1e-5, tie_word_embeddings=tied, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.mul_(8)  # sharp logits: a shifted window or target shows at once
    model.save_pretrained(folder)
    return folder


def save_gpt2(folder: Path, *, bos: bool = True) -> Path:
    words = vocabulary(bos=bos)
    words.save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"vocab_size": len(words), "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 16}
    transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=1)).save_pretrained(folder)
    return folder


_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def write_gguf(folder: Path, out: Path, quantised: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32) -> Path:
    """The LLaMA in `folder` as llama.cpp's converter would write it: heads' halves interleaved, matrices in `quantised`."""
    model = transformers.LlamaForCausalLM.from_pretrained(folder)
    words = transformers.AutoTokenizer.from_pretrained(folder)
    config = cast(transformers.LlamaConfig, model.config)
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    pieces = [words.convert_ids_to_tokens(i) for i in range(len(words))]
    writer.add_token_list(pieces)
    writer.add_token_types([3 if p in ("<s>", "</s>") else 1 for p in pieces])
    merges = words.backend_tokenizer.to_str()
    import json

    writer.add_token_merges([" ".join(m) for m in json.loads(merges)["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, weight in model.state_dict().items():
        data = weight.numpy()
        if "q_proj" in name or "k_proj" in name:
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            data = _interleaved(data, heads)
        kind = quantised if data.ndim == 2 and name.startswith("model.layers") else gguf.GGMLQuantizationType.F32
        packed = data if kind == gguf.GGMLQuantizationType.F32 else gguf.quantize(data, kind)
        writer.add_tensor(_name(name), packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def _interleaved(weight: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    rows, width = weight.shape
    return np.ascontiguousarray(weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width))


def _name(theirs: str) -> str:
    outer = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if theirs in outer:
        return outer[theirs]
    _, _, layer, rest = theirs.split(".", 3)
    return f"blk.{layer}.{_NAMES[rest.removesuffix('.weight')]}.weight"
