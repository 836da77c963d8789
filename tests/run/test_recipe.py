"""Recipes: resolved, overridden, refused; and read back equal from their own TOML."""

import re
from pathlib import Path

import pytest

from skyloom.core.config import describe
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.corpus.sources.resolved import ResolvedSource
from skyloom.run.recipe import Recipe, load, to_toml
from skyloom.run.recipe_checks import check_files
from skyloom.run.run import scaled
from skyloom.run.steps import publishable

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_resolves_and_reads_back_equal(path, tmp_path):
    recipe = load(path)
    again = tmp_path / "再读.toml"
    again.write_text(to_toml(recipe))
    assert load(again) == recipe


def test_demo_is_what_the_report_describes_in_small():
    recipe = load(ROOT / "recipes" / "demo.toml")
    parts = recipe.tokenizer
    assert parts.base + parts.characters + parts.words + parts.reserved == parts.vocabulary == recipe.model.vocabulary == 8192
    assert 2.5e6 < recipe.model.parameters < 3.5e6
    assert 2.5e6 < recipe.stage1.data.tokens + recipe.stage2.data.tokens < 3.5e6
    assert recipe.stage1.rate.schedule == "warmup-cosine" and recipe.stage1.rate.min_ratio == 0.1
    assert recipe.stage2.rate.schedule == "constant"
    assert recipe.stage2.rate.peak == pytest.approx(recipe.stage1.rate.peak * recipe.stage1.rate.min_ratio)
    assert recipe.stage2.data.ramp == {"stem": (0.1, 0.4)} and recipe.stage2.data.passes == {"canary": 1}
    assert recipe.stage1.rate.monitor_points + recipe.stage2.rate.monitor_points >= 10
    assert recipe.exercises.canaries == 50 and recipe.tokens.canary_copies == 10


def test_overrides_reach_sources_by_name():
    recipe = load(ROOT / "recipes" / "demo.toml", ["corpus.sources.samples.max_pages=3", "train.seed=7"])
    assert [s.max_pages for s in recipe.corpus.sources if s.name == "samples"] == [3]
    assert recipe.train.seed == 7


