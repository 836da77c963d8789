"""One way to train in a process of its own: ours, or a peer that its interpreter has installed.

    python -m bench.train.peers NAME

reads orders and writes answers, each one line of JSON. The first answer is {"version": text} or {"not_installed": module}.
{"task": {"shape": {...}, "tokens": file, "weights": file, "batch": sequences, "rate": number, "watched": steps}} begins another
task; {"steps": n} trains n steps of it and answers {"seconds": [n numbers], "losses": [those that are known], "gib": most memory
held on the card}, and with "profile": file it writes there where the time went. A step's time runs from its batch to the next
one's, so it has all in it that a loop does. A task may also say "device", "compile": false and (to us) "recompute", and answers
{"out_of_memory": true} where it does not fit; "config", the whole config.json of a shape that has more than the six figures of
"shape", is what "skyloom" and Hugging Face's models then read. Tokens: int64[batches, sequences, context + 1]; weights:
safetensors in Hugging Face's names, or null for weights as they come. Only torch and the peer are imported here, because the
peers' environment need not have ours.

"skyloom" is what our loop calls: `SingleLearner.measure` and `apply`, compiled, in its settings of the machine. "trainer" is
Hugging Face's Trainer as it comes, in fp32; "trainer-autocast" is told bf16 and torch_compile, "trainer-bf16" holds a model in
bf16 and compiles it. "hf-loop" is a plain loop with autocast around the compiled model, "hf-loop-bf16" the same with bf16
weights. "litgpt" is its model, loss and Fabric in the order of its pretraining loop with bf16 autocast, "litgpt-bf16" with bf16
weights, both with the fused AdamW that it asks for on CUDA only. "plain" is a loop and a decoder of a page, in the manner of
nanoGPT, in the same shape as the others: one matrix for query, key and value, autocast, torch.compile, fused AdamW. All take
AdamW with the same rate, betas and decay, and clip at 1. Those with bf16 weights keep no fp32 masters, so their updates lose
what bf16 cannot hold: less work than ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

THREADS = 2
BETAS, DECAY, CLIP = (0.9, 0.95), 0.1, 1.0
Task = dict[str, Any]


class NextTaskError(Exception):
    """Raised inside a contender's loop when it is told to begin another task."""


class Clock:
    """Every contender calls it before each step. It answers orders, and notes how long the steps took."""

    def __init__(self, answers: Any) -> None:
        self.answers = answers
        self.order: dict[str, Any] | None = None
        self.asked, self.step = 0, -1
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self.profiler: Any = None

    def answer(self, said: dict[str, Any]) -> None:
        print(json.dumps(said), file=self.answers, flush=True)

    def read(self) -> dict[str, Any] | None:
        line = sys.stdin.readline()
        self.order = json.loads(line) if line.strip() else None
        return self.order

    def __call__(self) -> int:
        """The number of the step that begins now."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if self.step >= 0 and self.asked:
            self.seconds.append(time.perf_counter() - self.last)
        if len(self.seconds) == self.asked:
            if self.asked:
                self._report()
            order = self.read()
            if order is None or "task" in order:
                raise NextTaskError
            self.asked, self.seconds, self.losses = order["steps"], [], []
            if "profile" in order:
                self.profiler = torch.profiler.profile()
                self.profiler.start()
        self.step += 1
        self.last = time.perf_counter()
        return self.step

    def _report(self) -> None:
        import torch

        assert self.order is not None
        if self.profiler is not None:
            self.profiler.stop()
            Path(self.order["profile"]).write_text(where_time_went(self.profiler.key_averages()), encoding="utf-8")
            self.profiler = None
        gib = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
        self.answer({"seconds": self.seconds, "losses": self.losses, "gib": gib})

    def batches(self, task: Task) -> Iterator[Any]:
        """Batch after batch of the task, int64[sequences, context + 1] on its device, in a circle."""
        import numpy as np
        import torch

        tokens = torch.from_numpy(np.load(task["tokens"])).to(device_of(task))
        while True:
            yield tokens[self() % len(tokens)]


KINDS = {
    "matrix products": ("gemm", "nvjet", "cutlass", "aten::mm", "addmm", "mkldnn", "bmm"),
    "attention": ("flash", "fmha", "attention", "softmax"),
    "optimiser": ("multi_tensor", "adam", "foreach", "norm_kernel"),
}


def where_time_went(rows: Any) -> str:
    """Shares of the kernels' own time by kind, and the largest kernels."""
    on_card = any(row.self_device_time_total for row in rows)
    times = {row.key: row.self_device_time_total if on_card else row.self_cpu_time_total for row in rows}
    total = sum(times.values()) or 1
    shares = dict.fromkeys((*KINDS, "everything else"), 0.0)
    for name, spent in times.items():
        kind = next((kind for kind, parts in KINDS.items() if any(part in name.lower() for part in parts)), "everything else")
        shares[kind] += spent / total
    head = "\n".join(f"{share:6.1%} {kind}" for kind, share in shares.items())
    table = rows.table(sort_by="self_device_time_total" if on_card else "self_cpu_time_total", row_limit=40)
    return f"{head}\n\n{table}\n"


