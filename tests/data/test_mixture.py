from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from skyloom.core.config import build, plain, to_toml
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.data.config import Phase
from skyloom.data.mixture import StagePlan, resolve
from skyloom.data.mixture_table import TABLE_1, mixture_table, show_mixture

SIZES = {"web_en": 40_000, "web_zh": 35_000, "code": 10_000, "stem_en": 6_000, "stem_zh": 2_000, "parallel": 3_000, "canary": 700}
MANIFEST = {"domains": {d: {"tokens": n} for d, n in SIZES.items()}}
SILENT = Progress.silent()


def listening() -> tuple[Progress, io.StringIO]:
    heard = io.StringIO()
    return Progress(Console(file=heard, width=1000)), heard


def at(plan: StagePlan, position: float) -> dict[str, float]:
    """Shares at a position; at a step, those from it on."""
    rows, places = np.array(plan.shares), np.array(plan.positions)
    right = min(int(np.searchsorted(places, position, side="right")), len(places) - 1)
    part = (position - places[right - 1]) / (places[right] - places[right - 1])
    return dict(zip(plan.domains, ((1 - part) * rows[right - 1] + part * rows[right]).tolist(), strict=True))


def test_shares_are_normalised_over_what_exists_and_the_absent_named():
    progress, heard = listening()
    shares = {"web_en": 0.45, "web_zh": 0.35, "code": 0.1, "books_en": 0.1}
    plan = resolve(Phase(tokens=50_000, shares=shares), MANIFEST, progress=progress, name="stage1")
    assert at(plan, 0.3) == pytest.approx({"web_en": 0.5, "web_zh": 0.35 / 0.9, "code": 0.1 / 0.9})
    assert "stage1.shares: no tokens of books_en" in heard.getvalue()


def test_without_shares_every_domain_but_the_canaries_counts_by_its_size():
    plan = resolve(Phase(tokens=50_000), MANIFEST, progress=SILENT)
    total = sum(SIZES.values()) - SIZES["canary"]
    assert at(plan, 0.5) == pytest.approx({d: n / total for d, n in SIZES.items() if d != "canary"})


def test_stage_2_ramps_stem_from_a_tenth_to_two_fifths_as_in_the_report():
    phase = Phase(tokens=20_000, shares={"web_en": 0.5, "web_zh": 0.4, "code": 0.1}, ramp={"stem": (0.1, 0.4)})
    plan = resolve(phase, MANIFEST, progress=SILENT)
    for position in (0.0, 0.25, 0.5, 1.0):
        shares = at(plan, position)
        stem = 0.1 + 0.3 * position
        assert shares["stem_en"] + shares["stem_zh"] == pytest.approx(stem)
        assert shares["stem_en"] == pytest.approx(3 * shares["stem_zh"]), "in proportion to their tokens"
        assert shares["web_en"] == pytest.approx(0.5 * (1 - stem)) and shares["web_zh"] == pytest.approx(0.4 * (1 - stem))
    assert plan.wants()["stem_en"] + plan.wants()["stem_zh"] == pytest.approx(0.25 * 20_000)


def test_ramps_of_different_corners_meet():
    phase = Phase(tokens=9_000, shares={"web_en": 1.0}, ramp={"stem": (0.0, 0.4, 0.2), "code": (0.3, 0.0)})
    plan = resolve(phase, MANIFEST, progress=SILENT)
    assert plan.positions == (0.0, 0.5, 1.0)
    assert at(plan, 0.25)["code"] == pytest.approx(0.225)
    assert at(plan, 0.75)["stem_en"] + at(plan, 0.75)["stem_zh"] == pytest.approx(0.3)
    assert all(sum(row) == pytest.approx(1) for row in plan.shares)


