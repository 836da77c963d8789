"""The page of a leakage audit of any model: one HTML file that says what the verdict rests on, in English or Chinese.

Input: the content of `leak.json`. Output: the verdict in a sentence, the blind baseline, gaps with intervals around zero, the
model among its family, each detector with p-value and known power, the items that read easiest, assumptions, what would change
the verdict, and the command. Nothing is computed here but the picture: every figure stands in the file.

As on the run page, all text is escaped, a content security policy forbids the page to load anything, and equal inputs give equal
bytes. Texts of items are on the page only where they are asked for: a page that is passed on must not spread a test set.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from markupsafe import Markup

from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.json_files import Figure
from skyloom.core.store import FileRecord, Store
from skyloom.release.formats import NONE, count, decimal, known, percent
from skyloom.report.charts import strip
from skyloom.report.labels import LANGUAGES
from skyloom.report.leak_charts import Gap, Member, Regression, forest, scatter
from skyloom.report.leak_json import PageBlind, PageDetector, PageFamily, PageLeak, PageMember, PageTexts
from skyloom.report.leak_words import DETECTORS, UNITS, LeakSay
from skyloom.report.page import asset, environment, printable

LEAK_JSON = "leak.json"
FORMAT = 1
EASIEST, NAMED = 20, 5
"""Items that are shown at most, and items left out that are named."""
FARTHEST = 6.0
"""Half-widths that the common axis shows; what lies farther stands at its edge, with an arrow."""
CENTRES = {"auc": 0.5}
"""Where a value of no effect lies, by unit; elsewhere at zero."""

PageCell = str | Markup | bool | int
PageRow = dict[str, PageCell]


def read_leak(path: Path) -> dict[str, object]:
    """The content of a `leak.json`, or of the one in a folder. DataError if it is none, StorageError if it cannot be read."""
    file = path / LEAK_JSON if path.is_dir() else path
    try:
        found = json.loads(file.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{file} is no JSON in UTF-8 ({problem}); write it again with skyloom leak model") from problem
    except OSError as problem:
        raise StorageError(f"cannot read {file}: {problem.strerror or problem}") from problem
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        told = repr(found.get("format")) if isinstance(found, dict) else "no object"
        raise DataError(f"{file} is no leak.json of format {FORMAT} (it is {told}); write it again with skyloom leak model")
    return found


def write_leak_page(leak: Mapping[str, object], out: Path, lang: str = "en", show_items: bool = False) -> FileRecord:
    """Write the page of a leak.json's content to the file `out`, whole or not at all.

    `lang`: "en" or "zh"; `show_items`: with the texts of the items that read easiest. DataError if the content is not what a
    leak.json holds, ConfigError for another language, StorageError if `out` cannot be written.
    """
    if lang not in LANGUAGES:
        raise ConfigError(f"the page is written in {' or '.join(LANGUAGES)}, not in {lang!r}")
    try:
        page = render_leak(cast(PageLeak, leak), LeakSay(lang), show_items)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        told = f"{problem} is missing" if isinstance(problem, KeyError) else str(problem)
        raise DataError(f"this is not what a leak.json of format {FORMAT} holds ({told}); write it again") from problem
    return Store(out.absolute().parent).write_text(out.name, page)


def render_leak(leak: PageLeak, say: LeakSay, show_items: bool) -> str:
    """The page as text; see `write_leak_page`."""
    script, benchmark = asset("script.js"), leak["sets"]["benchmark"]
    if benchmark is None:
        raise ValueError("there is no benchmark set")
    verdict = leak["verdict"]
    context = {
        "title": say("Was {model} trained on {benchmark}?", model=leak["model"]["model"], benchmark=benchmark["name"]),
        "lead": _lead(leak, say, benchmark["used"], benchmark["tokens"]),
        "facts": _facts(leak),
        "data": _data(leak, show_items),
        "axis": _one_axis(leak, say),
        "sections": _sections(say),
        "verdict": {
            "word": say(verdict["word"]),
            "loud": verdict["word"] in ("leaked", "train split overfitted"),
            "sentence": _both([verdict["sentence"]], say)[0],
            "reasons": _both(verdict["reasons"], say),
        },
        "tiles": _tiles(leak, say, benchmark["used"], benchmark["items"]),
        "declared": _declared(leak, say),
        "sets": _sets(leak, say),
        "blind": [row for one in leak["blind"] for row in _blind(one, say)],
        "forests": _forests(leak["detectors"], say),
        "family": _family(leak, say),
        "detectors": [_detector(one, say) for one in leak["detectors"]],
        "easiest": _easiest(leak, say, show_items),
        "items_lead": say(
            "At most {count} items, compared with the family where there is one. A single item proves nothing.", count=EASIEST
        )
        + ("" if show_items else _space(say) + say("Their text is left out; --show-items shows it.")),
        "assumptions": _both(leak["assumptions"], say) or [say("none was written down")],
        "would_change": _both(leak["would_change"], say) or [say("none was written down")],
        "command": leak["command"],
        "made_with": say.comma.join(f"{name} {version}" for name, version in sorted(leak["versions"].items())),
        "say": say,
        "style": Markup(asset("style.css") + asset("leak.css")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment().get_template("leak.html.jinja").render(context)


def _space(say: LeakSay) -> str:
    return "" if say.lang == "zh" else " "


def _both(texts: Sequence[PageTexts], say: LeakSay) -> list[str]:
    return [text["zh"] if say.lang == "zh" else text["en"] for text in texts]


def _interval(low: Figure, high: Figure, say: LeakSay) -> str:
    return say("{low} to {high}", low=decimal(low), high=decimal(high)) if known(low) and known(high) else NONE


def _chance(value: Figure) -> str:
    """A p-value."""
    return "< 0.001" if known(value) and value < 0.001 else decimal(value)


def _number(value: Figure) -> float:
    return value if known(value) else math.nan


def _lead(leak: PageLeak, say: LeakSay, used: int, tokens: int) -> str:
    told = say(
        "{items} items of the benchmark were read, {tokens} tokens. The verdict rests on what counts, which was fixed before the "
        "model was read.",
        items=count(used),
        tokens=count(tokens),
    )
    return f"{told}{_space(say)}{leak['date']}" if leak["date"] else told


def _facts(leak: PageLeak) -> list[str]:
    """Version of the program and date, for the header."""
    version = leak["versions"].get("skyloom")
    return [*([f"Skyloom {version}"] if version else []), *([leak["date"]] if leak["date"] else [])]


def _data(leak: PageLeak, show_items: bool) -> str:
    """leak.json in base64; the texts of items only where the page shows them."""
    shown = leak if show_items else {**leak, "easiest": [{**one, "text": None} for one in leak["easiest"]]}
    return base64.b64encode(json.dumps(shown, ensure_ascii=False, indent=1).encode("utf-8", "replace")).decode()


def _one_axis(leak: PageLeak, say: LeakSay) -> Markup:
    """All detectors and the blind baseline in half-widths of their own intervals around no effect; without an interval they are
    left out."""
    rows = []
    for blind in leak["blind"]:
        for by, found in (("words", blind["words"]), ("length", blind["length"])):
            name = say("blind baseline, {by}, {set}", by=say(by), set=say.set(blind["set"]))
            rows.append(
                _in_half_widths(name, found["auc"], found["low"], found["high"], "auc", say, counts=False, flagged=blind["vetoes"])
            )
    for one in leak["detectors"]:
        name = _compared(one, say)
        row = _in_half_widths(
            name, one["value"], one["low"], one["high"], one["unit"], say, counts=one["counts"], flagged=one["flagged"]
        )
        rows.append(row)
    return forest([row for row in rows if row is not None], centre=0.0, title=say("All detectors on one axis"))


def _in_half_widths(
    name: str, value: Figure, low: Figure, high: Figure, unit: str, say: LeakSay, *, counts: bool, flagged: bool
) -> Gap | None:
    if not (known(value) and known(low) and known(high)) or not high > low:
        return None
    half, centre = (high - low) / 2, CENTRES.get(unit, 0.0)
    shown = f"{decimal(value)} {say.known(unit, UNITS)}"
    told = printable(f"{name}{say.colon}{shown} ({_interval(low, high, say)})")
    place, left, right = (min(max((x - centre) / half, -FARTHEST), FARTHEST) for x in (value, low, high))
    shown += " →" if place == FARTHEST else " ←" if place == -FARTHEST else ""
    return Gap(printable(name), place, left, right, counts, flagged, told, shown=shown)


def _sections(say: LeakSay) -> list[tuple[str, str]]:
    names = {
        "verdict": "Verdict", "sets": "Sets", "gaps": "Gaps", "family": "Family", "detectors": "Detectors", "items": "Items",
        "assumptions": "Assumptions", "command": "Command",
    }  # fmt: skip
    return [(key, say(name)) for key, name in names.items()]


def _tiles(leak: PageLeak, say: LeakSay, used: int, items: int) -> list[PageRow]:
    verdict, counting = leak["verdict"], [d for d in leak["detectors"] if d["counts"]]
    gap = verdict["gap"]
    deciding: PageRow = {"label": say("gap that decides"), "value": NONE, "context": say("no gap counts")}
    if gap is not None:
        told = f"{say.known(gap['detector'], DETECTORS)}{say.colon}{_interval(gap['low'], gap['high'], say)}"
        deciding = {"label": say("gap that decides"), "value": decimal(gap["value"]), "context": told}
    flagged = sum(d["flagged"] for d in counting)
    return [
        {"label": say("items used"), "value": count(used), "context": say("of {count} in the file", count=count(items))},
        deciding,
        {
            "label": say("detectors flagged"),
            "value": count(flagged),
            "context": say("of {count} that count", count=len(counting)),
        },
        {
            "label": say("would have been seen"),
            "value": percent(verdict["share_seen"]) if known(verdict["share_seen"]) else NONE,
            "context": say("of items leaked, four times in five"),
        },
    ]


def _declared(leak: PageLeak, say: LeakSay) -> str:
    declared = leak["declared"]
    if declared["exchangeable"] is None:
        return say("Nothing was declared: no set is known to be a random split of the benchmark's own items.")
    told = say("Declared by the user: the {set} and the benchmark are one random split.", set=say.set(declared["exchangeable"]))
    return f"{told}{_space(say)}{declared['sentence']}"


def _sets(leak: PageLeak, say: LeakSay) -> list[PageRow]:
    rows: list[PageRow] = []
    for key in ("benchmark", "train", "reference", "twins"):
        found = leak["sets"].get(key)
        if found is None:
            continue
        left = found["left_out"]
        named = say.comma.join(f"{one['id']} ({one['reason']})" for one in left[:NAMED])
        more = f"{say.comma}{say('and {count} more', count=count(len(left) - NAMED))}" if len(left) > NAMED else ""
        rows.append(
            {
                "name": f"{say.set(key)} ({found['name']})",
                "held": found["items"],
                "used": found["used"],
                "tokens": found["tokens"],
                "langs": say.comma.join(f"{say.language(lang)} {count(n)}" for lang, n in sorted(found["langs"].items())) or NONE,
                "left_out": f"{say('{count} items', count=count(len(left)))}{say.colon}{named}{more}" if left else say("none"),
                "path": found["path"],
                "sha256": found["sha256"],
            }
        )
    return rows


def _blind(one: PageBlind, say: LeakSay) -> list[PageRow]:
    outcome = say("forbids the comparison") if one["vetoes"] else say("does not forbid it")
    rows: list[PageRow] = []
    for by, found in (("words", one["words"]), ("length", one["length"])):
        title = f"{say.set(one['set'])}{say.comma}{say(by)}{say.colon}{decimal(found['auc'])}"
        rows.append(
            {
                "set": say.set(one["set"]),
                "by": say(by),
                "auc": decimal(found["auc"]),
                "interval": _interval(found["low"], found["high"], say),
                "strip": strip(
                    found["auc"],
                    found["low"],
                    found["high"],
                    left=0.5,
                    right=1.0,
                    title=title,
                    tone="stage2" if one["vetoes"] else "accent",
                ),
                "outcome": outcome,
            }
        )
    return rows


def _name(one: PageDetector, say: LeakSay) -> str:
    return say.known(one["name"], DETECTORS)


def _forests(detectors: Sequence[PageDetector], say: LeakSay) -> list[PageRow]:
    """A chart for each unit, in the order in which the units come."""
    found: list[PageRow] = []
    for unit in dict.fromkeys(one["unit"] for one in detectors if known(one["value"])):
        rows = [_gap(one, say) for one in detectors if one["unit"] == unit and known(one["value"])]
        title = say.known(unit, UNITS)
        kinds = {"auc": "around .5: the two sets cannot be told apart", "share": "around zero: no difference"}
        sub = say(kinds.get(unit, "below zero: the benchmark reads easier"))
        found.append({"title": title, "sub": sub, "chart": forest(rows, centre=CENTRES.get(unit, 0.0), title=title)})
    return found


def _compared(one: PageDetector, say: LeakSay) -> str:
    """A detector with what it compares, where its name does not say it."""
    two = one["name"] in ("min_k", "min_k_plus", "zlib")
    return say("{name} against {set}", name=_name(one, say), set=say.set(one["set"])) if two else _name(one, say)


def _gap(one: PageDetector, say: LeakSay) -> Gap:
    shown = _compared(one, say)
    told = f"{shown}{say.colon}{decimal(one['value'])} ({_interval(one['low'], one['high'], say)})"
    value, low, high = (_number(one["value"]), _number(one["low"]), _number(one["high"]))
    return Gap(printable(shown), value, low, high, one["counts"], one["flagged"], printable(told))


def _told(row: Mapping[str, Any], key: str, say: LeakSay) -> str:
    """A sentence of `leak.json` in the page's language; older files have it in English only."""
    return str((row.get(f"{key}_zh") if say.lang == "zh" else None) or row[key])


