"""The run page: one HTML file that shows a whole run, in English and Chinese, and needs no other file.

Input: the folders of a run. Output: `report.html`: four answers, the flow of the corpus with sources, reasons and samples, the
mixture, the tokenizer, the curves of the training stages, evaluation, the leakage audit, samples and every step with its hash.
It shows what the report "Skywork" has in its figures 1 to 3 and tables 1 and 5 to 8, for a run of any size. Under each figure
stand its values, its files with their hashes, and the command that prints them.

Styles, script, figures and data are inside the file, and a content security policy forbids the page to fetch anything or to run
any script but its own, because it shows text from web pages that may be hostile. All text is escaped. Both languages are in the
file; the address decides which is shown (`#zh`), so that links into either work without a script. Equal inputs give equal
bytes; timings are inputs.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import jinja2
from markupsafe import Markup

from skyloom.core.config import to_toml
from skyloom.core.json_files import MachineFacts, RunFacts
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.release import evidence, formats, tables
from skyloom.release.trace import TraceIndex
from skyloom.report import examples, results, training
from skyloom.report.answers.four_answers import answers
from skyloom.report.config import ReportConfig
from skyloom.report.figures.corpus_views import drop_choices, drop_rows, source_rows
from skyloom.report.figures.evaluation_forest import bits_forests, choice_forest, paired_forests
from skyloom.report.figures.figure_data import FigureBook
from skyloom.report.figures.flow import FlowStage, flow
from skyloom.report.figures.flow_chart import flow_chart, language_tones
from skyloom.report.figures.leakage_forest import leakage_forests
from skyloom.report.figures.provenance import Provenance
from skyloom.report.figures.run_figures import figure_book
from skyloom.report.figures.sample_traces import COLUMNS, SampleTrace, sample_traces, trace_lines
from skyloom.report.figures.shares import share_figure
from skyloom.report.labels import ENGLISH, Say

PAGE = "report.html"
T = TypeVar("T")
_FILE_NAME = re.compile(r"[^\w.-]+")


def write(
    inputs: Mapping[str, Store],
    out: Store,
    config: ReportConfig,
    run: RunFacts,
    *,
    name: str = PAGE,
    index: TraceIndex | None = None,
    progress: Progress,
) -> FileRecord:
    """Write the page to the file `name` of `out` and return its record. `index`: of the corpus, in which samples are traced.

    `inputs`: finished steps by name (`pages extract corpus tokenizer tokens evaluate leakage release` and the training stages), any
    of which may be absent: its section then says "not measured". `run`: what it says of itself (`RunFacts`), where `recipe` is the
    resolved recipe as plain values. DataError if a file is there but is not what docs/design.md says.
    """
    with progress.task("report", 2, "parts") as bar:
        found = evidence.read(inputs)
        bar.advance()
        source = Provenance(inputs, run.get("asked") or f"{run.get('name') or 'recipe'}.toml")
        page = render(found, config, run, has_release="release" in inputs, source=source, index=index)
        bar.advance()
    return out.write_text(name, page)


def location(out: Store) -> str:
    """Where the page can be opened: a `file://` address, or the store's URL. StorageError if it was not written."""
    with out.reading(PAGE):
        return out.path(PAGE).resolve().as_uri() if out.local else out.url(PAGE)


def render(
    found: evidence.Evidence,
    config: ReportConfig,
    run: RunFacts,
    *,
    has_release: bool = False,
    source: Provenance | None = None,
    index: TraceIndex | None = None,
) -> str:
    """The page as text; see `write`. Without a `source` no file is quoted."""
    book = figure_book(found, source or Provenance({}, run.get("asked") or "recipe.toml"), run)
    samples = (found.samples or [])[: config.samples]
    traces = sample_traces(samples, index, _folder(run)) if samples else []
    command = f"skyloom release trace {shlex.quote(_folder(run))} TEXT"
    book.add("traces", COLUMNS, trace_lines(samples, traces), (), command)
    recipe = to_toml(run.get("recipe") or {})
    name = printable(str(run.get("name") or "run"))
    return two_languages(
        config.title or str(run.get("name") or "A run"),
        "Skyloom run page",
        [_body(found, config, run, book, recipe, say, has_release, traces) for say in (ENGLISH, Say("zh"))],
        book,
        facts=_facts(run),
        file_name=_FILE_NAME.sub("-", name)[:60] or "run",
        recipe=recipe,
        compares=True,
    )