def test_steps_and_curves_are_in_tokens_of_the_stage():
    phase = Phase(
        tokens=20_000,
        shares={"web_en": 0.75, "code": 0.25},
        ramp={"parallel": (0.0, 0.2)},
        curve={"stem": ((4_000, 0.1), (12_000, 0.3))},
        steps={"web_zh": ((0, 0.4), (5_000, 0.2), (16_000, 0.3))},
    )
    plan = resolve(phase, MANIFEST, progress=SILENT)
    assert plan.positions == (0.0, 0.2, 0.25, 0.25, 0.6, 0.8, 0.8, 1.0)
    for token, parallel, stem, zh in ((0, 0, 0.1, 0.4), (4_999, 0.04999, 0.124975, 0.4), (5_000, 0.05, 0.125, 0.2),
                                      (8_000, 0.08, 0.2, 0.2), (15_999, 0.15999, 0.3, 0.2), (19_999, 0.19999, 0.3, 0.3)):  # fmt: skip
        shares = at(plan, token / 20_000)
        assert shares["parallel"] == pytest.approx(parallel) and shares["web_zh"] == pytest.approx(zh)
        assert shares["stem_en"] + shares["stem_zh"] == pytest.approx(stem)
        assert shares["web_en"] == pytest.approx(0.75 * (1 - parallel - stem - zh)) and sum(shares.values()) == pytest.approx(1)
    assert plan.wants()["web_zh"] == pytest.approx(5_000 * 0.4 + 11_000 * 0.2 + 4_000 * 0.3)
    assert sum(plan.wants().values()) == pytest.approx(20_000)


def test_a_changed_mix_within_a_stage_needs_no_base_shares():
    steps = {"web_en": ((0, 1.0), (6_000, 0.25)), "web_zh": ((0, 0.0), (6_000, 0.75))}
    plan = resolve(Phase(tokens=10_000, steps=steps, shares={"web_en": 1.0}), MANIFEST, progress=SILENT)
    assert at(plan, 0.59) == pytest.approx({"web_en": 1.0, "web_zh": 0.0})
    assert at(plan, 0.6) == pytest.approx({"web_en": 0.25, "web_zh": 0.75})
    assert plan.wants() == pytest.approx({"web_en": 7_000, "web_zh": 3_000})


def test_a_course_that_makes_no_sense_is_refused_with_its_key():
    for table, words in (
        ({"curve": {"stem": ((0, 0.1), (0, 0.2))}}, r"curve\.stem\b.*points.*order"),
        ({"steps": {"stem": ((500, 0.1), (100, 0.2))}}, r"steps\.stem\b.*points.*order"),
        ({"curve": {"stem": ((-1, 0.1), (100, 0.2))}}, r"curve\.stem\b.*points.*order"),
        ({"curve": {"stem": ((0, 0.1), (1_001, 0.2))}}, r"curve\.stem\b.*token 1,001\b.*\b1,000\b"),
        ({"steps": {"stem": ((1, 0.1),)}}, r"steps\.stem\b.*token 0\b"),
        ({"steps": {"stem": ((0, 1.1),)}}, r"steps\.stem\b.*share.*\b1\.1\b"),
        ({"ramp": {"stem": (float("nan"), 0.1)}}, r"ramp\.stem\b.*\bnan\b"),
        ({"shares": {"stem": float("inf")}}, r"shares\.stem\b.*\binf\b"),
        ({"ramp": {"stem": (0.1,)}, "steps": {"stem": ((0, 0.1),)}}, r"\bstem\b.*\bramp\b.*\bsteps\b"),
        ({"passes": {"stem": 1}, "curve": {"stem": ((0, 0.1),)}}, r"\bstem\b.*\bcurve\b.*\bpasses\b"),
    ):
        with pytest.raises(ConfigError, match=words):
            Phase(tokens=1_000, **table)
    for table, words in (
        ({"ramp": {"stem": (0.1,)}, "steps": {"stem_zh": ((0, 0.1),)}}, r"\bstem_zh\b.*\bstem_zh\b.*\bstem\b"),
        ({"ramp": {"stem": (0.4, 0.0)}, "shares": {"books": 1.0}}, r"100% of the stage.*stage\.shares"),
        ({"steps": {"web_en": ((0, 0.4), (500, 0.8)), "web_zh": ((0, 0.4),)}}, r"\b1\.2\b.*50% of the stage"),
    ):
        with pytest.raises(ConfigError, match=words):
            resolve(Phase(tokens=1_000, **table), MANIFEST, progress=SILENT)


