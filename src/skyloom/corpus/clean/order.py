"""The order of the filters: a list of names in the recipe, with filters of one's own between them, cut into the phases of the work.

Input: the settings. Output: which filters each phase applies, in order. The list can be shortened, and reordered as far as what
is counted over all shards between the phases allows:

    prepare     lists, rules                                 before anything that compares documents
    duplicates  exact-duplicates, near-duplicates            in this order, with nothing between them
    passed      filters of one's own after them
    judge       rules, exercises, distribution, quality      in any order
    cut         repeats                                      looks through what is left so far
    finish      groups, decontamination, redaction, held-out groups first, held-out last

`check_order` says in a sentence what a list breaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skyloom.core.errors import ConfigError
from skyloom.corpus.filters import FilterConfig, OwnFilter
from skyloom.corpus.lists import ListsConfig

ORDER = (
    "lists", "rules", "exact-duplicates", "near-duplicates", "exercises", "distribution", "quality", "repeats", "groups",
    "decontamination", "redaction", "held-out",
)  # fmt: skip
"""The built-in filters, in the order in which they stand unless the recipe says otherwise."""
MEANINGS: Mapping[str, str] = {
    "lists": "pages by host and URL: block-lists and allow-lists",
    "rules": "too short, broken characters",
    "exact-duplicates": "the same units in the same order as another document",
    "near-duplicates": "similar to the document that stays",
    "exercises": "pages made of exercises become documents of their own",
    "distribution": "recurring blocks are cut",
    "quality": "rules for prose, heuristics for code",
    "repeats": "lines and runs that an earlier document has are cut",
    "groups": "quality groups of the learned judges",
    "decontamination": "documents with benchmark items",
    "redaction": "personal data becomes placeholders",
    "held-out": "held-out documents are set apart, near-copies of them leave",
}
TAKEN = ("source", "extract", "language")
"""Stages of the ledger before the filters, whose names no filter can have."""
Item = str | OwnFilter
"""A built-in filter, or one of one's own."""

_PREPARE, _DUPLICATES, _JUDGE, _CUT, _FINISH = range(5)
_PHASES: Mapping[str, tuple[int, ...]] = {
    "lists": (_PREPARE,),
    "rules": (_PREPARE, _JUDGE),
    "exact-duplicates": (_DUPLICATES,),
    "near-duplicates": (_DUPLICATES,),
    "exercises": (_JUDGE,),
    "distribution": (_JUDGE,),
    "quality": (_JUDGE,),
    "repeats": (_CUT,),
    "groups": (_FINISH,),
    "decontamination": (_FINISH,),
    "redaction": (_FINISH,),
    "held-out": (_FINISH,),
}
_BECAUSE = {
    _PREPARE: "what it drops must not be the copy that stays of several documents",
    _DUPLICATES: "duplicates are looked for before anything is counted",
    _JUDGE: "it is counted over all shards once duplicates are gone, and before repeats are looked for",
    _CUT: "repeats are looked for in what the filters for single documents leave, and before groups are learned",
    _FINISH: "it is learned or counted over all shards on what all filters before it leave",
}


@dataclass(frozen=True)
class Plan:
    """The filters of each phase, in order."""

    prepare: tuple[Item, ...]
    duplicates: tuple[Item, ...]
    passed: tuple[Item, ...]
    judge: tuple[Item, ...]
    cut: tuple[Item, ...]
    finish: tuple[Item, ...]

    def items(self) -> tuple[Item, ...]:
        """All filters in their order."""
        return (*self.prepare, *self.duplicates, *self.passed, *self.judge, *self.cut, *self.finish)


def check_order(order: Sequence[str], asked: Sequence[str]) -> None:
    """ConfigError for a list in which a name stands twice, that breaks the limits above, or leaves out a filter that the settings
    ask for (`asked`)."""
    for name in order:
        if order.count(name) > 1:
            raise ConfigError(f"order names {name!r} twice")
    _phases_of(order)
    for first, second in (("exact-duplicates", "near-duplicates"), ("groups", "decontamination"), ("groups", "redaction")):
        _before(order, first, second)
    for name in order:
        _before(order, name, "held-out")
    for name in asked:
        if name not in order:
            raise ConfigError(f"order leaves out {name!r}, which other settings ask for; add it, or take those back")


