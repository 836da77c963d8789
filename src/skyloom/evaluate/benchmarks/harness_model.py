"""lm-evaluation-harness' LM class over our engine: its requests (texts) become token ids, and answers come back as it wants them.

Input: lm-eval's `Instance` objects. Output: log-likelihoods with greediness, rolling log-likelihoods, generated texts. Texts are
tokenized as its `hf` backend does: spaces at the end of a context go to the continuation, both are encoded together, and the tokens
of the context alone are taken from the front; an empty context is the begin token. BOS stands in front where the tokenizer puts it
by itself (ours does). Whatever was answered before, by the same model to the same tokens, comes from the journal.

Requests longer than the context are errors that name the item, unless the user wants them cut from the left, as lm-eval does
without a word. All requests of all tasks are checked before the first is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import ProgressTask
from skyloom.evaluate.benchmarks.answer_journal import Answer, AnswerJournal, answer_key
from skyloom.evaluate.benchmarks.item_records import Floats
from skyloom.evaluate.benchmarks.task_building import item_id
from skyloom.score.config import SamplingConfig
from skyloom.score.requests import Asked, Likelihood

MOST_NEW = 256
"""Tokens of a generated text where the task does not say: lm-eval's number."""
SAMPLES = 32
"""Prompts whose samples are drawn together; after a kill so many are drawn again, and are the same."""
_SAMPLING = {"temperature", "do_sample", "top_p", "until", "max_gen_toks"}


class BenchmarkWords(Protocol):
    """What is asked of a tokenizer, beside encoding."""

    @property
    def bos(self) -> int | None: ...
    @property
    def eos(self) -> int | None: ...
    @property
    def puts_bos(self) -> bool: ...
    def decode(self, ids: Sequence[int]) -> str: ...


class BenchmarkModel(Protocol):
    """What is asked of an open model (`evaluate.opened`)."""

    @property
    def name(self) -> str: ...
    @property
    def words(self) -> BenchmarkWords: ...
    @property
    def begin(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def context(self) -> int: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def device(self) -> torch.device: ...
    def encode(self, texts: Sequence[str], ids: Sequence[str] | None = None) -> list[list[int]]: ...
    def describe(self) -> Mapping[str, object]: ...


class BenchmarkEngine(Protocol):
    """What is asked of the engine (`score.likelihood`)."""

    def likelihoods(self, asked: Sequence[Asked], done: Callable[[int, Likelihood], None] | None = None) -> list[Likelihood]: ...

    def rolling(
        self,
        documents: Sequence[Sequence[int]],
        *,
        context: int,
        first: int,
        done: Callable[[int, Floats], None] | None = None,
    ) -> object: ...

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        most: int | Sequence[int],
        stop: Callable[[int, list[int]], bool],
        choice: SamplingConfig | None = None,
        done: Callable[[int, list[int]], None] | None = None,
    ) -> object: ...


@dataclass(frozen=True)
class _Wanted:
    """A text to be generated: the prompt's tokens, the texts that end it, how many tokens at most, and how they are chosen."""

    prompt: tuple[int, ...]
    until: tuple[str, ...]
    most: int
    choice: SamplingConfig | None

    def key(self, identity: str, place: int) -> str:
        how = () if self.choice is None else (self.choice.temperature, self.choice.top_p, place)
        return answer_key(identity, "generate", self.prompt, extra=(self.most, repr(self.until), *how))


@dataclass(frozen=True)
class ContextWords:
    """How an error names the setting of the context, and what it advises for a request that is longer."""

    setting: str = "--context"
    shorter: str = "use fewer --shots, or --cut to cut it from the left"