def device_of(task: Task) -> str:
    return str(task.get("device", "cpu"))


def compiled(model: Any, task: Task) -> Any:
    import torch

    return torch.compile(model) if task.get("compile", True) else model


def skyloom(task: Task, clock: Clock) -> None:
    import torch

    from skyloom.model.config import ModelConfig
    from skyloom.model.hf import from_hf
    from skyloom.model.hf_config import from_hf_config
    from skyloom.planner.layout import Layout
    from skyloom.train.config import TrainConfig
    from skyloom.train.step.learner import SingleLearner
    from skyloom.train.step.machine import settled

    model = from_hf_config(task["config"]) if task.get("config") else ModelConfig(**task["shape"])
    config = TrainConfig(
        batch=task["batch"],
        context=model.context,
        beta1=BETAS[0],
        beta2=BETAS[1],
        weight_decay=DECAY,
        clip=CLIP,
        layout=Layout(recompute=task.get("recompute", "none")),
    )
    with settled(THREADS):
        learner = SingleLearner(config, model, compiled=task.get("compile", True), bos_id=0, device=device_of(task))
        if task["weights"]:
            learner.begin(from_hf(weights(task), model).__getitem__)
        else:
            with torch.no_grad():
                for weight in learner.optimiser.weights().values():
                    weight.normal_(0, 0.02) if weight.dim() > 1 else weight.fill_(1)
            learner.load(0)
        for step, tokens in enumerate(clock.batches(task)):
            loss, _ = learner.measure(tokens, step)
            learner.apply(task["rate"])
            clock.losses.append(loss)


def hugging_face(task: Task) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

    shape = task["shape"]
    if task.get("config"):
        config = AutoConfig.for_model(**{**task["config"], "use_cache": False})
    else:
        config = LlamaConfig(
            vocab_size=shape["vocabulary"],
            hidden_size=shape["hidden"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            intermediate_size=shape["ffn"],
            max_position_embeddings=shape["context"],
            rms_norm_eps=1e-5,
            tie_word_embeddings=False,
            use_cache=False,
        )
    with torch.device(device_of(task)):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if task["weights"]:
        model.load_state_dict(weights(task))
    return model.train()


def trainer(**options: Any) -> Callable[[Task, Clock], None]:
    """Hugging Face's Trainer with `options`; what is set besides decides what is trained, not how fast."""

    def run(task: Task, clock: Clock) -> None:
        import tempfile

        import numpy as np
        import torch
        from transformers import Trainer, TrainerCallback, TrainingArguments

        tokens = torch.from_numpy(np.load(task["tokens"])).flatten(0, 1)

        class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
            def __len__(self) -> int:
                return 10_000 * task["batch"]

            def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
                row = tokens[number % len(tokens), :-1]
                return {"input_ids": row, "labels": row}

        class Orders(TrainerCallback):
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                clock()  # the first batch is fetched before the first step begins

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                control.should_log = state.global_step <= task["watched"]

            def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
                if "loss" in logs:
                    clock.losses.append(float(logs["loss"]))
                if state.global_step <= task["watched"]:
                    clock()

        class Later(Orders):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                super().on_step_end(args, state, control)
                if not control.should_log:
                    clock()

        given = dict(options)
        model = hugging_face(task)
        if given.pop("bf16_weights", False):
            model = model.bfloat16()
        with tempfile.TemporaryDirectory() as place:
            arguments = TrainingArguments(
                output_dir=place,
                per_device_train_batch_size=task["batch"],
                max_steps=9_000,
                learning_rate=task["rate"],
                lr_scheduler_type="constant",
                adam_beta1=BETAS[0],
                adam_beta2=BETAS[1],
                weight_decay=DECAY,
                train_sampling_strategy="sequential",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                **given,
            )
            Trainer(model=model, args=arguments, train_dataset=Rows(), callbacks=[Later()]).train()

    return run


def loop(model: Any, loss: Callable[[Any], Any], task: Task, clock: Clock, autocast: bool = True) -> None:
    """A plain loop: autocast, backward, clip, fused AdamW with decay on matrices only."""
    import torch

    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=task["rate"], betas=BETAS, fused=True)
    for tokens in clock.batches(task):
        with torch.autocast(device_of(task), dtype=torch.bfloat16, enabled=autocast):
            value = loss(tokens)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        clock.losses.append(float(value.detach()))


