"""A small model with a tokenizer of bytes, and generated items of real tasks, English beside Chinese."""

from __future__ import annotations

import copy
import functools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from skyloom.model.cached import CachedDecoder
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.score.likelihood import InferenceEngine

BOS, EOS, VOCABULARY = 256, 257, 258

CPU = torch.device("cpu")

Item = dict[str, object]


class Bytes:
    """A token for each byte of UTF-8."""

    bos: int | None = BOS
    eos: int | None = EOS
    puts_bos = True

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(i for i in ids if i < 256).decode("utf-8", "replace")


@dataclass
class Small:
    """An open model over a two-layer decoder."""

    name: str = "small"
    context: int = 1024
    seed: int = 1
    dtype: torch.dtype = torch.float32
    vocabulary: int = VOCABULARY
    begin: int = BOS
    device: torch.device = CPU
    words: Bytes = field(default_factory=Bytes)

    def encode(self, texts: Sequence[str], ids: Sequence[str] | None = None) -> list[list[int]]:
        return [list(text.encode("utf-8")) for text in texts]

    def describe(self) -> Mapping[str, object]:
        return {"model": self.name, "sha256": str(self.seed), "dtype": str(self.dtype), "context": self.context}

    def decoder(self) -> Decoder:
        return copy.deepcopy(decoder(self.seed, self.context)).to(self.dtype)

    def cached(self) -> CachedDecoder:
        return CachedDecoder(self.decoder())


@functools.cache
def decoder(seed: int, context: int) -> Decoder:
    config = ModelConfig(vocabulary=VOCABULARY, hidden=16, layers=2, heads=2, ffn=32, context=context)
    model = initialise(Decoder(config), seed).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # far from uniform, so that choices differ
            parameter.mul_(3)
    return model


def engine(model: Small) -> InferenceEngine:
    return InferenceEngine(model.cached(), batch_tokens=2048, context=model.context)


def lines(path: Path, items: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return path


def word(draw: random.Random) -> str:
    return draw.choice(["river", "printer", "melon", "桌子", "河流", "火车", "light", "天气", "bird", "学校"])


def arc(count: int, seed: int = 1) -> list[Item]:
    """Items of `arc_easy`: four choices of different lengths."""
    draw = random.Random(seed)
    found: list[Item] = []
    for number in range(count):
        texts = [f"{word(draw)} {word(draw)} {n}" if n % 2 else f"{word(draw)}{n}" for n in range(4)]
        question = f"What is {word(draw)} {number}?" if number % 2 else f"{word(draw)}是什么，第{number}题？"
        found.append(
            {
                "id": f"q{number}", "question": question, "choices": {"text": texts, "label": list("ABCD")},
                "answerKey": draw.choice("ABCD"),
            }
        )  # fmt: skip
    return found


def cmmlu(count: int, seed: int = 2) -> list[Item]:
    draw = random.Random(seed)
    return [
        {"Question": f"下列哪个是{word(draw)}（第{n}题）", **{c: word(draw) for c in "ABCD"}, "Answer": draw.choice("ABCD")}
        for n in range(count)
    ]


def gsm8k(count: int, seed: int = 3) -> list[Item]:
    draw = random.Random(seed)
    return [
        {
            "question": f"Tom has {a} melons and buys {b}. 他现在有几个？",
            "answer": f"{a}+{b}=<<{a}+{b}={a + b}>>{a + b}\n#### {a + b}",
        }
        for a, b in ((draw.randrange(20), draw.randrange(20)) for _ in range(count))
    ]


def winogrande(count: int, seed: int = 4) -> list[Item]:
    draw = random.Random(seed)
    return [
        {
            "sentence": f"The {word(draw)} met the {word(draw)}, and _ was tired {n}.",
            "option1": "甲",
            "option2": "Bo",
            "answer": draw.choice("12"),
        }
        for n in range(count)
    ]


TEXTS = [
    "The river and the printer, the light and the bird. What is the melon?", "桌子是什么？河流和火车，天气和学校。", "问题：他现在有几个？\n答案：",
    "Question: Tom has 3 melons and buys 4.\nAnswer: 3+4=<<3+4=7>>7\n#### 7",
]  # fmt: skip


def hub_folder(folder: Path, *, adds_bos: bool, context: int = 512) -> Path:
    """A two-layer LLaMA with a byte-level BPE tokenizer, in Hugging Face's format; `adds_bos`: it puts BOS in front by itself."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)])
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    config = transformers.LlamaConfig(
        vocab_size=len(fast), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=context, bos_token_id=0, eos_token_id=1, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(5)
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