def test_a_source_of_ones_own_replaces_the_pages_and_keeps_the_code():
    recipe = load(ROOT / "recipes" / "demo.toml", source="s3://桶/pages.warc.gz")
    assert [(s.kind, s.path) for s in recipe.corpus.sources] == [("auto", "s3://桶/pages.warc.gz"), ("stdlib", "")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("trian.seed=1", "unknown key 'trian'.*'train'"),
        ("train.sed=1", r"unknown key 'train\.sed'.*'seed'"),
        ("model.preset='demo-3n'", "no model preset 'demo-3n'"),
        ("model.vocabulary=100", r"model\.vocabulary\b.*\b100\b.*tokenizer\.vocabulary\b.*\b8192\b"),
        ("train.context=512", r"train\.context\b.*\b512\b.*model\.context\b.*\b256\b"),
        ("train.precision='fp8'", r"'train\.precision' .*'fp8'"),
        ("tokenizer.words=1", "add up"),
        ("tokenizer=3", "tokenizer must be a table.*integer"),
        ("corpus=[1]", "corpus must be a table.*list"),
        ("corpus.sources=3", r"'corpus\.sources' must be"),
        ("train.seed=9223372036854775808", "64 bits"),
        ("name='../elsewhere'", "work folder"),
        ("corpus.sources.docs.kind='warc'", "no entry 'docs'"),
        ("stage1.rate.peak=-1", r"'stage1\.rate\.peak' .*-1\b"),
        ("stage1.data.tokens='多'", r"'stage1\.data\.tokens' .*integer"),
        ("stage1.rate.peak=inf", r"'stage1\.rate\.peak' .*inf\b"),
        ("stage2.rate.peak=1e38", r"'stage2\.rate\.peak' .*1e\+38\b"),
        ("train.clip=inf", r"'train\.clip' .*inf\b.*finite"),
        ("train.weight_decay=inf", r"'train\.weight_decay' .*inf\b"),
        ("tokenizer.weights.web_zh=inf", r"'tokenizer\.weights\.web_zh' .*inf\b"),
        ("model.hidden=4_000_000_000", r"'model\.hidden' .*4000000000\b"),
        ("model.hidden=4e9", r"'model\.hidden' .*integer"),
        ("model.layers=1_000_000", r"'model\.layers' .*1000000\b"),
        ("stage1.rate.monitor_points=4503599627370496", r"'stage1\.rate\.monitor_points'"),
        ("tokens.canary_copies=4503599627370496", r"'tokens\.canary_copies'"),
        ("stage1.data.shares={web=0.5, web_en=0.5}", "web_en in shares and by web in shares"),
        ("stage1.data.shares={web_en=0.5, web=0.5}", "web_en in shares and by web in shares"),
        ("stage1.data.shares={wbe_zh=1}", r"stage1\.data\.shares names 'wbe_zh'.*'web_zh'"),
        ("stage2.data.ramp={stme=[0.1, 0.4]}", r"stage2\.data\.ramp names 'stme'.*'stem'"),
        ("stage2.data.curve={'题目'=[[0, 0.1]]}", r"stage2\.data\.curve names '题目'.*there can be: canary"),
        ("stage2.data.steps={web_fr=[[0, 0.1]]}", r"stage2\.data\.steps names 'web_fr'.*'web_"),
        ("stage2.data.passes={canery=1}", r"stage2\.data\.passes names 'canery'.*'canary'"),
        ("stage2.data.ramp={books=[0.1]}", r"stage2\.data\.ramp names 'books'.*no source.*category books"),
        ("stage2.data.ramp={stem=[2.0, 3.0]}", r"stage2\.data: ramp\.stem has the share 2\b"),
        ("stage2.data.ramp={stem=[0.4, 0.8], parallel=[0.1, 0.5]}", r"stage2\.data: .*adds up to 1\.3"),
        ("exercises.canaries=0", r"passes names 'canary'.*exercises\.canaries is 0"),
        ("tokens.canary_copies=0", r"passes names 'canary'.*tokens\.canary_copies is 0"),
        ("tokenizer.weights.web_hz=2", r"tokenizer\.weights names 'web_hz'.*'web_zh'"),
        ("stage2.data.tokens=2000", r"stage2\.data\.tokens\b.*\b2,000\b.*\b2,048\b"),
        ("samples_tokens=[2000, 240_000]", r"samples_tokens\b.*\b2,000\b"),
        ("samples_tokens=[-1, 240_000]", r"'samples_tokens' .*-1\b"),
        ("stage1.rate.warmup_steps=1200", r"stage1\.data\.tokens: .*warms up for 1200"),
        ("train.layout.data=3", r"train\.layout: .*\b8 sequences.*\b3 replicas"),
    ],
)
def test_mistakes_are_named_before_anything_runs(change, told):
    for source in (None, "pages/") if change.startswith("corpus=") else (None,):
        with pytest.raises(ConfigError, match=told):
            load(ROOT / "recipes" / "demo.toml", [change], source)


def test_no_setting_takes_an_infinite_or_an_enormous_number():
    keys = [key.replace("[]", ".0") for key, kind, _, _ in describe(Recipe) if kind in ("an integer", "a number")]
    keys = [key for key in keys if not key.startswith(("stage1b.", "corpus.clean.decontaminate.sets"))]
    wide = {"train.seed", "tokens.seed"}
    assert len(keys) > 120 and wide < set(keys)
    for key in keys:
        for value in ("inf", "-inf", "nan", str(2**62)):
            if value.isdigit() and key in wide:
                continue
            with pytest.raises(ConfigError, match=re.escape(f"'{key.replace('sources.0', 'sources[0]')}'")):
                load(ROOT / "recipes" / "demo.toml", [f"{key}={value}"])


def test_what_is_not_asked_for_needs_no_canaries_and_no_source():
    overrides = ["exercises.canaries=0", "stage2.data.passes.canary=0", "stage1.data.shares.books=0.1"]
    recipe = load(ROOT / "recipes" / "demo.toml", overrides)
    assert recipe.stage2.data.passes == {"canary": 0} and next(iter(recipe.stage1.data.shares)) == "books"