def hf_loop(autocast: bool) -> Callable[[Task, Clock], None]:
    def run(task: Task, clock: Clock) -> None:
        model = hugging_face(task)
        if not autocast:
            model = model.bfloat16()
        fast = compiled(model, task)
        loop(model, lambda tokens: fast(input_ids=tokens[:, :-1], labels=tokens[:, :-1]).loss, task, clock, autocast)

    return run


def litgpt(precision: str) -> Callable[[Task, Clock], None]:
    def run(task: Task, clock: Clock) -> None:
        import lightning
        import torch
        from litgpt.config import Config
        from litgpt.model import GPT
        from litgpt.scripts.convert_hf_checkpoint import copy_weights_hf_llama
        from litgpt.utils import chunked_cross_entropy

        shape = task["shape"]
        config = Config(
            vocab_size=shape["vocabulary"],
            padding_multiple=64,
            n_layer=shape["layers"],
            n_head=shape["heads"],
            n_embd=shape["hidden"],
            block_size=shape["context"],
            rotary_percentage=1.0,
            parallel_residual=False,
            bias=False,
            norm_class_name="RMSNorm",
            norm_eps=1e-5,
            mlp_class_name="LLaMAMLP",
            intermediate_size=shape["ffn"],
        )
        fabric = lightning.Fabric(devices=1, accelerator=device_of(task), precision=precision)
        fabric.launch()
        with fabric.init_module():
            model = GPT(config)
        if task["weights"]:
            state: dict[str, Any] = {}
            copy_weights_hf_llama(config, {}, state, weights(task))
            model.load_state_dict(state)
        model = fabric.setup(compiled(model, task))
        optimiser = torch.optim.AdamW(model.parameters(), lr=task["rate"], betas=BETAS, weight_decay=DECAY, fused=True)
        optimiser = fabric.setup_optimizers(optimiser)
        for tokens in clock.batches(task):
            loss = chunked_cross_entropy(model(tokens[:, :-1].contiguous()), tokens[:, 1:].contiguous())
            fabric.backward(loss)
            fabric.clip_gradients(model, optimiser, max_norm=CLIP)
            optimiser.step()
            optimiser.zero_grad()
            clock.losses.append(float(loss.detach()))

    return run


