"""The dashboard: loss curves, speed and alarms of a training run while it runs (the report's Fig. 3), in English or Chinese.

Input: the folders of the training stages. The page is drawn here, with the charts of the run page. A browser asks for news every
two seconds with the cursor of its last answer and gets the parts that changed since then, and figures for scripts; a part has the
same size however long the run is.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import uuid
from collections.abc import Mapping
from itertools import groupby
from typing import TypedDict

from markupsafe import Markup

from skyloom.core.errors import SkyloomError
from skyloom.core.json_files import Figure, ReferenceEntry, StageCalendar
from skyloom.core.records import tags_of
from skyloom.core.store import Store
from skyloom.release import formats
from skyloom.release.evidence import Evidence
from skyloom.report import training
from skyloom.report.follow import Following
from skyloom.report.labels import Say
from skyloom.report.page import asset, environment
from skyloom.train.watch import ALARMS, HELDOUT, METRICS, SCORES, SKIPS, SPEED

REFERENCES = "references.json"
PARTS = {
    "now": (METRICS, SPEED),
    "alarms": (ALARMS,),
    "heldout": (HELDOUT, REFERENCES),
    "training": (METRICS,),
    "speed": (SPEED,),
    "scores": (SCORES,),
    "skips": (SKIPS,),
}
"""The parts of the page, in order, and what they are drawn from."""
GROUPS = {"en": "English", "zh": "Chinese", "code": "Code", "en-zh": "Parallel text", "other": "Other"}
"""Languages of held-out sets, by their tag."""
_REVISION = re.compile("[0-9]{1,15}")


class Latest(TypedDict, total=False):
    """The latest figures; empty before the first step."""

    stage: str
    step: int | None
    steps: int | None
    tokens: int | None
    loss: Figure
    lr: Figure
    grad_norm: Figure
    tokens_per_s: Figure
    mfu: Figure
    mfu_causal: Figure
    data_wait_share: Figure
    memory_bytes: Figure
    bits_per_byte: dict[str, float]
    alarms: int
    skipped: int


class News(TypedDict):
    """What a browser is told; see `Dashboard.news`."""

    cursor: str
    state: str
    said: str
    figures: Latest
    parts: dict[str, str]


class PanelGroup(TypedDict):
    """Held-out sets of one language."""

    label: str
    panels: list[training.HeldoutPanel]


class Dashboard:
    """`stages`: folders of the stages in order, which need not be there yet; `others`: folder of the step `references`, if any."""

    def __init__(self, name: str, stages: Mapping[str, Store], others: Store | None = None) -> None:
        self._name, self._others = name, others
        self._stages = [Following(stage, folder) for stage, folder in stages.items()]
        self._references: list[ReferenceEntry] | None = None
        self._lock = threading.Lock()
        self._token, self._revision = uuid.uuid4().hex[:12], 1
        self._changed = dict.fromkeys(PARTS, 1)
        self._problem = ""
        allowed = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
        self.policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'; connect-src 'self'; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        )
        """The page's content security policy: it loads nothing and runs no script but its own."""

    def page(self, lang: str) -> str:
        """The whole page, as it stands now; without a script it is a picture of this moment."""
        say = Say(lang)
        news = self.news("", lang)
        script = _script()
        context = {
            "say": say, "title": self._name, "said": news["said"], "cursor": news["cursor"],
            "parts": {name: Markup(markup) for name, markup in news["parts"].items()},
            "style": Markup(asset("style.css")), "script": Markup(script), "policy": Markup(self.policy),
        }  # fmt: skip
        return environment().get_template("live.html.jinja").render(context)

    def news(self, cursor: str, lang: str) -> News:
        """What changed since the answer that had this cursor: all parts for an unknown one.

        `{cursor, state, said, figures, parts: {name: markup}}`; `state` is waiting, running, between or done.
        """
        with self._lock:
            self._read()
            token, _, revision = cursor.partition(".")
            since = int(revision) if token == self._token and _REVISION.fullmatch(revision) else 0
            say = Say(lang)
            state, said = self._state(say)
            found = self._evidence()
            wanted = [name for name in PARTS if self._changed[name] > since]
            parts = {name: self._draw(name, found, say) for name in wanted}
            figures = self._figures(found)
            return {"cursor": f"{self._token}.{self._revision}", "state": state, "said": said, "figures": figures, "parts": parts}

    def _read(self) -> None:
        changed: set[str] = set()
        self._problem = ""
        for stage in self._stages:
            try:
                changed |= stage.read()
            except SkyloomError as problem:
                self._problem = str(problem)
        if self._references is None and self._others is not None and self._others.exists(REFERENCES):
            self._references = self._others.read_json(REFERENCES)
            changed.add(REFERENCES)
        parts = [name for name, sources in PARTS.items() if changed & set(sources)]
        if parts:
            self._revision += 1
            self._changed |= dict.fromkeys(parts, self._revision)

    def _evidence(self) -> Evidence:
        """What was read, in the form that the charts take."""
        return Evidence(
            named=tuple(stage.stage for stage in self._stages),
            plans={stage.stage: stage.plan for stage in self._stages if stage.plan},
            metrics=[row for stage in self._stages for row in stage.rows(METRICS)],
            heldout=[row for stage in self._stages for row in stage.rows(HELDOUT)],
            speed=[row for stage in self._stages for row in stage.rows(SPEED)],
            alarms=[row for stage in self._stages for row in stage.rows(ALARMS)],
            skips=[row for stage in self._stages for row in stage.rows(SKIPS)],
            scores=[row for stage in self._stages for row in stage.rows(SCORES)],
            references=self._references,
        )

    @property
    def _now(self) -> Following | None:
        """The stage that was begun last."""
        begun = [stage for stage in self._stages if stage.begun]
        return begun[-1] if begun else None

    def _state(self, say: Say) -> tuple[str, str]:
        now = self._now
        if self._problem:
            return "running", say("A file could not be read: {problem}", problem=self._problem)
        if now is None:
            return "waiting", say("The training has not started yet; this page begins to draw as soon as it does.")
        if now.done:
            if now is self._stages[-1]:
                return "done", say("All stages are trained.")
            return "between", say("{stage} is done; the next stage has not begun.", stage=say.stage(now.stage))
        step, steps = _place(now)
        words, age = "Running: {stage}, step {step} of {steps}; the last line is {age} old.", now.age()
        if age is None:
            words = "Running: {stage}, step {step} of {steps} at the last checkpoint."
        values = {"stage": say.stage(now.stage), "step": formats.count(step), "steps": formats.count(steps)}
        return "running", say(words, **values, age=formats.seconds(age))

    def _figures(self, found: Evidence) -> Latest:
        """The latest figures, for scripts."""
        now = self._now
        if now is None:
            return {}
        step, steps = _place(now)
        last, rates = now.last, now.rates
        return {
            "stage": now.stage,
            "step": step,
            "steps": steps,
            "tokens": last.get("tokens"),
            "loss": last.get("loss"),
            "lr": last.get("lr"),
            "grad_norm": last.get("grad_norm"),
            "tokens_per_s": rates.get("tokens_per_s"),
            "mfu": rates.get("mfu"),
            "mfu_causal": rates.get("mfu_causal"),
            "data_wait_share": rates.get("data_wait_share"),
            "memory_bytes": rates.get("memory_bytes"),
            "bits_per_byte": {row["set"]: row["bits_per_byte"] for row in found.heldout or []},
            "alarms": len(found.alarms or []),
            "skipped": sum(stage.skipped for stage in self._stages),
        }

    def _draw(self, part: str, found: Evidence, say: Say) -> str:
        values: dict[str, object] = {}
        if part == "now":
            values["tiles"] = self._tiles(say)
        elif part == "alarms":
            values["rows"] = training.alarms(found, say)
        elif part == "heldout":
            values |= {"groups": _grouped(training.heldout_panels(found, say), say), "others": training.others(found)}
            values |= {"tones": training.tones(found), "dashed": training.where_stages_begin(found)}
        elif part == "training":
            values |= {"loss": training.loss_chart(found, say), "rate": training.rate_chart(found, say)}
            values["window"] = training.window(found)
        elif part == "speed":
            values["speed"] = training.speed(found, say)
        elif part == "scores":
            values["rows"] = training.scores(found, say)
        elif part == "skips":
            values["found"] = training.skips(found, say, sum(stage.skipped for stage in self._stages))
        return environment().get_template("parts.html.jinja").render(part=part, say=say, **values)

    def _tiles(self, say: Say) -> list[dict[str, str]]:
        now = self._now
        if now is None:
            return []
        step, steps = _place(now)
        last, rates = now.last, now.rates
        parameters = formats.short(now.plan.get("parameters"))
        rate = say(
            "rate {rate}, gradient {norm}", rate=formats.scientific(last.get("lr")), norm=formats.decimal(last.get("grad_norm"))
        )
        held = rates.get("device_memory_bytes", rates.get("memory_bytes"))
        rows = [
            (say.stage(now.stage), formats.count(step), say("of {steps} steps", steps=formats.count(steps))),
            (say("Tokens read"), formats.short(last.get("tokens")), say("by {parameters} parameters", parameters=parameters)),
            (say("Training loss, nats per token"), formats.decimal(last.get("loss")), rate),
        ]
        if rates:
            peak, causal = formats.short(rates.get("peak_flops")), formats.percent(rates.get("mfu_causal"))
            told = say("of {peak} FLOP/s; causal {causal}", peak=peak, causal=causal)
            rows += [
                (
                    say("Tokens per second"),
                    formats.short(rates.get("tokens_per_s")),
                    say("over {time}", time=formats.seconds(rates.get("seconds"))),
                ),
                *([(say("MFU"), formats.percent(rates.get("mfu")), told)] if formats.known(rates.get("peak_flops")) else []),
                (say("Waiting for data"), formats.percent(rates.get("data_wait_share")), say("of the time")),
                (say("Memory"), formats.size(held), say("of rank 0")),
            ]
        return [dict(zip(("label", "value", "context"), row, strict=True)) for row in rows]


def _script() -> str:
    return asset("script.js") + asset("live.js")


def _place(stage: Following) -> tuple[int | None, int | None]:
    """Steps done since the start of the stage, and of how many."""
    calendar: StageCalendar = stage.plan.get("calendar") or {}
    step = stage.last.get("step")
    return (step - calendar.get("first_step", 0) if step is not None else None), calendar.get("steps")


def _grouped(panels: list[training.HeldoutPanel], say: Say) -> list[PanelGroup]:
    """Panels by the language of their sets."""

    def language(panel: training.HeldoutPanel) -> str:
        return tags_of(panel["set"]).lang

    ordered = sorted(panels, key=lambda panel: list(GROUPS).index(language(panel)))
    return [{"label": say(GROUPS[lang]), "panels": list(group)} for lang, group in groupby(ordered, key=language)]
