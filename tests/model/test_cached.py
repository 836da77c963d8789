"""The decoder with a cache against the decoder: logits behind prefixes, of trees, step by step, and on weights that are not copied."""

from __future__ import annotations

import pytest
import torch

from skyloom.core.errors import ConfigError
from skyloom.model import cached
from skyloom.model.cached import CachedDecoder
from skyloom.model.config import ModelConfig, RopeScaling
from skyloom.model.decoder import Decoder

SHAPES = {
    "plain": ModelConfig(vocabulary=97, hidden=32, layers=2, heads=4, ffn=80, context=40),
    "grouped, tied": ModelConfig(vocabulary=83, hidden=48, layers=2, heads=6, key_heads=2, ffn=96, context=40, tied=True),
    "one key head": ModelConfig(vocabulary=71, hidden=32, layers=2, heads=4, key_heads=1, ffn=80, context=40),
    "window": ModelConfig(vocabulary=59, hidden=32, layers=2, heads=4, key_heads=2, ffn=80, context=40, window=7),
    "all new parts": ModelConfig(
        vocabulary=61,
        hidden=40,
        layers=2,
        heads=4,
        key_heads=2,
        ffn=80,
        context=40,
        head_width=16,
        query_bias=True,
        head_norm=True,
        window=24,
        rope_scaling=RopeScaling("yarn", 4.0, 16),
    ),
    "gpt": ModelConfig(vocabulary=61, hidden=32, layers=2, heads=4, ffn=64, context=40, block="gpt", dropout=0.3),
}
EXACT = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 0.1}


def random_model(shape: ModelConfig, dtype: torch.dtype) -> Decoder:
    torch.manual_seed(2)
    model = Decoder(shape)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.2)
    return model.to(dtype).eval()


@pytest.fixture(params=["as here", "written out"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attention of CPUs, and that of accelerators in pieces of one row."""
    if request.param == "written out":
        monkeypatch.setattr(cached, "_fused", lambda *rest: cached._written(*rest))
        monkeypatch.setattr(cached, "SCORES", 1)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_logits_equal_the_decoders(shape: str, dtype: torch.dtype) -> None:
    model = random_model(SHAPES[shape], dtype)
    network, tokens = CachedDecoder(model), torch.randint(SHAPES[shape].vocabulary, (3, 30))
    tokens[:, :20] = tokens[0, :20]
    wished = model(tokens)
    near = {"rtol": 0, "atol": EXACT[dtype] * float(wished.abs().max())}

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        return network.logits(hidden.flatten(0, -2)).view(*hidden.shape[:-1], -1)

    positions = torch.arange(30).expand(3, -1)
    torch.testing.assert_close(logits(network.run(tokens, positions, None, None)), wished, **near)
    before = network.prefix(tokens[0, 12:20], network.prefix(tokens[0, :12]))
    assert before.length == 20 and before.keys[0].shape[:3] == (1, SHAPES[shape].grouped_heads, 20)
    torch.testing.assert_close(logits(network.run(tokens[:, 20:], positions[:, 20:], None, before)), wished[:, 20:], **near)

    padded, fill = positions[:, 20:].clone(), tokens[:, 20:].clone()
    padded[1, 3:], fill[1, 3:] = 20, 0  # a shorter row is padded so
    torch.testing.assert_close(logits(network.run(fill, padded, None, before))[1, :3], wished[1, 20:23], **near)

    # A tree: the first two rows' last 5 tokens are branches behind the prefix and the first row's 5.
    tokens[1, 20:25] = tokens[0, 20:25]
    wished = model(tokens)
    row = torch.cat((tokens[0, 20:25], tokens[0, 25:], tokens[1, 25:]))[None]
    mask = torch.ones(15, 15, dtype=torch.bool).tril()
    mask[10:, 5:10] = False
    places = torch.tensor([[*range(20, 30), *range(25, 30)]])
    found = logits(network.run(row, places, mask[None], before))[0]
    torch.testing.assert_close(found, torch.cat((wished[0, 20:], wished[1, 25:])), **near)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_growing_rows_equal_the_decoder(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of different lengths behind a prefix; some leave, and the cache is enlarged on the way."""
    monkeypatch.setattr(cached, "ROOM", 2)
    model = random_model(SHAPES[shape], torch.float32)
    network = CachedDecoder(model)
    tokens = torch.randint(SHAPES[shape].vocabulary, (3, 40))
    tokens[:, :8] = tokens[0, :8]
    lengths, wished = torch.tensor([10, 2, 5]), model(tokens)
    hidden, rows = network.start(tokens[:, 8:18], lengths, network.prefix(tokens[0, :8]))
    going = torch.arange(3)
    for step in range(12):
        ends = 8 + lengths[going] + step
        near = {"rtol": 0, "atol": 1e-5 * float(wished.abs().max())}
        torch.testing.assert_close(network.logits(hidden), wished[going, ends - 1], **near)
        if step == 5:
            rows.keep(torch.tensor([0, 2]))
            going = going[[0, 2]]
            ends = ends[[0, 2]]
        hidden = network.step(tokens[going, ends], rows)


def test_weights_are_not_copied_and_parts_are_refused() -> None:
    model = random_model(SHAPES["grouped, tied"], torch.float32)
    network = CachedDecoder(model)
    with torch.no_grad():
        before = network.logits(network.run(torch.tensor([[1, 2]]), torch.tensor([[0, 1]]), None, None)[0])
        model.blocks["0"].ffn.down.weight.mul_(3)
        after = network.logits(network.run(torch.tensor([[1, 2]]), torch.tensor([[0, 1]]), None, None)[0])
    assert not torch.allclose(before, after)
    model.embedding = None
    with pytest.raises(ConfigError, match="a part of a model"):
        CachedDecoder(model)
