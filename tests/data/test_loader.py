from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.data.loader import Loader
from skyloom.data.mixture import Phase, resolve
from skyloom.data.permute import key_of, permute, shuffled
from skyloom.data.schedule import BLOCK, Schedule
from tests.data.test_pack import parse

SILENT = Progress.silent()
STAGE2 = {"shares": {"web_en": 0.45, "web_zh": 0.35, "code": 0.1, "parallel": 0.1}, "ramp": {"stem": (0.1, 0.4)}}


def loader(store, /, *, batch=8, context=32, seed=1, used=None, **phase) -> Loader:
    plan = resolve(Phase(**phase), store.read_json("tokens.json"), progress=SILENT, used=used)
    return Loader(store, plan, seed=seed, batch=batch, context=context)


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 3000), seed=st.integers(0, 2**32))
def test_permutations_are_permutations(size, seed):
    order = shuffled(size, key_of(seed))
    assert sorted(order.tolist()) == list(range(size))
    some = np.arange(0, size, 7)
    assert permute(some, size, key_of(seed)).tolist() == order[some].tolist()


def test_permutations_differ_by_key_and_leave_no_trend():
    first, second = (shuffled(10_000, key_of("a", n)) for n in (1, 2))
    assert (first == second).mean() < 0.01
    assert abs(np.corrcoef(np.arange(10_000), first)[0, 1]) < 0.05
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.05


def test_the_order_is_pinned():
    """Runs must be repeatable for years: these numbers may only change together with the version of the steps."""
    assert shuffled(10, key_of("pinned", 1)).tolist() == [9, 0, 7, 4, 6, 3, 1, 2, 8, 5]


@st.composite
def shares_over_a_stage(draw) -> tuple[int, np.ndarray, np.ndarray]:
    sources, corners = draw(st.integers(1, 8)), draw(st.integers(2, 4))
    weights = draw(st.lists(st.integers(0, 100), min_size=sources * corners, max_size=sources * corners))
    rows = np.array(weights, float).reshape(corners, sources)
    rows[:, 0] += 1e-3
    samples = draw(st.integers(1, 400))
    return samples, np.linspace(0, samples, corners), rows / rows.sum(1, keepdims=True)


@settings(max_examples=200, deadline=None)
@given(stage=shares_over_a_stage())
def test_every_prefix_is_within_one_sample_of_the_plan(stage):
    samples, positions, shares = stage
    schedule = Schedule(samples, positions, shares)
    sources, ranks = schedule.block(0).sources, schedule.block(0).ranks
    counts = np.cumsum(np.eye(shares.shape[1])[sources], axis=0)
    grid = np.linspace(0, samples, 4_001)
    curves = np.stack([np.interp(grid, positions, shares[:, i]) for i in range(shares.shape[1])], 1)
    steps = (curves[1:] + curves[:-1]) / 2 * (samples / 4_000)
    totals = np.vstack([np.zeros(shares.shape[1]), np.cumsum(steps, axis=0)])  # integrated independently, by trapezoids
    ideal = np.stack([np.interp(np.arange(1, samples + 1), grid, totals[:, i]) for i in range(shares.shape[1])], 1)
    assert np.abs(counts - ideal).max() < 1
    for s in {0, samples // 3, samples - 1}:
        np.testing.assert_allclose(schedule.ideal(s + 1), ideal[s], atol=1e-2)
        assert (schedule.counts(s + 1) == counts[s]).all()
        assert ranks[s] == (counts[s - 1, sources[s]] if s else 0)


def test_schedules_are_the_same_from_any_block():
    shares = np.array([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]])
    samples = 3 * BLOCK + 100
    whole, jump = (Schedule(samples, np.array([0.0, samples]), shares) for _ in range(2))
    in_order = [whole.block(n) for n in range(4)]
    assert sum(len(block.sources) for block in in_order) == samples
    for number in (3, 0, 2, 1):
        for field in ("sources", "ranks", "before"):
            assert (getattr(jump.block(number), field) == getattr(in_order[number], field)).all()
    counts = jump.counts(2 * BLOCK + 17)
    assert np.abs(counts - jump.ideal(2 * BLOCK + 17)).max() < 1 and counts.sum() == 2 * BLOCK + 17


def test_samples_are_windows_of_the_stream(tokens):
    stage = loader(tokens, tokens=20_000, **STAGE2)
    streams = {d: np.concatenate(parse(tokens.root, d)) for d in stage.domains}
    for step in range(0, stage.steps, 7):
        batch = stage.batch(step)
        assert batch.tokens.shape == (8, 33) and batch.tokens.dtype == np.int64 and batch.domains.dtype == np.int16
        for row in range(8):
            stream = streams[stage.domains[batch.domains[row]]]
            start = batch.windows[row] * 32
            assert batch.tokens[row].tolist() == np.take(stream, range(start, start + 33), mode="wrap").tolist()