def _before(order: Sequence[str], first: str, second: str) -> None:
    if first in order and second in order and order.index(first) > order.index(second):
        why = {
            "held-out": "nothing may change the documents once copies of the held-out ones are looked for",
            "near-duplicates": "near-duplicates are looked for among what is not a copy word for word",
        }.get(second, "its judges are trained on the documents as they are then")
        raise ConfigError(f"order has {first!r} after {second!r}; it must stand before it: {why}")


def _phases_of(order: Sequence[str]) -> dict[str, int]:
    """The phase of each name. ConfigError where a name would have to go back to an earlier one."""
    found: dict[str, int] = {}
    now, last = _PREPARE, ""
    for name in order:
        later = [phase for phase in _PHASES[name] if phase >= now]
        if not later:
            earliest = next(n for n, phase in found.items() if phase > _PHASES[name][-1])
            why = _BECAUSE[_PHASES[name][-1]]
            raise ConfigError(f"order has {name!r} after {last!r}; it must stand before {earliest!r}: {why}")
        now, last = later[0], name
        found[name] = now
    return found


def check_filters(filters: Sequence[FilterConfig], order: Sequence[str]) -> None:
    """ConfigError for a filter of one's own after what is no filter, in an impossible place, or with a name that is taken."""
    taken = {*ORDER, *TAKEN}
    for place, own in enumerate(filters):
        key = f"filters[{place}]"
        if own.after not in ORDER:
            raise ConfigError(f"{key}.after is {own.after!r}, which is no filter; they are {', '.join(order)}")
        if own.after not in order:
            raise ConfigError(f"{key}.after is {own.after!r}, which clean.order leaves out; it has {', '.join(order)}")
        if own.after == "exact-duplicates" and "near-duplicates" in order:
            raise ConfigError(
                f"{key}.after is 'exact-duplicates'; exact and near-duplicates are looked for together: take 'near-duplicates', "
                "or a filter before both"
            )
        if own.called in taken:
            raise ConfigError(f"{key} ({own.use}) is called {own.called!r}, as another filter is; give it a name of its own")
        taken.add(own.called)


def plan(order: Sequence[str], own: Sequence[OwnFilter], *, repeats: bool) -> Plan:
    """The filters of each phase. `repeats`: whether repeats are asked for; else there is no such phase, and filters of one's own
    that come after it end the one before."""
    phases = _phases_of(order)
    parts: dict[str, list[Item]] = {name: [] for name in ("prepare", "duplicates", "passed", "judge", "cut", "finish")}
    names = ("prepare", "duplicates", "judge", "cut" if repeats else "judge", "finish")
    for name in order:
        part = names[phases[name]]
        if name != "repeats" or repeats:
            parts[part].append(name)
        parts["passed" if part == "duplicates" else part] += [one for one in own if one.config.after == name]
    return Plan(**{name: tuple(items) for name, items in parts.items()})


def asked_for(order: Sequence[str], asked: Mapping[str, bool]) -> dict[str, str]:
    """Why each built-in filter does not run, "" where it does. `asked`: those that run only where settings ask for them."""
    why = dict.fromkeys(ORDER, "")
    why |= {name: "its settings do not ask for it" for name, wanted in asked.items() if not wanted}
    return why | {name: "clean.order leaves it out" for name in ORDER if name not in order}


def identity(order: Sequence[str], own: Sequence[OwnFilter], lists: ListsConfig) -> list[object]:
    """What the order, filters of one's own and lists add to what a step is named by: nothing in a usual recipe, which has the usual
    order and none of these."""
    said: list[object] = [one.identity() for one in own]
    if lists.wanted:
        from skyloom.corpus.lists import list_identity  # here, so that a recipe is read without kernels

        said.append(list_identity(lists))
    return [list(order), said] if said or tuple(order) != ORDER else []