def test_a_resized_stage_keeps_the_form_of_its_courses():
    phase = Phase(
        tokens=20_000, shares={"web_en": 1.0}, curve={"stem": ((0, 0.1), (20_000, 0.4))}, steps={"code": ((0, 0.1), (5_000, 0.2))}
    )
    small, plan = phase.resized(2_000), resolve(phase, MANIFEST, progress=SILENT)
    assert small.curve["stem"] == ((0, 0.1), (2_000, 0.4)) and small.steps["code"] == ((0, 0.1), (500, 0.2))
    shrunk = resolve(small, MANIFEST, progress=SILENT)
    assert (shrunk.positions, shrunk.shares) == (plan.positions, plan.shares) and shrunk.tokens == 2_000
    assert phase.resized(2).steps["code"] == ((0, 0.2),), "of points that fall together the last one holds"


def test_a_step_that_runs_out_is_fitted_by_its_mean():
    phase = Phase(tokens=100_000, shares={"web_en": 1.0}, steps={"parallel": ((0, 0.4), (50_000, 0.2))}, fit=True)
    plan = resolve(phase, MANIFEST, progress=SILENT)
    assert plan.tokens == 50_000 and plan.epochs()["parallel"] == pytest.approx(5.0)
    with pytest.raises(ConfigError, match=r"parallel\b.*\b3,000 tokens.*\b100,000 tokens.*\b30,000\b"):
        resolve(replace(phase, fit=False), MANIFEST, progress=SILENT)


def test_the_cap_names_the_source_what_it_has_and_what_the_plan_wants():
    phase = Phase(tokens=200_000, shares={"web_en": 0.7, "parallel": 0.3})
    with pytest.raises(ConfigError, match=r"stage1: parallel\b.*\b3,000 tokens.*\b200,000 tokens.*\b60,000\b"):
        resolve(phase, MANIFEST, progress=SILENT, name="stage1")
    with pytest.raises(ConfigError, match=r"stage1\.tokens.*\b50,000\b"):
        resolve(phase, MANIFEST, progress=SILENT, name="stage1")


def test_fit_lets_a_scarce_source_give_less_and_says_so():
    progress, heard = listening()
    phase = Phase(tokens=100_000, shares={"web_en": 0.5, "web_zh": 0.2, "parallel": 0.3}, ramp={"stem": (0.1, 0.3)}, fit=True)
    plan = resolve(phase, MANIFEST, progress=progress)
    assert plan.tokens == 100_000 and plan.epochs()["parallel"] == pytest.approx(5.0)
    wants = plan.wants()
    assert wants["web_en"] / wants["web_zh"] == pytest.approx(2.5), "the others keep their proportion"
    assert wants["stem_en"] + wants["stem_zh"] == pytest.approx(20_000), "the ramp is kept"
    assert "parallel 0.300 → 0.188" in heard.getvalue()


def test_fit_shortens_the_stage_when_there_is_too_little_of_all():
    progress, heard = listening()
    plan = resolve(Phase(tokens=900_000, shares={"web_en": 0.7, "parallel": 0.3}, fit=True), MANIFEST, progress=progress)
    assert plan.tokens == 5 * 43_000 and max(plan.epochs().values()) == pytest.approx(5.0)
    assert "shortened to 215,000 tokens" in heard.getvalue()
    again = resolve(Phase(tokens=plan.tokens, shares={"web_en": 40, "parallel": 3}), MANIFEST, progress=SILENT)
    assert again == plan, "a stage that fits is left alone"
    ramped = Phase(tokens=900_000, shares={"web_en": 0.7, "web_zh": 0.3}, ramp={"stem": (0.1, 0.4)}, fit=True)
    plan = resolve(ramped, MANIFEST, progress=SILENT)
    assert plan.tokens == 5 * 8_000 * 4, "a ramp that runs out shortens the stage"
    assert plan.wants()["web_en"] == pytest.approx(0.7 * 0.75 * plan.tokens), "and then the others have enough"


def test_a_source_that_is_used_up_leaves_its_place_or_is_named():
    used = {"parallel": 15_000}
    phase = Phase(tokens=20_000, shares={"web_zh": 0.7, "parallel": 0.3}, fit=True)
    assert resolve(phase, MANIFEST, progress=SILENT, used=used).domains == ("web_zh",)
    with pytest.raises(ConfigError, match=r"parallel.*[Nn]othing"):
        resolve(Phase(tokens=20_000, shares={"parallel": 1.0}, fit=True), MANIFEST, progress=SILENT, used=used)


