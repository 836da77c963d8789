"""The run page of a finished run, written anew to a file of the user's.

Input: a finished run. Output: its page as the step `report` writes it, and with what stands beside the run by now: the trace index
of its corpus, in which samples are traced. The step itself reads nothing but its inputs, so that equal inputs give equal bytes.
"""

from __future__ import annotations

from pathlib import Path

from skyloom.core.step import StepContext
from skyloom.core.store import FileRecord, Store
from skyloom.report.figures.sample_traces import index_beside
from skyloom.report.page import write
from skyloom.run.run import ResolvedRun
from skyloom.run.steps import run_facts


def write_page_anew(run: ResolvedRun, place: Path) -> FileRecord:
    """Write the page to the file `place`, whole or not at all. The run is finished.

    IntegrityError if the trace index is damaged, StorageError if the file cannot be written.
    """
    step, out = run.steps["report"], Store(place.absolute().parent)
    context = StepContext(step, out, {need.name: run.folder(need.name) for need in step.needs}, run.engine, run.progress)
    index, facts = index_beside(context.inputs, run.progress), run_facts(run.recipe, context)
    return write(context.inputs, out, run.recipe.report, facts, name=place.name, index=index, progress=run.progress)
