"""Sets of documents that a user names for perplexity: files and folders, and the held-out sets of a run that was made.

Input: words: FOLDER, FILE, NAME=FILE or run:RECIPE. Output: the sets, those of files first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from skyloom.core.progress import Progress
from skyloom.evaluate.texts import Texts, as_set, read_sets
from skyloom.run.run import Run
from skyloom.suites import heldout_sets

OF_A_RUN = "run:"


def named_sets(words: Sequence[str], progress: Progress) -> list[Texts]:
    """The sets in their order. Errors as `read_sets` and `Run.finished`."""
    found = read_sets([word for word in words if not word.startswith(OF_A_RUN)])
    ours = [word.removeprefix(OF_A_RUN) for word in words if word.startswith(OF_A_RUN)]
    return found + [one for recipe in ours for one in _held_out(recipe, progress)]


def _held_out(recipe: str, progress: Progress) -> Iterator[Texts]:
    run = Run.open(recipe, progress=progress)
    found = run.finished("corpus", "exercises", maker="skyloom run")
    for one in heldout_sets(found.folder("corpus"), found.folder("exercises"), run.recipe.heldout_sets).values():
        yield as_set(one.name, one.ids, one.texts)
