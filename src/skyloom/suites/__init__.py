"""What models are measured on: held-out text by domain, and multiple-choice items with pinned prompts. No model code.

`heldout_sets` reads what the corpus set aside; `multiple_choice` and `few_shot` read the exercises; `prompt` renders an
item for either scoring. (Report 2.2 for the held-out sets, 4.4 for the benchmarks.)
"""

from skyloom.suites.choice import few_shot, multiple_choice
from skyloom.suites.heldout import HeldOut, HeldoutSetsConfig, heldout_sets, within_budget
from skyloom.suites.prompts import LABELS, SCORINGS, Item, Labels, Prompt, exercise_text, prompt

__all__ = [
    "LABELS",
    "SCORINGS",
    "HeldOut",
    "HeldoutSetsConfig",
    "Item",
    "Labels",
    "Prompt",
    "exercise_text",
    "few_shot",
    "heldout_sets",
    "multiple_choice",
    "prompt",
    "within_budget",
]
