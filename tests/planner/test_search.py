"""The planner as a whole: sums that must come out, directions that must hold, and a search that is what trying all would give."""

import dataclasses
import json
import math
import subprocess
import sys

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.cli import main
from skyloom.core.errors import ConfigError
from skyloom.model.presets import PRESETS
from skyloom.planner.layout import Layout
from skyloom.planner.layout_text import layout_text, parse_layout
from skyloom.planner.machines import MACHINES, TABLE10, machine_of
from skyloom.planner.memory import EAGER, FUSED, shares
from skyloom.planner.search import LayoutPlan, TrainingJob, predict, search
from skyloom.planner.time import Cluster, _block_flops
from skyloom.run.subject import parse_count, read_subject

SKYWORK = PRESETS["skywork-13b"]


def job(*, nodes=64, per_node=8, batch=4096, machine="a800-80g", model=SKYWORK, **more) -> TrainingJob:
    return TrainingJob(model, Cluster(MACHINES[machine], TABLE10, nodes, per_node), batch, min(4096, model.context), 3.2e12, **more)


def test_the_search_finds_what_the_report_chose():
    found = search(job(), micro_batch=1)
    assert str(found.best[0].layout) == "DP256+PP2" and found.best[0].layout.schedule == "1f1b"
    assert found.best[0].days == pytest.approx(39, abs=2)


def test_the_search_is_exhaustive_and_sorted():
    """On a small cluster: the best equals the best of all layouts written out here."""
    small = job(nodes=2, per_node=4, batch=32, machine="h200-141g")
    found = search(small)
    speeds = [plan.tokens_per_gpu_per_s for plan in found.best]
    assert speeds == sorted(speeds, reverse=True)
    assert len({(p.layout.data, p.layout.tensor, p.layout.pipeline) for p in found.best}) == len(found.best)
    best = 0.0
    for tensor in (1, 2, 4):
        for pipeline in (p for p in (1, 2, 4, 8) if tensor * p <= 8):
            for micro in (1, 2, 4, 8, 16, 32):
                for schedule, chunks in (
                    ("1f1b", 2),
                    ("interleaved", 2),
                    ("interleaved", 4),
                    ("zero-bubble", 2),
                    ("zero-bubble", 4),
                ):
                    for again in ("none", "selective", "full"):
                        layout = Layout(8 // tensor // pipeline, True, pipeline, tensor, micro, schedule, chunks, again)
                        try:
                            plan = predict(small, layout)
                        except ConfigError:
                            continue
                        best = max(best, plan.tokens_per_gpu_per_s if plan.fits else 0.0)
    assert speeds[0] == best > 0


def test_the_search_counts_every_layout_once():
    found = search(job(), micro_batch=1)
    assert all(plan.fits and plan.layout.world == 512 for plan in found.best)
    assert 0 < sum(row["layouts"] for row in found.failed) < found.tried
    assert all(row["reason"] and parse_layout(row["example"]).world == 512 for row in found.failed)


def test_nothing_fits_and_the_nearest_says_what_to_change():
    found = search(job(nodes=1, per_node=1, batch=8, machine="rtx4090-24g"))
    assert not found.best and found.nearest is not None and not found.nearest.fits
    assert "rtx4090-24g has 23.5" in found.nearest.reason and "optimiser" in found.nearest.reason
    assert found.nearest.memory_gib == pytest.approx(min(r["least_gib"] for r in found.failed if "least_gib" in r), abs=0.06)


def test_a_layout_that_does_not_fit_names_its_parts_and_a_change_that_helps():
    plan = predict(job(), Layout(data=512, micro_batch=1))
    assert not plan.fits and "gradients 51.6" in plan.reason and "it fits with dp=256,pp=2" in plan.reason
    assert predict(job(), Layout(data=256, pipeline=2, micro_batch=1)).fits
    told = plan.to_json()
    assert told["tokens_per_gpu_per_s"] is None and told["days"] is None and told["memory_gib"] > 79.3
    smaller = predict(job(), Layout(data=256, pipeline=2, micro_batch=2))
    assert not smaller.fits and "it fits with micro=1" in smaller.reason


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (Layout(data=256), r"\b256 processes.*\b512\b"),
        (Layout(data=512, micro_batch=3), "micro-batches of 3"),
        (Layout(data=64, tensor=8), "does not divide the heads"),
        (Layout(data=8, pipeline=64), r"\b64 stages"),
    ],
)
def test_layouts_that_cannot_exist_are_errors(layout, told):
    with pytest.raises(ConfigError, match=told):
        predict(job(), layout)


def test_a_batch_that_cannot_be_shared_is_an_error():
    with pytest.raises(ConfigError, match="multiple"):
        predict(job(batch=1000), Layout(data=512))
    with pytest.raises(ConfigError, match="one step"):
        dataclasses.replace(job(), tokens=1e6)
    with pytest.raises(ConfigError, match="context of 8192"):
        dataclasses.replace(job(), context=8192)


