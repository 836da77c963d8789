"""The list of filters in the recipe: its limits, and the phases that it is cut into."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from skyloom.core.config import build
from skyloom.core.errors import ConfigError
from skyloom.corpus.clean.config import CleanConfig
from skyloom.corpus.clean.order import ORDER, check_filters, check_order, identity, plan
from skyloom.corpus.filters import FilterConfig, OwnFilter
from skyloom.corpus.lists import ListsConfig

NONE = ListsConfig()


def test_the_usual_order_and_its_phases() -> None:
    usual = plan(ORDER, (), repeats=False)
    assert usual.prepare == ("lists", "rules") and usual.duplicates == ("exact-duplicates", "near-duplicates")
    assert usual.judge == ("exercises", "distribution", "quality") and usual.cut == ()
    assert usual.finish == ("groups", "decontamination", "redaction", "held-out")
    assert plan(ORDER, (), repeats=True).cut == ("repeats",)
    assert identity(ORDER, (), NONE) == [], "the usual order names no step anew"
    assert identity(ORDER[1:], (), NONE) != []


@pytest.mark.parametrize("three", list(itertools.permutations(("exercises", "distribution", "quality"))))
def test_what_judges_single_documents_may_stand_in_any_order(three: tuple[str, ...]) -> None:
    order = [*ORDER[:4], *three, *ORDER[7:]]
    check_order(order, ())
    assert plan(order, (), repeats=False).judge == three


def test_every_shorter_list_holds() -> None:
    for gone in ORDER:
        order = [name for name in ORDER if name != gone]
        check_order(order, ())
        assert list(plan(order, (), repeats=True).items()) == order
    check_order([], ())


def test_rules_may_come_later() -> None:
    order = ["exact-duplicates", "near-duplicates", "quality", "rules", "held-out"]
    check_order(order, ())
    assert plan(order, (), repeats=False).judge == ("quality", "rules")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (["quality", "near-duplicates"], "'near-duplicates' after 'quality'; it must stand before 'quality'"),
        (["near-duplicates", "exact-duplicates"], "'exact-duplicates' after 'near-duplicates'"),
        (["repeats", "distribution"], "'distribution' after 'repeats'"),
        (["decontamination", "groups"], "'groups' after 'decontamination'"),
        (["redaction", "groups"], "'groups' after 'redaction'"),
        (["held-out", "redaction"], "'redaction' after 'held-out'; it must stand before it: nothing may change"),
        (["redaction", "quality"], "'quality' after 'redaction'"),
        (["exact-duplicates", "lists"], "'lists' after 'exact-duplicates'"),
        (["repeats", "rules"], "'rules' after 'repeats'"),
        (["rules", "quality", "rules"], "'rules' twice"),
    ],
)
def test_the_limits_are_told(order: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_order(order, ())
    with pytest.raises(ConfigError, match=r"my.toml: corpus.clean: .*"):
        build(CleanConfig, {"order": order}, origin="my.toml", key="corpus.clean")


@pytest.mark.parametrize(
    "settings",
    [
        {"repeats": {"repeated_lines": True}},
        {"decontaminate": {"sets": [{"name": "题目", "path": "items.jsonl"}]}},
        {"meaning": {"wanted": True}},
        {"lists": {"block": ["赌场.example"]}},
        {"quality": {"judges": {"reference": ["wiki"]}}},
    ],
)
def test_a_filter_that_settings_ask_for_cannot_be_left_out(settings: dict[str, Any]) -> None:
    build(CleanConfig, settings, origin="my.toml")
    with pytest.raises(ConfigError, match="which other settings ask for"):
        build(CleanConfig, {**settings, "order": ["rules", "redaction"]}, origin="my.toml")
    with pytest.raises(ConfigError, match="did you mean 'quality'"):
        build(CleanConfig, {"order": ["qualty"]}, origin="my.toml")


def own(after: str, name: str = "mine") -> OwnFilter:
    return OwnFilter(FilterConfig(f"mine:{name}", after=after), name, "1", False)


@pytest.mark.parametrize("after", [name for name in ORDER if name != "exact-duplicates"])
@pytest.mark.parametrize("repeats", [False, True])
def test_filters_of_ones_own_stand_where_they_are_put(after: str, repeats: bool) -> None:
    mine, more = own(after), own(after, "more")
    items = list(plan(ORDER, (mine, more), repeats=repeats).items())
    wanted = [x for name in ORDER for x in ([name, mine, more] if name == after else [name])]
    assert items == [x for x in wanted if repeats or x != "repeats"]
    assert identity(ORDER, (mine,), NONE) != identity(ORDER, (own(after, "more"),), NONE)


@pytest.mark.parametrize(
    ("filters", "order", "said"),
    [
        ([FilterConfig("a:b", after="qualty")], ORDER, r"filters\[0\].after is 'qualty', which is no filter"),
        ([FilterConfig("a:b", after="quality")], ("rules",), r"filters\[0\].after is 'quality', which clean.order leaves out"),
        ([FilterConfig("a:b", after="exact-duplicates")], ORDER, "looked for together"),
        ([FilterConfig("a:b"), FilterConfig("c:b")], ORDER, r"filters\[1\] \(c:b\) is called 'b', as another filter is"),
        ([FilterConfig("a:quality")], ORDER, "is called 'quality', as another filter is"),
        ([FilterConfig("a:language")], ORDER, "is called 'language', as another filter is"),
    ],
)
def test_a_place_that_there_is_not(filters: list[FilterConfig], order: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_filters(filters, order)


def test_exact_duplicates_alone_may_be_followed() -> None:
    order = ("rules", "exact-duplicates", "quality")
    check_filters([FilterConfig("a:b", after="exact-duplicates")], order)
    assert plan(order, (own("exact-duplicates"),), repeats=False).passed == (own("exact-duplicates"),)
