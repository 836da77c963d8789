"""Runs, for Python: a recipe in a work folder is planned, run, and its results read as tables.

Input: a recipe and a work folder. Output: `Run`. It does what `skyloom run` does (`run.run`): finished steps are skipped and an
interrupted one is continued, so the same call may be made again at any time. Nothing is made or looked up before a method is
called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from skyloom.core.errors import ConfigError
from skyloom.core.json_files import Rows
from skyloom.core.step import is_done
from skyloom.library.arrow_tables import arrow_table
from skyloom.library.logged_progress import LoggedProgress
from skyloom.library.recipes import Recipe
from skyloom.run.recipe import order, stages
from skyloom.run.run import ResolvedRun
from skyloom.run.run import Run as RecipeRun
from skyloom.run.summary import choice_rows, compression_rows, ledger_rows, mixture_rows, perplexity_rows, step_rows, token_rows

JOURNALS = {"training": "metrics.jsonl", "heldout": "heldout.jsonl"}
"""Tables of all training stages together, and the journal of a stage that each is read from."""
LAST = "report"


@dataclass(frozen=True)
class Run:
    """A recipe in a work folder. `workers`: processes of the corpus steps, None for one for each usable core.

    >>> import skyloom
    >>> run = skyloom.Run.open("tiny")
    >>> set(run.plan()["state"].to_pylist()), "release" in run.folders()
    ({'there'}, True)
    """

    recipe: Recipe
    work: Path
    workers: int | None = None

    @classmethod
    def open(
        cls,
        recipe: str | Path | Recipe,
        *,
        work: str | Path | None = None,
        overrides: Sequence[str] = (),
        source: str | Path | None = None,
        workers: int | None = None,
    ) -> Run:
        """Read a recipe (a file, a name such as "tiny", or a `Recipe`); nothing runs and nothing is written yet.

        `work`: its folder, runs/NAME if None; `overrides`: settings as after --set; `source`: pages instead of the recipe's own.
        ConfigError for whatever is wrong with the recipe.

        >>> import skyloom
        >>> skyloom.Run.open("tiny", overrides=["train.seed=2"], work="runs/小模型").work.name
        '小模型'
        """
        found = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe, source=source)
        if isinstance(recipe, Recipe) and source is not None:
            found = Recipe.load(recipe.path, source=source).override(*recipe.overrides)
        found = found.override(*overrides) if overrides else found
        return cls(found, Path(work) if work is not None else Path("runs", found.name), workers)

    def plan(self) -> pa.Table:
        """What `run` would do: a row for each step, with `step`, `folder`, `state` ("there", "to do", "damaged"), `bytes`, seconds
        of the last time, and `tokens` of a training stage. It looks at the sources and makes the work folder.

        ConfigError or DataError if a source is not there.

        >>> import skyloom
        >>> skyloom.Run.open("tiny").plan()["step"].to_pylist()[:3]
        ['pages', 'extract', 'parallel']
        """
        return arrow_table(self._resolved(self._last()).plan())

    def run(self, until: str | None = None) -> pa.Table:
        """Do all steps to `until` that are not done: None for all that the recipe describes. A row for each step: `step`, `folder`,
        `status` ("done", "skipped", "redone"), `seconds`, `files`, `bytes`.

        ConfigError for a step that the recipe does not have; the errors of the steps as on the command line. After an error, or
        Ctrl-C, the same call goes on where it stopped.

        >>> import skyloom
        >>> set(skyloom.Run.open("tiny").run("corpus")["status"].to_pylist())
        {'skipped'}
        """
        outcomes = self._resolved(until or self._last()).run(until or self._last())
        rows: Rows = [
            {"step": o.name, "folder": o.folder, "status": o.status, "seconds": o.seconds, "files": o.files, "bytes": o.bytes}
            for o in outcomes
        ]
        return arrow_table(rows)

    def folders(self) -> dict[str, Path]:
        """The folders of the finished steps by name, in the order of the run: "corpus", "tokenizer", "stage1" and so on.

        >>> import skyloom
        >>> (skyloom.Run.open("tiny").folders()["release"] / "config.json").exists()
        True
        """
        resolved = self._resolved(self._last())
        return {name: Path(resolved.folder(name).root) for name in _finished(resolved)}

    def tables(self) -> dict[str, pa.Table]:
        """The results of the finished steps as tables, those that there are of:

        "ledger" (documents and bytes by stage and reason), "mixture" (the training part of the corpus), "compression" (of the
        tokenizer, by domain), "tokens" (by domain), "training" (a row for each update: `stage`, `step`, `tokens`, `loss` in nats
        per token, `lr`, and others), "heldout" (a row for each monitoring point and set: `loss` with `low` and `high`, its 95 %
        interval, `bits_per_byte`), "perplexity", "choice" (accuracy), "leakage" (Δ1 and Δ2 with intervals, nats per token),
        "steps".

        >>> import skyloom
        >>> tables = skyloom.Run.open("tiny").tables()
        >>> sorted(set(tables["heldout"]["lang"].to_pylist()) & {"en", "zh"}), tables["training"]["step"][0].as_py()
        (['en', 'zh'], 1)
        """
        resolved = self._resolved(self._last())
        done = _finished(resolved)
        makers = {
            "ledger": (("extract", "corpus"), ledger_rows), "mixture": (("corpus",), mixture_rows),
            "compression": (("tokenizer",), compression_rows), "tokens": (("tokens",), token_rows),
            "training": ((), None), "heldout": ((), None),
            "perplexity": (("evaluate",), perplexity_rows), "choice": (("evaluate",), choice_rows),
            "leakage": (("leakage",), _leakage_rows), "steps": (tuple(resolved.steps), step_rows),
        }  # fmt: skip
        found = {}
        for name, (needs, rows) in makers.items():
            told = _journal(resolved, done, JOURNALS[name]) if rows is None else rows(resolved) if set(needs) <= set(done) else []
            if told:
                found[name] = arrow_table(told)
        return found

    def _opened(self) -> RecipeRun:
        recipe = self.recipe
        return RecipeRun.open(
            recipe.path,
            work=self.work,
            overrides=recipe.overrides,
            source=recipe.source,
            text_field=recipe.text_field,
            workers=self.workers,
            progress=LoggedProgress(),
        )

    def _resolved(self, until: str) -> ResolvedRun:
        opened = replace(self._opened(), origin=self.recipe.origin)
        resolved = opened.resolve(until) if until in order(opened.recipe) else None
        if resolved is None or until not in resolved.steps:
            raise ConfigError(
                f"a run of {self.recipe.origin} has no step {until!r}; its steps are {', '.join(order(opened.recipe))}"
            )
        return resolved

    def _last(self) -> str:
        """The last step that the recipe describes."""
        settings = self.recipe.settings
        if settings.tokenizer is None:
            return "corpus"
        return LAST if settings.model is not None and settings.stages else "tokens"


def _finished(resolved: ResolvedRun) -> list[str]:
    """The names of the finished steps, in order."""
    return [name for name, step in resolved.steps.items() if is_done(resolved.work, step)]


def _journal(resolved: ResolvedRun, done: Sequence[str], file: str) -> Rows:
    """The lines of one journal of all finished stages, without the figures that are tables themselves."""
    rows: Rows = []
    for stage in (name for name in stages(resolved.recipe) if name in done):
        for line in resolved.folder(stage).read_json_lines(file):
            rows.append({key: value for key, value in line.items() if not isinstance(value, dict | list)})
    return rows


def _leakage_rows(resolved: ResolvedRun) -> Rows:
    found: Rows = resolved.folder("leakage").read_json("leakage.json")["rows"]
    return [{key: value for key, value in row.items() if not isinstance(value, dict | list)} for row in found]