LAYOUTS = st.builds(
    lambda tensor, pipeline, micro, schedule, again: Layout(
        512 // tensor // pipeline, True, pipeline, tensor, micro, schedule, 2, again
    ),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(["1f1b", "interleaved"]),
    st.sampled_from(["none", "selective", "full"]),
)


@given(LAYOUTS, st.sampled_from(["a100-80g", "h200-141g"]), st.sampled_from(["skywork-13b", "llama2-13b", "gpt-7b"]))
@settings(max_examples=150, deadline=None)
def test_sums_and_directions(layout: Layout, machine: str, name: str):
    model = PRESETS[name]
    this = job(machine=machine, model=model)
    try:
        plan = predict(this, layout)
    except ConfigError:
        return
    parts = [*vars(plan.seconds).values(), *vars(plan.memory).values()]
    assert all(math.isfinite(part) and part >= 0 for part in parts)
    # All stages together compute what the model needs, no more and no less.
    each = sum(
        _block_flops(model, 4096, "none") * s.blocks + 6 * model.embedding_parameters * s.head for s in shares(model, layout)
    )
    assert each == pytest.approx(6 * model.multiplied_parameters + 7 * model.layers * 4096 * model.hidden, rel=1e-4)
    assert plan.tflops <= this.cluster.machine.tflops * TABLE10.matmul
    assert plan.days * 86400 * 512 * plan.tokens_per_gpu_per_s == pytest.approx(3.2e12)
    if layout.recompute == "none" and layout.schedule == "1f1b":
        full = _again(this, layout, recompute="full")
        assert full.seconds.total > plan.seconds.total and full.memory.activations < plan.memory.activations
    for figure in ("tflops", "memory_gbs", "link_gbs", "network_gbits"):
        faster = dataclasses.replace(this.cluster.machine, **{figure: 2 * getattr(this.cluster.machine, figure)})
        other = dataclasses.replace(this, cluster=dataclasses.replace(this.cluster, machine=faster))
        assert predict(other, layout).seconds.total <= plan.seconds.total


def _again(this: TrainingJob, layout: Layout, **changes) -> LayoutPlan:
    return predict(this, dataclasses.replace(layout, **changes))


def test_what_lies_outside_of_the_measurements_is_said():
    inside = predict(job(), Layout(data=256, pipeline=2, micro_batch=1)).to_json()["error"]
    assert inside["validated"] and inside["note"].startswith("validated")
    assert inside["table10"]["throughput_mean_percent"] <= 2.5 and "to spare" in inside["note"]
    for this, layout, word in (
        (job(machine="h200-141g"), Layout(data=256, pipeline=2, micro_batch=1), "h200-141g"),
        (job(), Layout(data=128, pipeline=4, micro_batch=1, schedule="interleaved"), "interleaved"),
        (job(), Layout(data=256, tensor=2, micro_batch=1, recompute="full"), "recompute full"),
        (job(kernels=EAGER), Layout(data=128, pipeline=4, micro_batch=1), "kernels"),
        (job(model=PRESETS["llama-1b"]), Layout(data=512, micro_batch=1), "13 B"),
    ):
        note = predict(this, layout).to_json()["error"]
        assert not note["validated"] and note["note"].startswith("not validated") and word in note["note"]


def test_zero_bubble_runs_uncompiled():
    """A compiled block cannot split its backward pass, so a plan with fused kernels would promise what cannot be run."""
    zero, plain = (predict(job(), Layout(data=64, pipeline=8, micro_batch=1, schedule=s)) for s in ("zero-bubble", "interleaved"))
    assert zero.seconds.pipeline < plain.seconds.pipeline and zero.seconds.memory > 2 * plain.seconds.memory
    assert job().kernels_of(zero.layout) is EAGER and job().kernels_of(plain.layout) is FUSED


@given(LAYOUTS)
def test_layouts_are_read_as_they_are_written(layout: Layout):
    again = parse_layout(layout_text(layout))
    assert dataclasses.replace(again, chunks=2) == dataclasses.replace(
        layout, chunks=2, schedule=layout.schedule if layout.pipeline > 1 else again.schedule
    )


