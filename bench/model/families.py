"""Today's dense open models: is our decoder transformers' model, and does each family load, train, export and be planned?

Input: small random models of eight families with the `config.json` of their publishers (`tests/planted/families.py`), three shapes
each. Output: the largest difference of logits and of gradients, each as a share of the tensor's largest absolute value, in fp32: in
one process, with the matrices shared by two processes (TP2) and with the blocks shared by two (PP2; a tied model has one stage);
and which families went all the way: loaded, trained three steps with a falling loss, planned, run dry, written and read back by
transformers.

    python -m bench.model.families                  # the table
    python -m bench.model.families --json all       # the bars
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.planted.families import FAMILIES, SHAPES, tokens, write
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn import functional as F

from bench.answers import answer, offer
from skyloom.core.progress import Progress
from skyloom.model.adopt import read_shape
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder, holding
from skyloom.model.hf import from_hf, to_hf, to_hf_config
from skyloom.planner.layout import Layout
from skyloom.planner.memory import FUSED, memory
from skyloom.train.config import TrainConfig
from skyloom.train.distributed import ParallelLearner, mesh
from skyloom.train.dryrun.simulate import dry_run
from skyloom.train.step import SingleLearner

BARS = ("equal", "families")
ROOT = Path(__file__).resolve().parents[2]
LAYOUTS = {"TP2": Layout(tensor=2, micro_batch=1), "PP2": Layout(pipeline=2, micro_batch=1)}
ROWS, STEPS, RATE, CLOSE = 2, 3, 3e-3, 1e-5


@dataclass(frozen=True)
class Differences:
    """The largest, as shares of the tensor's largest absolute value."""

    logits: float
    gradients: float

    @property
    def most(self) -> float:
        return max(self.logits, self.gradients)


def difference(found: Tensor, wished: Tensor) -> float:
    """The largest difference as a share of the largest absolute value."""
    share = float((found - wished).detach().abs().max() / wished.detach().abs().max())
    return share if math.isfinite(share) else math.inf


def gradients(model: nn.Module, batch: Tensor, config: ModelConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits of a model of transformers, and the gradients of the mean loss of int64[rows, width + 1] under our names."""
    model.zero_grad()
    logits: Tensor = model(input_ids=batch[:, :-1], use_cache=False).logits
    torch.autograd.backward(F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()))
    found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return logits.detach(), from_hf(found, config)


def single(folder: Path, theirs: nn.Module) -> Differences:
    """One process."""
    config = read_shape(folder)
    weights = from_hf(load_file(folder / "model.safetensors"), config)
    model = Decoder(config)
    model.load_state_dict(weights, strict=not config.tied)
    batch = tokens(config.vocabulary, ROWS, config.context + 1)
    logits, wished = gradients(theirs, batch, config)
    ours = model(batch[:, :-1])
    torch.autograd.backward(F.cross_entropy(ours.flatten(0, 1), batch[:, 1:].flatten()))
    own = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return Differences(difference(ours, logits), max(difference(own[name], wished[name]) for name in wished))


def spread(folder: Path, theirs: nn.Module, place: mesh.Place) -> Differences:
    """This process's share of two; of the logits those of the tokens that follow."""
    config = read_shape(folder)
    weights = from_hf(load_file(folder / "model.safetensors"), config)
    batch = tokens(config.vocabulary, ROWS, config.context + 1)
    logits, wished = gradients(theirs, batch, config)
    settings = TrainConfig(batch=ROWS, context=config.context, precision="fp32", layout=place.layout)
    learner = ParallelLearner.build(settings, config, place, blank=True)
    learner.begin(weights.__getitem__)
    learner.measure(batch)
    own = {name: weight.grad for name, weight in learner.masters.items()}
    apart = [difference(g.full_tensor(), wished[name]) for name, g in own.items() if isinstance(g, DTensor)]

    def of_targets(logits: Tensor, targets: Tensor) -> Tensor:
        whole = logits.full_tensor() if isinstance(logits, DTensor) else logits
        return whole.gather(-1, targets[..., None])[..., 0]

    found = learner._read(batch, of_targets)
    wanted = logits.gather(-1, batch[:, 1:, None])[..., 0]
    both = torch.tensor([difference(found, wanted), max(apart)])
    torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX)
    return Differences(*both.tolist())