def two_languages(
    title: str,
    kind: str,
    bodies: Sequence[Mapping[str, object]],
    book: FigureBook,
    *,
    facts: Sequence[str] = (),
    file_name: str,
    recipe: str = "",
    compares: bool = False,
) -> str:
    """A whole page with its header, its bodies (`body_of`, one for each language) and the data of its figures.

    `kind`: what kind of page it is; `file_name`: of what its buttons save; `compares`: it has a part on comparing.
    """
    script = asset("script.js")
    context = {
        "title": title,
        "kind_of_page": kind,
        "compares": compares,
        "facts": facts,
        "file_name": file_name,
        "archive": Markup(book.archive()) if book.all() else "",
        "recipe": recipe,
        "recipe_link": base64.b64encode(recipe.encode("utf-8", "replace")).decode(),
        "bodies": bodies,
        "figures": book.all(),
        "style": Markup(asset("style.css")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment().get_template("page.html.jinja").render(context)


def body_of(template: str, context: Mapping[str, object], say: Say) -> dict[str, object]:
    """A page's text in one language, for `two_languages`. `context`: with `p`, which begins each id ("zh-" in Chinese)."""
    return {"id": say.lang, "lang": say.html, "markup": Markup(environment().get_template(template).render(context))}


def _body(
    found: evidence.Evidence,
    config: ReportConfig,
    run: RunFacts,
    book: FigureBook,
    recipe: str,
    say: Say,
    has_release: bool,
    traces: Sequence[SampleTrace],
) -> dict[str, object]:
    """The page's text in one language. Ids of the Chinese one begin with `zh-`."""
    steps = run.get("steps") or []
    stages, drops = flow(found), drop_rows(found, config.examples, say)
    context = {
        "say": say,
        "p": "zh-" if say.lang == "zh" else "",
        "run": run,
        "found": found,
        "book": book,
        "recipe": recipe,
        "has_release": has_release,
        "sections": [(key, say(name)) for key, name in SECTIONS.items()],
        "answers": answers(found, run, say, has_release=has_release),
        "flows": _flows(stages, say),
        "language_tones": language_tones(stages),
        "sources": source_rows(found, run),
        "drops": drops,
        "drop_choices": drop_choices(drops, say),
        "mixture": tables.mixture(found),
        "kept": examples.examples(found, config.examples)["kept"],
        "measure": tables.measure(found),
        "stages": tables.stages(found),
        "tones": training.tones(found),
        "dashed": training.where_stages_begin(found),
        "panels": training.heldout_panels(found, say),
        "loss": training.loss_chart(found, say),
        "window": training.window(found),
        "rate": training.rate_chart(found, say),
        "shares": share_figure(found, run.get("planned") or {}, say),
        "speed": training.speed(found, say),
        "energy": energy_sentence(found.stages, run, say),
        "others": training.others(found),
        "alarms": training.alarms(found, say),
        "skips": training.skips(found, say),
        "scores": training.scores(found, say),
        "forests": bits_forests(found, say),
        "paired": paired_forests(found, say),
        "choice": choice_forest(found, say),
        "sizes": results.sizes(found, say),
        "leakage": results.leakage(found),
        "gaps": leakage_forests(found, say),
        "outcomes": results.outcomes(found, say),
        "control": say.control(found.leakage.get("control")) if found.leakage else "",
        "planted_in": results.planted_in(found, say),
        "control_failed": results.control_failed(found),
        "failed": [say.sanity(row) for row in found.checks if not row["ok"]],
        "samples": list(zip((found.samples or [])[: config.samples], traces, strict=True)),
        "page_again": f"skyloom report page {shlex.quote(run.get('asked') or 'recipe.toml')} --out page.html",
        "versions": dict(run.get("versions") or {}),
        "machines": [_machine(step.get("machine")) for step in steps],
        "total_seconds": sum(s for step in steps if formats.known(s := step.get("seconds"))),
        "total_bytes": sum(step["bytes"] for step in steps),
        "compare_with": shlex.quote(_folder(run)),
    }
    return body_of("body.html.jinja", context, say)


def _folder(run: RunFacts) -> str:
    """The folder of the run, as commands name it."""
    name = printable(str(run.get("name") or ""))
    return f"runs/{name}" if name else "runs/…"


SECTIONS = {
    "summary": "Answers",
    "corpus": "Corpus",
    "mixture": "Mixture",
    "examples": "Examples",
    "tokenizer": "Tokenizer",
    "training": "Training",
    "evaluation": "Evaluation",
    "leakage": "Leakage",
    "samples": "Samples",
    "steps": "Steps",
}
"""The sections of the page in order, with their names in its list."""


def _flows(stages: Sequence[FlowStage], say: Say) -> list[tuple[str, str, Markup]]:
    """The flow of the corpus by what its widths are: key, name, chart."""
    if not stages:
        return []
    return [
        ("bytes", say("bytes"), flow_chart(stages, "bytes", say)),
        ("documents", say("documents"), flow_chart(stages, "documents", say)),
        ("language", say("bytes by language"), flow_chart(stages, "bytes", say, languages=True)),
    ]


def _facts(run: RunFacts) -> list[str]:
    """Version, commit, machine and date of the run, for the header; both languages read them."""
    found = []
    version = (run.get("versions") or {}).get("skyloom")
    if version:
        found.append(f"Skyloom {version}")
    commit = run.get("commit") or ""
    if commit:
        found.append(f"git {commit.removesuffix('-dirty')[:12]}{'-dirty' if commit.endswith('-dirty') else ''}")
    machine = _machine(run.get("machine"))
    if machine:
        found.append(machine)
    if run.get("finished"):
        found.append(str(run["finished"]).replace("T", " ").replace("+00:00", " UTC"))
    return found


def _machine(machine: MachineFacts | None) -> str:
    """Cores, memory, architecture and system, in units that people read; "" if they are not known."""
    if not machine or "cores" not in machine:
        return ""
    return f"{machine['cores']} CPU · {formats.size(machine['memory_bytes'])} · {machine['architecture']} · {machine['system']}"


def energy_sentence(stages: Sequence[str], run: RunFacts, say: Say) -> str:
    """The energy of the training: as measured, else by the power that the publisher states, or that it was not measured."""
    if measured := run.get("energy"):
        return say(
            "{energy} of training, measured ({meters}). Memory, disks, power supply and cooling are not included; what else ran"
            " on the same processors is.",
            energy=formats.energy(measured["kwh"]),
            meters="; ".join(measured["sources"]),
        )
    release = (run.get("recipe") or {}).get("release")
    watts = release.get("watts") if isinstance(release, Mapping) else None
    taken = [step["seconds"] for step in run.get("steps") or [] if step["name"] in stages]
    seconds = [s for s in taken if formats.known(s)]
    if isinstance(watts, (int, float)) and watts > 0 and seconds and len(seconds) == len(taken):
        energy = sum(seconds) / 3600 * watts / 1000
        return say(
            "{energy}, computed from the stated {watts} W over {time}; no meter was read.",
            energy=formats.energy(energy),
            watts=f"{watts:g}",
            time=formats.seconds(sum(seconds)),
        )
    return say("No energy is given: the machine has no counter that could be read, and no power was stated (release.watts).")


@functools.cache
def environment() -> jinja2.Environment:
    """Templates that escape all text and refuse what they do not know."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skyloom.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in ("count", "short", "size", "percent", "decimal", "span", "seconds", "scientific"):
        environment.filters[name] = getattr(formats, name)
    environment.filters["html_lang"] = lambda lang: lang if str(lang).startswith(("zh", "en")) else ""
    return environment


def printable(value: T) -> T | str:
    """Text that HTML can hold: control characters and lone surrogates, which pages do contain, become U+FFFD."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" else c for c in value)


def asset(name: str) -> str:
    """A file beside the templates."""
    return (Path(str(importlib.resources.files("skyloom.report"))) / "templates" / name).read_text("utf-8")
