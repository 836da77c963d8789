"""The engine beside lm-evaluation-harness' `hf` backend: CPU seconds for equal requests, and whether the answers are equal.

Input: a GGUF file of a small model, which SKYLOOM_EVAL_GGUF names (dequantised by transformers: fp32), and the questions of
`harness_forms`. Both sides answer the same token ids in this process, in turns, with one thread. The peer has the batch size of 1,
8 and 32 that is fastest on the first five questions, of those whose logits fit into half of the free memory. What each side does
before there are token ids is not counted, but for rolling windows and generation, where both encode.

    python -m bench.evaluate.harness [--forms NAME ...] [--items N] [--rounds N] [--engine transformers]        the table
    python -m bench.evaluate.harness --json letters,full-5-shot,… (or all)

A form's bar is the peer's CPU seconds over ours. `equal-logs`: the largest difference of two log-probabilities, in nats;
`equal-rolling`: of two texts' bits per byte; `unequal-greedy` and `unequal-texts`: continuations that only one side calls greedy,
and generated texts that differ, but for those where the best two logits differ by less than 1e-4 at the first difference.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import io
import itertools
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.answers import NotMeasuredError, answer, offer
from bench.evaluate import harness_forms as data
from skyloom.evaluate.opened import cached_network
from skyloom.model.cached import CachedDecoder, CachedNetwork
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.hf import from_hf
from skyloom.score.likelihood import InferenceEngine
from skyloom.score.requests import Asked

MODEL_VARIABLE = "SKYLOOM_EVAL_GGUF"
CONTEXT, TOKENS, NEAR = 2048, 2048, 1e-4
"""Most tokens that both read; tokens of our batches; logits that differ by less are nearly a tie."""
SIZES, TRIED = (1, 8, 32), 5
ROLLED = {"rolling-full": (8, 0.95), "rolling-mixed": (200, 1.2)}
GENERATED = "generation"
PROMPTS = 16
BARS = (*(form.name for form in data.FORMS), *ROLLED, GENERATED)
EQUAL = ("equal-logs", "equal-rolling", "unequal-greedy", "unequal-texts")


@dataclass
class Measured:
    """Of one form: CPU seconds of each round, the peer's batch size, and how far the answers are apart."""

    items: int
    size: int
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    apart: float = 0.0
    unequal: int = 0
    near: int = 0

    @property
    def ratio(self) -> float:
        return sum(self.peer) / sum(self.ours)