def _detector(one: PageDetector, say: LeakSay) -> PageRow:
    power = one["power"]
    seen = say("not known")
    if known(power["share_seen"]):
        seen = say("{share} of the items leaked", share=percent(power["share_seen"]))
    source = _told(power, "source", say)
    if source and (known(power["share_seen"]) or power.get("measured")):
        seen += f"（{source}）" if say.lang == "zh" else f" ({source})"
    return {
        "name": _name(one, say),
        "set": say.set(one["set"]),
        "value": f"{decimal(one['value'])} {say.known(one['unit'], UNITS)}" if known(one["value"]) else NONE,
        "interval": _interval(one["low"], one["high"], say),
        "p": _chance(one["p"]),
        "adjusted": _chance(one["adjusted"]),
        "counts": say("yes") if one["counts"] else say("no"),
        "outcome": say("flagged") if one["flagged"] else say("not flagged"),
        "loud": one["flagged"] and one["counts"],
        "held": count(power["items"]),
        "power": seen,
        "why": _told(one, "why", say),
        "needs": _told(one, "needs", say),
        "cost": say("{count} tokens", count=count(one["tokens"])),
    }


def _family(leak: PageLeak, say: LeakSay) -> dict[str, object] | None:
    family = leak["family"]
    if family is None:
        return None
    name = leak["model"]["model"]
    why = family["why"]
    if not family["inside"]:
        why = f"{say('The model lies outside the abilities of the family.')}{_space(say)}{why}"
    return {
        "chart": _family_chart(family, name, say) or Markup('<p class="missing">{}</p>').format(say("not measured")),
        "sub": say(
            "residual {residual}, interval {low} to {high}, p {p}",
            residual=decimal(family["residual"]),
            low=decimal(family["low"]),
            high=decimal(family["high"]),
            p=_chance(family["p"]) if _chance(family["p"]).startswith("<") else f"= {_chance(family['p'])}",
        ),
        "why": why,
        "rows": [
            {
                "model": one["model"],
                "lineage": one["lineage"],
                "released": one["released"] or NONE,
                "ability": decimal(one["ability"]),
                "gap": decimal(one["gap"]),
            }
            for one in [*family["models"], _suspect(family, name)]
        ],
    }