def test_an_epoch_repeats_nothing_and_leaves_out_nothing(tokens):
    stage = loader(tokens, tokens=100_000, batch=4, shares={"stem_zh": 1.0, "code": 1.0}, repeat_cap=20.0)
    places: dict[str, list[tuple[int, int]]] = {d: [] for d in stage.domains}
    for step in range(stage.steps):
        for seen in stage.documents(step):
            places[seen.domain].append((seen.epoch, seen.window))
    for index, domain in enumerate(stage.domains):
        windows = int(stage.windows[index])
        orders = [[w for e, w in places[domain] if e == epoch] for epoch in range(len(places[domain]) // windows)]
        assert len(orders) >= 2 and all(sorted(order) == list(range(windows)) for order in orders)
        assert orders[0] != orders[1], "every epoch has an order of its own"
        assert [e for e, _ in places[domain]] == sorted(e for e, _ in places[domain])


def test_every_rank_and_resume_gives_the_same_stream(tokens):
    plan = resolve(Phase(tokens=20_000, **STAGE2), tokens.read_json("tokens.json"), progress=SILENT)
    stage = Loader(tokens, plan, seed=1, batch=8, context=32)
    for step in (0, 5, stage.steps - 1):
        fresh = Loader(tokens, plan, seed=1, batch=8, context=32)  # as after a resume: nothing but the step is known
        whole = stage.batch(step)
        for world in (1, 2, 4, 8):
            joined = np.empty_like(whole.tokens)
            for rank in range(world):
                part = fresh.batch(step, rank=rank, world=world)
                joined[rank::world] = part.tokens
                assert (part.samples % 8 % world == rank).all()
            assert (joined == whole.tokens).all()
    other = Loader(tokens, plan, seed=2, batch=8, context=32)
    assert (other.batch(0).tokens != stage.batch(0).tokens).any()


def test_shares_follow_the_ramp_and_are_told(tokens):
    stage = loader(tokens, tokens=40_000, **STAGE2)
    stem = [i for i, d in enumerate(stage.domains) if d.startswith("stem")]
    early = np.concatenate([stage.batch(s).domains for s in range(10)])
    late = np.concatenate([stage.batch(s).domains for s in range(stage.steps - 10, stage.steps)])
    assert np.isin(early, stem).mean() == pytest.approx(0.1, abs=0.04)
    assert np.isin(late, stem).mean() == pytest.approx(0.4, abs=0.04)
    for step in (1, 40, stage.steps):
        counted = np.bincount(np.concatenate([stage.batch(s).domains for s in range(step)]), minlength=len(stage.domains))
        realised = stage.realised(step)
        assert [realised[d] for d in stage.domains] == pytest.approx((counted / counted.sum()).tolist())
        for domain, share in stage.planned(step).items():
            assert abs(share - realised[domain]) * step * 8 < 1


@pytest.mark.parametrize("context", [16, 32, 100])
@pytest.mark.parametrize("passes", [1, 3])
def test_passes_are_exact(tokens, context, passes):
    stage = loader(
        tokens, tokens=50_000, batch=4, context=context, shares={"web_en": 0.5, "web_zh": 0.5}, passes={"canary": passes}
    )
    canary = stage.domains.index("canary")
    windows = [w for s in range(stage.steps) for b in [stage.batch(s)] for w in b.windows[b.domains == canary].tolist()]
    assert sorted(windows) == sorted(list(range(int(stage.windows[canary]))) * passes)
    where = [s for s in range(stage.steps) if (stage.batch(s).domains == canary).any()]
    assert where[0] < 0.2 * stage.steps and where[-1] > 0.8 * stage.steps, "spread over the stage"


def test_documents_are_those_whose_text_is_in_the_rows(tokens, documents, tokenizer):
    from skyloom.tokenizer import Tokenizer
    from tests.data.test_pack import training_texts

    words, texts = Tokenizer.load(tokenizer), training_texts(documents)
    stage = loader(tokens, tokens=10_000, context=200, batch=4, shares={"web_en": 1.0, "web_zh": 1.0, "code": 1.0})
    for seen, row in zip(stage.documents(2), stage.batch(2).tokens, strict=True):
        sequences = parse(tokens.root, seen.domain)
        joined = [token for d in seen.documents for token in sequences[d]]
        text = " ".join(map(str, joined))
        assert " ".join(map(str, row.tolist())) in text
        for document, identity in zip(seen.documents, seen.ids, strict=True):
            assert words.decode(sequences[document]) == texts[seen.domain][identity]


def test_the_next_stage_goes_on_where_the_last_one_ended(tokens):
    first = loader(tokens, tokens=6_000, batch=4, shares={"web_zh": 1.0})
    used = first.consumed(first.steps)
    second = loader(tokens, tokens=6_000, batch=4, shares={"web_zh": 1.0}, used=used)
    long = loader(tokens, tokens=first.steps * 4 * 32 * 2, batch=4, shares={"web_zh": 1.0})
    for step in range(4):
        assert (second.batch(step).tokens == long.batch(first.steps + step).tokens).all()


def test_a_source_shorter_than_a_sample_is_read_in_a_circle(tokens):
    size = tokens.read_json("tokens.json")["domains"]["canary"]["tokens"]
    stage = loader(tokens, tokens=10 * size, context=size + 50, batch=1, shares={"canary": 1.0}, repeat_cap=99.0)
    stream = np.concatenate(parse(tokens.root, "canary"))
    assert stage.batch(0).tokens[0].tolist() == [*stream.tolist(), *stream[:51].tolist()]


def test_mistakes_are_told(tokens):
    with pytest.raises(ConfigError, match="one step takes 256"):
        loader(tokens, tokens=100, shares={"web_en": 1.0})
    stage = loader(tokens, tokens=2_000, shares={"web_en": 1.0})
    with pytest.raises(ConfigError, match="steps 0 to"):
        stage.batch(stage.steps)
    with pytest.raises(ConfigError, match="equal parts"):
        stage.batch(0, rank=0, world=3)
    manifest = tokens.read_json("tokens.json")
    manifest["domains"]["web_en"]["tokens"] += 1
    plan = resolve(Phase(tokens=2_000, shares={"web_en": 1.0}), manifest, progress=SILENT)
    with pytest.raises(DataError, match="the plan was made for"):
        Loader(tokens, plan, seed=1, batch=8, context=32)