class Bench:
    """Both sides with the same model."""

    def __init__(self, engine: str, items: int | None, rounds: int, size: int | None) -> None:
        for name in ("lm_eval", "accelerate", "peft", "gguf"):
            if importlib.util.find_spec(name) is None:
                raise NotMeasuredError(f"{name} is not installed here (extra `eval`)")
        named = os.environ.get(MODEL_VARIABLE)
        if not named or not Path(named).is_file():
            raise NotMeasuredError(f"{MODEL_VARIABLE} names no GGUF file of a small model")
        torch.set_num_threads(1)
        logging.disable(logging.WARNING)
        import transformers
        from lm_eval.models.huggingface import HFLM

        transformers.utils.logging.disable_progress_bar()
        path = Path(named)
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        self.model: Any = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
        self.model.eval()
        self.items, self.rounds, self.size, self.root = items, rounds, size, data.folder()
        self.peer: Any = HFLM(
            pretrained=self.model, tokenizer=self.tokenizer, max_length=CONTEXT, add_bos_token=False, batch_size=1
        )
        network = own_decoder(self.model) if engine == "decoder" else cached_network(self.model, context=CONTEXT)
        self.engine = InferenceEngine(network, batch_tokens=TOKENS, context=CONTEXT)
        ids = list(range(100, 300))
        for _ in range(2):  # memory and kernels of both sides have been used once before anything is timed
            self.engine.rolling([ids], context=CONTEXT, first=0)
            self.peer._loglikelihood_tokens([(("", ""), [0], ids)], disable_tqdm=True)

    @functools.cache  # noqa: B019  one bench lives as long as the program
    def measured(self, name: str) -> Measured:
        if name in ROLLED:
            return self._rolling(name)
        return self._generation() if name == GENERATED else self._choices(next(f for f in data.FORMS if f.name == name))

    def _choices(self, form: data.Form) -> Measured:
        questions = list(itertools.islice(form.read(self.root), self.items or form.items))
        pairs = [[self._pair(question.context, choice) for choice in question.choices] for question in questions]
        flat = [pair for question in pairs for pair in question]
        asked = [Asked(tuple(context), tuple(continuation)) for _, context, continuation in flat]
        longest = max(len(context) + len(continuation) for _, context, continuation in flat)
        few = [pair for question in pairs[:TRIED] for pair in question]
        found = Measured(len(questions), self._size(longest, lambda: self.peer._loglikelihood_tokens(few, disable_tqdm=True)))
        for ours, theirs in self._turns(
            found, lambda: self.engine.likelihoods(asked), lambda: self.peer._loglikelihood_tokens(flat, disable_tqdm=True)
        ):
            found.apart = max([found.apart, *(abs(-o.nats - t[0]) for o, t in zip(ours, theirs, strict=True))])
            found.near = sum(abs(o.margin) < NEAR for o in ours)
            found.unequal = sum(o.greedy != t[1] and abs(o.margin) >= NEAR for o, t in zip(ours, theirs, strict=True))
        return found

    def _pair(self, context: str, continuation: str) -> tuple[tuple[str, str], list[int], list[int]]:
        return (context, continuation), *self.peer._encode_pair(context, continuation)

    def _rolling(self, name: str) -> Measured:
        encode, decode = self.peer.tok_encode, self.tokenizer.decode
        texts = data.full_windows(self.root, encode, decode, CONTEXT) if name == "rolling-full" else data.mixed(self.root)
        chosen = list(itertools.islice(texts, self.items or ROLLED[name][0]))
        sizes = [len(text.encode()) for text in chosen]
        requests = [_Instance((text,)) for text in chosen]
        mixed = name == "rolling-mixed"
        size = 8 if mixed else self._size(CONTEXT, lambda: self.peer.loglikelihood_rolling(requests[:1], disable_tqdm=True))
        self.peer.batch_size_per_gpu = size
        found = Measured(len(chosen), size)

        def ours() -> list[float]:
            documents = [encode(text) for text in chosen]
            rolled = self.engine.rolling(documents, context=CONTEXT, first=self.peer.prefix_token_id)
            return [-float(nats.sum()) for nats in rolled]

        for own, theirs in self._turns(found, ours, lambda: self.peer.loglikelihood_rolling(requests, disable_tqdm=True)):
            bits = [abs(o - t) / n / math.log(2) for o, t, n in zip(own, theirs, sizes, strict=True)]
            found.apart = max(found.apart, *bits)
        return found

    def _generation(self) -> Measured:
        prompts = list(itertools.islice(data.problems(self.root), self.items or PROMPTS))
        said = {"until": list(data.UNTIL), "max_gen_toks": data.GENERATED, "do_sample": False}
        requests = [_Instance((prompt, dict(said))) for prompt in prompts]
        longest = max(len(self.peer.tok_encode(prompt)) for prompt in prompts)
        size = self._size(longest, lambda: self.peer.generate_until(requests[:TRIED], disable_tqdm=True))
        found = Measured(len(prompts), size)
        stops = (*data.UNTIL, self.peer.tok_decode(self.peer.eot_token_id, skip_special_tokens=False))

        def stop(_: int, ids: list[int]) -> bool:
            tail = self.tokenizer.decode(ids[-16:])
            return any(word in tail for word in stops)

        def ours() -> list[str]:
            ids = [self.peer.tok_encode(prompt) for prompt in prompts]
            return [self._cut(text) for text in self.engine.generate(ids, most=data.GENERATED, stop=stop)]

        for own, theirs in self._turns(found, ours, lambda: self.peer.generate_until(requests, disable_tqdm=True)):
            different = [n for n, (o, t) in enumerate(zip(own, theirs, strict=True)) if o != t]
            near = [n for n in different if self._tie(prompts[n], own[n], theirs[n]) < NEAR]
            found.near, found.unequal = len(near), len(different) - len(near)
        return found

    def _cut(self, ids: list[int]) -> str:
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        for word in data.UNTIL:
            text = text.split(word)[0]
        return str(text)

    @torch.inference_mode()
    def _tie(self, prompt: str, own: str, theirs: str) -> float:
        """By how much the best two logits differ at the first token in which the texts do."""
        one, other = (self.peer.tok_encode(text) for text in (own, theirs))
        same = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))
        logits = self.model(torch.tensor([self.peer.tok_encode(prompt) + one[:same]])).logits[0, -1]
        best, second = logits.topk(2).values.tolist()
        return float(best - second)

    def _size(self, longest: int, run: Callable[[], object]) -> int:
        """The fastest batch size of the peer."""
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        seconds = {}
        for size in SIZES if self.size is None else (self.size,):
            if size in (1, self.size) or 2 * size * longest * self.engine.network.vocabulary * 4 < free / 2:
                self.peer.batch_size_per_gpu = size
                seconds[size] = _timed(run)[0] if self.size is None else 0.0
        best = min(seconds, key=lambda size: seconds[size])
        self.peer.batch_size_per_gpu = best
        return best

    def _turns(self, found: Measured, ours: Callable[[], Any], peer: Callable[[], Any]) -> Iterator[tuple[Any, Any]]:
        for turn in range(self.rounds):
            pair = [(found.ours, ours), (found.peer, peer)]
            answers = {}
            for seconds, run in pair if turn % 2 == 0 else reversed(pair):
                spent, answers[run] = _timed(run)
                seconds.append(spent)
            yield answers[ours], answers[peer]


