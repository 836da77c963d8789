from __future__ import annotations

import itertools
import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.data.config import Phase
from skyloom.data.indexed import write_index
from skyloom.data.loader import Loader
from skyloom.data.mixture import resolve
from skyloom.data.permute import key_of, permute, shuffled
from skyloom.data.schedule import BLOCK
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


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_rank_and_resume_gives_the_same_stream(tokens, data):
    """With samples enough for several blocks of the schedule, and steps that lie across their borders."""
    plan = resolve(Phase(tokens=620_000, repeat_cap=100.0, **STAGE2), tokens.read_json("tokens.json"), progress=SILENT)
    shape = {"seed": 1, "batch": 60, "context": 4}
    stage = Loader(tokens, plan, **shape)
    assert stage.steps * 60 > 2 * BLOCK
    across = [BLOCK // 60, 2 * BLOCK // 60, 0, stage.steps - 1]
    step = data.draw(st.one_of(st.sampled_from(across), st.integers(0, stage.steps - 1)))
    world = data.draw(st.sampled_from([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60]))
    fresh = Loader(tokens, plan, **shape)  # as after a resume: nothing but the step is known
    whole, seen = stage.batch(step), stage.documents(step)
    for rank in range(world):
        part = fresh.batch(step, rank=rank, world=world)
        for field in ("tokens", "domains", "windows", "samples"):
            assert (getattr(part, field) == getattr(whole, field)[rank::world]).all()
    assert whole.samples.tolist() == list(range(60 * step, 60 * step + 60))
    rank = data.draw(st.integers(0, world - 1))
    mine = fresh.documents(step, rank=rank, world=world)
    assert [(s.domain, s.window, s.epoch, s.ids) for s in mine] == [(s.domain, s.window, s.epoch, s.ids) for s in seen[rank::world]]
    assert fresh.prefetch(step, rank=rank, world=world) is None, "asks the system for pages that are there"


def test_a_seed_gives_an_order_of_its_own(tokens):
    first, second = (loader(tokens, tokens=20_000, seed=seed, **STAGE2) for seed in (1, 2))
    assert (first.batch(0).tokens != second.batch(0).tokens).any()
    assert (first.batch(0).domains == second.batch(0).domains).all(), "the mixture is the plan's"


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


@pytest.mark.parametrize("context", [24, 200])
def test_borders_number_the_documents_of_each_row(tokens, tokenizer, context):
    """Chinese, English, code: what lies between two borders is a piece of the document that `documents` names there."""
    shares = {"web_en": 1.0, "web_zh": 1.0, "code": 1.0, "parallel": 1.0}
    plan = resolve(Phase(tokens=20_000, shares=shares), tokens.read_json("tokens.json"), progress=SILENT)
    stage = Loader(tokens, plan, seed=1, batch=16, context=context, borders=True)
    sequences, several = {d: parse(tokens.root, d) for d in stage.domains}, 0
    for step in range(4):
        batch = stage.batch(step)
        assert batch.documents is not None and batch.documents.shape == (16, context) and batch.documents.dtype == np.int64
        for seen, ids, numbers in zip(stage.documents(step), batch.tokens, batch.documents, strict=True):
            pieces = [ids[:-1][numbers == number].tolist() for number in np.unique(numbers)]
            several += len(pieces) > 1
            assert len(pieces) in (len(seen.documents), len(seen.documents) - 1), "the last target may begin one more"
            for piece, document in zip(pieces, seen.documents, strict=False):
                assert " ".join(map(str, piece)) in " ".join(map(str, sequences[seen.domain][document]))
    assert several > (20 if context == 200 else 3)
    assert loader(tokens, tokens=20_000, context=context, shares=shares).batch(0).documents is None


def test_attention_inside_borders_reads_a_document_as_if_it_were_alone(tokens):
    """Batches with borders fit the decoder: a row's second document gets the logits that it gets by itself."""
    import torch

    from skyloom.model.config import ModelConfig
    from skyloom.model.decoder import Decoder
    from skyloom.model.init import initialise

    vocabulary = tokens.read_json("tokens.json")["vocabulary"]
    plan = resolve(Phase(tokens=20_000, shares={"web_zh": 1.0, "web_en": 1.0}), tokens.read_json("tokens.json"), progress=SILENT)
    stage = Loader(tokens, plan, seed=1, batch=16, context=200, borders=True, vocabulary=vocabulary)
    batch = stage.batch(0)
    assert batch.documents is not None
    row = next(r for r in range(16) if batch.documents[r].max() > batch.documents[r].min())
    inputs, numbers = torch.from_numpy(batch.tokens[row : row + 1, :-1]), torch.from_numpy(batch.documents[row : row + 1])
    model = initialise(Decoder(ModelConfig(vocabulary=vocabulary, hidden=16, layers=2, heads=2, ffn=32, context=200)), 1)
    second = numbers[0] == numbers[0, 0] + 1
    with torch.no_grad():
        alone, masked, crossing = model(inputs[:, second]), model(inputs, numbers)[:, second], model(inputs)[:, second]
    torch.testing.assert_close(masked, alone, atol=1e-5, rtol=1e-4)
    assert (crossing - alone).abs().max() > 1e-3, "without borders it sees the document before"


def test_a_streams_identity_says_what_it_is_a_function_of(tokens, tmp_path):
    phase = {"tokens": 20_000, **STAGE2}
    stage = loader(tokens, **phase)
    recorded = json.loads(json.dumps(stage.identity))  # as a checkpoint keeps it
    same = loader(tokens, **phase)
    assert same.fingerprint == stage.fingerprint and len(stage.fingerprint) == 64
    same.check_identity(recorded)
    changes = {
        "seed": loader(tokens, seed=2, **phase),
        "batch": loader(tokens, batch=4, **phase),
        "context": loader(tokens, context=16, **phase),
        "plan": loader(tokens, **phase | {"tokens": 19_000}),
    }
    other = Store(tmp_path)
    for name in tokens.names():
        shutil.copy(tokens.path(name), tmp_path / name)
    manifest = tokens.read_json("tokens.json")
    manifest["domains"]["web_zh"]["files"][0]["sha256"] = "0" * 64
    other.write_json("tokens.json", manifest)
    changes["the tokens of web_zh"] = loader(other, **phase)
    for words, changed in changes.items():
        assert changed.fingerprint != stage.fingerprint
        with pytest.raises(IntegrityError, match=rf"changed: {words}\."):
            changed.check_identity(recorded)
    with pytest.raises(IntegrityError, match=r"changed: order\b.*tokens of code"):
        stage.check_identity({})


def test_a_run_of_the_order_before_goes_on_with_an_equal_plan_and_is_refused_with_the_reason_else(tokens):
    stage = loader(tokens, tokens=20_000, **STAGE2)
    before = {**stage.identity, "order": 1}
    stage.check_identity(before)
    with pytest.raises(IntegrityError, match=r"changed: order; plan\..*earlier version.*order of the recipe's keys"):
        stage.check_identity({**before, "plan": "0" * 64})
    with pytest.raises(IntegrityError, match=r"changed: seed\."):
        stage.check_identity({**before, "seed": 2})


def test_a_streams_identity_does_not_follow_the_order_of_keys(tokens):
    shares = {"web_zh": 0.1, "web_en": 0.2, "code": 0.3}
    streams = [
        loader(tokens, tokens=20_000, shares={name: shares[name] for name in names}, passes={"canary": 1})
        for names in itertools.permutations(shares)
    ]
    assert len({stream.fingerprint for stream in streams}) == 1


def test_the_tokens_vocabulary_must_be_the_models(tokens, tmp_path):
    manifest = tokens.read_json("tokens.json")
    plan = resolve(Phase(tokens=20_000, **STAGE2), manifest, progress=SILENT)
    shape = {"seed": 1, "batch": 8, "context": 32}
    Loader(tokens, plan, vocabulary=manifest["vocabulary"], **shape)
    for wrong in (manifest["vocabulary"] - 1, manifest["vocabulary"] + 1):
        with pytest.raises(ConfigError, match=rf"vocabulary.*\b{manifest['vocabulary']:,}\b.*model.*\b{wrong:,}\b"):
            Loader(tokens, plan, vocabulary=wrong, **shape)
    for name in tokens.names():
        shutil.copy(tokens.path(name), tmp_path / name)
    for change, words in (
        ({"dtype": "int32"}, r"\buint16\b.*tokens\.json.*\bint32\b"),
        ({"vocabulary": 70_000}, r"fit.*\buint16\b"),
    ):
        Store(tmp_path).write_json("tokens.json", manifest | change)
        with pytest.raises(DataError, match=words):
            Loader(Store(tmp_path), plan, **shape)


def test_places_beyond_32_bits(tmp_path):
    """A shard of 8.6 G tokens that takes no room: a file of holes, with ids where the windows of one step lie."""
    store, tokens, piece = Store(tmp_path, sync=False), 2**33 + 12_345, 2**27
    store.write_bytes("web_en.bin", b"")
    os.truncate(store.path("web_en.bin"), 2 * tokens)
    sizes = np.array([piece] * (tokens // piece) + [tokens % piece], np.int64)
    write_index(store, "web_en", sizes, np.dtype("<u2"))
    store.write_table("web_en.ids.parquet", pa.table({"id": [f"d{n}" for n in range(len(sizes))]}))
    entry = {"documents": len(sizes), "tokens": tokens, "files": []}
    manifest = {"vocabulary": 60_000, "bos": 1, "eos": 2, "dtype": "uint16", "domains": {"web_en": entry}}
    store.write_json("tokens.json", manifest)
    stage = Loader(store, resolve(Phase(tokens=4 * tokens), manifest, progress=SILENT), seed=1, batch=64, context=4096)
    step = stage.steps - 2
    windows, drawn = stage.batch(step).windows, np.random.default_rng(1)
    expected = drawn.integers(3, 60_000, (64, 4097))
    with store.path("web_en.bin").open("r+b") as file:
        for window, ids in zip(windows.tolist(), expected, strict=True):
            file.seek(2 * 4096 * window)
            file.write(ids.astype("<u2").tobytes())
    assert (windows * 4096 > 2**32).sum() > 10, "most places do not fit 32 bits"
    found = stage.batch(step).tokens
    assert (found[:, :4096] == expected[:, :4096]).all()
    assert stage.consumed(stage.steps)["web_en"] == pytest.approx(4 * tokens, rel=1e-4)
    for seen in stage.documents(step):
        inside = range(seen.window * 4096 // piece, min((seen.window + 1) * 4096, tokens) // piece + 1)
        assert seen.documents == tuple(inside) and seen.ids == tuple(f"d{n}" for n in inside) and seen.epoch == 3


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
    with pytest.raises(ConfigError, match=r"one step.*\b256\b"):
        loader(tokens, tokens=100, shares={"web_en": 1.0})
    stage = loader(tokens, tokens=2_000, shares={"web_en": 1.0})
    with pytest.raises(ConfigError, match="steps 0 to"):
        stage.batch(stage.steps)
    with pytest.raises(ConfigError, match="equal parts"):
        stage.batch(0, rank=0, world=3)
    manifest = tokens.read_json("tokens.json")
    manifest["domains"]["web_en"]["tokens"] += 1
    plan = resolve(Phase(tokens=2_000, shares={"web_en": 1.0}), manifest, progress=SILENT)
    with pytest.raises(DataError, match=r"plan was made"):
        Loader(tokens, plan, seed=1, batch=8, context=32)
