"""Reads finished runs for a comparison: a work folder, or the folder of one run page in it, becomes recipe, steps and figures.

Input: folders. A work folder may hold many variants of a run; the run page that was finished last is taken, or the one that is
named (`runs/demo/report-…`). Output: for each run what `release.evidence` reads of the steps that its page was made from: these
stand in the page's `_step.json`, so no recipe is opened and nothing is computed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.json_files import LossesFile, PlainTable
from skyloom.core.step import MANIFEST, finished_at
from skyloom.core.store import Store
from skyloom.release.evidence import Evidence, read

REPORT = "report-"


@dataclass(frozen=True)
class ComparedRun:
    """A run under its `label`; `losses`: of each text, None for a run of an earlier version."""

    label: str
    folder: str
    recipe: PlainTable
    found: Evidence
    finished: str
    losses: LossesFile | None


def read_runs(folders: list[Path]) -> list[ComparedRun]:
    """The runs in these folders. ConfigError if there are fewer than two or a folder holds no finished run page; DataError if a
    file is damaged."""
    if len(folders) < 2:
        raise ConfigError("a comparison needs at least two runs; give the work folders of both, such as runs/demo runs/other")
    pages = [_page(folder) for folder in folders]
    names = [_recipe(page).get("name") for page in pages]
    runs = []
    for number, page in enumerate(pages):
        name = str(names[number] or page.parent.name)
        label = name if names.count(names[number]) == 1 else f"{name} ({page.name.removeprefix(REPORT)[:6]})"
        runs.append(_run(page, label))
    return runs


def _page(folder: Path) -> Path:
    """The folder of the run page that a folder means."""
    if folder.name.startswith(REPORT) and (folder / MANIFEST).is_file():
        return folder.resolve()
    found = [page for page in sorted(folder.glob(f"{REPORT}*")) if (page / MANIFEST).is_file()]
    if not found:
        raise ConfigError(f"{folder} holds no finished run page; write it first with skyloom report RECIPE")
    return max(found, key=lambda page: finished_at(Store(page))).resolve()


def _recipe(page: Path) -> PlainTable:
    settings = _manifest(page).get("settings")
    return settings if isinstance(settings, dict) else {}


def _manifest(page: Path) -> dict[str, PlainTable]:
    found = Store(page).read_json(MANIFEST)
    if not isinstance(found, dict) or not isinstance(found.get("needs"), list):
        raise DataError(f"{page / MANIFEST} is not the manifest of a step; write the run page again with skyloom report RECIPE")
    return found


def _run(page: Path, label: str) -> ComparedRun:
    manifest = _manifest(page)
    inputs = {str(need).rpartition("-")[0]: Store(page.parent / str(need)) for need in manifest["needs"]}
    missing = [str(store.root) for store in inputs.values() if not Path(store.root).is_dir()]
    if missing:
        raise ConfigError(f"{page} was made from steps that are no longer there: {', '.join(sorted(missing)[:3])}")
    evaluate = inputs.get("evaluate")
    losses: LossesFile | None = evaluate.read_json("losses.json") if evaluate and evaluate.exists("losses.json") else None
    return ComparedRun(label, str(page), _recipe(page), read(inputs), finished_at(Store(page)), losses)