def _suspect(family: PageFamily, name: str) -> PageMember:
    own = family["suspect"]
    return {"model": name, "lineage": NONE, "released": NONE, "ability": own["ability"], "gap": own["gap"]}


def _family_chart(family: PageFamily, name: str, say: LeakSay) -> Markup:
    members = [Member(printable(m["model"]), _number(m["ability"]), _number(m["gap"])) for m in family["models"]]
    own = family["suspect"]
    suspect = Member(printable(name), _number(own["ability"]), _number(own["gap"]))
    half = (_number(family["high"]) - _number(family["low"])) / 2
    return scatter(
        members,
        suspect,
        Regression(_number(family["slope"]), _number(family["intercept"]), half),
        x_label=say("ability: bits per byte on a third text set (fewer is more able)"),
        y_label=say("gap, bits per byte"),
        title=say("The model among its family"),
    )


def _easiest(leak: PageLeak, say: LeakSay, show_items: bool) -> list[PageRow]:
    return [
        {
            "id": one["id"],
            "lang": one["lang"],
            "language": say.language(one["lang"]),
            "own": decimal(one["bits_per_byte"]),
            "family": decimal(one["family_bits_per_byte"]),
            "difference": decimal(one["difference"]),
            "text": (one["text"] or "") if show_items else "",
        }
        for one in leak["easiest"][:EASIEST]
    ]
