"""A model's answers to benchmark tasks: requests of all tasks together, then each item's values by the tasks' own metrics.

Input: tasks (`task_building`) and a model behind lm-eval's interface (`harness_model`); output: a `TaskAnswers` for each task. This
is what lm-eval's `evaluate` does, in the same order and with the same calls, and it gives the same figures (tests compare them). It
is written out here because an error must name its item, all requests must be checked before the first is asked, and the margins of
the answers are wanted, which lm-eval's interface does not carry.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from lm_eval.api.instance import Instance

from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.evaluate.benchmarks.harness_model import HarnessModel, item_of
from skyloom.evaluate.benchmarks.item_records import (
    ChoiceSet,
    ItemRecord,
    Near,
    margin_of,
    near_greedy,
    right_numbers,
    single_numbers,
)
from skyloom.evaluate.benchmarks.task_building import SEED, Built, item_id, quiet
from skyloom.score.requests import Likelihood

if TYPE_CHECKING:
    from lm_eval.api.task import Task

EXACT_NOISE = 1e-4
"""Nats by which the order and grouping of requests change a difference of log-probabilities, at most, in fp32 on a CPU."""
PROBES = 64
"""Requests that are asked again, alone, to measure the noise elsewhere."""

KINDS = ("loglikelihood", "loglikelihood_rolling", "generate_until")


@dataclass(frozen=True)
class Noise:
    """Nats, and how they are known."""

    nats: float
    how: str


@dataclass
class TaskAnswers:
    """Of one task and one model. `values`: of each metric and filter, one for each item, as the task's aggregation takes them;
    `near`: for each of them the near ties by item number; `of`: items in the split."""

    task: Task
    mode: str
    items: list[ItemRecord] = field(default_factory=list)
    values: dict[tuple[str, str], list[object]] = field(default_factory=lambda: defaultdict(list))
    near: dict[str, dict[int, Near]] = field(default_factory=lambda: defaultdict(dict))
    prompts: str = ""
    of: int = 0
    cut: int = 0
    chances: list[float] = field(default_factory=list)
    """Of each item the share of its choices that are right."""


def ask(
    built: Built, lm: HarnessModel, *, limit: int | Mapping[str, int] | None, progress: Progress
) -> tuple[dict[str, TaskAnswers], Noise]:
    """The answers to all tasks by name. `limit`: items of each task, the same of all or by name; None for all items.

    DataError names the item that cannot be asked or has no finite loss.
    """
    limits = limit if isinstance(limit, Mapping) else dict.fromkeys(built.tasks, limit)
    requests, together = requests_of(built, limits)
    lm.check(together)
    likelihoods: dict[int, Likelihood] = {}
    with progress.task(lm.model.name, sum(map(len, together.values())), unit="requests") as lm.bar:
        for request, answer in zip(together["loglikelihood"], lm.likelihoods(together["loglikelihood"]), strict=True):
            request.resps.append((-answer.nats, answer.greedy))
            likelihoods[id(request)] = answer
        for request, nats in zip(together["loglikelihood_rolling"], lm.rolling(together["loglikelihood_rolling"]), strict=True):
            request.resps.append(-nats)
        for request, text in zip(together["generate_until"], lm.texts(together["generate_until"]), strict=True):
            request.resps.append(text)
    noise = measure_noise(lm, together["loglikelihood"])
    with quiet():
        return {n: _judged(n, t, requests[n], likelihoods, lm, noise.nats, limits[n]) for n, t in built.tasks.items()}, noise


def requests_of(built: Built, limits: Mapping[str, int | None]) -> tuple[dict[str, list[Instance]], dict[str, list[Instance]]]:
    """The requests of each task, and those of all together by their type, as often as each is asked."""
    random.seed(0)
    np.random.seed(SEED)
    requests = {name: _requests(name, task, limits[name]) for name, task in built.tasks.items()}
    together: dict[str, list[Instance]] = {kind: [] for kind in KINDS}
    for asked in requests.values():
        for request in asked:
            together[request.request_type] += [request] * (request.repeats or 1)
    return requests, together


def _requests(name: str, task: Task, limit: int | None) -> list[Instance]:
    with quiet():
        task.set_fewshot_seed(SEED)
        try:
            task.build_all_requests(limit=limit, rank=0, world_size=1)
        except Exception as problem:  # the templates of examples, over data of any kind
            shots = task.get_config("num_fewshot")
            raise DataError(
                f"task {name}: its prompts with {shots} examples cannot be made ({type(problem).__name__}: {problem})"
            ) from problem
        return list(task.instances)


def measure_noise(lm: HarnessModel, requests: Sequence[Instance]) -> Noise:
    """By how much a log-probability depends on the requests beside it: known for fp32 on a CPU, measured elsewhere."""
    if lm.model.dtype in (torch.float32, torch.float64) and lm.model.device.type == "cpu":
        return Noise(EXACT_NOISE, "fp32 on a CPU: at most 1e-4 nats, as tests hold the engine to")
    chosen = [requests[n] for n in sorted({round(p) for p in np.linspace(0, len(requests) - 1, PROBES)})] if requests else []
    if not chosen:
        return Noise(EXACT_NOISE, "nothing was compared")
    before = lm.likelihoods(chosen)
    alone = [lm.engine.likelihoods([asked])[0] for asked in lm.asked(chosen)]
    # Two log-probabilities move by so much each, at worst in opposite directions.
    most = 2 * max(abs(a.nats - b.nats) for a, b in zip(before, alone, strict=True))
    return Noise(
        max(most, EXACT_NOISE),
        f"twice the largest change of a log-probability between its batch and alone, over {len(chosen)} requests",
    )


def _judged(
    name: str,
    task: Task,
    requests: Sequence[Instance],
    likelihoods: Mapping[int, Likelihood],
    lm: HarnessModel,
    noise: float,
    limit: int | None,
) -> TaskAnswers:
    task.apply_filters()
    found = TaskAnswers(task, str(task.OUTPUT_TYPE), of=len(task.eval_docs), cut=len(lm.cut_items.get(name, ())))
    by_item: dict[int, list[Instance]] = defaultdict(list)
    for request in requests:
        by_item[request.doc_id or 0].append(request)
    digest = hashlib.sha256()
    for place, (number, doc) in enumerate(task.doc_iterator(limit=limit)):
        mine = sorted(by_item[number], key=lambda request: request.idx)
        record, choices = _record(lm.model.name, name, task, doc, number, mine)
        metrics: dict[str, object] = {}
        for chosen in mine[0].filtered_resps:
            try:
                metrics = task.process_results(doc, [request.filtered_resps[chosen] for request in mine])
            except Exception as problem:
                raise DataError(
                    f"{item_of(mine[0])}: its answer cannot be judged ({type(problem).__name__}: {problem})"
                ) from problem
            record["metrics"] |= single_numbers(metrics, chosen)
            for metric, value in metrics.items():
                found.values[metric, chosen].append(value)
        for metric in metrics:
            margin = likelihoods[id(mine[0])].margin if id(mine[0]) in likelihoods else None
            near = choices.near(metric, noise) if choices is not None else _greedy(found.mode, metric, margin, noise)
            if near is not None:
                found.near[metric][place] = near
                record["near"].append(metric)
        if choices is not None:
            found.chances.append(len(choices.right) / len(choices.logs))
        found.items.append(record)
        digest.update(record["prompt"].encode())
    found.prompts = digest.hexdigest()
    return found


def _greedy(mode: str, metric: str, margin: float | None, noise: float) -> Near | None:
    return near_greedy(margin, noise) if mode == "loglikelihood" and metric == "acc" and margin is not None else None


def _record(
    model: str, name: str, task: Task, doc: object, number: int, requests: Sequence[Instance]
) -> tuple[ItemRecord, ChoiceSet | None]:
    asked = hashlib.sha256("\0".join(repr(request.args) for request in requests).encode("utf-8", "surrogatepass")).hexdigest()
    record: ItemRecord = {
        "model": model, "task": name, "id": item_id(doc, number), "choices": None, "answer": None, "right": [], "margin": None,
        "right_nats": None, "right_bytes": None, "metrics": {}, "near": [], "prompt": asked[:16],
    }  # fmt: skip
    kind = requests[0].request_type
    if kind == "generate_until":
        record["answer"] = str(requests[0].resps[0])
        target = task.doc_to_target(doc)
        record["right"] = [str(t) for t in target] if isinstance(target, list) else [str(target)]
        return record, None
    if kind == "loglikelihood_rolling":
        record["choices"] = [round(float(request.resps[0]), 9) for request in requests]
        return record, None
    logs = [float(request.resps[0][0]) for request in requests]
    choices = _choices(task, doc, requests, logs) if task.OUTPUT_TYPE == "multiple_choice" else None
    kept = logs if choices is None else logs[: len(choices.logs)]
    record["choices"] = [round(value, 9) for value in kept]
    record["margin"] = margin_of(kept)
    if choices is not None:
        record["answer"] = int(np.argmax(choices.logs))
        record["right"] = sorted(choices.right)
        if choices.right:
            best = max(choices.right, key=lambda n: choices.logs[n])
            record["right_nats"], record["right_bytes"] = (
                -float(choices.logs[best]),
                len(str(requests[best].args[1]).encode("utf-8")),
            )
    elif len(requests) == 1:
        record["right"] = [str(requests[0].args[1])]
        record["right_nats"], record["right_bytes"] = -logs[0], len(str(requests[0].args[1]).encode("utf-8"))
    return record, choices


def _choices(task: Task, doc: object, requests: Sequence[Instance], logs: Sequence[float]) -> ChoiceSet:
    texts = [str(text) for text in task.doc_to_choice(doc)]
    target = task.doc_to_text(doc) if getattr(task, "multiple_input", 0) else task.doc_to_target(doc)
    count = min(len(texts), len(requests))
    equal = list(dict.fromkeys(request.args for request in requests))
    return ChoiceSet(
        np.array(logs[:count]),
        np.array(logs[count : 2 * count]) if len(logs) == 2 * count else None,
        np.array([float(len(text)) for text in texts[:count]]),
        np.array([float(len(text.encode("utf-8", "surrogatepass"))) for text in texts[:count]]),
        right_numbers(target, texts),
        tuple(equal.index(request.args) for request in requests[:count]),
    )
