"""Whether the control of the leakage audit can see: a small recipe, many seeds, what the rule flags in each.

    python -m studies.leakage_control --out FOLDER [--seeds 20] [--first 1]     runs what is missing, prints the table
    python -m studies.leakage_control --out FOLDER --table                      only the table
    python -m studies.leakage_control --out FOLDER --json planted,held-back     for the bars: {"values": {...}}

Input: nothing but a seed. Output: `seeds.jsonl` in the folder, one line per seed with the audit's figures as `leakage.json` holds
them, and the table of what was flagged. A seed draws the exercises, the lot of the halves, the weights and the order of training.
Model and training are the project's own decoder, optimiser and audit, in fp32, on generated exercises of both languages only:

- before: a decoder of 0.26 M parameters reads the train split `EPOCHS` times;
- final: it goes on with the train split once more and `COPIES` copies of each planted exercise among it.

Nothing is chosen after a look at the seeds of the bar (1 to 20): size, copies, items and rates were chosen on the seeds from 101 on
(docs/7-leakage.md says what was seen there), and the rule is that of the audit, unchanged. A run can be stopped at any moment; what
is finished is not done again. A folder of other settings is refused.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from studies.seed_lines import append_seed, read_seeds
from torch.nn import functional as F

from skyloom.core.json_files import LeakageControl, LeakageReport
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.stem import StemConfig, generate
from skyloom.evaluate.models import LoadedModel
from skyloom.leakage.config import LeakageConfig
from skyloom.leakage.control_words import CLEAN, PLANTED
from skyloom.leakage.gap import audit
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.tokenizer import Tokenizer
from skyloom.tokenizer.config import TokenizerConfig
from skyloom.tokenizer.train import train as train_tokenizer
from skyloom.train.config import TrainConfig
from skyloom.train.step.optim import MasterOptimizer

SEEDS, TUNED_ON = 20, 101
VOCABULARY = TokenizerConfig(vocabulary=1408, base=1000, characters=300, words=91, reserved=17, least_count=2, fit=True)
VOCABULARY_SEED = 100  # of the exercises that the tokenizer is trained on: those of no measured seed
WANTED = {"planted": "at least 19", "held-back": "at most 3", "test": "at most 3", "before": "at most 3"}


@dataclass(frozen=True)
class Recipe:
    """What a seed trains. `rate`: peak of the learning rate before planting; the final model goes on at `late`."""

    train: int = 312
    judged: int = 156
    planted: int = 100
    copies: int = 10
    epochs: int = 2
    hidden: int = 64
    layers: int = 2
    ffn: int = 160
    context: int = 192
    batch: int = 8
    rate: float = 4e-3
    late: float = 1e-3


class Outcome(TypedDict):
    """A line of `seeds.jsonl`."""

    seed: int
    recipe: dict[str, int | float]
    parameters: int
    audit: LeakageReport


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer of the study, trained once on the exercises of a seed that is not measured."""
    out = Store(folder / "tokenizer")
    if not out.exists("tokenizer.model"):
        with tempfile.TemporaryDirectory() as place:
            given = Store(place)
            generate(StemConfig(seed=VOCABULARY_SEED), given, progress=Progress.silent())
            given.write_bytes("documents-00000.parquet", given.read_bytes("exercises-train.parquet"))
            train_tokenizer(given, out, VOCABULARY, progress=Progress.silent())
    return Tokenizer.load(out)


def one_seed(seed: int, recipe: Recipe, tokenizer: Tokenizer) -> Outcome:
    """Train both models of a seed and audit them."""
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as place:
        exercises, out = Store(Path(place, "exercises")), Store(Path(place, "leakage"))
        sizes = {"train": recipe.train, "valid": 1, "test": recipe.judged, "ref": recipe.judged, "canaries": recipe.planted}
        generate(StemConfig(**sizes, seed=seed), exercises, progress=Progress.silent())
        read, planted = (_encoded(exercises, split, tokenizer, recipe.context) for split in ("train", "canary"))
        config = ModelConfig(
            vocabulary=tokenizer.vocab_size,
            hidden=recipe.hidden,
            layers=recipe.layers,
            heads=4,
            ffn=recipe.ffn,
            context=recipe.context,
        )
        model = initialise(Decoder(config), seed)
        rng = np.random.default_rng(seed)
        optimiser = MasterOptimizer(model, dict(model.named_parameters()), TrainConfig(precision="fp32"))
        _learn(model, optimiser, read * recipe.epochs, recipe, rng, recipe.rate)
        before = copy.deepcopy(model)
        _learn(model, optimiser, read + planted * recipe.copies, recipe, rng, recipe.late)
        models = {name: LoadedModel(found.eval(), recipe.context) for name, found in ((CLEAN, before), (PLANTED, model))}
        audit(models, exercises, tokenizer, out, LeakageConfig(seed=seed), progress=Progress.silent())
        found: LeakageReport = out.read_json("leakage.json")
    parameters = sum(weight.numel() for weight in model.parameters())
    return {"seed": seed, "recipe": asdict(recipe), "parameters": parameters, "audit": found}


def _encoded(exercises: Store, split: str, tokenizer: Tokenizer, context: int) -> list[torch.Tensor]:
    """The exercises of a split as training reads them: <s>, the tokens, </s>; cut at the context."""
    texts = exercises.read_table(f"exercises-{split}.parquet", ["text"])["text"].to_pylist()
    ids = tokenizer.encode_batch(texts, threads=1)
    return [torch.tensor([tokenizer.bos_id, *row, tokenizer.eos_id][: context + 1]) for row in ids]


