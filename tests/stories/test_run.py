"""A whole run as a user sees it: every file is there and agrees with the others, and finished steps are skipped."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time

import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.tokenizer.pieces import first_pieces
from tests.stories.program import TINY, contents, read, skyloom, start, step_folder

STEPS = "pages extract parallel exercises corpus tokenizer tokens stage1 stage2 evaluate leakage release report".split()


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("道路") / "work"
    done = skyloom("run", TINY, "--work", folder, "--workers", "2")
    assert done.returncode == 0, done.stderr
    for told in ("ledger", "held-out loss", "multiple choice", "leakage", "run page:", "release:"):
        assert told in done.stdout
    return folder


@pytest.mark.xdist_group("run")
def test_all_steps_are_done_and_a_second_run_skips_them(work):
    assert sorted(name.rsplit("-", 1)[0] for name in contents(work)) == sorted(STEPS)
    again = skyloom("run", TINY, "--work", work, "--json")
    assert again.returncode == 0, again.stderr
    assert {row["name"]: row["status"] for row in json.loads(again.stdout)} == dict.fromkeys(STEPS, "skipped")


@pytest.mark.xdist_group("run")
def test_one_setting_re_runs_only_what_depends_on_it(work):
    shown = skyloom("run", TINY, "--work", work, "--dry-run", "--json", "--set", "stages.stage2.rate.peak=0.0005")
    assert shown.returncode == 0, shown.stderr
    states = {row["step"]: row["state"] for row in json.loads(shown.stdout)}
    assert [name for name in STEPS if states[name] == "to do"] == ["stage2", "evaluate", "leakage", "release", "report"]


@pytest.mark.xdist_group("run")
def test_the_work_does_not_depend_on_the_workers(work, tmp_path):
    alone = skyloom("data", "pack", TINY, "--work", tmp_path, "--workers", "0")
    assert alone.returncode == 0, alone.stderr
    made = contents(tmp_path)
    assert made and made.items() <= contents(work).items()


@pytest.mark.xdist_group("run")
def test_losses_fall_below_the_unigram_and_the_stages_do_what_they_are_for(work):
    rows = read(step_folder(work, "evaluate") / "perplexity.json")["rows"]
    loss = {(row["model"], row["set"]): row["bits_per_byte"] for row in rows}
    sets = {name for _, name in loss}
    assert {"web_en", "web_zh", "code", "stem_en", "stem_zh", "parallel"} <= sets
    assert all(loss["final", name] < loss["unigram", name] for name in ("web_en", "web_zh", "stem_en", "stem_zh"))
    assert all(loss["final", name] < loss["stage1", name] for name in ("stem_en", "stem_zh"))
    shares = [json.loads(line)["shares"] for line in (step_folder(work, "stage1") / "metrics.jsonl").read_text().splitlines()]
    assert all(not row.get("canary") for row in shares)


@pytest.mark.xdist_group("run")
def test_the_release_proves_itself_and_writes(work):
    release = step_folder(work, "release")
    assert skyloom("release", "check", release).returncode == 0
    for prompt in ("The bridge", "今天的天气"):
        said = skyloom("generate", release, prompt, "--tokens", "12", "--seed", "1")
        assert said.returncode == 0 and said.stdout.startswith(prompt)
    card = release / "README.md"
    card.write_text(card.read_text() + "\nThis model is larger than it looks. 这个模型比看上去大。\n")
    broken = skyloom("release", "check", release)
    assert broken.returncode == 4 and "README.md" in broken.stdout + broken.stderr


@pytest.mark.xdist_group("run")
def test_the_commands_show_what_the_steps_made(work):
    for verb, key in (
        (["corpus", "build"], "near-duplicates"),
        (["corpus", "mixture"], "share"),
        (["tokenizer", "train"], "bytes_per_token"),
        (["data", "pack"], "tokens"),
        (["data", "show", "--stage", "stage2", "--step", "3"], "documents"),
        (["data", "show", "--step", "3", "--rank", "1", "--world", "4"], "realised %"),
        (["train"], "after stage2"),
        (["eval"], "perplexity"),
        (["leak"], "control"),
    ):
        shown = skyloom(*verb, TINY, "--work", work, "--json")
        assert shown.returncode == 0, shown.stderr
        assert key in shown.stdout, (verb, shown.stdout[:300])
    pieces = skyloom("tokenizer", "show", step_folder(work, "tokenizer"), "文本 text 123", "--json")
    assert "".join(row["piece"] for row in json.loads(pieces.stdout)).replace("▁", " ") == "文本 text 123"
    assert skyloom("tokenizer", "check", step_folder(work, "tokenizer")).returncode == 0


@pytest.mark.xdist_group("run")
def test_pages_are_written_beside_a_finished_run(work, tmp_path):
    """The run page anew, with the trace index that stands there by then, and the page of the evaluation; the run stays as it is."""
    before = contents(work)
    anew = skyloom("report", "page", TINY, "--work", work, "--out", tmp_path / "先.html")
    assert anew.returncode == 0 and anew.stdout.strip() == (tmp_path / "先.html").resolve().as_uri(), anew.stderr
    pages = tmp_path / "先.html", step_folder(work, "report") / "report.html"
    same = [re.sub(r"[\d.,]+", "0", page.read_text("utf-8")) for page in pages]  # a step that was made again took other seconds
    assert same[0] == same[1]
    index = step_folder(work, "release").with_name(f"{step_folder(work, 'release').name}.trace")
    assert skyloom("release", "trace", work, "the first line of a page 这是一页的第一行").returncode == 0
    assert skyloom("report", "page", TINY, "--work", work, "--out", tmp_path / "后.html").returncode == 0
    shutil.rmtree(index)
    first, then = ((tmp_path / name).read_text("utf-8") for name in ("先.html", "后.html"))
    assert "skyloom release trace runs/" in first and "在训练文档中查找" in first
    assert "Find it in the training documents" not in then and ("units, " in then or "No n-gram of at least" in then)
    judged = skyloom("eval", TINY, "--work", work, "--page", tmp_path / "评测.html")
    assert judged.returncode == 0 and f"page: {(tmp_path / '评测.html').resolve().as_uri()}" in judged.stdout, judged.stderr
    assert "Unigram" in (tmp_path / "评测.html").read_text("utf-8") and contents(work) == before


@pytest.mark.xdist_group("run")
def test_another_models_base_is_extended_on_the_same_corpus(work, tmp_path):
    """The corpus is taken as it is; the base counts by its content, not its path; what cannot be extended is refused in a sentence."""
    base = tmp_path / "底座.model"
    base.write_bytes(first_pieces((step_folder(work, "tokenizer") / "tokenizer.model").read_bytes(), 1100))
    extend = ("tokenizer", "extend", base, TINY, "--work", work, "--characters", "300", "--words", "107")
    before = set(contents(work))
    made = skyloom(*extend, "--json")
    assert made.returncode == 0 and "bytes_per_token" in made.stdout, made.stderr
    (folder,) = set(contents(work)) - before
    assert skyloom("tokenizer", "check", work / folder).returncode == 0
    again = tmp_path / "again.model"
    again.write_bytes(base.read_bytes())
    skyloom(*(again if argument == base else argument for argument in extend))
    assert set(contents(work)) == {*before, folder}
    shown = skyloom("tokenizer", "show", work / folder, "文本 text\n123")
    assert shown.returncode == 0 and "⏎" in shown.stdout and "bytes a token" in shown.stdout and "latin" in shown.stdout
    many = skyloom("tokenizer", "extend", base, TINY, "--work", work, "--characters", "30000", "--set", "tokenizer.fit=false")
    assert many.returncode == 3 and "30,000 characters" in many.stderr and "corpus" in many.stderr, many.stderr
    base.write_bytes(b"no model")
    refused = skyloom(*extend)
    assert refused.returncode == 2 and "SentencePiece model" in refused.stderr and "Traceback" not in refused.stderr
    assert skyloom(*(tmp_path / "none" if argument == base else argument for argument in extend)).returncode == 5


@pytest.mark.xdist_group("run")
def test_learning_rates_are_tried_before_a_stage(work, tmp_path):
    """At the stage's own rate a test is the stage's first steps; a killed test goes on; a rate that diverges is named."""
    place = tmp_path / "速率"
    shutil.copytree(work, place)
    test = ("train", "lr-test", TINY, "--work", place, "--rates", "6e-4,1e-3,40", "--tokens", "20500")
    test += ("--set", "train.checkpoint_seconds=0")
    process = start(*test)
    deadline = time.monotonic() + 200
    while not list(place.glob("lr-0.001-*/checkpoints/*/state.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = (step_folder(place, "lr-0.0006") / "_step.json").stat().st_mtime_ns
    done = skyloom(*test, "--json")
    assert done.returncode == 0, done.stderr
    assert "lr-0.0006: already" in done.stderr
    assert (step_folder(place, "lr-0.0006") / "_step.json").stat().st_mtime_ns == first
    found = json.loads(done.stdout)
    rows = {row["rate"]: row for row in found["rates"]}
    assert found["recommended"] in (6e-4, 1e-3) and found["steps"] == 20 and found["from"].startswith("stage1, step ")
    assert "40 (" in found["reason"] and rows[40.0]["excluded"] and rows[6e-4]["to_start"]["high"] < 0
    losses = [
        [json.loads(line)["loss"] for line in (step_folder(place, name) / "metrics.jsonl").read_text().splitlines()[:20]]
        for name in ("lr-0.0006", "stage2")
    ]
    assert losses[0] == losses[1], "the same checkpoint, samples and rate"
    sets = {line["set"]: line["loss"] for line in map(json.loads, (step_folder(place, "lr-0.001") / "heldout.jsonl").open())}
    assert {name: both["end"] for name, both in rows[1e-3]["sets"].items()} == pytest.approx(sets), "scored like the monitor"
    assert not list(place.glob("lr-*/final")) and not list(place.glob("lr-*/checkpoints"))
    folder = step_folder(place, "lr-test")
    assert (folder / "lr-test.csv").read_text().startswith("rate,loss_of,tokens,nats_per_token\n0.0006,training,1024,")
    assert "学习率" in (folder / "lr-test.svg").read_text()
    half = next(step_folder(place, "stage2").glob("checkpoints/*"))
    within = skyloom(*test[:5], "--stage", "stage2", "--from", half, "--rates", "6e-4,1e-3", "--tokens", "3100")
    assert within.returncode == 0, within.stderr
    went = {row["step"]: row["loss"] for row in map(json.loads, (step_folder(place, "stage2") / "metrics.jsonl").open())}
    newest = max(place.glob("lr-0.0006-*"), key=lambda path: path.stat().st_mtime)
    tried = {row["step"]: row["loss"] for row in map(json.loads, (newest / "metrics.jsonl").open())}
    assert min(tried) == int(half.name[5:]) + 1 and tried == {step: went[step] for step in tried} and len(tried) == 3
    for wrong, told in (
        (("--from", step_folder(place, "stage2")), "after stage1"),
        (("--from", place), "no checkpoint"),
        (("--from", step_folder(place, "stage1"), "--set", "model.hidden=64"), "model.hidden is 32"),
    ):
        refused = CliRunner().invoke(
            main, ["train", "lr-test", str(TINY), "--work", str(place), "--stage", "stage1", *map(str, wrong)]
        )
        assert refused.exit_code == 2 and told in refused.output.replace("\n", " "), refused.output
