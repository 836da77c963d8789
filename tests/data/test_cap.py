"""No source is read more often than the cap says: over several stages, with rounding to samples, whatever the plan."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.data.config import Phase
from skyloom.data.indexed import write_index
from skyloom.data.loader import Loader
from skyloom.data.mixture import resolve

SILENT = Progress.silent()
SIZES = {"web_en": 5_003, "web_zh": 3_001, "code": 997, "stem_en": 400, "stem_zh": 61, "books_zh": 23, "canary": 130}
CAP = 5


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Domains of awkward sizes: primes, shorter than a sample, a little longer than one."""
    made, domains = Store(tmp_path_factory.mktemp("tokens"), sync=False), {}
    for domain, size in SIZES.items():
        ids = np.arange(size, dtype="<u2")
        made.write_bytes(f"{domain}.bin", ids.tobytes())
        write_index(made, domain, np.array([size]), ids.dtype)
        domains[domain] = {"documents": 1, "tokens": size, "files": []}
    made.write_json("tokens.json", {"vocabulary": 60_000, "bos": 1, "eos": 2, "dtype": "uint16", "domains": domains})
    return made


@st.composite
def phases(draw) -> Phase:
    tokens = draw(st.integers(200, 40_000))
    places = st.integers(1, tokens)
    share = st.floats(0, 0.3)
    courses = {
        "ramp": draw(st.dictionaries(st.just("stem"), st.tuples(share, share), max_size=1)),
        "curve": draw(st.dictionaries(st.just("code"), st.tuples(st.tuples(places, share)), max_size=1)),
        "steps": draw(
            st.dictionaries(st.just("books"), st.tuples(st.tuples(st.just(0), share), st.tuples(places, share)), max_size=1)
        ),
    }
    return Phase(
        tokens=tokens,
        shares=draw(st.dictionaries(st.sampled_from(["web_en", "web_zh", "code", "books"]), st.floats(0.05, 1), max_size=4)),
        passes=draw(st.dictionaries(st.just("canary"), st.integers(0, 6), max_size=1)),
        fit=draw(st.booleans()),
        **courses,
    )


@settings(max_examples=150, deadline=None)
@given(
    plans=st.lists(phases(), min_size=1, max_size=4), context=st.sampled_from([8, 32, 64, 150]), batch=st.sampled_from([1, 3, 8])
)
def test_no_window_is_read_more_often_than_the_cap(store, plans, context, batch):
    """A stage that would break it is refused before its first step, by the name of a source; the others keep it together."""
    manifest, used = store.read_json("tokens.json"), dict[str, int]()
    read: dict[str, Counter[int]] = {d: Counter() for d in SIZES}
    for phase in plans:
        try:
            plan = resolve(phase, manifest, progress=SILENT, used=used)
        except ConfigError as problem:
            assert any(domain in str(problem) for domain in SIZES) or "passes take" in str(problem) or "base shares" in str(problem)
            continue
        try:
            stage = Loader(store, plan, seed=1, batch=batch, context=context)
        except ConfigError as problem:
            short = "one step takes" in str(problem) or "passes take" in str(problem)
            assert short or (any(domain in str(problem) for domain in SIZES) and "the cap of 5" in str(problem))
            assert short or not phase.fit or any(phase.passes.values()), "what is fitted, fits to the sample"
            continue
        for step in range(stage.steps):
            rows = stage.batch(step)
            for domain, window in zip(rows.domains.tolist(), rows.windows.tolist(), strict=True):
                read[stage.domains[domain]][window] += 1
        used = json.loads(json.dumps(stage.consumed(stage.steps)))
        total = {d: sum(c.values()) for d, c in read.items()}
        for line in stage.progress(stage.steps):
            size, windows = SIZES[line.domain], -(-SIZES[line.domain] // context)
            assert line.passes == pytest.approx(total[line.domain] * (context / size if size < context else 1 / windows))
    for domain, windows in read.items():
        size = SIZES[domain]
        most = CAP if size >= context else -(-CAP * size // context)
        assert max(windows.values(), default=0) <= most, domain
        if windows:
            whole = [windows[w] for w in range(-(-size // context))]
            assert max(whole) - min(whole) <= 1, "stages go on in one permutation of an epoch after the other"


def test_a_source_shorter_than_a_sample_counts_for_what_it_is(store):
    """One window of 150 tokens reads a shard of 61 two and a half times; the cap of five is three samples, rounded up."""
    manifest = store.read_json("tokens.json")
    fitting = resolve(Phase(tokens=3_000, shares={"web_en": 1.0}, passes={"stem_zh": 4}), manifest, progress=SILENT)
    with pytest.raises(ConfigError, match=r"stem_zh has 61 tokens.*\b150\b.*cap of 5\b"):
        Loader(store, fitting, seed=1, batch=2, context=150)
    Loader(store, fitting, seed=1, batch=2, context=61)


def test_a_domain_that_a_stage_leaves_out_is_not_forgotten(store):
    manifest, used = store.read_json("tokens.json"), dict[str, int]()
    for shares in ({"code": 1.0}, {"web_en": 1.0}, {"web_zh": 1.0}):
        stage = Loader(
            store, resolve(Phase(tokens=4_900, shares=shares), manifest, progress=SILENT, used=used), seed=1, batch=1, context=8
        )
        used = stage.consumed(stage.steps)
    assert used["code"] == pytest.approx(4_900, rel=0.01) and set(used) == {"code", "web_en", "web_zh"}
    with pytest.raises(ConfigError, match=r"\bcode\b.*\b997 tokens"):
        resolve(Phase(tokens=4_900, shares={"code": 1.0}), manifest, progress=SILENT, used=used)