class HarnessModel(LM):  # type: ignore[misc]  # lm-eval is not typed
    """See the module's docstring. `cut`: requests that are too long are cut from the left; `cut_items` counts them by task."""

    def __init__(
        self,
        model: BenchmarkModel,
        engine: BenchmarkEngine,
        journal: AnswerJournal,
        *,
        cut: bool = False,
        words: ContextWords = ContextWords(),
    ) -> None:
        super().__init__()
        self.model, self.engine, self.journal, self.cut, self.words = model, engine, journal, cut, words
        self.front = (model.words.bos,) if model.words.puts_bos and model.words.bos is not None else ()
        """What stands before each context that is not empty."""
        self.identity = _identity(model)
        self.cut_items: dict[str, set[str]] = {}
        self.bar: ProgressTask | None = None
        self._pairs: dict[tuple[str, str], Asked] = {}

    # What lm-eval calls -------------------------------------------------------------------------------------------------------

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        return [(-answer.nats, answer.greedy) for answer in self.likelihoods(requests)]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        return [-nats for nats in self.rolling(requests)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        return self.texts(requests)

    # What we call -------------------------------------------------------------------------------------------------------------

    def check(self, requests: Mapping[str, Sequence[Instance]]) -> None:
        """Tokenize all requests, by their type. DataError names the first that cannot be asked: too long, or without tokens."""
        self.asked(requests.get("loglikelihood", ()))
        self.wanted(requests.get("generate_until", ()))
        for request in requests.get("loglikelihood_rolling", ()):
            if not str(request.args[0]):
                raise DataError(f"{item_of(request)} has no text after the template")

    def likelihoods(self, requests: Sequence[Instance]) -> list[Likelihood]:
        """The answer to each request, −log-probability and more. DataError names the item whose loss is not a finite number."""
        asked = self.asked(requests)
        keys = [answer_key(self.identity, "likelihood", a.context, a.continuation) for a in asked]
        found = [_likelihood(self.journal.get(key)) for key in keys]
        left = [number for number, answer in enumerate(found) if answer is None]
        self._resume(len(asked) - len(left))

        def done(place: int, answer: Likelihood) -> None:
            number = left[place]
            found[number] = self._finite(answer, requests[number])
            self._keep(
                keys[number],
                {"nats": answer.nats, "tokens": answer.tokens, "greedy": answer.greedy, "margin": answer.margin},
            )

        if left:
            with self._named([requests[n] for n in left]):
                self.engine.likelihoods([asked[n] for n in left], done)
            self.journal.flush()
        return [answer for answer in found if answer is not None]

    def rolling(self, requests: Sequence[Instance]) -> list[float]:
        """Nats of each text in rolling windows, the first behind the begin token."""
        texts = self.model.encode([str(request.args[0]) for request in requests], [item_of(request) for request in requests])
        keys = [answer_key(self.identity, "rolling", text) for text in texts]
        found: list[float | None] = [_number(self.journal.get(key)) for key in keys]
        left = [number for number, nats in enumerate(found) if nats is None]
        self._resume(len(texts) - len(left))

        def done(place: int, nats: Floats) -> None:
            number = left[place]
            found[number] = total = float(nats.sum())
            self._finite(Likelihood(total, len(nats), False, 0.0), requests[number])
            self._keep(keys[number], {"nats": total, "tokens": len(nats)})

        if left:
            with self._named([requests[n] for n in left]):
                self.engine.rolling([texts[n] for n in left], context=self.model.context, first=self.model.begin, done=done)
            self.journal.flush()
        return [nats for nats in found if nats is not None]

    def texts(self, requests: Sequence[Instance]) -> list[str]:
        """The generated text of each request, without what ended it."""
        wanted = self.wanted(requests)
        keys = [one.key(self.identity, place) for place, one in enumerate(wanted)]
        found = [_ids(self.journal.get(key)) for key in keys]
        self._resume(sum(ids is not None for ids in found))
        groups: dict[tuple[SamplingConfig | None, int], list[int]] = {}
        for number, one in enumerate(wanted):
            groups.setdefault((one.choice, number // SAMPLES if one.choice else 0), []).append(number)
        for (choice, chunk), numbers in groups.items():
            left = [n for n in numbers if found[n] is None]
            if left:
                self._generate(numbers if choice else left, wanted, keys, found, choice, chunk, requests)
        self.journal.flush()
        return [self._text(ids or [], one) for ids, one in zip(found, wanted, strict=True)]

    def _generate(
        self,
        numbers: Sequence[int],
        wanted: Sequence[_Wanted],
        keys: Sequence[str],
        found: list[list[int] | None],
        choice: SamplingConfig | None,
        chunk: int,
        requests: Sequence[Instance],
    ) -> None:
        def done(place: int, ids: list[int]) -> None:
            number = numbers[place]
            new = found[number] is None
            found[number] = list(ids)
            if new:
                self._keep(keys[number], {"ids": list(ids)})

        tails = [max((len(text.encode("utf-8")) for text in wanted[n].until), default=0) + 1 for n in numbers]

        def stop(place: int, ids: list[int]) -> bool:
            if ids[-1] == self.model.words.eos:
                return True
            text = self.model.words.decode(ids[-tails[place] :])
            return any(end in text for end in wanted[numbers[place]].until if end)

        seeded = None if choice is None else SamplingConfig(choice.tokens, choice.temperature, choice.top_p, seed=1 + chunk)
        with self._named([requests[n] for n in numbers]):
            most = [wanted[n].most for n in numbers]
            self.engine.generate([wanted[n].prompt for n in numbers], most=most, stop=stop, choice=seeded, done=done)

    def _text(self, ids: list[int], one: _Wanted) -> str:
        if self.model.words.eos in ids:
            ids = ids[: ids.index(self.model.words.eos)]
        return str(postprocess_generated_text(self.model.words.decode(ids), list(one.until), None))

    # Texts to tokens ----------------------------------------------------------------------------------------------------------

    def asked(self, requests: Sequence[Instance]) -> list[Asked]:
        """Context and continuation of each request as token ids."""
        new = list(dict.fromkeys(pair for r in requests if (pair := (str(r.args[0]), str(r.args[1]))) not in self._pairs))
        moved = [_moved(context, continuation) for context, continuation in new]
        owners = {(str(r.args[0]), str(r.args[1])): item_of(r) for r in reversed(requests)}
        contexts = list(dict.fromkeys(context for context, _ in moved if context))
        wholes = self.model.encode([context + continuation for context, continuation in moved], [owners[pair] for pair in new])
        heads = dict(zip(contexts, self.model.encode(contexts), strict=True))
        for pair, (context, _), whole in zip(new, moved, wholes, strict=True):
            head = heads[context] if context else []
            front = self.front if context else (self.model.begin,)
            ahead, behind = (*front, *head), tuple(whole[len(head) :])
            if not context and behind[:1] == front:  # the text begins with the begin token: it is the context
                behind = behind[1:]
            self._pairs[pair] = Asked(ahead or (self.model.begin,), behind)
        found = []
        for request in requests:
            asked = self._pairs[str(request.args[0]), str(request.args[1])]
            if not asked.continuation:
                raise DataError(f"{item_of(request)} has no text after the template: the answer {request.args[1]!r} is no token")
            found.append(self._within(request, asked))
        return found

    def _within(self, request: Instance, asked: Asked) -> Asked:
        size = len(asked.context) + len(asked.continuation) - 1
        if size <= self.model.context:
            return asked
        self._too_long(request, size, "", len(asked.continuation) > self.model.context)
        return Asked(asked.context[-(self.model.context + 1 - len(asked.continuation)) :], asked.continuation)

    def _too_long(self, request: Instance, size: int, more: str, hopeless: bool) -> None:
        if hopeless or not self.cut:
            advice = "take a model with a longer context" if hopeless else self.words.shorter
            takes = f"{self.model.name} takes {self.model.context:,} ({self.words.setting})"
            raise DataError(f"{item_of(request)} has {size:,} tokens{more}, {takes}: {advice}")
        self.cut_items.setdefault(str(request.task_name), set()).add(item_id(request.doc, request.doc_id or 0))

    def wanted(self, requests: Sequence[Instance]) -> list[_Wanted]:
        """What each request wants to be generated."""
        prompts = [str(request.args[0]) for request in requests]
        owners = {text: item_of(request) for request, text in zip(reversed(requests), reversed(prompts), strict=True)}
        rows = dict(zip(owners, self.model.encode(list(owners), list(owners.values())), strict=True))
        found = []
        for request, text in zip(requests, prompts, strict=True):
            settings = dict(normalize_gen_kwargs(request.args[1], MOST_NEW))
            until, most = handle_stop_sequences(settings["until"], None), int(settings["max_gen_toks"])
            prompt = (*self.front, *rows[text]) or (self.model.begin,)
            if not text:
                raise DataError(f"{item_of(request)} has no text after the template")
            if len(prompt) + most > self.model.context:
                self._too_long(request, len(prompt), f" and up to {most:,} new ones", most >= self.model.context)
                prompt = prompt[-(self.model.context - most) :]
            found.append(_Wanted(prompt, tuple(map(str, until)), most, _choice(settings, most, request)))
        return found

    # Small parts --------------------------------------------------------------------------------------------------------------

    def _keep(self, key: str, answer: Answer) -> None:
        self.journal.put(key, answer)
        if self.bar is not None:
            self.bar.advance()

    def _resume(self, known: int) -> None:
        if self.bar is not None and known:
            self.bar.resume(known)

    def _finite(self, answer: Likelihood, request: Instance) -> Likelihood:
        if not np.isfinite(answer.nats):
            raise DataError(self._not_finite(item_of(request), answer.nats))
        return answer

    def _not_finite(self, item: str, nats: float) -> str:
        dtype = str(self.model.dtype).removeprefix("torch.")
        wider = "" if dtype in ("float32", "float64") else "; try --dtype float32"
        return f"{item}: {self.model.name} gives a loss of {nats} in {dtype}{wider}"

    @contextmanager
    def _named(self, requests: Sequence[Instance]) -> Iterator[None]:
        """Errors of the engine, which counts requests, with the names of items."""
        try:
            yield
        except DataError as problem:
            numbered = re.search(r"\b(?:request|document|prompt) (\d+)\b", str(problem))
            if numbered is None or int(numbered[1]) >= len(requests):
                raise
            named = item_of(requests[int(numbered[1])])
            loss = re.search(r"a loss of (\S+)", str(problem))
            if loss is not None:
                raise DataError(self._not_finite(named, float(loss[1]))) from problem
            raise DataError(str(problem).replace(numbered[0], named, 1)) from problem


def item_of(request: Instance) -> str:
    """The item that a request belongs to, as errors name it."""
    return f"task {request.task_name}, item {item_id(request.doc, request.doc_id or 0)}"


def _moved(context: str, continuation: str) -> tuple[str, str]:
    """Spaces at the end of the context belong to the continuation: most tokenizers join them with the word behind."""
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation


def _choice(settings: Mapping[str, object], most: int, request: Instance) -> SamplingConfig | None:
    temperature = float(str(settings.get("temperature") or 0.0))
    if not settings.get("do_sample") or temperature == 0:
        return None
    if strange := sorted(set(settings) - _SAMPLING):
        raise ConfigError(f"task {request.task_name} samples with {', '.join(strange)}, which is not supported")
    return SamplingConfig(tokens=most, temperature=temperature, top_p=float(str(settings.get("top_p", 1.0))))


def _identity(model: BenchmarkModel) -> str:
    said = model.describe()
    return " ".join(f"{key}={said.get(key)}" for key in ("sha256", "tokenizer_sha256", "dtype", "device", "context", "begin_id"))


def _likelihood(answer: Answer | None) -> Likelihood | None:
    if answer is None:
        return None
    margin = answer["margin"]
    return Likelihood(float(str(answer["nats"])), int(str(answer["tokens"])), answer["greedy"] is True, float(str(margin)))


def _number(answer: Answer | None) -> float | None:
    return None if answer is None else float(str(answer["nats"]))


def _ids(answer: Answer | None) -> list[int] | None:
    ids = None if answer is None else answer["ids"]
    return [int(i) for i in ids] if isinstance(ids, list) else None