@settings(max_examples=200, deadline=None)
@given(
    tokens=st.integers(1_000, 2_000_000),
    weights=st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any),
    used=st.lists(st.floats(0, 1), min_size=6, max_size=6),
    stem=st.tuples(st.floats(0.0, 0.9), st.floats(0.0, 0.9)),
)
def test_no_fitted_plan_breaks_the_cap(tokens, weights, used, stem):
    shares = dict(zip(("web_en", "web_zh", "code", "parallel"), map(float, weights), strict=True))
    read = {d: 4.5 * u * SIZES[d] for d, u in zip((*shares, "stem_en", "stem_zh"), used, strict=True)}
    phase = Phase(tokens=tokens, shares=shares, ramp={"stem": stem}, fit=True)
    plan = resolve(phase, MANIFEST, progress=SILENT, used=read)
    assert 0 < plan.tokens <= tokens
    assert max(plan.epochs().values()) <= 5 * (1 + 1e-3)
    assert sum(plan.wants().values()) == pytest.approx(plan.tokens)


def test_what_earlier_stages_read_counts():
    phase = Phase(tokens=40_000, shares={"web_en": 0.7, "parallel": 0.3})
    resolve(phase, MANIFEST, progress=SILENT, used={"parallel": 3_000})
    with pytest.raises(ConfigError, match=r"parallel\b.*\b3,000 tokens"):
        resolve(phase, MANIFEST, progress=SILENT, used={"parallel": 6_000})


def test_passes_take_what_they_need_and_the_others_share_the_rest():
    plan = resolve(Phase(tokens=10_700, shares={"web_en": 1.0, "web_zh": 1.0}, passes={"canary": 1}), MANIFEST, progress=SILENT)
    assert plan.wants() == pytest.approx({"canary": 700, "web_en": 5_000, "web_zh": 5_000})
    with pytest.raises(ConfigError, match=r"passes.*\b700 tokens.*\b600\b"):
        resolve(Phase(tokens=600, passes={"canary": 1}), MANIFEST, progress=SILENT)
    with pytest.raises(ConfigError, match=r"canary\b.*\bcap\b"):
        resolve(Phase(tokens=9_000, passes={"canary": 6}), MANIFEST, progress=SILENT)


def test_shares_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match=r"none of .*tokens"):
        resolve(Phase(tokens=10, shares={"books": 1.0}), MANIFEST, progress=SILENT)
    refused = (
        ({"shares": {"web_en": -1.0}}, r"shares\.web_en\b.*negative"),
        ({"shares": {"web_en": 0.0, "网": 0.0}}, "every share is 0"),
        ({"shares": {"web_en": 0.0}, "ramp": {"stem": (0.4, 0.0)}}, "at 100% of the stage every share is 0"),
        ({"passes": {"canary": -1}}, r"passes\.canary\b.*negative"),
        ({"repeat_cap": 0.0}, r"repeat_cap\b"),
        ({"ramp": {"stem": (0.2, 1.2)}}, r"ramp\.stem\b.*\b1\.2\b"),
        ({"ramp": {"stem": (2.0, 3.0)}}, r"ramp\.stem\b.*\b2\b"),
        ({"ramp": {"stem": (-0.1, 0.3)}}, r"ramp\.stem\b.*-0\.1\b"),
        ({"ramp": {"stem": (0.6,), "code": (0.6,)}}, r"adds up.*\b1\.2\b"),
        ({"ramp": {"stem": (0.0, 1.0)}, "curve": {"code": ((0, 0.0), (5, 0.6))}}, r"1\.1 at 50% of the stage"),
        ({"ramp": {"stem": (0.1, 0.8)}, "steps": {"code": ((0, 0.1), (5, 0.5))}}, r"1\.3 at 100% of the stage"),
    )
    for table, words in refused:
        with pytest.raises(ConfigError, match=words):
            Phase(tokens=10, **table)
    assert Phase(tokens=10, ramp=dict.fromkeys(("stem", "code", "web"), (0.33333333333333337,))), "rounded thirds are a whole"