def test_layouts_as_people_write_them():
    assert parse_layout("DP256+PP2") == parse_layout("pp=2, dp=256") == parse_layout("pp=2", world=512) == Layout(256, pipeline=2)
    assert parse_layout("dp=4,zero=false,micro=2", micro_batch=1) == Layout(4, zero=False, micro_batch=2)
    for wrong, told in (
        ("dp=four", "whole number"), ("dp=0", "whole number"), ("dp=2,dp=4", "twice"), ("gp=2", "none of"), ("dp", "none of"),
        ("schedule=gpipe", "one of 1f1b"), ("zero=maybe", "one of true"), ("数据=2", "none of"), ("dp=99999999999", "whole number"),
        ("dp=" + "9" * 10_000, "whole number"), ("DP" + "9" * 10_000, "whole number"), ("micro=" + "٣" * 5_000, "whole number"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=told):
            parse_layout(wrong)


def test_counts_as_people_write_them():
    assert parse_count("3.2T") == parse_count("3.2e12") == parse_count("3_200_000_000_000") == 3.2e12
    assert parse_count("130b") == 130e9
    for wrong in ("", "-1", "0", "many", "1e99", "nan", "三万"):
        with pytest.raises(ConfigError, match="no number of tokens"):
            parse_count(wrong)


def test_a_model_from_a_file(tmp_path):
    recipe = tmp_path / "模型.toml"
    recipe.write_text(
        '[model]\npreset = "llama-1b"\n[tokenizer]\nvocabulary = 65536\n[train]\nbatch = 64\n'
        '[[stages]]\nname = "a"\n[stages.data]\ntokens = 5_000_000\n'
    )
    found = read_subject(str(recipe))
    assert found.model == dataclasses.replace(PRESETS["llama-1b"], vocabulary=65_536)
    assert (found.batch, found.context, found.tokens) == (64, 256, 5e6)
    assert read_subject("skywork-13b").model == SKYWORK
    recipe.write_text("[model]\nvocabulary = 10\nhidden = 64\nlayers = 2\nheads = 3\nffn = 8\n")
    with pytest.raises(ConfigError, match=r"3 heads.*divide"):
        read_subject(str(recipe))
    for text, told in (
        ("", "no .model. table"),
        ('[model]\npreset = "skywork"\n', "no model preset"),
        ("[model", "not valid TOML"),
    ):
        recipe.write_text(text)
        with pytest.raises(ConfigError, match=told):
            read_subject(str(recipe))
    with pytest.raises(ConfigError, match="no model preset 'skywork'"):
        read_subject("skywork")


def test_a_machine_from_a_file(tmp_path):
    assert machine_of("H200") == machine_of("h200-141g")
    own = tmp_path / "own.toml"
    own.write_text("[machine]\ntflops = 100\nmemory_gib = 40\nmemory_gbs = 900\nlink_gbs = 30\nnetwork_gbits = 100\nwatts = 400\n")
    assert machine_of(str(own)).name == "own" and machine_of(str(own)).per_node == 8
    own.write_text(own.read_text() + "tflop = 1\n")
    with pytest.raises(ConfigError, match="did you mean 'tflops'"):
        machine_of(str(own))
    with pytest.raises(ConfigError, match="no machine 'b200'"):
        machine_of("b200")
    with pytest.raises(ConfigError, match="positive figure"):
        dataclasses.replace(machine_of("h100"), link_gbs=0)


def test_every_machine_says_where_its_figures_are_from():
    assert all(machine.source and machine.name == name for name, machine in MACHINES.items())


def test_planning_does_not_import_torch():
    code = "import sys, skyloom.cli.plan, skyloom.planner.search; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_answer_is_json():
    assert json.loads(json.dumps(predict(job(), Layout(data=256, pipeline=2, micro_batch=1)).to_json()))["fits"] is True


def test_stages_of_other_forms_are_planned_one_by_one(tmp_path):
    recipe = tmp_path / "阶段.toml"
    stage = '[[stages]]\nname = "{}"\n{}[stages.data]\ntokens = {}\n'
    text = '[model]\npreset = "llama-1b"\n[tokenizer]\nvocabulary = 65536\n[train]\nbatch = 64\ncontext = 2048\n'
    recipe.write_text(text + stage.format("一", "", 10**10) + stage.format("二", "", 10**9))
    alike = read_subject(str(recipe))
    assert not alike.differ and alike.tokens == 1.1e10 and alike.only("二").tokens == 1e9
    recipe.write_text(text + stage.format("一", "", 10**10) + stage.format("长", "context = 4096\nbatch = 16\n", 10**9))
    found = read_subject(str(recipe))
    assert found.differ and (found.only("长").batch, found.only("长").context) == (16, 4096)
    with pytest.raises(ConfigError, match="no stage '三'; its stages are: 一, 长"):
        found.only("三")
    command = ["plan", "--model", str(recipe), "--gpu", "h100-80g", "--json"]
    both = json.loads(CliRunner().invoke(main, command).output)
    assert [one["stage"] for one in both["stages"]] == ["一", "长"] and both["fits"]
    alone = json.loads(CliRunner().invoke(main, [*command, "--stage", "长"]).output)
    assert alone["assumptions"]["context"] == 4096 and alone["days"] == both["stages"][1]["days"]
    assert both["days"] == pytest.approx(sum(one["days"] for one in both["stages"]), abs=2e-4)
