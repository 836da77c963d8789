"""Recipes: resolved, overridden, refused; and read back equal from their own TOML."""

from pathlib import Path

import pytest

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.corpus.sources.resolved import ResolvedSource
from skyloom.run.recipe import load, to_toml
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
    ],
)
def test_mistakes_are_named_before_anything_runs(change, told):
    for source in (None, "pages/") if change.startswith("corpus=") else (None,):
        with pytest.raises(ConfigError, match=told):
            load(ROOT / "recipes" / "demo.toml", [change], source)


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
