"""What Muon costs, by hand and against the decoder: matrices, FLOPs counted by torch, owners, memory, time."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.presets import PRESETS
from skyloom.planner.layout import Layout
from skyloom.planner.machines import MACHINES, TABLE10
from skyloom.planner.memory import FUSED, memory, shares
from skyloom.planner.muon_cost import iteration_flops, matrices, matrix_parameters, muon_bytes, muon_flops, rounds
from skyloom.planner.search import TrainingJob, predict
from skyloom.planner.time import Cluster
from skyloom.run.subject import read_subject
from skyloom.train.step.muon import orthogonalise, takes_muon

SKYWORK = PRESETS["skywork-13b"]


@pytest.mark.parametrize(
    "other",
    [{}, {"key_heads": 2, "head_width": 12, "head_norm": True}, {"query_bias": True}, {"block": "gpt"}],
    ids=["plain", "grouped", "biases", "gpt"],
)
def test_the_matrices_of_a_block_are_those_of_the_decoder(other):
    config = ModelConfig(vocabulary=64, hidden=32, layers=2, heads=4, ffn=96, context=32, **other)
    found = {n: tuple(w.shape) for n, w in Decoder(config).named_parameters() if takes_muon(n, w)}
    assert found == {f"blocks.{name}.weight": shape for name, shape in matrices(config, 2).items()}
    assert matrix_parameters(config) == sum(r * c for r, c in found.values()) / 2


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (16, 16)])
def test_flops_are_those_that_torch_counts(shape):
    with FlopCounterMode(display=False) as counter:
        orthogonalise(torch.randn(shape))
    assert counter.get_total_flops() == iteration_flops(*shape)


def test_every_matrix_has_one_owner_and_rounds_cost_alike():
    shapes = matrices(SKYWORK, 26)
    for count in (1, 3, 8, 256):
        found = rounds(shapes, count)
        assert sorted(name for names in found for name in names) == sorted(shapes)
        assert all(len(names) == count for names in found[:-1]) and len(found) == -(-len(shapes) // count)


def test_memory_flops_and_traffic_by_hand():
    layout = Layout(data=256, pipeline=2, micro_batch=1)
    adamw, muon = (memory(SKYWORK, layout, 4096, 4096, FUSED, 0.0, optimizer=name) for name in ("adamw", "muon"))
    per_block = 4 * 4608**2 + 3 * 4608 * 12_288
    assert adamw.optimiser - muon.optimiser == 4 * 26 * per_block / 256
    share = shares(SKYWORK, layout)[0]
    largest = 4608 * 12_288  # 182 matrices, 256 owners: one round
    assert muon_flops(SKYWORK, layout, share) == 5 * (4 * 4608 * largest + 2 * 4608**3)
    assert muon_bytes(SKYWORK, layout, share, 2) == pytest.approx(2 * ((26 * per_block - largest) / 256 + largest * 255 / 256))
    assert muon_bytes(SKYWORK, Layout(), shares(SKYWORK, Layout())[0], 2) == 0


def test_a_plan_with_muon_needs_less_memory_and_more_time_and_says_that_nobody_measured_it():
    cluster = Cluster(MACHINES["a800-80g"], TABLE10, 64, 8)
    adamw, muon = (
        predict(TrainingJob(SKYWORK, cluster, 4096, 4096, 3.2e12, optimizer=name), Layout(data=256, pipeline=2, micro_batch=1))
        for name in ("adamw", "muon")
    )
    assert muon.memory.total < adamw.memory.total and muon.seconds.update > adamw.seconds.update
    assert "optimizer muon" in muon.to_json()["error"]["outside"] and "outside" in adamw.to_json()["error"]


def test_the_recipe_names_the_optimizer(tmp_path):
    file = tmp_path / "r.toml"
    text = "[model]\nvocabulary = 64\nhidden = 32\nlayers = 2\nheads = 4\nffn = 96\ncontext = 32\n[train]\noptimizer = "
    file.write_text(text + '"muon"\n')
    assert read_subject(str(file)).optimizer == "muon"
    file.write_text(text + '"sgd"\n')
    with pytest.raises(ConfigError, match=r"adamw, muon.*sgd"):
        read_subject(str(file))
