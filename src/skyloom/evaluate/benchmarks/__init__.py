"""Public benchmarks for any model: lm-evaluation-harness' task definitions and metrics, answered by our engine.

Input: task names, local or hub data, models; output: `tasks.json` and `items.jsonl.gz`. Read in this order: `task_index` (names
to definitions), `task_data` (local files), `task_building` (definitions and data to tasks, with all checks), `harness_model` (the
harness' LM class over the engine), `answer_journal` (going on after a kill), `asking` (requests to answers to items),
`item_records`, `task_scores` (figures with intervals and near ties), `task_comparison`, `task_command` (all of it, as the command
line calls it).

lm-eval is imported inside functions only: it is an extra, and takes seconds.
"""