def work(out: Path, names: list[str]) -> None:
    """What each of two processes does: every untied shape under both layouts; the first process writes what was found."""
    found: dict[str, list[float]] = {}
    for label, layout in LAYOUTS.items():
        place = mesh.join(layout, timeout_seconds=300)
        for name in names:
            family, number = name.rsplit(" ", 1)
            with tempfile.TemporaryDirectory() as folder:
                theirs = write(family, int(number), Path(folder) / "model")
                if label == "PP2" and read_shape(Path(folder) / "model").tied:
                    continue
                one = spread(Path(folder) / "model", theirs, place)
            found[f"{name} {label}"] = [one.logits, one.gradients]
    if torch.distributed.get_rank() == 0:
        out.write_text(json.dumps(found))
    mesh.leave()


def on_two(names: list[str]) -> dict[str, Differences]:
    """Differences under TP2 and PP2 by "family number layout"."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command += ["-m", "bench.model.families", "--rank", str(out), json.dumps(names)]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
        return {name: Differences(*pair) for name, pair in json.loads(out.read_text()).items()}


def goes_all_the_way(folder: Path, theirs: nn.Module) -> str:
    """What a model cannot do, in a word; "" if it loads, trains, is planned and run dry, and is read back by transformers."""
    config = read_shape(folder)
    weights = from_hf(load_file(folder / "model.safetensors"), config)
    if config.parameters != sum(p.numel() for p in theirs.parameters()):
        return "counted"
    settings = TrainConfig(batch=ROWS, context=config.context, precision="fp32")
    learner = SingleLearner(settings, config, compiled=False, bos_id=1)
    learner.begin(weights.__getitem__)
    batch, losses = tokens(config.vocabulary, ROWS, config.context + 1), []
    for step in range(STEPS + 1):
        losses.append(learner.measure(batch, step)[0])
        learner.apply(RATE)
    if losses != sorted(losses, reverse=True):
        return "trained"
    (dry,) = dry_run(settings, config, [Layout(tensor=2, micro_batch=1)], progress=Progress.silent())
    planned = memory(config, dry.layout, ROWS, config.context, FUSED, 0.0)
    held = {shard.name: shard.whole for rank in dry.ranks for shard in rank.shards}
    if planned.weights <= 0 or held != {name: tuple(weight.shape) for name, weight in weights.items()}:
        return "planned"
    state, out = learner.optimiser.weights(), folder.with_name("exported")
    out.mkdir()
    save_file({n: w.clone() for n, w in to_hf(state, config).items()}, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(to_hf_config(config, bos_id=1, eos_id=2, dtype="float32")))
    again = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, local_files_only=True).eval()
    with torch.no_grad():
        apart = difference(again(input_ids=batch[:, :-1]).logits, holding(config, state)(batch[:, :-1]))
    return "" if apart <= CLOSE and read_shape(out) == config else "exported"


@cache
def here() -> tuple[dict[str, Differences], dict[str, str]]:
    """Of each shape the differences in one process, and of each family what it cannot do."""
    alike, failed = {}, {}
    for family in FAMILIES:
        for number in range(SHAPES):
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder) / "model"
                theirs = write(family, number, place)
                alike[f"{family} {number}"] = single(place, theirs)
                if number == 0:
                    failed[family] = goes_all_the_way(place, theirs)
    return alike, failed


@cache
def shared() -> dict[str, Differences]:
    return on_two([f"{family} {number}" for family in FAMILIES for number in range(SHAPES)])


def value(name: str) -> float:
    """A bar."""
    if name == "families":
        return float(sum(not what for what in here()[1].values()))
    return max(one.most for one in (*here()[0].values(), *shared().values()))


def tables() -> None:
    alike, failed = here()
    print("| family | one process: logits | gradients | TP2: logits | gradients | PP2: logits | gradients | all the way |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    for family in FAMILIES:
        cells = []
        for found, label in ((alike, ""), (shared(), " TP2"), (shared(), " PP2")):
            ones = [found[key] for n in range(SHAPES) if (key := f"{family} {n}{label}") in found]
            cells += [f"{max(o.logits for o in ones):.1e}", f"{max(o.gradients for o in ones):.1e}"] if ones else ["–", "–"]
        print(f"| {family} | {' | '.join(cells)} | {'yes' if not failed[family] else 'not ' + failed[family]} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    offer(parser, BARS)
    parser.add_argument("--rank", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if options.rank:
        work(Path(options.rank[0]), json.loads(options.rank[1]))
        return 0
    return answer(options.json, value, tables)


if __name__ == "__main__":
    sys.exit(main())
