"""What others' validators say of a small release, and how many transparency indicators its run answers.

- *croissant*: errors that `mlcroissant` finds in corpus/croissant.json (it is among the peers);
- *cards*: heads of the two cards that `huggingface_hub` cannot read, or that lose a result of `model-index`;
- *answered*: indicators of the Foundation Model Transparency Index with an answer.

    python -m bench.release.statements --json croissant,cards,answered
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import DatasetCard, ModelCard
from tests.planted import small_release

from bench.bars import PEERS_VARIABLE

_VALIDATE = """
import json, sys
import mlcroissant
try:
    issues = mlcroissant.Dataset(jsonld=sys.argv[1]).metadata.ctx.issues
    print(json.dumps(list(issues.errors)))
except mlcroissant.ValidationError as problem:
    print(json.dumps(str(problem).splitlines()[1:]))
"""


def croissant(release: Path) -> float | dict[str, str]:
    """Errors of mlcroissant, or why they were not counted."""
    python = os.environ.get(PEERS_VARIABLE) or sys.executable
    if subprocess.run([python, "-c", "import mlcroissant"], capture_output=True, check=False).returncode:
        return {"not_measured": f"{python} has no mlcroissant (bench/peers.txt; {PEERS_VARIABLE})"}
    done = subprocess.run(
        [python, "-c", _VALIDATE, str(release / "corpus/croissant.json")], capture_output=True, text=True, check=True
    )
    errors = json.loads(done.stdout.splitlines()[-1])
    print("\n".join(errors))
    return float(len(errors))


def cards(release: Path) -> float:
    """Cards that do not come back from the hub's own classes."""
    model, data = ModelCard.load(release / "README.md"), DatasetCard.load(release / "corpus/README.md")
    rows: list[dict[str, Any]] = json.loads((release / "evaluation/choice.json").read_text())["rows"]
    read = {result.metric_value for result in model.data.eval_results or []}
    lost = [row for row in rows if row["model"] == "final" and row["accuracy"] not in read]
    return float(bool(lost)) + float("dataset_info" not in data.data.to_dict())


def main() -> int:
    parser = argparse.ArgumentParser(description="Validators of others over a small release.")
    parser.add_argument("--json", default="croissant,cards,answered", help="which figures")
    names = parser.parse_args().json.split(",")
    torch.set_num_threads(1)  # models of 80,000 parameters: a second thread only waits
    with tempfile.TemporaryDirectory() as place:
        release = small_release.publish(small_release.build(Path(place) / "run"), Path(place) / "release")
        answered = sum(row["answer"] is not None for row in json.loads((release / "transparency.json").read_text()))
        figures: dict[str, Callable[[], float | dict[str, str]]] = {
            "croissant": lambda: croissant(release), "cards": lambda: cards(release), "answered": lambda: float(answered),
        }  # fmt: skip
        values = {name: figures[name]() for name in names}
    if len(names) == 1:
        value = values[names[0]]
        print(json.dumps(value if isinstance(value, dict) else {"value": value}))
    else:
        print(json.dumps({"values": {name: values[name] for name in names}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
