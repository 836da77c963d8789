"""Public benchmarks for any model: lm-evaluation-harness' task definitions and metrics, answered by our engine.

Input: task names, local or hub data, models; output: `tasks.json` and `items.jsonl.gz`. Read in this order: `task_index` (names
to definitions), `task_data` (local files), `task_building` (definitions and data to tasks, with all checks), `harness_model` (the
harness' LM class over the engine), `answer_journal` (going on after a kill), `asking` (requests to answers to items),
`item_records`, `task_scores` (figures with intervals and near ties), `task_comparison`, `task_command` (all of it, as the command
line calls it), `training_scores` (a few items of each task, asked of a model in training, with `training_engine`).

lm-eval is imported inside functions only: it is an extra, and takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.evaluate.benchmarks.answer_journal import Answer, AnswerJournal, answer_key
    from skyloom.evaluate.benchmarks.task_command import (
        Asking,
        TaskReport,
        compare_two,
        comparison_table,
        evaluate_tasks,
        fields,
        only_compared,
        table,
    )
    from skyloom.evaluate.benchmarks.task_comparison import ITEMS, RIGHT, TASKS, ComparisonRow
    from skyloom.evaluate.benchmarks.task_data import Item, read_items
    from skyloom.evaluate.benchmarks.task_index import require_harness
    from skyloom.evaluate.benchmarks.task_scores import BenchmarkRow
    from skyloom.evaluate.benchmarks.training_scores import built_tasks, scores_in_training
else:
    __getattr__ = lazy(__name__, {
        "answer_journal": ("Answer", "AnswerJournal", "answer_key",),
        "task_data": ("Item", "read_items",),
        "task_command": (
            "Asking", "TaskReport", "compare_two", "comparison_table", "evaluate_tasks", "fields", "only_compared", "table",
        ),
        "task_comparison": ("ITEMS", "RIGHT", "TASKS", "ComparisonRow",),
        "task_index": ("require_harness",),
        "task_scores": ("BenchmarkRow",),
        "training_scores": ("built_tasks", "scores_in_training",),
    })  # fmt: skip

__all__ = [
    "ITEMS",
    "RIGHT",
    "TASKS",
    "Answer",
    "AnswerJournal",
    "Asking",
    "BenchmarkRow",
    "ComparisonRow",
    "Item",
    "TaskReport",
    "answer_key",
    "built_tasks",
    "compare_two",
    "comparison_table",
    "evaluate_tasks",
    "fields",
    "only_compared",
    "read_items",
    "require_harness",
    "scores_in_training",
    "table",
]  # fmt: skip
