"""Benchmark tasks of a model in training: a small fixed subset of each, scored at the released checkpoints. Report 2.2 and 4.

Input: `train.score_tasks`, the tokenizer, and how long the stages train; output: a function from the model in training to lines of
`scores.jsonl`. The subset is the first items of each task, as `skyloom eval tasks --limit` takes them, so that a released
checkpoint can be asked the same again. It is chosen before the first step and never changes: as many items as are computed in
`train.score_share` of the training time between two released checkpoints, in tokens of a forward pass (`score.reckoning`). A
clock would choose differently in each run, and training is a function of its settings. What it really took is measured as well.

A model that is whole in one process is asked through the engine with its cache, with its fp32 masters. One that is spread over
processes reads each request anew, in the precision of training; it cannot draw samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lm_eval.api.instance import Instance

from skyloom.core.errors import ConfigError, DataError, SkyloomError
from skyloom.core.progress import Progress
from skyloom.evaluate.benchmarks.answer_journal import AnswerJournal
from skyloom.evaluate.benchmarks.asking import KINDS, ask, requests_of
from skyloom.evaluate.benchmarks.harness_model import ContextWords, HarnessModel
from skyloom.evaluate.benchmarks.task_building import Built, build
from skyloom.evaluate.benchmarks.task_scores import BenchmarkRow, group_rows, task_rows
from skyloom.evaluate.benchmarks.training_engine import BATCH_TOKENS, EngineInTraining, WordsInTraining
from skyloom.score.nll import Model, Scorer
from skyloom.score.reckoning import Reckoning
from skyloom.tokenizer import Tokenizer
from skyloom.train.config import ScoreTaskConfig, TrainConfig
from skyloom.train.watch import Score, Scores

ACCURACIES = ("acc", "exact_match")
"""How the names of metrics begin that are shares of right answers."""
FORWARD = {"cpu": 0.6, "cuda fp32": 0.6, "cuda bf16": 3.0, "spread": 0.6}
"""The time that a token of a forward pass takes, as a part of that of a token of training. A third by their operations; training
is compiled and scoring is not. On an accelerator the fp32 masters are multiplied at a seventh of the speed of bf16. Measured for a
CPU (docs/benchmarks.md), reckoned for the others."""


@dataclass(frozen=True)
class ScoringWork:
    """Training between two released checkpoints, in tokens, and how a token of scoring compares with one of training."""

    between: float
    forward: float

    @classmethod
    def of(cls, config: TrainConfig, between: float, device: str) -> ScoringWork:
        """`between`: the fewest tokens between two released checkpoints of any stage; `device`: "cpu" or "cuda"."""
        kind = "spread" if config.layout.world > 1 else device if device == "cpu" else f"{device} {config.precision}"
        return cls(between, FORWARD[kind])

    def tokens(self, share: float) -> float:
        """Tokens of a forward pass that fit into a share of the training time."""
        return share * self.between / self.forward


class TaskScores:
    """Scores of a model on the first items of each task; `wanted`: how many of each were asked for, `limits`: how many fit,
    `reckoned`: tokens of a forward pass that they take.

    ConfigError or DataError, before the first step, for whatever `skyloom eval tasks` refuses.
    """

    def __init__(self, config: TrainConfig, tokenizer: Tokenizer, hidden: int, work: ScoringWork) -> None:
        self._spread = config.layout.world > 1
        self._built = built_tasks(config.score_tasks)
        tasks = {name: task for built in self._built for name, task in built.tasks.items()}
        greedy = any(task.OUTPUT_TYPE == "loglikelihood" or "exact_match" in task.aggregation() for task in tasks.values())
        self._engine = EngineInTraining(config.context, hidden, greedy)
        self._lm = HarnessModel(
            WordsInTraining(tokenizer, config.context), self._engine, AnswerJournal(None),
            words=ContextWords("train.context", "give the task fewer shots, or leave it out"),
        )  # fmt: skip
        self.limits = {
            name: min(asked.items, len(task.eval_docs))
            for asked, built in zip(config.score_tasks, self._built, strict=True)
            for name, task in built.tasks.items()
        }
        requests = [request for built in self._built for kind in requests_of(built, self.limits)[1].values() for request in kind]
        try:
            self._lm.check({kind: [r for r in requests if r.request_type == kind] for kind in KINDS})
        except DataError as problem:
            raise ConfigError(f"train.score_tasks: {problem}") from problem
        self.wanted = dict(self.limits)
        self._fit(requests, work.tokens(config.score_share))

    def _fit(self, requests: Sequence[Instance], tokens: float) -> None:
        """As many items of each task as are computed in `tokens` tokens: the same number of each that has so many."""
        places: dict[int, int] = {}
        for name in self.limits:
            own: dict[int, int] = {}
            for request in (r for r in requests if r.task_name == name):
                places[id(request)] = own.setdefault(request.doc_id or 0, len(own))

        def fits(most: int) -> bool:
            return self._work([r for r in requests if places[id(r)] < most]) <= tokens

        low, high = 0, max(self.limits.values()) + 1  # so many fit, so many are too many
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        self.limits = {name: min(limit, low) for name, limit in self.limits.items()}
        self.reckoned = self._work([r for r in requests if places[id(r)] < low])

    def _work(self, requests: Sequence[Instance]) -> float:
        """Tokens of a forward pass that these requests take."""
        asked = self._lm.asked([r for r in requests if r.request_type == "loglikelihood"])
        texts = self._lm.model.encode([str(r.args[0]) for r in requests if r.request_type == "loglikelihood_rolling"])
        wanted = self._lm.wanted([r for r in requests if r.request_type == "generate_until"])
        work = Reckoning(self._lm.model.context, BATCH_TOKENS, self._engine.costs, shared=not self._spread)
        total = work.likelihoods(asked) * (2 if self._spread and self._engine.greedy else 1)
        return total + work.rolling(list(map(len, texts))) + work.generated([w.prompt for w in wanted], [w.most for w in wanted])

    def __call__(self, model: Model | Scorer) -> list[Score]:
        """Lines of `scores.jsonl`: a row of each metric of each group and task."""
        self._lm.journal = AnswerJournal(None)
        self._engine.take(model)
        try:
            return [_line(row) for built in self._built for row in self._rows(built)]
        finally:
            self._engine.release()

    def _rows(self, built: Built) -> list[BenchmarkRow]:
        answers, _ = ask(built, self._lm, limit={name: self.limits[name] for name in built.tasks}, progress=Progress.silent())
        rows = [row for name, answered in answers.items() for row in task_rows("", name, answered)]
        return [row for group in built.groups.values() for row in group_rows("", group, answers, rows)] + rows


def scores_in_training(
    config: TrainConfig, tokenizer: Tokenizer, hidden: int, between: float, device: str, progress: Progress
) -> Scores | None:
    """What training asks at its released checkpoints of `train.score_tasks`, or None. It says where it takes fewer items.

    `hidden`: of the model; `between`: the fewest tokens between two released checkpoints of any stage; `device`: "cpu" or "cuda".
    """
    if not config.score_tasks:
        return None
    scores = TaskScores(config, tokenizer, hidden, ScoringWork.of(config, between, device))
    share = f"{100 * config.score_share:g} % of the training time between two released checkpoints"
    if not any(scores.limits.values()):
        progress.log(f"warning: train.score_tasks: not one item of each task fits into {share}; no task is scored")
        return None
    for name, limit in scores.limits.items():
        fewer = f" instead of {scores.wanted[name]}, so that it takes at most {share}" if limit < scores.wanted[name] else ""
        progress.log(f"benchmark {name}: {limit} items at each released checkpoint{fewer}")
    return scores


def built_tasks(wanted: Sequence[ScoreTaskConfig]) -> list[Built]:
    """The tasks of each entry of `train.score_tasks`. Errors as `skyloom eval tasks`, and for one named twice."""
    found: list[Built] = []
    for one in wanted:
        data = [f"{one.task}={one.data}"] if one.data else []
        try:
            found.append(build([one.task], shots=None if one.shots < 0 else one.shots, limit=one.items, data=data))
        except SkyloomError as problem:
            raise type(problem)(f"train.score_tasks: {problem}") from problem
    names = [name for built in found for name in built.tasks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"train.score_tasks names {', '.join(twice)} twice")
    return found


def _line(row: BenchmarkRow) -> Score:
    """A row as a line of `scores.jsonl`; `accuracy` is null where the metric is none."""
    accuracy = row["metric"].startswith(ACCURACIES)
    return {
        "benchmark": row["task"], "lang": "", "items": row["n"], "accuracy": row["value"] if accuracy else None, "low": row["low"],
        "high": row["high"], "chance": row["chance"], "metric": row["metric"], "filter": row["filter"], "value": row["value"],
        "bits_per_byte": row["right_bits_per_byte"], "bits_low": row["right_low"], "bits_high": row["right_high"],
        "shots": row["shots"], "of": row["of"], "prompts": row["prompts"],
    }  # fmt: skip
