"""The command line: one command for each stage of the pipeline, over the same steps that `skyloom run` runs in one go.

A command that takes a RECIPE runs all steps up to its own and prints the result. Finished steps are skipped, so commands can
be called in any order. Packages are imported inside the commands, so that `--help` answers at once.

Exit codes: 0 done; 1 another problem that the message explains; 2 a wrong option, recipe or setting; 3 input that cannot be
used; 4 a file that differs from what was written, or a check that failed; 5 a place that cannot be read or written; 6 training
diverged; 7 a process hung or was lost; 129 the terminal was closed, 130 interrupted, 143 terminated (run the same command again
to continue).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom import __version__
from skyloom.cli import ending
from skyloom.cli.common import EPILOG_CODES, FiniteRange, Group, Verb, WithUsual, example, logging, on_recipe, show, stage_named
from skyloom.cli.corpus import corpus_group
from skyloom.cli.evaluate import eval_group
from skyloom.cli.evaluate_tasks import tasks
from skyloom.cli.leak import leak_group
from skyloom.cli.leak_corpus import leak_corpus
from skyloom.cli.leak_reference import leak_reference
from skyloom.cli.leak_report import leak_report
from skyloom.cli.leak_sets import leak_family, leak_twins
from skyloom.cli.lr_test import lr_test
from skyloom.cli.plan import plan
from skyloom.cli.release import release_group
from skyloom.cli.tokenizer import tokenizer_group
from skyloom.core.errors import ConfigError, SkyloomError

if TYPE_CHECKING:
    from skyloom.run.run import Run

FOR_TORCH = {
    # Threads that spin while they wait take the core from other processes and from our own other thread: under load the compiled
    # step fell from 15,000 to 3,000 tokens a second.
    "OMP_WAIT_POLICY": "PASSIVE",
    # But they look some microseconds before they sleep: waking a core at the end of each small kernel costs more.
    "GOMP_SPINCOUNT": "3000",
    # New memory of a step comes from the system in pages of 2 MiB instead of 4 KiB: a tenth to a fifth of a training step on a
    # CPU was spent in page faults.
    "THP_MEM_ALLOC_ENABLE": "1",
}
"""Set before torch is first imported, where the caller has not chosen otherwise."""


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG_CODES)
@click.version_option(__version__)
def main() -> None:
    """Skyloom: from raw web pages to a released bilingual language model, with evaluation and a leakage audit."""
    for name, value in FOR_TORCH.items():
        os.environ.setdefault(name, value)
    # Allocators keep freed memory for the next shard. With these settings workers return what is above a limit: an eighth less
    # memory at the same speed. Returning everything saves another fifth, but page faults then take a quarter of the time.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 << 20))
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(64 << 20))


@main.command(
    "run",
    epilog=example(
        "skyloom run demo",
        "skyloom run demo --source my_pages.warc.gz --set train.seed=2",
        "skyloom run demo --dry-run",
    ),
)
@on_recipe
@click.option("--dry-run", is_flag=True, help="Find the sources, print the steps and which exist already, and run none of them.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome of each step as JSON.")
def run_command(run: Run, dry_run: bool, as_json: bool) -> None:
    """Run all steps of RECIPE. Finished steps are skipped, an interrupted step is resumed."""
    resolved = run.resolve()
    if dry_run:
        show(resolved.plan(), as_json, f"{resolved.recipe.name} in {resolved.work.root}")
        return
    outcomes = resolved.run()
    if as_json:
        show([dataclasses.asdict(o) for o in outcomes], True)
    else:
        from skyloom.report.page import location
        from skyloom.run.summary import summary

        for title, rows in summary(resolved):
            show(rows, False, title)
        click.secho(f"run page: {location(resolved.folder('report'))}\nrelease: {resolved.folder('release').root}", bold=True)


@main.command(
    "init",
    epilog=example(
        "skyloom init",
        "skyloom init my-model --source 'crawl/*.warc.gz' --size gpu",
        "skyloom init my-model --source s3://bucket/pages/ --languages zh-Hans --size cluster",
    ),
)
@click.argument("folder", required=False, default=".", type=click.Path(path_type=Path))
@click.option("--source", default=None, metavar="PATH", help="Your pages: a file, folder, pattern or URL. [default: as the demo]")
@click.option(
    "--languages", default="en,zh-Hans", show_default=True, metavar="L,L,…", help="Languages to keep: en, zh-Hans, zh-Hant, other."
)
@click.option(
    "--size", type=click.Choice(["laptop", "gpu", "cluster"]), default="laptop", show_default=True, help="The machine it is for."
)
def init(folder: Path, source: str | None, languages: str, size: str) -> None:
    """Write a commented recipe of your own to FOLDER/recipe.toml. It asks nothing and overwrites nothing."""
    from skyloom.run.new_recipe import write_recipe

    wanted = [language.strip() for language in languages.split(",") if language.strip()]
    path = write_recipe(folder, source=source, languages=wanted, size=size)
    click.echo(f"{path} is written. Next:\n  skyloom corpus build {path}\n  skyloom run {path}")


@main.group("recipe", cls=Group)
def recipe_group() -> None:
    """Look at recipes and their settings."""


@recipe_group.command("show", epilog=example("skyloom recipe show demo --set train.seed=2"))
@on_recipe
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of TOML.")
def recipe_show(run: Run, as_json: bool) -> None:
    """Print the resolved RECIPE: every setting, including defaults."""
    from skyloom.core.config import plain
    from skyloom.run.recipe import to_toml

    click.echo(json.dumps(plain(run.recipe), ensure_ascii=False, indent=1) if as_json else to_toml(run.recipe))


@recipe_group.command("keys", epilog=example("skyloom recipe keys train", "skyloom recipe keys --json"))
@click.argument("prefix", default="")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recipe_keys(prefix: str, as_json: bool) -> None:
    """List the settings of a recipe (those that begin with PREFIX), with types, defaults and units."""
    from skyloom.core.config import describe
    from skyloom.run.recipe import Recipe

    names = ("key", "type", "default", "meaning")
    rows = [dict(zip(names, row, strict=True)) for row in describe(Recipe) if row[0].startswith(prefix)]
    if not rows:
        tables = ", ".join(field.name for field in dataclasses.fields(Recipe))
        raise ConfigError(f"no setting begins with '{prefix}'; the tables are: {tables}")
    show(rows, as_json)


main.add_command(corpus_group)


main.add_command(tokenizer_group)


@main.group("data", cls=Group)
def data_group() -> None:
    """Token shards and the samples of a training step."""


@data_group.command("pack", epilog=example("skyloom data pack demo"))
@on_recipe
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def data_pack(run: Run, as_json: bool) -> None:
    """Pack the corpus of RECIPE into token shards (Megatron's .bin/.idx) and print tokens by domain."""
    resolved = run.resolve("tokens")
    resolved.run("tokens")
    from skyloom.run.summary import token_rows

    show(token_rows(resolved), as_json, resolved.folder("tokens").root)


@data_group.command("show", epilog=example("skyloom data show demo --stage stage2 --step 10"))
@on_recipe
@click.option("--stage", default=None, metavar="NAME", help="Training stage. [default: the first]")
@click.option("--step", type=click.IntRange(0), required=True, help="Step of the stage, counted from 0.")
@click.option("--rank", type=click.IntRange(0), default=0, show_default=True, help="Data-parallel rank whose samples are shown.")
@click.option("--world", type=click.IntRange(1), default=1, show_default=True, help="Number of data-parallel ranks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def data_show(run: Run, stage: str | None, step: int, rank: int, world: int, as_json: bool) -> None:
    """Print the samples of one training step of RECIPE (source, documents, beginning of the text) and the mixture up to it.

    It only looks: if the work folder has no tokens of this recipe, it says so. `skyloom data pack` makes them.
    """
    stage = stage_named(run, stage, first=True)
    resolved = run.finished("tokenizer", "tokens", maker="skyloom data pack")
    from skyloom.run.summary import step_tables

    samples, mixture = step_tables(resolved, stage, step, rank, world)
    if as_json:
        click.echo(json.dumps({"samples": samples, "mixture": mixture}, ensure_ascii=False, indent=1))
    else:
        show(samples, False, f"{stage}, step {step}" + (f", rank {rank} of {world}" if world > 1 else ""))
        show(mixture, False, f"{stage}, steps 0 to {step}")


@main.group("model", cls=Group)
def model_group() -> None:
    """Show the sizes of models, and export a checkpoint."""


@model_group.command("show", epilog=example("skyloom model show skywork-13b", "skyloom model show demo --json"))
@click.argument("which", required=False, metavar="[PRESET|RECIPE|FOLDER]")
@click.option("--sequence", type=click.IntRange(1), default=None, help="Tokens of a sequence. [default: the model's context]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def model_show(which: str | None, sequence: int | None, as_json: bool) -> None:
    """Print parameters, FLOPs and memory of a preset, a recipe's model or a Hugging Face folder. Without argument: all presets."""
    from skyloom.run.model_commands import facts, named, table

    show([table(name, shape) for name, shape in named().items()] if which is None else facts(which, sequence), as_json, which or "")


@model_group.command(
    "export",
    epilog=example(
        "skyloom model export runs/demo/stage1-…/checkpoints/step-0000096 stage1-half",
        "skyloom model export runs/demo/stage2-…/final final --dtype float32",
    ),
)
@click.argument("checkpoint", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--tokenizer",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Tokenizer folder. [default: that of CHECKPOINT's work folder]",
)
@click.option(
    "--dtype", type=click.Choice(["bfloat16", "float16", "float32"]), default="bfloat16", show_default=True, help="Of the weights."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def model_export(checkpoint: Path, out: Path, tokenizer: Path | None, dtype: str, as_json: bool) -> None:
    """Write CHECKPOINT, trained with any parallel layout, to the new folder OUT in Hugging Face's format."""
    from skyloom.run.model_commands import export

    show([export(checkpoint, out, tokenizer, dtype)], as_json, str(out))


@main.command(
    cls=Verb,
    also=(lr_test,),
    epilog=example(
        "skyloom train demo",
        "skyloom train demo --set train.compile=off",
        "skyloom train my.toml --init-from ~/models/TinyLlama",
        "skyloom train demo --until stage1",
        "torchrun --nproc-per-node 8 -m skyloom.cli train my.toml --set train.layout.data=4 --set train.layout.pipeline=2",
        "skyloom train skywork-13b --dry-run --world 512",
        "skyloom train skywork-13b --dry-run --world 512 --layout tp=2 --layout tp=2,pp=2 --json",
    ),
)
@on_recipe
@click.option("--until", default=None, metavar="NAME", help="Last stage to train. [default: the last of the recipe]")
@click.option(
    "--dry-run", is_flag=True, help="Build one step of the layout on fake processes: no data, no accelerator, no training."
)
@click.option(
    "--world", type=click.IntRange(1, 1 << 20), default=None, help="Number of processes of the dry run. [default: the layout's]"
)
@click.option(
    "--layout",
    "layouts",
    multiple=True,
    metavar="TEXT",
    help="Layout of the dry run instead of the recipe's: tp=2,pp=2. May be repeated.",
)
@click.option("--table10", is_flag=True, help="Dry-run all layouts of the report's Table 10 (512 processes).")
@click.option("--every", is_flag=True, help="Dry-run every micro-batch. [default: run a few and compute the rest, which are equal]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def train(
    run: Run,
    until: str | None,
    dry_run: bool,
    world: int | None,
    layouts: tuple[str, ...],
    table10: bool,
    every: bool,
    as_json: bool,
) -> None:
    """Train the stages of RECIPE and print the held-out losses. Ctrl-C saves a checkpoint; the same command continues."""
    if dry_run:
        from skyloom.cli.dryrun import run_dry

        last = stage_named(run, until) if until else None
        run_dry(run.recipe, world or 0, layouts, table10, until=last, workers=run.engine.workers, every=every, as_json=as_json)
        return
    if world or layouts or table10 or every:
        raise ConfigError("--world, --layout, --table10 and --every belong to --dry-run; training takes its layout from the recipe")
    last = stage_named(run, until)
    resolved = run.resolve(last)
    if not resolved.run(last):
        return  # not rank 0: only rank 0 prints
    from skyloom.run.summary import heldout_rows

    show(heldout_rows(resolved), as_json, "held-out loss")


main.add_command(plan)
main.add_command(release_group)


eval_group.add_command(tasks)
main.add_command(eval_group)


leak_group.add_command(leak_corpus)
leak_group.add_command(leak_report)
leak_group.add_command(leak_reference)
leak_group.add_command(leak_twins)
leak_group.add_command(leak_family)
main.add_command(leak_group)


class _Report(WithUsual):
    usual = "page"


@main.group("report", cls=_Report, epilog=example("skyloom report demo", "skyloom report serve demo"))
def report_group() -> None:
    """Write the run page, compare runs, or serve the dashboard of a training run."""


@report_group.command("page", epilog=example("skyloom report demo", "skyloom report page demo --out traced.html"))
@on_recipe
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE",
    help="Write the page anew to this file; its samples are traced if `release trace` has made an index.",
)
def report_page(run: Run, out: Path | None) -> None:
    """Write the run page of RECIPE and print where it is."""
    resolved = run.resolve("report")
    resolved.run("report")
    if out is not None:
        from skyloom.run.page_anew import write_page_anew

        write_page_anew(resolved, out)
        click.echo(out.resolve().as_uri())
        return
    from skyloom.report.page import location

    click.echo(location(resolved.folder("report")))


@report_group.command(
    "compare",
    epilog=example(
        "skyloom report compare runs/demo runs/other",
        "skyloom report compare runs/demo/report-1a2b… runs/demo/report-3c4d… --out compare.html",
    ),
)
@click.argument("runs", metavar="RUN RUN …", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", default="compare.html", show_default=True, type=click.Path(dir_okay=False, path_type=Path), help="The page.")
@logging
def report_compare(runs: tuple[Path, ...], out: Path) -> None:
    """Compare finished runs on one page: differences of the recipes, curves over each other, paired differences.

    RUN is a work folder (its newest run page is meant) or the folder of one run page. The first RUN is compared with the others.
    """
    from skyloom.report.compare.compare_page import write_comparison
    from skyloom.report.compare.runs_read import read_runs

    write_comparison(read_runs(list(runs)), out)
    click.echo(out.resolve().as_uri())


@report_group.command(
    "serve", epilog=example("skyloom report serve demo", "skyloom report serve my.toml --host 0.0.0.0 --port 8080")
)
@on_recipe
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 shows it to the network.")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="Port; 0 takes a free one.")
@click.option("--allow-host", "names", multiple=True, help="Another name by which browsers ask for it. May be repeated.")
def report_serve(run: Run, host: str, port: int, names: tuple[str, ...]) -> None:
    """Serve the dashboard of RECIPE's training: held-out losses, speed, alarms. Ctrl-C ends the dashboard, not the training."""
    from skyloom.report.dashboard import Dashboard
    from skyloom.report.serve import Server
    from skyloom.run.recipe import stages

    resolved = run.resolve(stage_named(run, None))
    others = resolved.folder("references") if "references" in resolved.steps else None
    folders = {name: resolved.folder(name) for name in stages(resolved.recipe)}
    dashboard = Dashboard(resolved.recipe.name, folders, others)
    first = next(iter(folders))
    strangers = [path.name for path in resolved.work.path().glob(f"{first}-*")] if resolved.work.local else []
    if strangers and resolved.steps[first].folder not in strangers:
        click.echo(
            f"{', '.join(sorted(strangers))} in {resolved.work.root} was trained with other settings: to watch it, give the same "
            "--set as for its training",
            err=True,
        )
    with Server(dashboard, host, port, names) as server:
        click.echo(
            f"{resolved.recipe.name} in {resolved.work.root} is shown at {server.url} (Ctrl-C ends the dashboard, not the training)"
        )
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


@main.command(
    epilog=example(
        'skyloom generate runs/demo/release-… "The printer" --tokens 60',
        'skyloom generate runs/demo/release-… "文件" --temperature 0.7 --seed 3',
    )
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("prompt")
@click.option("--tokens", type=click.IntRange(1), default=80, show_default=True, help="Maximum number of new tokens.")
@click.option("--temperature", type=FiniteRange(0), default=0.8, show_default=True, help="0 takes the most likely token.")
@click.option("--top-p", type=FiniteRange(0, 1, min_open=True), default=0.95, show_default=True, help="Nucleus sampling.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of the sampling.")
def generate(folder: str, prompt: str, tokens: int, temperature: float, top_p: float, seed: int) -> None:
    """Continue PROMPT with the released model in FOLDER."""
    from skyloom.run.model_commands import continue_text

    click.echo(continue_text(Path(folder), prompt, tokens=tokens, temperature=temperature, top_p=top_p, seed=seed))


@main.command(epilog=example("skyloom doctor", "skyloom doctor --json"))
@click.option("--work", type=click.Path(file_okay=False), default="runs", show_default=True, help="Work folder to check.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(work: str, as_json: bool) -> None:
    """Show what this machine has, what is missing, and how to fix it. Exit code 1 if something needed is missing."""
    from skyloom.run.doctor import examine

    findings = examine(Path(work))
    show([dataclasses.asdict(f) for f in findings], as_json)
    missing = [f.name for f in findings if f.state == "missing"]
    if missing:
        raise SkyloomError(f"needed but missing: {', '.join(missing)}")


def entry() -> None:
    """Entry point of `skyloom`: runs `main`, and ends the process with its exit code, whatever ended it."""
    try:
        ending.listen()
        code = main.main(standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    ending.leave(code if isinstance(code, int) else 0)