def plain(task: Task, clock: Clock) -> None:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    shape = task["shape"]
    width, heads = shape["hidden"], shape["heads"]
    head = width // heads

    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))

        def forward(self, x: Tensor) -> Tensor:
            return F.rms_norm(x, (width,), self.weight, 1e-5)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Norm(), Norm()
            self.mixed = nn.Linear(width, 3 * width, bias=False)
            self.out = nn.Linear(width, width, bias=False)
            self.gate = nn.Linear(width, shape["ffn"], bias=False)
            self.up = nn.Linear(width, shape["ffn"], bias=False)
            self.down = nn.Linear(shape["ffn"], width, bias=False)

        def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
            def turn(y: Tensor) -> Tensor:
                a, b = y.chunk(2, -1)
                return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).type_as(y)

            batch, length, _ = x.shape
            q, k, v = (y.view(batch, length, heads, head).transpose(1, 2) for y in self.mixed(self.first(x)).split(width, -1))
            y = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
            y = self.second(x)
            return x + self.down(F.silu(self.gate(y)) * self.up(y))

    class Plain(nn.Module):
        cos: Tensor
        sin: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(shape["vocabulary"], width)
            self.blocks = nn.ModuleList(Block() for _ in range(shape["layers"]))
            self.norm = Norm()
            self.head = nn.Linear(width, shape["vocabulary"], bias=False)
            angles = torch.outer(torch.arange(shape["context"]).float(), 10_000.0 ** -(torch.arange(0, head, 2) / head))
            self.register_buffer("cos", angles.cos())
            self.register_buffer("sin", angles.sin())

        def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
            x = self.embedding(tokens)
            for block in self.blocks:
                x = block(x, self.cos, self.sin)
            return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())

    with torch.device(device_of(task)):
        model = Plain()
    if task["weights"]:
        fill_plain(model, weights(task), shape["layers"])
    fast = compiled(model, task)
    loop(model, lambda tokens: fast(tokens[:, :-1], tokens[:, 1:]), task, clock)


def fill_plain(model: Any, given: dict[str, Any], layers: int) -> None:
    """Set the plain decoder's weights to those of Hugging Face's names."""
    import torch

    names = {"input_layernorm": "first", "post_attention_layernorm": "second", "self_attn.o_proj": "out"}
    names |= {f"mlp.{part}_proj": part for part in ("gate", "up", "down")}
    state = {"embedding.weight": given["model.embed_tokens.weight"], "norm.weight": given["model.norm.weight"]}
    state |= {"head.weight": given["lm_head.weight"], "cos": model.cos, "sin": model.sin}
    for layer in range(layers):
        theirs = f"model.layers.{layer}"
        state |= {f"blocks.{layer}.{ours}.weight": given[f"{theirs}.{name}.weight"] for name, ours in names.items()}
        parts = [given[f"{theirs}.self_attn.{part}_proj.weight"] for part in "qkv"]
        state[f"blocks.{layer}.mixed.weight"] = torch.cat(parts)
    model.load_state_dict(state)


def weights(task: Task) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(task["weights"])


CONTENDERS: dict[str, tuple[str, Callable[[Task, Clock], None]]] = {
    "skyloom": ("skyloom", skyloom),
    "trainer": ("transformers", trainer()),
    "trainer-autocast": ("transformers", trainer(bf16=True, torch_compile=True)),
    "trainer-bf16": ("transformers", trainer(bf16_weights=True, torch_compile=True)),
    "hf-loop": ("transformers", hf_loop(True)),
    "hf-loop-bf16": ("transformers", hf_loop(False)),
    "litgpt": ("litgpt", litgpt("bf16-mixed")),
    "litgpt-bf16": ("litgpt", litgpt("bf16-true")),
    "plain": ("torch", plain),
}


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints must not be taken for an answer
    clock = Clock(answers)
    package, contender = CONTENDERS[sys.argv[1]]
    try:
        for module in dict.fromkeys(("torch", "safetensors", package, *(("accelerate",) if package == "transformers" else ()))):
            __import__(module)
        clock.answer({"version": version(package)})
    except ImportError as missing:
        clock.answer({"not_installed": missing.name})
        return 0
    import torch

    torch.set_num_threads(THREADS)
    clock.read()
    while clock.order is not None:
        task = clock.order["task"]
        torch.compiler.reset()
        clock.asked, clock.step, clock.seconds = 0, -1, []
        try:
            with contextlib.suppress(NextTaskError):
                contender(task, clock)
        except torch.OutOfMemoryError:
            clock.answer({"out_of_memory": True})
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
