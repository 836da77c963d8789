"""Recipes: resolved, overridden, refused; and read back equal from their own TOML."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tokenizer.byte_models import write_model

from skyloom.core.config import describe, plain
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.corpus.sources.resolved import ResolvedSource
from skyloom.run.packaged import SAMPLES, find_recipe, recipe_names
from skyloom.run.recipe import Recipe, load, order, stage_shape, stage_train, stages, to_toml
from skyloom.run.recipe_checks import check_files, release_doubts
from skyloom.run.run import Run, scaled
from skyloom.run.steps import publishable
from skyloom.train.stage_list import planting

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
    assert 2.5e6 < recipe.stages[0].data.tokens + recipe.stages[1].data.tokens < 3.5e6
    assert recipe.stages[0].rate.schedule == "warmup-cosine" and recipe.stages[0].rate.min_ratio == 0.1
    assert recipe.stages[1].rate.schedule == "constant"
    assert recipe.stages[1].rate.peak == pytest.approx(recipe.stages[0].rate.peak * recipe.stages[0].rate.min_ratio)
    assert recipe.stages[1].data.ramp == {"stem": (0.1, 0.4)} and recipe.stages[1].data.passes == {"canary": 1}
    assert recipe.stages[0].rate.monitor_points + recipe.stages[1].rate.monitor_points >= 10
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
        ("stages.stage1.rate.peak=-1", r"'stages\[0\]\.rate\.peak' .*-1\b"),
        ("stages.stage1.data.tokens='多'", r"'stages\[0\]\.data\.tokens' .*integer"),
        ("stages.stage1.rate.peak=inf", r"'stages\[0\]\.rate\.peak' .*inf\b"),
        ("stages.stage2.rate.peak=1e38", r"'stages\[1\]\.rate\.peak' .*1e\+38\b"),
        ("train.clip=inf", r"'train\.clip' .*inf\b.*finite"),
        ("train.weight_decay=inf", r"'train\.weight_decay' .*inf\b"),
        ("tokenizer.weights.web_zh=inf", r"'tokenizer\.weights\.web_zh' .*inf\b"),
        ("model.hidden=4_000_000_000", r"'model\.hidden' .*4000000000\b"),
        ("model.hidden=4e9", r"'model\.hidden' .*integer"),
        ("model.layers=1_000_000", r"'model\.layers' .*1000000\b"),
        ("stages.stage1.rate.monitor_points=4503599627370496", r"'stages\[0\]\.rate\.monitor_points'"),
        ("tokens.canary_copies=4503599627370496", r"'tokens\.canary_copies'"),
        ("stages.stage1.data.shares={web=0.5, web_en=0.5}", "web_en in shares and by web in shares"),
        ("stages.stage1.data.shares={web_en=0.5, web=0.5}", "web_en in shares and by web in shares"),
        ("stages.stage1.data.shares={wbe_zh=1}", r"stages\.stage1\.data\.shares names 'wbe_zh'.*'web_zh'"),
        ("stages.stage2.data.ramp={stme=[0.1, 0.4]}", r"stages\.stage2\.data\.ramp names 'stme'.*'stem'"),
        ("stages.stage2.data.curve={'题目'=[[0, 0.1]]}", r"stages\.stage2\.data\.curve names '题目'.*there can be: canary"),
        ("stages.stage2.data.steps={web_fr=[[0, 0.1]]}", r"stages\.stage2\.data\.steps names 'web_fr'.*'web_"),
        ("stages.stage2.data.passes={canery=1}", r"stages\.stage2\.data\.passes names 'canery'.*'canary'"),
        ("stages.stage2.data.ramp={books=[0.1]}", r"stages\.stage2\.data\.ramp names 'books'.*no source.*category books"),
        ("stages.stage2.data.ramp={stem=[2.0, 3.0]}", r"stages\[1\]\.data: ramp\.stem has the share 2\b"),
        ("stages.stage2.data.ramp={stem=[0.4, 0.8], parallel=[0.1, 0.5]}", r"stages\[1\]\.data: .*adds up to 1\.3"),
        ("exercises.canaries=0", r"passes names 'canary'.*exercises\.canaries is 0"),
        ("tokens.canary_copies=0", r"passes names 'canary'.*tokens\.canary_copies is 0"),
        ("tokenizer.weights.web_hz=2", r"tokenizer\.weights names 'web_hz'.*'web_zh'"),
        ("stages.stage2.data.tokens=2000", r"stages\.stage2\.data\.tokens\b.*\b2,000\b.*\b2,048\b"),
        ("stages.stage1.samples_tokens=2000", r"stage1\.samples_tokens\b.*\b2,000\b"),
        ("stages.stage1.samples_tokens=-1", r"'stages\[0\]\.samples_tokens' .*-1\b"),
        ("stages.stage1.rate.warmup_steps=1200", r"stages\.stage1\.data\.tokens: .*warms up for 1200"),
        ("train.layout.data=3", r"train\.layout: .*\b8 sequences.*\b3 replicas"),
    ],
)
def test_mistakes_are_named_before_anything_runs(change, told):
    for source in (None, "pages/") if change.startswith("corpus=") else (None,):
        with pytest.raises(ConfigError, match=told):
            load(ROOT / "recipes" / "demo.toml", [change], source)


def test_a_model_that_contradicts_the_folder_is_told_what_to_do(tmp_path):
    folder = tmp_path / "旧模型"
    folder.mkdir()
    said = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 80}
    scaled = {"rope_type": "linear", "factor": 2.0}
    (folder / "config.json").write_text(
        json.dumps({**said, "model_type": "qwen2", "num_key_value_heads": 2, "rope_scaling": scaled})
    )
    demo, begun = ROOT / "recipes" / "demo.toml", f"train.init_from={folder}"
    shape = load(demo, [begun]).model
    assert (shape.hidden, shape.key_heads, shape.query_bias, shape.vocabulary, shape.rope_scaling.factor) == (
        32,
        2,
        True,
        8192,
        2.0,
    )
    told = r"model\.hidden is 64, but .*旧模型 has 32: remove \[model\], or set it to hidden = 32, query_bias = true$"
    with pytest.raises(ConfigError, match=told):
        load(demo, [begun, "model={hidden=64, query_bias=false, layers=2}"])
    with pytest.raises(ConfigError, match=r"model\.rope_scaling is .*set it to rope_scaling = the folder's"):
        load(demo, [begun, "model.rope_scaling={kind='yarn', factor=2.0, original_context=64}"])
    assert load(demo, [begun, "model={hidden=32, query_bias=true}"]).model == shape
    (folder / "config.json").write_text(json.dumps({**said, "model_type": "gemma3"}))
    with pytest.raises(ConfigError, match=r"model_type is 'gemma3'; the decoder here is that of llama, mistral, qwen2, qwen3"):
        load(demo, [begun])


def test_settings_of_todays_models_leave_the_hash_of_others_alone():
    """A run that was made before there was a window, say, is found again."""
    recipe = load(ROOT / "recipes" / "demo.toml")
    later = {"head_width", "query_bias", "head_norm", "window", "rope_scaling"}
    assert later <= set(plain(recipe.model)) and not later & set(plain(recipe, identity_only=True)["model"])
    windowed = replace(recipe.model, window=64)
    assert plain(windowed, identity_only=True) == {**plain(recipe.model, identity_only=True), "window": 64}


def test_no_setting_takes_an_infinite_or_an_enormous_number():
    keys = [key.replace("[]", ".0") for key, kind, _, _ in describe(Recipe) if kind in ("an integer", "a number")]
    keys = [key for key in keys if not key.startswith(("corpus.clean.decontaminate.sets", "train.score_tasks"))]
    wide = {"train.seed", "tokens.seed"}
    assert len(keys) > 120 and wide < set(keys)
    for key in keys:
        for value in ("inf", "-inf", "nan", str(2**62)):
            if value.isdigit() and key in wide:
                continue
            named = re.escape(f"'{key.replace('sources.0', 'sources[0]').replace('stages.0', 'stages[0]')}'")
            with pytest.raises(ConfigError, match=r"model\.vocabulary is" if key == "model.vocabulary" else named):
                scaled = ["model.rope_scaling.kind=yarn", "model.rope_scaling.factor=2"] if ".rope_scaling." in key else []
                load(ROOT / "recipes" / "demo.toml", [*scaled, f"{key}={value}"])
    for value in ("inf", "nan", "0", str(2**80)):
        with pytest.raises(ConfigError, match=r"train\.score_tasks\[0\]\.items"):
            load(ROOT / "recipes" / "demo.toml", [f"train.score_tasks=[{{task='题', items={value}}}]"])


def test_what_is_not_asked_for_needs_no_canaries_and_no_source():
    overrides = ["exercises.canaries=0", "stages.stage2.data.passes.canary=0", "stages.stage1.data.shares.books=0.1"]
    recipe = load(ROOT / "recipes" / "demo.toml", overrides)
    assert recipe.stages[1].data.passes == {"canary": 0} and next(iter(recipe.stages[0].data.shares)) == "books"


def test_equal_recipes_have_equal_steps_and_equal_text_however_they_are_ordered():
    shares = ("web_en = 0.46, web_zh = 0.37, parallel = 0.08", "parallel = 0.08, web_zh = 0.37, web_en = 0.46")
    one, other = (load(ROOT / "recipes" / "demo.toml", [f"stages.stage1.data.shares={{{text}}}"]) for text in shares)
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


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("model.window=8", None),
        ("model.head_norm=true", None),
        ("model.query_bias=true", "model.query_bias makes Qwen2's shape.*other ids"),
        ("model.block='gpt'", "trained but not released: a gpt block has no place"),
    ],
)
def test_what_is_wrong_with_a_release_is_said_before_training(change, told):
    doubts = release_doubts(load(ROOT / "recipes" / "tiny.toml", [change]))
    assert [bool(re.search(told, doubt)) for doubt in doubts] == [True] if told else doubts == []


def test_qwen2s_shape_with_a_byte_level_vocabulary_is_released_as_it_is(tmp_path):
    base = f"tokenizer.base_model='{write_model(tmp_path / '词表', 'qwen2')}'"
    recipe = load(ROOT / "recipes" / "tiny.toml", [base, "model.query_bias=true"])
    assert release_doubts(recipe) == []


def test_a_recipe_needs_only_the_tables_of_the_steps_that_are_asked_for(tmp_path):
    """What is missing is named with its meaning, before a folder is made."""
    path = tmp_path / "网页.toml"
    path.write_text('[[corpus.sources]]\nname = "samples"\nkind = "samples"\n')
    run = Run.open(path, work=tmp_path / "work")
    assert run.recipe.name == "网页" and run.recipe.tokenizer is None
    for step, told in (
        ("tokenizer", r"missing key 'tokenizer' \(the vocabulary\); the step tokenizer needs it"),
        ("tokens", "missing key 'tokenizer'"),
        ("training", r"missing keys 'tokenizer' .*, 'model' .*, 'stages' .*; the step training needs them"),
        ("report", "missing keys"),
    ):
        with pytest.raises(ConfigError, match=f"网页.toml: {told}"):
            run.resolve(step)
    assert not (tmp_path / "work").exists()
    assert list(run.resolve("corpus").steps) == ["pages", "extract", "parallel", "exercises", "corpus"]
    assert to_toml(run.recipe).count("[model]") == 0
    path.write_text('[[corpus.sources]]\nname = "samples"\nkind = "samples"\n[tokenizer]\n')
    assert list(Run.open(path, work=tmp_path / "work").resolve("tokens").steps)[-2:] == ["tokenizer", "tokens"]
    path.write_text('[model]\npreset = "demo-3m"\n')
    assert load(path).model.vocabulary == 8192
    with pytest.raises(ConfigError, match=r"missing key 'corpus\.sources' \(where pages come from; .*--source"):
        Run.open(path, work=tmp_path / "work").resolve("corpus")


def test_a_step_has_the_same_folder_in_a_part_of_a_recipe(tmp_path):
    """A corpus that was built by a recipe of sources alone is the corpus of the whole recipe."""
    part = tmp_path / "一部分.toml"
    text = (ROOT / "recipes" / "tiny.toml").read_text()
    part.write_text(text[: text.index("[tokenizer]")])
    whole = Run.open("tiny", work=tmp_path / "work").resolve()
    some = Run.open(part, work=tmp_path / "work").resolve("corpus")
    assert {name: step.folder for name, step in some.steps.items()}.items() <= {n: s.folder for n, s in whole.steps.items()}.items()


def test_a_recipe_begins_with_another_one_and_changes_some_keys(tmp_path):
    mine = tmp_path / "我的.toml"
    mine.write_text(
        'base = "tiny"\n[[corpus.sources]]\nname = "新"\npath = "pages/"\n[[stages]]\nname = "stage1"\n[stages.rate]\n'
        'peak = 1e-3\n[stages.data]\nshares = { web_zh = 1.0 }\n[[stages]]\nname = "stage2"\n[stages.data]\nramp = {}\n'
        "[corpus.clean.heldout_documents]\nminimum = 5\n"
    )
    found, base = load(mine), load(ROOT / "recipes" / "tiny.toml")
    assert found.name == "我的" and [s.name for s in found.corpus.sources] == ["新"], "a list replaces a list"
    assert found.stages[0].rate.peak == 1e-3 and found.stages[0].rate.warmup_steps == base.stages[0].rate.warmup_steps == 10
    assert found.stages[0].data.shares == {"web_zh": 1.0} and found.stages[0].data.tokens == base.stages[0].data.tokens
    assert found.stages[1].data.ramp == {} and found.stages[1].data.passes == {"canary": 1}, "names of the user's own replace"
    assert found.corpus.clean.heldout_documents.minimum == 5 and found.corpus.clean.minimum_documents == 20
    assert found.model == base.model
    again = tmp_path / "again.toml"  # a base of a base, by its path from the recipe's own folder; a preset replaces a shape
    again.write_text('base = "我的.toml"\nname = "again"\n[model]\npreset = "demo-3m"\n[tokenizer]\nfit = false\n')
    further = load(again, ["stages.stage1.rate.peak=2e-3"])
    assert further.name == "again" and further.stages[0].rate.peak == 2e-3 and further.stages[0].data.shares == {"web_zh": 1.0}
    assert (further.model.hidden, further.model.layers, further.model.vocabulary) == (128, 4, 2048) and not further.tokenizer.fit


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('base = "甲.toml"', "has no end"),
        ('base = "没有.toml"', r"base: cannot read 没有\.toml: No such file"),
        ('base = "demp"', "Did you mean 'demo'"),
        ("base = 3", "'base' must be the name or the file"),
        ('base = "tiny"\n[trian]\n', "unknown key 'trian'.*'train'"),
        ('base = "tiny"\ntrain = 3\n', "train must be a table"),
    ],
)
def test_a_base_that_cannot_be_used_is_named(tmp_path, text, told):
    (tmp_path / "甲.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        load(tmp_path / "甲.toml")
    with pytest.raises(ConfigError, match="--set"):
        load(ROOT / "recipes" / "tiny.toml", ["base=demo"])


def test_a_recipe_has_a_name_and_a_file_wins_over_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"demo", "tiny", "tokenizer", "skywork-13b"} <= set(recipe_names())
    for name in recipe_names():
        assert load(find_recipe(name)) == load(ROOT / "recipes" / f"{name}.toml")
    (tmp_path / "demo").mkdir()
    assert find_recipe("demo").name == "demo.toml", "a folder is no recipe"
    (tmp_path / "tiny").write_text('name = "小"\n')
    assert load(find_recipe("tiny")).name == "小"
    for given, told in (
        (tmp_path, "is a folder.*demo"),
        ("dmo", "No such file.*Did you mean 'demo'.*demo, "),
        ("recipes/demo.toml", "Did you mean 'demo'"),
        ("没有\0.toml", "cannot read"),
        ("长" * 300, "cannot read"),
    ):
        with pytest.raises(ConfigError, match=told):
            find_recipe(given)


def test_sample_pages_are_those_of_the_program_where_a_recipe_brings_none(tmp_path):
    copied = tmp_path / "recipes" / "抄.toml"
    copied.parent.mkdir()
    copied.write_text((ROOT / "recipes" / "tiny.toml").read_text())
    assert Run.open(copied).samples == SAMPLES and (SAMPLES / "web").is_dir()
    linked, named = (
        Run.open(recipe, work=tmp_path / "work").resolve("pages") for recipe in (ROOT / "recipes" / "tiny.toml", "tiny")
    )
    assert linked.steps["pages"].folder == named.steps["pages"].folder
    (tmp_path / "samples" / "web").mkdir(parents=True)
    assert Run.open(copied).samples.resolve() == tmp_path / "samples"
    assert Run.open(copied, overrides=["samples='别处'"]).samples == tmp_path / "recipes" / "别处"


def test_settings_reach_a_source_that_the_command_line_gives(tmp_path):
    recipe = load(ROOT / "recipes" / "demo.toml", ["corpus.sources.source.max_pages=3"], "书.jsonl", "正文")
    source = recipe.corpus.sources[0]
    assert (source.path, source.text_field, source.max_pages) == (str(Path("书.jsonl").absolute()), "正文", 3)
    with pytest.raises(ConfigError, match="--text-field belongs to --source"):
        load(ROOT / "recipes" / "demo.toml", (), None, "正文")


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
    assert (small.stages[0].data.tokens, small.stages[1].data.tokens) == (360_000, 240_000)
    assert "scaled down to 360,000 tokens" in told[0]


def test_references_are_a_step_that_training_does_not_need(tmp_path):
    """And a folder or a file that cannot be used is told before anything runs."""
    from skyloom.core.store import Store

    figures = tmp_path / "别的.toml"
    figures.write_text('["LLaMA2-7B"]\nzh = 1.1\n')

    def resolved(*overrides):
        return Run.open(str(ROOT / "recipes" / "tiny.toml"), work=tmp_path / "work", overrides=overrides).resolve()

    plain, named = resolved(), resolved(f"references.file={figures}")
    assert "references" not in plain.steps and "references" in named.steps
    assert list(named.steps) == [name for name in order(named.recipe) if name in named.steps]
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


STAGED = """
base = "tiny"
[model]
context = 256
[[stages]]
name = "一般"
[stages.data]
tokens = 100_000
[stages.rate]
peak = 1e-3
[[stages]]
name = "long"
context = 256
batch = 2
rope_theta = 1e6
weight_decay = 0.0
[stages.data]
tokens = 20_000
passes = { canary = 1 }
[[stages]]
name = "short"
release = false
[stages.data]
tokens = 20_000
[[stages]]
name = "anneal"
[stages.data]
tokens = 20_000
"""


def staged(tmp_path, *changes):
    path = tmp_path / "阶段.toml"
    path.write_text(STAGED)
    return load(path, changes)


def test_a_stage_has_settings_of_its_own(tmp_path):
    recipe = staged(tmp_path)
    assert stages(recipe) == ("一般", "long", "short", "anneal")
    assert order(recipe)[-9:] == ("references", "一般", "long", "short", "anneal", "evaluate", "leakage", "release", "report")[-9:]
    trains, shapes = ([one(recipe, name) for name in stages(recipe)] for one in (stage_train, stage_shape))
    assert [(t.context, t.batch, t.weight_decay) for t in trains] == [(128, 8, 0.1), (256, 2, 0.0), (128, 8, 0.1), (128, 8, 0.1)]
    assert [(s.context, s.rope_theta) for s in shapes] == [(128, 1e4), (256, 1e6), (256, 1e6), (256, 1e6)]
    assert load_text(tmp_path, to_toml(recipe)) == recipe
    found = planting(recipe.stages)
    assert (found.planted, found.before, found.place("long")) == ("long", "一般", "the second stage")
    assert planting(recipe.stages[1:]).before == "" and planting(recipe.stages[2:]).before == ""
    plain_keys = plain(recipe.stages[0], identity_only=True)
    assert set(plain_keys) == {"data", "rate"}, "a stage without settings of its own keeps the name of its step"


def load_text(tmp_path, text):
    path = tmp_path / "again.toml"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("stages.long.context=512", r"stages\.long\.context is 512, model\.context only 256"),
        ("stages.long.name='一般'", "two stages are named 一般|rate.name"),
        ("stages.3.name='corpus'", "a stage is named corpus|rate.name"),
        ("stages.3.name='a-b'", "a stage is named 'a-b'"),
        ("stages.anneal.release=false", r"stages\.anneal\.release is false"),
        ("stages.long.beta1=1.0", r"stages\.long: .*beta1 1 "),
        ("stages.long.layout={data=2}", "need 1 and 2 processes"),
        ("stages.long.moments='drop'", "'drop'"),
        ("stage1.rate.peak=1e-3", r"\[stage1\.rate\] is the form of earlier versions.*\[\[stages\]\]"),
        ("samples_tokens=[1, 2]", "samples_tokens is now a setting of each stage"),
        ("heldout={max_bytes=1}", "unknown key 'heldout'; did you mean 'heldout_sets'"),
        ("corpus.parallel={}", "unknown key 'corpus.parallel'; did you mean 'parallel_text'"),
    ],
)
def test_stages_that_cannot_be_are_refused_in_a_sentence(tmp_path, change, told):
    with pytest.raises(ConfigError, match=f"(?s){told}"):
        staged(tmp_path, change)


def test_a_recipe_of_the_earlier_form_is_shown_the_new_one(tmp_path):
    path = tmp_path / "旧.toml"
    path.write_text("[stage1.data]\ntokens = 10\n[stage1.rate]\npeak = 1e-3\n")
    with pytest.raises(ConfigError) as problem:
        load(path)
    said = str(problem.value)
    assert "[stage1.data] and [stage1.rate] is the form of earlier versions" in said and "旧.toml" in said
    assert '[[stages]]\n    name = "stage1"\n    [stages.data]' in said and "stages.stage1.rate.peak=… with --set" in said


def test_a_list_of_stages_with_a_new_name_replaces_that_of_the_base(tmp_path):
    base = load(ROOT / "recipes" / "tiny.toml")
    changed = load_text(tmp_path, 'base = "tiny"\n[[stages]]\nname = "stage2"\n[stages.rate]\npeak = 2e-4\n')
    assert stages(changed) == ("stage1", "stage2") and changed.stages[0] == base.stages[0]
    assert changed.stages[1].rate.peak == 2e-4 and changed.stages[1].data == base.stages[1].data
    other = load_text(tmp_path, 'base = "tiny"\n[[stages]]\nname = "第三"\n[stages.data]\ntokens = 20_000\n')
    assert stages(other) == ("第三",)


def test_what_changes_between_stages_is_told(tmp_path):
    from skyloom.run.stages import boundary

    recipe = staged(tmp_path)
    told = " ".join(boundary(recipe, "一般", "long"))
    for words in (
        "256 tokens after 128",
        "another order",
        "RoPE base 1e+06 after 10000",
        "512 tokens a step after 1,024",
        "weight_decay 0",
    ):
        assert words in told
    assert boundary(recipe, "short", "anneal") == []
