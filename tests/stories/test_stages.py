"""A recipe with four stages, each with a context of its own: trained, killed, resumed, reported and released."""

from __future__ import annotations

import itertools
import json
import signal
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from skyloom.cli import main
from tests.stories.program import ROOT, contents, read, skyloom, start, step_folder

RECIPE = """
base = "{tiny}"
samples = "{samples}"

[model]
context = 256

[train]
checkpoint_seconds = 0.5
score_items = 0

[[stages]] # general text
name = "general"
[stages.data]
tokens = 40_000
fit = true
[stages.rate]
peak = 6e-3
warmup_steps = 5
monitor_points = 2
releases = 1

[[stages]] # the same with longer sequences, another RoPE base and new moments
name = "longer"
context = 256
batch = 4
rope_theta = 50_000.0
moments = "reset"
release = false
[stages.data]
tokens = 20_480
fit = true
[stages.rate]
schedule = "constant"
peak = 3e-3
warmup_steps = 2
monitor_points = 1
releases = 1

[[stages]] # exercises, with the planted ones
name = "exercises_习题"
weight_decay = 0.0
[stages.data]
tokens = 50_000
ramp = {{ stem = [0.1, 0.4] }}
passes = {{ canary = 1 }}
fit = true
[stages.rate]
schedule = "constant"
peak = 1e-3
monitor_points = 1
releases = 1

[[stages]] # annealing
name = "anneal"
context = 64
batch = 16
[stages.data]
tokens = 20_480
fit = true
[stages.rate]
schedule = "warmup-stable-decay"
peak = 1e-3
decay_share = 1.0
monitor_points = 1
releases = 1
"""
STAGES = ("general", "longer", "exercises_习题", "anneal")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("四阶段") / "four.toml"
    path.write_text(RECIPE.format(tiny=ROOT / "recipes" / "tiny.toml", samples=ROOT / "samples"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def work(recipe: Path) -> Path:
    """The run, killed in the second and in the third stage and gone on with each time."""
    folder = recipe.parent / "work"
    first = skyloom("train", recipe, "--work", folder, "--until", "general")
    assert first.returncode == 0 and "after general" in first.stdout and "after longer" not in first.stdout, first.stderr
    assert not list(folder.glob("longer-*"))
    for stage in STAGES[1:3]:
        process = start("run", recipe, "--work", folder, "--set", "train.checkpoint_seconds=0")
        deadline = time.monotonic() + 300
        while not list(folder.glob(f"{stage}-*/checkpoints/*/state.json")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = skyloom("run", recipe, "--work", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.xdist_group("stages")
def test_each_stage_has_its_own_context_and_the_next_goes_on_from_it(work: Path) -> None:
    states = [read(step_folder(work, name) / "final" / "state.json") for name in STAGES]
    assert [state["train"]["context"] for state in states] == [128, 256, 128, 64]
    assert [state["train"]["batch"] for state in states] == [8, 4, 8, 16]
    assert [state["train"]["weight_decay"] for state in states] == [0.1, 0.1, 0.0, 0.1]
    assert [state["model"]["rope_theta"] for state in states] == [10_000, 50_000, 50_000, 50_000], "it holds from its stage on"
    assert [state["model"]["context"] for state in states] == [128, 256, 256, 256], "the longest one so far"
    for before, after in itertools.pairwise(states):
        assert before["step"] < after["step"] and before["tokens"] < after["tokens"]
    assert states[1]["updates"] == states[1]["stage_step"], "its moments began at zero"
    assert states[2]["updates"] == states[1]["updates"] + states[2]["stage_step"], "and were kept after it"
    for state in states:
        assert state["stream"]["context"] == state["train"]["context"]
        plan = read(step_folder(work, state["stage"]) / "plan.json")
        assert plan["calendar"]["tokens_per_step"] == state["train"]["context"] * state["train"]["batch"]


@pytest.mark.xdist_group("stages")
def test_a_killed_run_of_four_stages_ends_in_the_same_bytes(work: Path, recipe: Path, tmp_path: Path) -> None:
    calm = skyloom("train", recipe, "--work", tmp_path)
    assert calm.returncode == 0, calm.stderr
    assert "sequences of 256 tokens after 128" in calm.stderr and "moments of the optimizer begin at zero" in calm.stderr
    assert "RoPE base 50000 after 10000" in calm.stderr and "weight_decay 0 after 0.1" in calm.stderr
    mine, theirs = contents(work), contents(tmp_path)
    assert theirs and theirs.items() <= mine.items()


@pytest.mark.xdist_group("stages")
def test_what_is_compared_and_audited_follows_from_the_list(work: Path) -> None:
    rows = read(step_folder(work, "evaluate") / "perplexity.json")["rows"]
    assert {row["model"] for row in rows} == {"general", "exercises_习题", "final", "unigram", "xz"}, "longer is not released"
    leakage = read(step_folder(work, "leakage") / "leakage.json")
    control = leakage["control"]
    assert {"canaries_flagged_in_general", "canaries_flagged_in_final"} <= set(control)
    assert (
        "planted in the third stage" in leakage["words"]["control"]
        and "nor the canaries in the first stage" in leakage["words"]["control"]
    )


@pytest.mark.xdist_group("stages")
def test_the_release_and_the_page_tell_of_all_stages(work: Path) -> None:
    release = step_folder(work, "release")
    models = read(release / "run" / "models.json")
    assert [model["stage"] for model in models] == ["anneal", "general", "exercises_习题"] and models[0]["folder"] == ""
    last, first = read(release / "config.json"), read(release / models[1]["folder"] / "config.json")
    assert (first["max_position_embeddings"], last["max_position_embeddings"]) == (128, 256)
    assert (first["rope_theta"], last["rope_theta"]) == (10_000, 50_000)
    assert {path.name for path in (release / "run").iterdir()} >= set(STAGES), "journals of all stages"
    page = (step_folder(work, "report") / "report.html").read_text(encoding="utf-8")
    assert all(f"<i></i>{name}</li>" in page for name in STAGES) and all(f"{name}, planned" in page for name in STAGES)
    assert all(f"{name}，计划" in page for name in STAGES)
    assert skyloom("release", "check", release).returncode == 0
    again = skyloom("release", "check", release, "--recompute")
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.xdist_group("stages")
def test_commands_take_the_name_of_a_stage(work: Path, recipe: Path) -> None:
    def ask(*words: str) -> str:
        done = CliRunner().invoke(main, [words[0], words[1], str(recipe), "--work", str(work), *words[2:]])
        assert done.exit_code == 0, done.output
        return done.output

    for name, context in (("general", 128), ("anneal", 64)):
        shown = json.loads(ask("data", "show", "--stage", name, "--step", "1", "--json"))
        assert len(shown["samples"]) == 1024 // context
    refused = CliRunner().invoke(main, ["train", str(recipe), "--work", str(work), "--until", "阶段"])
    assert refused.exit_code == 2 and "no stage 阶段; its stages are general, longer" in refused.output.replace("\n", " ")