def test_equal_recipes_have_equal_steps_and_equal_text_however_they_are_ordered():
    shares = ("web_en = 0.46, web_zh = 0.37, parallel = 0.08", "parallel = 0.08, web_zh = 0.37, web_en = 0.46")
    one, other = (load(ROOT / "recipes" / "demo.toml", [f"stage1.data.shares={{{text}}}"]) for text in shares)
    assert one == other and to_toml(one) == to_toml(other)


def test_files_that_later_steps_need_are_looked_for_before_the_first(tmp_path):
    missing = tmp_path / "没有.model"
    for change, told in (
        (f"evaluate.reference='{missing}'", r"evaluate\.reference: .*没有\.model"),
        (f"corpus.clean.decontaminate.sets=[{{name='考题', path='{missing}'}}]", "'考题' names .*没有"),
    ):
        recipe = load(ROOT / "recipes" / "demo.toml", [change])
        with pytest.raises(ConfigError, match=told):
            check_files(recipe, corpus=True, evaluation=True)
        check_files(recipe, corpus=False, evaluation=False)
    check_files(load(ROOT / "recipes" / "demo.toml"), corpus=True, evaluation=True)


def test_a_missing_table_is_named_with_its_meaning(tmp_path):
    (tmp_path / "empty.toml").write_text('name = "空"\n')
    with pytest.raises(ConfigError, match=r"missing key 'corpus'"):
        load(tmp_path / "empty.toml")


def test_what_is_published_names_files_and_not_folders(tmp_path):
    recipe = load(ROOT / "recipes" / "demo.toml", source=str(tmp_path / "网页.warc.gz"))
    assert recipe.corpus.sources[0].path == str(tmp_path / "网页.warc.gz")
    assert publishable(recipe)["corpus"]["sources"][0]["path"] == "网页.warc.gz"
    assert str(tmp_path) not in str(publishable(recipe))


def test_sample_pages_that_stand_in_scale_the_tokens_down(tmp_path):
    recipe, told = load(ROOT / "recipes" / "demo.toml"), []
    progress = Progress.silent()
    progress.log = told.append

    def found(kind):
        return [ResolvedSource(source, kind or source.kind, "", (), "") for source in recipe.corpus.sources[:2]]

    assert scaled(recipe, found(None), progress) == recipe and told == []
    small = scaled(recipe, found("samples"), progress)
    assert (small.stage1.data.tokens, small.stage2.data.tokens) == recipe.samples_tokens
    assert "scaled down to 360,000 tokens" in told[0]


def test_references_are_a_step_that_training_does_not_need(tmp_path):
    """And a folder or a file that cannot be used is told before anything runs."""
    from skyloom.core.store import Store
    from skyloom.run.run import Run
    from skyloom.run.steps import ORDER

    figures = tmp_path / "别的.toml"
    figures.write_text('["LLaMA2-7B"]\nzh = 1.1\n')

    def resolved(*overrides):
        return Run.open(str(ROOT / "recipes" / "tiny.toml"), work=tmp_path / "work", overrides=overrides).resolve()

    plain, named = resolved(), resolved(f"references.file={figures}")
    assert "references" not in plain.steps and "references" in named.steps
    assert list(named.steps) == [name for name in ORDER if name in named.steps]
    assert plain.steps["stage2"].folder == named.steps["stage2"].folder
    assert [s.name for s in named._targets("stage1")] == ["references", "stage1"]
    assert [s.name for s in named._targets("corpus")] == ["corpus"] and [s.name for s in plain._targets("report")] == ["report"]
    before = named.steps["references"].folder
    figures.write_text('["LLaMA2-7B"]\nzh = 1.2\n')
    assert resolved(f"references.file={figures}").steps["references"].folder != before
    assert publishable(named.recipe)["references"]["file"] == "别的.toml"
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        resolved(f"references.models.x={tmp_path}")
    assert Store(tmp_path / "work").names() == []