def _learn(
    model: Decoder, optimiser: MasterOptimizer, items: list[torch.Tensor], recipe: Recipe, rng: np.random.Generator, peak: float
) -> None:
    """Read each of the items once, in random order; the rate rises over the first steps and falls to `late` by a cosine."""
    model.train()
    order, steps = rng.permutation(len(items)), len(items) // recipe.batch
    for step in range(steps):
        rows = [items[i] for i in order[step * recipe.batch : (step + 1) * recipe.batch]]
        batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        target = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)[:, 1:]
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), target.flatten(), ignore_index=-100)
        loss.backward()
        falling = recipe.late + (peak - recipe.late) * (1 + np.cos(np.pi * step / steps)) / 2
        optimiser.step(float(falling * min(1.0, (step + 1) / 30)))


def read_outcomes(folder: Path, recipe: Recipe) -> list[Outcome]:
    """The finished seeds in order. ValueError if the folder holds seeds of another recipe."""
    found: list[Outcome] = read_seeds(folder / "seeds.jsonl", asdict(recipe))
    return sorted(found, key=lambda outcome: outcome["seed"])


def flagged(outcome: Outcome) -> dict[str, bool]:
    """What the rule flags in a seed. "before": any of the three sets, in the model before planting."""
    control = outcome["audit"]["control"]
    if control is None:
        raise ValueError(f"seed {outcome['seed']} has no control")
    before = ("canaries_flagged_in_stage1", "heldback_flagged_in_stage1", "clean_test_flagged_in_stage1")
    return {
        "planted": bool(control["canaries_flagged_in_final"]),
        "held-back": bool(control["heldback_flagged_in_final"]),
        "test": bool(control["clean_test_flagged_in_final"]),
        "before": any(_seen(control, before)),
        "difference": bool(control["pairs_flagged_in_final"]),
        "holds": bool(control["holds"]),
    }


def _seen(control: LeakageControl, names: Sequence[str]) -> list[bool]:
    return [bool(value) for name, value in control.items() if name in names]


def table(outcomes: Sequence[Outcome]) -> str:
    """The counts beside their bars, and the gaps of each seed."""
    lines = [f"| of {len(outcomes)} seeds | flagged | bar |", "|---|---:|---|"]
    counts = {name: sum(flagged(outcome)[name] for outcome in outcomes) for name in flagged(outcomes[0])}
    lines += [f"| {name} | {count} | {WANTED.get(name, 'none')} |" for name, count in counts.items()]
    lines += [
        "",
        "| seed | planted, final | held back, final | test, final | planted − held back | planted, before |",
        "|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        control = outcome["audit"]["control"]
        rows = {row["model"]: row for row in outcome["audit"]["rows"]}
        assert control is not None
        final, before, test = control["models"][PLANTED], control["models"][CLEAN], rows[PLANTED]
        cells = [
            _cell(final["delta1"], final["delta1_low"], final["delta1_high"]),
            _cell(final["heldback_delta1"], final["heldback_delta1_low"], final["heldback_delta1_high"]),
            _cell(test["delta1"], test["delta1_low"], test["delta1_high"]),
            _cell(final["paired"], final["paired_low"], final["paired_high"]),
            _cell(before["delta1"], before["delta1_low"], before["delta1_high"]),
        ]
        lines.append(f"| {outcome['seed']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: float | None, low: float | None, high: float | None) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]".replace("-", "−")


def main() -> int:
    parser = argparse.ArgumentParser(description="Count over seeds what the rule of the leakage audit flags.")
    parser.add_argument("--out", type=Path, default=Path("runs/leakage-control"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print the table of what is finished")
    parser.add_argument("--json", help="names of bars: planted, held-back, test, before")
    options, recipe = parser.parse_args(), Recipe()
    try:
        done = read_outcomes(options.out, recipe)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 1
    wanted = range(options.first, options.first + options.seeds)
    missing = [seed for seed in wanted if seed not in {outcome["seed"] for outcome in done}]
    if options.json:
        return _bars(options.json.split(","), [outcome for outcome in done if outcome["seed"] in wanted], missing)
    if not options.table and missing:
        torch.set_num_threads(1)
        options.out.mkdir(parents=True, exist_ok=True)
        tokenizer = tokenizer_of(options.out)
        for seed in missing:
            line = json.dumps(one_seed(seed, recipe, tokenizer), ensure_ascii=False, sort_keys=True) + "\n"
            append_seed(options.out / "seeds.jsonl", line)
            print(f"seed {seed}", flush=True)
        done = read_outcomes(options.out, recipe)
    chosen = [outcome for outcome in done if outcome["seed"] in wanted]
    print(table(chosen) if chosen else "no seed is finished")
    return 0


def _bars(names: list[str], done: list[Outcome], missing: list[int]) -> int:
    """One JSON object for `bench.bars`: how many seeds were flagged under each name."""
    found: dict[str, object] = {"not_measured": f"{len(missing)} seeds are not finished: run python -m studies.leakage_control"}
    values = {name: found if missing else {"value": sum(flagged(outcome)[name] for outcome in done)} for name in names}
    print(json.dumps({"values": values} if len(names) > 1 else values[names[0]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