def test_a_part_that_two_names_mean_is_refused_when_the_recipe_is_read():
    refused = (
        ({"shares": {"web": 0.5, "web_en": 0.5}}, r"web_en\b.*web_en in shares and by web in shares"),
        ({"shares": {"web_en": 0.5, "web": 0.5}}, r"web_en\b.*web_en in shares and by web in shares"),
        ({"shares": {"书": 0.5, "书_zh": 0.5}}, "书_zh in shares and by 书 in shares"),
        ({"ramp": {"stem": (0.1,), "stem_en": (0.1,)}}, "stem_en in ramp and by stem in ramp"),
        ({"curve": {"stem": ((0, 0.1),)}, "passes": {"stem_zh": 1}}, "stem_zh in passes and by stem in curve"),
    )
    for table, words in refused:
        with pytest.raises(ConfigError, match=words):
            Phase(tokens=1_000, **table)
    assert Phase(tokens=1_000, shares={"web_en": 0.5, "web_zh": 0.5, "webbing": 1.0}), "names that only begin alike are two"
    assert Phase(tokens=1_000, shares={"web": 1.0}, steps={"web_en": ((0, 0.1),)}), "the base shares get what the others leave"


@pytest.mark.parametrize("kind", ["ramp", "curve", "steps", "passes"])
def test_a_name_that_no_part_has_is_refused_with_its_key(kind):
    what = {"ramp": (0.1, 0.2), "curve": ((0, 0.1),), "steps": ((0, 0.1),), "passes": 1}[kind]
    for name in ("canery", "stem_fr", "习题"):
        phase = Phase(tokens=1_000, shares={"web": 1.0}, **{kind: {name: what}})
        with pytest.raises(ConfigError, match=rf"stage2\.data\.{kind}\b.*'{name}'.*there are: canary, code"):
            resolve(phase, MANIFEST, progress=SILENT, name="stage2.data")
    nothing = {"ramp": (0.0, 0.0), "curve": ((0, 0.0),), "steps": ((0, 0.0),), "passes": 0}[kind]
    plan = resolve(Phase(tokens=1_000, shares={"web": 1.0}, **{kind: {"books": nothing}}), MANIFEST, progress=SILENT)
    assert plan.domains == ("web_en", "web_zh"), "what asks for nothing needs no part"


AWKWARD = {"web_en": 0.1, "web_zh": 0.2, "code": 0.3, "parallel": 0.07, "stem_en": 0.6, "stem_zh": 0.7}


