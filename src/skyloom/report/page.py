"""The run page: one HTML file that shows a whole run and needs no other file.

Input: the folders of a run. Output: `report.html` with the funnel of the corpus and its reasons, the mixture, the tokenizer,
the loss curves of the training stages, evaluation, the leakage audit, samples and every step with its hash. It shows what the
report "Skywork" has in its figures 1 to 3 and tables 1 and 5 to 8, for a run of any size.

Styles, script and figures are inside the file, and a content security policy forbids the page to fetch anything or to run
any script but its own, because it shows text from web pages that may be hostile. All text is escaped. Equal inputs give equal
bytes; timings are inputs.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import jinja2
from markupsafe import Markup

from skyloom.core.config import to_toml
from skyloom.core.json_files import RunFacts
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.release import evidence, formats, tables
from skyloom.report import examples, results, training
from skyloom.report.config import ReportConfig
from skyloom.report.labels import ENGLISH

PAGE = "report.html"
T = TypeVar("T")


def write(inputs: Mapping[str, Store], out: Store, config: ReportConfig, run: RunFacts, *, progress: Progress) -> FileRecord:
    """Write `report.html` to `out` and return its record.

    `inputs`: finished steps by name (`pages extract corpus tokenizer tokens evaluate leakage release` and the training stages), any
    of which may be absent: its section then says "not measured". `run`: `{name, recipe, steps, versions, machine}`, where
    `recipe` is the resolved recipe as plain values and `steps` is a list of `{name, folder, status, seconds, bytes,
    content}`. DataError if a file is there but is not what docs/design.md says.
    """
    with progress.task("report", 2, "parts") as bar:
        found = evidence.read(inputs)
        bar.advance()
        page = render(found, config, run, has_release="release" in inputs)
        bar.advance()
    return out.write_text(PAGE, page)


def location(out: Store) -> str:
    """Where the page can be opened: a `file://` address, or the store's URL. StorageError if it was not written."""
    with out.reading(PAGE):
        return out.path(PAGE).resolve().as_uri() if out.local else out.url(PAGE)


def render(found: evidence.Evidence, config: ReportConfig, run: RunFacts, *, has_release: bool = False) -> str:
    """The page as text; see `write`."""
    script = asset("script.js")
    context = {
        "title": config.title or str(run.get("name") or "A run"),
        "run": run,
        "found": found,
        "tiles": [*results.headline(found), *_time(run)],
        "funnel": tables.funnel(found),
        "sources": tables.sources(found),
        "mixture": tables.mixture(found),
        "examples": examples.examples(found, config.examples),
        "measure": tables.measure(found),
        "stages": tables.stages(found),
        "tones": training.tones(found),
        "dashed": training.where_stages_begin(found),
        "panels": training.heldout_panels(found),
        "loss": training.loss_chart(found),
        "rate": training.rate_chart(found),
        "shares": training.shares(found),
        "speed": training.speed(found),
        "others": training.others(found),
        "alarms": training.alarms(found),
        "skips": training.skips(found),
        "scores": training.scores(found),
        "say": ENGLISH,
        "perplexity": tables.perplexity(found),
        "sizes": results.sizes(found),
        "choice": results.choice(found),
        "leakage": results.leakage(found),
        "control": tables.control(found),
        "planted_in": results.planted_in(found),
        "control_failed": results.control_failed(found),
        "failed": tables.failed_checks(found),
        "samples": (found.samples or [])[: config.samples],
        "recipe": to_toml(run.get("recipe") or {}),
        "has_release": has_release,
        "style": Markup(asset("style.css")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment().get_template("page.html.jinja").render(context)


@functools.cache
def environment() -> jinja2.Environment:
    """Templates that escape all text and refuse what they do not know."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skyloom.report", "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        finalize=printable, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    for name in ("count", "short", "size", "percent", "decimal", "span", "seconds", "scientific"):
        environment.filters[name] = getattr(formats, name)
    environment.filters["domain"] = tables.domain_name
    environment.filters["language"] = tables.language_name
    environment.filters["model"] = tables.model_name
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


def _time(run: RunFacts) -> list[dict[str, str]]:
    taken = [seconds for s in run.get("steps") or [] if formats.known(seconds := s.get("seconds"))]
    if not taken:
        return []
    return [{"label": "Time", "value": formats.seconds(sum(taken)), "context": f"{len(taken)} steps, added up"}]
