"""The commands `leak …`: the audit of a run, or of any model on a benchmark (report 5.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import WithUsual, example, logging, make_progress, on_recipe, show
from skyloom.cli.evaluate import batch_tokens_option, command_line, on_model
from skyloom.core.errors import ConfigError
from skyloom.core.json_files import Rows

if TYPE_CHECKING:
    from skyloom.evaluate.opened import OpeningOptions
    from skyloom.leakage.suspect import LeakJson
    from skyloom.run.run import Run

OUT = "leak"
"""The folder of results, unless another is given."""
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Leak(WithUsual):
    usual = "run"


@click.group(
    "leak",
    cls=_Leak,
    epilog=example(
        "skyloom leak demo",
        "skyloom leak model ./TinyLlama --benchmark test.jsonl --train train.jsonl",
        "skyloom leak corpus texts/ --benchmark gsm8k.jsonl.gz",
    ),
)
def leak_group() -> None:
    """Audit leakage: of a run (`run`, which may be left out), of any model (was it trained on this test set?), or of any texts."""


@leak_group.command("run", epilog=example("skyloom leak demo", "skyloom leak run demo --json"))
@on_recipe
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leak_run(run: Run, as_json: bool) -> None:
    """Audit data leakage (report 5.2). Prints losses on the splits, their gaps with intervals, and a positive control."""
    resolved = run.resolve("leakage")
    resolved.run("leakage")
    found = resolved.folder("leakage").read_json("leakage.json")
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        from skyloom.run.summary import leakage_tables

        for title, rows in leakage_tables(resolved):
            show(rows, False, title)


@leak_group.command(
    "model",
    epilog=example(
        "skyloom leak model ./TinyLlama --benchmark test.jsonl.gz --train train.jsonl.gz --exchangeable train",
        "skyloom leak model ./model.gguf --benchmark test.jsonl --reference held-back.jsonl --exchangeable reference --budget 5m",
        "skyloom leak model ./小模型 --benchmark 测试.jsonl --template '{question}' --twins 孪生.jsonl --out 结果 --json",
        "skyloom leak model ./m --benchmark test.jsonl --reference ref.jsonl --family family.jsonl --ability prose.jsonl",
    ),
)
@on_model
@click.option(
    "--benchmark",
    type=_FILE,
    required=True,
    help="Items: JSON lines (.gz) with question and answer, or text; id, lang, choices, order.",
)
@click.option("--train", type=_FILE, default=None, help="Items of the benchmark's train split.")
@click.option(
    "--reference",
    type=_FILE,
    default=None,
    help="Items like the benchmark's that the model has not read (skyloom leak reference has some written).",
)
@click.option("--twins", type=_FILE, default=None, help="Items with other numbers or names; id or twin_of is that of the original.")
@click.option("--family", type=_FILE, default=None, help="Scores of other models on these sets (skyloom leak family).")
@click.option("--ability", type=_FILE, default=None, help="The third text set of the family, on which ability is measured.")
@click.option(
    "--template", default="{question}\\n{answer}", show_default=True, help="How an item becomes one text; \\n is a line end."
)
@click.option(
    "--exchangeable",
    type=click.Choice(["reference", "train"]),
    default=None,
    help="You declare that this set and the benchmark are a random split of the same makers' items. Nothing can check it.",
)
@click.option("--budget", default=None, metavar="TIME", help="Take as many items as fit: 300, 90s, 5m or 1h. [default: all items]")
@batch_tokens_option
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of samples and permutations.")
@click.option("--date", default=None, metavar="DATE", help="Written into the result. [default: none: same inputs, same bytes]")
@click.option("--show-items", is_flag=True, help="Write the texts of the items that read easiest into the result.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help=f"Folder of leak.json and of the journal from which a stopped audit goes on. [default: ./{OUT}]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logging
def leak_model(
    model: str,
    opening: OpeningOptions,
    benchmark: Path,
    train: Path | None,
    reference: Path | None,
    twins: Path | None,
    family: Path | None,
    ability: Path | None,
    template: str,
    exchangeable: str | None,
    budget: str | None,
    batch_tokens: int,
    seed: int,
    date: str | None,
    show_items: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Was MODEL trained on this benchmark? The verdict is leaked, train split overfitted, no sign or cannot tell, and says why.

    MODEL is a checkpoint or release of ours, a folder or hub name of a Hugging Face model, or a .gguf file.
    Before the model is read it is told how well words alone tell the sets apart, and which detectors count.
    """
    from skyloom.leakage.suspect import LeakRequest, audit_model

    asked = LeakRequest(
        model=model,
        benchmark=benchmark,
        train=train,
        reference=reference,
        twins=twins,
        family=family,
        ability=ability,
        template=template.replace("\\n", "\n").replace("\\t", "\t"),
        exchangeable=exchangeable,
        budget=None if budget is None else duration(budget),
        opening=opening,
        batch_tokens=batch_tokens,
        seed=seed,
        date=date,
        show_items=show_items,
        command=command_line(),
    )
    folder = out or Path(OUT)
    report = audit_model(asked, folder, progress=make_progress())
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
        return
    for title, rows in _tables(report):
        show(rows, False, title)
    verdict = report["verdict"]
    click.secho(verdict["word"], bold=True)
    click.echo(f"{verdict['sentence']['en']}\n{verdict['sentence']['zh']}\n{report['declared']['sentence']}")
    click.echo(f"results: {folder}/leak.json")


def duration(text: str) -> float:
    """Seconds of 300, 90s, 5m or 1h. ConfigError for anything else, or no time at all."""
    match = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)([smh]?)", text.strip())
    seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ConfigError(f"--budget takes a time such as 300, 90s, 5m or 1h, not '{text[:40]}'")
    return seconds


def _tables(report: LeakJson) -> Iterator[tuple[str, Rows]]:
    """What people see."""
    sets: Rows = [
        {
            "set": name, "file": row["path"], "items": row["items"], "scored": row["used"],
            "left out": len(row["left_out"]), "tokens": row["tokens"],
        }
        for name, row in report["sets"].items()
        if row is not None
    ]  # fmt: skip
    yield f"{report['model']['model']}: what was read", sets
    yield (
        "before the model: how well words, or length alone, tell each set from the benchmark (AUC)",
        [
            {
                "set": row["set"], "words": row["words"]["auc"], "interval": _span(row["words"]["low"], row["words"]["high"]),
                "length": row["length"]["auc"], "length, interval": _span(row["length"]["low"], row["length"]["high"]),
                "vetoes": "yes" if row["vetoes"] else "no",
            }
            for row in report["blind"]
        ],
    )  # fmt: skip
    yield (
        "detectors, with 95 % intervals and one-sided p-values",
        [
            {
                "detector": row["name"], "against": row["set"], "value": row["value"], "interval": _span(row["low"], row["high"]),
                "unit": row["unit"], "p": _p(row["p"]), "Holm": _p(row["adjusted"]), "counts": "yes" if row["counts"] else "no",
                "why": row["why"],
            }
            for row in report["detectors"]
        ],
    )  # fmt: skip


def _span(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _p(value: float | None) -> str | None:
    return None if value is None else f"{value:.2g}"