@settings(max_examples=100, deadline=None)
@given(order=st.permutations(list(AWKWARD)), tokens=st.integers(1_000, 300_000), bent=st.permutations(["stem", "code", "parallel"]))
def test_a_plan_does_not_follow_the_order_of_keys(order, tokens, bent):
    def planned(names, curved):
        phase = Phase(
            tokens=tokens,
            shares={name: AWKWARD[name] for name in names},
            ramp=dict.fromkeys(curved[:2], (0.1, 0.7 / 3, 0.3)),
            steps=dict.fromkeys(curved[2:], ((0, 0.1), (tokens // 3, 0.2))),
            fit=True,
        )
        return resolve(phase, MANIFEST, progress=SILENT, used=dict.fromkeys(names, 1000.0))

    assert repr(planned(order, sorted(bent))) == repr(planned(sorted(order), sorted(bent)))
    plain_order = resolve(Phase(tokens=tokens, shares={n: AWKWARD[n] for n in order}, fit=True), MANIFEST, progress=SILENT)
    assert repr(plain_order) == repr(
        resolve(Phase(tokens=tokens, shares=dict(sorted(AWKWARD.items())), fit=True), MANIFEST, progress=SILENT)
    )


def test_a_fitted_plan_is_the_same_in_every_process():
    """Sums over a set of names would follow the seed of Python's hashes, which differs from process to process."""
    program = textwrap.dedent("""
        from skyloom.core.progress import Progress
        from skyloom.data.config import Phase
        from skyloom.data.mixture import resolve
        sizes = {f"web_{i}": 1009 + 97 * i for i in range(12)} | {"books_en": 10**6}
        shares = {d: n / 1000 for d, n in sizes.items()} | {"books_en": 0.001}
        phase = Phase(tokens=31_100, shares=shares, fit=True, repeat_cap=1.6666666666666667)
        print(resolve(phase, {"domains": {d: {"tokens": n} for d, n in sizes.items()}}, progress=Progress.silent()))
    """)
    plans = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True, check=True
        ).stdout
        for seed in range(6)
    }
    assert len(plans) == 1


def test_phases_come_from_toml_tables():
    text = """
        tokens = 9_000
        shares = { web_zh = 1, web_en = 1.0 }
        ramp = { stem = [0.1, 0.4] }
        curve = { code = [[0, 0.05], [4_500, 0.1]] }
        steps = { parallel = [[0, 0], [3_000, 0.1]] }
        passes = { canary = 1 }
    """
    phase = build(Phase, tomllib.loads(text), origin="recipe.toml")
    assert phase.curve == {"code": ((0, 0.05), (4_500, 0.1))} and phase.steps == {"parallel": ((0, 0.0), (3_000, 0.1))}
    assert build(Phase, tomllib.loads(to_toml(plain(phase))), origin="again.toml") == phase
    with pytest.raises(ConfigError, match=r"'curve\.code\[1\]' .*found.*\[9\]"):
        build(Phase, tomllib.loads("tokens = 9\ncurve = { code = [[0, 0.5], [9]] }"), origin="recipe.toml")
    with pytest.raises(ConfigError, match=r"recipe\.toml: stage1\.data: steps\.code\b.*token 0\b"):
        build(Phase, {"tokens": 9, "steps": {"code": [[1, 0.5]]}}, origin="recipe.toml", key="stage1.data")
    assert phase.ramp == {"stem": (0.1, 0.4)} and phase.shares == {"web_zh": 1.0, "web_en": 1.0}
    plan = resolve(phase, MANIFEST, progress=SILENT)
    assert plan.tokens == 9_000 and plan.passes[plan.domains.index("canary")] == 1


def test_the_table_has_the_rows_of_table_1_and_balances():
    phase = Phase(
        tokens=20_000, shares={"web_en": 0.5, "web_zh": 0.4, "code": 0.1}, ramp={"stem": (0.1, 0.4)}, passes={"canary": 2}
    )
    plan = resolve(phase, MANIFEST, progress=SILENT, used={"web_en": 20_000.0})
    realised = {d: w / plan.tokens for d, w in plan.wants().items()}
    rows = mixture_table(plan, realised)
    names = [(r.language, r.category) for r in rows]
    for language, categories in TABLE_1.items():
        at = names.index((language, ""))
        assert [c for _, c in names[at + 1 : at + 1 + len(categories)]] == list(categories)
    totals = [r for r in rows if not r.category]
    for column in ("planned_share", "realised_share"):
        assert sum(getattr(r, column) for r in totals) == pytest.approx(1)
        assert sum(getattr(r, column) for r in rows if r.category) == pytest.approx(1)
    english = {r.category: r for r in rows if r.language == "English"}
    assert english["web"].planned == pytest.approx(plan.wants()["web_en"])
    assert english["web"].passes == pytest.approx(plan.epochs()["web_en"]) and english["books"].available == 0
    assert english["stem"].planned_share > 0 and ("Both languages", "canary") in names
    assert next(r for r in rows if r.category == "canary").passes == 2
    text = show_mixture(rows)
    assert "English" in text and "40,000" in text and len({len(line) for line in text.split("\n")}) == 1
    assert "–" in show_mixture(mixture_table(plan))


def test_upsampling_beyond_five_passes_is_refused_by_default():
    phase = Phase(tokens=30_000, shares={"web_en": 0.5, "stem_zh": 0.5})
    with pytest.raises(ConfigError, match=r"stem_zh\b.*\b2,000 tokens.*cap.*\b5\b"):
        resolve(phase, MANIFEST, progress=SILENT)
    fitted = resolve(Phase(tokens=30_000, shares=phase.shares, fit=True), MANIFEST, progress=SILENT)
    assert max(r.passes for r in mixture_table(fitted)) <= 5 + 1e-6