@dataclass(frozen=True)
class _Instance:
    """What the harness' model classes read of its `Instance`."""

    args: tuple[Any, ...]


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    with contextlib.redirect_stderr(io.StringIO()):
        start = time.process_time()
        found = run()
        return time.process_time() - start, found


def own_decoder(model: Any) -> CachedNetwork:
    """A LLaMA model of transformers as our decoder, which has its weights without a copy."""
    said = model.config
    shape = ModelConfig(
        vocabulary=said.vocab_size,
        hidden=said.hidden_size,
        layers=said.num_hidden_layers,
        heads=said.num_attention_heads,
        key_heads=said.num_key_value_heads,
        ffn=said.intermediate_size,
        context=CONTEXT,
        rope_theta=said.rope_parameters["rope_theta"],
        norm_eps=said.rms_norm_eps,
        tied=said.tie_word_embeddings,
    )
    with torch.device("meta"):
        decoder = Decoder(shape)
    state = from_hf(model.state_dict(), shape)
    decoder.load_state_dict(state, strict=not shape.tied, assign=True)
    assert decoder.head is not None and decoder.embedding is not None
    if shape.tied:
        decoder.head.weight = decoder.embedding.weight
    if decoder.rotate is not None:
        decoder.rotate.to_empty(device="cpu").fill()
    return CachedDecoder(decoder.eval())


def _value(bench: Callable[[], Bench], name: str) -> float:
    if name in BARS:
        return bench().measured(name).ratio
    forms = [form.name for form in data.FORMS]
    measured = {"equal-rolling": list(ROLLED), "unequal-texts": [GENERATED]}.get(name, forms)
    found = [bench().measured(form) for form in measured]
    return max(one.apart for one in found) if name.startswith("equal") else float(sum(one.unequal for one in found))


def _table(bench: Bench, forms: Sequence[str]) -> None:
    print(f"{'form':14} {'items':>5} {'peer batch':>10} {'ours':>8} {'peer':>8} {'ratio':>6}  apart     unequal, near ties")
    for name in forms:
        one = bench.measured(name)
        seconds = f"{sum(one.ours) / len(one.ours):8.1f} {sum(one.peer) / len(one.peer):8.1f} {one.ratio:6.2f}"
        print(f"{name:14} {one.items:5} {one.size:10} {seconds}  {one.apart:.1e}   {one.unequal}, {one.near}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The engine beside lm-evaluation-harness.")
    parser.add_argument("--forms", nargs="*", choices=BARS, default=BARS, help="measure these only")
    parser.add_argument("--items", type=int, help="questions or texts of each form; the bars' own if not given")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    parser.add_argument("--size", type=int, help="the peer's batch size, where it is not to be looked for")
    parser.add_argument("--engine", choices=("decoder", "transformers"), default="decoder", help="whose network ours runs")
    offer(parser, (*BARS, *EQUAL))
    options = parser.parse_args(arguments)
    bench = functools.cache(lambda: Bench(options.engine, options.items, options.rounds, options.size))
    return answer(options.json, lambda name: _value(bench, name), lambda: _table(bench(), options.forms))


if __name__ == "__main__":
    sys.exit(main())
