"""Where figures come from: the files of the steps with their SHA-256, and the command that prints the same figures.

Input: the folders of finished steps. Output: a `QuotedFile` for each file that a figure names. The hash is the one that the
step's manifest holds, so that a reader can compare it with `_step.json`; of telemetry, which is no part of a step's content, it
is computed.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from skyloom.core.json_files import StepManifest
from skyloom.core.step import MANIFEST
from skyloom.core.store import Store

COMMANDS = {
    "ledger": "skyloom corpus build {recipe} --json",
    "mixture": "skyloom corpus mixture {recipe} --json",
    "tokenizer": "skyloom tokenizer train {recipe} --json",
    "tokens": "skyloom data pack {recipe} --json",
    "shares": "skyloom data show {recipe} --json",
    "train": "skyloom train {recipe} --json",
    "eval": "skyloom eval {recipe} --json",
    "leak": "skyloom leak {recipe} --json",
}
"""What prints the figures of a part again."""


@dataclass(frozen=True)
class QuotedFile:
    """A file of a run: `name` is step and file, "stage1/heldout.jsonl"."""

    name: str
    sha256: str


class Provenance:
    """The files of the steps in `inputs`, by step name, with their hashes; `recipe` is what commands call the recipe."""

    def __init__(self, inputs: Mapping[str, Store], recipe: str) -> None:
        self._inputs, self._recipe = inputs, recipe
        self._manifests: dict[str, dict[str, str]] = {}

    def files(self, *names: str) -> tuple[QuotedFile, ...]:
        """The files of these names ("corpus/ledger.json") that there are, with their hashes."""
        found = []
        for name in names:
            step, _, file = name.partition("/")
            store = self._inputs.get(step)
            if store is not None and store.exists(file):
                found.append(QuotedFile(name, self._hashes(step).get(file) or store.describe(file).sha256))
        return tuple(found)

    def command(self, part: str) -> str:
        """The command line that prints the figures of a part, one of `COMMANDS`."""
        return COMMANDS[part].format(recipe=shlex.quote(self._recipe))

    def _hashes(self, step: str) -> dict[str, str]:
        if step not in self._manifests:
            store = self._inputs[step]
            manifest: StepManifest | None = store.read_json(MANIFEST) if store.exists(MANIFEST) else None
            self._manifests[step] = {entry["name"]: entry["sha256"] for entry in manifest["files"]} if manifest else {}
        return self._manifests[step]
